package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/verdict"
)

// Who holds a registry can have a tag lead back to an older image, with a flaw that is known by
// now, which was rightly signed once. So what a tag was trusted for is remembered, and what was
// signed earlier is refused by it. The first time there is nothing to go by.

// signed is when a signature was made, as far as it can be told: of what is proven and what is
// claimed the earlier. A log or authority may be given an old signature once more, by anybody,
// and so proves only that it is no newer.
func (v *Vouch) signed() time.Time {
	if v.At.IsZero() || !v.Claimed.IsZero() && v.Claimed.Before(v.At) {
		return v.Claimed
	}
	return v.At
}

// remembered is what is known of the tag by which an image was asked for.
type remembered struct {
	name    string
	digests []string
	tag     *verdict.Tag
	done    string // what was done to the image: signed, or built
}

// remembered reads what is known of the tag. It is nil where the image was named by its digest,
// or nothing is remembered.
func (v *Verifier) remembered(tag, asked string, r *Result) (*remembered, error) {
	if v.Tags == "" || tag == "" || strings.Contains(asked, "@") && !v.ByTag {
		return nil, nil
	}
	m := &remembered{name: r.Repository + ":" + tag, done: "signed"}
	for _, d := range []digest.Digest{r.Index, r.Manifest, r.Config} { // as verdict.Tag has them
		if d != "" {
			m.digests = append(m.digests, string(d))
		}
	}
	var err error
	if m.tag, err = v.Tags.Tag(m.name); errors.Is(err, fs.ErrNotExist) {
		m.tag, err = &verdict.Tag{}, nil
	}
	if forbidden(err) {
		r.Unremembered, r.Uncompared = err, true
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was trusted by the tag: %w", err)
	}
	return m, nil
}

// forbidden is true where who asks may not look or write, which nobody else can bring about.
func forbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)
}

// suffice is true for signatures with which nothing more need be looked for.
func (v *Verifier) suffice(name string, r *Result, found []Vouch) bool {
	d := v.Policy.Decide(name, r.Platform, found, v.Now)
	return d.Trusted() && (r.tag == nil || r.tag.older(r.tag.tag, d) == "")
}

// older says why an image that is trusted otherwise may be an older one than what the tag was
// trusted for, "" where it is not.
func (m *remembered) older(t *verdict.Tag, d *Decision) string {
	// Content trust says what the tag leads to now, with a memory of its own; and where nobody
	// needs to have signed, nothing has an order.
	if d.ordered || d.Entry.Unsigned || len(t.Digests) == 0 || t.Same(m.digests...) {
		return ""
	}
	signed := d.last
	now := fmt.Sprintf("since %s %s has stood for %s", moment(t.Since), m.name, t.Digests[0])
	switch {
	case !t.Newest.IsZero() && signed.IsZero():
		return fmt.Sprintf("nothing says when it was %s, and %s; the newest by that tag was %[1]s at %[3]s", m.done, now, moment(t.Newest))
	case signed.Before(t.Newest):
		return fmt.Sprintf("it was %s at %s, and %s; the newest by that tag was %[1]s at %[4]s", m.done, moment(signed), now, moment(t.Newest))
	}
	was := t.Was(m.digests...)
	if was == nil {
		return ""
	}
	end := t.Newest
	if end.IsZero() {
		end = was.Until
	}
	if signed.After(end) {
		return ""
	}
	return fmt.Sprintf("the tag stood for it until %s, and it was not %s anew, and %s", moment(was.Until), m.done, now)
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// errOlder is what has nothing be remembered.
var errOlder = errors.New("it is older")

// order refuses a trusted image that is older than what its tag was trusted for, and remembers
// any other. The error is that it can't be read or written what was.
func (v *Verifier) order(r *Result) error {
	m := r.tag
	r.Uncompared = r.Uncompared && r.Trusted() && !r.ordered && !r.Entry.Unsigned // as older has it
	if m == nil || !r.Trusted() {
		return nil
	}
	why, first := "", false
	judge := func(t *verdict.Tag) error {
		first = len(t.Digests) == 0
		if why = m.older(t, r.Decision); why != "" && v.Rollback == "" {
			return errOlder
		}
		return nil
	}
	err := judge(m.tag)
	if err == nil && !v.LookOnly {
		// Of two who verify at a time the other may have remembered something newer meanwhile.
		err = v.Tags.Remember(m.name, func(t *verdict.Tag) error {
			if err := judge(t); err != nil {
				return err
			}
			t.Now(v.Now, r.last, m.digests...)
			return nil
		})
	}
	if forbidden(err) {
		r.Unremembered = err
		err = nil
	}
	switch {
	case errors.Is(err, errOlder):
		r.By, r.Until, r.whole = nil, time.Time{}, false
		r.refuse(StepReplay, "%s. %s, or accept it once with --rollback", why, map[string]string{"signed": "Pull what is newer, or, where it is to be gone back to, sign it again", "built": "Name what is newer, or, where it is to be gone back to, build it again"}[m.done])
		return nil
	case err != nil:
		return fmt.Errorf("remembering what was trusted by the tag: %w", err)
	case why != "":
		r.Rollback = v.Rollback
		r.step(StepReplay, true, "it is older, and gone back to: %s (%s)", v.Rollback, why)
	case first:
		r.step(StepReplay, true, "nothing is known of what %s was trusted for before", m.name)
	default:
		r.step(StepReplay, true, "it is not older than what was trusted by %s", m.name)
	}
	return nil
}
