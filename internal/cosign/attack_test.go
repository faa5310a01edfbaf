package cosign

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/plimsoll/plimsoll/internal/image"
)

// scene is an image, another, and keys.
type scene struct {
	hub            *hub
	r              *image.Remote
	subject, other oci.Descriptor
	release, thief *Signer
}

func newScene(t *testing.T, h *hub) *scene {
	t.Helper()
	s := &scene{hub: h, release: newSigner(t, "release", "p256"), thief: newSigner(t, "thief", "p256")}
	s.r = s.hub.open(t, "team/app")
	s.other = push(t, s.r, "another")
	s.subject = push(t, s.r, "the one")
	return s
}

// TestAttacks: what a writer to the repository can make of payloads of simple signing is
// refused by the step that is meant to; the ordinary one beside each passes.
func TestAttacks(t *testing.T) {
	t.Run("registry with referrers", func(t *testing.T) { testAttacks(t, newScene(t, newHub(t, true)), false) })
	t.Run("Debian's registry", func(t *testing.T) { testAttacks(t, newScene(t, debianHub(t)), true) })
}

// A strict registry takes no manifest of blobs that it has not got.
func testAttacks(t *testing.T, s *scene, strict bool) {
	name := s.r.Repository()
	payload, others := simpleOf(name, s.subject.Digest), simpleOf(name, s.other.Digest)
	with := func(old, new string) []byte {
		changed := strings.Replace(string(payload), old, new, 1)
		if changed == string(payload) {
			t.Fatalf("%q is not in the payload", old)
		}
		return []byte(changed)
	}
	layer := func(by *Signer, payload []byte) oci.Descriptor { return layerOf(t, s.r, by, payload) }
	change := func(d oci.Descriptor, f func(*oci.Descriptor)) oci.Descriptor {
		d.Annotations = map[string]string{signatureKey: d.Annotations[signatureKey]}
		f(&d)
		return d
	}
	right := layer(s.release, payload)
	swapped := func(d *oci.Descriptor) {
		d.Annotations[signatureKey] = layer(s.release, others).Annotations[signatureKey]
	}
	for what, tc := range map[string]struct {
		layer oci.Descriptor
		step  Step
	}{
		"forged":                           {layer(s.thief, payload), WrongKey},
		"for another image":                {layer(s.release, others), WrongDigest},
		"another's signature":              {change(right, swapped), WrongKey},
		"no signature":                     {change(right, func(d *oci.Descriptor) { delete(d.Annotations, signatureKey) }), Malformed},
		"a signature of a few bits more":   {change(right, func(d *oci.Descriptor) { d.Annotations[signatureKey] += "A" }), Malformed},
		"a garbled certificate":            {change(right, func(d *oci.Descriptor) { d.Annotations[certificateKey] = "x" }), Malformed},
		"of another type":                  {change(right, func(d *oci.Descriptor) { d.MediaType += "; charset=utf-8" }), WrongType},
		"an envelope's type":               {change(right, func(d *oci.Descriptor) { d.MediaType = envelopeType }), WrongType},
		"said to be too large":             {change(right, func(d *oci.Descriptor) { d.Size = 64<<10 + 1 }), Malformed},
		"said to be larger than it is":     {change(right, func(d *oci.Descriptor) { d.Size++ }), Malformed},
		"of a blob that is not there":      {change(right, func(d *oci.Descriptor) { d.Digest = digest.FromString("none") }), Malformed},
		"of a digest that is none":         {change(right, func(d *oci.Descriptor) { d.Digest = "../../x" }), Malformed},
		"a key twice":                      {layer(s.release, with(`"type"`, `"type":"x","type"`)), Malformed},
		"a key in another case":            {layer(s.release, with(`"critical"`, `"Critical":{},"critical"`)), Malformed},
		"a critical key that is not known": {layer(s.release, with(`"type"`, `"expires":"2020-01-01","type"`)), Malformed},
		"another kind of signature":        {layer(s.release, with("cosign container image", "atomic container")), WrongType},
		"no payload":                       {layer(s.release, []byte("null")), WrongType},
		"what is signed for DSSE":          {layer(s.release, dsse.PAE(payloadType, payload)), Malformed},
	} {
		if _, err := s.r.Blob(t.Context(), oci.Descriptor{Digest: tc.layer.Digest, Size: tc.layer.Size}, 1<<20); strict && err != nil && tc.layer.Size == right.Size {
			if _, err := putManifest(t, s.r, tagOf(s.subject.Digest, ".sig"), oci.Manifest{Config: right, Layers: []oci.Descriptor{tc.layer}}); err == nil {
				t.Errorf("%s: a strict registry takes it", what)
			}
			continue
		}
		sigManifest(t, s.r, s.subject.Digest, tc.layer)
		found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release), Options{})
		refused(t, what, found, rejected, tc.step)
		// What is wrong with one does not hide another.
		sigManifest(t, s.r, s.subject.Digest, tc.layer, right)
		found, rejected = find(t, s.r, s.subject.Digest, trusting(s.release), Options{})
		holds(t, what+", and the right one", found, rejected, "key release")
		if len(rejected) != 1 || rejected[0].Step != tc.step || !strings.Contains(rejected[0].Where, "layer 1 of 2") {
			t.Errorf("%s, and the right one: %v", what, rejected)
		}
	}
	sigManifest(t, s.r, s.subject.Digest, right)
	found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release), Options{})
	holds(t, "the right one", found, rejected, "key release")
}

