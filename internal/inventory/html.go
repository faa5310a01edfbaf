package inventory

import (
	_ "embed" // of the parts of the page
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/look"
	"github.com/plimsoll/plimsoll/internal/term"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var pageCSS string

// webLook is made when a page is first written: most runs write none.
var webLook = sync.OnceValue(func() *look.Page {
	return look.New(look.Parts{HTML: pageHTML, Style: pageCSS, Icons: []string{"critical", "high", "medium", "low", "info", "pass", "waived", "unknown"}})
})

// webPage is what the template shows. All its texts are harmless to the eye; the template
// makes them so for the browser.
type webPage struct {
	Host, Heading, Lede, Empty, Footer string
	Chips                              []webChip
	Rows                               []webRow
}

// webChip is a filter that can be pressed.
type webChip struct {
	ID, Label string
	Count     string
}

// webRow is a deployment.
type webRow struct {
	Class, Name, Container                         string
	Badge, Word, Count                             string
	Image, Full, Digest                            string
	Who, When, Why, Owner, Intent, Retire, Scanned webCell
	Dot, State, Since                              string
}

// webCell is a text; with ISO it is a time.
type webCell struct{ Text, Class, ISO, Title string }

// WriteHTML writes a listing as one page that needs nothing else and asks nobody: it
// reads and filters without its script, prints, and is light or dark as its reader
// likes.
func (l *Listing) WriteHTML(w io.Writer) error {
	p := webPage{Host: term.Escape(hostOf(l.Trail)), Empty: term.Escape(l.empty()), Heading: l.heading(), Lede: l.lede(),
		Footer: "A row is a deployment. It is read from the trail at event " + number(l.Events) + " and can be rebuilt from it."}
	s := l.Summary
	for _, c := range []struct {
		id, label string
		n         int
	}{{"failing", "Failing", s.Failing}, {"overdue", "Overdue", s.Overdue}, {"unowned", "No owner", s.Unowned}, {"unscanned", "Unscanned", s.Unscanned}} {
		if c.n > 0 {
			p.Chips = append(p.Chips, webChip{c.id, c.label, number(int64(c.n))})
		}
	}
	without := defaultRegistry(l.Deployments)
	for i := range l.Deployments {
		p.Rows = append(p.Rows, l.webRow(&l.Deployments[i], without))
	}
	if err := webLook().Write(w, p); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}

// ownName is what the trail calls itself: its host, and some digits that tell it from
// other trails of the host.
var ownName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^plimsoll/(.+)-[0-9a-f]{8}$`) })

// hostOf is the host in the key of a trail, NAME+HASH+KEY.
func hostOf(key string) string {
	name, _, _ := strings.Cut(key, "+")
	if m := ownName().FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return name
}

// heading says how things stand.
func (l *Listing) heading() string {
	s := count(l.Summary.Deployments, "deployment", "deployments")
	if n := l.Summary.Unowned; n > 0 {
		s += ", " + number(int64(n)) + " without an owner"
	}
	return s
}

// lede says what else there is to know, and of when all is.
func (l *Listing) lede() string {
	s := l.Summary
	var parts []string
	if s.Overdue > 0 {
		parts = append(parts, count(s.Overdue, "is to be retired", "are to be retired"))
	}
	if s.Unscanned > 0 {
		parts = append(parts, count(s.Unscanned, "has", "have")+" not been scanned for "+unscannedFor(s))
	}
	text := ""
	if len(parts) > 0 {
		text = strings.Join(parts, " and ") + ". "
	}
	if s.Removed > 0 {
		text += number(int64(s.Removed)) + " more removed. "
	}
	return text + "As of " + l.Time.Format(minute+" MST") + "."
}

func (l *Listing) webRow(d *Deployment, without string) webRow {
	now := l.Time
	_, n, _ := d.verdict()
	badge, word := d.badge()
	r := webRow{Name: term.Escape(d.called()), Container: term.Escape(d.Container), Badge: badge, Word: word,
		Image: term.Escape(imageName(d, without)), Full: term.Escape(fullImage(d)), Digest: term.Escape(shortDigest(d)),
		Who: webCell{Text: term.Escape(orUnknown(d.Who))}, Why: missing(d.Why, "not given"), Owner: missing(d.Owner, none), Intent: missing(d.Intent, "not given"),
		State: term.Escape(d.status())}
	if n > 0 {
		r.Count = number(n)
	}
	if d.Who == "" {
		r.Who.Class = "faint"
	}
	var classes []string
	class := func(name string, is bool) {
		if is && d.Removed.IsZero() {
			classes = append(classes, name)
		}
	}
	class("is-failing", d.Failing > 0)
	class("is-overdue", d.Overdue(now))
	class("is-unowned", d.Unowned())
	class("is-unscanned", d.Unscanned(now, time.Duration(l.Summary.UnscannedForSeconds)*time.Second))
	r.Class = strings.Join(classes, " ")
	r.When = webTime(d.Deployed, plain(past(d.Deployed, now, webDate(d.Deployed, now))), now)
	at, ok := d.retire(now.Location())
	if r.Retire = missing("", "not given"); ok {
		r.Retire = webTime(at, d.retiring(now, webDate(at, now)), now)
		if isDay(d.RetireAfter) {
			r.Retire.ISO, r.Retire.Title = d.RetireAfter, d.RetireAfter
		}
	}
	r.Scanned = webTime(d.Scanned, d.scan(now), now)
	if d.Scanned.IsZero() {
		r.Scanned.Class = "bad"
	}
	switch d.State {
	case Running:
	case Exited:
		r.Dot = "died"
		if d.ExitCode != nil && *d.ExitCode == 0 && !d.OOM {
			r.Dot = "stopped"
		}
	case Unseen:
		r.Dot = "unseen"
	default:
		r.Dot = "stopped"
	}
	if !d.Since.IsZero() {
		r.Since = span(now.Sub(d.Since))
	}
	return r
}

// webDate is the layout of a date: without the year where it is this one.
func webDate(t, now time.Time) string {
	if t.In(now.Location()).Year() == now.Year() {
		return "2 Jan"
	}
	return "2 Jan 2006"
}

func webTime(t time.Time, w words, now time.Time) webCell {
	c := webCell{Text: w.text, Class: map[term.Style]string{term.Late: "bad", term.Missing: "warn"}[w.style]}
	if !t.IsZero() {
		c.ISO, c.Title = t.UTC().Format(time.RFC3339), t.In(now.Location()).Format("2006-01-02 15:04:05 MST")
	}
	return c
}

func missing(text, word string) webCell {
	if text == "" {
		return webCell{Text: word, Class: "warn"}
	}
	return webCell{Text: term.Escape(text)}
}
