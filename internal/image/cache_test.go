package image

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// cached opens a repository by a cache.
func cached(t *testing.T, c Cache, offline bool, ref string) *Cached {
	t.Helper()
	k, err := OpenCached(t.Context(), Reference{Registry, ref}, c, offline, Options{Registries: quick()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// TestCached: what is known by its digest is not fetched again, while the registry is asked each
// time what a tag leads to and what refers to a manifest; offline it is all answered as it was,
// also that something is not there, and what was never asked is not known.
func TestCached(t *testing.T) {
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprint("referrers ", answers), func(t *testing.T) {
			h := newHub(t)
			if answers {
				h = withReferrers(h)
				l := layout{}
				h.push("team/app", "1", l, l.one(t, "amd64", typed(l.blob(h.lower), ociLayer+"+gzip"), tarOf(t, file("etc/a", "a"))))
			}
			var asked []string
			host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				asked = append(asked, r.Method+" "+r.URL.Path)
				next.ServeHTTP(w, r)
			})
			r := h.at(host, "team/app:1")
			top, err := r.Named(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tagged, referring := besides(t, r, top.Descriptor)
			c := Cache{Dir: t.TempDir(), Now: packedAt}
			note := "of " + string(top.Digest)
			blob := oci.Descriptor{Digest: digest.FromString(note), Size: int64(len(note))}
			// look asks all that is asked of an image, and says what came of it.
			look := func(c Cache, offline bool) (said []string, n int) {
				t.Helper()
				asked = nil
				k := cached(t, c, offline, host+"/team/app:1")
				say := func(d *Document, err error) {
					switch {
					case errors.Is(err, ErrNotFound):
						said = append(said, "nothing")
					case errors.Is(err, ErrOther):
						said = append(said, err.Error())
					case err != nil:
						t.Fatal(err)
					default:
						said = append(said, fmt.Sprint(d.Digest, d.MediaType, d.Size, len(d.Data)))
					}
				}
				say(k.Named(t.Context()))
				say(k.Tagged(t.Context(), referrersTag(top.Digest)+".sig"))
				say(k.Tagged(t.Context(), referrersTag(top.Digest)+".att"))
				say(k.Manifest(t.Context(), referring.Digest))
				say(k.Manifest(t.Context(), digest.FromString("none")))
				list, err := k.Referrers(t.Context(), top.Digest, 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range list {
					said = append(said, string(d.Digest), d.ArtifactType)
				}
				data, err := k.Blob(t.Context(), blob, 1000)
				if err != nil {
					t.Fatal(err)
				}
				said = append(said, string(data))
				if _, err := k.Blob(t.Context(), oci.Descriptor{Digest: blob.Digest, Size: 3}, 1000); !errors.Is(err, ErrOther) {
					t.Errorf("a blob of another size: %v", err)
				}
				if offline && !k.Seen().Equal(packedAt) || k.Tag() != "1" || k.Repository() != host+"/team/app" {
					t.Errorf("%v %s %s", k.Seen(), k.Repository(), k.Tag())
				}
				return said, len(asked)
			}
			plain, _ := look(Cache{}, false)
			first, cold := look(c, false)
			again, warm := look(c, false)
			offline, none := look(c, true)
			for what, got := range map[string][]string{"with a cache": first, "again": again, "offline": offline} {
				if diff := cmp.Diff(plain, got); diff != "" {
					t.Errorf("%s: %s", what, diff)
				}
			}
			// Not the referrer, the blob and, where the registry has no such question, that.
			if fewer := map[bool]int{true: 2, false: 3}[answers]; none != 0 || cold-warm != fewer || plain[1] != fmt.Sprint(tagged.Digest, tagged.MediaType, tagged.Size, tagged.Size) {
				t.Errorf("%d requests, then %d, then %d: %q", cold, warm, none, asked)
			}
			// The tag moves: offline it leads where it did.
			moved := must(r.PutManifest(t.Context(), "1", oci.MediaTypeImageManifest, append(bytes.TrimSuffix(top.Data, []byte("}")), " }"...)))
			if d, err := cached(t, c, true, host+"/team/app:1").Named(t.Context()); err != nil || d.Digest != top.Digest {
				t.Errorf("%v, %v", d, err)
			}
			if d, err := cached(t, c, false, host+"/team/app:1").Named(t.Context()); err != nil || d.Digest != moved.Digest {
				t.Errorf("%v, %v", d, err)
			}
			if d, err := cached(t, c, true, host+"/team/app:1").Named(t.Context()); err != nil || d.Digest != moved.Digest {
				t.Errorf("%v, %v", d, err)
			}
			for _, ref := range []string{host + "/team/app:2", host + "/team/many:1", host + "/team/app@" + string(digest.FromString("x"))} {
				if _, err := cached(t, c, true, ref).Named(t.Context()); !errors.Is(err, ErrNotKept) {
					t.Errorf("%s, never asked: %v", ref, err)
				}
			}
			if _, err := cached(t, Cache{}, true, host+"/team/app:1").Named(t.Context()); !errors.Is(err, ErrNotKept) {
				t.Errorf("without a cache: %v", err)
			}
			if _, err := cached(t, c, true, host+"/team/app:1").Referrers(t.Context(), moved.Digest, 10); !errors.Is(err, ErrNotKept) {
				t.Errorf("referrers that were not asked for: %v", err)
			}
			// An hour later a registry may answer more.
			later := c
			later.Now = c.Now.Add(unasking)
			asked = nil
			if _, err := cached(t, later, false, host+"/team/app:1").Referrers(t.Context(), top.Digest, 10); err != nil || !strings.Contains(strings.Join(asked, " "), "/referrers/") {
				t.Errorf("%v: %q", err, asked)
			}
		})
	}
}

// TestCacheKeeps: bytes are as they were put there or are not there at all, and what is oldest
// goes where there is more than may be.
func TestCacheKeeps(t *testing.T) {
	c := Cache{Dir: t.TempDir(), Most: 8 * diskBlock, Now: packedAt}
	id := digest.FromString("one")
	if _, there := c.Get(id, 10); there {
		t.Error("it is there before")
	}
	if !c.Put(id, []byte("one")) || c.Put(id, []byte("one")) {
		t.Error("it is new once")
	}
	if data, there := c.Get(id, 3); !there || string(data) != "one" {
		t.Errorf("%q, %v", data, there)
	}
	if _, there := c.Get(id, 2); there {
		t.Error("it is longer than may be")
	}
	path := filepath.Join(c.Dir, keptBlobs, "sha256", id.Encoded())
	if err := os.WriteFile(path, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, there := c.Get(id, 10); there {
		t.Errorf("it was changed, and is %q", data)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was changed stays: %v", err)
	}
	for _, wrong := range []digest.Digest{"", "sha256:../../../x", "md5:900150983cd24fb0d6963f7d28e17f72"} {
		if _, there := c.Get(wrong, 10); there || c.Put(wrong, nil) {
			t.Errorf("%q is there", wrong)
		}
	}
	ids := make([]digest.Digest, 10)
	for n := range ids {
		c.Now = packedAt.Add(time.Duration(n) * time.Minute)
		ids[n] = digest.FromString(fmt.Sprint(n))
		c.Put(ids[n], fmt.Append(nil, n))
	}
	c.Now = packedAt.Add(48 * time.Hour)
	if _, there := c.Get(ids[0], 10); !there { // it was used since
		t.Error("it is gone")
	}
	c.Trim()
	var left []int
	for n, id := range ids {
		if _, there := c.Get(id, 10); there {
			left = append(left, n)
		}
	}
	if diff := cmp.Diff([]int{0, 5, 6, 7, 8, 9}, left); diff != "" {
		t.Errorf("what is left: %s", diff)
	}
	c.Trim()
	if _, there := c.Get(ids[5], 10); !there {
		t.Error("it was small enough")
	}
	// One that can't be written keeps nothing, and nothing fails.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Dir = file
	c.Put(id, []byte("one"))
	if _, there := c.Get(id, 10); there {
		t.Error("a file is a folder")
	}
}

// TestOpening: a registry that wants no credentials is asked for the manifest at once, and one
// that wants some, or has no such manifest, as before.
func TestOpening(t *testing.T) {
	h := newHub(t)
	var asked []string
	token := false
	var host string
	host = h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		asked = append(asked, r.URL.Path)
		switch {
		case r.URL.Path == "/token":
			fmt.Fprint(w, `{"token": "t"}`)
		case token && r.Header.Get("Authorization") != "Bearer t":
			w.Header().Set("Www-Authenticate", `Bearer realm="http://`+host+`/token",service="hub"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
	const manifest = "/v2/team/app/manifests/1"
	for _, test := range []struct {
		token, write bool
		tag          string
		want         []string
	}{
		{false, false, "1", []string{manifest}},
		{true, false, "1", []string{manifest, "/token", manifest}},
		{false, true, "1", []string{"/v2/", manifest}},
		{false, false, "2", []string{"/v2/team/app/manifests/2", "/v2/", "/v2/team/app/manifests/2"}},
	} {
		asked, token = nil, test.token
		r, err := OpenRemote(t.Context(), Reference{Registry, host + "/team/app:" + test.tag}, test.write, Options{Registries: quick()})
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.Named(t.Context())
		if (err == nil) != (test.tag == "1") || err == nil && d.Digest != h.manifest {
			t.Errorf("%+v: %v, %v", test, d, err)
		}
		if diff := cmp.Diff(test.want, asked); diff != "" {
			t.Errorf("%+v: %s", test, diff)
		}
		asked = nil
		if _, err := r.Named(t.Context()); (err == nil) != (test.tag == "1") || len(asked) != 1 {
			t.Errorf("asked again: %v, %q", err, asked)
		}
		r.Close()
	}
}
