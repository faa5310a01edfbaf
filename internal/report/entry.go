package report

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// glyphs are the styles of the severities, by rank.
var glyphs = [...]term.Style{term.Critical, term.High, term.Medium, term.Low, term.Info}

// failure writes what fails, where, with -v why, and how to mend it.
func (p *page) failure(g group) {
	style := term.Plain
	if g.severity.AtLeast(finding.High) {
		style = term.Bold
	}
	p.entry(glyphs[g.severity.Rank()], style, g.title(), p.id(g.findings[0]))
	p.body(g)
	if rules := g.rules(); p.o.Verbose && len(rules) > 1 {
		p.words("By the rules "+strings.Join(rules, ", "), margin, 0)
	}
	for _, text := range g.expired() {
		p.words(text, margin, 0)
	}
	p.remedies(g)
}

// expired says which of several failures were accepted, and are no more. A single
// one says it itself.
func (g group) expired() []string {
	if len(g.findings) == 1 {
		return nil
	}
	var lines []string
	for _, f := range g.findings {
		if w := f.Waiver; w != nil {
			lines = append(lines, "The waiver of "+w.Owner+" for "+name(f.Subject)+" expired on "+w.Expires)
		}
	}
	return lines
}

// body writes the names of a group and, with -v, why it matters.
func (p *page) body(g group) {
	if names := g.names(p.short); names != "" {
		p.words(names, margin, 0)
	}
	if p.o.Verbose {
		p.paragraphs(g.findings[0].Why)
	}
}

// unknown writes what could not be judged for one reason. Several rules are one
// entry, which -v unfolds.
func (p *page) unknown(g group) {
	rules := g.rules()
	if p.o.Verbose || len(rules) == 1 {
		for _, one := range p.fold(g.findings, byRule) {
			p.entry(term.Unknown, term.Plain, one.untold(), p.id(one.findings[0]))
			p.body(one)
			p.reason(one)
		}
		return
	}
	title, names := g.unjudged(p.short)
	p.entry(term.Unknown, term.Plain, title, "")
	if names != "" {
		p.words(names, margin, 0)
	}
	p.words(p.shorten(rules, ", "), margin, 0)
	p.reason(g)
}

// unjudged is the title of what could not be judged by several rules, and its subjects
// where they are several.
func (g group) unjudged(short bool) (title, names string) {
	state := number(len(g.rules())) + " rules could not be judged"
	if !g.even() {
		state = "up to " + state
	}
	if len(g.places) == 1 {
		return about(g.findings[0].Subject, state), ""
	}
	all := make([]string, len(g.places))
	for i, one := range g.places {
		all[i] = name(one.subject)
	}
	return upperFirst(state), Shorten(all, ", ", short)
}

// untold is the title of what could not be judged by one rule.
func (g group) untold() string {
	first := g.findings[0]
	state := first.Title
	if state == "" {
		state = first.Rule
	}
	it := "it can't be told whether "
	if first.Subject.Kind == "file" {
		it += "it " // the state begins with a verb
	}
	state = it + lowerFirst(state)
	switch {
	case len(g.places) > 1:
		return upperFirst(state)
	case first.Subject.Kind == "file":
		return name(first.Subject) + ": " + state
	}
	return about(first.Subject, state)
}

// cause is what findings that could not be judged are folded by: why the facts
// that they lack were not observed, whichever facts they are.
func cause(f *finding.Finding) string {
	if len(f.Missing) == 0 {
		return f.Reason
	}
	var reasons []string
	for _, m := range f.Missing {
		reasons = append(reasons, m.Reason)
	}
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), "\x00")
}

// reason writes why a group was not judged.
func (p *page) reason(g group) {
	for _, text := range p.reasons(g) {
		p.words(text, margin, 0)
	}
}

