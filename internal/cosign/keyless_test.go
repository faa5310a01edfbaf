package cosign

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"regexp"
	"strings"
	"testing"
	"time"

	oci "github.com/opencontainers/image-spec/specs-go/v1"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	ana    = "ana@example.org"
	issuer = "https://issuer.example"
)

// rootOf writes a virtual sigstore's roots to a file, and reads it.
func rootOf(t *testing.T, s *ca.VirtualSigstore) *Root {
	t.Helper()
	logs := s.RekorLogs()
	for id, l := range logs {
		l.ID = must(hex.DecodeString(id)) // as a file has it
	}
	written, err := root.NewTrustedRoot(root.TrustedRootMediaType01, s.FulcioCertificateAuthorities(), nil, s.TimestampingAuthorities(), logs)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRoot("root.json", must(written.MarshalJSON()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// entryOf is the log's entry of what a virtual sigstore signed, with the log's promise, which
// the library keeps to itself.
func entryOf(t *testing.T, log *ca.VirtualSigstore, e *tlog.Entry) *protorekor.TransparencyLogEntry {
	t.Helper()
	entry := e.TransparencyLogEntry()
	body := struct{ Kind, APIVersion string }{}
	if err := json.Unmarshal(entry.CanonicalizedBody, &body); err != nil {
		t.Fatal(err)
	}
	entry.KindVersion = &protorekor.KindVersion{Kind: body.Kind, Version: body.APIVersion}
	entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: must(log.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(entry.CanonicalizedBody), IntegratedTime: entry.IntegratedTime, LogIndex: entry.LogIndex, LogID: hex.EncodeToString(entry.LogId.KeyId)}))}
	return entry
}

// bundleBy makes a bundle of what a virtual sigstore signed.
func bundleBy(t *testing.T, log *ca.VirtualSigstore, e *ca.TestEntity) *protobundle.Bundle {
	t.Helper()
	content, signed := must(e.VerificationContent()), must(e.SignatureContent())
	raw := signed.EnvelopeContent().RawEnvelope()
	b := &protobundle.Bundle{MediaType: bundleType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:                   &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: content.Certificate().Raw}},
			TimestampVerificationData: &protobundle.TimestampVerificationData{},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{PayloadType: raw.PayloadType, Payload: must(base64.StdEncoding.DecodeString(raw.Payload)),
			Signatures: []*protodsse.Signature{{Sig: signed.Signature()}}}}}
	for _, entry := range must(e.TlogEntries()) {
		b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, entryOf(t, log, entry))
	}
	for _, stamp := range must(e.Timestamps()) {
		data := b.VerificationMaterial.TimestampVerificationData
		data.Rfc3161Timestamps = append(data.Rfc3161Timestamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: stamp})
	}
	return b
}

