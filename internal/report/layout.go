package report

import (
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// margin is where text begins, in cells, and how far from the right edge a
// wrapped line ends.
const margin = 4

// page is a table on its way. Every text of the report is escaped just before
// it is measured: here, or by who calls fill or flush. What comes before works
// on the words as they are.
type page struct {
	out    *term.Printer
	report finding.Report
	o      Options
	text   strings.Builder
	// short has long lists of names cut to some and how many more.
	short bool
	// subjects are those of the findings, numbers theirs by finding, and worst the
	// rank of the gravest failure of each by its number.
	subjects roster
	numbers  []int32
	worst    []int
	// worstByName is the same by name, for what knows no more.
	worstByName map[string]int
	// failures are folded by what they say.
	failures []group
}

// harmless ranks a subject that nothing fails for.
var harmless = len(finding.Severities)

func newPage(out *term.Printer, r finding.Report, o Options) *page {
	p := &page{out: out, report: r, o: o, short: out.Terminal() && !o.Verbose, numbers: make([]int32, len(r.Findings)), worstByName: map[string]int{}}
	var failures []*finding.Finding
	for i := range r.Findings {
		f := &r.Findings[i]
		n := p.subjects.number(f.Subject)
		p.numbers[i] = int32(n)
		if n == len(p.worst) {
			p.worst = append(p.worst, harmless)
		}
		if f.Status == finding.Fail {
			p.worst[n] = min(f.Severity.Rank(), p.worst[n])
			if !f.Known {
				failures = append(failures, f)
			}
		}
	}
	for s, n := range p.subjects.numbers {
		p.worstByName[s.Name] = min(p.worst[n], p.worstNamed(s.Name))
	}
	p.failures = p.fold(failures, byTitle)
	return p
}

// roster numbers subjects from 0, as they are met. Findings come by rule, and
// under each rule in one order of subjects: after one mostly comes the next, so
// that most are told without looking at their names.
type roster struct {
	numbers map[finding.Subject]int
	list    []*finding.Subject
	last    int
}

func (r *roster) number(s *finding.Subject) int {
	for _, n := range [...]int{r.last + 1, r.last, 0} {
		if n < len(r.list) && r.list[n] == s {
			r.last = n
			return n
		}
	}
	n, ok := r.numbers[*s]
	if !ok {
		if r.numbers == nil {
			r.numbers = map[finding.Subject]int{}
		}
		n = len(r.list)
		r.numbers[*s] = n
		r.list = append(r.list, s)
	}
	r.last = n
	return n
}

func (p *page) worstNamed(name string) int {
	if rank, ok := p.worstByName[name]; ok {
		return rank
	}
	return harmless
}

// line ends a line that is escaped and painted.
func (p *page) line(s string) { p.text.WriteString(s + "\n") }

func (p *page) blank() { p.line("") }

// fill breaks an escaped text that begins at a column into lines, where a
// person reads it.
func (p *page) fill(text string, column int) []string {
	if !p.out.Terminal() {
		return []string{strings.ReplaceAll(text, "\u00a0", " ")}
	}
	return term.Wrap(text, p.out.Width()-margin-column)
}

// words writes a text at a column, its first words bold.
func (p *page) words(text string, column, bold int) {
	for _, part := range p.fill(p.out.Escape(text), column) {
		p.line(strings.Repeat(" ", column) + p.boldWords(part, &bold))
	}
}

// boldWords paints as many words as are left to paint.
func (p *page) boldWords(line string, left *int) string {
	end, inside := 0, false
	for i, r := range line {
		switch {
		case r == ' ':
			inside = false
		case !inside && *left == 0:
			return p.paintUpTo(line, end)
		case !inside:
			inside = true
			*left--
		}
		if inside {
			end = i + len(string(r))
		}
	}
	return p.paintUpTo(line, end)
}

func (p *page) paintUpTo(line string, end int) string {
	return p.out.Paint(term.Bold, line[:end]) + line[end:]
}

// entry writes a line with a glyph, a title and, flush right, an id. The id
// moves to a line of its own where it has no room behind the title.
func (p *page) entry(glyph, style term.Style, title, id string) {
	p.flush(p.out.Glyph(glyph)+" ", margin, style, p.out.Escape(title), p.out.Escape(id))
}

// flush writes an escaped text at a column, after a lead as wide, and another
// flush right at its end.
func (p *page) flush(lead string, column int, style term.Style, text, right string) {
	parts := p.fill(text, column)
	for i, part := range parts {
		s := lead + p.out.Paint(style, part)
		lead = strings.Repeat(" ", column)
		if i == len(parts)-1 && right != "" {
			gap := p.out.Width() - column - term.Width(part) - term.Width(right)
			switch {
			case gap >= 2:
				s += strings.Repeat(" ", gap)
			case !p.out.Terminal():
				s += "  "
			default:
				p.line(s)
				s = strings.Repeat(" ", max(p.out.Width()-term.Width(right), 0))
			}
			s += p.out.Paint(term.Faint, right)
		}
		p.line(s)
	}
}

// command writes a line to copy: it is never wrapped.
func (p *page) command(text string) {
	p.line(strings.Repeat(" ", margin) + p.out.Escape(text))
}

// advice writes a sentence that may hold options. It is wrapped, but an option
// stays with its value and a quoted argument in one piece.
func (p *page) advice(text string) {
	for _, part := range p.fill(glue(p.out.Escape(text)), margin) {
		p.line(strings.Repeat(" ", margin) + part)
	}
}

// paragraphs writes a text whose paragraphs are divided by empty lines.
func (p *page) paragraphs(text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if paragraph = strings.Join(strings.Fields(paragraph), " "); paragraph != "" {
			p.words(paragraph, margin, 0)
		}
	}
}

// glue puts spaces that do not break inside of quoted arguments, and between an
// option and what follows it.
func glue(text string) string {
	var b strings.Builder
	var quote rune
	option := false // the word so far is an option that a value may follow
	previous := ' '
	for i, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\'') && strings.ContainsRune(` =`, previous) && strings.ContainsRune(text[i+1:], r):
			quote = r
		}
		if previous == ' ' && r != ' ' {
			option = r == '-'
		}
		if r == ' ' && (quote != 0 || option && previous != ' ' && !strings.ContainsRune(",;.:", previous)) {
			b.WriteRune('\u00a0')
		} else {
			b.WriteRune(r)
		}
		previous = r
	}
	return b.String()
}
