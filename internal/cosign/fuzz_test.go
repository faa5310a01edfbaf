package cosign

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

var fuzzed = digest.FromString("the manifest")

// FuzzSimple: a payload that is read says to sigstore's own reader what it says here.
func FuzzSimple(f *testing.F) {
	f.Add(simpleOf("a.example/app", fuzzed))
	f.Add([]byte(`{"critical":{"type":"cosign container image signature"},"optional":{"a":1}}`))
	f.Add([]byte(`{"critical":{"Type":"x","type":"cosign container image signature"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, wrong := parseSimple(data)
		if wrong != nil {
			return
		}
		var theirs payload.SimpleContainerImage
		if err := json.Unmarshal(data, &theirs); err != nil && json.Unmarshal(got.Optional, new(map[string]any)) == nil {
			t.Errorf("%q is read, and there %v", data, err)
		}
		c := theirs.Critical
		if c.Type != simpleSigning || c.Identity.DockerReference != got.Critical.Identity.Reference || c.Image.DockerManifestDigest != string(got.Critical.Image.Digest) {
			t.Errorf("%q is %+v here and %+v there", data, got, theirs)
		}
	})
}

// FuzzEnvelope: an envelope that is read says, written again, the same, to DSSE's own reader
// too.
func FuzzEnvelope(f *testing.F) {
	s := newSigner(f, "release", "p256")
	f.Add(envelopeOf(f, payloadType, statementOf(f, SignType, "{}", fuzzed), s))
	f.Add([]byte(`{"payloadType":"a","payload":"","signatures":[{"sig":"AA=="},{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, wrong := parseEnvelope(data)
		if wrong != nil {
			return
		}
		again := dsse.Envelope{PayloadType: got.kind, Payload: base64.StdEncoding.EncodeToString(got.payload)}
		for _, sig := range got.signatures {
			again.Signatures = append(again.Signatures, dsse.Signature{Sig: base64.StdEncoding.EncodeToString(sig)})
		}
		theirs, err := again.DecodeB64Payload()
		if err != nil || !bytes.Equal(theirs, got.payload) {
			t.Errorf("%q has the payload %q here and %q there, %v", data, got.payload, theirs, err)
		}
		twice, wrong := parseEnvelope(must(json.Marshal(again)))
		if wrong != nil || twice.kind != got.kind || !bytes.Equal(twice.payload, got.payload) || len(twice.signatures) != len(got.signatures) {
			t.Errorf("%q read again: %+v, %+v", data, twice, wrong)
		}
	})
}

// FuzzBundle: whatever is made of bundles that a key signed, nothing holds that it did not
// sign.
func FuzzBundle(f *testing.F) {
	s := newSigner(f, "release", "p256")
	sign, slsa := statementOf(f, SignType, "{}", fuzzed), statementOf(f, "x", `{"a":1}`, fuzzed)
	for _, payload := range [][]byte{sign, slsa} {
		f.Add(bundleOf(envelopeOf(f, payloadType, payload, s)))
	}
	f.Add(bundleOf(envelopeOf(f, payloadType, statementOf(f, SignType, "{}", digest.FromString("another")), s)))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","verificationMaterial":{"x509CertificateChain":{"certificates":[{"rawBytes":"AA=="}]},"tlogEntries":[{"logIndex":"1","logId":{"keyId":"AA=="},"kindVersion":{"kind":"dsse","version":"0.0.1"},"integratedTime":"1","inclusionPromise":{"signedEntryTimestamp":"AA=="},"canonicalizedBody":"e30="}]},"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AA=="}]}}`))
	by := trusting(s)
	j := &judge{by: &by, subject: fuzzed, now: noon}
	f.Fuzz(func(t *testing.T, data []byte) {
		found, wrong := j.bundled(data)
		if (found == nil) == (wrong == nil) {
			t.Fatalf("%q: %+v, %+v", data, found, wrong)
		}
		if found == nil {
			return
		}
		if found.Key != s.Key || found.PredicateType != SignType && (found.PredicateType != "x" || string(found.Predicate) != `{"a":1}`) {
			t.Errorf("%q holds as %+v", data, found)
		}
	})
}
