package cosign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"golang.org/x/crypto/cryptobyte"
	"google.golang.org/protobuf/encoding/protojson"
)

// authority issues certificates, and has them logged.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, from time.Time) *authority {
	t.Helper()
	key := makers["p256"]().(*ecdsa.PrivateKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "an authority"}, NotBefore: from.Add(-time.Hour), NotAfter: from.Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, IsCA: true, BasicConstraintsValid: true}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	return &authority{key, must(x509.ParseCertificate(der))}
}

// logOf is a log of certificates.
func logOf(key *ecdsa.PrivateKey, from time.Time) *root.TransparencyLog {
	id := sha256.Sum256(must(x509.MarshalPKIXPublicKey(&key.PublicKey)))
	return &root.TransparencyLog{BaseURL: "https://log.example", ID: id[:], ValidityPeriodStart: from.Add(-time.Hour), ValidityPeriodEnd: from.Add(time.Hour),
		HashFunc: crypto.SHA256, PublicKey: &key.PublicKey, SignatureHashFunc: crypto.SHA256}
}

// issue makes a certificate for who, with the promise of a log that it has it at a time (RFC
// 6962, sections 3.2 and 3.3), where there is a log.
func (a *authority) issue(who crypto.PublicKey, from time.Time, log *ecdsa.PrivateKey, at time.Time) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(8), EmailAddresses: []string{ana}, NotBefore: from, NotAfter: from.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)}}}
	cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, a.cert, who, a.key))))
	if log == nil {
		return cert
	}
	issuerHash := sha256.Sum256(a.cert.RawSubjectPublicKeyInfo)
	head := func(b *cryptobyte.Builder) { b.AddUint64(uint64(at.UnixMilli())) }
	var said cryptobyte.Builder
	said.AddUint16(0) // version 1, of a certificate
	head(&said)
	said.AddUint16(1) // before it was issued
	said.AddBytes(issuerHash[:])
	said.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(cert.RawTBSCertificate) })
	said.AddUint16(0)
	hash := sha256.Sum256(said.BytesOrPanic())
	sig := must(ecdsa.SignASN1(rand.Reader, log, hash[:]))
	var list cryptobyte.Builder
	list.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint8(0)
			b.AddBytes(logOf(log, from).ID)
			head(b)
			b.AddUint16(0)
			b.AddUint16(4<<8 | 3) // SHA-256, ECDSA
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(sig) })
		})
	})
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: must(asn1.Marshal(list.BytesOrPanic()))})
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, a.cert, who, a.key))))
}

// TestCertificatesAreLogged: where the root names logs of certificates, one of them must have
// promised that it has the certificate; where it names none, nothing is asked.
func TestCertificatesAreLogged(t *testing.T) {
	s := newScene(t, newHub(t, true))
	virtual, start := must(ca.NewVirtualSigstore()), time.Now()
	a := newAuthority(t, start)
	log, foreign, who := makers["p256"]().(*ecdsa.PrivateKey), makers["p256"]().(*ecdsa.PrivateKey), makers["p256"]().(*ecdsa.PrivateKey)
	rootWith := func(logs map[string]*root.TransparencyLog) *Root {
		rekor := virtual.RekorLogs()
		for id, l := range rekor {
			l.ID = must(hex.DecodeString(id))
		}
		of := &root.FulcioCertificateAuthority{Root: a.cert, ValidityPeriodStart: start.Add(-time.Hour), ValidityPeriodEnd: start.Add(time.Hour)}
		written := must(root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{of}, logs, nil, rekor))
		return must(ParseRoot("root.json", must(written.MarshalJSON())))
	}
	l := logOf(log, start)
	logged, unlogged := rootWith(map[string]*root.TransparencyLog{hex.EncodeToString(l.ID): l}), rootWith(nil)
	statement := statementOf(t, SignType, "{}", s.subject.Digest)
	bundle := func(cert *x509.Certificate) []byte {
		hash := sha256.Sum256(dsse.PAE(payloadType, statement))
		sig := must(ecdsa.SignASN1(rand.Reader, who, hash[:]))
		envelope := &dsse.Envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(statement), Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(sig)}}}
		entry := must(virtual.GenerateTlogEntry(cert, envelope, sig, start.Add(time.Minute).Unix(), true))
		return must(protojson.Marshal(&protobundle.Bundle{MediaType: bundleType,
			VerificationMaterial: &protobundle.VerificationMaterial{
				Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: cert.Raw}},
				TlogEntries: []*protorekor.TransparencyLogEntry{entryOf(t, virtual, entry)},
			},
			Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{PayloadType: payloadType, Payload: statement, Signatures: []*protodsse.Signature{{Sig: sig}}}}}))
	}
	right := a.issue(&who.PublicKey, start, log, start)
	other := a.issue(&who.PublicKey, start.Add(time.Second), log, start)
	// The promise of one certificate in another.
	template := *right
	template.EmailAddresses, template.SerialNumber = []string{ana}, big.NewInt(9)
	template.ExtraExtensions = right.Extensions[len(right.Extensions)-2:]
	moved := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &template, a.cert, &who.PublicKey, a.key))))
	for what, tc := range map[string]struct {
		root *Root
		cert *x509.Certificate
		step Step
	}{
		"logged":                           {logged, right, ""},
		"another that is logged":           {logged, other, ""},
		"in no log":                        {logged, a.issue(&who.PublicKey, start, nil, start), Unlogged},
		"in another log":                   {logged, a.issue(&who.PublicKey, start, foreign, start), Unlogged},
		"in the log after its time":        {logged, a.issue(&who.PublicKey, start, log, start.Add(2*time.Hour)), Unlogged},
		"with another's promise":           {logged, moved, Unlogged},
		"in no log, where none is named":   {unlogged, a.issue(&who.PublicKey, start, nil, start), ""},
		"in some log, where none is named": {unlogged, right, ""},
	} {
		by := Signers{Identities: []Identity{{ana, issuer}}, Root: tc.root}
		j := &judge{by: &by, subject: s.subject.Digest, now: start.Add(10 * time.Minute)}
		found, wrong := j.bundled(bundle(tc.cert))
		switch {
		case tc.step == "" && (wrong != nil || found.Subject != ana):
			t.Errorf("%s: %+v %+v", what, found, wrong)
		case tc.step != "" && (wrong == nil || wrong.step != tc.step):
			t.Errorf("%s: %+v, %+v, want %s", what, found, wrong, tc.step)
		}
	}
}
