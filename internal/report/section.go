package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// sectionOrder ranks sections that are equally bad.
var sectionOrder = []string{"files", "containers", "daemon", "host", "images", "networks", "volumes", "swarm"}

// section is a part of the report.
type section struct {
	name  string
	count [finding.Statuses]int
	// byStatus are the findings that are written.
	byStatus [finding.Statuses][]*finding.Finding
	// failing counts failures by severity, gravest first; known are those that a
	// baseline has too, which are neither counted there nor written without -v.
	failing [5]int
	known   int
	// has says of each subject, by number, whether the section has something of
	// it, and whether that fails.
	has []presence
}

// presence is what a section has of a subject.
type presence uint8

const (
	hasNothing presence = iota
	hasSome
	hasFailure
)

// split sorts the findings into sections, worst first: by how many failures of
// each severity they have, then what could not be judged, then what a person
// must look at, then by sectionOrder.
func (p *page) split() []*section {
	byName := map[string]*section{}
	var all []*section
	var s *section
	for i := range p.report.Findings {
		f := &p.report.Findings[i]
		if s == nil || s.name != f.Section {
			s = byName[f.Section]
		}
		if s == nil {
			s = &section{name: f.Section, has: make([]presence, len(p.subjects.list))}
			byName[f.Section] = s
			all = append(all, s)
		}
		s.count[f.Status]++
		if f.Status != finding.NotApplicable && (p.o.Verbose || f.Status != finding.Pass) {
			s.byStatus[f.Status] = append(s.byStatus[f.Status], f)
		}
		has := &s.has[p.numbers[i]]
		*has = max(*has, hasSome)
		switch {
		case f.Status != finding.Fail:
		case f.Known:
			s.known++
		default:
			*has = hasFailure
			s.failing[f.Severity.Rank()]++
		}
	}
	rank := func(s *section) int {
		if i := slices.Index(sectionOrder, strings.ToLower(s.name)); i >= 0 {
			return i
		}
		return len(sectionOrder)
	}
	slices.SortFunc(all, func(a, b *section) int {
		return cmp.Or(
			slices.Compare(b.failing[:], a.failing[:]),
			cmp.Compare(min(b.n(finding.Unknown), 1), min(a.n(finding.Unknown), 1)),
			cmp.Compare(min(b.n(finding.Manual), 1), min(a.n(finding.Manual), 1)),
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(a.name, b.name),
		)
	})
	return all
}

func (s *section) n(status finding.Status) int { return s.count[status] }

// shown reports whether a section has something to say.
func (s *section) shown(verbose bool) bool {
	return s.n(finding.Fail)-s.known+s.n(finding.Unknown)+s.n(finding.Manual) > 0 ||
		verbose && s.n(finding.Pass)+s.n(finding.Waived)+s.known > 0
}

// counts says what a section came to. How many subjects fail is said where it
// is not plain from the number of failures.
func (s *section) counts() string {
	var parts []string
	if n := s.n(finding.Fail) - s.known; n > 0 {
		text := number(n) + " failing"
		failing, all := 0, 0
		for _, has := range s.has {
			if has != hasNothing {
				all++
			}
			if has == hasFailure {
				failing++
			}
		}
		if n > 1 && all > 1 {
			text += " in " + number(failing) + " of " + number(all)
		}
		parts = append(parts, text)
	}
	if s.known > 0 {
		parts = append(parts, number(s.known)+" known")
	}
	return strings.Join(append(parts, others(s.n)...), ", ")
}

// others counts what does not fail.
func others(n func(finding.Status) int) []string {
	var parts []string
	add := func(status finding.Status, one, many string) {
		if k := n(status); k == 1 {
			parts = append(parts, "1 "+one)
		} else if k > 1 {
			parts = append(parts, number(k)+" "+many)
		}
	}
	add(finding.Waived, "waived", "waived")
	add(finding.Pass, "pass", "pass")
	add(finding.Unknown, "unknown", "unknown")
	add(finding.Manual, "needs a person", "need a person")
	add(finding.NotApplicable, "not applicable", "not applicable")
	return parts
}

// sections writes the sections that have something to say, and the others in
// one line.
func (p *page) sections() {
	var rest section
	var names []string
	for _, s := range p.split() {
		if s.shown(p.o.Verbose) {
			p.blank()
			p.head(upperFirst(s.name), s.counts())
			p.section(s)
			continue
		}
		names = append(names, lowerFirst(s.name))
		for i, n := range s.count {
			rest.count[i] += n
		}
		rest.known += s.known
	}
	if len(names) > 0 {
		p.blank()
		p.head(upperFirst(strings.Join(names, ", ")), rest.counts())
	}
}

// head writes the name of a section and its counts flush right, or below where
// they have no room.
func (p *page) head(name, counts string) {
	name = p.out.Escape(name)
	if !p.out.Terminal() || term.Width(counts) <= p.out.Width()-margin {
		p.flush("", 0, term.Bold, name, counts)
		return
	}
	p.flush("", 0, term.Bold, name, "")
	for _, part := range p.fill(counts, margin) {
		p.line(strings.Repeat(" ", margin) + p.out.Paint(term.Faint, part))
	}
}

func byRule(f *finding.Finding) string { return f.Rule }

// byTitle puts together what different rules say of different things in the same
// words: what is to be done about them is the same.
func byTitle(f *finding.Finding) string {
	if f.Title == "" {
		return f.Rule
	}
	return f.Section + "\x00" + f.Title
}

// section writes the entries of a section.
func (p *page) section(s *section) {
	for _, g := range p.failures {
		if g.findings[0].Section == s.name {
			p.failure(g)
		}
	}
	if p.o.Verbose {
		p.known(s)
	}
	for _, g := range p.fold(s.byStatus[finding.Unknown], cause) {
		p.unknown(g)
	}
	for _, g := range p.fold(s.byStatus[finding.Manual], byRule) {
		p.manual(g)
	}
	for _, g := range p.fold(s.byStatus[finding.Waived], byWaiver) {
		p.waived(g)
	}
	if p.o.Verbose {
		p.passes(s)
	}
}