// TestCopied: the signatures of one image put beside another do not vouch for it, and those
// that are copied with their image do, unless the name is wanted.
func TestCopied(t *testing.T) {
	t.Run("registry without referrers", func(t *testing.T) { testCopied(t, newScene(t, newHub(t, false))) })
	t.Run("Debian's registry", func(t *testing.T) { testCopied(t, newScene(t, debianHub(t))) })
}

func testCopied(t *testing.T, s *scene) {
	if err := s.release.SignTag(t.Context(), s.r, s.other.Digest, noon); err != nil {
		t.Fatal(err)
	}
	if err := s.release.SignReferrer(t.Context(), s.r, s.other, noon); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{".sig", ""} {
		d, err := s.r.Tagged(t.Context(), tagOf(s.other.Digest, suffix))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.r.PutManifest(t.Context(), tagOf(s.subject.Digest, suffix), d.MediaType, d.Data); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []Layout{Tags, Referrers} {
		found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release), Options{Layouts: []Layout{at}})
		refused(t, "copied, "+string(at), found, rejected, WrongDigest)
		found, rejected = find(t, s.r, s.other.Digest, trusting(s.release), Options{Layouts: []Layout{at}})
		holds(t, "where it was, "+string(at), found, rejected, "key release")
	}
	elsewhere := s.hub.open(t, "mirror/app")
	copied := push(t, elsewhere, "another")
	sigManifest(t, elsewhere, copied.Digest, layerOf(t, elsewhere, s.release, simpleOf(s.r.Repository(), copied.Digest)))
	found, rejected := find(t, elsewhere, copied.Digest, trusting(s.release), Options{})
	holds(t, "in a mirror", found, rejected, "key release")
	found, rejected = find(t, elsewhere, copied.Digest, trusting(s.release), Options{SameName: true})
	refused(t, "in a mirror, by name", found, rejected, WrongName)
	found, rejected = find(t, s.r, s.other.Digest, trusting(s.release), Options{SameName: true, Layouts: []Layout{Referrers}})
	refused(t, "a bundle, by name", found, rejected, WrongName)
	for _, tail := range []string{"", ":1", "@" + string(copied.Digest)} {
		sigManifest(t, elsewhere, copied.Digest, layerOf(t, elsewhere, s.release, simpleOf(elsewhere.Repository()+tail, copied.Digest)))
		found, rejected = find(t, elsewhere, copied.Digest, trusting(s.release), Options{SameName: true})
		holds(t, "by its name, with "+tail, found, rejected, "key release")
	}
	for _, tc := range [][2]string{{"index.docker.io/library/app", "docker.io/library/app"}, {"app", "docker.io/library/app"}, {"a.example/app:1", "a.example/app"}} {
		if wrong := sameName(tc[0], tc[1]); wrong != nil {
			t.Errorf("%q for %s: %s", tc[0], tc[1], wrong.why)
		}
	}
	for _, tc := range [][2]string{{"a.example/app2", "a.example/app"}, {"a.example/App", "a.example/app"}, {"a.example/team/../app", "a.example/app"}, {"a.example/аpp", "a.example/app"}, {"", "a.example/app"}} {
		if wrong := sameName(tc[0], tc[1]); wrong == nil || wrong.step != WrongName {
			t.Errorf("%q is taken for %s", tc[0], tc[1])
		}
	}
}

// TestEnvelopes: in bundles and envelopes, what is not a statement about this manifest
// alone, signed as such, is refused; the ordinary one and an attestation are found.
func TestEnvelopes(t *testing.T) {
	t.Run("registry with referrers", func(t *testing.T) { testEnvelopes(t, newScene(t, newHub(t, true))) })
	t.Run("Debian's registry", func(t *testing.T) { testEnvelopes(t, newScene(t, debianHub(t))) })
}

