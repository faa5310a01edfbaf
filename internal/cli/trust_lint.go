//go:build !front

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/term"
)

// trustLintCommand is plimsoll trust lint.
func (a *app) trustLintCommand() *cobra.Command {
	var format, failOn string
	c := &cobra.Command{
		Use:   "lint [FILE]",
		Short: "Find what is probably wrong in a policy of trust",
		Long: `lint reads a policy of trust, ` + defaultTrust + ` where no other is named, and
finds what can be read and is probably wrong: entries that never count, patterns
that fit other people's registries too, signers that are anybody, keys that are
revoked or weak, ages that nothing proves, and files that are missing, have ended, or
may be written by others. No registry is asked.

The exit code is 1 where something is found that is as grave as --fail-on, and 2 for
a policy that can't be read.`,
		Example: `  plimsoll trust lint
  plimsoll trust lint --fail-on error ./trust.yaml
  plimsoll trust lint --format json ./trust.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &failure{code: exitUsage, message: "trust lint takes one file", hint: "See  plimsoll trust lint --help"}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if format != "table" && format != "json" {
				return &failure{code: exitUsage, message: "--format " + format + " is not a format", hint: "Use  --format table  or  --format json"}
			}
			if failOn != "never" && !slices.Contains(sign.Levels, sign.Level(failOn)) {
				return &failure{code: exitUsage, message: fmt.Sprintf("--fail-on %s is not a level", failOn), hint: "Use error, warning, note or never."}
			}
			file := defaultTrust
			if len(args) > 0 {
				file = args[0]
			}
			return a.trustLint(c.Context(), file, format, failOn)
		},
	}
	c.Flags().StringVar(&format, "format", "table", "`FORMAT`: table or json")
	c.Flags().StringVar(&failOn, "fail-on", "warning", "exit 1 from this `LEVEL` on: error, warning, note, or never")
	return c
}

func (a *app) trustLint(ctx context.Context, file, format, failOn string) error {
	data, err := readFile(ctx, file, maxConfigBytes)
	if err != nil {
		return unreadTrust(err, "Name another behind  plimsoll trust lint")
	}
	found, err := sign.Lint(file, data, a.world.Now())
	if err != nil {
		return err
	}
	write := a.lintTable
	if format == "json" {
		write = lintJSON
	}
	if err := write(a.stdout, file, found); err != nil {
		return &failure{code: exitUnable, message: "what was found can't be written", err: err}
	}
	from := slices.Index(sign.Levels, sign.Level(failOn)) // -1 for never
	if slices.ContainsFunc(found, func(f sign.Finding) bool { return slices.Index(sign.Levels, f.Level) <= from }) {
		return errFindings
	}
	return nil
}

// levelStyle is how a level looks.
var levelStyle = map[sign.Level]term.Style{sign.LintError: term.High, sign.LintWarning: term.Medium, sign.LintNote: term.Info}

// lintTable tells findings to people: the place, what is wrong, and what to do.
func (a *app) lintTable(out *term.Printer, file string, found []sign.Finding) error {
	var b strings.Builder
	for _, f := range found {
		at := file
		if f.Line > 0 {
			at = fmt.Sprintf("%s:%d:%d", file, f.Line, f.Column)
		}
		head := []string{out.Paint(levelStyle[f.Level], string(f.Level)), out.Paint(term.Bold, out.Escape(at))}
		if f.Field != "" {
			head = append(head, out.Escape(f.Field))
		}
		fmt.Fprintf(&b, "%s  %s\n", strings.Join(head, "  "), out.Paint(term.Faint, f.Check))
		for _, text := range []string{f.Text, "→ " + f.Do} {
			for _, line := range term.Wrap(out.Escape(text), out.Width()-4) {
				b.WriteString("    " + line + "\n")
			}
		}
		b.WriteString("\n")
	}
	if len(found) == 0 {
		fmt.Fprintf(&b, "%s %s: nothing was found\n", out.Glyph(term.Pass), out.Escape(file))
	} else {
		var sums []string
		for _, level := range sign.Levels {
			if n := countLevel(found, level); n > 0 {
				sums = append(sums, count(n, string(level)))
			}
		}
		fmt.Fprintf(&b, " %s\n", strings.Join(sums, ", "))
	}
	_, err := out.Write([]byte(b.String()))
	return err
}

func countLevel(found []sign.Finding, level sign.Level) (n int) {
	for _, f := range found {
		if f.Level == level {
			n++
		}
	}
	return n
}

// lintJSON tells them to programs.
func lintJSON(out *term.Printer, file string, found []sign.Finding) error {
	type finding struct {
		Level  sign.Level `json:"level"`
		Check  string     `json:"check"`
		Line   int        `json:"line,omitempty"`
		Column int        `json:"column,omitempty"`
		Field  string     `json:"field,omitempty"`
		Text   string     `json:"text"`
		Do     string     `json:"do"`
	}
	body := struct {
		Schema   string    `json:"schema"`
		File     string    `json:"file"`
		Errors   int       `json:"errors"`
		Warnings int       `json:"warnings"`
		Notes    int       `json:"notes"`
		Findings []finding `json:"findings"`
	}{"plimsoll/trust-lint/1", file, countLevel(found, sign.LintError), countLevel(found, sign.LintWarning), countLevel(found, sign.LintNote), []finding{}}
	for _, f := range found {
		body.Findings = append(body.Findings, finding(f))
	}
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		return err
	}
	_, err = out.Write(append(term.EscapeJSON(data), '\n'))
	return err
}
