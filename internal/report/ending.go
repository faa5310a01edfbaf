package report

import (
	"regexp"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// Cells of the load line, and from which width on it is the long one.
const (
	barLong   = 51 // two points a cell
	barShort  = 26 // four points
	barLongAt = 80
)

// endingColumn is where the text below the load line begins: under the line.
const endingColumn = 5

// scored reports whether the report has a load line: a mark, and something that
// was judged.
func (p *page) scored() bool { return p.report.Summary.Mark > 0 && len(p.report.Findings) > 0 }

// ending writes the score on its load line, what the report came to, and, when
// groups that fail are given, what to do first about them.
func (p *page) ending(groups []group) {
	p.blank()
	if !p.scored() {
		p.sum(p.summary(), 1, 2)
		return
	}
	s := p.report.Summary
	cells := barLong
	if p.out.Width() < barLongAt {
		cells = barShort
	}
	score := number(s.Score)
	p.line(strings.Repeat(" ", max(3-len(score), 0)) + score + "  " + p.out.LoadLine(s.Score, s.Mark, cells) + "  " + p.out.Paint(term.Faint, "mark "+number(s.Mark)))
	state := "At the mark."
	switch d := s.Score - s.Mark; {
	case d > 0:
		state = number(d) + " above the mark."
	case d < 0:
		state = number(-d) + " below the mark."
	}
	p.sum(state+" "+p.summary(), endingColumn, len(strings.Fields(state)))
	if len(groups) == 0 {
		return
	}
	gain := ""
	if n := groups[0].findings[0].Gain; n > 0 {
		gain = " (+" + number(int(n)) + ")"
	}
	for _, part := range p.fill("First: "+p.oneLine(groups[0], true)+gain, endingColumn) {
		p.line(strings.Repeat(" ", endingColumn) + part)
	}
}

// numbers is a number with the space after it.
var numbers = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b([0-9][0-9,]*) `) })

// sum writes sentences of our own that count, its first words bold. A number
// stays with what it counts.
func (p *page) sum(text string, column, bold int) {
	for _, part := range p.fill(numbers().ReplaceAllString(text, "$1\u00a0"), column) {
		p.line(strings.Repeat(" ", column) + p.boldWords(part, &bold))
	}
}

// summary counts the findings in two sentences.
func (p *page) summary() string {
	s := p.report.Summary
	if len(p.report.Findings) == 0 {
		return "Nothing was judged."
	}
	word := "failing"
	known := 0
	if b := p.report.Baseline; b != nil {
		word, known = "new failing", b.Known
	}
	failing := "None " + word + "."
	if s.Fail > known {
		var parts []string
		for rank, n := range newFailures(&p.report) {
			if n > 0 {
				parts = append(parts, number(n)+" "+string(finding.Severities[rank]))
			}
		}
		failing = number(s.Fail-known) + " " + word + ": " + strings.Join(parts, ", ") + "."
	}
	var rest []string
	if known > 0 {
		rest = append(rest, number(known)+" known")
	}
	rest = append(rest, others(func(status finding.Status) int {
		return map[finding.Status]int{finding.Waived: s.Waived, finding.Pass: s.Pass, finding.Unknown: s.Unknown, finding.Manual: s.Manual}[status]
	})...)
	if len(rest) == 0 {
		return failing
	}
	return failing + " " + strings.Join(rest, ", ") + "."
}

// ExitSentence explains exit code 1 for standard error: that something fails at
// failOn or above, which a baseline did not know. It is "" when nothing does, and
// for a failOn that is no severity, such as "never".
func ExitSentence(r finding.Report, failOn finding.Severity) string {
	which := "A finding"
	if r.Baseline != nil {
		which = "A new finding"
	}
	failing := newFailures(&r)
	for rank, severity := range finding.Severities {
		if failing[rank] > 0 && severity.AtLeast(failOn) {
			return which + " is " + string(severity) + ", and --fail-on is " + string(failOn) + ": exit 1."
		}
	}
	return ""
}

// newFailures counts by severity what fails and was not known.
func newFailures(r *finding.Report) (count [5]int) {
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Status == finding.Fail && !f.Known {
			count[f.Severity.Rank()]++
		}
	}
	return count
}
