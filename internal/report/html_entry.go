package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// mostRows is how many rows of one entry stand on a page: beyond, it is no longer read, and
// browsers become slow.
const mostRows = 500

// marks are the icons and words of the styles that have a glyph, in the order in which a
// page can hide them.
var marks = [...]struct{ icon, label string }{
	term.Critical: {"critical", "Critical"}, term.High: {"high", "High"}, term.Medium: {"medium", "Medium"}, term.Low: {"low", "Low"}, term.Info: {"info", "Info"},
	term.Pass: {"pass", "Pass"}, term.Waived: {"waived", "Waived"}, term.Unknown: {"unknown", "Unknown"}, term.Manual: {"manual", "Needs a person"}, term.NotApplicable: {"na", "Not applicable"},
}

// webGroup is a group as an entry; lines that are "" are left out.
func (p *page) webGroup(g group, glyph term.Style, title string, lines ...string) *webEntry {
	lines = slices.DeleteFunc(lines, func(s string) bool { return s == "" })
	return p.webEntry(&Entry{Glyph: glyph, Title: title, Lines: lines, Findings: g.findings})
}

// webEntry is an entry with all that its findings tell.
func (p *page) webEntry(e *Entry) *webEntry {
	mark := marks[e.Glyph]
	out := &webEntry{Icon: mark.icon, Label: mark.label, Class: mark.icon, Title: e.Title, End: e.Right, Lines: slices.Clone(e.Lines)}
	why := e.Why
	if len(e.Findings) == 0 { // advice: it is no finding, and cannot be hidden as one
		out.Class = ""
		if e.Glyph == term.Manual {
			out.Icon, out.Label = "wrench", "Could go"
		}
	} else if why == "" {
		why = e.Findings[0].Why
	}
	for paragraph := range strings.SplitSeq(why, "\n\n") {
		if paragraph = strings.Join(strings.Fields(paragraph), " "); paragraph != "" {
			out.Why = append(out.Why, paragraph)
		}
	}
	if e.Command != "" {
		out.Mend = []webMend{{Code: e.Command, Form: "To do"}}
	} else {
		out.Mend = webMends(p.mends(e.Findings))
	}
	grid := e.Grid
	if grid == nil {
		grid = observed(e.Findings)
	}
	if rows := grid.Rows; len(rows) > 0 {
		out.Head = slices.Clone(grid.Head)
		if len(rows) > mostRows {
			out.More = "and " + number(len(rows)-mostRows) + " more, which --format json lists"
			rows = rows[:mostRows]
		}
		for _, row := range rows {
			out.Rows = append(out.Rows, slices.Clone(row))
		}
	}
	if e.Grid == nil {
		out.Refs = p.refs(e.Findings)
	}
	return out
}

// webUnknown is what could not be judged for one reason, with each rule of several.
func (p *page) webUnknown(g group) *webEntry {
	if len(g.rules()) == 1 {
		return p.webGroup(g, term.Unknown, g.untold(), append([]string{g.names(true)}, p.reasons(g)...)...)
	}
	grid := &Grid{Head: []string{"What", "Known as"}}
	of := slices.ContainsFunc(g.findings, func(f *finding.Finding) bool { return !f.Subject.Is(g.findings[0].Subject) || f.Element != "" })
	if of {
		grid.Head = append(grid.Head, "Of")
	}
	for _, one := range p.fold(g.findings, byRule) {
		row := []string{one.untold(), p.refs(one.findings)}
		if of {
			row = append(row, one.names(false))
		}
		grid.Rows = append(grid.Rows, row)
	}
	title, names := g.unjudged(true)
	lines := slices.DeleteFunc(append([]string{names}, p.reasons(g)...), func(s string) bool { return s == "" })
	e := p.webEntry(&Entry{Glyph: term.Unknown, Title: title, Lines: lines, Findings: g.findings, Grid: grid})
	e.Why, e.Mend = nil, nil // of the first rule alone
	return e
}

// webMends are remedies as sentences, and lines to copy, those that follow each other in one
// piece.
func webMends(all [][]step) []webMend {
	var out []webMend
	for n, lines := range all {
		if n == mostRows {
			break
		}
		for i, l := range lines {
			if !l.command {
				text := l.text
				if i == 0 {
					text = upperFirst(text)
				}
				out = append(out, webMend{Text: text})
				continue
			}
			if last := len(out) - 1; last >= 0 && out[last].Form == l.form {
				out[last].Code += "\n" + l.text
			} else {
				out = append(out, webMend{Code: l.text, Form: l.form})
			}
		}
	}
	return out
}

