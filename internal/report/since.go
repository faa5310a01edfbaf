package report

import (
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// known writes the failures of a section that a baseline has too.
func (p *page) known(s *section) {
	groups := p.knownBefore(s)
	if len(groups) == 0 {
		return
	}
	p.words("Known since "+day(p.report.Baseline.Started)+":", margin, 0)
	for _, g := range groups {
		p.failure(g)
	}
}

// knownBefore are the failures of a section that a baseline has too, by rule.
func (p *page) knownBefore(s *section) []group {
	known := slices.DeleteFunc(slices.Clone(s.byStatus[finding.Fail]), func(f *finding.Finding) bool { return !f.Known })
	return p.fold(known, byRule)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// since says what changed since an earlier report, with what was mended.
func (p *page) since() {
	b := p.report.Baseline
	if b == nil {
		return
	}
	p.sum(p.out.Escape(changed(b)), 0, 0)
	if len(b.Mended) == 0 {
		return
	}
	p.blank()
	p.words("Mended", 0, 1)
	for _, g := range p.mended(b) {
		p.entry(term.Pass, term.Plain, g.title(), p.id(g.findings[0]))
		if names := g.names(p.short); names != "" {
			p.words(names, margin, 0)
		}
	}
}

// changed says how a report differs from an earlier one.
func changed(b *finding.Baseline) string {
	counts := []string{number(b.New) + " new", number(len(b.Mended)) + " mended", number(b.Known) + " known"}
	if n := len(b.Gone); n > 0 {
		counts = append(counts, number(n)+" gone with what they were about")
	}
	return "Since " + day(b.Started) + " (" + b.File + "): " + strings.Join(counts, ", ")
}

// mended are the failures of an earlier report that are no more, by rule.
func (p *page) mended(b *finding.Baseline) []group {
	// The rules and the subjects as they are now: what is mended has both.
	type named struct{ kind, name string }
	about, subjects := map[string]*finding.About{}, map[named]*finding.Subject{}
	for i := range p.report.Findings {
		f := &p.report.Findings[i]
		about[f.Rule], subjects[named{f.Subject.Kind, f.Subject.Name}] = f.About, f.Subject
	}
	mended := make([]*finding.Finding, len(b.Mended))
	for i := range b.Mended {
		past := &b.Mended[i]
		own := *about[past.Rule]
		own.Title, own.Severity = past.Title, past.Severity
		mended[i] = &finding.Finding{About: &own, Detail: &finding.Detail{Message: past.Message}, Subject: subjects[named{past.Subject.Kind, past.Subject.Name}], Element: past.Element, Status: finding.Pass}
	}
	return p.fold(mended, byRule)
}
