package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

const (
	// mendMost is how many mends a reader is asked to begin with.
	mendMost = 7
	// mendLeast is how many entries must fail before a choice of them helps;
	// fewer are at a glance in the sections below.
	mendLeast = 4
)

// failing are the failures by rule, in the order in which to mend them: by
// severity, then what an intruder gets further from, then by gain.
func (p *page) failing() []group {
	reached := map[string]bool{}
	for _, one := range p.report.Reach {
		reached[one.Subject] = true
	}
	groups := slices.Clone(p.failures)
	beyond := func(g group) int {
		if slices.ContainsFunc(g.places, func(one place) bool { return reached[one.subject.Name] }) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(groups, func(a, b group) int {
		return cmp.Or(
			cmp.Compare(a.severity.Rank(), b.severity.Rank()),
			cmp.Compare(beyond(a), beyond(b)),
			cmp.Compare(b.findings[0].Gain, a.findings[0].Gain),
		)
	})
	return groups
}

// mendFirst writes the mends to begin with, and reports whether it did.
func (p *page) mendFirst(groups []group) bool {
	if len(groups) < mendLeast {
		return false
	}
	p.blank()
	p.words("Mend first", 0, 2)
	for _, g := range groups[:min(len(groups), mendMost)] {
		gain := ""
		if n := g.findings[0].Gain; n > 0 && p.scored() {
			gain = "+" + number(int(n))
		}
		p.flush(p.out.Glyph(glyphs[g.severity.Rank()])+" ", margin, term.Plain, p.oneLine(g, false), gain)
	}
	return true
}

// oneLine says who needs what first, escaped. A command in it is kept in one
// piece. Brief is for the middle of a sentence, and leaves out a name that the
// command has in it.
func (p *page) oneLine(g group, brief bool) string {
	s := p.step(g)
	first := g.places[0].subject
	who := ""
	switch {
	case single(first):
	case len(g.places) > 2:
		who = name(first) + " and " + number(len(g.places)-1) + " more: "
	case len(g.places) == 2:
		who = name(first) + " and " + name(g.places[1].subject) + ": "
	case (brief || first.Kind == "file") && s.command && slices.Contains(strings.Fields(s.text), name(first)):
	default:
		who = name(first) + ": "
	}
	if who == "" && !s.command && !brief {
		s.text = upperFirst(s.text)
	}
	text := p.out.Escape(s.text)
	if s.command {
		return p.out.Escape(who) + strings.ReplaceAll(text, " ", "\u00a0")
	}
	return p.out.Escape(who) + glue(text)
}

// step is a thing to do, as part of a sentence.
type step struct {
	text    string
	command bool   // to be copied, so never wrapped
	form    string // what it is written in
}

// step is the first thing to do about a group: the first line of its first
// remedy, without the advice behind a semicolon; its title where it has none.
func (p *page) step(g group) step {
	lines := p.remedy(g.findings[0])
	if len(lines) == 0 {
		state := g.findings[0].Title
		if state == "" {
			state = g.findings[0].Rule
		}
		return step{text: lowerFirst(state)}
	}
	first := lines[0]
	if !first.command {
		first.text, _, _ = strings.Cut(first.text, "; ")
		first.text = lowerFirst(first.text)
	}
	return first
}

// remedies writes how to mend a group: its first remedy and where the rest is,
// with -v all that differ. It reports whether there are any.
func (p *page) remedies(g group) bool {
	all := p.mends(g.findings)
	if len(all) == 0 {
		return false
	}
	shown := all[:1]
	if p.o.Verbose {
		shown = all
	}
	for _, lines := range shown {
		for i, l := range lines {
			switch {
			case l.command:
				p.command(l.text)
			case i == 0:
				p.advice(upperFirst(l.text))
			default:
				p.advice(l.text)
			}
		}
	}
	hint := p.o.FixHint
	if first := g.findings[0]; first.Fix == nil && first.Subject.Kind != "container" {
		hint = p.o.AllHint
	}
	if len(shown) < len(all) && hint != "" {
		n := len(g.places)
		if n == 1 {
			n = len(g.findings)
		}
		p.command("for all " + number(n) + ": " + hint + " " + pattern(g.rules()))
	}
	return true
}

// mends are the remedies of findings, those that are equal once.
func (p *page) mends(findings []*finding.Finding) [][]step {
	var all [][]step
	seen := map[string]bool{}
	for _, f := range findings {
		lines := p.remedy(f)
		key := ""
		for _, l := range lines {
			key += l.text + "\n"
		}
		if len(lines) > 0 && !seen[key] {
			seen[key] = true
			all = append(all, lines)
		}
	}
	return all
}

// pattern is a rule's name, or what the names of several have in common.
func pattern(rules []string) string {
	first, last := rules[0], rules[len(rules)-1] // they are sorted
	if first == last {
		return first
	}
	begin := 0
	for begin < min(len(first), len(last)) && first[begin] == last[begin] {
		begin++
	}
	end := len(first) - begin
	for _, r := range rules[1:] {
		end = min(end, len(r)-begin)
		for !strings.HasSuffix(r, first[len(first)-end:]) {
			end--
		}
	}
	return "'" + first[:begin] + "*" + first[len(first)-end:] + "'"
}

// remedy picks the form of a finding's remedy that the reader can use: the one
// that the subject is written in, else the nearest, and gives its lines.
func (p *page) remedy(f *finding.Finding) []step {
	if f.Remedy == nil {
		return nil
	}
	r := f.Remedy
	forms := []step{{r.Update, true, "shell"}, {r.Run, false, "docker run"}, {r.Daemon, false, "daemon.json"}, {r.Shell, true, "shell"}, {r.Compose, false, "compose file"}, {r.Dockerfile, false, "Dockerfile"}}
	if p.o.Form != "" {
		// What is only written down does not run yet, so nothing can be updated.
		forms = forms[1:]
	}
	switch p.o.Form {
	case "compose":
		forms = slices.Insert(forms, 0, forms[len(forms)-2])
	case "dockerfile":
		forms = slices.Insert(forms, 0, forms[len(forms)-1])
	}
	i := slices.IndexFunc(forms, func(s step) bool { return strings.TrimSpace(s.text) != "" })
	if i < 0 {
		return nil
	}
	var lines []step
	for line := range strings.SplitSeq(forms[i].text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, step{line, forms[i].command || strings.HasPrefix(line, "-") || strings.HasPrefix(line, "docker "), forms[i].form})
		}
	}
	return lines
}
