package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// fuzzLimits keep what a fuzzer makes small.
var fuzzLimits = Limits{Entries: 10_000, Layer: 1 << 22, Total: 1 << 23, File: 1 << 20, RatioFrom: 1 << 20}

// FuzzLayer: no entry and no path of the view leaves the root or has two forms, and, where
// a layer has nothing special, its entries are those that archive/tar gives, byte for byte.
func FuzzLayer(f *testing.F) {
	for _, data := range [][]byte{
		tarOf(f, folder("a"), file("a/b", "x"), symlink("l", "a"), hardlink("h", "a/b"), file("l/c", "y")),
		tarOf(f, file("../x", "")),
		tarOf(f, file("a/.wh..wh..opq", ""), file(".wh.b", ""), special("n", tar.TypeChar)),
		raw(pax(record("path", "ab")+record("SCHILY.xattr.user.a", "b")), block("a", '0', "00000000001", nil), padded("x")),
		gzipped(f, tarOf(f, file("a", "b"))),
		zstded(f, tarOf(f, file("a", "b"))),
	} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		plain := data
		form, err := compression(bytes.NewReader(data))
		if err != nil {
			return
		}
		if form != "" {
			u, err := unpack(bytes.NewReader(data), form, fuzzLimits.withDefaults(), 1<<20, nil)
			if err != nil {
				return
			}
			defer u.stop()
			if plain, err = io.ReadAll(u); err != nil {
				return
			}
		}
		got, err := read(t, &Image{limits: fuzzLimits.withDefaults(), store: memory(data), Layers: []Layer{{DiffID: digest.FromBytes(plain)}}})
		for _, e := range got.entries {
			inRoot(t, e.Path)
			if e.Kind == HardLink {
				inRoot(t, e.Link)
			}
		}
		if err != nil {
			return
		}
		for file := range got.view.All() {
			inRoot(t, file.Path)
			if again, there := got.view.Stat(file.Path); !there || again != file {
				t.Errorf("%q: %+v, and %+v by name", file.Path, file, again)
			}
		}
		want, ordinary := listed(plain)
		if !ordinary {
			return
		}
		var all []string
		for _, e := range got.entries {
			all = append(all, fmt.Sprintf("%q %o %d %d %q", e.Path, e.Mode.Perm(), e.UID, e.GID, e.body))
		}
		if !reflect.DeepEqual(want, all) {
			t.Errorf("got %q, want %q", all, want)
		}
	})
}

// memory is a store of one file.
type memory []byte

func (m memory) Close() error { return nil }

func (m memory) open(context.Context, part) (*blob, error) {
	return &blob{io.NewSectionReader(bytes.NewReader(m), 0, int64(len(m))), int64(len(m)), m.Close}, nil
}

// inRoot checks a path of an image.
func inRoot(t *testing.T, name string) {
	t.Helper()
	if !path.IsAbs(name) || path.Clean(name) != name || strings.IndexByte(name, 0) >= 0 {
		t.Errorf("%q is no clean path of the root", name)
	}
}

// listed are the entries as archive/tar gives them; false where one is no file or folder,
// or its name has a meaning of its own.
func listed(data []byte) (all []string, ordinary bool) {
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return all, true
		}
		if err != nil || h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir || strings.Contains(h.Name, ".wh.") {
			return nil, false
		}
		body, err := io.ReadAll(r)
		if err != nil {
			return nil, false
		}
		all = append(all, fmt.Sprintf("%q %o %d %d %q", path.Join("/", h.Name), h.Mode&0o777, h.Uid, h.Gid, body))
	}
}

// FuzzArchive: whatever an archive of an image has for manifest and configuration, it is
// read as encoding/json reads it or not at all, and every layer is the one that the
// documents name.
func FuzzArchive(f *testing.F) {
	s := saving(f, tarOf(f, file("a", "x")))
	f.Add(s.manifest, s.config)
	f.Add([]byte(`[{"Config":"config.json","RepoTags":null,"Layers":[]}]`), []byte(`{"config":{"Env":["a=b"],"Healthcheck":{"Test":["NONE"]}},"rootfs":{"diff_ids":[]},"history":[{"created":"2026-11-27T12:00:00Z"}]}`))
	f.Add([]byte(`[{"Config":"../x","Layers":["/etc/passwd"]}]`), []byte(`{"created":"never"}`))
	f.Fuzz(func(t *testing.T, manifest, config []byte) {
		s := saving(t, tarOf(t, file("a", "x")))
		s.manifest, s.config = manifest, config
		got, err := stream(t, s.bytes(t), Options{Limits: fuzzLimits})
		if err != nil {
			return
		}
		var list []archived
		var want Config
		if err := errors.Join(json.Unmarshal(manifest, &list), json.Unmarshal(config, &want)); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if !reflect.DeepEqual(want, got.image.Config) && !folds(config) {
			t.Errorf("got %+v, want %+v", got.image.Config, want)
		}
		for _, l := range got.image.Layers {
			if l.DiffID != digest.FromString(s.members[0].body) {
				t.Errorf("the layer is %s", l.DiffID)
			}
		}
	})
}

// folds is true for a text with a key that only encoding/json, which compares without
// case, takes for a field's.
func folds(data []byte) bool {
	lower := bytes.ToLower(data)
	return !bytes.Equal(lower, data)
}

// FuzzLayout: an index and a manifest lead to an image whose digests are right, or to an
// error.
func FuzzLayout(f *testing.F) {
	l := layout{}
	tarred := tarOf(f, file("a", "x"))
	m := l.image(f, [][]byte{gzipped(f, tarred)}, [][]byte{tarred})
	l.index(f, m)
	f.Add(l["index.json"], l["blobs/sha256/"+m["digest"].(digest.Digest).Encoded()])
	f.Add([]byte(`{"manifests":[{"mediaType":"`+ociIndex+`","digest":"sha256:../..","size":-1}]}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, index, manifest []byte) {
		l := layout{}
		l.image(t, [][]byte{gzipped(t, tarred)}, [][]byte{tarred})
		l.index(t)
		l["index.json"] = index
		l.blob(manifest)
		at := l.dir(t)
		i, err := Open(context.Background(), Reference{OCILayout, at}, Options{Limits: fuzzLimits})
		if err != nil {
			return
		}
		got, err := read(t, i)
		if err != nil {
			return
		}
		if got.image.Manifest != digest.FromBytes(manifest) && l["blobs/sha256/"+got.image.Manifest.Encoded()] == nil {
			t.Errorf("the manifest is %s", got.image.Manifest)
		}
		for _, layer := range got.image.Layers {
			if data := l["blobs/sha256/"+layer.Digest.Encoded()]; digest.FromBytes(data) != layer.Digest || layer.DiffID != digest.FromBytes(tarred) && layer.DiffID != digest.FromBytes(data) {
				t.Errorf("the layer is %+v", layer)
			}
		}
	})
}

// FuzzParse: a reference reads back as it is written.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"nginx:1", "oci:a", "engine:dir:latest", "docker-archive:a:b", "dir:", "registry:2", "registry:a/*", "registry:host:5000/a:*", "registry:registry:5000/a@sha256:00", "registry:5000/a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, and read back %+v, %v", text, r, again, err)
		}
		if _, err := r.pattern(); r.Several() && err != nil {
			t.Errorf("%q stands for several images, but: %v", text, err)
		}
	})
}