// observed is what findings saw, a row each. It has no rows where the title says all.
func observed(findings []*finding.Finding) *Grid {
	g := &Grid{}
	elements, seen := false, false
	for _, f := range findings {
		elements = elements || f.Element != ""
		seen = seen || len(f.Evidence) > 0 || f.Position != nil
	}
	if len(findings) < 2 && !elements && !seen {
		return g
	}
	g.Head = []string{"Subject"}
	if elements {
		g.Head = append(g.Head, "Of it")
	}
	if seen {
		g.Head = append(g.Head, "Observed")
	}
	for _, f := range findings {
		row := []string{name(f.Subject)}
		if elements {
			row = append(row, f.Element)
		}
		if seen {
			text := evidence(f)
			if at := f.Position; at != nil {
				text = strings.TrimSuffix(fmt.Sprintf("%s, line %d; %s", at.File, at.Line, text), "; ")
			}
			row = append(row, text)
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// refs says by what findings are known elsewhere: the ids of benchmarks, the newest first,
// and their rules.
func (p *page) refs(findings []*finding.Finding) string {
	if len(findings) == 0 {
		return ""
	}
	var parts []string
	refs := findings[0].Refs
	for _, benchmark := range slices.SortedFunc(maps.Keys(refs), finding.CompareBenchmarks) {
		if ids := refs[benchmark]; len(ids) > 0 {
			parts = append(parts, benchmarkName(benchmark)+" "+strings.Join(ids, ", "))
		}
	}
	rules := group{findings: findings}.rules()
	word := "rule "
	if len(rules) > 1 {
		word = "rules "
	}
	return strings.Join(append(parts, word+Shorten(rules, ", ", len(rules) > 10)), " · ")
}

// loadLine is a drawing of the score on its load line.
type loadLine struct {
	// Class shows it on wide or on narrow screens, ID tells its pattern from the other's.
	Class, ID string
	// Width is of the drawing, Bar of the scale in it, which begins at 8, and End where it ends.
	Width, Bar, End int
	// At is where the mark is, Reached how far the score goes, and Lacking what it lacks of
	// the mark, from LackFrom on.
	At, Reached, Lacking, LackFrom float64
	// RingFrom and RingTo are the ends of the line through the mark's ring, and BowlFrom where
	// the full half of it begins.
	RingFrom, RingTo, BowlFrom float64
	// Score and Mark are the numbers, and ScoreAt and MarkAt where they stand; Zero and
	// Hundred whether the ends of the scale have room for theirs.
	Score, Mark     int
	ScoreAt, MarkAt float64
	Zero, Hundred   bool
}

// Below reports whether the score lies below the mark.
func (l loadLine) Below() bool { return l.Score < l.Mark }

// loadLines draws the score twice: wide, and for telephones, so that its text stays legible.
func loadLines(score, mark int) []loadLine {
	score, mark = min(max(score, 0), 100), min(max(mark, 0), 100)
	var all []loadLine
	for _, d := range []struct {
		class, id string
		width     int
	}{{"only-l", "g1", 1130}, {"only-s", "g2", 330}} {
		l := loadLine{Class: d.class, ID: d.id, Width: d.width, Bar: d.width - 16, End: d.width - 8, Score: score, Mark: mark}
		point := func(n int) float64 { return float64(n*l.Bar) / 100 }
		l.At, l.Reached, l.LackFrom = 8+point(mark), point(score), 8+point(score)
		l.RingFrom, l.RingTo, l.BowlFrom = l.At-16, l.At+16, l.At-9
		l.Lacking = max(point(mark)-l.Reached, 0)
		within := func(x, half float64) float64 { return min(max(x, half), float64(d.width)-half) }
		l.ScoreAt, l.MarkAt = within(8+l.Reached, 10), within(l.At, 28)
		l.Zero, l.Hundred = l.ScoreAt > 30, l.ScoreAt < float64(d.width)-45
		all = append(all, l)
	}
	return all
}