func testEnvelopes(t *testing.T, s *scene) {
	sign := statementOf(t, SignType, "{}", s.subject.Digest)
	slsa := statementOf(t, "https://slsa.dev/provenance/v1", `{"buildType": "x"}`, s.subject.Digest, s.subject.Digest)
	bare := func(by *Signer, payload []byte) []byte {
		return jsonOf(t, dsse.Envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(payload),
			Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(must(by.sign(payload)))}}})
	}
	retyped := func(envelope []byte, kind string) []byte {
		var e dsse.Envelope
		if err := json.Unmarshal(envelope, &e); err != nil {
			t.Fatal(err)
		}
		e.PayloadType = kind
		return jsonOf(t, e)
	}
	long := digest.SHA512.FromString("x")
	text := string(sign)
	for what, tc := range map[string]struct {
		envelope []byte
		step     Step
	}{
		"forged":                        {envelopeOf(t, payloadType, sign, s.thief), WrongKey},
		"signed as another type":        {envelopeOf(t, "application/json", sign, s.release), WrongType},
		"signed as another, told as it": {retyped(envelopeOf(t, "application/json", sign, s.release), payloadType), WrongKey},
		"without its type":              {bare(s.release, sign), WrongKey},
		"about another":                 {envelopeOf(t, payloadType, statementOf(t, SignType, "{}", s.other.Digest), s.release), WrongDigest},
		"about two":                     {envelopeOf(t, payloadType, statementOf(t, SignType, "{}", s.subject.Digest, s.other.Digest), s.release), WrongDigest},
		"about two, the other first":    {envelopeOf(t, payloadType, statementOf(t, "x", "{}", s.other.Digest, s.subject.Digest), s.release), WrongDigest},
		"about none":                    {envelopeOf(t, payloadType, statementOf(t, SignType, "{}"), s.release), WrongDigest},
		"about another digest":          {envelopeOf(t, payloadType, statementOf(t, SignType, "{}", long), s.release), WrongDigest},
		"a subject twice":               {envelopeOf(t, payloadType, []byte(strings.Replace(text, `"subject"`, `"subject":[],"subject"`, 1)), s.release), Malformed},
		"a subject in another case":     {envelopeOf(t, payloadType, []byte(strings.Replace(text, `"subject"`, `"Subject"`, 1)), s.release), WrongDigest},
		"no statement":                  {envelopeOf(t, payloadType, simpleOf("x", s.subject.Digest), s.release), WrongType},
		"no predicate type":             {envelopeOf(t, payloadType, statementOf(t, "", "{}", s.subject.Digest), s.release), Malformed},
		"a key of the predicate twice":  {envelopeOf(t, payloadType, []byte(strings.Replace(text, `"predicate":{}`, `"predicate":{"a":1,"a":2}`, 1)), s.release), Malformed},
		"no JSON":                       {[]byte("{"), Malformed},
	} {
		for _, form := range []string{"bundle", "envelope"} {
			r := s.hub.open(t, strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(what, " ", "-"), ",", ""))+"/"+form)
			subject := push(t, r, "the one")
			put := func(envelope []byte) {
				if form == "bundle" {
					refer(t, r, subject, bundleOf(envelope))
					return
				}
				manifestOf(t, r, tagOf(subject.Digest, ".att"), oci.Manifest{Config: blobOf(t, r, oci.MediaTypeImageConfig, []byte("{}")), Layers: []oci.Descriptor{blobOf(t, r, envelopeType, envelope)}})
			}
			put(tc.envelope)
			found, rejected := find(t, r, subject.Digest, trusting(s.release), Options{})
			refused(t, what+", "+form, found, rejected, tc.step)
			for _, right := range [][]byte{sign, slsa} {
				put(envelopeOf(t, payloadType, right, s.release))
			}
			want := []string{"key release", "key release"}
			if form == "envelope" {
				want = want[1:] // each put replaces the one before
			}
			found, rejected = find(t, r, subject.Digest, trusting(s.release), Options{})
			holds(t, what+", and the right ones, "+form, found, rejected, want...)
			at := slices.IndexFunc(found, func(f Signature) bool { return f.Attests() })
			if at < 0 || string(found[at].Predicate) != `{"buildType":"x"}` && string(found[at].Predicate) != `{"buildType": "x"}` {
				t.Errorf("%s, %s: the attestation is %+v", what, form, found)
			}
		}
	}
	// One envelope by two; one of them is nobody's.
	r := s.hub.open(t, "two")
	subject := push(t, r, "the one")
	both := blobOf(t, r, envelopeType, envelopeOf(t, payloadType, slsa, s.thief, s.release))
	manifestOf(t, r, tagOf(subject.Digest, ".att"), oci.Manifest{Config: blobOf(t, r, oci.MediaTypeImageConfig, []byte("{}")), Layers: []oci.Descriptor{both}})
	found, rejected := find(t, r, subject.Digest, trusting(s.release), Options{})
	holds(t, "by two", found, rejected, "key release")
	refer(t, r, subject, bundleOf(envelopeOf(t, payloadType, sign, s.release, s.release)))
	found, rejected = find(t, r, subject.Digest, trusting(s.release), Options{Layouts: []Layout{Referrers}})
	refused(t, "a bundle by two", found, rejected, Malformed)
}

