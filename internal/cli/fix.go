package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/fix"
	"github.com/plimsoll/plimsoll/internal/term"
)

// writeFix writes the script that mends what fails, and says on standard error what
// comes next.
func (a *app) writeFix(ctx context.Context, r finding.Report, f *facts.Facts, j *judging, look *looking) error {
	config := fix.Config{Findings: r.Findings, Facts: f, DaemonFile: look.daemonFile, Tool: "plimsoll " + version()}
	// The script runs where the engine does, which finds another's socket for itself.
	if strings.HasPrefix(look.engine, "unix://") {
		config.Engine = look.engine
	}
	script := fix.Script(config)
	err := a.output(ctx, j, "the script", func(out *term.Printer) error {
		_, err := io.WriteString(out, script.Text)
		return err
	})
	if err != nil {
		return err
	}
	if script.Steps == 0 {
		a.note(fmt.Sprintf("Nothing here can be mended by a script; it says what is left to a person: %s.", count(script.Left, "failure")))
		return nil
	}
	name := j.output
	if name == "" {
		name = "FILE"
	}
	a.note(fmt.Sprintf("%s of the script mend %s, and leave %d to a person. Read it, then, as root on %s:  sh %s", count(script.Steps, "step"), count(script.Mended, "failure"), script.Left, targetName(f), name))
	return nil
}
