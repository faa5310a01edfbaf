package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/dct"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/test/notary"
)

// nowhere fails the test where anything is asked over a network.
func nowhere(t *testing.T) image.Registries {
	return image.Registries{Proxy: func(r *http.Request) (*url.URL, error) {
		t.Errorf("%s is asked for", r.URL)
		return nil, errors.New("there is no network")
	}}
}

// pack makes a bundle of an image of the shop.
func (s *shop) pack(v Verifier, name string, p image.Packing) (string, image.BundleInfo) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "bundle.tar")
	out, err := os.Create(file)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	p.At, p.By = noon, "plimsoll test"
	if p.Platform == "" {
		p.Platform = "linux/amd64"
	}
	info, left, err := v.Pack(s.t.Context(), out, image.Reference{Source: image.Registry, At: s.host + "/" + name}, p)
	if err != nil || len(left) != 0 {
		s.t.Fatalf("%v, left out %q", err, left)
	}
	return file, info
}

// TestVerifyBundle: what is trusted in a registry is trusted in a bundle of it, for the same
// reason and without a network, and what is not is not; nothing that comes in the bundle is
// trusted by itself, and an image that needs no signature only comes from a registry.
func TestVerifyBundle(t *testing.T) {
	s := newShop(t)
	release, releaseKey := s.signer("release")
	_, otherKey := s.signer("other")
	root := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(root, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	entries := "images:\n  - {name: \"HOST/shop/*\", signed: {any: [{key: release}]}}\n  - {name: \"HOST/open/*\", unsigned: true, why: read by us}\n"
	p := s.policy("keys:\n" + releaseKey + entries)
	others := s.policy("keys:\n" + strings.Replace(otherKey, "other:", "release:", 1) + entries)
	withRoot := s.policy("images:\n  - {name: \"HOST/shop/*\", signed: {any: [{identity: a@b.example, issuer: i, root: " + root + "}]}}\n")

	tagged := s.image(s.remote, "tag", "amd64", "one")
	if err := release.SignTag(t.Context(), s.remote, tagged.Digest, noon); err != nil {
		t.Fatal(err)
	}
	referred := s.image(s.remote, "referrer", "amd64", "two")
	if err := release.SignReferrer(t.Context(), s.remote, referred, noon); err != nil {
		t.Fatal(err)
	}
	index := s.index(s.remote, "index", s.image(s.remote, "", "amd64", "three"), s.image(s.remote, "", "arm64", "three"))
	if err := release.SignTag(t.Context(), s.remote, index.Digest, noon); err != nil {
		t.Fatal(err)
	}
	s.image(s.remote, "unsigned", "amd64", "four")
	s.image(s.open("open/api"), "1", "amd64", "five")
	for _, test := range []struct {
		name             string
		refused, packing string
	}{{"shop/api:tag", "", ""}, {"shop/api:referrer", "", ""}, {"shop/api:index", "", ""}, {"shop/api:index", "", "no layers"}, {"shop/api:unsigned", StepSigners, ""}, {"open/api:1", StepSigners, ""}} {
		file, info := s.pack(Verifier{Policy: p}, test.name, image.Packing{NoLayers: test.packing != ""})
		ref := image.Reference{Source: image.Registry, At: s.host + "/" + test.name}
		verify := func(p *Policy) *Result {
			t.Helper()
			files := 0
			v := Verifier{Policy: p, Platform: "linux/amd64", Now: noon, Image: image.Options{Registries: nowhere(t)}}
			r, err := v.VerifyBundle(t.Context(), file, ref, func(done, _ int) { files += done })
			if err != nil {
				t.Fatal(err)
			}
			if files != len(info.Files) {
				t.Errorf("%s: %d of %d files are checked", test.name, files, len(info.Files))
			}
			return r
		}
		r := verify(p)
		if r.Refused != test.refused || r.Steps[0].Name != StepPlace || !strings.Contains(r.Steps[0].Text, "packed on 2026-11-28T12:00:00Z by plimsoll test") {
			t.Errorf("%s: refused by %q, %+v %v", test.name, r.Refused, r.Decision, r.Rejected)
		}
		_, there := s.verify(p, test.name, "linux/amd64")
		if diff := cmp.Diff(there.Trusts(), r.Trusts()); diff != "" && test.name != "open/api:1" {
			t.Errorf("%s: in the registry, and in the bundle:\n%s", test.name, diff)
		}
		if test.name == "open/api:1" && (there.Refused != "" || slices.Contains([]bool{r.Trusts()[r.Config], r.Trusts()[r.Manifest]}, true) || len(r.By) != 0) {
			t.Errorf("unsigned: %+v, and in the registry %+v", r.Decision, there.Decision)
		}
		if r := verify(others); r.Trusted() {
			t.Errorf("%s: trusted by another's key", test.name)
		}
	}
	// Of another platform, which alone is there.
	file, info := s.pack(Verifier{Policy: p}, "shop/api:index", image.Packing{Platform: "linux/arm64"})
	for platform, want := range map[string]string{"": "", "linux/arm64": "", "linux/amd64": "no manifest"} {
		v := Verifier{Policy: p, Platform: platform, Now: noon, Image: image.Options{Registries: nowhere(t)}}
		r, err := v.VerifyBundle(t.Context(), file, image.Reference{Source: image.Registry, At: s.host + "/shop/api:index"}, func(int, int) {})
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) || want == "" && (err != nil || !r.Trusted() || r.Manifest != info.Images[0] || r.Platform != "linux/arm64") {
			t.Errorf("%q: %+v, %v", platform, r, err)
		}
	}
	// The files that the policy names are there, to be looked at and installed.
	_, info = s.pack(Verifier{Policy: withRoot}, "shop/api:tag", image.Packing{})
	if !slices.ContainsFunc(info.Files, func(f image.BundledFile) bool {
		return strings.HasPrefix(f.Path, "trust/roots/") && strings.HasSuffix(f.Path, "-root.json")
	}) {
		t.Errorf("%+v", info.Files)
	}
	v := Verifier{Policy: p, Now: noon, Image: image.Options{Registries: nowhere(t)}}
	if _, err := v.VerifyBundle(t.Context(), filepath.Join(t.TempDir(), "none.tar"), image.Reference{Source: image.Registry, At: s.host + "/shop/api:tag"}, func(int, int) {}); err == nil {
		t.Error("a bundle that is not there tells something")
	}
}

