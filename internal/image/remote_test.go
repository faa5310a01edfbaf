package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// remote opens team/app:1 of a hub for writing.
func remote(t *testing.T, h *hub, m middle) *Remote {
	t.Helper()
	r, err := OpenRemote(t.Context(), Reference{Registry, h.serve(m) + "/team/app:1"}, true, Options{Registries: quick()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// withReferrers has the hub answer what refers to a manifest.
func withReferrers(h *hub) *hub {
	with := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	h.Handler = with
	return h
}

// artifact puts a manifest about another into the repository.
func artifact(t *testing.T, r *Remote, of oci.Descriptor, text string) oci.Descriptor {
	t.Helper()
	blob, err := r.PutBlob(t.Context(), "text/plain", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	empty, err := r.PutBlob(t.Context(), oci.MediaTypeEmptyJSON, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.PutManifest(t.Context(), "", oci.MediaTypeImageManifest, jsonOf(t, map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageManifest, "artifactType": "application/x.note",
		"config": empty, "layers": []any{blob}, "subject": of}))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRemote: what is written to a repository is read from it, also where the registry does
// not answer what refers to a manifest, and an index by a tag does.
func TestRemote(t *testing.T) {
	for _, answers := range []bool{true, false} {
		h := newHub(t)
		if answers {
			h = withReferrers(h)
		}
		r := remote(t, h, nil)
		data := jsonOf(t, map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageManifest, "config": must(r.PutBlob(t.Context(), oci.MediaTypeEmptyJSON, []byte("{}"))), "layers": []any{}})
		subject, err := r.PutManifest(t.Context(), "1", oci.MediaTypeImageManifest, data)
		if err != nil {
			t.Fatal(err)
		}
		named, err := r.Named(t.Context())
		if err != nil || named.Digest != subject.Digest || !bytes.Equal(named.Data, data) || named.IsIndex() {
			t.Errorf("by its name: %+v, %v", named, err)
		}
		if list, err := r.Referrers(t.Context(), subject.Digest, 10); err != nil || len(list) != 0 {
			t.Errorf("before any: %v, %v", list, err)
		}
		var want []digest.Digest
		var all []any
		for i := range 3 {
			d := artifact(t, r, subject, fmt.Sprint("note ", i))
			want, all = append(want, d.Digest), append(all, d)
		}
		if !answers {
			index := jsonOf(t, map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageIndex, "manifests": append(all, all...)})
			if _, err := r.PutManifest(t.Context(), "sha256-"+subject.Digest.Encoded(), oci.MediaTypeImageIndex, index); err != nil {
				t.Fatal(err)
			}
		}
		list, err := r.Referrers(t.Context(), subject.Digest, 3)
		var got []digest.Digest
		for _, d := range list {
			got = append(got, d.Digest)
		}
		if diff := cmp.Diff(sortedDigests(want), sortedDigests(got)); err != nil || diff != "" {
			t.Errorf("referrers, asked %v: %v\n%s", answers, err, diff)
		}
		if _, err := r.Referrers(t.Context(), subject.Digest, 2); err == nil || !strings.Contains(err.Error(), "more than 2 referrers") {
			t.Errorf("too many: %v", err)
		}
		m, err := r.Manifest(t.Context(), want[0])
		if err != nil {
			t.Fatal(err)
		}
		note := digest.FromString("note 0")
		if data, err := r.Blob(t.Context(), oci.Descriptor{Digest: note, Size: 6}, 6); err != nil || string(data) != "note 0" {
			t.Errorf("its blob: %q, %v, in %s", data, err, m.Data)
		}
		// Another's that is put the way it should be: the registry, or the index, has it.
		fourth := oci.Manifest{MediaType: oci.MediaTypeImageManifest, ArtifactType: "application/x.note", Config: must(r.PutBlob(t.Context(), oci.MediaTypeEmptyJSON, []byte("{}"))),
			Layers: []oci.Descriptor{}, Subject: &subject, Annotations: map[string]string{"by": "ana"}}
		fourth.SchemaVersion = 2
		var put oci.Descriptor
		for range 2 { // the second time nothing changes
			put = must(r.PutReferrer(t.Context(), fourth))
		}
		four, err := r.Referrers(t.Context(), subject.Digest, 4)
		if err != nil || len(four) != 4 {
			t.Fatalf("with one more: %v, %v", four, err)
		}
		if at := slices.IndexFunc(four, func(d oci.Descriptor) bool { return d.Digest == put.Digest }); at < 0 || !answers && (four[at].ArtifactType != fourth.ArtifactType || four[at].Annotations["by"] != "ana") {
			t.Errorf("asked %v, it is told as %+v", answers, four)
		}
		fourth.Subject = nil
		if _, err := r.PutReferrer(t.Context(), fourth); err == nil {
			t.Error("what refers to nothing is a referrer")
		}
		for name, d := range map[string]oci.Descriptor{"6 bytes, and 5 is the most": {Digest: note, Size: 6}, "does not have the 5 bytes": {Digest: note, Size: 5}, "does not have the 4 bytes": {Digest: note, Size: 4}, "is no digest": {Digest: "note", Size: 1}} {
			if _, err := r.Blob(t.Context(), d, 5); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := r.Manifest(t.Context(), digest.FromString("none")); !errors.Is(err, ErrNotFound) {
			t.Errorf("a manifest that is not there: %v", err)
		}
		if _, err := r.Blob(t.Context(), oci.Descriptor{Digest: digest.FromString("none"), Size: 4}, 10); !errors.Is(err, ErrNotFound) {
			t.Errorf("a blob that is not there: %v", err)
		}
		if _, err := r.Tagged(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a tag that is not there: %v", err)
		}
	}
}

// TestRemoteLies: what a registry gives for a digest and is something else is refused, and
// so are lists without end, and an upload that is sent elsewhere.
func TestRemoteLies(t *testing.T) {
	h := withReferrers(newHub(t))
	lie := ""
	pages := 0
	r := remote(t, h, func(w http.ResponseWriter, q *http.Request, next http.Handler) {
		switch {
		case lie == "manifest" && strings.Contains(q.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", oci.MediaTypeImageManifest)
			fmt.Fprint(w, `{"mediaType": "`+oci.MediaTypeImageManifest+`"}`)
		case lie == "blob" && strings.Contains(q.URL.Path, "/blobs/"):
			fmt.Fprint(w, "another one")
		case lie == "pages" && strings.Contains(q.URL.Path, "/referrers/"):
			pages++
			w.Header().Set("Link", fmt.Sprintf(`</v2/team/app/referrers/x?page=%d>; rel="next"`, pages))
			fmt.Fprint(w, `{"manifests": [{"digest": "sha256:1"}]}`)
		case lie == "list" && strings.Contains(q.URL.Path, "/referrers/"):
			fmt.Fprint(w, `{"mediaType": "`+oci.MediaTypeImageManifest+`", "manifests": []}`)
		case lie == "upload" && q.Method == http.MethodPost:
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(http.StatusAccepted)
		default:
			next.ServeHTTP(w, q)
		}
	})
	d, err := r.PutBlob(t.Context(), "text/plain", []byte("the real one"))
	if err != nil {
		t.Fatal(err)
	}
	for what, ask := range map[string]func() error{
		"manifest": func() error { _, err := r.Manifest(t.Context(), d.Digest); return err },
		"blob": func() error {
			_, err := r.Blob(t.Context(), oci.Descriptor{Digest: d.Digest, Size: 11}, 100)
			return err
		},
		"pages":  func() error { _, err := r.Referrers(t.Context(), d.Digest, 100); return err },
		"list":   func() error { _, err := r.Referrers(t.Context(), d.Digest, 100); return err },
		"upload": func() error { _, err := r.PutBlob(t.Context(), "text/plain", []byte("x")); return err },
	} {
		lie = what
		want := map[string]string{"manifest": "is not what its digest says", "blob": "is not what its digest says", "pages": "over and over", "list": "no index", "upload": "to another host"}[what]
		err := ask()
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrOther) != (what == "manifest" || what == "blob") {
			t.Errorf("%s: %v", what, err)
		}
	}
	lie = ""
	if data, err := r.Blob(t.Context(), d, 100); err != nil || string(data) != "the real one" {
		t.Errorf("the truth: %q, %v", data, err)
	}
	for _, ref := range []Reference{{Registry, "team/*"}, {Engine, "team/app:1"}, {Registry, "a:b:c"}} {
		if _, err := OpenRemote(t.Context(), ref, false, Options{}); err == nil {
			t.Errorf("%s is opened", ref)
		}
	}
}

func must(d oci.Descriptor, err error) oci.Descriptor {
	if err != nil {
		panic(err)
	}
	return d
}

func sortedDigests(list []digest.Digest) []string {
	var out []string
	for _, d := range list {
		out = append(out, string(d))
	}
	slices.Sort(out)
	return out
}
