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
	p.expired(g)
	p.remedies(g)
}

// expired says which of several failures were accepted, and are no more. A single
// one says it itself.
func (p *page) expired(g group) {
	if len(g.findings) == 1 {
		return
	}
	for _, f := range g.findings {
		if w := f.Waiver; w != nil {
			p.words("The waiver of "+w.Owner+" for "+name(f.Subject)+" expired on "+w.Expires, margin, 0)
		}
	}
}

// body writes the names of a group and, with -v, why it matters.
func (p *page) body(g group) {
	if names := p.names(g); names != "" {
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
			first := one.findings[0]
			state := first.Title
			if state == "" {
				state = first.Rule
			}
			it := "it can't be told whether "
			if first.Subject.Kind == "file" {
				it += "it " // the state begins with a verb
			}
			state = it + lowerFirst(state)
			if len(one.places) > 1 {
				p.entry(term.Unknown, term.Plain, upperFirst(state), p.id(first))
			} else if first.Subject.Kind == "file" {
				p.entry(term.Unknown, term.Plain, name(first.Subject)+": "+state, p.id(first))
			} else {
				p.entry(term.Unknown, term.Plain, about(first.Subject, state), p.id(first))
			}
			p.body(one)
			p.reason(one)
		}
		return
	}
	state := number(len(rules)) + " rules could not be judged"
	if !g.even() {
		state = "up to " + state
	}
	if len(g.places) == 1 {
		p.entry(term.Unknown, term.Plain, about(g.findings[0].Subject, state), "")
	} else {
		p.entry(term.Unknown, term.Plain, upperFirst(state), "")
		names := make([]string, len(g.places))
		for i, one := range g.places {
			names[i] = name(one.subject)
		}
		p.words(p.shorten(names, ", "), margin, 0)
	}
	p.words(p.shorten(rules, ", "), margin, 0)
	p.reason(g)
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

// reason says why a group was not judged, and which facts would have been
// needed.
func (p *page) reason(g group) {
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
		p.words(text, margin, 0)
		return
	}
	for _, why := range slices.Sorted(maps.Keys(paths)) {
		slices.Sort(paths[why])
		p.words(upperFirst(why)+": "+p.shorten(paths[why], ", ")+".", margin, 0)
	}
}

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
		p.advice("What to look for: plimsoll rules show " + g.findings[0].Rule)
	}
}

// waived writes an accepted failure, and until when.
func (p *page) waived(g group) {
	p.entry(term.Waived, term.Plain, g.title(), p.id(g.findings[0]))
	p.body(g)
	if w := g.findings[0].Waiver; w != nil {
		p.words("Waived by "+w.Owner+" until "+w.Expires+in(w.Expires, p.report.Started)+`: "`+w.Reason+`"`, margin, 0)
	}
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

// passes writes the rules that hold. Their titles say the state that was looked
// for.
func (p *page) passes(s *section) {
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
		held := 0
		for _, passes := range judged[f.Rule] {
			if passes {
				held++
			}
		}
		if held == 0 {
			continue
		}
		where := "Not found"
		if all := len(judged[f.Rule]); held < all {
			where += " in " + number(held) + " of " + number(all)
		}
		p.entry(term.Pass, term.Plain, where+": "+lowerFirst(f.Title), p.id(f))
	}
}
