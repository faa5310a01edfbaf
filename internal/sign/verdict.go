package sign

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/verdict"
)

// Verdict is what a result says of one of its digests, as it is written down; nil says that it is
// not trusted. [Policy.Reconsider] is the way back.
func (v *Verifier) Verdict(r *Result, of digest.Digest) *verdict.Verified {
	if !r.Trusts()[of] {
		return nil
	}
	how := &verdict.Verified{Name: r.Repository, At: v.Now, Until: r.Until, Policy: r.Entry.Place(), By: r.By, Platform: r.Platform}
	for _, c := range r.Counted {
		if of == r.Index && c.Of != of { // all that an index lists is vouched for by who signed it itself
			continue
		}
		if c.Says != nil {
			how.Signers = append(how.Signers, v.Policy.written(r.Entry, &c)...)
			continue
		}
		how.Signers = append(how.Signers, verdict.Signer{Kind: c.Kind, Name: c.Signer.String(), ID: v.Policy.ID(c.Signer), At: c.At})
	}
	if m := r.making; m != nil {
		how.Made = &verdict.Made{UID: *m.Actor.UID, User: m.Actor.User, How: m.How, At: m.Done, Base: r.base}
	}
	return how
}

// by is who vouches, in words.
func (v Vouch) by() string { return v.Kind + " " + v.Signer.String() }

// unsignedBy is who vouches for an image that nobody needs to have signed.
func (e *Entry) unsignedBy() string { return "the registry alone: " + e.Name }

// kind is the kind of signatures that a signer makes.
func (s Signer) kind() string {
	if s.ContentTrust != "" {
		return "dct"
	}
	return "cosign"
}

// ID tells who a signer of the policy is, whatever it calls him: sha256: and the hex digits of
// a key's SubjectPublicKeyInfo, or of all that the policy says of an identity or a server.
func (p *Policy) ID(s Signer) string {
	if s.Key != "" {
		id, _ := p.Keys[s.Key].Fingerprint() // it was read when the policy was
		return id
	}
	said := []string{s.kind(), s.Identity, s.Issuer, s.Root}
	if server, is := p.Servers[s.ContentTrust]; is {
		said = append(append(said, server.URL, server.CA, fmt.Sprint(server.First), server.Role), server.Keys...)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(strings.Join(said, "\x00"))))
}

// Reconsider says whether an image that was found to be trusted in one way still is, by the
// policy as it is now and what was found then: a signer counts if the policy still has him, by
// his key whatever that is called now, and not revoked; and who made an image here, if he still
// may. Whether the image that it was made from is trusted is for [Policy.Withdraw].
//
// A verdict of an older version tells no name: it is held against the entry at the place that
// it names, if that can have given it. It tells neither platform nor times, so that an entry
// which asks for these does not trust it any more, and not how an image was made here.
func (p *Policy) Reconsider(v *verdict.Verified, now time.Time) *Decision {
	d := p.admit(v.Name, v.Platform)
	if v.Name == "" {
		i := slices.IndexFunc(p.Images, func(e *Entry) bool { return e.place == v.Policy })
		if i < 0 || p.Images[i].Unsigned && !slices.Contains(v.By, p.Images[i].unsignedBy()) {
			return new(Decision).refuse(StepEntry, "%s of %s is not what it was", v.Policy, p.File)
		}
		d = p.enter(p.Images[i], v.Platform)
	}
	if !d.Trusted() {
		return d
	}
	if v.Made != nil {
		return d.Entry.Built.still(d, v, now)
	}
	return p.count(d, p.vouches(v, d.Entry), now)
}

// still goes on with a decision by how an image was made here.
func (b *Built) still(d *Decision, v *verdict.Verified, now time.Time) *Decision {
	switch m := v.Made; {
	case b == nil:
		return d.refuse(StepBuilt, "nobody may build images of that name here")
	case !b.may(m.UID, m.User):
		return d.refuse(StepBuilt, "%s, and only %s may", strings.Join(v.By, ", "), strings.Join(b.By, ", "))
	case m.How != madeByBuild && !b.Loaded:
		return d.refuse(StepBuilt, "%s, and only what is built counts: there is no loaded: true", strings.Join(v.By, ", "))
	case b.within != 0 && now.Sub(m.At) > b.within:
		return d.refuse(StepBuilt, "it was made on %s, and %s is the most", m.At.UTC().Format(time.DateOnly), b.Within)
	case b.Base != baseAny && m.Base == "":
		return d.refuse(StepBase, "it was not asked what it was made from")
	}
	d.step(StepBuilt, true, "%s", strings.Join(v.By, ", "))
	d.By = v.By
	return d
}

// vouches are the signatures and attestations that led to a verdict, as far as they are by signers
// of an entry.
func (p *Policy) vouches(v *verdict.Verified, e *Entry) []Vouch {
	where := "verified on " + v.At.UTC().Format(time.DateOnly)
	found := p.attestations(v, e, where)
	if e.Signed == nil {
		return found
	}
	_, list := e.Signed.Needs()
	for _, s := range list {
		plain := Vouch{Signer: s, Kind: s.kind(), Where: where}
		if len(v.Signers) == 0 && slices.Contains(v.By, plain.by()) {
			found = append(found, plain)
		}
		for _, one := range v.Signers {
			if one.Attests == "" && one.Kind == s.kind() && one.ID == p.ID(s) {
				found = append(found, Vouch{Signer: s, Kind: one.Kind, Where: where, At: one.At})
			}
		}
	}
	return found
}

