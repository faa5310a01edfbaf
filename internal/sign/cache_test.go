package sign

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/test/notary"
)

// signedIn is a shop with two images, signed in a layout, at a registry that answers what refers to
// a manifest or does not; and a policy that trusts who signed.
func signedIn(t testing.TB, layout string, referrers, index bool) (*shop, *Policy) {
	t.Helper()
	s := newShopOf(t, referrers)
	release, key := s.signer("release")
	for _, tag := range []string{"1", "2"} {
		var d oci.Descriptor
		if index {
			d = s.index(s.remote, tag, s.image(s.remote, "", "amd64", tag))
		} else {
			d = s.image(s.remote, tag, "amd64", tag)
		}
		err := error(nil)
		if layout == "tag" {
			err = release.SignTag(t.Context(), s.remote, d.Digest, noon)
		} else {
			err = release.SignReferrer(t.Context(), s.remote, d, noon)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s, s.policy("keys:\n" + key + "images:\n  - {name: \"HOST/*\", signed: {any: [{key: release}]}}\n")
}

// TestRequests: how many a registry gets for one image, which is signed in one layout: the first
// of it, the next of it, one with nothing kept but that it does not answer what refers to a
// manifest, one by what was kept, and one offline.
func TestRequests(t *testing.T) {
	for _, test := range []struct {
		layout    string
		referrers bool // the registry answers what refers to a manifest
		index     bool
		// first, another image of the repository, and the first again
		first, next, again int64
	}{
		{"tag", true, false, 4, 4, 3},
		{"referrer", true, false, 4, 4, 2},
		{"tag", false, false, 5, 4, 3},
		{"referrer", false, false, 5, 4, 2},
		{"tag", true, true, 5, 5, 3},
		{"referrer", true, true, 5, 5, 2},
		{"tag", false, true, 6, 5, 3},
		{"referrer", false, true, 6, 5, 2},
	} {
		t.Run(fmt.Sprintf("%s, asked %v, index %v", test.layout, test.referrers, test.index), func(t *testing.T) {
			s, p := signedIn(t, test.layout, test.referrers, test.index)
			v := Verifier{Policy: p, Platform: "linux/amd64", Now: noon, Cache: image.Cache{Dir: t.TempDir(), Now: noon}}
			verify := func(tag string) int64 {
				t.Helper()
				before := s.asked.Load()
				r, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:" + tag})
				if err != nil || !r.Trusted() {
					t.Fatalf("%+v, %v", r, err)
				}
				return s.asked.Load() - before
			}
			got := []int64{verify("1"), verify("2"), verify("1"), 0}
			v.Offline, v.Image.Registries = true, nowhere(t)
			got[3] = verify("1")
			if diff := cmp.Diff([]int64{test.first, test.next, test.again, 0}, got); diff != "" {
				t.Errorf("requests: %s", diff)
			}
		})
	}
}

// TestOffline: without the registry a changed policy is decided over by what was kept, which
// says when that was; what is not kept is not known, and a signature that was taken away counts
// until the registry is asked again.
func TestOffline(t *testing.T) {
	s := newShop(t)
	release, key := s.signer("release")
	_, otherKey := s.signer("other")
	entry := "images:\n  - {name: \"HOST/*\", signed: {any: [{key: release}]}}\n"
	right := s.policy("keys:\n" + key + entry)
	revoked := s.policy("keys:\n" + strings.Replace(key, "  release:\n", "  release:\n    revoked: 2026-11-01\n    why: stolen\n", 1) + entry)
	other := s.policy("keys:\n" + strings.Replace(otherKey, "other:", "release:", 1) + entry)
	one := s.image(s.remote, "1", "amd64", "one")
	if err := release.SignTag(t.Context(), s.remote, one.Digest, noon); err != nil {
		t.Fatal(err)
	}
	s.image(s.remote, "2", "amd64", "two")
	cache := image.Cache{Dir: t.TempDir(), Now: noon}
	verify := func(p *Policy, tag string, offline bool) (*Result, error) {
		t.Helper()
		v := Verifier{Policy: p, Now: noon, Cache: cache, Offline: offline}
		if offline {
			v.Now = noon.Add(48 * time.Hour)
			v.Cache.Now, v.Image.Registries = v.Now, nowhere(t)
		}
		return v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:" + tag})
	}
	if _, err := verify(right, "1", true); !errors.Is(err, image.ErrNotKept) {
		t.Errorf("before it was asked: %v", err)
	}
	for _, tag := range []string{"1", "2"} {
		if _, err := verify(right, tag, false); err != nil {
			t.Fatal(err)
		}
	}
	for what, test := range map[string]struct {
		p    *Policy
		tag  string
		want string
	}{"signed": {right, "1", ""}, "by another": {other, "1", StepSigners}, "by a revoked key": {revoked, "1", StepSigners}, "unsigned": {right, "2", StepSigners}} {
		r, err := verify(test.p, test.tag, true)
		if err != nil || r.Refused != test.want || !strings.Contains(r.Steps[0].Text, "was asked last on 2026-11-28T12:00:00Z") || r.Steps[0].Name != StepPlace {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	// An empty list of signatures in the place of the signature.
	empty := s.must(s.remote.PutBlob(t.Context(), oci.MediaTypeEmptyJSON, []byte("{}")))
	s.must(s.remote.PutManifest(t.Context(), "sha256-"+one.Digest.Encoded()+".sig", oci.MediaTypeImageManifest, s.json(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageManifest, "config": empty, "layers": []any{}})))
	if r, err := verify(right, "1", true); err != nil || !r.Trusted() {
		t.Errorf("offline: %+v, %v", r, err)
	}
	for _, offline := range []bool{false, true} {
		if r, err := verify(right, "1", offline); err != nil || r.Trusted() {
			t.Errorf("taken away: %+v, %v", r, err)
		}
	}
}

// TestCacheOfMany: those who verify at a time by one cache, which is too small for what they keep,
// each learn what one alone does.
func TestCacheOfMany(t *testing.T) {
	s, p := signedIn(t, "referrer", true, true)
	cache := image.Cache{Dir: t.TempDir(), Most: 10 << 10, Now: noon}
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			v := Verifier{Policy: p, Platform: "linux/amd64", Now: noon, Cache: cache}
			for range 5 {
				r, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: fmt.Sprintf("%s/shop/api:%d", s.host, 1+n%2)})
				if err != nil || !r.Trusted() {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestOfflineContentTrust: what a server of trust said is decided over without it, and not what
// was never asked.
func TestOfflineContentTrust(t *testing.T) {
	n := notary.Start(t)
	s := newShop(t)
	gun := s.host + "/shop/api"
	one := s.image(s.remote, "1", "amd64", "one")
	s.image(s.remote, "2", "amd64", "two")
	n.Begin(gun)
	n.Run("addhash", gun, "1", fmt.Sprint(one.Size), "--sha256", one.Digest.Encoded(), "-p")
	p := s.policy("content_trust:\n  acme: {url: \"" + n.URL + "\", keys: [" + n.IDs("root")[0] + "]}\nimages:\n  - {name: \"HOST/*\", signed: {any: [{content_trust: acme}]}}\n")
	v := Verifier{Policy: p, State: t.TempDir(), Now: time.Now(), Image: image.Options{Registries: image.Registries{Certs: n.Certs(n.URL)}}, Cache: image.Cache{Dir: t.TempDir(), Now: time.Now()}}
	verify := func(tag string) (*Result, error) {
		return v.Verify(t.Context(), image.Reference{Source: image.Registry, At: gun + ":" + tag})
	}
	if r, err := verify("1"); err != nil || !r.Trusted() {
		t.Fatalf("%+v, %v", r, err)
	}
	v.Offline, v.Image.Registries = true, nowhere(t)
	if r, err := verify("1"); err != nil || !r.Trusted() {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := verify("2"); !errors.Is(err, image.ErrNotKept) {
		t.Errorf("never asked: %v", err)
	}
}

// BenchmarkOffline is a verification by what was kept, of an image that is signed in each layout.
func BenchmarkOffline(b *testing.B) {
	for _, layout := range []string{"tag", "referrer"} {
		b.Run(layout, func(b *testing.B) {
			s, p := signedIn(b, layout, true, false)
			v := Verifier{Policy: p, Platform: "linux/amd64", Now: noon, Cache: image.Cache{Dir: b.TempDir(), Now: noon}}
			ref := image.Reference{Source: image.Registry, At: s.host + "/shop/api:1"}
			if _, err := v.Verify(b.Context(), ref); err != nil {
				b.Fatal(err)
			}
			v.Offline = true
			for b.Loop() {
				if r, err := v.Verify(b.Context(), ref); err != nil || !r.Trusted() {
					b.Fatal(r, err)
				}
			}
		})
	}
}

// BenchmarkCold is a verification with nothing kept of the image, in each place that a signature
// may be in: its requests are those where another image of the repository was verified before.
func BenchmarkCold(b *testing.B) {
	for _, at := range []struct {
		name, layout string
		referrers    bool
	}{{"tag", "tag", true}, {"referrer", "referrer", true}, {"fallback", "referrer", false}} {
		b.Run(at.name, func(b *testing.B) {
			s, p := signedIn(b, at.layout, at.referrers, false)
			var requests int64
			for b.Loop() {
				v := Verifier{Policy: p, Platform: "linux/amd64", Now: noon, Cache: image.Cache{Dir: b.TempDir(), Now: noon}}
				for _, tag := range []string{"2", "1"} {
					before := s.asked.Load()
					if r, err := v.Verify(b.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:" + tag}); err != nil || !r.Trusted() {
						b.Fatal(r, err)
					}
					if tag == "1" {
						requests += s.asked.Load() - before
					}
				}
			}
			b.ReportMetric(float64(requests)/float64(b.N), "requests")
		})
	}
}
