package fix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// files are the owners and modes of files. Both are taken as they are found, so that
// no permission is given that there was not.
func (w *writer) files() group {
	g := group{heading: "Files: the engine need not be restarted"}
	for _, f := range w.failures {
		if f.Fix == nil || f.Fix.Owner == "" && f.Fix.Mode == "" {
			continue
		}
		path := f.Subject.Name
		if !strings.HasPrefix(path, "/") {
			continue
		}
		w.mended[f] = true
		if o := f.Fix.Owner; o != "" {
			g.steps = append(g.steps, step{root: true, about: fmt.Sprintf("%s: chown %s (%s)", name(f.Subject), o, f.Rule),
				done: "is_owned " + quote(path, o), do: "set_owner " + quote(path, o), undo: "put_permissions " + quote(path)})
		}
		if m := f.Fix.Mode; m != "" {
			g.steps = append(g.steps, step{root: true, about: fmt.Sprintf("%s: no permissions beyond %s (%s)", name(f.Subject), m, f.Rule),
				done: "is_within " + quote(path, m), do: "set_mode " + quote(path, m), undo: "put_permissions " + quote(path)})
		}
	}
	return g
}

// audit are rules of the kernel's audit system, all in one file.
func (w *writer) audit() group {
	g := group{heading: "Audit rules: the engine need not be restarted"}
	var lines []string
	for _, f := range w.failures {
		if f.Fix == nil || f.Fix.Audit == "" {
			continue
		}
		// Its files have no quotes: a line is words between spaces (audit.rules(7)).
		if line := f.Fix.Audit; strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(strings.Fields(line))%2 != 0 {
			g.notes = append(g.notes, fmt.Sprintf("%s: no audit rule can have the path %s", f.Rule, cmp.Or(f.Element, f.Subject.Name)))
			continue
		}
		w.mended[f] = true
		if !slices.Contains(lines, f.Fix.Audit) {
			lines = append(lines, f.Fix.Audit)
		}
	}
	if len(lines) > 0 {
		slices.Sort(lines)
		words := quote(lines...)
		g.steps = append(g.steps, step{root: true, about: "the kernel writes down: " + strings.Join(lines, "; "),
			done: "is_audited " + words, do: "set_audit " + words, undo: "put_audit " + words})
	}
	return g
}

// recreated says what takes a new container.
func (w *writer) recreated() group {
	g := group{heading: "Containers to run anew: this script does not touch them"}
	byName := map[string][]*finding.Finding{}
	var names []string
	for _, f := range w.failures {
		if f.Subject.Kind != "container" || w.mended[f] || f.Remedy == nil || f.Remedy.Run == "" {
			continue
		}
		if byName[f.Subject.Name] == nil {
			names = append(names, f.Subject.Name)
		}
		byName[f.Subject.Name] = append(byName[f.Subject.Name], f)
	}
	slices.Sort(names)
	for _, n := range names {
		g.notes = append(g.notes, name(&finding.Subject{Name: n})+": remove it, and run it again with its docker run line changed:")
		for _, f := range byName[n] {
			g.notes = append(g.notes, fmt.Sprintf("  %-32s %s", f.Rule, oneLine(f.Remedy.Run)))
		}
	}
	return g
}

// left says what else fails, a line a rule.
func (w *writer) left() group {
	g := group{heading: "Left to a person"}
	seen := map[string]int{}
	var order []*finding.Finding
	for _, f := range w.failures {
		if w.mended[f] || f.Subject.Kind == "container" && f.Remedy != nil && f.Remedy.Run != "" {
			continue
		}
		if seen[f.Rule] == 0 {
			order = append(order, f)
		}
		seen[f.Rule]++
	}
	for _, f := range order {
		about := f.Subject.Name
		if n := seen[f.Rule]; n > 1 {
			about += fmt.Sprintf(" and %d more", n-1)
		}
		remedy := ""
		if r := f.Remedy; r != nil {
			remedy = cmp.Or(r.Shell, r.Daemon, r.Update, r.Run, r.Dockerfile, r.Compose)
		}
		g.notes = append(g.notes, fmt.Sprintf("%s (%s): %s", f.Rule, oneLine(about), oneLine(remedy)))
	}
	return g
}

// oneLine has a text that may have several lines in one.
func oneLine(text string) string { return strings.Join(strings.Split(text, "\n"), "; ") }
