package rule

import (
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
)

var (
	aboutRoles = lazy(`^file\.role (?:== ('[^']*')|in \[([^\]]*)\])(?: &&|$)`)
	quoted     = lazy(`'([^']*)'`)
)

// roles are those of the files that the rule is about, by the way its condition
// begins; nil is any.
func (r *Rule) roles() []string {
	m := aboutRoles().FindStringSubmatch(r.When.Text)
	if m == nil || r.Subject != "file" || strings.Contains(r.When.Text, "||") {
		return nil
	}
	roles := []string{}
	for _, one := range quoted().FindAllStringSubmatch(m[1]+m[2], -1) {
		roles = append(roles, one[1])
	}
	return roles
}

// Concerned leaves out, of findings in the order of Judge, those that say of a rule
// about files of one role that it does not apply to a file of another: they are
// most, and tell nothing. What of a rule would be nothing then, stays.
func (s *Set) Concerned(found []finding.Finding) []finding.Finding {
	roles := make(map[string][]string, len(s.rules))
	for _, r := range s.rules {
		roles[r.Name] = r.roles()
	}
	out := found[:0]
	for len(found) > 0 {
		rule := found[0].About
		n := 1
		for n < len(found) && found[n].About == rule {
			n++
		}
		own := roles[rule.Rule]
		beside := func(f finding.Finding) bool {
			return own != nil && f.Status == finding.NotApplicable && f.Subject.ID != "" && !slices.Contains(own, f.Subject.ID)
		}
		group := found[:n]
		found = found[n:]
		if some := slices.ContainsFunc(group, func(f finding.Finding) bool { return !beside(f) }); !some {
			out = append(out, group...)
			continue
		}
		for i := range group {
			if !beside(group[i]) {
				out = append(out, group[i])
			}
		}
	}
	return out
}
