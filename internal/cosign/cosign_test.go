package cosign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/plimsoll/plimsoll/internal/image"
	realregistry "github.com/plimsoll/plimsoll/test/registry"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// hub is a registry, and how often it was asked.
type hub struct {
	host    string
	asked   atomic.Int64
	handler http.Handler
}

func newHub(t *testing.T, referrers bool) *hub {
	t.Helper()
	return hubOf(t, registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers)))
}

// debianHub is the registry that Debian has.
func debianHub(t *testing.T) *hub {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: realregistry.Start(t)}
	// It tells where to upload to by the host that it was asked as.
	return hubOf(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}})
}

func hubOf(t *testing.T, handler http.Handler) *hub {
	t.Helper()
	h := &hub{handler: handler}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h.asked.Add(1)
		h.handler.ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	h.host = strings.TrimPrefix(server.URL, "http://")
	return h
}

// open opens a repository of the registry for writing.
func (h *hub) open(t *testing.T, name string) *image.Remote {
	t.Helper()
	return openAt(t, h.host, name)
}

func openAt(t *testing.T, host, name string) *image.Remote {
	t.Helper()
	r, err := image.OpenRemote(t.Context(), image.Reference{Source: image.Registry, At: host + "/" + name + ":1"}, true, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// push puts an image that a text makes into a repository.
func push(t *testing.T, r *image.Remote, text string) oci.Descriptor {
	t.Helper()
	config := blobOf(t, r, oci.MediaTypeImageConfig, []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"author":"`+text+`"}`))
	return manifestOf(t, r, "1", oci.Manifest{Config: config, Layers: []oci.Descriptor{}})
}

func blobOf(t *testing.T, r *image.Remote, kind string, data []byte) oci.Descriptor {
	t.Helper()
	d, err := r.PutBlob(t.Context(), kind, data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func manifestOf(t *testing.T, r *image.Remote, tag string, m oci.Manifest) oci.Descriptor {
	t.Helper()
	d, err := putManifest(t, r, tag, m)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func putManifest(t *testing.T, r *image.Remote, tag string, m oci.Manifest) (oci.Descriptor, error) {
	t.Helper()
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, oci.MediaTypeImageManifest
	return r.PutManifest(t.Context(), tag, m.MediaType, jsonOf(t, m))
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// must is for what cannot fail unless the test is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// makers make a private key of each kind that is read.
var makers = map[string]func() crypto.Signer{
	"p256":    func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) },
	"p384":    func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) },
	"p521":    func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) },
	"rsa2048": func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) },
	"rsa3072": func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 3072)) },
	"rsa4096": func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 4096)) },
	"ed25519": func() crypto.Signer { _, k, err := ed25519.GenerateKey(rand.Reader); return must(k, err) },
}

func privatePEM(key crypto.Signer) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
}

func publicPEM(key crypto.Signer) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key.Public()))})
}

// newSigner is a signer with a new key.
func newSigner(t testing.TB, name, kind string) *Signer {
	t.Helper()
	s, err := ParseSigner(name, privatePEM(makers[kind]()), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trusting trusts keys.
func trusting(all ...*Signer) Signers {
	var s Signers
	for _, one := range all {
		s.Keys = append(s.Keys, one.Key)
	}
	return s
}

// find finds, and must not fail.
func find(t *testing.T, r *image.Remote, subject digest.Digest, by Signers, o Options) ([]Signature, []Rejection) {
	t.Helper()
	found, rejected, err := Find(t.Context(), r, subject, by, noon, o)
	if err != nil {
		t.Fatal(err)
	}
	return found, rejected
}

// holds fails where nothing is found, or not by these.
func holds(t *testing.T, what string, found []Signature, rejected []Rejection, by ...string) {
	t.Helper()
	var got []string
	for _, s := range found {
		got = append(got, s.By())
	}
	slices.Sort(got)
	slices.Sort(by)
	if !slices.Equal(got, by) {
		t.Errorf("%s: found %q, want %q; rejected %v", what, got, by, rejected)
	}
}

// refused fails where anything is found, or the last rejection is of another step.
func refused(t *testing.T, what string, found []Signature, rejected []Rejection, step Step) {
	t.Helper()
	if len(found) > 0 || len(rejected) == 0 || rejected[len(rejected)-1].Step != step {
		t.Errorf("%s: found %d, rejected %v, want %s", what, len(found), rejected, step)
	}
}

// sigManifest puts a manifest of the tag layout: payloads with signatures.
func sigManifest(t *testing.T, r *image.Remote, subject digest.Digest, layers ...oci.Descriptor) {
	t.Helper()
	config := blobOf(t, r, oci.MediaTypeImageConfig, []byte(`{"rootfs":{"type":"layers","diff_ids":[]}}`))
	manifestOf(t, r, tagOf(subject, ".sig"), oci.Manifest{Config: config, Layers: layers})
}

// simpleOf is a payload of simple signing.
func simpleOf(name string, of digest.Digest) []byte {
	return []byte(`{"critical":{"identity":{"docker-reference":"` + name + `"},"image":{"docker-manifest-digest":"` + string(of) + `"},"type":"cosign container image signature"},"optional":null}`)
}

// layerOf signs a payload and puts it.
func layerOf(t *testing.T, r *image.Remote, s *Signer, payload []byte) oci.Descriptor {
	t.Helper()
	d := blobOf(t, r, simpleType, payload)
	d.Annotations = map[string]string{signatureKey: base64.StdEncoding.EncodeToString(must(s.sign(payload)))}
	return d
}

// statementOf is a statement about digests.
func statementOf(t testing.TB, predicateType, predicate string, of ...digest.Digest) []byte {
	t.Helper()
	s := statement{Type: statementTypes[0], PredicateType: predicateType, Predicate: json.RawMessage(predicate)}
	for _, d := range of {
		s.Subject = append(s.Subject, resource{Digest: map[string]string{d.Algorithm().String(): d.Encoded()}})
	}
	return jsonOf(t, s)
}

// envelopeOf is a statement in an envelope, signed by each.
func envelopeOf(t testing.TB, kind string, payload []byte, by ...*Signer) []byte {
	t.Helper()
	e := dsse.Envelope{PayloadType: kind, Payload: base64.StdEncoding.EncodeToString(payload)}
	for _, s := range by {
		e.Signatures = append(e.Signatures, dsse.Signature{Sig: base64.StdEncoding.EncodeToString(must(s.sign(dsse.PAE(kind, payload))))})
	}
	return jsonOf(t, e)
}

// bundleOf is an envelope in a bundle.
func bundleOf(envelope []byte) []byte {
	return []byte(`{"mediaType":"` + bundleType + `","verificationMaterial":{"publicKey":{"hint":"any"}},"dsseEnvelope":` + string(envelope) + `}`)
}

// refer puts a bundle that refers to a manifest.
func refer(t *testing.T, r *image.Remote, subject oci.Descriptor, data []byte) oci.Descriptor {
	t.Helper()
	return referAs(t, r, subject, bundleType, blobOf(t, r, bundleType, data))
}

func referAs(t *testing.T, r *image.Remote, subject oci.Descriptor, kind string, layers ...oci.Descriptor) oci.Descriptor {
	t.Helper()
	d, err := r.PutReferrer(t.Context(), oci.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageManifest, ArtifactType: kind,
		Config: blobOf(t, r, oci.MediaTypeEmptyJSON, []byte("{}")), Layers: layers, Subject: &subject})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// refusing is a registry that has no answer for some paths.
type refusing struct {
	http.Handler
	part string
}

func (r refusing) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if strings.Contains(q.URL.Path, r.part) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	r.Handler.ServeHTTP(w, q)
}

// listing is a registry with another manifest for a tag.
type listing struct {
	http.Handler
	tag  string
	data []byte
}

func (l listing) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if strings.HasSuffix(q.URL.Path, "/manifests/"+l.tag) {
		w.Header().Set("Content-Type", oci.MediaTypeImageIndex)
		w.Write(l.data)
		return
	}
	l.Handler.ServeHTTP(w, q)
}
