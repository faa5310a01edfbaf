package sign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/dct"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/test/notary"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// shop is a repository of a registry, and who signs in it.
type shop struct {
	t      testing.TB
	host   string
	remote *image.Remote
	asked  atomic.Int64 // requests
}

// newShop has shop/api:1 for two platforms, in an index.
func newShop(t testing.TB) *shop { return newShopOf(t, true) }

// newShopOf has a registry that answers what refers to a manifest, or one that does not.
func newShopOf(t testing.TB, referrers bool) *shop {
	t.Helper()
	s := &shop{t: t}
	hub := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		hub.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	s.remote = s.open("shop/api")
	return s
}

func (s *shop) open(name string) *image.Remote {
	s.t.Helper()
	r, err := image.OpenRemote(s.t.Context(), image.Reference{Source: image.Registry, At: s.host + "/" + name}, true, image.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { r.Close() })
	return r
}

// image puts one for an architecture into a repository, by a tag, or by its digest alone.
func (s *shop) image(r *image.Remote, tag, arch, text string) oci.Descriptor {
	s.t.Helper()
	config := s.must(r.PutBlob(s.t.Context(), oci.MediaTypeImageConfig, s.json(map[string]any{"os": "linux", "architecture": arch, "author": text, "rootfs": map[string]any{"type": "layers", "diff_ids": []any{}}})))
	d := s.must(r.PutManifest(s.t.Context(), tag, oci.MediaTypeImageManifest, s.json(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageManifest, "config": config, "layers": []any{}})))
	d.Platform = &oci.Platform{OS: "linux", Architecture: arch}
	return d
}

func (s *shop) index(r *image.Remote, tag string, children ...oci.Descriptor) oci.Descriptor {
	s.t.Helper()
	return s.must(r.PutManifest(s.t.Context(), tag, oci.MediaTypeImageIndex, s.json(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageIndex, "manifests": children})))
}

