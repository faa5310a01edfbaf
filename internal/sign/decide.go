package sign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Vouch is a signature over an image's manifest, or an attestation about it, that holds: whoever
// found it has checked that it is by the signer and covers exactly that digest.
type Vouch struct {
	Signer Signer
	// Kind is what kind of signature it is, and Where the place that it was found in.
	Kind, Where string
	// Of is the digest that was signed: the image's manifest, or the index that it is of.
	Of digest.Digest
	// At is when it was made, by a log or a timestamp that is trusted; zero where nothing
	// proves it. Until is when it stops to hold by its own word, zero for never.
	At, Until time.Time
	// Claimed is when it was made by the signer's own word; zero where that says nothing of it.
	Claimed time.Time
	// Says is what an attestation says, nil for a signature.
	Says *Statement
}

// Step is one thing that was looked at on the way to a decision.
type Step struct {
	// Name is one of the names below.
	Name string
	// OK is false for the step that refused, and for signatures that do not count.
	OK   bool
	Text string
}

// The steps of a decision, in their order.
const (
	StepEntry    = "entry"    // what the policy says of the name
	StepPlatform = "platform" // the platform may run
	StepRevoked  = "revoked"  // a signature by a revoked key, which does not count
	StepAge      = "age"      // a signature that is too old, or of unknown age, which does not count
	StepSigners  = "signers"  // enough different signers have signed
	StepAttested = "attested" // what must be attested, and attestations that do not count for it
	StepReplay   = "replay"   // the tag does not lead back to an older image
	StepLocal    = "local"    // the engine has the image, which was made here
	StepTrail    = "trail"    // the trail of the gate vouches for the event
	StepBuilt    = "built"    // somebody who may has built it
	StepBase     = "base"     // it was built from an image that is trusted
)

// Decision is what a policy says of an image.
type Decision struct {
	// Entry is the one that counted, nil where none is about the name.
	Entry *Entry
	Steps []Step
	// Refused is the name of the step that refused, "" where the image is trusted.
	Refused string
	// By are those who vouch for it, as they are written down; of an unsigned image that is
	// the registry alone. Counted are the signatures of theirs that counted, in that order.
	By      []string
	Counted []Vouch
	// Until is when too few of them are left: signatures end, and become too old. Zero is never.
	Until time.Time

	// last is when so many signers as are needed had signed anew: one alone, whose key was
	// stolen, makes an old image no newer where two are needed. Zero where that can't be told.
	last time.Time
	// ordered is true where one of them says what the tag leads to now.
	ordered bool
	// making is what made an image here, and base the id of the image that it was made from
	// where that must be trusted.
	making *Making
	base   string
}

// Trusted is true for an image that the policy lets run.
func (d *Decision) Trusted() bool { return d.Refused == "" }

func (d *Decision) step(name string, ok bool, format string, args ...any) {
	d.Steps = append(d.Steps, Step{name, ok, fmt.Sprintf(format, args...)})
}

func (d *Decision) refuse(name, format string, args ...any) *Decision {
	d.step(name, false, format, args...)
	d.Refused = name
	return d
}

// Decide says whether an image is trusted: by its name, whole and without tag and digest, the
// platform of what would run, as linux/amd64, and the signatures and attestations about it that
// hold.
func (p *Policy) Decide(name, platform string, found []Vouch, now time.Time) *Decision {
	return p.count(p.admit(name, platform), found, now)
}

