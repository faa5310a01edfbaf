package scan

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/report"
	"github.com/plimsoll/plimsoll/internal/term"
)

// Table writes a finished report about an image as text, grouped by what is to be done:
// what a newer version mends, a component an entry; what nothing mends yet; secrets; what
// could not be told. Verbose lists each flaw.
func Table(out *term.Printer, r finding.Report, verbose bool) error {
	t := &table{report: r, verbose: verbose, short: out.Terminal() && !verbose}
	sheet := t.sheet()
	return sheet.Write(out)
}

// HTML writes the same as one page that needs nothing else, with all that is known of each
// flaw.
func HTML(w io.Writer, r finding.Report) error {
	t := &table{report: r, verbose: true, short: true, page: true}
	sheet := t.sheet()
	return report.SheetHTML(w, sheet, r, t.state(), t.first())
}

// sheet is the report by what is to be done.
func (t *table) sheet() report.Sheet {
	t.split()
	sheet := report.Sheet{Head: t.head(), Ending: t.ending()}
	for _, part := range []report.Part{t.mended(), t.unmended(), t.secrets(), t.accepted(), t.untold(), report.Advice(t.report.Image, t.verbose)} {
		if len(part.Entries) > 0 {
			sheet.Parts = append(sheet.Parts, part)
		}
	}
	return sheet
}

// table sorts a report's findings.
type table struct {
	report         finding.Report
	verbose, short bool
	// page is for what has a grid of flaws in place of lines.
	page bool
	// mend and wait are the components that have a newer version without some flaws, and
	// those that have none.
	mend, wait []*entry
	secret     []finding.Finding
	waived     []finding.Finding
	unknown    []finding.Finding
	// flaws is how many there are, known how many by severity, and fixable how many a newer
	// version mends. Nobody has said how grave guessed of these are, which count as --unknown-as
	// says, and unweighed that have no fix. Minor are no security issue, and not among them.
	known                                     [5]int
	flaws, fixable, guessed, unweighed, minor int
}

// entry is a component with flaws.
type entry struct {
	name, version, fixed string
	worst                finding.Severity
	findings             []finding.Finding
}

// told is a text of a finding's evidence.
func told(f *finding.Finding, name string) string {
	s, _ := f.Evidence[name].(string)
	return s
}

func yes(f *finding.Finding, name string) bool {
	b, _ := f.Evidence[name].(bool)
	return b
}

func texts(f *finding.Finding, name string) []string {
	list, _ := f.Evidence[name].([]string)
	return list
}

func (t *table) split() {
	at := map[string]*entry{}
	for _, f := range t.report.Findings {
		switch {
		case f.Status == finding.Unknown:
			t.unknown = append(t.unknown, f)
			continue
		case f.Status == finding.Waived || f.Status == finding.NotApplicable:
			t.waived = append(t.waived, f)
			continue
		case f.Section == SectionSecrets:
			t.secret = append(t.secret, f)
			continue
		case f.Status != finding.Fail:
			continue
		}
		if told(&f, "level") == "negligible" {
			t.minor++
			if !t.verbose {
				continue
			}
		} else {
			t.flaws++
			if yes(&f, "level_guessed") && told(&f, "fixed") == "" {
				t.unweighed++
			} else {
				t.known[f.Severity.Rank()]++
			}
		}
		fixed := told(&f, "fixed")
		if fixed != "" {
			t.fixable++
		}
		if yes(&f, "level_guessed") && fixed != "" {
			t.guessed++
		}
		key := f.Element + "\x00" + fmt.Sprint(fixed != "")
		e := at[key]
		if e == nil {
			e = &entry{name: told(&f, "package"), version: told(&f, "version"), worst: f.Severity}
			at[key] = e
			if fixed != "" {
				t.mend = append(t.mend, e)
			} else {
				t.wait = append(t.wait, e)
			}
		}
		e.findings = append(e.findings, f)
		if fixed != "" {
			e.fixed = told(&f, "upgrade")
		}
		if f.Severity.Rank() < e.worst.Rank() {
			e.worst = f.Severity
		}
	}
	for _, list := range [][]*entry{t.mend, t.wait} {
		for _, e := range list {
			slices.SortStableFunc(e.findings, func(a, b finding.Finding) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) })
		}
		slices.SortStableFunc(list, func(a, b *entry) int {
			return cmp.Or(cmp.Compare(a.worst.Rank(), b.worst.Rank()), cmp.Compare(len(b.findings), len(a.findings)), cmp.Compare(a.name, b.name))
		})
	}
}

