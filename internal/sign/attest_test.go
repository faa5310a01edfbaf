package sign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/strict"
)

const (
	inToto     = "application/vnd.in-toto+json"
	provenance = "https://slsa.dev/provenance/v1"
	spdx       = "https://spdx.dev/Document"
	workflow   = "https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/v4"
	issuer     = "https://token.actions.githubusercontent.com"
	builtHere  = `{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1","resolvedDependencies":[{"uri":"git+https://github.com/acme/shop@refs/tags/v4"}]},"runDetails":{"builder":{"id":"https://ci.example/builder"}}}`
	ofOurs     = `predicate.runDetails.builder.id == "https://ci.example/builder" && predicate.buildDefinition.resolvedDependencies.exists(d, d.uri.startsWith("git+https://github.com/acme/shop@"))`
)

// attester is somebody who signs statements with a key.
type attester struct {
	*shop
	private *ecdsa.PrivateKey
	// key is it as a policy has it.
	key string
}

func (s *shop) attester(name string) *attester {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	return &attester{s, private, "  " + name + ":\n    pem: |\n      " + inYAML(s.t, &private.PublicKey) + "\n"}
}

// statement is one about digests, of a type.
func statement(kind, predicate string, about ...oci.Descriptor) []byte {
	var subjects []string
	for _, d := range about {
		subjects = append(subjects, fmt.Sprintf(`{"name":"x","digest":{"sha256":%q}}`, d.Digest.Encoded()))
	}
	return []byte(fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[%s],"predicateType":%q,"predicate":%s}`, strings.Join(subjects, ","), kind, predicate))
}

// envelope signs a statement as of one type, and says that it is of another.
func (a *attester) envelope(signedAs, told string, payload []byte) []byte {
	a.t.Helper()
	sum := sha256.Sum256(dsse.PAE(signedAs, payload))
	sig, err := ecdsa.SignASN1(rand.Reader, a.private, sum[:])
	if err != nil {
		a.t.Fatal(err)
	}
	return a.json(dsse.Envelope{PayloadType: told, Payload: base64.StdEncoding.EncodeToString(payload), Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(sig)}}})
}

// says is a statement in an envelope.
func (a *attester) says(kind, predicate string, about ...oci.Descriptor) []byte {
	a.t.Helper()
	return a.envelope(inToto, inToto, statement(kind, predicate, about...))
}

// attach puts envelopes where cosign has the attestations of an image, in the place of others.
func (s *shop) attach(r *image.Remote, about oci.Descriptor, envelopes ...[]byte) {
	s.t.Helper()
	m := oci.Manifest{MediaType: oci.MediaTypeImageManifest, Config: s.must(r.PutBlob(s.t.Context(), oci.MediaTypeImageConfig, []byte("{}")))}
	m.SchemaVersion = 2
	for _, e := range envelopes {
		m.Layers = append(m.Layers, s.must(r.PutBlob(s.t.Context(), "application/vnd.dsse.envelope.v1+json", e)))
	}
	s.must(r.PutManifest(s.t.Context(), "sha256-"+about.Digest.Encoded()+".att", m.MediaType, s.json(m)))
}

// refer puts a bundle that refers to an image, as cosign does since its third release.
func (s *shop) refer(r *image.Remote, about oci.Descriptor, bundle []byte) {
	s.t.Helper()
	const kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
	m := oci.Manifest{MediaType: oci.MediaTypeImageManifest, ArtifactType: kind, Config: s.must(r.PutBlob(s.t.Context(), oci.MediaTypeEmptyJSON, []byte("{}"))),
		Layers: []oci.Descriptor{s.must(r.PutBlob(s.t.Context(), kind, bundle))}, Subject: &oci.Descriptor{MediaType: about.MediaType, Digest: about.Digest, Size: about.Size}}
	m.SchemaVersion = 2
	s.must(r.PutReferrer(s.t.Context(), m))
}

func bundled(envelope []byte) []byte {
	return []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"any"}},"dsseEnvelope":` + string(envelope) + `}`)
}

