package fix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// files are the owners and modes of files. Both are taken as they are found, so that
// no permission is given that there was not.
func (w *writer) files() group {
	g := group{heading: "Files: the engine need not be restarted"}
	for _, f := range w.failures {
		if f.Fix == nil || f.Fix.Owner == "" && f.Fix.Mode == "" || !strings.HasPrefix(f.Subject.Name, "/") {
			continue
		}
		file := w.file(f.Subject.Name)
		if note := notChanged(file); note != "" {
			g.notes = append(g.notes, fmt.Sprintf("%s (%s): it is left as it is: %s", name(f.Subject), f.Rule, note))
			continue
		}
		w.mended[f] = true
		where := name(f.Subject)
		if file.Resolved != f.Subject.Name {
			where += ", which is " + file.Resolved
		}
		if o := f.Fix.Owner; o != "" {
			g.steps = append(g.steps, fileStep(file, fmt.Sprintf("%s: chown %s (%s)", where, o, f.Rule), "is_owned", "set_owner", o))
		}
		if m := f.Fix.Mode; m != "" {
			g.steps = append(g.steps, fileStep(file, fmt.Sprintf("%s: no permissions beyond %s (%s)", where, m, f.Rule), "is_within", "set_mode", m))
		}
	}
	return g
}

func fileStep(f *facts.File, about, done, do, to string) step {
	file := quote(f.Resolved, f.Kind)
	return step{root: true, about: about, done: done + " " + file + " " + quote(to), do: do + " " + file + " " + quote(to), undo: "put_permissions " + file}
}

// file is what is known of a file by the name that it has for a person, or nil.
func (w *writer) file(name string) *facts.File {
	i := slices.IndexFunc(w.Facts.Files, func(f facts.File) bool { return f.Name() == name })
	if i < 0 {
		return nil
	}
	return &w.Facts.Files[i]
}

// notChanged is why a script that root runs keeps away from a file, or nothing: where
// others can put another file in its place, it would be that one which is changed.
func notChanged(f *facts.File) string {
	if f == nil {
		return "where it is was not seen"
	}
	for _, u := range f.Unseen {
		if what, _, _ := strings.Cut(u.Path, workload.Open); what == "" || what == "folders" || what == "resolved" || what == "kind" {
			return u.Reason
		}
	}
	if len(f.Folders) > 0 {
		return fmt.Sprintf("%s can put another in its place, by the folder %s; see to that first", strings.Join(f.Folders[0].By, ", "), f.Folders[0].Path)
	}
	if !strings.HasPrefix(f.Resolved, "/") || f.Kind == "" {
		return "where it is was not seen"
	}
	// Facts are text: a byte that is none has become U+FFFD, and the name is lost.
	if strings.ContainsRune(f.Resolved, utf8.RuneError) {
		return "its name is not UTF-8"
	}
	return ""
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
		if rule := w.neverAudited(f); rule != "" {
			g.notes = append(g.notes, fmt.Sprintf("%s: the kernel does not get to a new rule, for %s stands before it; take that out first", f.Rule, rule))
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

// neverAudited is the rule that keeps the kernel from recording what is done to a file,
// for of two rules the first decides (auditctl(8)); or nothing.
func (w *writer) neverAudited(f *finding.Finding) string {
	for _, part := range w.Facts.Host.Audited.Parts() {
		if part.Path != f.Element {
			continue
		}
		for _, rule := range part.Rules {
			if strings.Contains(rule, ",never") || strings.Contains(rule, "never,") {
				return rule
			}
		}
	}
	return ""
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
