package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// group is findings that are one entry: of one rule, or unknown for one reason.
type group struct {
	// findings are ordered by how bad their subjects are, then by name.
	findings []*finding.Finding
	places   []place
	severity finding.Severity // the gravest
}

// place is a subject with the elements of it that a group is about.
type place struct {
	subject  *finding.Subject
	elements []string
}

// fold puts findings with equal keys into groups, which are ordered by
// severity, then by how many subjects they have, then as they came.
func (p *page) fold(findings []*finding.Finding, key func(*finding.Finding) string) []group {
	var lists [][]*finding.Finding
	places := map[string]int{}
	last, at := "", -1
	for _, f := range findings {
		if k := key(f); at < 0 || k != last { // those of one key are mostly neighbours
			var known bool
			if at, known = places[k]; !known {
				at = len(lists)
				places[k] = at
				lists = append(lists, nil)
			}
			last = k
		}
		lists[at] = append(lists[at], f)
	}
	groups := make([]group, 0, len(lists))
	for _, list := range lists {
		groups = append(groups, p.newGroup(list))
	}
	slices.SortStableFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.severity.Rank(), b.severity.Rank()), cmp.Compare(len(b.places), len(a.places)))
	})
	return groups
}

func (p *page) newGroup(findings []*finding.Finding) group {
	p.worstFirst(findings)
	g := group{findings: findings, severity: findings[0].Severity}
	for _, f := range findings {
		if f.Severity.Rank() < g.severity.Rank() {
			g.severity = f.Severity
		}
		if n := len(g.places); n == 0 || !g.places[n-1].subject.Is(f.Subject) {
			g.places = append(g.places, place{subject: f.Subject})
		}
		last := &g.places[len(g.places)-1]
		if f.Element != "" && !slices.Contains(last.elements, f.Element) {
			last.elements = append(last.elements, f.Element)
		}
	}
	return g
}

// worstFirst orders findings by how bad their subjects are, then by name.
func (p *page) worstFirst(findings []*finding.Finding) {
	type ranked struct {
		worst int
		*finding.Finding
	}
	all := make([]ranked, len(findings))
	for i, f := range findings {
		all[i] = ranked{p.worst[p.subjects.number(f.Subject)], f}
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		if a.worst != b.worst {
			return cmp.Compare(a.worst, b.worst)
		}
		if a, b := name(a.Subject), name(b.Subject); a != b {
			return cmp.Compare(a, b)
		}
		return cmp.Or(cmp.Compare(a.Subject.Kind, b.Subject.Kind), cmp.Compare(a.Subject.ID, b.Subject.ID))
	})
	for i, f := range all {
		findings[i] = f.Finding
	}
}

// title is the state with the subject first where there is one. What is said of
// one finding is its own message; of several, what they have in common.
func (g group) title() string {
	f := g.findings[0]
	state := f.Title
	if len(g.findings) == 1 && f.Message != "" {
		state = f.Message
	}
	if state == "" {
		state = f.Rule
	}
	if len(g.places) > 1 {
		return upperFirst(state)
	}
	if single(f.Subject) && beginsWithEvidence(f, state) {
		return state
	}
	return about(f.Subject, state)
}

// beginsWithEvidence reports whether a state begins with a name that was found,
// which is written as it is found.
func beginsWithEvidence(f *finding.Finding, state string) bool {
	for _, v := range f.Evidence {
		if s, ok := v.(string); ok && s != "" && strings.HasPrefix(state, s) {
			return true
		}
	}
	return false
}

// names lists the subjects with their elements, where the title does not: some and how
// many more where that is wanted.
func (g group) names(short bool) string {
	if len(g.places) == 1 {
		if len(g.findings) == 1 {
			return ""
		}
		return Shorten(g.places[0].elements, ", ", short)
	}
	var names []string
	for _, one := range g.places {
		s := name(one.subject)
		switch len(one.elements) {
		case 0:
		case 1:
			s += " " + one.elements[0]
		default:
			s += " (" + Shorten(one.elements, ", ", short) + ")"
		}
		names = append(names, s)
	}
	return Shorten(names, ", ", short)
}

// rules lists the rules of a group in the order of their findings in the
// report.
func (g group) rules() []string {
	var rules []string
	seen := map[string]bool{}
	for _, f := range g.findings {
		if !seen[f.Rule] {
			seen[f.Rule] = true
			rules = append(rules, f.Rule)
		}
	}
	slices.Sort(rules)
	return rules
}

// even reports whether every subject of a group has every rule of it.
func (g group) even() bool {
	pairs := map[string]bool{}
	for _, f := range g.findings {
		pairs[fmt.Sprintf("%q %q", f.Rule, *f.Subject)] = true
	}
	return len(pairs) == len(g.places)*len(g.rules())
}

// evidence lists what was found, in the order of its names.
func evidence(f *finding.Finding) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(f.Evidence)) {
		parts = append(parts, key+" "+value(f.Evidence[key]))
	}
	return strings.Join(parts, "; ")
}

// value writes a value of the evidence: text as it is, all else as JSON.
func value(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []string:
		return strings.Join(v, ", ")
	case []any:
		parts := make([]string, 0, len(v))
		for _, one := range v {
			parts = append(parts, value(one))
		}
		return strings.Join(parts, ", ")
	}
	b, err := json.Marshal(v)
	if err != nil { // evidence comes from CEL or from JSON, which have no such value
		return fmt.Sprint(v)
	}
	return string(b)
}
