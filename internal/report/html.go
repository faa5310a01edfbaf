package report

import (
	_ "embed" // of the page
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/look"
	"github.com/plimsoll/plimsoll/internal/term"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// webLook is made when a page is first written: most runs write none.
var webLook = sync.OnceValue(func() *look.Page {
	return look.New(look.Parts{HTML: pageHTML, Style: pageCSS, Icons: []string{"critical", "high", "medium", "low", "info", "pass", "waived", "unknown", "manual", "na", "wrench", "copy"}})
})

// webPage is what the template shows. All its texts are harmless to the eye; the template
// makes them so for the browser.
type webPage struct {
	Target, Heading, First, Footer string
	Notes                          []string
	When                           webTime
	Line                           []loadLine
	LineLabel                      string
	Facts                          []Fact
	Reach                          []Fact
	ReachHead                      string
	Chips                          []webChip
	Sections                       []*webSection
}

// webTime is a time as people and as programs read it.
type webTime struct{ Text, ISO string }

// Fact is something that is known of what was judged: its name, a text, and the whole of it
// where the text is shortened.
type Fact struct{ Name, Text, Whole string }

// webChip is a class of entries that can be hidden.
type webChip struct {
	Icon, Label, Count string
	Shown              bool
}

type webSection struct {
	ID          int
	Name, Count string
	Entries     []*webEntry
	// Passes are of rules, each one of a part of the report, and shown on demand.
	Passes []webPass
}

type webPass struct{ State, Part, Where, ID string }

// webEntry is one thing that the page says, with what there is to say of it behind it.
type webEntry struct {
	// Icon and Label are how it counts, and Class whether it can be hidden.
	Icon, Label, Class string
	Title, End         string
	Lines              []string
	Open               bool
	Why                []string
	Mend               []webMend
	Head               []string
	Rows               [][]string
	More               string
	Refs               string
}

// Unfolds reports whether there is more to an entry than its title.
func (e *webEntry) Unfolds() bool { return len(e.Why)+len(e.Mend)+len(e.Rows) > 0 || e.Refs != "" }

// webMend is a sentence, or lines to copy.
type webMend struct{ Text, Code, Form string }

// HTML writes a finished report as one page that needs nothing else and asks nobody: what
// [Table] says with Options.Verbose, and each finding's evidence. Form is the same, the hints
// are not used. What passes is one row a rule, and what does not apply is counted only.
//
// It reads and filters without its script, prints, and is light or dark as its reader likes.
// Two pages of the same facts differ in their times alone.
func HTML(w io.Writer, r finding.Report, o Options) error {
	p := newWebPage(w, r, o)
	page := p.frame()
	page.Heading, page.First = p.state(), p.first()
	page.Notes = append(page.Notes, p.summary())
	if text := p.replaced(); text != "" {
		page.Notes = append(page.Notes, text)
	}
	if p.scored() {
		page.Line, page.LineLabel = loadLines(r.Summary.Score, r.Summary.Mark), fmt.Sprintf("Score %d of 100; the mark is %d.", r.Summary.Score, r.Summary.Mark)
	}
	for _, l := range p.reached() {
		page.Reach = append(page.Reach, Fact{Name: l.names[0], Text: p.far(l)})
	}
	if b := r.Baseline; b != nil {
		page.Notes = append(page.Notes, changed(b)+".")
		if mended := p.mended(b); len(mended) > 0 {
			s := &webSection{Name: "Mended", Count: count(len(b.Mended), "finding", "findings")}
			for _, g := range mended {
				e := p.webGroup(g, term.Pass, g.title(), g.names(true))
				e.Class, e.Mend = "", nil
				s.Entries = append(s.Entries, e)
			}
			page.Sections = append(page.Sections, s)
		}
	}
	passing := &webSection{Name: "Passing", Count: count(r.Summary.Pass, "judgement", "judgements")}
	for _, s := range p.split() {
		if one := p.webSection(s); len(one.Entries) > 0 {
			page.Sections = append(page.Sections, one)
		}
		for _, h := range p.held(s) {
			passing.Passes = append(passing.Passes, webPass{upperFirst(h.first.Title), upperFirst(s.name), h.where(), p.id(h.first)})
		}
	}
	if len(passing.Passes) > 0 {
		page.Sections = append(page.Sections, passing)
	}
	if r.Image != nil {
		page.Sections = append(page.Sections, p.webPart(Advice(r.Image, true)))
	}
	return page.write(w)
}

// newWebPage lays a report out as the table does, all of it.
func newWebPage(w io.Writer, r finding.Report, o Options) *page {
	o.Verbose = true
	return newPage(term.New(term.Config{Writer: w, UTF8: true}), r, o)
}

// frame is what every page has.
func (p *page) frame() *webPage {
	r := &p.report
	started := r.Started.UTC()
	page := &webPage{Target: r.Target.Name, When: webTime{started.Format("2 Jan 2006, 15:04 UTC"), started.Format(time.RFC3339)}, ReachHead: reachHead}
	page.Footer = "Made by " + strings.TrimSpace(r.Tool.Name+" "+r.Tool.Version) + ". This page is one file and asks nothing of any network."
	fact := func(name, text, whole string) {
		if text != "" {
			page.Facts = append(page.Facts, Fact{name, text, whole})
		}
	}
	t := &r.Target
	engine := t.EngineVersion
	if engine != "" {
		engine = "Docker " + engine
		if t.APIVersion != "" {
			engine += ", API " + t.APIVersion
		}
	}
	fact("Engine", engine, "")
	fact("System", t.OS, "")
	if t.EngineVersion != "" || t.Containers > 0 {
		fact("Containers", number(t.Containers), "")
	}
	if i := r.Image; i != nil {
		digest := strings.TrimPrefix(i.ID, "sha256:")
		fact("Image", digest[:min(8, len(digest))], i.ID)
		packages := number(i.Packages)
		if i.Owned > 0 {
			packages += fmt.Sprintf(" (%s by way of the distribution's)", number(i.Owned))
		}
		fact("Packages", packages, "")
		if ends := i.SupportEnds; ends != nil {
			fact("Mended until", day(*ends), "")
		}
		for _, d := range i.Data {
			fact("Advisories of "+d.Name, d.Newest.UTC().Format("2006-01-02 15:04 UTC"), "")
		}
	}
	if r.Benchmark != "" {
		fact("Benchmark", benchmarkName(r.Benchmark)+" only", "")
	}
	fact("Took", number(int(r.DurationMS))+" ms", "")
	return page
}

// state is the sentence that a page starts with.
func (p *page) state() string {
	s, target := p.report.Summary, p.report.Target.Name
	if p.scored() {
		switch d := s.Score - s.Mark; {
		case d > 0:
			return target + " lies " + number(d) + " above the mark"
		case d < 0:
			return target + " lies " + number(-d) + " below the mark"
		}
		return target + " lies at the mark"
	}
	judged := s.Pass + s.Fail + s.Waived
	switch {
	case len(p.report.Findings) == 0:
		return target + ": nothing was judged"
	case s.Fail > 0:
		verb := " fail"
		if s.Fail == 1 {
			verb = " fails"
		}
		return target + ": " + number(s.Fail) + " of " + count(judged, "judgement", "judgements") + verb
	case judged == 0:
		return target + ": nothing could be judged"
	}
	return target + ": none of " + count(judged, "judgement", "judgements") + " fails"
}

// first says what to do first, and what it brings; "" for nothing.
func (p *page) first() string {
	groups := p.failing()
	if len(groups) == 0 {
		return ""
	}
	gain := ""
	if n := groups[0].findings[0].Gain; n > 0 && p.scored() {
		gain = " (+" + number(int(n)) + ")"
	}
	return "First: " + strings.ReplaceAll(p.oneLine(groups[0], true), "\u00a0", " ") + gain
}

// webSection is what a section of the report has to say.
func (p *page) webSection(s *section) *webSection {
	out := &webSection{Name: upperFirst(s.name), Count: s.counts()}
	add := func(e *webEntry) { out.Entries = append(out.Entries, e) }
	failure := func(g group, lines ...string) {
		add(p.webGroup(g, GlyphOf(g.severity), g.title(), append([]string{g.names(true)}, append(lines, g.expired()...)...)...))
	}
	for _, g := range p.failures {
		if g.findings[0].Section == s.name {
			failure(g)
		}
	}
	if p.report.Baseline != nil {
		for _, g := range p.knownBefore(s) {
			failure(g, "Known since "+day(p.report.Baseline.Started))
		}
	}
	for _, g := range p.fold(s.byStatus[finding.Unknown], cause) {
		add(p.webUnknown(g))
	}
	for _, g := range p.fold(s.byStatus[finding.Manual], byRule) {
		e := p.webGroup(g, term.Manual, g.title(), g.names(true))
		if len(e.Mend) == 0 {
			e.Mend = []webMend{{Text: lookAt + g.findings[0].Rule}}
		}
		add(e)
	}
	for _, g := range p.fold(s.byStatus[finding.Waived], byWaiver) {
		add(p.webGroup(g, term.Waived, g.title(), g.names(true), p.accepted(g)))
	}
	return out
}

// SheetHTML writes a sheet about a report as a page, like [HTML]: its parts in place of the
// report's sections, heading the sentence that it starts with, and first what to do first, ""
// for nothing.
func SheetHTML(w io.Writer, s Sheet, r finding.Report, heading, first string) error {
	p := newWebPage(w, r, Options{})
	page := p.frame()
	page.Heading, page.First = heading, first
	page.Notes = append(page.Notes, s.Ending...)
	if b := r.Baseline; b != nil {
		page.Notes = append(page.Notes, changed(b)+".")
	}
	for _, part := range s.Parts {
		page.Sections = append(page.Sections, p.webPart(part))
	}
	return page.write(w)
}

func (p *page) webPart(part Part) *webSection {
	out := &webSection{Name: part.Name, Count: part.Count}
	for i := range part.Entries {
		out.Entries = append(out.Entries, p.webEntry(&part.Entries[i]))
	}
	return out
}

// write makes every text harmless to the eye, counts, and writes the page.
func (page *webPage) write(w io.Writer) error {
	counts := map[string]int{}
	opened := false
	for i, s := range page.Sections {
		s.ID = i + 1
		counts["pass"] += len(s.Passes)
		for _, e := range s.Entries {
			if e.Class == "" {
				continue
			}
			counts[e.Class]++
			if !opened && e.Class != "unknown" && e.Unfolds() {
				e.Open, opened = true, true
			}
		}
	}
	for glyph, mark := range marks {
		if n := counts[mark.icon]; n > 0 && mark.icon != "" {
			page.Chips = append(page.Chips, webChip{mark.icon, mark.label, number(n), term.Style(glyph) != term.Pass})
		}
	}
	page.escape()
	if err := webLook().Write(w, page); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// escape makes every text that may be of others harmless to the eye.
func (page *webPage) escape() {
	texts := func(all ...*string) {
		for _, s := range all {
			*s = term.Escape(*s)
		}
	}
	list := func(all []string) {
		for i := range all {
			all[i] = term.Escape(all[i])
		}
	}
	texts(&page.Target, &page.Heading, &page.First, &page.Footer)
	list(page.Notes)
	for _, facts := range [][]Fact{page.Facts, page.Reach} {
		for i := range facts {
			texts(&facts[i].Name, &facts[i].Text, &facts[i].Whole)
		}
	}
	for _, s := range page.Sections {
		texts(&s.Name, &s.Count)
		for i := range s.Passes {
			texts(&s.Passes[i].State, &s.Passes[i].Part, &s.Passes[i].Where, &s.Passes[i].ID)
		}
		for _, e := range s.Entries {
			texts(&e.Title, &e.End, &e.Refs, &e.More)
			list(e.Lines)
			list(e.Why)
			list(e.Head)
			for _, row := range e.Rows {
				list(row)
			}
			for i := range e.Mend {
				m := &e.Mend[i]
				texts(&m.Text, &m.Form)
				lines := strings.Split(m.Code, "\n")
				list(lines)
				m.Code = strings.Join(lines, "\n")
			}
		}
	}
}
