// Package look is how Plimsoll's pages look: their frame, colours, type, common parts and
// icons, and the little script that all of them share.
//
// A [Page] is made once of its own [Parts] and written as often as there is something to
// show. What is written is one file that asks nobody for anything: its Content Security
// Policy (CSP 3) allows its own style and script by their hashes, and no request. It reads
// without its script, which adds search, copying and the switch between light and dark.
//
// Texts are made harmless for the browser here, by html/template; who fills a page in makes
// them so for the eye, with term.Escape.
package look

import (
	"bufio"
	"crypto/sha256"
	_ "embed" // of the parts of a page
	"encoding/base64"
	"html/template"
	"io"
	"strings"
)

//go:embed frame.html
var frame string

//go:embed style.css
var style string

//go:embed look.js
var script string

//go:embed icons.svg
var icons string

// Parts are what a kind of page has of its own.
type Parts struct {
	// HTML are the templates "title", "bar" (beside the mark, at the top) and "main", the
	// element of that name. They are of html/template. A search field has data-filter, the
	// selector of what it searches; an element of class found-none is shown where it finds
	// nothing. A button with data-do="copy" copies what stands in the pre of its .code, and
	// needs an element of class toast to say so.
	HTML string
	// Style follows the common one. It has no comments, which html/template would take out.
	Style string
	// Icons are the names of those that the page shows, beside the frame's.
	Icons []string
}

// Page is a kind of page, for one or many goroutines.
type Page struct{ template *template.Template }

// New makes a page. It panics where its parts are no templates, or name an icon that is not
// there: they are embedded in the program.
func New(p Parts) *Page {
	css := style + p.Style
	policy := "default-src 'none'; img-src data:; style-src " + allowed(css) + "; script-src " + allowed(script) + "; base-uri 'none'; form-action 'none'"
	text := strings.NewReplacer("STYLE", css, "SCRIPT", script, "ICONS", sprite(append([]string{"mark", "theme"}, p.Icons...))).Replace(frame)
	t := template.New("frame").Funcs(template.FuncMap{"policy": func() string { return policy }})
	return &Page{template.Must(template.Must(t.Parse(text)).Parse(p.HTML))}
}

// allowed is the source expression of a text in the page (CSP 3, hash-source).
func allowed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// sprite has the icons that are named, for <use href="#i-…">.
func sprite(names []string) string {
	var b strings.Builder
	for _, name := range names {
		found := false
		for line := range strings.Lines(icons) {
			if strings.HasPrefix(line, `<symbol id="i-`+name+`"`) {
				b.WriteString(line)
				found = true
			}
		}
		if !found {
			panic("look: there is no icon " + name)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Write writes the page with what its templates show of data. Its error is the writer's, or
// says which part of a template data does not have.
func (p *Page) Write(w io.Writer, data any) error {
	b := bufio.NewWriterSize(w, 1<<16)
	if err := p.template.Execute(b, data); err != nil {
		return err
	}
	return b.Flush()
}
