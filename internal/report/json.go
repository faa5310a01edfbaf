package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// JSON writes a finished report for programs: indented, in the order of the
// report, keys of objects sorted, so that two reports of the same facts differ
// in their times alone. Characters that a terminal would act on, or that nobody
// would see, are written as escapes, which programs read as the same text; bytes
// that are not UTF-8 become U+FFFD, for JSON has no others.
func JSON(w io.Writer, r finding.Report) error {
	// The findings are most of a report. They are encoded one by one, so that
	// thousands of containers do not need as much memory as their report.
	findings := r.Findings
	r.Findings = []finding.Finding{}
	head, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	head, ok := bytes.CutSuffix(head, []byte("[]\n}"))
	if !ok || !bytes.HasSuffix(head, []byte(`"findings": `)) {
		return errors.New("encoding the report: the findings are not its last field")
	}
	b := bufio.NewWriter(w)
	b.Write(term.EscapeJSON(head)) // a bufio.Writer keeps its first error for Flush
	separator := "["
	for _, f := range findings {
		text, err := json.MarshalIndent(f, "    ", "  ")
		if err != nil {
			return fmt.Errorf("encoding the finding of %s for %s: %w", f.Rule, f.Subject.Name, err)
		}
		b.WriteString(separator + "\n    ")
		b.Write(term.EscapeJSON(text))
		separator = ","
	}
	if len(findings) == 0 {
		b.WriteString("[]\n}\n")
	} else {
		b.WriteString("\n  ]\n}\n")
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