// count goes on with a decision by the signatures that hold.
func (p *Policy) count(d *Decision, found []Vouch, now time.Time) *Decision {
	e := d.Entry
	if !d.Trusted() {
		return d
	}
	if e.Unsigned {
		d.step(StepSigners, true, "nobody needs to have signed it: %s", e.Why)
		d.By = []string{e.unsignedBy()}
		return d
	}
	switch {
	case e.Signed == nil && len(e.Attested) == 0:
		return d.refuse(StepSigners, "images of that name must be built here, and this one is of a registry")
	case e.Signed == nil: // then somebody must attest something
		return p.attested(d, found, now)
	}
	need, list := e.Signed.Needs()
	counted := map[string]time.Time{} // the signers, each once, and until when
	signed := map[string]time.Time{}  // and when each did so last
	for _, v := range found {
		if v.Says != nil || !slices.Contains(list, v.Signer) {
			continue
		}
		if k := p.Keys[v.Signer.Key]; v.Signer.Key != "" && k.Revoked != "" {
			d.step(StepRevoked, false, "%s was revoked on %s and does not count: %s", v.Signer, k.Revoked, k.Why)
			continue
		}
		switch age := now.Sub(v.At); {
		case e.maxAge == 0:
		case v.At.IsZero():
			d.step(StepAge, false, "nothing proves when %s signed, and %s is the most", v.Signer, e.MaxAge)
			continue
		case age > e.maxAge:
			d.step(StepAge, false, "%s signed on %s, and %s is the most", v.Signer, v.At.UTC().Format(time.DateOnly), e.MaxAge)
			continue
		}
		until := e.ends(&v)
		at := p.identify(v.Signer)
		before, again := counted[at]
		if !again {
			d.By, d.Counted = append(d.By, v.by()), append(d.Counted, v)
			d.step(StepSigners, true, "%s signed it: %s", v.Signer, v.Where)
			d.ordered = d.ordered || v.Signer.ContentTrust != ""
		}
		if !again || later(until, before) {
			counted[at] = until
		}
		if last := v.signed(); last.After(signed[at]) {
			signed[at] = last
		}
	}
	if len(counted) < need {
		d.By, d.Counted = nil, nil
		var names []string
		for _, s := range list {
			names = append(names, s.String())
		}
		return d.refuse(StepSigners, "%d of the %d signers that it needs have signed it, of %s", len(counted), need, strings.Join(names, ", "))
	}
	d.Until = slices.SortedFunc(maps.Values(counted), func(a, b time.Time) int {
		switch {
		case later(a, b):
			return -1
		case later(b, a):
			return 1
		}
		return 0
	})[need-1]
	if len(signed) >= need {
		d.last = slices.SortedFunc(maps.Values(signed), func(a, b time.Time) int { return b.Compare(a) })[need-1]
	}
	return p.attested(d, found, now)
}

// ends is when a vouch counts no more: by its own word, or by its age.
func (e *Entry) ends(v *Vouch) time.Time {
	if end := v.At.Add(e.maxAge); e.maxAge > 0 && later(v.Until, end) {
		return end
	}
	return v.Until
}

// admit finds the entry for a name, and says whether its images may run on a platform.
func (p *Policy) admit(name, platform string) *Decision {
	e := p.For(name)
	if e == nil {
		return new(Decision).refuse(StepEntry, "no entry of %s is about %s", p.File, name)
	}
	return p.enter(e, platform)
}

// enter is admit by an entry.
func (p *Policy) enter(e *Entry, platform string) *Decision {
	d := &Decision{Entry: e}
	d.step(StepEntry, true, "%s:%d: %s is about it: %s", p.File, e.line, e.place, e.Name)
	if len(e.Platforms) > 0 {
		// linux/arm64 is for each of its variants.
		if !slices.ContainsFunc(e.Platforms, func(p string) bool { return p == platform || strings.HasPrefix(platform, p+"/") }) {
			return d.refuse(StepPlatform, "it is for %s, and %s may run", orUnknown(platform), strings.Join(e.Platforms, ", "))
		}
		d.step(StepPlatform, true, "it is for %s", platform)
	}
	return d
}

// later tells whether one end is after another; zero is never.
func later(one, other time.Time) bool {
	return !other.IsZero() && (one.IsZero() || one.After(other))
}

func orUnknown(platform string) string {
	if platform == "" {
		return "no platform that is known"
	}
	return platform
}

// identify tells signers apart: two names of one key are one.
func (p *Policy) identify(s Signer) string {
	if s.Key == "" {
		return s.String()
	}
	k := p.Keys[s.Key]
	at, _ := k.Fingerprint() // it was read when the policy was
	return at
}