// TestKeyless: what a sigstore's certificate signed holds for the identity, issuer, log and
// time that are trusted, and for no other.
func TestKeyless(t *testing.T) {
	s := newScene(t, newHub(t, true))
	virtual, foreign := must(ca.NewVirtualSigstore()), must(ca.NewVirtualSigstore())
	start := time.Now()
	now := start.Add(10 * time.Minute)
	sign := statementOf(t, SignType, "{}", s.subject.Digest)
	attest := func(by *ca.VirtualSigstore, who, says string, at time.Time) *protobundle.Bundle {
		t.Helper()
		return bundleBy(t, by, must(by.AttestAtTime(who, says, sign, at, true)))
	}
	good := func() *protobundle.Bundle { return attest(virtual, ana, issuer, start.Add(time.Minute)) }
	by := Signers{Identities: []Identity{{"other@example.org", issuer}, {ana, issuer}}, Root: rootOf(t, virtual)}
	j := &judge{by: &by, subject: s.subject.Digest, now: now}
	change := func(f func(*protobundle.Bundle)) *protobundle.Bundle {
		b := good()
		f(b)
		return b
	}
	for what, tc := range map[string]struct {
		bundle *protobundle.Bundle
		step   Step
	}{
		"the right one":     {good(), ""},
		"with no timestamp": {change(func(b *protobundle.Bundle) { b.VerificationMaterial.TimestampVerificationData = nil }), ""},
		"of version 0.1": {change(func(b *protobundle.Bundle) {
			b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1"
			for _, e := range b.VerificationMaterial.TlogEntries {
				e.InclusionProof = nil
			}
		}), ""},
		"of version 0.2":           {change(func(b *protobundle.Bundle) { b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.2" }), ""},
		"of version 0.9":           {change(func(b *protobundle.Bundle) { b.MediaType = "application/vnd.dev.sigstore.bundle.v0.9+json" }), Malformed},
		"by another":               {attest(virtual, "eve@example.org", issuer, start.Add(time.Minute)), WrongIdentity},
		"by one who is like her":   {attest(virtual, "x"+ana, issuer, start.Add(time.Minute)), WrongIdentity},
		"by one longer":            {attest(virtual, ana+".evil", issuer, start.Add(time.Minute)), WrongIdentity},
		"by one in capitals":       {attest(virtual, strings.ToUpper(ana), issuer, start.Add(time.Minute)), WrongIdentity},
		"vouched for by another":   {attest(virtual, ana, issuer+".evil", start.Add(time.Minute)), WrongIssuer},
		"vouched for with a slash": {attest(virtual, ana, issuer+"/", start.Add(time.Minute)), WrongIssuer},
		"expired when it signed":   {attest(virtual, ana, issuer, start.Add(20*time.Minute)), Expired},
		"another sigstore's":       {attest(foreign, ana, issuer, start.Add(time.Minute)), NoLogEntry},
		"in no log":                {change(func(b *protobundle.Bundle) { b.VerificationMaterial.TlogEntries = nil }), NoLogEntry},
		"with another's log entry": {change(func(b *protobundle.Bundle) {
			b.VerificationMaterial.TlogEntries = good().VerificationMaterial.TlogEntries
		}), NoLogEntry},
		"with a broken proof": {change(func(b *protobundle.Bundle) {
			b.VerificationMaterial.TlogEntries[0].InclusionProof.RootHash[3] ^= 1
		}), NoLogEntry},
		"with a broken promise and no other": {change(func(b *protobundle.Bundle) {
			b.VerificationMaterial.TlogEntries[0].InclusionPromise.SignedEntryTimestamp[9] ^= 1
		}), NoLogEntry},
		"at no time": {change(func(b *protobundle.Bundle) {
			b.VerificationMaterial.TlogEntries[0].InclusionPromise = nil
			b.VerificationMaterial.TimestampVerificationData = nil
		}), NoTime},
		"a changed signature": {change(func(b *protobundle.Bundle) { b.GetDsseEnvelope().Signatures[0].Sig[12] ^= 1 }), NoLogEntry},
		"a changed payload": {change(func(b *protobundle.Bundle) {
			b.GetDsseEnvelope().Payload = bytes.Replace(sign, []byte(`{}`), []byte(`{"a":1}`), 1)
		}), NoLogEntry},
		"a message": {change(func(b *protobundle.Bundle) {
			b.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{MessageDigest: &protocommon.HashOutput{}}}
		}), WrongType},
		"about another": {bundleBy(t, virtual, must(virtual.AttestAtTime(ana, issuer, statementOf(t, SignType, "{}", s.other.Digest), start.Add(time.Minute), true))), WrongDigest},
		"about two":     {bundleBy(t, virtual, must(virtual.AttestAtTime(ana, issuer, statementOf(t, SignType, "{}", s.subject.Digest, s.other.Digest), start.Add(time.Minute), true))), WrongDigest},
		"a certificate of another authority": {func() *protobundle.Bundle {
			e := must(foreign.AttestAtTime(ana, issuer, sign, start.Add(time.Minute), true))
			b := bundleBy(t, foreign, e)
			cert, sig := must(e.VerificationContent()).Certificate(), b.GetDsseEnvelope().Signatures[0].Sig
			entry := must(virtual.GenerateTlogEntry(cert, must(e.SignatureContent()).EnvelopeContent().RawEnvelope(), sig, start.Add(time.Minute).Unix(), true))
			b.VerificationMaterial.TlogEntries = []*protorekor.TransparencyLogEntry{entryOf(t, virtual, entry)}
			b.VerificationMaterial.TimestampVerificationData = nil
			return b
		}(), WrongAuthority},
	} {
		found, wrong := j.bundled(must(protojson.Marshal(tc.bundle)))
		switch {
		case tc.step == "" && wrong != nil:
			t.Errorf("%s is refused: %s, %s", what, wrong.step, wrong.why)
		case tc.step == "" && (found.Subject != ana || found.Issuer != issuer || found.Identity != &by.Identities[1] || found.At.IsZero() || found.Key != nil):
			t.Errorf("%s: %+v", what, found)
		case tc.step != "" && (wrong == nil || wrong.step != tc.step):
			t.Errorf("%s: %+v, %+v, want %s", what, found, wrong, tc.step)
		}
	}
	data := must(protojson.Marshal(good()))
	j.now = start.Add(-time.Hour)
	if _, wrong := j.bundled(data); wrong == nil || wrong.step != NotYet {
		t.Errorf("from the future: %+v", wrong)
	}
	j.by = &Signers{Keys: []*Key{s.release.Key}}
	if _, wrong := j.bundled(data); wrong == nil || wrong.step != WrongIdentity {
		t.Errorf("where only keys are trusted: %+v", wrong)
	}
	refer(t, s.r, s.subject, data)
	if found, rejected, err := Find(t.Context(), s.r, s.subject.Digest, by, now, Options{}); err != nil {
		t.Error(err)
	} else {
		holds(t, "in a registry", found, rejected, ana+" (by "+issuer+")")
	}
}

// annotationsOf is how cosign's tag layouts have what shows when something was signed.
func annotationsOf(t *testing.T, log *ca.VirtualSigstore, e *ca.TestEntity) map[string]string {
	t.Helper()
	entry := entryOf(t, log, must(e.TlogEntries())[0])
	at := logged{Promise: entry.InclusionPromise.SignedEntryTimestamp}
	at.Payload.Body, at.Payload.Time, at.Payload.Index, at.Payload.Log = entry.CanonicalizedBody, entry.IntegratedTime, entry.LogIndex, hex.EncodeToString(entry.LogId.KeyId)
	return map[string]string{
		signatureKey:   base64.StdEncoding.EncodeToString(must(e.SignatureContent()).Signature()),
		certificateKey: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: must(e.VerificationContent()).Certificate().Raw})),
		loggedKey:      string(jsonOf(t, at)),
		timestampKey:   string(jsonOf(t, map[string][]byte{"SignedRFC3161Timestamp": must(e.Timestamps())[0]})),
	}
}

