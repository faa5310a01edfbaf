package cosign

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// TestHeard: each attestation is heard once with what it says, of which nothing is kept, however
// often it is put beside the image; signatures are not heard, and another signer's is another.
func TestHeard(t *testing.T) {
	s := newScene(t, newHub(t, true))
	second := newSigner(t, "second", "p256")
	one := statementOf(t, "https://example.org/review/v1", `{"by":"ana"}`, s.subject.Digest)
	two := statementOf(t, "https://example.org/review/v1", `{"by":"ben"}`, s.subject.Digest)
	sign := statementOf(t, SignType, "{}", s.subject.Digest)
	var layers []oci.Descriptor
	for _, e := range [][]byte{envelopeOf(t, payloadType, one, s.release, s.release, second), envelopeOf(t, payloadType, one, s.release), envelopeOf(t, payloadType, two, s.release)} {
		layers = append(layers, blobOf(t, s.r, envelopeType, e))
	}
	layers = append(layers, layers[0])
	manifestOf(t, s.r, tagOf(s.subject.Digest, ".att"), oci.Manifest{Config: blobOf(t, s.r, oci.MediaTypeImageConfig, []byte("{}")), Layers: layers})
	refer(t, s.r, s.subject, bundleOf(envelopeOf(t, payloadType, one, s.release)))
	refer(t, s.r, s.subject, bundleOf(envelopeOf(t, payloadType, sign, s.release)))
	var heard []string
	o := Options{Layouts: []Layout{Attestations, Referrers}, Heard: func(s *Signature) { heard = append(heard, s.By()+" "+string(s.Predicate)) }}
	found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release, second), o)
	holds(t, "heard", found, rejected, "key release", "key second", "key release", "key release")
	if want := `key release {"by":"ana"},key second {"by":"ana"},key release {"by":"ben"}`; strings.Join(heard, ",") != want {
		t.Errorf("heard %q", heard)
	}
	for _, f := range found {
		if f.Predicate != nil {
			t.Errorf("%s: its predicate is kept: %s", f.Where, f.Predicate)
		}
	}
	o.Heard = nil
	found, _ = find(t, s.r, s.subject.Digest, trusting(s.release, second), o)
	if len(found) != 4 || !bytes.Contains(found[0].Predicate, []byte("ana")) {
		t.Errorf("kept: %+v", found)
	}
}

// TestIdentityIs: both the name and who vouches for it must be those.
func TestIdentityIs(t *testing.T) {
	i := Identity{"https://ci.example/*", issuer}
	if !i.Is("https://ci.example/release", issuer) || i.Is("https://ci.example/release", issuer+"/") || i.Is("https://ci.example/x/release", issuer) {
		t.Error("an identity is taken for another, or not for itself")
	}
}

// TestUntil: a root lasts as long as the last of its authorities, and no longer than the file says.
func TestUntil(t *testing.T) {
	virtual := must(ca.NewVirtualSigstore())
	its := virtual.FulcioCertificateAuthorities()[0].(*root.FulcioCertificateAuthority)
	if got := rootOf(t, virtual).Until(); !got.Equal(its.ValidityPeriodEnd) || !got.Before(its.Root.NotAfter) {
		t.Errorf("until %s, and the file says %s", got, its.ValidityPeriodEnd)
	}
	logs := virtual.RekorLogs()
	for id, l := range logs {
		l.ID = must(hex.DecodeString(id))
	}
	until := func(ends ...time.Time) time.Time {
		t.Helper()
		var list []root.CertificateAuthority
		for _, end := range ends {
			one := *its
			one.ValidityPeriodEnd = end
			list = append(list, &one)
		}
		written, err := root.NewTrustedRoot(root.TrustedRootMediaType01, list, nil, nil, logs)
		if err != nil {
			t.Fatal(err)
		}
		return must(ParseRoot("root.json", must(written.MarshalJSON()))).Until()
	}
	past := its.Root.NotBefore.Add(time.Second)
	if got := until(past); !got.Equal(past) {
		t.Errorf("ended by the file: %s", got)
	}
	if got := until(past, past.Add(time.Second)); !got.Equal(past.Add(time.Second)) {
		t.Errorf("of two: %s", got)
	}
	if got := until(its.Root.NotAfter.Add(time.Hour)); !got.Equal(its.Root.NotAfter) {
		t.Errorf("longer than its certificate: %s", got)
	}
	if got := until(); !got.IsZero() {
		t.Errorf("without authorities: %s", got)
	}
}
