package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

var packedAt = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// packed makes a bundle of what a repository's name leads to.
func packed(t testing.TB, r *Remote, p Packing) ([]byte, BundleInfo, []string) {
	t.Helper()
	p.At, p.By = packedAt, "plimsoll test"
	var b bytes.Buffer
	info, left, err := Pack(t.Context(), &b, r, p)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), info, left
}

// opened opens a bundle that is in memory.
func opened(t testing.TB, data []byte, ref string) (*Bundle, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bundle.tar")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := OpenBundle(t.Context(), file, Reference{Registry, ref}, Options{})
	if err == nil {
		t.Cleanup(func() { b.Close() })
	}
	return b, err
}

// at opens a repository to write to.
func (h *hub) at(host, name string) *Remote {
	h.t.Helper()
	r, err := OpenRemote(h.t.Context(), Reference{Registry, host + "/" + name}, true, Options{Registries: quick()})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { r.Close() })
	return r
}

// besides puts what cosign does at a tag, and a referrer, beside a manifest.
func besides(t testing.TB, r *Remote, of oci.Descriptor) (tagged, referring oci.Descriptor) {
	t.Helper()
	empty := must(r.PutBlob(t.Context(), oci.MediaTypeEmptyJSON, []byte("{}")))
	note := must(r.PutBlob(t.Context(), "text/plain", []byte("of "+string(of.Digest))))
	m := oci.Manifest{MediaType: oci.MediaTypeImageManifest, Config: empty, Layers: []oci.Descriptor{note}}
	m.SchemaVersion = 2
	tagged = must(r.PutManifest(t.Context(), referrersTag(of.Digest)+".sig", m.MediaType, jsonOf(t, m)))
	m.ArtifactType, m.Subject = "application/x.note", &of
	return tagged, must(r.PutReferrer(t.Context(), m))
}

