package waiver

import (
	"cmp"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// Outcome is what became of the waivers of a file.
type Outcome struct {
	// Waived counts the findings that a waiver accepted.
	Waived int
	// Expired are the waivers whose day is over and whose finding fails again.
	// Stale are those that no failure needs.
	Expired, Stale []*Waiver
}

// Apply marks, among findings, what a waiver accepts at the time now: failures, and
// what a person had to look at, who then wrote the waiver. Of those that fail again,
// because their waiver's day is over, it says so. Of several waivers that fit, the
// first that counts is named. A waiver of what could not be judged is not stale.
// Findings share their details, so those that change get details of their own.
func (f *File) Apply(findings []finding.Finding, now time.Time) Outcome {
	byRule := map[string][]*Waiver{}
	for _, w := range f.Waivers {
		byRule[w.Rule] = append(byRule[w.Rule], w)
	}
	var out Outcome
	used, again := map[*Waiver]bool{}, map[*Waiver]bool{}
	for i := range findings {
		one := &findings[i]
		waivers := byRule[one.Rule]
		switch one.Status {
		case finding.Fail, finding.Manual:
		case finding.Unknown: // perhaps of an element, or of subjects that were not listed
			for _, w := range waivers {
				used[w] = used[w] || one.Subject.Name == finding.NotListed || w.fits(one) || one.Element == "" && w.fitsSubject(one)
			}
			continue
		default:
			continue
		}
		var accepts, over *Waiver
		for _, w := range waivers {
			switch {
			case !w.fits(one):
			case w.Expired(now):
				used[w] = true
				over = cmp.Or(over, w)
			default:
				used[w] = true
				accepts = cmp.Or(accepts, w)
			}
		}
		switch {
		case accepts != nil:
			one.Status, one.Detail = finding.Waived, accepts.on(one, one.Message)
			out.Waived++
		case over != nil:
			again[over] = true
			one.Detail = over.on(one, fmt.Sprintf("%s; the waiver of %s expired on %s", one.Message, over.Owner, over.Expires))
		}
	}
	for _, w := range f.Waivers {
		switch {
		case !used[w]:
			out.Stale = append(out.Stale, w)
		case again[w]:
			out.Expired = append(out.Expired, w)
		}
	}
	return out
}

// on is the finding's detail with the waiver.
func (w *Waiver) on(f *finding.Finding, message string) *finding.Detail {
	d := *f.Detail
	d.Message, d.Waiver = message, &finding.Waiver{Reason: w.Reason, Owner: w.Owner, Expires: w.Expires}
	return &d
}

// shortestID is how much of an id is enough to mean it: what docker prints.
const shortestID = 12

// fits reports whether the waiver is for a finding.
func (w *Waiver) fits(f *finding.Finding) bool {
	return w.fitsSubject(f) && (w.Element == "" || matches(w.Element, f.Element))
}

func (w *Waiver) fitsSubject(f *finding.Finding) bool {
	// An image is meant by any of its tags.
	for name := range strings.SplitSeq(f.Subject.Name+"\n"+f.Subject.Also, "\n") {
		if matches(w.Subject, name) {
			return true
		}
	}
	return len(w.Subject) >= shortestID && (strings.HasPrefix(f.Subject.ID, w.Subject) || strings.HasPrefix(strings.TrimPrefix(f.Subject.ID, "sha256:"), w.Subject))
}

// matches is path.Match, but that a star means all of a path too, and that what is
// written as the name is it.
func matches(pattern, name string) bool {
	if pattern == name || !strings.ContainsAny(pattern, `*?[\`) {
		return pattern == name
	}
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}