// reasons say why a group was not judged, and which facts would have been needed.
func (p *page) reasons(g group) []string {
	paths := map[string][]string{}
	for _, f := range g.findings {
		for _, m := range f.Missing {
			path := strings.TrimPrefix(m.Path, f.Subject.Kind+".")
			if !slices.Contains(paths[m.Reason], path) {
				paths[m.Reason] = append(paths[m.Reason], path)
			}
		}
	}
	if len(paths) == 0 {
		text := sentence(g.findings[0].Reason)
		if text == "" {
			text = "No reason was recorded."
		}
		return []string{text}
	}
	var lines []string
	for _, why := range slices.Sorted(maps.Keys(paths)) {
		slices.Sort(paths[why])
		lines = append(lines, upperFirst(why)+": "+p.shorten(paths[why], ", ")+".")
	}
	return lines
}

// lookAt comes before the name of a rule that a person is to judge.
const lookAt = "What to look for: plimsoll rules show "

// manual writes what a person must look at, with what was found.
func (p *page) manual(g group) {
	p.entry(term.Manual, term.Plain, g.title(), p.id(g.findings[0]))
	p.body(g)
	if len(g.findings) == 1 {
		if found := evidence(g.findings[0]); found != "" {
			p.words("Found: "+found, margin, 0)
		}
	}
	if !p.remedies(g) {
		p.advice(lookAt + g.findings[0].Rule)
	}
}

// waived writes an accepted failure, and until when.
func (p *page) waived(g group) {
	p.entry(term.Waived, term.Plain, g.title(), p.id(g.findings[0]))
	p.body(g)
	if text := p.accepted(g); text != "" {
		p.words(text, margin, 0)
	}
}

// accepted says by whom a failure was, and until when; "" where nobody is known.
func (p *page) accepted(g group) string {
	w := g.findings[0].Waiver
	if w == nil {
		return ""
	}
	return "Waived by " + w.Owner + " until " + w.Expires + in(w.Expires, p.report.Started) + `: "` + w.Reason + `"`
}

// byWaiver puts together what one waiver accepts, or several that say the same.
func byWaiver(f *finding.Finding) string {
	if f.Waiver == nil {
		return f.Rule
	}
	return strings.Join([]string{f.Rule, f.Waiver.Owner, f.Waiver.Expires, f.Waiver.Reason}, "\x00")
}

// in says how far away a date is, under a week.
func in(date string, now time.Time) string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return ""
	}
	now = now.UTC()
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	switch days := int(day.Sub(today) / (24 * time.Hour)); {
	case days < 0 || days >= 7:
		return ""
	case days == 0:
		return " (today)"
	case days == 1:
		return " (tomorrow)"
	default:
		return " (in " + number(days) + " d)"
	}
}

// held is a rule that holds for some or all of its subjects.
type held struct {
	first     *finding.Finding
	here, all int // its subjects: those for which it holds, and all
}

// where says for which of its subjects the state that a rule looks for was not found.
func (h held) where() string {
	if h.here < h.all {
		return "Not found in " + number(h.here) + " of " + number(h.all)
	}
	return "Not found"
}

// passes writes the rules that hold. Their titles say the state that was looked
// for.
func (p *page) passes(s *section) {
	for _, h := range p.held(s) {
		p.entry(term.Pass, term.Plain, h.where()+": "+lowerFirst(h.first.Title), p.id(h.first))
	}
}

// held lists the rules of a section that hold.
func (p *page) held(s *section) []held {
	var all []held
	judged := map[string]map[finding.Subject]bool{} // false: something else than a pass
	for status, findings := range s.byStatus {
		for _, f := range findings {
			if judged[f.Rule] == nil {
				judged[f.Rule] = map[finding.Subject]bool{}
			}
			before, known := judged[f.Rule][*f.Subject]
			judged[f.Rule][*f.Subject] = finding.Status(status) == finding.Pass && (before || !known)
		}
	}
	for _, g := range p.fold(s.byStatus[finding.Pass], byRule) {
		f := g.findings[0]
		h := held{first: f, all: len(judged[f.Rule])}
		for _, passes := range judged[f.Rule] {
			if passes {
				h.here++
			}
		}
		if h.here > 0 {
			all = append(all, h)
		}
	}
	return all
}