// TestKeylessTags: in the tag layouts, the annotations show what a bundle does.
func TestKeylessTags(t *testing.T) {
	s := newScene(t, newHub(t, true))
	virtual := must(ca.NewVirtualSigstore())
	start := time.Now()
	by := Signers{Identities: []Identity{{ana, issuer}}, Root: rootOf(t, virtual)}
	payload := simpleOf(s.r.Repository(), s.subject.Digest)
	layer := blobOf(t, s.r, simpleType, payload)
	for what, tc := range map[string]struct {
		change func(map[string]string)
		step   Step
	}{
		"the right one":         {func(map[string]string) {}, ""},
		"without a timestamp":   {func(a map[string]string) { delete(a, timestampKey) }, ""},
		"without a log":         {func(a map[string]string) { delete(a, loggedKey) }, NoLogEntry},
		"without a certificate": {func(a map[string]string) { delete(a, certificateKey) }, WrongKey},
		"with two certificates": {func(a map[string]string) { a[certificateKey] += a[certificateKey] }, Malformed},
		"with another time": {func(a map[string]string) {
			a[loggedKey] = regexp.MustCompile(`"integratedTime":\d`).ReplaceAllString(a[loggedKey], `"integratedTime":2`)
		}, Expired},
		"with another place": {func(a map[string]string) {
			a[loggedKey] = strings.Replace(a[loggedKey], `"logIndex":1`, `"logIndex":2`, 1)
		}, NoLogEntry},
		"a log that is no JSON":  {func(a map[string]string) { a[loggedKey] = "{" }, Malformed},
		"a timestamp of nothing": {func(a map[string]string) { a[timestampKey] = "[]" }, Malformed},
	} {
		d := layer
		d.Annotations = annotationsOf(t, virtual, must(virtual.SignAtTime(ana, issuer, payload, start.Add(time.Minute))))
		tc.change(d.Annotations)
		sigManifest(t, s.r, s.subject.Digest, d)
		found, rejected, err := Find(t.Context(), s.r, s.subject.Digest, by, start.Add(10*time.Minute), Options{})
		switch {
		case err != nil:
			t.Errorf("%s: %v", what, err)
		case tc.step == "":
			if holds(t, what, found, rejected, ana+" (by "+issuer+")"); len(found) == 1 && found[0].At.IsZero() {
				t.Errorf("%s: at no time", what)
			}
		default:
			refused(t, what, found, rejected, tc.step)
		}
	}
	sigManifest(t, s.r, s.subject.Digest)
	e := must(virtual.AttestAtTime(ana, issuer, statementOf(t, "x", `{"a":1}`, s.subject.Digest), start.Add(time.Minute), false))
	att := blobOf(t, s.r, envelopeType, jsonOf(t, must(e.SignatureContent()).EnvelopeContent().RawEnvelope()))
	att.Annotations = annotationsOf(t, virtual, e)
	manifestOf(t, s.r, tagOf(s.subject.Digest, ".att"), oci.Manifest{Config: blobOf(t, s.r, oci.MediaTypeImageConfig, []byte("{}")), Layers: []oci.Descriptor{att}})
	found, rejected, err := Find(t.Context(), s.r, s.subject.Digest, by, start.Add(10*time.Minute), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if holds(t, "an attestation", found, rejected, ana+" (by "+issuer+")"); len(found) == 1 && !found[0].Attests() {
		t.Errorf("%+v", found[0])
	}
}

// TestIdentity: a pattern is for what it says and nothing that looks like it.
func TestIdentity(t *testing.T) {
	workflow := "https://github.com/o/r/.github/workflows/*.yml@refs/tags/v*"
	for _, tc := range []struct {
		pattern, subject string
		want             bool
	}{
		{ana, ana, true}, {ana, ana + " ", false}, {ana, "x" + ana, false}, {ana, "аna@example.org", false}, {ana, "ana@example.org\x00", false}, {ana, "", false},
		{workflow, "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1.2", true},
		{workflow, "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v", true},
		{workflow, "https://github.com/o/r/.github/workflows/x/release.yml@refs/tags/v1", false},
		{workflow, "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1/x", false},
		{workflow, "https://github.com/o/r/.github/workflows/release.yml@refs/heads/v1", false},
		{workflow, "https://github.com/o/r2/.github/workflows/release.yml@refs/tags/v1", false},
		{workflow, "https://github.com.evil/o/r/.github/workflows/release.yml@refs/tags/v1", false},
		{"https://github.com/o/*/w", "https://github.com/o/a/w", true}, {"https://github.com/o/*/w", "https://github.com/o/a/b/w", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"*b", "b", true}, {"a.c", "abc", false},
	} {
		if got := (&Identity{Subject: tc.pattern}).names(tc.subject); got != tc.want {
			t.Errorf("%q for %q: %v", tc.pattern, tc.subject, got)
		}
	}
}

// FuzzIdentity: a pattern means what it means as a regular expression.
func FuzzIdentity(f *testing.F) {
	f.Add("a*b/*c", "axxb/yc")
	f.Add("*/a*b", "x/a/ab")
	f.Add("*ab*", "aab")
	f.Fuzz(func(t *testing.T, pattern, subject string) {
		if strings.ToValidUTF8(pattern+subject, "") != pattern+subject {
			return // regular expressions have no bytes that are no text
		}
		like := regexp.MustCompile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `[^/]*`) + `\z`)
		if got := (&Identity{Subject: pattern}).names(subject); got != like.MatchString(subject) {
			t.Errorf("%q for %q: %v", pattern, subject, got)
		}
	})
}