func (t *table) head() []string {
	i := t.report.Image
	name := t.report.Target.Name
	if id := strings.TrimPrefix(i.ID, "sha256:"); id != "" && !strings.Contains(name, id[:min(8, len(id))]) {
		name += "@sha256:" + id[:min(8, len(id))]
	}
	about := []string{}
	if t.report.Target.OS != "" {
		about = append(about, t.report.Target.OS)
	}
	packages := report.Count(i.Packages, "package", "packages")
	if i.Owned > 0 {
		packages += fmt.Sprintf(" (%d by way of the distribution's)", i.Owned)
	}
	head := []string{name + "  " + strings.Join(append(about, packages), ", ")}
	if len(i.Data) > 0 {
		oldest := slices.MinFunc(i.Data, func(a, b finding.Data) int { return a.Newest.Compare(b.Newest) })
		head = append(head, "Advisories of "+oldest.Newest.UTC().Format("2006-01-02 15:04")+" UTC")
	}
	return head
}

// entries are those of components.
func (t *table) entries(list []*entry) []report.Entry {
	out := make([]report.Entry, 0, len(list))
	for _, e := range list {
		title := e.name + " " + e.version
		if e.fixed != "" {
			title += " -> " + e.fixed
		}
		first := &e.findings[0]
		one := report.Entry{Glyph: report.GlyphOf(e.worst), Title: title, Right: first.Rule}
		if yes(first, "level_guessed") && e.fixed == "" {
			one.Glyph = term.Unknown
		}
		if n := len(e.findings) - 1; n > 0 {
			one.Right += fmt.Sprintf(" and %d more", n)
		}
		if installed := texts(first, "installed"); len(installed) > 1 || len(installed) == 1 && installed[0] != e.name {
			one.Lines = append(one.Lines, "in "+report.Shorten(installed, " and ", t.short && !t.page))
		}
		if paths := texts(first, "paths"); len(paths) > 0 && !strings.HasPrefix(told(first, "type"), "deb") && told(first, "type") != "apk" && told(first, "type") != "rpm" {
			one.Lines = append(one.Lines, report.Shorten(paths, " and ", t.short && !t.page))
		}
		for _, f := range e.findings {
			if since := told(&f, "exploited_since"); since != "" {
				one.Lines = append(one.Lines, f.Rule+" is exploited, known since "+since)
			}
			if t.verbose && !t.page {
				one.Lines = append(one.Lines, t.line(&f))
			}
		}
		if !t.verbose && len(e.findings) > 1 && !t.short {
			one.Lines = append(one.Lines, e.ids())
		}
		if r := first.Remedy; r != nil && e.fixed != "" {
			one.Command = cmp.Or(r.Shell, r.Dockerfile)
		}
		one.Findings = pointers(e.findings)
		if t.page {
			one.Grid = e.grid()
		}
		out = append(out, one)
	}
	return out
}

// ids are those of the flaws, the gravest first.
func (e *entry) ids() string {
	var ids []string
	for _, f := range e.findings {
		ids = append(ids, f.Rule)
	}
	return strings.Join(ids, ", ")
}

// together are all components with flaws, the worst first.
func (t *table) together() []*entry {
	all := slices.Concat(t.mend, t.wait)
	slices.SortStableFunc(all, func(a, b *entry) int { return cmp.Compare(a.worst.Rank(), b.worst.Rank()) })
	return all
}

