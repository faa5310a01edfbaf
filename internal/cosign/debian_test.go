package cosign

import (
	"testing"

	"github.com/plimsoll/plimsoll/test/registry"
)

// TestDebian: a registry that is not asked what refers to a manifest, as Debian has it, keeps
// both layouts, of several signers.
func TestDebian(t *testing.T) {
	host := registry.Start(t)
	r := openAt(t, host, "team/app")
	other, subject := push(t, r, "another"), push(t, r, "the one")
	one, two, nobody := newSigner(t, "one", "p256"), newSigner(t, "two", "ed25519"), newSigner(t, "nobody", "p256")
	found, rejected := find(t, r, subject.Digest, trusting(one, two), Options{})
	refused(t, "before", found, rejected, NoSignature)
	for _, s := range []*Signer{one, two} {
		if err := s.SignTag(t.Context(), r, subject.Digest, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.SignReferrer(t.Context(), r, subject, noon); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []Layout{Referrers, Tags} {
		found, rejected = find(t, r, subject.Digest, trusting(one, two), Options{Layouts: []Layout{at}})
		holds(t, string(at), found, rejected, "key one", "key two")
		found, rejected = find(t, r, subject.Digest, trusting(nobody), Options{Layouts: []Layout{at}})
		refused(t, string(at)+" by nobody", found, rejected, WrongKey)
	}
	found, rejected = find(t, r, other.Digest, trusting(one, two), Options{})
	refused(t, "of another", found, rejected, NoSignature)
}