func (s *shop) json(v any) []byte {
	s.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

func (s *shop) must(d oci.Descriptor, err error) oci.Descriptor {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// signer makes a key: who signs with it, and it as a policy has it.
func (s *shop) signer(name string) (*cosign.Signer, string) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		s.t.Fatal(err)
	}
	signer, err := cosign.ParseSigner(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return signer, "  " + name + ":\n    pem: |\n      " + inYAML(s.t, &private.PublicKey) + "\n"
}

func (s *shop) policy(text string) *Policy {
	s.t.Helper()
	p, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\n"+strings.ReplaceAll(text, "HOST", s.host)))
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// verify says which step refused, "" where the image is trusted.
func (s *shop) verify(p *Policy, name, platform string) (string, *Result) {
	s.t.Helper()
	v := Verifier{Policy: p, Platform: platform, Now: noon}
	r, err := v.Verify(s.t.Context(), image.Reference{Source: image.Registry, At: s.host + "/" + name})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Refused, r
}

// TestVerify: what is signed is trusted, in each layout, as an index and as an image of it;
// what is not, or was put in the place of that, is refused by the step that must.
func TestVerify(t *testing.T) {
	s := newShop(t)
	release, releaseKey := s.signer("release")
	other, otherKey := s.signer("other")
	p := s.policy("keys:\n" + releaseKey + otherKey + "images:\n  - {name: \"HOST/shop/*\", signed: {any: [{key: release}]}}\n  - {name: \"HOST/both/*\", signed: {all: [{key: release}, {key: other}]}}\n" +
		"  - {name: \"HOST/amd/*\", signed: {any: [{key: release}]}, platforms: [linux/amd64]}\n  - {name: \"HOST/open/*\", unsigned: true, why: read by us}\n")
	is := func(what, name, platform, want string) *Result {
		t.Helper()
		refused, r := s.verify(p, name, platform)
		if refused != want {
			t.Errorf("%s: refused by %q, want %q: %+v %v", what, refused, want, r.Decision, r.Rejected)
		}
		return r
	}
	byTag := func(by *cosign.Signer, r *image.Remote, d oci.Descriptor) {
		t.Helper()
		if err := by.SignTag(t.Context(), r, d.Digest, noon); err != nil {
			t.Fatal(err)
		}
	}
	one := s.image(s.remote, "1", "amd64", "one")
	r := is("unsigned", "shop/api:1", "", StepSigners)
	if len(r.Rejected) != 1 || r.Rejected[0].Step != string(cosign.NoSignature) {
		t.Errorf("%v", r.Rejected)
	}
	byTag(other, s.remote, one)
	is("signed by somebody else", "shop/api:1", "", StepSigners)
	byTag(release, s.remote, one)
	r = is("signed", "shop/api:1", "", "")
	if diff := cmp.Diff(map[digest.Digest]bool{r.Config: true, one.Digest: true}, r.Trusts()); diff != "" || r.Config == "" || r.Entry.Place() != "images[0]" || !cmp.Equal(r.By, []string{"cosign key release"}) {
		t.Errorf("%s %+v", diff, r)
	}
	before := s.asked.Load()
	is("signed", "shop/api:1", "", "")
	if n := s.asked.Load() - before; n != 4 { // the manifest, what refers to it, the manifest of the signatures, what was signed
		t.Errorf("%d requests", n)
	}
	is("by its digest", "shop/api@"+string(one.Digest), "", "")
	two := s.image(s.remote, "1", "amd64", "two")
	is("the tag moved", "shop/api:1", "", StepSigners)
	if err := release.SignReferrer(t.Context(), s.remote, two, noon); err != nil {
		t.Fatal(err)
	}
	is("signed as a referrer", "shop/api:1", "", "")

	// A right signature put beside another image.
	evil := s.image(s.remote, "evil", "amd64", "evil")
	sig, err := s.remote.Tagged(t.Context(), "sha256-"+one.Digest.Encoded()+".sig")
	if err != nil {
		t.Fatal(err)
	}
	s.must(s.remote.PutManifest(t.Context(), "sha256-"+evil.Digest.Encoded()+".sig", sig.MediaType, sig.Data))
	if r := is("another's signature", "shop/api:evil", "", StepSigners); len(r.Rejected) == 0 || r.Rejected[len(r.Rejected)-1].Step != string(cosign.WrongDigest) && r.Rejected[0].Step != string(cosign.WrongDigest) {
		t.Errorf("%v", r.Rejected)
	}

	// An index: its signature is one for each image of it, and one of an image for that alone.
	amd, arm := s.image(s.remote, "", "amd64", "of two"), s.image(s.remote, "", "arm64", "of two")
	index := s.index(s.remote, "many", amd, arm)
	is("an index, unsigned", "shop/api:many", "linux/amd64", StepSigners)
	byTag(release, s.remote, amd)
	// Not the index: the engine could know another image by it.
	if r := is("an image of an index", "shop/api:many", "linux/amd64", ""); !cmp.Equal(r.Trusts(), map[digest.Digest]bool{r.Config: true, amd.Digest: true, index.Digest: false}) {
		t.Errorf("%v", r.Trusts())
	}
	is("the other image", "shop/api:many", "linux/arm64", StepSigners)
	swapped := amd
	swapped.Platform = arm.Platform
	s.index(s.remote, "swapped", swapped)
	is("called another platform", "shop/api:swapped", "linux/arm64", "") // it is that image, and signed
	byTag(release, s.remote, index)
	if r := is("an index", "shop/api:many", "linux/arm64", ""); r.Index != index.Digest || r.Manifest != arm.Digest || !cmp.Equal(r.Trusts(), map[digest.Digest]bool{r.Config: true, arm.Digest: true, index.Digest: true}) {
		t.Errorf("%+v %v", r, r.Trusts())
	}
	s.index(s.remote, "more", amd, arm, s.image(s.remote, "", "riscv64", "evil"))
	is("an index with more", "shop/api:more", "linux/riscv64", StepSigners)

	both := s.open("both/api")
	three := s.image(both, "1", "amd64", "three")
	byTag(release, both, three)
	is("one of two", "both/api:1", "", StepSigners)
	byTag(other, both, three)
	is("both", "both/api:1", "", "")

	// By the image's own word, whatever an unsigned index says.
	platforms := s.open("amd/api")
	four := s.image(platforms, "", "arm64", "four")
	byTag(release, platforms, four)
	four.Platform = &oci.Platform{OS: "linux", Architecture: "amd64"}
	s.index(platforms, "1", four)
	is("another platform than it says", "amd/api:1", "linux/amd64", StepPlatform)
	five := s.image(platforms, "2", "amd64", "five")
	byTag(release, platforms, five)
	is("the platform", "amd/api:2", "", "")
	// The others of a signed index may not run.
	byTag(release, platforms, s.index(platforms, "3", five, s.image(platforms, "", "arm64", "six")))
	if r := is("the platform of an index", "amd/api:3", "linux/amd64", ""); r.Trusts()[r.Index] || !r.Trusts()[r.Config] {
		t.Errorf("%v", r.Trusts())
	}

	s.image(s.open("open/api"), "1", "amd64", "six")
	if r := is("unsigned as is said", "open/api:1", "", ""); !strings.Contains(r.By[0], "the registry alone") {
		t.Errorf("%+v", r)
	}
	s.image(s.open("else/api"), "1", "amd64", "seven")
	is("of no entry", "else/api:1", "", StepEntry)

	for name, wrong := range map[string]string{"shop/api:none": "no such thing", "shop/none:1": "no such thing"} {
		v := Verifier{Policy: p, Now: noon}
		if r, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/" + name}); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	v := Verifier{Policy: p, Platform: "linux/s390x", Now: noon}
	if _, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:many"}); err == nil || !strings.Contains(err.Error(), "no image for linux/s390x") {
		t.Errorf("no such platform: %v", err)
	}
}

// TestCrowded: who may write to a repository can put so much beside signatures that not all is
// looked at. Then it can't be told who signed, where those that were found do not suffice: an image
// that is signed is not found to be unsigned, and signatures in another place count all the same.
func TestCrowded(t *testing.T) {
	s := newShop(t)
	one, first := s.signer("one")
	two, second := s.signer("two")
	p := s.policy("keys:\n" + first + second + "images:\n  - {name: \"HOST/*\", signed: {all: [{key: one}, {key: two}]}}\n")
	d := s.image(s.remote, "1", "amd64", "crowded")
	sign := func(of oci.Descriptor, by ...*cosign.Signer) {
		t.Helper()
		for _, one := range by {
			if err := one.SignTag(t.Context(), s.remote, of.Digest, noon); err != nil {
				t.Fatal(err)
			}
		}
	}
	// crowd puts rubbish behind so many signatures.
	crowd := func(of oci.Descriptor, after int) {
		t.Helper()
		tag := "sha256-" + of.Digest.Encoded() + ".sig"
		is, err := s.remote.Tagged(t.Context(), tag)
		m := oci.Manifest{}
		if err == nil {
			err = json.Unmarshal(is.Data, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		rubbish := oci.Descriptor{MediaType: "text/plain", Digest: of.Digest, Size: 1}
		m.Layers = slices.Insert(m.Layers, after, slices.Repeat([]oci.Descriptor{rubbish}, 64)...)
		s.must(s.remote.PutManifest(t.Context(), tag, m.MediaType, s.json(m)))
	}
	sign(d, one, two)
	if refused, r := s.verify(p, "shop/api:1", ""); refused != "" {
		t.Fatalf("signed by both: %+v", r.Decision)
	}
	crowd(d, 1)
	v := Verifier{Policy: p, Now: noon}
	if r, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:1"}); !errors.Is(err, cosign.ErrMore) {
		t.Errorf("signed by both, and one is beyond what is looked at: %+v, %v", r.Decision, err)
	}
	// Of an index, where the image itself is signed by both.
	amd := s.image(s.remote, "", "amd64", "of an index")
	index := s.index(s.remote, "index", amd)
	sign(index, one)
	crowd(index, 0)
	sign(amd, one, two)
	if refused, r := s.verify(p, "shop/api:index", "linux/amd64"); refused != "" || r.Trusts()[index.Digest] {
		t.Errorf("its image is signed: %+v", r.Decision)
	}
}

// TestContentTrust: what a real server of trust says was signed as a tag is trusted, and another
// image by that tag, one without a tag, one that nobody signed and one that was signed before
// are not. A server that does not answer tells nothing.
func TestContentTrust(t *testing.T) {
	n := notary.Start(t)
	s := newShop(t)
	gun := s.host + "/shop/api"
	one := s.image(s.remote, "1", "amd64", "one")
	sign := func(tag string, d oci.Descriptor) {
		t.Helper()
		n.Run("addhash", gun, tag, fmt.Sprint(d.Size), "--sha256", d.Digest.Encoded(), "-p")
	}
	n.Begin(gun)
	sign("1", one)
	state, tags := t.TempDir(), verdict.Folder(t.TempDir())
	verify := func(policy, name, want, step string) {
		t.Helper()
		p := s.policy("content_trust:\n  acme: " + policy + "\nimages:\n  - {name: \"HOST/*\", signed: {any: [{content_trust: acme}]}}\n")
		v := Verifier{Policy: p, State: state, Tags: tags, Image: image.Options{Registries: image.Registries{Certs: n.Certs(n.URL)}}, Now: time.Now()}
		r, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/" + name})
		switch {
		case want == "error":
			if err == nil || !strings.Contains(err.Error(), step) {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		case err != nil:
			t.Fatal(err)
		case r.Refused != want || step == "" && len(r.Rejected) != 0 || step != "" && (len(r.Rejected) != 1 || r.Rejected[0].Step != step || r.Rejected[0].Kind != "dct"):
			t.Errorf("%s: refused by %q, want %q by %q: %+v %v", name, r.Refused, want, step, r.Decision, r.Rejected)
		}
	}
	pinned := "{url: \"" + n.URL + "\", keys: [" + n.IDs("root")[0] + "]}"
	first := "{url: \"" + n.URL + "\", first: true}"
	verify(pinned, "shop/api:1", "", "")
	verify(first, "shop/api:1", "", "")
	verify("{url: \""+n.URL+"\", keys: ["+n.IDs("targets")[0]+"]}", "shop/api:1", StepSigners, dct.StepRoot)
	verify(pinned, "shop/api@"+string(one.Digest), StepSigners, dct.StepNoTag)
	verify(pinned, "shop/api:1@"+string(one.Digest), "", "")
	two := s.image(s.remote, "2", "amd64", "two")
	verify(pinned, "shop/api:2", StepSigners, dct.StepNoTag)
	other := s.image(s.remote, "1", "amd64", "other")
	verify(pinned, "shop/api:1", StepSigners, dct.StepDigest)
	sign("1", other)
	verify(pinned, "shop/api:1", "", "")
	verify(pinned, "shop/api:1@"+string(one.Digest), StepSigners, dct.StepDigest) // it was, and is no more
	s.image(s.remote, "1", "amd64", "one")
	sign("1", one)
	verify(pinned, "shop/api:1", "", "") // what was signed as the tag last is no older one
	sign("2", s.index(s.remote, "2", two))
	verify(pinned, "shop/api:2", "", "")
	s.image(s.open("else/api"), "1", "amd64", "three")
	verify(pinned, "else/api:1", StepSigners, dct.StepNoData)
	verify("{url: \"https://127.0.0.1:1\", first: true}", "shop/api:1", "error", "127.0.0.1:1")
}
