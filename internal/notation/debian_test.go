package notation

import (
	"testing"
	"time"

	peer "github.com/notaryproject/notation-go"
	peerregistry "github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/plimsoll/plimsoll/internal/notation/notationtest"
	"github.com/plimsoll/plimsoll/test/registry"
)

// TestDebian: a registry that is not asked what refers to a manifest, as Debian has it, keeps
// the list in a tag, and what Notation's library pushes there is found.
func TestDebian(t *testing.T) {
	h := &hub{host: registry.Start(t)}
	r := h.open(t, "team/app")
	other, subject := push(t, r, "another"), push(t, r, "the one")
	root := notationtest.Authority(nil, "root")
	by := trusting(t, root.Root(), nil, wanted)
	now := time.Now() // the library knows no other
	found, rejected := find(t, r, subject, now, by)
	if len(found) != 0 || len(rejected) != 1 || rejected[0].Step != NoSignature {
		t.Errorf("before: %v, %v", found, rejected)
	}
	repo := must(remote.NewRepository(h.host + "/team/app"))
	repo.PlainHTTP, repo.SkipReferrersGC = true, true // it takes nothing away
	for _, cn := range []string{"release", "reIease"} {
		of := root.Issue(notationtest.Named(cn))
		for _, envelope := range envelopeTypes {
			o := peer.SignOptions{ArtifactReference: string(subject.Digest), SignerSignOptions: peer.SignerSignOptions{SignatureMediaType: envelope}}
			if _, err := peer.Sign(t.Context(), must(signer.NewGenericSigner(of.Key, of.Chain)), peerregistry.NewRepository(repo), o); err != nil {
				t.Fatalf("%s: %v", envelope, err)
			}
		}
	}
	if found, rejected = find(t, r, subject, now, by); len(found) != 2 || len(rejected) != 2 || rejected[0].Step != WrongSubject {
		t.Errorf("%d hold, %v", len(found), rejected)
	}
	if found, rejected = find(t, r, other, now, by); len(found) != 0 || rejected[0].Step != NoSignature {
		t.Errorf("the other: %v, %v", found, rejected)
	}
}
