package notation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/tspclient-go"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/notation/notationtest"
)

// same is a key that signs the same alike: each process of a fuzzer makes the same
// certificates.
type same struct{ *ecdsa.PrivateKey }

func (s same) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.PrivateKey.Sign(nil, digest, o)
}

func sameKey(n byte) *ecdsa.PrivateKey {
	raw := make([]byte, 32)
	raw[31] = n
	return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), raw))
}

// sameRoot is an authority by such a key.
func sameRoot(n byte) *notationtest.Holder {
	return notationtest.Certify(nil, same{sameKey(n)}, x509.Certificate{SerialNumber: big.NewInt(int64(n)), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
}

// FuzzEnvelope: whatever is made of envelopes, of JWS and of COSE, what holds is about the image
// that was asked for and not about another, by the certificate that the authority issued to
// whom is meant, and was signed by it.
func FuzzEnvelope(f *testing.F) {
	root := sameRoot(1)
	issued := func(serial int64, key byte, cn string) *notationtest.Holder {
		c := notationtest.CodeSigning(notationtest.Named(cn))
		c.SerialNumber = big.NewInt(serial)
		h := notationtest.Certify(root, sameKey(key), c)
		return h
	}
	release, other := issued(2, 2, "release"), issued(3, 3, "other")
	stamps := notationtest.NewStamper(noon)
	one := oci.Descriptor{MediaType: oci.MediaTypeImageManifest, Digest: digest.FromString("one"), Size: 3}
	two := one
	two.Digest = digest.FromString("two")
	for i, kind := range envelopeTypes {
		for _, q := range []*signature.SignRequest{
			request(release, notationtest.Payload(one)), request(release, notationtest.Payload(two)), request(other, notationtest.Payload(one)), notationtest.Stamped(request(release, notationtest.Payload(one)), stamps),
		} {
			f.Add(i == 0, notationtest.Seal(f, kind, q))
		}
	}
	by := trusting(f, root.Root(), stamps.Root(), wanted)
	asked := &judge{by: []*Signer{by}, subject: one, now: noon}
	another := &judge{by: []*Signer{by}, subject: two, now: noon}
	for _, kind := range envelopeTypes { // else nothing would be tried
		if found, wrong := asked.enveloped(f.Context(), kind, notationtest.Seal(f, kind, request(release, notationtest.Payload(one)))); len(found) != 1 {
			f.Fatal(wrong)
		}
	}
	f.Fuzz(func(t *testing.T, first bool, data []byte) {
		kind := envelopeTypes[1]
		if first {
			kind = envelopeTypes[0]
		}
		found, wrong := asked.enveloped(t.Context(), kind, data)
		if (len(found) == 0) == (wrong == nil) {
			t.Fatalf("%q: %v, %v", data, found, wrong)
		}
		if len(found) == 0 {
			return
		}
		if len(found) != 1 || !found[0].Certificate.Equal(release.Chain[0]) || found[0].By != by || found[0].At.After(noon) || found[0].At.IsZero() == found[0].Until.IsZero() {
			t.Errorf("%q holds as %+v", data, found)
		}
		if again, _ := another.enveloped(t.Context(), kind, data); len(again) != 0 {
			t.Errorf("%q is about two images", data)
		}
	})
}

// FuzzTimestamp: whatever is made of timestamps, one that is trusted says the time that the
// authority said, of that signature.
func FuzzTimestamp(f *testing.F) {
	c := notationtest.Stamping()
	c.SerialNumber = big.NewInt(5)
	root := sameRoot(4)
	stamper := &notationtest.Stamper{Holder: notationtest.Certify(root, sameKey(5), c), At: noon.Add(-time.Hour)}
	stranger := notationtest.NewStamper(noon.Add(-2 * time.Hour))
	one, two := []byte("one"), []byte("two")
	var tokens [][]byte
	for _, by := range []*notationtest.Stamper{stamper, stranger} {
		for _, content := range [][]byte{one, two} {
			q := must(tspclient.NewRequest(tspclient.RequestOptions{Content: content, HashAlgorithm: crypto.SHA256}))
			tokens = append(tokens, must(by.Timestamp(f.Context(), q)).TimestampToken.FullBytes)
			f.Add(tokens[len(tokens)-1])
		}
	}
	a := trusting(f, root.Root(), root.Root(), "").Authority
	j := &judge{now: noon}
	stamped := func(t testing.TB, of, token []byte) (*tspclient.Timestamp, string) {
		return j.stamped(t.Context(), a, &signature.SignerInfo{Signature: of, UnsignedAttributes: signature.UnsignedAttributes{TimestampSignature: token}})
	}
	if stamp, why := stamped(f, one, tokens[0]); stamp == nil { // else nothing would be tried
		f.Fatal(why)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		said := func(of []byte) *tspclient.Timestamp {
			stamp, why := stamped(t, of, data)
			if (stamp == nil) == (why == "") {
				t.Fatalf("%x: %v, %q", data, stamp, why)
			}
			return stamp
		}
		first, second := said(one), said(two)
		if first != nil && second != nil {
			t.Errorf("%x is of two signatures", data)
		}
		for _, stamp := range []*tspclient.Timestamp{first, second} {
			if stamp != nil && !stamp.Value.Equal(stamper.At) {
				t.Errorf("%x says %s", data, stamp.Value)
			}
		}
	})
}
