package report

import (
	"fmt"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// mostAdvice is how much of it is told where little is asked for.
const mostAdvice = 5

// Advice is the part of a page about what an image could do without, a line each, with why and
// how where verbose is true; what became of its layers stands there too.
func Advice(i *finding.Image, verbose bool) Part {
	part := Part{Name: "It could do without", Count: Count(len(i.Advice), "thing", "things")}
	for n, one := range i.Advice {
		if n == mostAdvice && !verbose {
			break
		}
		e := Entry{Glyph: term.Manual, Title: one.Title, Right: saves(&one)}
		if verbose {
			e.Why, e.Command = one.Why, one.Step
		}
		part.Entries = append(part.Entries, e)
	}
	if verbose && len(part.Entries) > 0 {
		for _, u := range i.Untold {
			part.Entries = append(part.Entries, Entry{Glyph: term.Unknown, Title: "Not told: " + u.Reason, Right: u.Kind})
		}
		if u := i.Surface; u != nil {
			privileged := "none"
			if u.Privileged > 0 {
				privileged = fmt.Sprint(u.Privileged)
			}
			part.Entries = append(part.Entries, Entry{Glyph: term.NotApplicable, Title: fmt.Sprintf("There are %s (%s privileged), %s and %s",
				Count(int(u.Executables), "executable", "executables"), privileged, Count(u.Shells, "shell", "shells"), Count(u.Unlinked, "unlinked library", "unlinked libraries"))})
		}
		for n, l := range i.Layers {
			vain := "none of it replaced or removed later"
			switch {
			case l.Overwritten > 0 && l.Deleted > 0:
				vain = fmt.Sprintf("%s of it replaced and %s removed later", term.Bytes(l.Overwritten), term.Bytes(l.Deleted))
			case l.Overwritten > 0:
				vain = term.Bytes(l.Overwritten) + " of it replaced later"
			case l.Deleted > 0:
				vain = term.Bytes(l.Deleted) + " of it removed later"
			}
			part.Entries = append(part.Entries, Entry{Glyph: term.NotApplicable, Title: fmt.Sprintf("Layer %d: %s, %s", n+1, term.Bytes(l.Bytes), vain)})
		}
	}
	return part
}

// saves is what a piece of advice saves, in a few words.
func saves(a *finding.Advice) string {
	var words []string
	if a.Bytes > 0 {
		words = append(words, term.Bytes(a.Bytes))
	}
	if a.Packages > 0 {
		words = append(words, Count(a.Packages, "package", "packages"))
	}
	if a.Flaws != nil && a.Flaws.Total > 0 {
		words = append(words, Count(a.Flaws.Total, "flaw", "flaws"))
	}
	return strings.Join(words, ", ")
}

// without is that part of a table about an image.
func (p *page) without() {
	if p.report.Image != nil {
		p.part(Advice(p.report.Image, p.o.Verbose))
	}
}
