package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/waiver"
	"github.com/plimsoll/plimsoll/rules"
)

// waiverCommand is plimsoll waiver with its verbs.
func (a *app) waiverCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "waiver",
		Short: "List, add and check accepted failures",
		Long: `A waiver accepts that a rule fails: for which subject, why, who answers for it,
and until when. Waivers are kept in a file that is reviewed like code:

  schema: plimsoll/waivers/1
  waivers:
    - rule: port-every-interface
      subject: proxy            # a name, a pattern (web-*), or 12 digits of an id
      element: 443:443/tcp      # optional: one port, mount or the like alone
      reason: it is the front door
      owner: ana
      expires: 2027-02-01       # the last day on which it counts

audit and check take it by --waivers. A waiver whose day is over lets its finding
fail again, and one that nothing needs any more is reported as stale.`,
		Example: `  plimsoll waiver add waivers.yaml --rule port-every-interface --subject proxy --reason "it is the front door" --owner ana --expires 2027-02-01
  plimsoll waiver list waivers.yaml
  plimsoll waiver check waivers.yaml
  plimsoll audit --waivers waivers.yaml`,
		Args: commandsOnly,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.waiverListCommand(), a.waiverAddCommand(), a.waiverCheckCommand())
	return c
}

// oneFile refuses anything but the name of one file.
func oneFile(c *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	return &failure{code: exitUsage, message: "waiver " + c.Name() + " takes the name of one file", hint: "For example\n" + c.Example}
}

func (a *app) waiverListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list FILE",
		Short:   "List waivers, those that end first first",
		Example: "  plimsoll waiver list waivers.yaml",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := readWaivers(c.Context(), args[0])
			if err != nil {
				return err
			}
			return a.listWaivers(f)
		},
	}
}

// listWaivers prints two lines a waiver.
func (a *app) listWaivers(f *waiver.File) error {
	p, now, over := a.stdout, a.world.Now(), 0
	var out strings.Builder
	for _, w := range byDay(f) {
		glyph, until := term.Waived, "until "+w.Expires
		if w.Expired(now) {
			glyph, until = term.Deny, "over since "+w.Expires
			over++
		}
		what := w.Subject + ": " + w.Rule
		if w.Element != "" {
			what += ", " + w.Element
		}
		fmt.Fprintf(&out, "%s %s\n", p.Glyph(glyph), p.Escape(what))
		text := fmt.Sprintf("%s, %s: %q", w.Owner, until, strings.Join(strings.Fields(w.Reason), " "))
		for _, line := range term.Wrap(p.Escape(text), p.Width()-4) {
			out.WriteString("    " + line + "\n")
		}
	}
	if len(f.Waivers) > 0 {
		out.WriteString("\n")
	}
	fmt.Fprintf(&out, " %s", count(len(f.Waivers), "waiver"))
	if over > 0 {
		fmt.Fprintf(&out, ", %d over", over)
	}
	out.WriteString("\n")
	return a.print(out.String())
}

// byDay are the waivers in the order in which they end.
func byDay(f *waiver.File) []*waiver.Waiver {
	return slices.SortedStableFunc(slices.Values(f.Waivers), func(x, y *waiver.Waiver) int { return strings.Compare(x.Expires, y.Expires) })
}

func (a *app) waiverCheckCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a file of waivers",
		Long: `check refuses a file with a waiver that does not say all that it must, whose rule
there is none of, that is there twice, or whose day is over, and names the line.
Exit 2 then.`,
		Example: "  plimsoll waiver check waivers.yaml",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := readWaivers(c.Context(), args[0])
			if err != nil {
				return err
			}
			known, err := knownRules(dir)
			if err != nil {
				return err
			}
			if err := f.About(isRule).CheckRules(known); err != nil {
				return err
			}
			if err := f.CheckTwice(); err != nil {
				return err
			}
			if err := f.CheckDays(a.world.Now()); err != nil {
				return err
			}
			text := " " + count(len(f.Waivers), "waiver")
			if len(f.Waivers) > 0 {
				first := byDay(f)[0]
				text += fmt.Sprintf("; the first to end is that of %s for %s, on %s", first.Rule, first.Subject, first.Expires)
			}
			return a.print(a.stdout.Escape(text) + "\n")
		},
	}
	c.Flags().StringVar(&dir, "rules", "", "`DIR` with rules of your own")
	return c
}

func (a *app) waiverAddCommand() *cobra.Command {
	var w waiver.Waiver
	var dir string
	c := &cobra.Command{
		Use:   "add FILE",
		Short: "Add a waiver to a file",
		Long: `add writes a waiver behind those of a file, which it makes where there is none, and
leaves all else in it as it is. Have the change reviewed.`,
		Example: `  plimsoll waiver add waivers.yaml --rule port-every-interface --subject proxy --reason "it is the front door" --owner ana --expires 2027-02-01`,
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			return a.addWaiver(c.Context(), args[0], w, dir)
		},
	}
	f := c.Flags()
	f.StringVar(&w.Rule, "rule", "", "`NAME` of the rule that may fail, or the id of an advisory, such as CVE-2026-1")
	f.StringVar(&w.Subject, "subject", "", "`NAME` of what may fail it, a pattern such as 'web-*', or an id")
	f.StringVar(&w.Element, "element", "", "`ELEMENT` that is meant alone, such as a mount or a port")
	f.StringVar(&w.Reason, "reason", "", "`TEXT` that says why it may fail")
	f.StringVar(&w.Owner, "owner", "", "`WHO` answers for it")
	f.StringVar(&w.Expires, "expires", "", "last `DAY` on which it counts, as in 2027-02-01")
	f.StringVar(&dir, "rules", "", "`DIR` with rules of your own")
	return c
}