func pointers(list []finding.Finding) []*finding.Finding {
	out := make([]*finding.Finding, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// grid has a row a flaw, with all that is known of it; what documents say of one is a column
// where they do.
func (e *entry) grid() *report.Grid {
	g := &report.Grid{Head: []string{"Flaw", "How grave", "Mended from", "What"}}
	said := slices.ContainsFunc(e.findings, func(f finding.Finding) bool { return told(&f, "vex") != "" })
	if said {
		g.Head = append(g.Head, "What its makers say")
	}
	for i := range e.findings {
		f := &e.findings[i]
		row := []string{f.Rule, grave(f), cmp.Or(told(f, "fixed"), "nothing yet"), f.Title}
		if said {
			row = append(row, told(f, "vex"))
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// grave says how grave a flaw is, by whom, and how likely it is to be used.
func grave(f *finding.Finding) string {
	how := told(f, "level")
	if score, is := f.Evidence["cvss"].(float64); is {
		how += fmt.Sprintf(" %.1f", score)
	}
	if from := told(f, "level_from"); from != "" {
		how += " by " + from
	}
	if p, is := f.Evidence["epss"].(float64); is {
		how += fmt.Sprintf(", EPSS %.3f", p)
	}
	return how
}

// line is a flaw in a line.
func (t *table) line(f *finding.Finding) string {
	text := f.Rule + " (" + grave(f) + ")"
	if fixed := told(f, "fixed"); fixed != "" {
		text += " from " + fixed + " on mended"
	}
	return text + ": " + f.Title
}

func (t *table) mended() report.Part {
	return report.Part{Name: "A newer version mends", Count: report.Count(len(t.mend), "package", "packages"), Entries: t.entries(t.mend)}
}

func (t *table) unmended() report.Part {
	return report.Part{Name: "Nothing mends yet", Count: report.Count(len(t.wait), "package", "packages"), Entries: t.entries(t.wait)}
}

func (t *table) secrets() report.Part {
	part := report.Part{Name: "Secrets", Count: report.Count(len(t.secret), "secret", "secrets")}
	for _, f := range t.secret {
		part.Entries = append(part.Entries, report.Entry{Glyph: report.GlyphOf(f.Severity), Title: f.Message, Right: f.Rule, Findings: []*finding.Finding{&f}})
	}
	return part
}

func (t *table) accepted() report.Part {
	part := report.Part{Name: "Accepted", Count: report.Count(len(t.waived), "finding", "findings")}
	for _, f := range t.waived {
		e := report.Entry{Glyph: term.Waived, Title: f.Rule + ": " + f.Element, Findings: []*finding.Finding{&f}}
		if w := f.Waiver; w != nil {
			e.Lines = []string{"Waived by " + w.Owner + " until " + w.Expires + `: "` + w.Reason + `"`}
		} else {
			e.Glyph, e.Lines = term.NotApplicable, []string{f.Reason}
		}
		part.Entries = append(part.Entries, e)
	}
	return part
}

func (t *table) untold() report.Part {
	part := report.Part{Name: "Not evaluated", Count: report.Count(len(t.unknown), "gap", "gaps")}
	for _, f := range t.unknown {
		e := report.Entry{Glyph: term.Unknown, Title: f.Message, Right: f.Element, Lines: []string{f.Reason}, Findings: []*finding.Finding{&f}}
		if of := texts(&f, "packages"); len(of) > 0 {
			e.Lines = append(e.Lines, report.Shorten(of, " and ", t.short))
		}
		part.Entries = append(part.Entries, e)
	}
	return part
}

// state is the sentence that a page starts with.
func (t *table) state() string {
	text := t.report.Target.Name
	switch {
	case t.flaws > 0:
		text += " has " + report.Count(t.flaws, "known vulnerability", "known vulnerabilities")
		if n := len(t.secret); n > 0 {
			text += " and " + report.Count(n, "secret", "secrets")
		}
	case len(t.secret) > 0:
		text += " has " + report.Count(len(t.secret), "secret", "secrets") + " in it"
	default:
		text += " has no known vulnerabilities"
	}
	if len(t.unknown) > 0 {
		text += ", as far as it could be told"
	}
	return text
}

// first says what to do first, and what it brings; "" for nothing.
func (t *table) first() string {
	switch {
	case len(t.mend) > 0:
		e := t.mend[0]
		flaws := "a known flaw, which is " + string(e.worst)
		if n := len(e.findings); n > 1 {
			flaws = fmt.Sprintf("%d known flaws, the worst of them %s", n, e.worst)
		}
		return "First: bring " + e.name + " from " + e.version + " to " + e.fixed + ": that mends " + flaws
	case len(t.secret) > 0:
		return "First: revoke what the image gives away"
	}
	return ""
}

func (t *table) ending() []string {
	sum := "No known vulnerabilities."
	if t.flaws > 0 {
		var parts []string
		for rank, n := range t.known {
			if n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, finding.Severities[rank]))
			}
		}
		if t.unweighed > 0 {
			parts = append(parts, fmt.Sprintf("%d of unknown severity", t.unweighed))
		}
		sum = fmt.Sprintf("%s: %s. %d have a fix.", report.Count(t.flaws, "known vulnerability", "known vulnerabilities"), strings.Join(parts, ", "), t.fixable)
		if t.fixable == 1 {
			sum = strings.Replace(sum, "1 have", "1 has", 1)
		}
	}
	if len(t.unknown) > 0 {
		sum += " Something could not be told."
	}
	ending := []string{sum}
	if ends := t.report.Image.SupportEnds; ends != nil && ends.Before(t.report.Started) {
		ending = append(ending, fmt.Sprintf("%s was mended until %s: of what was found since, records may say nothing.", t.report.Target.OS, ends.Format(time.DateOnly)))
	}
	if t.guessed > 0 {
		ending = append(ending, fmt.Sprintf("Nobody has said how grave %d of those with a fix %s: --unknown-as says what that counts as.", t.guessed, isAre(t.guessed)))
	}
	if t.minor > 0 && !t.verbose {
		ending = append(ending, fmt.Sprintf("%d more %s no security issue, as the distribution says: -v lists them.", t.minor, isAre(t.minor)))
	}
	return ending
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
