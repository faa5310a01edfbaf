package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/rule/ruletest"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/rules"
)

// rulesCommand is plimsoll rules with its verbs.
func (a *app) rulesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "List, show and test the rules",
		Example: `  plimsoll rules list --benchmark cis-1.8
  plimsoll rules show memory-unlimited
  plimsoll rules test ./my-rules`,
		Args: commandsOnly,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.rulesListCommand(), a.rulesShowCommand(), a.rulesTestCommand())
	return c
}

func (a *app) rulesListCommand() *cobra.Command {
	var dir, severity, subject string
	var want rule.Selection
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the rules",
		Example: "  plimsoll rules list --severity critical\n  plimsoll rules list --only '5.1*' --benchmark cis-1.8",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			set, err := loadRules(rule.Load, fs.FS(rules.Files), dir)
			if err != nil {
				return err
			}
			if severity != "" {
				if want.Severity, err = finding.ParseSeverity(severity); err != nil {
					return &failure{code: exitUsage, message: fmt.Sprintf("--severity %s is not a severity", severity), hint: "Use critical, high, medium, low or info."}
				}
			}
			if subject != "" {
				if !slices.Contains(rule.Subjects, subject) {
					return &failure{code: exitUsage, message: fmt.Sprintf("--subject %s is not a subject", subject), hint: "Use one of " + strings.Join(rule.Subjects, ", ") + "."}
				}
				want.Subjects = []string{subject}
			}
			if err := knownBenchmark(set, want.Benchmark); err != nil {
				return err
			}
			if set, err = set.Select(want); err != nil {
				return &failure{code: exitUsage, message: err.Error(), hint: "See  plimsoll rules list"}
			}
			if len(set.Rules()) == 0 {
				return &failure{code: exitUsage, message: "no rule fits all of these flags", hint: "Leave out one of them."}
			}
			return a.listRules(set, want.Benchmark)
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "rules", "", "`DIR` with rules of your own")
	f.StringVar(&severity, "severity", "", "only the rules of one `SEVERITY`")
	f.StringVar(&subject, "subject", "", "only the rules of one `SUBJECT`: "+strings.Join(rule.Subjects, ", "))
	f.StringVar(&want.Benchmark, "benchmark", "", "only the rules of one `BENCHMARK`: cis-1.8, cis-1.6 or cis-1.13")
	f.StringSliceVar(&want.Only, "only", nil, "only these `RULES`: names, benchmark ids (5.5, or cis-1.13:5.5), or globs")
	f.StringSliceVar(&want.Skip, "skip", nil, "all `RULES` but these")
	return c
}

// styleOf is how a severity looks.
var styleOf = map[finding.Severity]term.Style{finding.Critical: term.Critical, finding.High: term.High, finding.Medium: term.Medium, finding.Low: term.Low, finding.Info: term.Info}

// listRules prints a line a rule, gravest first.
func (a *app) listRules(set *rule.Set, benchmark string) error {
	list := slices.Clone(set.Rules())
	slices.SortStableFunc(list, func(x, y *rule.Rule) int { return x.Severity.Rank() - y.Severity.Rank() })
	width := 0
	for _, r := range list {
		width = max(width, len(r.Name))
	}
	var out strings.Builder
	for _, r := range list {
		ids := refs(r, benchmark)
		line := a.stdout.Glyph(styleOf[r.Severity]) + " " + r.Name + strings.Repeat(" ", width-len(r.Name)+2) + a.stdout.Escape(r.Title)
		if ids != "" {
			line += "  " + a.stdout.Paint(term.Faint, ids)
		}
		out.WriteString(line + "\n")
	}
	fmt.Fprintf(&out, "\n %s\n", count(len(list), "rule"))
	return a.print(out.String())
}

// count words a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// refs are a rule's recommendations: in the benchmark named, or in its newest.
func refs(r *rule.Rule, benchmark string) string {
	if benchmark == "" {
		about := finding.About{Refs: r.Refs}
		benchmark, _ = about.NewestRef()
	}
	if len(r.Refs[benchmark]) == 0 {
		return ""
	}
	return strings.ToUpper(strings.Replace(benchmark, "-", " ", 1)) + " " + strings.Join(r.Refs[benchmark], ", ")
}

func (a *app) rulesShowCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show one rule, or how the score is made",
		Example: "  plimsoll rules show memory-unlimited\n  plimsoll rules show score",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &failure{code: exitUsage, message: "rules show takes one name", hint: "See  plimsoll rules list"}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] == "score" {
				return a.print(finding.ScoreFormula + "\n")
			}
			set, err := loadRules(rule.Load, fs.FS(rules.Files), dir)
			if err != nil {
				return err
			}
			set, err = set.Select(rule.Selection{Only: args})
			if err != nil {
				return &failure{code: exitUsage, message: err.Error(), hint: "See  plimsoll rules list"}
			}
			var pages []string
			for _, r := range set.Rules() {
				pages = append(pages, a.page(r))
			}
			return a.print(strings.Join(pages, "\n"))
		},
	}
	c.Flags().StringVar(&dir, "rules", "", "`DIR` with rules of your own")
	return c
}