// TestBundle: a bundle gives what the registry gives, and nothing of it asks a network; it is
// the same each time; and the layout and the docker archive in it are those of the image.
func TestBundle(t *testing.T) {
	h := withReferrers(newHub(t))
	var elsewhere digest.Digest
	for _, name := range []string{"team/app", "team/many"} { // the hub is another now
		l := layout{}
		m := l.one(t, "amd64", typed(l.blob(h.lower), ociLayer+"+gzip"), tarOf(t, file("etc/a", "a"), file("etc/b", strings.Repeat("b", 5000))))
		h.push(name, "1", l, m)
		if name == "team/many" {
			m["platform"] = map[string]any{"os": "linux", "architecture": "amd64"}
			unpacked := tarOf(t, file("arm64", ""))
			other := l.one(t, "arm64", typed(l.blob(unpacked), ociLayer), unpacked)
			h.push(name, "arm64", l, other)
			elsewhere = other["digest"].(digest.Digest)
			other["platform"] = map[string]any{"os": "linux", "architecture": "arm64"}
			h.document(name, "1", ociIndex, jsonOf(t, map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []any{m, other}}))
		}
	}
	stopped := false
	host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if stopped {
			t.Errorf("%s is asked for", r.URL)
		}
		next.ServeHTTP(w, r)
	})
	for _, name := range []string{"team/app:1", "team/many:1"} {
		stopped = false
		r := h.at(host, name)
		top, err := r.Named(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tagged, referring := besides(t, r, top.Descriptor)
		data, info, left := packed(t, r, Packing{Platform: "linux/amd64", Files: map[string][]byte{"roots/x.json": []byte("{}")}, Servers: map[string]map[string][]byte{"notary.example": {"/v2/root.json": []byte("root")}}})
		if len(left) != 0 || info.Name != host+"/"+strings.TrimSuffix(name, ":1") || info.Tag != "1" || info.Digest != top.Digest || len(info.Images) != 1 || !info.Layers {
			t.Errorf("%+v, left %q", info, left)
		}
		again, _, _ := packed(t, r, Packing{Platform: "linux/amd64", Files: map[string][]byte{"roots/x.json": []byte("{}")}, Servers: map[string]map[string][]byte{"notary.example": {"/v2/root.json": []byte("root")}}})
		if !bytes.Equal(data, again) {
			t.Error("it is another each time")
		}
		referrers, err := r.Referrers(t.Context(), top.Digest, 10)
		if err != nil || len(referrers) != 1 || referrers[0].Digest != referring.Digest {
			t.Fatalf("%v, %v", referrers, err)
		}
		stopped = true
		b, err := opened(t, data, host+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		files := 0
		if err := b.Check(t.Context(), func(done, _ int) { files += done }); err != nil || files != len(info.Files) {
			t.Errorf("checking it: %v, %d of %d files", err, files, len(info.Files))
		}
		if diff := cmp.Diff(info, b.Info); diff != "" || b.Repository() != r.Repository() || b.Tag() != "1" {
			t.Errorf("%s", diff)
		}
		if got, err := b.Named(t.Context()); err != nil || !cmp.Equal(got, top) {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := b.Tagged(t.Context(), referrersTag(top.Digest)+".sig"); err != nil || got.Digest != tagged.Digest {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := b.Referrers(t.Context(), top.Digest, 10); err != nil || !cmp.Equal(got, referrers) {
			t.Errorf("%+v, want %+v, %v", got, referrers, err)
		}
		if got, err := b.Manifest(t.Context(), info.Images[0]); err != nil || got.IsIndex() {
			t.Errorf("%v, %v", got, err)
		}
		note := "of " + string(top.Digest)
		if got, err := b.Blob(t.Context(), oci.Descriptor{Digest: digest.FromString(note), Size: int64(len(note))}, 100); err != nil || string(got) != note {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := b.Document(t.Context(), "notary.example", "/v2/root.json", 10); err != nil || string(got) != "root" {
			t.Errorf("%q, %v", got, err)
		}
		for what, ask := range map[string]func() error{
			"a tag":      func() error { _, err := b.Tagged(t.Context(), "2"); return err },
			"a manifest": func() error { _, err := b.Manifest(t.Context(), elsewhere); return err },
			"a blob": func() error {
				_, err := b.Blob(t.Context(), oci.Descriptor{Digest: digest.FromString("none"), Size: 1}, 100)
				return err
			},
			"a document": func() error { _, err := b.Document(t.Context(), "other.example", "/v2/root.json", 10); return err },
		} {
			if err := ask(); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s that is not there: %v", what, err)
			}
		}
		if _, err := b.Blob(t.Context(), oci.Descriptor{Digest: digest.FromString(note), Size: 1}, 100); !errors.Is(err, ErrOther) {
			t.Errorf("a blob of another size: %v", err)
		}
		// As others read it.
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var ids []digest.Digest
		for source, as := range map[Source]string{OCIArchive: "1", DockerArchive: host + "/" + name} {
			i, err := Open(t.Context(), Reference{source, file}, Options{Name: as, Platform: "linux/amd64"})
			if err != nil {
				t.Fatalf("%s: %v", source, err)
			}
			defer i.Close()
			ids = append(ids, i.ID)
			if got, err := read(t, i); err != nil || len(got.entries) == 0 {
				t.Errorf("%s: %v", source, err)
			}
		}
		if ids[0] != ids[1] {
			t.Errorf("two images: %v", ids)
		}
		// By digests, and for no other name or tag.
		for _, as := range []string{host + "/" + strings.TrimSuffix(name, ":1") + "@" + string(top.Digest), host + "/" + name + "@" + string(info.Images[0])} {
			b, err := opened(t, data, as)
			if err != nil {
				t.Fatal(err)
			}
			if d, err := b.Named(t.Context()); err != nil || !strings.HasSuffix(as, string(d.Digest)) {
				t.Errorf("%s: %v", as, err)
			}
		}
		for as, want := range map[string]string{host + "/" + strings.TrimSuffix(name, "1") + "2": `the tag "2" is asked for`, host + "/team/other:1": "team/other is asked for",
			host + "/" + name + "@" + string(digest.FromString("x")): "it has no sha256:"} {
			if _, err := opened(t, data, as); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", as, err)
			}
		}
	}
}

// TestBundleOfSignatures: without layers there are none, and nothing that docker could load.
func TestBundleOfSignatures(t *testing.T) {
	h := newHub(t)
	r := h.at(h.serve(nil), "team/many:1")
	for _, all := range []bool{true, false} {
		data, info, _ := packed(t, r, Packing{NoLayers: true, All: all, Platform: "linux/arm64"})
		b, err := opened(t, data, r.Repository()+":1")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Check(t.Context(), func(int, int) {}); err != nil {
			t.Error(err)
		}
		if want := map[bool]int{true: 2, false: 1}[all]; len(info.Images) != want || info.Layers || slices.ContainsFunc(info.Files, func(f BundledFile) bool { return f.Path == "manifest.json" }) {
			t.Errorf("%+v", info)
		}
	}
	var b bytes.Buffer
	if _, _, err := Pack(t.Context(), &b, r, Packing{Platform: "linux/s390x"}); err == nil || !strings.Contains(err.Error(), `no image for "linux/s390x"`) {
		t.Errorf("no such platform: %v", err)
	}
}

// TestPackLeavesOut: what an enemy puts beside an image is left out, and said, and the image is
// packed all the same; of a registry that gives something else for a layer nothing comes.
func TestPackLeavesOut(t *testing.T) {
	h := withReferrers(newHub(t))
	l := layout{}
	m := l.one(t, "amd64", typed(l.blob(h.lower), ociLayer+"+gzip"), tarOf(t, file("etc/a", "a"), file("etc/b", strings.Repeat("b", 5000))))
	h.push("team/app", "1", l, m)
	lie := false
	host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if lie && strings.HasSuffix(r.URL.Path, string(digest.FromBytes(h.lower))) {
			w.Write(bytes.Repeat([]byte("x"), len(h.lower)))
			return
		}
		next.ServeHTTP(w, r)
	})
	r := h.at(host, "team/app:1")
	top, err := r.Named(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	large := oci.Descriptor{MediaType: "text/plain", Digest: digest.FromString("large"), Size: maxBeside + 1}
	gone := oci.Descriptor{MediaType: "text/plain", Digest: digest.FromString("gone"), Size: 4}
	for _, layer := range []oci.Descriptor{large, gone} {
		m := oci.Manifest{MediaType: oci.MediaTypeImageManifest, ArtifactType: "application/x.note", Config: must(r.PutBlob(t.Context(), oci.MediaTypeEmptyJSON, []byte("{}"))), Layers: []oci.Descriptor{layer}, Subject: &top.Descriptor}
		m.SchemaVersion = 2
		must(r.PutReferrer(t.Context(), m))
	}
	_, good := besides(t, r, top.Descriptor)
	data, _, left := packed(t, r, Packing{})
	text := strings.Join(left, "\n")
	if len(left) != 2 || !strings.Contains(text, "more is there than is packed") || !strings.Contains(text, "has no such thing") {
		t.Errorf("left out: %q", left)
	}
	b, err := opened(t, data, host+"/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if list, err := b.Referrers(t.Context(), top.Digest, 10); err != nil || len(list) != 1 || list[0].Digest != good.Digest {
		t.Errorf("%v, %v", list, err)
	}
	lie = true
	if _, _, err := Pack(t.Context(), io.Discard, r, Packing{}); err == nil || !strings.Contains(err.Error(), "is not what its digest says") {
		t.Errorf("another layer: %v", err)
	}
}

// TestPackCrowded: what is large, and listed before, does not crowd out what may be a signature.
func TestPackCrowded(t *testing.T) {
	h := withReferrers(newHub(t))
	l := layout{}
	h.push("team/app", "1", l, l.one(t, "amd64", typed(l.blob(h.lower), ociLayer+"+gzip"), tarOf(t, file("etc/a", "a"))))
	r := h.at(h.serve(nil), "team/app:1")
	top, err := r.Named(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	empty := must(r.PutBlob(t.Context(), oci.MediaTypeEmptyJSON, []byte("{}")))
	put := func(kind string, blobs ...oci.Descriptor) digest.Digest {
		m := oci.Manifest{MediaType: oci.MediaTypeImageManifest, ArtifactType: kind, Config: empty, Layers: blobs, Subject: &top.Descriptor}
		m.SchemaVersion = 2
		return must(r.PutReferrer(t.Context(), m)).Digest
	}
	large := bytes.Repeat([]byte("x"), 8<<20)
	var blobs []oci.Descriptor
	for n := range 17 { // more than all may have
		large[0] = byte(n)
		blobs = append(blobs, must(r.PutBlob(t.Context(), "text/plain", large)))
	}
	for n := range 4 {
		put("application/x.junk", blobs[4*n:4*n+4]...)
		put("application/x.signature", append(blobs[4*n:4*n+4:4*n+4], blobs[16])...)
	}
	small := must(r.PutBlob(t.Context(), "text/plain", []byte("small")))
	want := []digest.Digest{put("application/x.signature", small), put("application/x.attestation", small)}
	data, _, left := packed(t, r, Packing{NoLayers: true, First: []string{"application/x.signature", "application/x.attestation"}})
	b, err := opened(t, data, r.Repository()+":1")
	if err != nil {
		t.Fatal(err)
	}
	list, err := b.Referrers(t.Context(), top.Digest, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range want {
		if !slices.ContainsFunc(list, func(d oci.Descriptor) bool { return d.Digest == id }) {
			t.Errorf("%s is left out, and packed is %d", id, len(list))
		}
	}
	if len(list)+len(left) != 10 || len(left) == 0 {
		t.Errorf("packed %d, left out %q", len(list), left)
	}
}

// TestHostileBundles: what came of bundles that were changed, and of the one that was not.
func TestHostileBundles(t *testing.T) {
	h := newHub(t)
	host := h.serve(nil)
	r := h.at(host, "team/app:1")
	top, err := r.Named(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tagged, _ := besides(t, r, top.Descriptor)
	data, _, _ := packed(t, r, Packing{})
	blob := func(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }
	for what, test := range map[string]struct {
		change func(h *tar.Header, body string) string
		extra  []tar.Header
		want   string
	}{
		"as it was":        {},
		"a folder as well": {extra: []tar.Header{{Name: "blobs/", Typeflag: tar.TypeDir}}},
		"no bundle":        {change: rename(bundleFile, "other.json"), want: "it is no bundle"},
		"another schema":   {change: replacing(bundleFile, BundleSchema, "plimsoll/trust-bundle/9"), want: "and plimsoll/trust-bundle/1 is read"},
		"an unknown field": {change: replacing(bundleFile, `"layers"`, `"lairs"`), want: "lairs"},
		"another name":     {change: replacing(bundleFile, host, "registry.example"), want: "it is a bundle of registry.example/team/app"},
		"no name":          {change: replacing(bundleFile, host+"/team", "../"), want: "is no whole name"},
		"another tag":      {change: replacing(bundleFile, `"tag": "1"`, `"tag": "2"`), want: "leads to"},
		"no day":           {change: replacing(bundleFile, "2026-11-28T12", "0001-01-01T00"), want: "when it was packed"},
		"another digest":   {change: replacing(bundleFile, `"digest": "`+string(top.Digest)+"\",\n  \"images", `"digest": "`+string(tagged.Digest)+"\",\n  \"images"), want: "and was packed as"},
		"a link":           {extra: []tar.Header{{Name: "trust/x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, want: "is a link"},
		"a link inside":    {extra: []tar.Header{{Name: "trust/x", Typeflag: tar.TypeLink, Linkname: "oci-layout"}}, want: "is a link"},
		"out of it":        {extra: []tar.Header{{Name: "../x", Typeflag: tar.TypeReg}}, want: "leaves the root"},
		"one more":         {extra: []tar.Header{{Name: "trust/x", Typeflag: tar.TypeReg}}, want: `does not list "trust/x"`},
		"one twice":        {extra: []tar.Header{{Name: "./oci-layout", Typeflag: tar.TypeReg}}, want: "is there twice"},
		"a device":         {extra: []tar.Header{{Name: "trust/x", Typeflag: tar.TypeChar}}, want: "neither file, folder nor link"},
		"another layout":   {change: replacing("oci-layout", "1.0.0", "2.0.0"), want: "is not what its digest says"},
		"another index":    {change: replacing("index.json", `.sig"`, `.sog"`), want: "is not what its digest says"},
		"a longer one":     {change: replacing("index.json", `.sig"`, `.signed"`), want: "are listed"},
		"another blob":     {change: replacing(blob(tagged.Digest), "text/plain", "text/plane"), want: "is not what its digest says"},
		"a changed layer":  {change: replacing(blob(digest.FromBytes(h.lower)), "\x00", "\x01"), want: "is not what its digest says"},
	} {
		t.Run(what, func(t *testing.T) {
			b, err := opened(t, changed(t, data, test.change, test.extra), host+"/team/app:1")
			if err == nil {
				err = b.Check(t.Context(), func(int, int) {})
			}
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func replacing(name, old, by string) func(*tar.Header, string) string {
	return func(h *tar.Header, body string) string {
		if h.Name != name {
			return body
		}
		return strings.ReplaceAll(body, old, by)
	}
}

func rename(name, as string) func(*tar.Header, string) string {
	return func(h *tar.Header, body string) string {
		if h.Name == name {
			h.Name = as
		}
		return body
	}
}

// changed writes an archive anew, each member changed, with more at the end.
func changed(t testing.TB, data []byte, change func(*tar.Header, string) string, extra []tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	in, out := tar.NewReader(bytes.NewReader(data)), tar.NewWriter(&b)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		text := string(body)
		if change != nil {
			text = change(h, text)
		}
		h.Size = int64(len(text))
		if err := addMember(out, h.Name, h.Size, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range extra {
		if err := out.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzBundle: whatever a file is, what comes of it as a bundle has the digest that it was asked
// for by, and is of the image that was asked for.
func FuzzBundle(f *testing.F) {
	h := newHub(f)
	r := h.at(h.serve(nil), "team/app:1")
	top, err := r.Named(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	besides(f, r, top.Descriptor)
	data, _, _ := packed(f, r, Packing{})
	data = changed(f, data, replacing(bundleFile, r.Repository(), "registry.example/team/app"), nil)
	f.Add(data)
	f.Add(changed(f, data, replacing("index.json", "sig", "sog"), nil))
	file := filepath.Join(f.TempDir(), "bundle.tar")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBundle(t.Context(), file, Reference{Registry, "registry.example/team/app:1"}, Options{Temp: t.TempDir(), Limits: Limits{Spool: 1 << 24, Document: 1 << 20}})
		if err != nil {
			return
		}
		defer b.Close()
		named, err := b.Named(t.Context())
		if err != nil || b.Repository() != "registry.example/team/app" || named.Digest != b.Info.Digest || digest.FromBytes(named.Data) != named.Digest && named.Digest.Algorithm() == digest.SHA256 {
			t.Errorf("%+v, %v", b.Info, err)
		}
		for _, of := range append(b.Info.Images, named.Digest) {
			list, err := b.Referrers(t.Context(), of, 100)
			if err != nil {
				continue
			}
			for _, d := range list {
				m, err := b.Manifest(t.Context(), d.Digest)
				if err != nil || !bytes.Contains(m.Data, []byte(of)) && !bytes.Contains(m.Data, []byte(`\u`)) {
					t.Errorf("%s is no referrer of %s: %v", d.Digest, of, err)
				}
			}
		}
		for _, file := range b.Info.Files {
			if got, err := b.File(t.Context(), file.Path, 1<<20); err == nil && file.Digest.Algorithm().FromBytes(got) != file.Digest {
				t.Errorf("%s: %s", file.Path, fmt.Sprint(file))
			}
		}
	})
}