// TestReplayBundle: a bundle of an older image is refused once a newer one by its tag was trusted, and
// of an image that nobody signed nothing is remembered.
func TestReplayBundle(t *testing.T) {
	s := newShop(t)
	release, key := s.signer("release")
	p := s.policy("keys:\n" + key + "images:\n  - {name: \"HOST/shop/*\", signed: {any: [{key: release}]}}\n  - {name: \"HOST/open/*\", unsigned: true, why: read by us}\n")
	var bundles []string
	for n, text := range []string{"one", "two"} {
		d := s.image(s.remote, "1", "amd64", text)
		if err := release.SignTag(t.Context(), s.remote, d.Digest, noon.Add(time.Duration(n)*time.Hour)); err != nil {
			t.Fatal(err)
		}
		file, _ := s.pack(Verifier{}, "shop/api:1", image.Packing{})
		bundles = append(bundles, file)
	}
	s.image(s.open("open/api"), "1", "amd64", "three")
	open, _ := s.pack(Verifier{}, "open/api:1", image.Packing{})
	tags := verdict.Folder(t.TempDir())
	is := func(file, name, refused string) {
		t.Helper()
		v := Verifier{Policy: p, Platform: "linux/amd64", Now: noon.Add(48 * time.Hour), Tags: tags, ByTag: true, Image: image.Options{Registries: nowhere(t)}}
		r, err := v.VerifyBundle(t.Context(), file, image.Reference{Source: image.Registry, At: s.host + "/" + name}, func(int, int) {})
		if err != nil || r.Refused != refused {
			t.Errorf("%s: %+v, %v, want %q", name, r, err, refused)
		}
	}
	is(bundles[0], "shop/api:1", "")
	is(bundles[0], "shop/api:1", "")
	is(bundles[1], "shop/api:1", "")
	is(bundles[0], "shop/api:1", StepReplay)
	is(bundles[1], "shop/api:1", "")
	is(open, "open/api:1", StepSigners)
	if tag, err := tags.Tag(s.host + "/open/api:1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%+v, %v", tag, err)
	}
}

// TestContentTrustBundle: what a real server of trust says is verified from a bundle, by the
// root that the policy pins; one from before what was seen is refused, and so is one that the
// server's documents are not in.
func TestContentTrustBundle(t *testing.T) {
	n := notary.Start(t)
	s := newShop(t)
	gun := s.host + "/shop/api"
	sign := func(text string) {
		t.Helper()
		d := s.image(s.remote, "1", "amd64", text)
		n.Run("addhash", gun, "1", fmt.Sprint(d.Size), "--sha256", d.Digest.Encoded(), "-p")
	}
	n.Begin(gun)
	sign("one")
	policy := func(keys string) *Policy {
		return s.policy("content_trust:\n  acme: {url: \"" + n.URL + "\", keys: [" + keys + "]}\nimages:\n  - {name: \"HOST/*\", signed: {any: [{content_trust: acme}]}}\n")
	}
	pinned := policy(n.IDs("root")[0])
	packing := Verifier{Policy: pinned, Image: image.Options{Registries: image.Registries{Certs: n.Certs(n.URL)}}}
	older, _ := s.pack(packing, "shop/api:1", image.Packing{})
	sign("two")
	newer, _ := s.pack(packing, "shop/api:1", image.Packing{})
	without, _ := s.pack(Verifier{}, "shop/api:1", image.Packing{})
	state := t.TempDir()
	is := func(p *Policy, file, state, step string) {
		t.Helper()
		v := Verifier{Policy: p, Platform: "linux/amd64", State: state, Now: time.Now(), Image: image.Options{Registries: nowhere(t)}}
		r, err := v.VerifyBundle(t.Context(), file, image.Reference{Source: image.Registry, At: gun + ":1"}, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		if r.Trusted() != (step == "") || step != "" && (len(r.Rejected) != 1 || r.Rejected[0].Step != step) {
			t.Errorf("%+v %v, want %q", r.Decision, r.Rejected, step)
		}
	}
	is(pinned, older, state, "")
	is(pinned, newer, state, "")
	is(pinned, older, state, dct.StepRollback)
	is(pinned, without, state, dct.StepNoData)
	is(policy(n.IDs("targets")[0]), newer, t.TempDir(), dct.StepRoot)
	// Whoever made a bundle could have made its root: at first sight that is trusted of a server
	// alone, and afterwards, once it is known, of a bundle too.
	first := s.policy("content_trust:\n  acme: {url: \"" + n.URL + "\", first: true}\nimages:\n  - {name: \"HOST/*\", signed: {any: [{content_trust: acme}]}}\n")
	is(first, newer, t.TempDir(), dct.StepRoot)
	is(first, newer, state, "")
}
