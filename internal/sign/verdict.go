package sign

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/verdict"
)

// Verdict is a result as it is written down; nil says that the image is not trusted.
// [Policy.Reconsider] is the way back.
func (v *Verifier) Verdict(r *Result) *verdict.Verified {
	if !r.Trusted() {
		return nil
	}
	how := &verdict.Verified{At: v.Now, Policy: r.Entry.Place(), By: r.By, Name: r.Repository, Platform: r.Platform}
	for _, c := range r.Counted {
		how.Signers = append(how.Signers, verdict.Signer{Kind: c.Kind, Name: c.Signer.String(), ID: v.Policy.ID(c.Signer), At: c.At})
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

// Reconsider says whether an image that was found to be trusted still is, by the policy as it
// is now and the signatures that were found then: a signer counts if the policy still has him,
// by his key whatever that is called now, and not revoked.
//
// A verdict of an older version tells no name: it is held against the entry at the place that
// it names, if that can have given it. It tells neither platform nor times, so that an entry
// which asks for these does not trust it any more.
func (p *Policy) Reconsider(v *verdict.Verified, now time.Time) *Decision {
	e := p.For(v.Name)
	if v.Name == "" {
		i := slices.IndexFunc(p.Images, func(e *Entry) bool { return e.place == v.Policy })
		if i < 0 || p.Images[i].Unsigned && !slices.Contains(v.By, p.Images[i].unsignedBy()) {
			return new(Decision).refuse(StepEntry, "%s of %s is not what it was", v.Policy, p.File)
		}
		e = p.Images[i]
	}
	if e == nil {
		return new(Decision).refuse(StepEntry, "no entry of %s is about %s", p.File, v.Name)
	}
	return p.decide(e, v.Platform, p.vouches(v, e), now)
}

// vouches are the signatures that led to a verdict, as far as they are by signers of an entry.
func (p *Policy) vouches(v *verdict.Verified, e *Entry) []Vouch {
	if e.Signed == nil {
		return nil
	}
	where := "verified on " + v.At.UTC().Format(time.DateOnly)
	var found []Vouch
	_, list := e.Signed.Needs()
	for _, s := range list {
		plain := Vouch{Signer: s, Kind: s.kind(), Where: where}
		if v.Name == "" && slices.Contains(v.By, plain.by()) {
			found = append(found, plain)
		}
		for _, one := range v.Signers {
			if one.Kind == s.kind() && one.ID == p.ID(s) {
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

// Withdraw takes back the verdicts that the policy would not give any more, of those that
// which is true for, and of all where it is nil. It goes by what was found when an image was
// verified: nothing is asked. Those that were withdrawn before, and would be now, are told too.
// The error is of files that could not be read or written, beside what was withdrawn.
func (p *Policy) Withdraw(folder verdict.Folder, now time.Time, which func(*verdict.Verified) bool) ([]Withdrawn, error) {
	// One image has a file for each of its digests, written at one time.
	type written struct {
		name, by    string
		when, since int64
	}
	var all []Withdrawn
	at := map[written]int{}
	var wrong []error
	for known, err := range folder.All() {
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		v, since := known.Verified, now
		if w := known.Withdrawn; v == nil && w != nil {
			v, since = &w.Was, w.At
		}
		if v == nil || which != nil && !which(v) {
			continue
		}
		d := p.Reconsider(v, now)
		if d.Trusted() {
			continue
		}
		if known.Verified != nil {
			if err := folder.Withdraw(known.Digest, verdict.Withdrawn{At: now, Why: d.why(), Was: *v}); err != nil {
				wrong = append(wrong, err)
				continue
			}
		}
		is := written{v.Name, strings.Join(v.By, "\x00"), v.At.UnixNano(), since.UnixNano()}
		i, told := at[is]
		if !told {
			i = len(all)
			at[is] = i
			all = append(all, Withdrawn{Name: v.Name, By: v.By, Why: d.why(), Since: since})
		}
		all[i].Digests = append(all[i].Digests, known.Digest)
	}
	return all, errors.Join(wrong...)
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