// by makes a certificate of a virtual sigstore sign a statement: its bundle.
func (s *shop) by(log *ca.VirtualSigstore, who string, payload []byte, at time.Time) []byte {
	s.t.Helper()
	e, err := log.AttestAtTime(who, issuer, payload, at, true)
	if err != nil {
		s.t.Fatal(err)
	}
	material, err1 := e.VerificationContent()
	content, err2 := e.SignatureContent()
	entries, err3 := e.TlogEntries()
	if err := errors.Join(err1, err2, err3); err != nil {
		s.t.Fatal(err)
	}
	entry := entries[0].TransparencyLogEntry()
	body := struct{ Kind, APIVersion string }{}
	if err := json.Unmarshal(entry.CanonicalizedBody, &body); err != nil {
		s.t.Fatal(err)
	}
	promise, err := log.RekorSignPayload(tlog.RekorPayload{Body: base64.StdEncoding.EncodeToString(entry.CanonicalizedBody), IntegratedTime: entry.IntegratedTime, LogIndex: entry.LogIndex, LogID: hex.EncodeToString(entry.LogId.KeyId)})
	if err != nil {
		s.t.Fatal(err)
	}
	entry.KindVersion = &protorekor.KindVersion{Kind: body.Kind, Version: body.APIVersion}
	entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
	data, err := protojson.Marshal(&protobundle.Bundle{MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: material.Certificate().Raw}},
			TlogEntries: []*protorekor.TransparencyLogEntry{entry}},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{PayloadType: inToto, Payload: payload, Signatures: []*protodsse.Signature{{Sig: content.Signature()}}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// rootFile writes down whom a virtual sigstore's certificates and logs are trusted by.
func rootFile(t *testing.T, dir string, s *ca.VirtualSigstore) string {
	t.Helper()
	logs := s.RekorLogs()
	for id, l := range logs {
		raw, err := hex.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		l.ID = raw
	}
	written, err := root.NewTrustedRoot(root.TrustedRootMediaType01, s.FulcioCertificateAuthorities(), nil, s.TimestampingAuthorities(), logs)
	if err != nil {
		t.Fatal(err)
	}
	data, err := written.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "trusted_root.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestAttested: what an entry wants attested must be, by those who may say it, about that image,
// of that type, and as the expression says; whatever is like it and is not is refused, with the
// reason, and does not hide what is right beside it.
func TestAttested(t *testing.T) {
	s := newShop(t)
	release, releaseKey := s.signer("release")
	builder, thief, lost := s.attester("builder"), s.attester("thief"), s.attester("lost")
	p := s.policy("keys:\n" + releaseKey + builder.key + thief.key + strings.Replace(lost.key, "    pem", "    revoked: 2026-11-01\n    why: stolen\n    pem", 1) + `images:
  - name: HOST/*
    signed: {any: [{key: release}]}
    attested:
      - type: slsaprovenance1
        by: [{key: builder}, {key: lost}]
        where: |
          ` + ofOurs + `
        says: built here
  - name: HOST/sbom/*
    attested: [{type: spdx, by: [{key: builder}], where: "predicate.packages.all(p, p.name != 'log4j') && image.name.endsWith('/sbom/api') && image.digest.startsWith('sha256:') && statement.type.contains('spdx') && now > timestamp('2026-01-01T00:00:00Z')"}]
  - name: HOST/any/*
    attested: [{type: spdx, by: [{key: builder}]}]
`)
	good := func(about oci.Descriptor) []byte { return builder.says(provenance, builtHere, about) }
	other := s.image(s.remote, "other", "amd64", "other")
	twice := strings.Replace(builtHere, `"runDetails"`, `"runDetails":{"builder":{"id":"x"}},"runDetails"`, 1)
	text := func(about oci.Descriptor) string { return string(statement(provenance, builtHere, about)) }
	for n, c := range []struct {
		what     string
		envelope func(about oci.Descriptor) []byte
		// told is in the refusal, and ignored in what was rejected.
		told, ignored string
	}{
		{"by another signer", func(d oci.Descriptor) []byte { return thief.says(provenance, builtHere, d) }, "", "it holds under none"},
		{"by a revoked key", func(d oci.Descriptor) []byte { return lost.says(provenance, builtHere, d) }, "the key was revoked on 2026-11-01: stolen", ""},
		{"of another image", func(oci.Descriptor) []byte { return good(other) }, "", string(cosign.WrongDigest)},
		{"of this and another", func(d oci.Descriptor) []byte { return builder.says(provenance, builtHere, d, other) }, "", string(cosign.WrongDigest)},
		{"of another type", func(d oci.Descriptor) []byte { return builder.says("https://slsa.dev/provenance/v0.2", builtHere, d) }, "provenance/v0.2 by key builder: it is of another type", ""},
		{"a type that only begins alike", func(d oci.Descriptor) []byte { return builder.says(provenance+"/", builtHere, d) }, "it is of another type", ""},
		{"a signature", func(d oci.Descriptor) []byte { return builder.says(cosign.SignType, builtHere, d) }, "no attestation by anybody whose word counts is there", ""},
		{"of another payload type", func(d oci.Descriptor) []byte {
			return builder.envelope("text/plain", "text/plain", statement(provenance, builtHere, d))
		}, "", string(cosign.WrongType)},
		{"signed as another payload type", func(d oci.Descriptor) []byte {
			return builder.envelope("text/plain", inToto, statement(provenance, builtHere, d))
		}, "", string(cosign.WrongKey)},
		{"by another builder", func(d oci.Descriptor) []byte {
			return builder.says(provenance, strings.Replace(builtHere, "ci.example", "evil.example", 1), d)
		}, " is false", ""},
		{"from another source", func(d oci.Descriptor) []byte {
			return builder.says(provenance, strings.Replace(builtHere, "acme/shop@", "acme/shop2@", 1), d)
		}, " is false", ""},
		{"without the builder", func(d oci.Descriptor) []byte { return builder.says(provenance, `{"runDetails":{}}`, d) }, "no such key: builder", ""},
		{"the builder elsewhere", func(d oci.Descriptor) []byte {
			return builder.says(provenance, `{"runDetails":{"builder":"https://ci.example/builder"}}`, d)
		}, "no such key: id", ""},
		{"a list", func(d oci.Descriptor) []byte { return builder.says(provenance, `[`+builtHere+`]`, d) }, "no such key: runDetails", ""},
		{"a text that is JSON", func(d oci.Descriptor) []byte { return builder.says(provenance, string(s.json(builtHere)), d) }, "no such key: runDetails", ""},
		{"nothing", func(d oci.Descriptor) []byte { return builder.says(provenance, "null", d) }, "no such key: runDetails", ""},
		{"a key twice", func(d oci.Descriptor) []byte { return builder.says(provenance, twice, d) }, "", string(cosign.Malformed)},
		{"two predicates", func(d oci.Descriptor) []byte {
			return builder.envelope(inToto, inToto, []byte(strings.Replace(text(d), `"predicate"`, `"predicate":{"a":1},"predicate"`, 1)))
		}, "", string(cosign.Malformed)},
		{"a predicate in another case", func(d oci.Descriptor) []byte {
			return builder.envelope(inToto, inToto, []byte(strings.Replace(text(d), `"predicate"`, `"Predicate"`, 1)))
		}, "no such key: runDetails", ""},
		{"two types", func(d oci.Descriptor) []byte {
			return builder.envelope(inToto, inToto, []byte(strings.Replace(text(d), `"predicateType"`, `"predicateType":"x","predicateType"`, 1)))
		}, "", string(cosign.Malformed)},
		{"too large", func(d oci.Descriptor) []byte {
			return builder.says(provenance, strings.Replace(builtHere, "{", `{"x":"`+strings.Repeat("x", 7<<20)+`",`, 1), d)
		}, "", "is the most"},
		{"too many values", func(d oci.Descriptor) []byte {
			return builder.says(provenance, strings.Replace(builtHere, "{", `{"x":[`+strings.Repeat("0,", maxValues)+`0],`, 1), d)
		}, "values, and 500000 are the most", ""},
	} {
		for _, form := range []string{"layer", "referrer"} {
			name := fmt.Sprintf("case-%d/%s", n, form)
			r := s.open(name)
			d := s.image(r, "1", "amd64", c.what)
			if err := release.SignTag(t.Context(), r, d.Digest, noon); err != nil {
				t.Fatal(err)
			}
			if c.what == "too large" && form == "referrer" {
				continue // a bundle has its payload once, and so may be of that size
			}
			put := func(envelopes ...[]byte) {
				if form == "layer" {
					s.attach(r, d, envelopes...)
					return
				}
				for _, e := range envelopes {
					s.refer(r, d, bundled(e))
				}
			}
			bad := c.envelope(d)
			put(bad)
			refused, res := s.verify(p, name+":1", "")
			last := res.Steps[len(res.Steps)-1]
			if refused != StepAttested || last.Name != StepAttested || !strings.Contains(last.Text, c.told) || !strings.Contains(last.Text, `nothing attests "built here" (`+provenance+`), where predicate.runDetails`) || len(res.By) != 0 {
				t.Errorf("%s, %s: refused by %q: %+v", c.what, form, refused, res.Decision)
			}
			if !strings.Contains(fmt.Sprint(res.Rejected), c.ignored) {
				t.Errorf("%s, %s: rejected %v, want %q", c.what, form, res.Rejected, c.ignored)
			}
			put(bad, good(d))
			if refused, res := s.verify(p, name+":1", ""); refused != "" || fmt.Sprint(res.By) != "[cosign key release cosign key builder attests "+provenance+"]" {
				t.Errorf("%s, %s, and the right one: refused by %q, %q: %+v %v", c.what, form, refused, res.By, res.Decision, res.Rejected)
			}
		}
	}

	// A right attestation is no signature, and a signature is asked for as well.
	r := s.open("unsigned/api")
	d := s.image(r, "1", "amd64", "unsigned")
	s.attach(r, d, good(d))
	if refused, res := s.verify(p, "unsigned/api:1", ""); refused != StepSigners {
		t.Errorf("attested and not signed: %q %+v", refused, res.Decision)
	}
	s.refer(r, d, bundled(builder.says(provenance, builtHere, d)))
	if refused, _ := s.verify(p, "unsigned/api:1", ""); refused != StepSigners {
		t.Errorf("attested twice and not signed: %q", refused)
	}

	// An attestation over an index is one for its images, and one over an image for that alone.
	r = s.open("index/api")
	amd, arm := s.image(r, "", "amd64", "index"), s.image(r, "", "arm64", "index")
	index := s.index(r, "1", amd, arm)
	if err := release.SignTag(t.Context(), r, index.Digest, noon); err != nil {
		t.Fatal(err)
	}
	s.attach(r, amd, good(amd))
	if refused, res := s.verify(p, "index/api:1", "linux/amd64"); refused != "" || res.Trusts()[index.Digest] {
		t.Errorf("of the image: %q %+v %v", refused, res.Decision, res.Rejected)
	}
	if refused, _ := s.verify(p, "index/api:1", "linux/arm64"); refused != StepAttested {
		t.Errorf("of the other image: %q", refused)
	}
	s.attach(r, index, good(index))
	if refused, res := s.verify(p, "index/api:1", "linux/arm64"); refused != "" || !res.Trusts()[index.Digest] {
		t.Errorf("of the index: %q %v", refused, res.Trusts())
	}

	// Without signed, attestations alone vouch, and a signature does not.
	r = s.open("sbom/api")
	d = s.image(r, "1", "amd64", "sbom")
	bom := func(name string) []byte {
		return builder.says(spdx, `{"packages":[{"name":"zlib"},{"name":"`+name+`"}]}`, d)
	}
	if err := release.SignTag(t.Context(), r, d.Digest, noon); err != nil {
		t.Fatal(err)
	}
	s.refer(r, d, bundled(builder.says(cosign.SignType, "{}", d)))
	if refused, res := s.verify(p, "sbom/api:1", ""); refused != StepAttested || len(res.By) != 0 {
		t.Errorf("signed alone: %q %+v", refused, res.Decision)
	}
	s.attach(r, d, bom("log4j"))
	if refused, res := s.verify(p, "sbom/api:1", ""); refused != StepAttested || !strings.Contains(res.Steps[len(res.Steps)-1].Text, "is false") {
		t.Errorf("with what must not be in it: %q %+v", refused, res.Decision)
	}
	s.attach(r, d, bom("log4go"))
	if refused, res := s.verify(p, "sbom/api:1", ""); refused != "" || fmt.Sprint(res.By) != "[cosign key builder attests "+spdx+"]" {
		t.Errorf("without: %q %+v", refused, res.Decision)
	}
	r = s.open("any/api")
	d = s.image(r, "1", "amd64", "any")
	s.attach(r, d, builder.says(spdx, `"not even JSON"`, d))
	if refused, _ := s.verify(p, "any/api:1", ""); refused != "" {
		t.Errorf("of any content: %q", refused)
	}
}

// TestAttestedRequests: an entry that wants something attested asks for that as well, and ends
// with it; one that does not asks for none, whatever is there (TestVerify counts those).
func TestAttestedRequests(t *testing.T) {
	s := newShop(t)
	release, releaseKey := s.signer("release")
	builder := s.attester("builder")
	images := "images:\n  - name: HOST/shop/*\n    signed: {any: [{key: release}]}\n"
	signed := s.policy("keys:\n" + releaseKey + builder.key + images)
	attested := s.policy("keys:\n" + releaseKey + builder.key + images + "    attested: [{type: spdx, by: [{key: builder}]}]\n")
	d := s.image(s.remote, "1", "amd64", "one")
	if err := release.SignTag(t.Context(), s.remote, d.Digest, noon); err != nil {
		t.Fatal(err)
	}
	s.attach(s.remote, d, builder.says(spdx, "{}", d))
	for _, c := range []struct {
		p    *Policy
		want int64
	}{{signed, 4}, {attested, 6}} {
		before := s.asked.Load()
		if refused, res := s.verify(c.p, "shop/api:1", ""); refused != "" {
			t.Errorf("refused by %q: %+v", refused, res.Decision)
		}
		if n := s.asked.Load() - before; n != c.want {
			t.Errorf("%d requests, want %d", n, c.want)
		}
	}
}

// TestAttestedKeyless: the workflow that a certificate is of must be the one that may say it,
// also where another pattern fits it too, and a time that is proven counts for the age.
func TestAttestedKeyless(t *testing.T) {
	s := newShop(t)
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	file := rootFile(t, t.TempDir(), virtual)
	who := func(identity string) string {
		return fmt.Sprintf("{identity: %q, issuer: %q, root: %q}", identity, issuer, file)
	}
	releases := "https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/*"
	p := s.policy("images:\n  - name: HOST/*\n    signed: {any: [" + who("https://github.com/acme/shop/.github/workflows/*@refs/*/*") + "]}\n    max_age: 1d\n    attested:\n" +
		"      - type: " + provenance + "\n        by: [" + who(releases) + "]\n        where: '" + ofOurs + "'\n")
	start := time.Now()
	for n, c := range []struct {
		what, who, predicate string
		by                   *ca.VirtualSigstore
		age                  time.Duration
		refused, told        string
	}{
		{"the right one", workflow, builtHere, virtual, 0, "", ""},
		{"another workflow of the repository", strings.Replace(workflow, "release.yml", "test.yml", 1), builtHere, virtual, 0, StepAttested, "it is by another signer"},
		{"a branch", strings.Replace(workflow, "refs/tags", "refs/heads", 1), builtHere, virtual, 0, StepAttested, "it is by another signer"},
		{"another repository", strings.Replace(workflow, "acme/shop/", "acme/shop2/", 1), builtHere, virtual, 0, StepAttested, "no attestation by anybody"},
		{"another sigstore", workflow, builtHere, foreign, 0, StepAttested, "no attestation by anybody"},
		{"another source", workflow, strings.Replace(builtHere, "acme/shop@", "evil/shop@", 1), virtual, 0, StepAttested, " is false"},
		{"old", workflow, builtHere, virtual, 48 * time.Hour, StepSigners, ""},
	} {
		name := fmt.Sprintf("case-%d", n)
		r := s.open(name)
		d := s.image(r, "1", "amd64", c.what)
		s.refer(r, d, s.by(virtual, workflow, statement(cosign.SignType, "{}", d), start.Add(time.Minute)))
		s.refer(r, d, s.by(c.by, c.who, statement(provenance, c.predicate, d), start.Add(time.Minute)))
		v := Verifier{Policy: p, Now: start.Add(10*time.Minute + c.age)}
		res, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/" + name + ":1"})
		if err != nil {
			t.Fatal(err)
		}
		if last := res.Steps[len(res.Steps)-1]; res.Refused != c.refused || !strings.Contains(last.Text, c.told) {
			t.Errorf("%s: refused by %q: %+v %v", c.what, res.Refused, res.Decision, res.Rejected)
		}
		if want := "cosign " + workflow + " by " + issuer + " attests " + provenance; c.refused == "" && (len(res.By) != 2 || res.By[1] != want) {
			t.Errorf("%s: by %q", c.what, res.By)
		}
	}
	// What was attested long ago counts no more either, and where no age is asked for it does.
	p = s.policy("images:\n  - {name: HOST/*, max_age: 1d, attested: [{type: " + provenance + ", by: [" + who(releases) + "]}]}\n  - {name: HOST/*/*, attested: [{type: " + provenance + ", by: [" + who(releases) + "]}]}\n")
	for name, want := range map[string]string{"aged": StepAttested, "for/ever": ""} {
		r := s.open(name)
		d := s.image(r, "1", "amd64", name)
		s.refer(r, d, s.by(virtual, workflow, statement(provenance, builtHere, d), start.Add(time.Minute)))
		v := Verifier{Policy: p, Now: start.Add(48 * time.Hour)}
		res, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/" + name + ":1"})
		if err != nil || res.Refused != want {
			t.Errorf("%s: %v, %+v", name, err, res)
		}
	}
}

// TestAttestedPolicy: what can be asked for is read, and each thing that is wrong is told with its
// place, that in an expression to the character.
func TestAttestedPolicy(t *testing.T) {
	head := "schema: plimsoll/trust/1\nkeys:\n  one:\n    pem: |\n      " + newKey(t) + "\ncontent_trust: {acme: {first: true}}\nimages:\n  - name: registry.example/*\n"
	from := strings.Count(head, "\n")
	entry := func(attested string) string { return head + "    attested:\n      - " + attested + "\n" }
	for name, c := range map[string]struct {
		file, wrong  string
		line, column int
	}{
		"a short name":        {entry("{type: vuln, by: [{key: one}]}"), "", 0, 0},
		"a URI":               {entry("{type: \"https://example.org/x\", by: [{key: one}], where: predicate.a == 1, says: x}"), "", 0, 0},
		"a URN":               {entry("{type: \"urn:example:x\", by: [{key: one}]}"), "", 0, 0},
		"an identity":         {entry("{type: vuln, by: [{identity: \"https://ci.example/*\", issuer: \"https://i.example\", root: r.json}]}"), "", 0, 0},
		"has":                 {entry("{type: vuln, by: [{key: one}], where: \"has(predicate.a) && predicate.a.size() > 0\"}"), "", 0, 0},
		"signed too":          {head + "    signed: {any: [{key: one}]}\n    attested: [{type: vuln, by: [{key: one}]}]\n", "", 0, 0},
		"unsigned":            {head + "    unsigned: true\n    why: x\n    attested: [{type: vuln, by: [{key: one}]}]\n", "says unsigned and attested", from, 5},
		"none":                {head + "    attested: []\n", "says neither who must have signed, attested or built", from, 5},
		"a type that is none": {entry("{type: slsaprovenence, by: [{key: one}]}"), "attested[0].type is no type of a predicate", from + 2, 16},
		"no type":             {entry("{by: [{key: one}]}"), "attested[0].type is no type", from + 2, 9},
		"a signature":         {entry("{type: \"" + cosign.SignType + "\", by: [{key: one}]}"), "says only that the image is signed", from + 2, 16},
		"by nobody":           {entry("{type: vuln}"), "attested[0].by names nobody", from + 2, 9},
		"by no such key":      {entry("{type: vuln, by: [{key: two}]}"), "attested[0].by[0].key names no key", from + 2, 33},
		"by content trust":    {entry("{type: vuln, by: [{content_trust: acme}]}"), "attested[0].by[0] attests nothing", from + 2, 27},
		"by everybody":        {entry("{type: vuln, by: [{identity: \"*\", issuer: a, root: b}]}"), "fits everybody", from + 2, 38},
		"a signer twice":      {entry("{type: vuln, by: [{key: one}, {key: one}]}"), "by[1] is there twice", from + 2, 39},
		"an unknown field":    {entry("{type: vuln, by: [{key: one}], were: x}"), "were", from + 2, 40},
		"no CEL":              {entry("type: vuln\n        by: [{key: one}]\n        where: predicate.a ==== 1"), "attested[0].where: ", from + 4, 30},
		"an unknown name":     {entry("type: vuln\n        by: [{key: one}]\n        where: 'true && predicat.a == 1'"), "undeclared reference to 'predicat'", from + 4, 25},
		"in a block":          {entry("type: vuln\n        by: [{key: one}]\n        where: |\n          true &&\n          predicat.a == 1"), "undeclared reference to 'predicat'", from + 6, 11},
		"in a folded one":     {entry("type: vuln\n        by: [{key: one}]\n        where: >\n          true &&\n          predicat.a == 1"), "undeclared reference to 'predicat'", from + 6, 11},
		"no truth":            {entry("{type: vuln, by: [{key: one}], where: predicate.a}"), "attested[0].where is dyn, not bool", from + 2, 47},
		"an unknown function": {entry("{type: vuln, by: [{key: one}], where: \"version(predicate.a).lt('1')\"}"), "there is no method lt()", from + 2, 69},
		"a pattern too large": {entry("{type: vuln, by: [{key: one}], where: \"predicate.a.matches('" + strings.Repeat("(a{1000})", 200) + "')\"}"), "attested[0].where", from + 2, 0},
		"too many":            {head + "    attested:\n" + strings.Repeat("      - {type: vuln, by: [{key: one}]}\n", maxAttested+1), "has 17 attestations", from + 2, 7},
	} {
		p, err := ReadPolicy("trust.yaml", []byte(c.file))
		if c.wrong == "" {
			if err != nil || len(p.Images[0].Attested) != 1 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wrong := new(strict.Error)
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.wrong) || wrong.Line != c.line || wrong.Column != c.column && c.column+c.line > 0 && name != "a pattern too large" {
			t.Errorf("%s: %v at %d:%d", name, err, wrong.Line, wrong.Column)
		}
	}
	for short, long := range predicateTypes {
		if (&Attested{Type: short}).PredicateType() != long || (&Attested{Type: long}).PredicateType() != long {
			t.Errorf("%s is not %s", short, long)
		}
	}
}

// TestPredicateBounds: what a predicate and an expression cost is bounded, and the ordinary ones
// are far below it.
func TestPredicateBounds(t *testing.T) {
	env := statements.Metered()
	judge := func(where, predicate string) (uint64, error) {
		t.Helper()
		program, err := env.Compile(where)
		if err != nil {
			t.Fatal(err)
		}
		in := &said{listener: &listener{now: noon}, kind: spdx, data: json.RawMessage(predicate)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err = in.judge(&Attested{Where: where, program: program})
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc, err
	}
	// A bill of materials, as syft writes them.
	bom := func(size int) string {
		const one = `{"SPDXID":"SPDXRef-Package-%d","name":"package-%d","versionInfo":"1.2.3","licenseConcluded":"MIT","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:deb/debian/p@1"}],"filesAnalyzed":false},`
		var b strings.Builder
		for n := 0; b.Len() < size-1000; n++ {
			fmt.Fprintf(&b, one, n, n)
		}
		return `{"spdxVersion":"SPDX-2.3","packages":[` + strings.TrimSuffix(b.String(), ",") + `]}`
	}
	small, large := bom(1<<20), bom(8<<20)
	for _, c := range []struct{ where, bom, want string }{
		{"predicate.packages.all(p, p.licenseConcluded in ['MIT', 'BSD-3-Clause'])", large, ""},
		{"predicate.spdxVersion == 'SPDX-2.3' && predicate.packages.all(p, p.externalRefs.exists(r, r.referenceLocator.startsWith('pkg:')))", large, ""},
		{"predicate.packages.exists(p, p.name == 'package-40')", small, ""},
		{"predicate.packages.all(p, p.name != 'package-7')", small, "is false"},
		{"predicate.packages.map(p, p.name).join(',').matches('(package-[0-9]+,?)+') && predicate.packages[0].none", small, "no such key: none"},
		{"predicate.packages.all(p, predicate.packages.exists_one(q, q.SPDXID == p.SPDXID))", small, "costs too much"},
		{"predicate.packages.map(p, predicate.packages).size() > 0", large, "costs too much"},
	} {
		bytes, err := judge(c.where, c.bom)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.where, err)
		}
		if bytes > 512<<20 { // what is garbage at once counts here as well
			t.Errorf("%s: %d bytes", c.where, bytes)
		}
	}
	// What is made to take most memory.
	for what, part := range map[string]string{"objects": `{"":0},`, "lists": `[],`, "lists of lists": `[[[[]]]],`, "numbers": `0,`, "texts": `"",`, "escaped": `"\u0000",`} {
		most := `{"a":[` + strings.Repeat(part, (8<<20)/len(part)) + `0]}`
		bytes, err := judge("predicate.a.size() > 0", most)
		if err == nil || !strings.Contains(err.Error(), "are the most") {
			t.Errorf("%s: %v", what, err)
		}
		if bytes > 1<<20 {
			t.Errorf("%s: %d bytes", what, bytes)
		}
		few := `{"a":[` + strings.Repeat(part, (maxValues-3)/max(1, values([]byte(part))-1)) + `0]}`
		bytes, err = judge("predicate.a.size() > 0", few)
		if err != nil {
			t.Errorf("as many %s as may be: %v", what, err)
		}
		if bytes > 256<<20 {
			t.Errorf("as many %s as may be: %d bytes", what, bytes)
		}
	}
}

// FuzzPredicate: of what is no more than may be, and is read, the number of values is not more than
// was counted.
func FuzzPredicate(f *testing.F) {
	f.Add(`{"a":[1,{"b":"x\",["}],"c":null}`)
	f.Add(`"\\"`)
	f.Add(`[[],[[]],{}]`)
	f.Fuzz(func(t *testing.T, text string) {
		var tree any
		if _, err := strict.Decode("x", []byte(text), &tree); err != nil {
			return
		}
		var count func(v any) int
		count = func(v any) int {
			n := 1
			switch v := v.(type) {
			case map[string]any:
				for _, one := range v {
					n += count(one)
				}
			case []any:
				for _, one := range v {
					n += count(one)
				}
			}
			return n
		}
		if got, most := count(tree), values([]byte(text)); got > most {
			t.Errorf("%d values, and %d were counted", got, most)
		}
	})
}

// TestManyAttestations: a refusal tells of the first few that are there, and how many more.
func TestManyAttestations(t *testing.T) {
	s := newShop(t)
	builder, other := s.attester("builder"), s.attester("other")
	p := s.policy("keys:\n" + builder.key + other.key + "images:\n  - {name: HOST/*, attested: [{type: vuln, by: [{key: builder}]}, {type: spdx, by: [{key: other}]}]}\n")
	d := s.image(s.remote, "1", "amd64", "one")
	var all [][]byte
	for n := range maxTold + 2 {
		all = append(all, other.says("https://example.org/"+fmt.Sprint(n), "{}", d))
		s.attach(s.remote, d, all...)
		_, r := s.verify(p, "shop/api:1", "")
		text := r.Steps[len(r.Steps)-1].Text
		if told := strings.Count(text, "example.org"); r.Refused != StepAttested || told != min(n+1, maxTold) || strings.Contains(text, fmt.Sprintf("; and %d more", n+1-maxTold)) != (n >= maxTold) {
			t.Errorf("of %d, %d are told: %s", n+1, told, text)
		}
	}
	s.attach(s.remote, d, append(all, other.says(spdx, "{}", d), builder.says("https://cosign.sigstore.dev/attestation/vuln/v1", "{}", d))...)
	if refused, r := s.verify(p, "shop/api:1", ""); refused != "" || len(r.By) != 2 {
		t.Errorf("with those that are needed: %q %+v", refused, r.Decision)
	}
}

// TestAttestedUntil: what rests on attestations ends with the last that does for each, by its own
// word, by its age, and after a day where the expression reads the time.
func TestAttestedUntil(t *testing.T) {
	who := "{identity: \"https://ci.example/*\", issuer: \"https://i.example\", root: r.json}"
	p, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\nkeys:\n  one:\n    pem: |\n      "+newKey(t)+`
images:
  - {name: r.example/plain, attested: [{type: vuln, by: [{key: one}]}]}
  - {name: r.example/two, signed: {any: [{key: one}]}, attested: [{type: vuln, by: [{key: one}]}, {type: spdx, by: [{key: one}]}]}
  - {name: r.example/new, max_age: 30d, attested: [{type: vuln, by: [`+who+`]}]}
  - {name: r.example/here, built: {by: [ana]}, attested: [{type: vuln, by: [{key: one}]}]}
  - {name: r.example/now, attested: [{type: vuln, by: [{key: one}], where: "predicate.at < now"}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	says := func(kind string, in time.Duration) Vouch {
		v := Vouch{Signer: Signer{Key: "one"}, Kind: "cosign", Says: &Statement{Type: predicateTypes[kind], wrong: map[int]error{0: nil, 1: nil}}}
		if in != 0 {
			v.Until = noon.Add(in)
		}
		return v
	}
	signs := func(in time.Duration) Vouch {
		v := says("", in)
		v.Says = nil
		return v
	}
	ci := says("vuln", 0)
	ci.Signer, ci.Says.Subject, ci.Says.Issuer, ci.Says.Root, ci.At = Signer{}, "https://ci.example/x", "https://i.example", "r.json", noon.Add(-10*day)
	for what, c := range map[string]struct {
		name  string
		found []Vouch
		in    time.Duration // 0 is never
	}{
		"for ever":                 {"plain", []Vouch{says("vuln", 0)}, 0},
		"for a day":                {"plain", []Vouch{says("vuln", day)}, day},
		"the longer of two":        {"plain", []Vouch{says("vuln", day), says("vuln", 3*day), says("vuln", 2*day)}, 3 * day},
		"the first that is needed": {"two", []Vouch{signs(5 * day), says("vuln", 4*day), says("spdx", 3*day)}, 3 * day},
		"the signature before":     {"two", []Vouch{signs(2 * day), says("vuln", 4*day), says("spdx", 0)}, 2 * day},
		"nothing ends":             {"two", []Vouch{signs(0), says("vuln", 0), says("spdx", 0)}, 0},
		"it becomes too old":       {"new", []Vouch{ci}, 20 * day},
		"it reads the time":        {"now", []Vouch{says("vuln", 0)}, day},
		"and ends before":          {"now", []Vouch{says("vuln", time.Hour)}, time.Hour},
	} {
		want := time.Time{}
		if c.in != 0 {
			want = noon.Add(c.in)
		}
		if d := p.Decide("r.example/"+c.name, "", c.found, noon); !d.Trusted() || !d.Until.Equal(want) {
			t.Errorf("%s: until %v, want %v: %+v", what, d.Until, want, d)
		}
	}
	if d := p.Decide("r.example/two", "", []Vouch{signs(day), says("vuln", day)}, noon); d.Refused != StepAttested || !d.Until.IsZero() || d.By != nil {
		t.Errorf("one of two: %+v", d)
	}
	// What may be built here must be attested where it is of a registry.
	if d := p.Decide("r.example/here", "", nil, noon); d.Refused != StepAttested {
		t.Errorf("of a registry, and not attested: %+v", d)
	}
	if d := p.Decide("r.example/here", "", []Vouch{says("vuln", day)}, noon); !d.Trusted() {
		t.Errorf("of a registry, and attested: %+v", d)
	}
	if d := p.Decide("r.example/two", "", []Vouch{says("vuln", day), says("spdx", day)}, noon); d.Refused != StepSigners {
		t.Errorf("attestations by who signs are no signature: %+v", d)
	}
}
