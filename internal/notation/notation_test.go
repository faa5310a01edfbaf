package notation

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	peer "github.com/notaryproject/notation-go"
	peerregistry "github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/tspclient-go"
	"github.com/opencontainers/image-spec/specs-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/plimsoll/plimsoll/internal/image"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// old and far are before and after every test.
var (
	old = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	far = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

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

// refer puts layers beside an image, as notation does.
func refer(t *testing.T, r *image.Remote, subject oci.Descriptor, kind string, layers ...oci.Descriptor) oci.Descriptor {
	t.Helper()
	config := must(r.PutBlob(t.Context(), kind, []byte("{}")))
	return must(r.PutReferrer(t.Context(), oci.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageManifest, ArtifactType: kind, Config: config, Layers: layers,
		Subject: &oci.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}}))
}

// attach puts an envelope beside an image.
func attach(t *testing.T, r *image.Remote, subject oci.Descriptor, kind string, envelope []byte) oci.Descriptor {
	t.Helper()
	return refer(t, r, subject, artifactType, must(r.PutBlob(t.Context(), kind, envelope)))
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

// holder has a key, with the chain of its certificates.
type holder struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

var serial atomic.Int64

// certify makes a certificate by another, or by itself.
func certify(by *holder, key crypto.Signer, c x509.Certificate) *holder {
	if c.SerialNumber == nil {
		c.SerialNumber = big.NewInt(serial.Add(1))
	}
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = old, far
	}
	parent, signs := &c, key
	if by != nil {
		parent, signs = by.chain[0], by.key
	}
	h := &holder{key: key, chain: []*x509.Certificate{must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &c, parent, key.Public(), signs))))}}
	if by != nil {
		h.chain = append(h.chain, by.chain...)
	}
	return h
}

func authority(by *holder, name string) *holder {
	return certify(by, makers["EC 256"](), x509.Certificate{Subject: pkix.Name{CommonName: name, Organization: []string{"authorities"}}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
}

// codeSigning is a certificate for signing code.
func codeSigning(subject pkix.Name) x509.Certificate {
	return x509.Certificate{Subject: subject, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
}

func named(cn string) pkix.Name {
	return pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"acme"}, CommonName: cn}
}

func (h *holder) issue(subject pkix.Name) *holder {
	return certify(h, makers["EC 256"](), codeSigning(subject))
}

// root is the certificate of the chain's end, in PEM.
func (h *holder) root() []byte { return pemOf(h.chain[len(h.chain)-1]) }

func pemOf(all ...*x509.Certificate) (text []byte) {
	for _, c := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// stamper is an authority of timestamps, and the time that it says.
type stamper struct {
	*holder
	at       time.Time
	accuracy time.Duration
}

func newStamper(at time.Time) *stamper {
	usage := must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))
	return &stamper{holder: certify(authority(nil, "time"), makers["EC 256"](), x509.Certificate{Subject: pkix.Name{CommonName: "stamps"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}}), at: at}
}

// Timestamp answers as RFC 3161 has it.
func (s *stamper) Timestamp(_ context.Context, q *tspclient.Request) (*tspclient.Response, error) {
	hash := map[int]crypto.Hash{32: crypto.SHA256, 48: crypto.SHA384, 64: crypto.SHA512}[len(q.MessageImprint.HashedMessage)]
	stamp := &timestamp.Timestamp{HashAlgorithm: hash, HashedMessage: q.MessageImprint.HashedMessage, Time: s.at, Accuracy: s.accuracy, Nonce: q.Nonce, Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true, Certificates: s.chain[1:]}
	data, err := stamp.CreateResponseWithOpts(s.chain[0], s.key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	r := &tspclient.Response{}
	return r, r.UnmarshalBinary(data)
}

func (s *stamper) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.chain[len(s.chain)-1])
	return pool
}

// payloadOf is what is signed of an image.
func payloadOf(d oci.Descriptor) []byte {
	return jsonOf(map[string]any{"targetArtifact": map[string]any{"mediaType": d.MediaType, "digest": d.Digest, "size": d.Size}})
}

// request is what a signer is asked for, at noon.
func request(by *holder, payload []byte) *signature.SignRequest {
	return &signature.SignRequest{Payload: signature.Payload{ContentType: payloadType, Content: payload}, Signer: must(signature.NewLocalSigner(by.chain, by.key)), SigningTime: noon, SigningScheme: signature.SigningSchemeX509}
}

func stamped(q *signature.SignRequest, by *stamper) *signature.SignRequest {
	q.Timestamper, q.TSARootCAs = by, by.pool()
	return q
}

// seal signs.
func seal(t testing.TB, kind string, q *signature.SignRequest) []byte {
	t.Helper()
	data, err := must(signature.NewEnvelope(kind)).Sign(q)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// trusting is a signer that an authority stands for, and timestamps where there are any.
func trusting(t testing.TB, root []byte, stamps []byte, subject string) *Signer {
	t.Helper()
	a, err := ParseAuthority("ca.pem", root, "tsa.pem", stamps)
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
	root := authority(authority(nil, "root"), "between")
	thief := authority(nil, "thief")
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
			c := codeSigning(named(kind))
			c.OCSPServer, c.CRLDistributionPoints = []string{web.URL}, []string{web.URL + "/crl"}
			by := certify(root, make(), c)
			for _, envelope := range envelopeTypes {
				o := peer.SignOptions{ArtifactReference: string(subject.Digest), SignerSignOptions: peer.SignerSignOptions{SignatureMediaType: envelope, ExpiryDuration: time.Hour}, UserMetadata: map[string]string{"build": kind}}
				if _, err := peer.Sign(t.Context(), must(signer.New(by.key, by.chain)), peerregistry.NewRepository(repo), o); err != nil {
					t.Fatalf("%s %s: %v", kind, envelope, err)
				}
				count++
			}
		}
		for _, trusted := range [][]byte{root.root(), pemOf(root.chain[0]), append(thief.root(), root.root()...)} {
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
		if found, _ := find(t, r, subject, now, trusting(t, root.root(), nil, "CN=RSA 4096")); len(found) != 2 {
			t.Errorf("by one of them: %d", len(found))
		}
		for step, by := range map[Step]*Signer{WrongAuthority: trusting(t, thief.root(), nil, "O=acme"), WrongSubject: trusting(t, root.root(), nil, "O=other")} {
			found, rejected := find(t, r, subject, now, by)
			if len(found) != 0 || len(rejected) != count || rejected[0].Step != step {
				t.Errorf("%s: %d found, %v", step, len(found), rejected)
			}
		}
		found, rejected := find(t, r, other, now, trusting(t, root.root(), nil, ""))
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