// TestWhenAKeySigned: a log that is trusted says when a key signed; one that is not, or that
// has another signature, says nothing, and the signature holds all the same.
func TestWhenAKeySigned(t *testing.T) {
	s := newScene(t, newHub(t, true))
	virtual, foreign := must(ca.NewVirtualSigstore()), must(ca.NewVirtualSigstore())
	now := time.Now()
	payload := simpleOf(s.r.Repository(), s.subject.Digest)
	layer := layerOf(t, s.r, s.release, payload)
	entry := func(log *ca.VirtualSigstore, sig string, at time.Time) string {
		var l logged
		l.Payload.Body = jsonOf(t, map[string]any{"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": map[string]any{
			"data": map[string]any{"hash": map[string]string{"algorithm": "sha256", "value": layer.Digest.Encoded()}},
			"signature": map[string]any{"content": sig, "publicKey": map[string][]byte{"content": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY",
				Bytes: must(x509.MarshalPKIXPublicKey(must(s.release.signer.PublicKey())))})}}}})
		l.Payload.Time, l.Payload.Index, l.Payload.Log = at.Unix(), 5, must(log.RekorLogID())
		l.Promise = must(log.RekorSignPayload(tlog.RekorPayload{Body: base64.StdEncoding.EncodeToString(l.Payload.Body), IntegratedTime: l.Payload.Time, LogIndex: 5, LogID: l.Payload.Log}))
		return string(jsonOf(t, l))
	}
	right := layer.Annotations[signatureKey]
	by := trusting(s.release)
	by.Root = rootOf(t, virtual)
	for what, tc := range map[string]struct {
		logged string
		want   int64
	}{
		"in the log":            {entry(virtual, right, now), now.Unix()},
		"in another log":        {entry(foreign, right, now), 0},
		"of another signature":  {entry(virtual, layerOf(t, s.r, s.release, payload).Annotations[signatureKey], now), 0},
		"from the future":       {entry(virtual, right, now.Add(30*time.Minute)), 0},
		"what cannot be read":   {"{", 0},
		"where there is no log": {"", 0},
	} {
		d := layer
		d.Annotations = map[string]string{signatureKey: right, loggedKey: tc.logged}
		sigManifest(t, s.r, s.subject.Digest, d)
		found, rejected, err := Find(t.Context(), s.r, s.subject.Digest, by, now, Options{})
		if err != nil {
			t.Fatal(err)
		}
		holds(t, what, found, rejected, "key release")
		if len(found) == 1 && (found[0].At.IsZero() != (tc.want == 0) || tc.want != 0 && found[0].At.Unix() != tc.want) {
			t.Errorf("%s: at %v", what, found[0].At)
		}
	}
}
