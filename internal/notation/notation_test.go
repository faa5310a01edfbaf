package notation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	peer "github.com/notaryproject/notation-go"
	peerregistry "github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/opencontainers/image-spec/specs-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/notation/notationtest"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// hub is a registry, and how often it was asked.
type hub struct {
	host    string
	asked   atomic.Int64
	handler http.Handler
}

func newHub(t *testing.T, referrers bool) *hub {
	t.Helper()
	h := &hub{handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers))}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h.asked.Add(1)
		h.handler.ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	h.host = strings.TrimPrefix(server.URL, "http://")
	return h
}

func (h *hub) open(t *testing.T, name string) *image.Remote {
	t.Helper()
	r, err := image.OpenRemote(t.Context(), image.Reference{Source: image.Registry, At: h.host + "/" + name + ":1"}, true, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// push puts an image that a text makes into a repository.
func push(t *testing.T, r *image.Remote, text string) oci.Descriptor {
	t.Helper()
	config := must(r.PutBlob(t.Context(), oci.MediaTypeImageConfig, []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"author":"`+text+`"}`)))
	return must(r.PutManifest(t.Context(), "1", oci.MediaTypeImageManifest, jsonOf(oci.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageManifest, Config: config, Layers: []oci.Descriptor{}})))
}

func jsonOf(v any) []byte { return must(json.Marshal(v)) }

// must is for what cannot fail unless the test is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// makers make keys of the kinds that Notation takes; the slow ones once.
var makers = map[string]func() crypto.Signer{
	"EC 256":   func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) },
	"EC 384":   func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) },
	"EC 521":   func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) },
	"RSA 2048": sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) }),
	"RSA 3072": sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 3072)) }),
	"RSA 4096": sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 4096)) }),
}

// request is what a signer is asked for, at noon.
func request(by *notationtest.Holder, payload []byte) *signature.SignRequest {
	return notationtest.Request(by, payload, noon)
}

// trusting is a signer that an authority stands for, and timestamps where there are any.
func trusting(t testing.TB, root []byte, stamps []byte, subject string) *Signer {
	t.Helper()
	a, err := ParseAuthority("ca.pem", root)
	if err == nil && stamps != nil {
		err = a.TrustTimestamps("tsa.pem", stamps)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &Signer{Name: "release", Authority: a}
	if subject != "" {
		if s.Subject, err = ParseSubject(subject); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func find(t *testing.T, r image.Repository, subject oci.Descriptor, now time.Time, by ...*Signer) ([]Signature, []Rejection) {
	t.Helper()
	found, rejected, err := Find(t.Context(), r, subject, by, now, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return found, rejected
}

// TestPeer: what Notation's own program library signs and pushes holds, in both envelopes, by
// keys of each kind, in registries with and without the list of referrers; and for nobody
// else, nor another image. Nobody is asked about certificates.
func TestPeer(t *testing.T) {
	var others atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { others.Add(1) }))
	defer web.Close()
	root := notationtest.Authority(notationtest.Authority(nil, "root"), "between")
	thief := notationtest.Authority(nil, "thief")
	now := time.Now() // the library knows no other
	for _, referrers := range []bool{true, false} {
		h := newHub(t, referrers)
		r := h.open(t, "team/app")
		other := push(t, r, "another")
		subject := push(t, r, "the one")
		repo := must(remote.NewRepository(h.host + "/team/app"))
		repo.PlainHTTP = true
		count := 0
		for kind, make := range makers {
			c := notationtest.CodeSigning(notationtest.Named(kind))
			c.OCSPServer, c.CRLDistributionPoints = []string{web.URL}, []string{web.URL + "/crl"}
			by := notationtest.Certify(root, make(), c)
			for _, envelope := range envelopeTypes {
				o := peer.SignOptions{ArtifactReference: string(subject.Digest), SignerSignOptions: peer.SignerSignOptions{SignatureMediaType: envelope, ExpiryDuration: time.Hour}, UserMetadata: map[string]string{"build": kind}}
				if _, err := peer.Sign(t.Context(), must(signer.NewGenericSigner(by.Key, by.Chain)), peerregistry.NewRepository(repo), o); err != nil {
					t.Fatalf("%s %s: %v", kind, envelope, err)
				}
				count++
			}
		}
		for _, trusted := range [][]byte{root.Root(), notationtest.PEM(root.Chain[0]), append(thief.Root(), root.Root()...)} {
			found, rejected := find(t, r, subject, now, trusting(t, trusted, nil, "O=acme"))
			if len(found) != count || len(rejected) != 0 {
				t.Errorf("referrers %v: %d of %d hold, %v", referrers, len(found), count, rejected)
			}
			for _, s := range found {
				if !s.At.IsZero() || s.Until.Sub(now) > time.Hour+time.Minute || s.Until.Before(now) || !strings.HasPrefix(s.Where, "referrer sha256:") {
					t.Errorf("%+v", s)
				}
			}
		}
		if found, _ := find(t, r, subject, now, trusting(t, root.Root(), nil, "CN=RSA 4096")); len(found) != 2 {
			t.Errorf("by one of them: %d", len(found))
		}
		for step, by := range map[Step]*Signer{WrongAuthority: trusting(t, thief.Root(), nil, "O=acme"), WrongSubject: trusting(t, root.Root(), nil, "O=other")} {
			found, rejected := find(t, r, subject, now, by)
			if len(found) != 0 || len(rejected) != count || rejected[0].Step != step {
				t.Errorf("%s: %d found, %v", step, len(found), rejected)
			}
		}
		found, rejected := find(t, r, other, now, trusting(t, root.Root(), nil, ""))
		if len(found) != 0 || len(rejected) != 1 || rejected[0].Step != NoSignature {
			t.Errorf("the other: %v, %v", found, rejected)
		}
	}
	if n := others.Load(); n != 0 {
		t.Errorf("%d questions about certificates", n)
	}
}

// The kinds of envelopes, for people.
var kinds = map[string]string{"JWS": jws.MediaTypeEnvelope, "COSE": cose.MediaTypeEnvelope}