// page is the page of a rule.
func (a *app) page(r *rule.Rule) string {
	p := a.stdout
	var out strings.Builder
	paragraph := func(text string, indent int) {
		for _, line := range term.Wrap(p.Escape(strings.Join(strings.Fields(text), " ")), p.Width()-indent) {
			out.WriteString(strings.Repeat(" ", indent) + line + "\n")
		}
	}
	fmt.Fprintf(&out, "%s %s\n", p.Glyph(styleOf[r.Severity]), p.Paint(term.Bold, p.Escape(r.Title)))
	about := r.Name + ", " + string(r.Severity) + ", looks at a " + r.Subject
	if r.Subject != "container" {
		about = r.Name + ", " + string(r.Severity) + ", looks at the " + r.Subject
	}
	if !r.Ours {
		about += ", from " + r.File
	}
	fmt.Fprintf(&out, "    %s\n\n", p.Paint(term.Faint, p.Escape(about)))
	paragraph(r.Why, 4)
	mend := []struct{ form, text string }{{"run line", r.Remedy.Run}, {"as it runs", r.Remedy.Update}, {"compose", r.Remedy.Compose},
		{"Dockerfile", r.Remedy.Dockerfile}, {"daemon.json", r.Remedy.Daemon}, {"shell", r.Remedy.Shell}}
	fmt.Fprintf(&out, "\n %s\n", p.Paint(term.Bold, "Mend"))
	for _, m := range mend {
		if m.text != "" {
			fmt.Fprintf(&out, "    %-12s %s\n", m.form, p.Escape(m.text))
		}
	}
	for _, line := range fixLines(&r.Fix) {
		fmt.Fprintf(&out, "    %-12s %s\n", "by --fix", p.Escape(line))
	}
	fmt.Fprintf(&out, "\n %s\n", p.Paint(term.Bold, "How it is judged"))
	for _, e := range []struct{ name, text string }{{"files", strings.Join(r.Roles, ", ")}, {"when", r.When.Text}, {"each", r.Each.Text}} {
		if e.text != "" {
			fmt.Fprintf(&out, "    %-12s %s\n", e.name, p.Escape(e.text))
		}
	}
	for _, param := range r.Params {
		fmt.Fprintf(&out, "    %-12s %s = %s\n", "parameter", param.Name, p.Escape(fmt.Sprint(param.Value)))
	}
	for _, b := range r.Let {
		fmt.Fprintf(&out, "    %-12s %s = %s\n", "let", b.Name, p.Escape(strings.Join(strings.Fields(b.Text), " ")))
	}
	if r.Manual != "" {
		fmt.Fprintf(&out, "    %-12s %s\n", "a person", p.Escape(r.Manual))
	} else {
		fmt.Fprintf(&out, "    %-12s %s\n", "holds when", p.Escape(strings.Join(strings.Fields(r.Pass.Text), " ")))
	}
	if len(r.Refs) > 0 {
		fmt.Fprintf(&out, "\n %s\n", p.Paint(term.Bold, "Answers"))
		names := make([]string, 0, len(r.Refs))
		for b := range r.Refs {
			names = append(names, b)
		}
		slices.Sort(names)
		for _, b := range names {
			fmt.Fprintf(&out, "    %-12s %s\n", strings.ToUpper(strings.Replace(b, "-", " ", 1)), p.Escape(strings.Join(r.Refs[b], ", ")))
		}
	}
	return out.String()
}

// fixLines are what a script of audit --fix does about a rule, in the words of what it
// changes.
func fixLines(f *rule.Fix) []string {
	var lines []string
	for _, s := range f.Daemon {
		if s.Value == "" {
			lines = append(lines, "takes "+s.Name+" out of daemon.json")
			continue
		}
		lines = append(lines, fmt.Sprintf("sets %q: %s in daemon.json", s.Name, s.Value))
	}
	update := "docker update"
	for _, s := range f.Update {
		update += " --" + s.Name + " " + s.Value
	}
	if len(f.Update) > 0 {
		lines = append(lines, update)
	}
	if f.Owner != "" {
		lines = append(lines, "chown "+f.Owner)
	}
	if f.Mode != "" {
		lines = append(lines, "takes away permissions beyond "+f.Mode)
	}
	if f.Audit != "" {
		lines = append(lines, "auditctl "+f.Audit)
	}
	return lines
}

func (a *app) rulesTestCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run the tests inside rule files",
		Long: `test runs the tests that rules carry, ours or, where DIR is named, those of the
rule files (.yaml) in and below that folder alone. It demands that some test
notices when a part of a rule's condition is replaced by true or by false.`,
		Example: "  plimsoll rules test\n  plimsoll rules test ./my-rules",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && dir != "" {
				return &failure{code: exitUsage, message: "rules test takes one folder", hint: "See  plimsoll rules test --help"}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				dir = args[0]
			}
			set, err := rulesToTest(dir)
			if err != nil {
				return err
			}
			result, err := await(c.Context(), func() (ruletest.Result, error) { return ruletest.Run(set) })
			if err != nil {
				return err
			}
			var out strings.Builder
			for _, f := range result.Failures {
				fmt.Fprintf(&out, "%s %s\n", a.stdout.Glyph(term.Deny), a.stdout.Escape(f.String()))
			}
			fmt.Fprintf(&out, " %s, %s, %s replaced: %s\n", count(result.Rules, "rule"), count(result.Tests, "test"), count(result.Parts, "part"), count(len(result.Failures), "failure"))
			if err := a.print(out.String()); err != nil {
				return err
			}
			if len(result.Failures) > 0 {
				return errFindings
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "rules", "", "`DIR` with rules of your own")
	return c
}

// rulesToTest are the rules of a folder alone, where it holds a tree like ours
// or single files, and ours where none is named.
func rulesToTest(dir string) (*rule.Set, error) {
	if dir == "" {
		return loadRules(rule.Load, fs.FS(rules.Files), "")
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &failure{code: exitUsage, message: fmt.Sprintf("%s is not a folder", path.Clean(dir)), err: err}
	}
	return rule.Load(nil, ruleFolder(dir), dir)
}