// TestMany: of very many signatures the first are looked at, and no more.
func TestMany(t *testing.T) {
	t.Run("registry without referrers", func(t *testing.T) { testMany(t, newScene(t, newHub(t, false))) })
	t.Run("Debian's registry", func(t *testing.T) { testMany(t, newScene(t, debianHub(t))) })
}

func testMany(t *testing.T, s *scene) {
	payload := simpleOf(s.r.Repository(), s.subject.Digest)
	right, forged := layerOf(t, s.r, s.release, payload), layerOf(t, s.r, s.thief, payload)
	many := slices.Repeat([]oci.Descriptor{forged}, 10_000)
	many[63] = right
	sigManifest(t, s.r, s.subject.Digest, many...)
	before := s.hub.asked.Load()
	found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release), Options{})
	holds(t, "the right one is the 64th", found, rejected, "key release")
	if len(rejected) != 64 || rejected[63].Step != TooMany {
		t.Errorf("%d rejected, the last %v", len(rejected), rejected[len(rejected)-1])
	}
	if asked := s.hub.asked.Load() - before; asked > 5 {
		t.Errorf("%d requests", asked)
	}
	many[63], many[64] = forged, right
	sigManifest(t, s.r, s.subject.Digest, many...)
	found, rejected, err := Find(t.Context(), s.r, s.subject.Digest, trusting(s.release), noon, Options{})
	if err == nil || !errors.Is(err, ErrMore) || len(found) != 0 || rejected[64].Step != TooMany {
		t.Errorf("the right one is the 65th: %d found, %v", len(found), err)
	}
	before = s.hub.asked.Load()
	if err := s.release.SignTag(t.Context(), s.r, s.subject.Digest, noon); err == nil || !strings.Contains(err.Error(), "10000 signatures") {
		t.Errorf("signed beside 10,000, where nobody would look: %v", err)
	}
	if asked := s.hub.asked.Load() - before; asked > 66 {
		t.Errorf("%d requests to sign", asked)
	}
}

// TestReferrers: what a list of referrers may name that is no bundle about the manifest is
// told or passed over; and no reference is followed.
func TestReferrers(t *testing.T) {
	s := newScene(t, newHub(t, false))
	sign := envelopeOf(t, payloadType, statementOf(t, SignType, "{}", s.subject.Digest), s.release)
	if err := s.release.SignReferrer(t.Context(), s.r, s.other, noon); err != nil {
		t.Fatal(err)
	}
	ofOther, err := s.r.Referrers(t.Context(), s.other.Digest, 10)
	if err != nil || len(ofOther) != 1 {
		t.Fatal(ofOther, err)
	}
	refer(t, s.r, s.subject, bundleOf(sign))
	chained := refer(t, s.r, ofOther[0], bundleOf(sign)) // refers to a referrer
	layer := blobOf(t, s.r, bundleType, bundleOf(sign))
	two := referAs(t, s.r, s.other, bundleType, layer, layer)
	sbom := referAs(t, s.r, s.subject, "application/spdx+json", blobOf(t, s.r, "text/spdx+json", []byte("{}")))
	mistyped := referAs(t, s.r, s.subject, bundleType, blobOf(t, s.r, "application/json", bundleOf(sign)))
	vague := refer(t, s.r, s.subject, bundleOf(envelopeOf(t, payloadType, statementOf(t, SignType, "{}", s.subject.Digest), s.release)))
	vague.ArtifactType = oci.MediaTypeEmptyJSON
	self := s.subject
	self.ArtifactType = bundleType
	gone := oci.Descriptor{MediaType: oci.MediaTypeImageManifest, ArtifactType: bundleType, Digest: digest.FromString("gone"), Size: 3}
	index, err := s.r.Tagged(t.Context(), tagOf(s.subject.Digest, ""))
	if err != nil {
		t.Fatal(err)
	}
	loop := oci.Descriptor{MediaType: index.MediaType, ArtifactType: bundleType, Digest: index.Digest, Size: index.Size}
	list := []oci.Descriptor{ofOther[0], chained, two, sbom, mistyped, self, gone, loop, loop, vague}
	serving := s.hub.handler
	put := func(list []oci.Descriptor) {
		t.Helper()
		// The registry would not take an index of what it has not got.
		s.hub.handler = listing{serving, tagOf(s.subject.Digest, ""), jsonOf(t, oci.Index{MediaType: oci.MediaTypeImageIndex, Manifests: list})}
	}
	put(list)
	before := s.hub.asked.Load()
	found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release), Options{Layouts: []Layout{Referrers}})
	holds(t, "the last of the list", found, rejected, "key release")
	var got []string
	for _, r := range rejected {
		got = append(got, string(r.Step))
	}
	want := []Step{WrongDigest, WrongDigest, WrongDigest, WrongType, WrongDigest, Malformed, Malformed}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rejected %v, want %v: %v", got, want, rejected)
	}
	if asked := s.hub.asked.Load() - before; asked > 12 {
		t.Errorf("%d requests", asked)
	}
	var none []oci.Descriptor
	for range 200 {
		none = append(none, oci.Descriptor{MediaType: oci.MediaTypeImageManifest, ArtifactType: bundleType, Digest: digest.FromString(fmt.Sprint(len(none))), Size: 3})
	}
	put(append(none, vague))
	if _, rejected, err := Find(t.Context(), s.r, s.subject.Digest, trusting(s.release), noon, Options{Layouts: []Layout{Referrers}}); err == nil || rejected[len(rejected)-1].Step != TooMany {
		t.Errorf("200 before it: %v", err)
	}
	put(append([]oci.Descriptor{vague}, none...))
	found, rejected = find(t, s.r, s.subject.Digest, trusting(s.release), Options{Layouts: []Layout{Referrers}})
	holds(t, "200 after it", found, rejected, "key release")
}

