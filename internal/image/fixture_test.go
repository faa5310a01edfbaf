package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// head is a header of a tar file, and what is behind it.
type head struct {
	tar.Header
	body string
}

func file(name, body string) head {
	return head{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(body))}, body}
}

func folder(name string) head {
	return head{tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}

func symlink(name, to string) head {
	return head{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: to}, ""}
}

func hardlink(name, to string) head {
	return head{tar.Header{Name: name, Typeflag: tar.TypeLink, Mode: 0o644, Linkname: to}, ""}
}

func special(name string, flag byte) head {
	return head{tar.Header{Name: name, Typeflag: flag, Mode: 0o666, Devmajor: 1, Devminor: 3}, ""}
}

// tarOf writes a tar file as archive/tar does.
func tarOf(t testing.TB, heads ...head) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range heads {
		if err := w.WriteHeader(&h.Header); err != nil {
			t.Fatalf("%q: %v", h.Name, err)
		}
		if _, err := io.WriteString(w, h.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// saved is a docker-archive as an engine before 25 writes one, part by part, so that a
// test can spoil one.
type saved struct {
	config   []byte
	manifest []byte
	members  []head
}

// saving makes a docker-archive of layers, each a tar file.
func saving(t testing.TB, layers ...[]byte) *saved {
	t.Helper()
	s := &saved{}
	var names, ids []string
	for n, l := range layers {
		name := fmt.Sprintf("layer%d/layer.tar", n)
		names = append(names, name)
		ids = append(ids, digest.FromBytes(l).String())
		s.members = append(s.members, file(name, string(l)))
	}
	s.config = jsonOf(t, map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{"User": "app"}, "rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	s.manifest = jsonOf(t, []map[string]any{{"Config": "config.json", "RepoTags": []string{"app:1"}, "Layers": names}})
	return s
}

func (s *saved) bytes(t testing.TB) []byte {
	t.Helper()
	return tarOf(t, append(append([]head{}, s.members...), file("config.json", string(s.config)), file("manifest.json", string(s.manifest)))...)
}

// met is an entry as a walk gave it.
type met struct {
	Entry
	body string
}

// walked is what came of an image.
type walked struct {
	image   *Image
	entries []met
	view    *View
}

// paths are those of the view, folders with a slash behind.
func (w *walked) paths() string {
	var all []string
	for f := range w.view.All() {
		if f.Mode.IsDir() {
			f.Path += "/"
		}
		all = append(all, f.Path)
	}
	return strings.Join(all, " ")
}

// read walks an image and closes it.
func read(t testing.TB, i *Image) (*walked, error) {
	t.Helper()
	defer i.Close()
	w := &walked{image: i}
	var err error
	w.view, err = i.Walk(context.Background(), func(e *Entry) error {
		body, err := io.ReadAll(e.Body)
		w.entries = append(w.entries, met{*e, string(body)})
		return err
	})
	return w, err
}

// stream reads a docker-archive as a stream.
func stream(t testing.TB, data []byte, o Options) (*walked, error) {
	t.Helper()
	o.Temp = t.TempDir()
	i, err := Stream(context.Background(), "app:1", bytes.NewReader(data), o)
	if left, _ := os.ReadDir(o.Temp); len(left) > 0 {
		t.Errorf("%d files are left in the folder for what is spooled", len(left))
	}
	if err != nil {
		return nil, err
	}
	return read(t, i)
}

// layers reads an image of layers.
func layers(t testing.TB, l Limits, layers ...[]byte) (*walked, error) {
	t.Helper()
	return stream(t, saving(t, layers...).bytes(t), Options{Limits: l})
}

// refused checks an error: it begins and contains what it should.
func refused(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// layout is an OCI layout as files by their names.
type layout map[string][]byte

func (l layout) blob(data []byte) map[string]any {
	d := digest.FromBytes(data)
	l["blobs/sha256/"+d.Encoded()] = data
	return map[string]any{"digest": d, "size": len(data)}
}

const (
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// typed gives a descriptor a media type.
func typed(d map[string]any, mediaType string) map[string]any {
	d["mediaType"] = mediaType
	return d
}

// image adds an image of layers as they are stored, whose tar files are unpacked.
func (l layout) image(t testing.TB, stored, unpacked [][]byte) map[string]any {
	t.Helper()
	ids := []digest.Digest{}
	list := []map[string]any{}
	for n := range stored {
		ids = append(ids, digest.FromBytes(unpacked[n]))
		list = append(list, typed(l.blob(stored[n]), ociLayer))
	}
	config := typed(l.blob(jsonOf(t, map[string]any{"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": ids}})), "application/vnd.oci.image.config.v1+json")
	return typed(l.blob(jsonOf(t, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": list})), ociManifest)
}

func (l layout) index(t testing.TB, manifests ...map[string]any) layout {
	t.Helper()
	l["oci-layout"] = []byte(`{"imageLayoutVersion": "1.0.0"}`)
	l["index.json"] = jsonOf(t, map[string]any{"schemaVersion": 2, "manifests": manifests})
	return l
}

// dir writes a layout to a folder.
func (l layout) dir(t testing.TB) string {
	t.Helper()
	at := t.TempDir()
	for name, data := range l {
		put(t, filepath.Join(at, name), data, 0o644)
	}
	return at
}

func put(t testing.TB, name string, data []byte, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, mode); err != nil {
		t.Fatal(err)
	}
}

// open opens and reads a reference.
func open(t testing.TB, text string, o Options) (*walked, error) {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	o.Temp = t.TempDir()
	i, err := Open(context.Background(), r, o)
	if err != nil {
		return nil, err
	}
	return read(t, i)
}
