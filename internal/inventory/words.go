package inventory

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

const (
	none    = "none"
	unknown = "unknown"
	never   = "never"

	day = 24 * time.Hour

	minute = "2006-01-02 15:04"
)

// words are a text and how it is to be taken.
type words struct {
	text  string
	style term.Style
}

func plain(text string) words { return words{text, term.Plain} }

// given is what somebody should have said.
func given(text string) words {
	if text == "" {
		return words{none, term.Missing}
	}
	return plain(text)
}

// ordinary is what need not be known.
func ordinary(text string) words { return plain(cmp.Or(text, unknown)) }

// span is a duration in its largest unit; days begin after two of them.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(d, 0)/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return number(int64(d/day)) + " d"
}

// days counts the midnights between two times, where the second one is told.
func days(from, to time.Time) int {
	midnight := func(t time.Time) time.Time {
		y, m, d := t.In(to.Location()).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return int(midnight(to).Sub(midnight(from)) / day)
}

// past says when something was: under a week how long ago, else the date in a layout.
func past(t, now time.Time, layout string) string {
	ago, n := now.Sub(t), days(t, now)
	switch {
	case t.IsZero():
		return unknown
	case ago < -time.Minute || n >= 7:
		return t.In(now.Location()).Format(layout)
	case ago < day:
		return span(ago) + " ago"
	case n == 1:
		return "yesterday"
	}
	return fmt.Sprintf("%d d ago", n)
}

// retiring says when a deployment is to be retired, a date in a layout.
func (d *Deployment) retiring(now time.Time, layout string) words {
	at, ok := d.retire(now.Location())
	if !ok {
		return given("")
	}
	n := days(now, at.In(now.Location()))
	switch {
	case isDay(d.RetireAfter) && days(at, now) == 0:
		return words{"today", term.Late}
	case d.Overdue(now) && days(at, now) > 0:
		return words{number(int64(days(at, now))) + " d late", term.Late}
	case d.Overdue(now):
		return words{span(now.Sub(at)) + " late", term.Late}
	case at.After(now) && n == 0:
		return plain("in " + span(at.Sub(now)))
	case at.After(now) && n < 7:
		return plain(fmt.Sprintf("in %d d", n))
	}
	return plain(at.Format(layout))
}

// scan says when the image was last scanned.
func (d *Deployment) scan(now time.Time) words {
	if d.Scanned.IsZero() {
		return words{never, term.Missing}
	}
	w := plain(span(now.Sub(d.Scanned)) + " ago")
	if d.Unscanned(now, longUnscanned) {
		w.style = term.Late
	}
	return w
}

// status is a deployment's state in words.
func (d *Deployment) status() string {
	switch {
	case d.State == Exited && d.OOM:
		return "out of memory"
	case d.State == Exited && d.ExitCode != nil:
		return fmt.Sprintf("exited %d", *d.ExitCode)
	case d.Health == "sick" && d.State == Running:
		return "running, sick"
	}
	return d.State
}

// badge is the symbol of the worst finding and its word, for pages.
func (d *Deployment) badge() (symbol, word string) {
	switch style, _, _ := d.verdict(); style {
	case term.Pass:
		return "pass", "Clear"
	case term.Waived:
		return "waived", "Waived"
	case term.Unknown:
		if d.Failing > 0 {
			return "unknown", "Failing"
		}
		return "unknown", "Not judged"
	}
	s := string(d.Worst)
	return s, strings.ToUpper(s[:1]) + s[1:]
}

// fullImage is an image as it was asked for, with its digest.
func fullImage(d *Deployment) string {
	if d.Digest == "" || strings.Contains(d.Image, d.Digest) {
		return d.Image
	}
	image, _, _ := strings.Cut(d.Image, "@")
	return image + "@" + d.Digest
}

// verdict is the style of the worst finding, how many there are, and that in words.
func (d *Deployment) verdict() (style term.Style, count int64, text string) {
	styles := map[finding.Severity]term.Style{finding.Critical: term.Critical, finding.High: term.High, finding.Medium: term.Medium, finding.Low: term.Low, finding.Info: term.Info}
	style, known := styles[d.Worst]
	switch {
	case d.Failing > 0 && known:
		return style, d.Failing, fmt.Sprintf("%s, %s failing", d.Worst, number(d.Failing))
	case d.Failing > 0:
		return term.Unknown, d.Failing, number(d.Failing) + " failing"
	case d.Judged.IsZero():
		return term.Unknown, 0, "not judged"
	case d.Waived > 0:
		return term.Waived, d.Waived, number(d.Waived) + " waived"
	}
	return term.Pass, 0, "nothing failing"
}

// called is what a deployment is called.
func (d *Deployment) called() string {
	if d.Name != "" {
		return d.Name
	}
	return d.Container[:min(len(d.Container), 12)]
}

// number writes a number with commas.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count writes a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(int64(n)) + " " + many
}

// total is how many deployments there are, and when.
func (l *Listing) total() string {
	s := count(l.Summary.Deployments, "deployment", "deployments")
	if l.Summary.Removed > 0 {
		s += fmt.Sprintf(" and %s removed", number(int64(l.Summary.Removed)))
	}
	if !l.Filter.At.IsZero() {
		s += " at " + l.Time.Format(minute+" MST")
	}
	return s
}

// empty says that nothing is listed, and by which options.
func (l *Listing) empty() string {
	if w := l.Filter.words(); w != "" {
		return "No deployment fits " + w + "."
	}
	return "No deployments."
}

// attention are the numbers of deployments that somebody should look at.
func (l *Listing) attention() []string {
	var parts []string
	s := l.Summary
	for _, p := range []struct {
		n    int
		what string
	}{{s.Unowned, "without an owner"}, {s.Overdue, "overdue"}, {s.Unscanned, "not scanned for " + unscannedFor(s)}} {
		if p.n > 0 {
			parts = append(parts, number(int64(p.n))+" "+p.what)
		}
	}
	return parts
}

// unscannedFor is what counts as long in words.
func unscannedFor(s Summary) string {
	return length(time.Duration(s.UnscannedForSeconds) * time.Second)
}

// length is a duration in words, whole days as such.
func length(d time.Duration) string {
	switch {
	case d == day:
		return "a day"
	case d%day == 0:
		return count(int(d/day), "day", "days")
	}
	return span(d)
}

// show is the option that shows what needs attention, and is not given already.
func (l *Listing) show() string {
	f, s := l.Filter, l.Summary
	switch {
	case s.Overdue > 0 && !f.Overdue:
		return "--overdue"
	case s.Unowned > 0 && !f.Unowned:
		return "--unowned"
	case s.Unscanned > 0 && f.Unscanned <= 0:
		return "--unscanned " + option(longUnscanned)
	}
	return ""
}