// TestCannotLook: where the registry does not answer, it is not said that nothing is there.
func TestCannotLook(t *testing.T) {
	s := newScene(t, newHub(t, true))
	if err := s.release.SignTag(t.Context(), s.r, s.subject.Digest, noon); err != nil {
		t.Fatal(err)
	}
	serving := s.hub.handler
	for _, part := range []string{"/manifests/", "/blobs/", "/referrers/"} {
		s.hub.handler = refusing{serving, part}
		if found, rejected, err := Find(t.Context(), s.r, s.subject.Digest, trusting(s.release), noon, Options{}); err == nil {
			t.Errorf("without %s: %v, %v", part, found, rejected)
		}
	}
	s.hub.handler = serving
	found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release), Options{})
	holds(t, "again", found, rejected, "key release")
	for what, by := range map[string]Signers{
		"a key that was not read": {Keys: []*Key{{Name: "x"}}},
		"a nil key":               {Keys: []*Key{nil}},
		"no root":                 {Identities: []Identity{{"a", "b"}}},
		"no issuer":               {Identities: []Identity{{Subject: "a"}}},
		"anybody":                 {Identities: []Identity{{"**", "b"}}},
	} {
		if _, _, err := Find(t.Context(), s.r, s.subject.Digest, by, noon, Options{}); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if _, _, err := Find(t.Context(), s.r, "sha256:x", trusting(s.release), noon, Options{}); err == nil {
		t.Error("a digest that is none is taken")
	}
}

// TestKeys: keys of the kinds that cosign and openssl write are read, others refused.
func TestKeys(t *testing.T) {
	for kind, made := range makers {
		private := made()
		k, err := ParseKey(kind, publicPEM(private))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		s, err := ParseSigner(kind, privatePEM(private), nil)
		if err != nil || s.Key.ID != k.ID || !strings.HasPrefix(k.ID, "sha256:") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	one, two := publicPEM(makers["p256"]()), publicPEM(makers["p256"]())
	short := must(rsa.GenerateKey(rand.Reader, 1024))
	for what, data := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("x"), "two keys": append(slices.Clone(one), two...), "a private key": privatePEM(makers["p256"]()), "a short RSA key": publicPEM(short),
		"what follows": append(slices.Clone(one), "x"...),
	} {
		if _, err := ParseKey("k", data); err == nil || !strings.Contains(err.Error(), "key k") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ParseKey("k", append([]byte("a comment\n"), append(one, '\n')...)); err != nil {
		t.Errorf("with a comment: %v", err)
	}
	for what, data := range map[string][]byte{"a public key": one, "a short RSA key": privatePEM(short), "nothing": nil} {
		if _, err := ParseSigner("k", data, nil); err == nil {
			t.Errorf("%s signs", what)
		}
	}
}
