// Package report writes a finding.Report for its readers: [Table] and [HTML] for
// people, [JSON] for programs, and [ExitSentence] the line that explains exit code 1.
//
// The table is few lines, worst first: what an intruder reaches, what to mend
// first, then each part of the host that has something to say, with equal
// findings in one entry, and the score on its load line. It takes the report as
// finding.Report.Finish left it and adds nothing of its own: it judges nothing,
// counts no score and reads no facts. Whatever it prints passes through
// term.Printer.Escape, for names, messages and remedies hold words of others.
//
// JSON is the contract with programs (schema plimsoll/report/1, RFC 8259); the
// table may change from one version to the next.
package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// Options say how a table is written. The zero value is the report on a live
// host.
type Options struct {
	// Verbose lists every name and every remedy, adds the reasons why, unfolds
	// what could not be judged and shows what passes.
	Verbose bool
	// Form is what the subjects are written in: "run", "compose" or
	// "dockerfile"; "" is a live host, where a command that mends a container as
	// it runs comes first.
	Form string
	// FixHint is a command that mends all subjects of a rule, or says how, whose name
	// is put after it, and AllHint one that tells of all where no program can mend any
	// and there is nothing to run anew; "" prints no such line.
	FixHint, AllHint string
}

// Table writes a finished report as text, in one write: as wide as the printer
// says, on a terminal wrapped and shortened, elsewhere with every name and in
// whole lines. A report without a mark (finding.Report.Finish was given 0) has
// no score and ends with its summary.
func Table(out *term.Printer, r finding.Report, o Options) error {
	p := newPage(out, r, o)
	p.heading()
	p.since()
	p.reach()
	groups := p.failing()
	first := p.mendFirst(groups)
	p.sections()
	p.without()
	if first {
		groups = nil
	}
	p.ending(groups)
	if _, err := out.Write([]byte(p.text.String())); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// heading names what was judged, and the rules that are not ours.
func (p *page) heading() {
	t := p.report.Target
	var about []string
	if t.EngineVersion != "" {
		about = append(about, "Docker "+t.EngineVersion)
	}
	if t.OS != "" {
		about = append(about, t.OS)
	}
	if t.Containers > 0 || t.EngineVersion != "" {
		about = append(about, count(t.Containers, "container", "containers"))
	}
	if p.report.Benchmark != "" {
		about = append(about, benchmarkName(p.report.Benchmark)+" only")
	}
	text := t.Name
	if len(about) > 0 {
		text += "  " + strings.Join(about, ", ")
	}
	p.words(text, 0, len(strings.Fields(t.Name)))
	if text := p.replaced(); text != "" {
		p.words(text, 0, 0)
	}
}

// replaced says which rules are not ours, "" for none.
func (p *page) replaced() string {
	if p.report.Rules == nil || len(p.report.Rules.Replaced) == 0 {
		return ""
	}
	var replaced []string
	for _, one := range p.report.Rules.Replaced {
		replaced = append(replaced, one.Rule+" by "+one.File)
	}
	verb := "1 rule is replaced: "
	if len(replaced) > 1 {
		verb = number(len(replaced)) + " rules are replaced: "
	}
	return verb + p.shorten(replaced, ", ")
}

// reachNameCells is the widest name that has its text beside it.
const reachNameCells = 24

// reached is what an intruder gets to from some subjects.
type reached struct {
	text  string
	names []string // the worst first
	worst int
}

// reached lists how far an intruder gets, the worst first. Subjects from which one
// gets equally far are one.
func (p *page) reached() []*reached {
	var lines []*reached
	byText := map[string]*reached{}
	for _, one := range p.report.Reach {
		l := byText[one.Text]
		if l == nil {
			l = &reached{text: one.Text, worst: p.worstNamed(one.Subject)}
			byText[one.Text] = l
			lines = append(lines, l)
		}
		l.names = append(l.names, one.Subject)
		l.worst = min(l.worst, p.worstNamed(one.Subject))
	}
	for _, l := range lines {
		slices.SortStableFunc(l.names, func(a, b string) int {
			return cmp.Or(cmp.Compare(p.worstNamed(a), p.worstNamed(b)), cmp.Compare(a, b))
		})
	}
	slices.SortStableFunc(lines, func(a, b *reached) int { return cmp.Compare(a.worst, b.worst) })
	return lines
}

// far says how far an intruder gets from the first of the names, and that it is as far
// from the others.
func (p *page) far(l *reached) string {
	if more := l.names[1:]; len(more) == 1 {
		return l.text + ", so does " + more[0]
	} else if len(more) > 1 {
		return l.text + ", so do " + p.shorten(more, " and ")
	}
	return l.text
}

// reachHead begins what says how far an intruder gets.
const reachHead = "From here an intruder reaches"

// reach says how far an intruder gets, in two columns.
func (p *page) reach() {
	lines := p.reached()
	if len(lines) == 0 {
		return
	}
	column := 0
	for _, l := range lines {
		if n := term.Width(p.out.Escape(l.names[0])); n <= reachNameCells {
			column = max(column, n)
		}
	}
	p.blank()
	p.words(reachHead, 0, 5)
	for _, l := range lines {
		p.columns(l.names[0], column, p.far(l))
	}
}

// columns writes a name and, from the column on, a text. A name that is too
// wide has the text below it.
func (p *page) columns(name string, column int, text string) {
	name = p.out.Escape(name)
	at := margin + column + 3
	pad := column - term.Width(name)
	if pad < 0 && p.out.Terminal() {
		p.line(strings.Repeat(" ", margin) + name)
		p.words(text, at, 0)
		return
	}
	for i, part := range p.fill(p.out.Escape(text), at) {
		if i == 0 {
			p.line(strings.Repeat(" ", margin) + name + strings.Repeat(" ", max(pad, 0)+3) + part)
		} else {
			p.line(strings.Repeat(" ", at) + part)
		}
	}
}
