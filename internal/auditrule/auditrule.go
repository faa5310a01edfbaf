// Package auditrule reads what the kernel's audit is told to record: [Parse] the
// files that auditctl loads, [Merge] those of /etc/audit/rules.d in the order of
// augenrules, and [Kernel] the rules that the kernel has. Each gives a [Set], which
// tells by [Set.Recorded] what is recorded of a path.
//
// It changes no rule. What it reads of one is about files; whatever else a rule
// demands is kept as text, and such a rule is not taken for one that records
// everything. The standards are audit.rules(7), auditctl(8), augenrules(8) and
// include/uapi/linux/audit.h.
package auditrule

import (
	"path"
	"slices"
	"strings"
)

// Every is all permissions, in the order in which they are written: read, write,
// execute, and change of attributes.
const Every = "rwxa"

// Rule is one rule of the kernel.
type Rule struct {
	// List is where it is looked at: exit, task, user, exclude, filesystem.
	List string
	// Never is a rule that keeps from recording.
	Never bool
	// Path is the file that it is about, "" for any. With Tree, what is below is meant
	// too; with Either, as in a file, it is so where Path is a folder.
	Path         string
	Tree, Either bool
	// Permissions are what is recorded, of Every.
	Permissions string
	// Conditions are what else it demands, as written.
	Conditions []string
	// Text is the rule as a line of a file.
	Text string
}

// Set is all rules, in the order in which the kernel asks them.
type Set struct {
	Rules []Rule
	// Enabled is 0 for off, 1 for on, 2 for locked, and -1 where nothing sets it.
	Enabled int
}

// Resolve gives each rule the path that it has here: of a file, links on the way to
// it are followed, but not the last; of a folder, all.
func (s *Set) Resolve(file, folder func(string) string) {
	for i := range s.Rules {
		switch r := &s.Rules[i]; {
		case r.Path == "":
		case r.Tree:
			r.Path = folder(r.Path)
		default:
			r.Path = file(r.Path)
		}
	}
}

// about reports whether the rule is about all of what is at p: of a folder, what is
// below it as well.
func (r *Rule) about(p string, folder bool) bool {
	switch {
	case r.Path == "":
		return true
	case r.Path == p:
		return !folder || r.Tree || r.Either
	}
	above := strings.TrimSuffix(r.Path, "/") + "/"
	return (r.Tree || r.Either) && strings.HasPrefix(p, above)
}

// Recorded is what of Every is recorded of a path, and the rules that are about it.
// Of several rules the first that applies decides, as in the kernel.
func (s *Set) Recorded(p string, folder bool) (permissions string, by []string) {
	p, by = path.Clean(p), []string{}
	open := Every
	for i := range s.Rules {
		r := &s.Rules[i]
		switch {
		case r.List == "task" && r.Never && len(r.Conditions) == 0:
			// No task has a record that anything could be written into.
			return "", []string{r.Text}
		case r.List != "exit" || !r.about(p, folder) || r.Path == "" && !r.Never:
			continue
		}
		if len(r.Conditions) > 0 {
			if !r.Never && r.Path != "" {
				by = append(by, r.Text)
			}
			continue
		}
		for _, permission := range r.Permissions {
			if !strings.ContainsRune(open, permission) {
				continue
			}
			open = strings.ReplaceAll(open, string(permission), "")
			if !r.Never {
				permissions += string(permission)
			}
		}
		by = append(by, r.Text)
	}
	return inOrder(permissions), by
}

// inOrder writes permissions as Every has them.
func inOrder(permissions string) string {
	out := ""
	for _, one := range Every {
		if strings.ContainsRune(permissions, one) {
			out += string(one)
		}
	}
	return out
}

// Lacks are the rules about files that another set has and this one does not, as
// lines. Both have been resolved.
func (s *Set) Lacks(other *Set) []string {
	lacking := []string{}
	for _, o := range other.Rules {
		if o.Path == "" || o.List != "exit" || slices.ContainsFunc(s.Rules, func(r Rule) bool { return r.covers(&o) }) {
			continue
		}
		lacking = append(lacking, o.Text)
	}
	return lacking
}

// covers reports whether r does what o does.
func (r *Rule) covers(o *Rule) bool {
	return r.List == o.List && r.Never == o.Never && r.Path == o.Path && len(r.Conditions) == len(o.Conditions) && inOrder(r.Permissions) == inOrder(o.Permissions)
}
