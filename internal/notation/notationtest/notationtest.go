// Package notationtest makes what Notation's signatures consist of, for tests: authorities with
// their certificates ([Authority], [Holder]), timestamps ([Stamper]) and envelopes ([Request],
// [Seal]), which [Attach] puts beside an image. Notation's own library (notation-core-go) makes
// the envelopes. Times are told; certificates are valid long enough for any test.
package notationtest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/notaryproject/notation-core-go/signature"
	_ "github.com/notaryproject/notation-core-go/signature/cose" // an envelope that Seal makes
	_ "github.com/notaryproject/notation-core-go/signature/jws"  // and the other
	"github.com/notaryproject/tspclient-go"
	"github.com/opencontainers/image-spec/specs-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
)

// The media types of a signature's manifest, its payload and its envelopes.
const (
	ArtifactType = "application/vnd.cncf.notary.signature"
	PayloadType  = "application/vnd.cncf.notary.payload.v1+json"
	JWS          = "application/jose+json"
	COSE         = "application/cose"
)

// Old and Far are before and after every test.
var (
	Old = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	Far = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Holder has a key, with the chain of its certificates, its own first.
type Holder struct {
	Key   crypto.Signer
	Chain []*x509.Certificate
}

var serial atomic.Int64

// Certify makes a certificate by another, or by itself where that is nil. It is valid from Old
// to Far where no time is said.
func Certify(by *Holder, key crypto.Signer, c x509.Certificate) *Holder {
	if c.SerialNumber == nil {
		c.SerialNumber = big.NewInt(serial.Add(1))
	}
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = Old, Far
	}
	parent, signs := &c, key
	if by != nil {
		parent, signs = by.Chain[0], by.Key
	}
	h := &Holder{Key: key, Chain: []*x509.Certificate{must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &c, parent, key.Public(), signs))))}}
	if by != nil {
		h.Chain = append(h.Chain, by.Chain...)
	}
	return h
}

// must is for what cannot fail unless the test is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Key makes one, of ECDSA on P-256.
func Key() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// Authority makes one, by another or by itself.
func Authority(by *Holder, name string) *Holder {
	return Certify(by, Key(), x509.Certificate{Subject: pkix.Name{CommonName: name, Organization: []string{"authorities"}}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
}

// CodeSigning is a certificate for signing code, yet to be made.
func CodeSigning(subject pkix.Name) x509.Certificate {
	return x509.Certificate{Subject: subject, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
}

// Named is C=US, ST=WA, O=acme with a CN.
func Named(cn string) pkix.Name {
	return pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"acme"}, CommonName: cn}
}

// Issue makes a certificate for signing code.
func (h *Holder) Issue(subject pkix.Name) *Holder { return Certify(h, Key(), CodeSigning(subject)) }

// Root is the certificate at the end of the chain, in PEM.
func (h *Holder) Root() []byte { return PEM(h.Chain[len(h.Chain)-1]) }

// PEM is how certificates are written in files.
func PEM(all ...*x509.Certificate) (text []byte) {
	for _, c := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// Stamper is an authority of timestamps, and the time that it says.
type Stamper struct {
	*Holder
	At       time.Time
	Accuracy time.Duration
}

// NewStamper makes one.
func NewStamper(at time.Time) *Stamper {
	return &Stamper{Holder: Certify(Authority(nil, "time"), Key(), Stamping()), At: at}
}

// Stamping is a certificate for timestamps, yet to be made.
func Stamping() x509.Certificate {
	usage := must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))
	return x509.Certificate{Subject: pkix.Name{CommonName: "stamps"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}}
}

// Timestamp answers a question for a timestamp (RFC 3161).
func (s *Stamper) Timestamp(_ context.Context, q *tspclient.Request) (*tspclient.Response, error) {
	hash := map[int]crypto.Hash{32: crypto.SHA256, 48: crypto.SHA384, 64: crypto.SHA512}[len(q.MessageImprint.HashedMessage)]
	stamp := &timestamp.Timestamp{HashAlgorithm: hash, HashedMessage: q.MessageImprint.HashedMessage, Time: s.At, Accuracy: s.Accuracy, Nonce: q.Nonce, Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true, Certificates: s.Chain[1:]}
	data, err := stamp.CreateResponseWithOpts(s.Chain[0], s.Key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	r := &tspclient.Response{}
	return r, r.UnmarshalBinary(data)
}

// Payload is what is signed of an image.
func Payload(d oci.Descriptor) []byte {
	return must(json.Marshal(map[string]any{"targetArtifact": map[string]any{"mediaType": d.MediaType, "digest": d.Digest, "size": d.Size}}))
}

// Request is what a signer is asked for, at a time by its own word.
func Request(by *Holder, payload []byte, at time.Time) *signature.SignRequest {
	return &signature.SignRequest{Payload: signature.Payload{ContentType: PayloadType, Content: payload}, Signer: must(signature.NewLocalSigner(by.Chain, by.Key)), SigningTime: at, SigningScheme: signature.SigningSchemeX509}
}

// Stamped asks for a timestamp too.
func Stamped(q *signature.SignRequest, by *Stamper) *signature.SignRequest {
	q.Timestamper, q.TSARootCAs = by, x509.NewCertPool()
	q.TSARootCAs.AddCert(by.Chain[len(by.Chain)-1])
	return q
}

// Seal signs in an envelope, JWS or COSE.
func Seal(t testing.TB, kind string, q *signature.SignRequest) []byte {
	t.Helper()
	data, err := must(signature.NewEnvelope(kind)).Sign(q)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Refer puts layers beside an image, in a manifest of a type, as notation does.
func Refer(t testing.TB, r *image.Remote, subject oci.Descriptor, kind string, layers ...oci.Descriptor) oci.Descriptor {
	t.Helper()
	config := must(r.PutBlob(t.Context(), kind, []byte("{}")))
	return must(r.PutReferrer(t.Context(), oci.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageManifest, ArtifactType: kind, Config: config, Layers: layers,
		Subject: &oci.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}}))
}

// Attach puts an envelope beside an image.
func Attach(t testing.TB, r *image.Remote, subject oci.Descriptor, kind string, envelope []byte) oci.Descriptor {
	t.Helper()
	return Refer(t, r, subject, ArtifactType, must(r.PutBlob(t.Context(), kind, envelope)))
}