// RestsOn is true for a verdict that a key's signature has led to.
func (p *Policy) RestsOn(v *verdict.Verified, key string) bool {
	s := Signer{Key: key}
	return slices.ContainsFunc(v.Signers, func(one verdict.Signer) bool { return one.ID == p.ID(s) }) ||
		len(v.Signers) == 0 && slices.Contains(v.By, Vouch{Signer: s, Kind: s.kind()}.by())
}

// Withdrawn is an image whose verdict was withdrawn.
type Withdrawn struct {
	// Name is its repository, "" where the verdict does not tell, and Digests those that it
	// was known by.
	Name    string
	Digests []string
	// By are those who vouched for it, and Why says what the policy lacks.
	By  []string
	Why string
	// Since is when it was withdrawn: now, or before.
	Since time.Time
}

// Withdraw takes back the ways in which images were verified that the policy would not trust any
// more, of those that which is true for, and of all where it is nil; and with an image what was
// made from it here. It goes by what was found when an image was verified: nothing is asked. What
// was withdrawn before, and would be now, is told too. The error is of files that could not be
// read or written, beside what was withdrawn.
func (p *Policy) Withdraw(folder verdict.Folder, now time.Time, which func(*verdict.Verified) bool) ([]Withdrawn, error) {
	w := &withdrawal{p: p, folder: folder, now: now, at: map[written]int{}, gone: map[string]bool{}}
	var made []verdict.Verdict // what was made here of something else
	for known, err := range folder.All() {
		if err != nil {
			w.wrong = append(w.wrong, err)
			continue
		}
		if slices.ContainsFunc(w.ways(known), func(one way) bool { return one.Made != nil && one.Made.Base != "" }) {
			made = append(made, *known)
		}
		for _, one := range w.ways(known) {
			if which != nil && !which(&one.Verified) {
				continue
			}
			if d := p.Reconsider(&one.Verified, now); !d.Trusted() {
				w.take(known, one, d.why())
			}
		}
	}
	// What was made from what was taken back goes with it, and what was made from that.
	for again := true; again; {
		again = false
		for i := range made {
			for _, one := range w.ways(&made[i]) {
				if m := one.Made; m == nil || !w.gone[m.Base] {
					continue
				}
				if e := p.For(one.Name); e != nil && e.Built != nil && e.Built.Base == baseAny {
					continue
				}
				again = w.take(&made[i], one, "the image that it was made from, "+short(digest.Digest(one.Made.Base))+", is not verified any more") || again
			}
		}
	}
	return w.all, errors.Join(w.wrong...)
}

// withdrawal is one.
type withdrawal struct {
	p      *Policy
	folder verdict.Folder
	now    time.Time
	all    []Withdrawn
	at     map[written]int // places in all
	wrong  []error
	// gone are digests that nothing vouches for any more.
	gone map[string]bool
}

// written tells images apart: one has a file for each of its digests, written at one time.
type written struct {
	name, by    string
	when, since int64
}

// way is one way in which an image was verified, and since when that is withdrawn; zero where it
// is not.
type way struct {
	verdict.Verified
	since time.Time
}

func (w *withdrawal) ways(known *verdict.Verdict) (list []way) {
	for _, one := range known.Verified.Ways() {
		list = append(list, way{one, time.Time{}})
	}
	for _, one := range known.Withdrawn {
		list = append(list, way{one.Was, one.At})
	}
	return list
}

// take takes a way back, unless that was done before. It is false where this is told already.
func (w *withdrawal) take(known *verdict.Verdict, one way, why string) bool {
	v, since := &one.Verified, one.since
	if since.IsZero() {
		since = w.now
		if err := w.folder.TakeBack(known.Digest, verdict.Withdrawn{At: w.now, Why: why, Was: *v}); err != nil {
			w.wrong = append(w.wrong, err)
			return false
		}
	}
	is := written{v.Name, strings.Join(v.By, "\x00"), v.At.UnixNano(), since.UnixNano()}
	i, told := w.at[is]
	if !told {
		i = len(w.all)
		w.at[is] = i
		w.all = append(w.all, Withdrawn{Name: v.Name, By: v.By, Why: why, Since: since})
	}
	if slices.Contains(w.all[i].Digests, known.Digest) {
		return false
	}
	w.all[i].Digests = append(w.all[i].Digests, known.Digest)
	left, err := w.folder.Read(known.Digest)
	w.gone[known.Digest] = err == nil && left.Verified == nil
	return true
}

// why is what was wrong, by the steps that say so.
func (d *Decision) why() string {
	var said []string
	for _, s := range d.Steps {
		if !s.OK {
			said = append(said, s.Text)
		}
	}
	return strings.Join(said, "; ")
}