func (a *app) addWaiver(ctx context.Context, name string, w waiver.Waiver, dir string) error {
	now := a.world.Now()
	if field, problem, hint := w.Wrong(); field != "" {
		return &failure{code: exitUsage, message: "--" + field + " " + problem, hint: strings.ToUpper(hint[:1]) + hint[1:] + "."}
	}
	if w.Expired(now) {
		return &failure{code: exitUsage, message: "--expires is in the past: " + w.Expires, hint: "A day after today, for example " + laterDay(now) + "."}
	}
	known, err := knownRules(dir)
	if err != nil {
		return err
	}
	if isRule(w.Rule) && !slices.Contains(known, w.Rule) {
		hint := "See  plimsoll rules list ; rules of your own need  --rules DIR"
		if near := strict.Nearest(w.Rule, known); near != "" {
			hint = "Did you mean  --rule " + near
		}
		return &failure{code: exitUsage, message: fmt.Sprintf("--rule %.100q names no rule", w.Rule), hint: hint}
	}
	if err := checkOutput(name); err != nil {
		return err
	}
	// Who adds at the same time waits, so that nobody's waiver is lost.
	unlock, err := lockFolder(ctx, filepath.Dir(name))
	if err != nil {
		return &failure{code: exitUnable, message: name + " can't be written", err: err}
	}
	defer unlock()
	data, err := readFile(ctx, name, maxWaiverBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unreadableWaivers(err)
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return &failure{code: exitUsage, message: name + " is no file that a waiver can be kept in", hint: "Name one, such as  waivers.yaml"}
	}
	text, err := waiver.Add(name, data, w)
	if err != nil {
		return err
	}
	if len(text) > maxWaiverBytes {
		return &failure{code: exitUsage, message: tooLong(name, maxWaiverBytes).Error(), hint: "Begin another file."}
	}
	err = replaceFile(ctx, name, func(out io.Writer) error {
		_, err := out.Write(text)
		return err
	})
	if err != nil {
		return &failure{code: exitUnable, message: name + " can't be written", err: err}
	}
	return a.print(a.stdout.Escape(fmt.Sprintf(" %s may fail for %s until %s", w.Rule, w.Subject, w.Expires)) + "\n")
}

// laterDay is an example of a day on which a waiver may end.
func laterDay(now time.Time) string { return now.UTC().AddDate(0, 3, 0).Format(waiver.Day) }

// maxWaiverBytes bounds a file of waivers, which people write.
const maxWaiverBytes = 1 << 20

func readWaivers(ctx context.Context, name string) (*waiver.File, error) {
	data, err := readFile(ctx, name, maxWaiverBytes)
	if err != nil {
		return nil, unreadableWaivers(err)
	}
	return waiver.Read(name, data)
}

func unreadableWaivers(err error) error {
	f := &failure{code: exitUsage, message: "the waivers can't be read", err: err}
	if errors.Is(err, fs.ErrNotExist) {
		f.hint = "Make a file of them with  plimsoll waiver add"
	}
	return f
}

// isRule is false for what is no rule's name: an id of an advisory, or what a scan calls
// what it found.
func isRule(name string) bool { return !finding.OfScan(name) }

// knownRules are the names of our rules and of those in dir.
func knownRules(dir string) ([]string, error) {
	set, err := loadRules(rule.LoadToJudge, rules.Packed, dir)
	if err != nil {
		return nil, err
	}
	return ruleNames(set), nil
}

func ruleNames(set *rule.Set) []string {
	names := make([]string, 0, len(set.Rules()))
	for _, r := range set.Rules() {
		names = append(names, r.Name)
	}
	return names
}

// apply marks what was accepted, and gives what is to be said of the waivers for
// the rules that were judged by.
// apply marks what the waivers accept. Those for rules that were not judged are not told of.
func applyWaivers(f *waiver.File, found []finding.Finding, judged func(rule string) bool, now time.Time) *finding.Waivers {
	outcome := f.Apply(found, now)
	at := func(list []*waiver.Waiver) []finding.WaiverAt {
		out := []finding.WaiverAt{}
		for _, w := range list {
			if judged(w.Rule) {
				out = append(out, finding.WaiverAt{Line: w.Line, Rule: w.Rule, Subject: w.Subject, Element: w.Element})
			}
		}
		return out
	}
	return &finding.Waivers{File: f.Name, Expired: at(outcome.Expired), Stale: at(outcome.Stale)}
}

// tellWaivers says on standard error which waivers did not do what was meant.
func (a *app) tellWaivers(w *finding.Waivers) {
	if w == nil {
		return
	}
	for _, one := range []struct {
		list []finding.WaiverAt
		what string
	}{{w.Expired, "over, and its finding fails again"}, {w.Stale, "stale: nothing fails that it is for"}} {
		for _, at := range one.list {
			what := at.Subject
			if at.Element != "" {
				what += ", " + at.Element + ","
			}
			a.note(fmt.Sprintf("%s line %d: the waiver of %s for %s is %s.", w.File, at.Line, at.Rule, what, one.what))
		}
	}
}
