package cosign

import (
	"testing"
)

// TestSigned: what is signed with each kind of key is found by it, in both layouts, whether
// or not the registry answers what refers to a manifest; and by no other key.
func TestSigned(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		h := newHub(t, referrers)
		for kind := range makers {
			r := h.open(t, "team/"+kind)
			subject := push(t, r, kind)
			s, other := newSigner(t, "release", kind), newSigner(t, "other", kind)
			found, rejected := find(t, r, subject.Digest, trusting(s), Options{})
			refused(t, "before", found, rejected, NoSignature)
			for range 2 { // the second time nothing changes
				if err := s.SignTag(t.Context(), r, subject.Digest, noon); err != nil {
					t.Fatal(err)
				}
			}
			found, rejected = find(t, r, subject.Digest, trusting(other, s), Options{})
			holds(t, kind+" by tag", found, rejected, "key release")
			if found[0].Reference != r.Repository() || found[0].Attests() {
				t.Errorf("%+v", found[0])
			}
			found, rejected = find(t, r, subject.Digest, trusting(other), Options{})
			refused(t, kind+" by another's key", found, rejected, WrongKey)
			if err := s.SignReferrer(t.Context(), r, subject, noon); err != nil {
				t.Fatal(err)
			}
			if err := other.SignReferrer(t.Context(), r, subject, noon); err != nil {
				t.Fatal(err)
			}
			if err := other.SignTag(t.Context(), r, subject.Digest, noon); err != nil {
				t.Fatal(err)
			}
			found, rejected = find(t, r, subject.Digest, trusting(s), Options{})
			holds(t, kind+" in both layouts", found, rejected, "key release", "key release")
			found, rejected = find(t, r, subject.Digest, trusting(other, s), Options{Layouts: []Layout{Referrers}})
			holds(t, kind+" by referrers", found, rejected, "key other", "key release")
			found, rejected = find(t, r, subject.Digest, trusting(other, s), Options{Layouts: []Layout{Tags}})
			holds(t, kind+" by tags", found, rejected, "key other", "key release")
		}
	}
}

// TestRequests: a first look costs no more requests than these, the one that opens the
// repository among them.
func TestRequests(t *testing.T) {
	enough := func(found []Signature) bool { return len(found) > 0 }
	for name, tc := range map[string]struct {
		referrers bool
		at        Layout
		want      int64
	}{
		"ping, manifest, payload":             {true, Tags, 3},
		"ping, referrers, manifest, bundle":   {true, Referrers, 4},
		"and the index that has the list":     {false, Referrers, 5},
		"ping, manifest, payload of an older": {false, Tags, 3},
	} {
		h := newHub(t, tc.referrers)
		r := h.open(t, "team/app")
		subject := push(t, r, "x")
		s := newSigner(t, "release", "p256")
		if err := s.SignTag(t.Context(), r, subject.Digest, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.SignReferrer(t.Context(), r, subject, noon); err != nil {
			t.Fatal(err)
		}
		before := h.asked.Load()
		found, rejected := find(t, h.open(t, "team/app"), subject.Digest, trusting(s), Options{Layouts: []Layout{tc.at, Attestations}, Enough: enough})
		holds(t, name, found, rejected, "key release")
		if got := h.asked.Load() - before; got != tc.want {
			t.Errorf("%s: %d requests, want %d", name, got, tc.want)
		}
	}
	// In whatever layout it is: one look at the referrers, which are none, and the tag.
	h := newHub(t, true)
	r := h.open(t, "team/app")
	subject := push(t, r, "x")
	s := newSigner(t, "release", "p256")
	if err := s.SignTag(t.Context(), r, subject.Digest, noon); err != nil {
		t.Fatal(err)
	}
	before := h.asked.Load()
	found, rejected := find(t, h.open(t, "team/app"), subject.Digest, trusting(s), Options{Enough: enough})
	holds(t, "anywhere", found, rejected, "key release")
	if got := h.asked.Load() - before; got != 4 {
		t.Errorf("anywhere: %d requests, want 4", got)
	}
}
