package image

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestLikeTheLibrary: what go-containerregistry writes, as layout and as docker-archive,
// is read, and has the digests that it gives it.
func TestLikeTheLibrary(t *testing.T) {
	one, two := tarOf(t, folder("etc"), file("etc/a", "a"), file("etc/b", "b")), tarOf(t, file("etc/.wh.a", ""))
	at := t.TempDir()
	put(t, at+"/one.tar", one, 0o644)
	lower, err := tarball.LayerFromFile(at + "/one.tar") // it is stored compressed
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, lower, static.NewLayer(two, types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.Config(img, v1.Config{Env: []string{"PATH=/bin"}, Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "true"}}}); err != nil {
		t.Fatal(err)
	}
	folder, err := ggcr.Write(filepath.Join(at, "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("reg.example/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(at+"/a.tar", tag, img); err != nil {
		t.Fatal(err)
	}
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"oci:" + at + "/layout", "docker-archive:" + at + "/a.tar"} {
		got, err := open(t, text, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if got.paths() != "/etc/ /etc/b" || got.image.ID.String() != id.String() || len(got.entries) != 4 {
			t.Errorf("%s: %s, id %s and not %s", text, got.paths(), got.image.ID, id)
		}
		if oci := strings.HasPrefix(text, "oci"); oci && got.image.Manifest.String() != manifest.String() {
			t.Errorf("the manifest is %s, not %s", got.image.Manifest, manifest)
		}
		if c := got.image.Config.Config; len(c.Env) != 1 || c.Healthcheck == nil || len(c.Healthcheck.Test) != 2 {
			t.Errorf("%s: %+v", text, c)
		}
	}
}

// TestEngine: what a real engine saves of a built image, in one stream and by its client,
// is read, with the id and the layers that it gives the image.
func TestEngine(t *testing.T) {
	e := lab.Shared(t)
	const image = "plimsoll-image-testengine:1"
	if err := e.Busybox(context.Background(), "plimsoll-image-testengine:base", `CMD ["true"]`); err != nil {
		t.Fatal(err)
	}
	context := t.TempDir()
	put(t, context+"/Dockerfile", []byte("FROM plimsoll-image-testengine:base\nCOPY files /srv/\nRUN rm /srv/gone && echo 12345 >/srv/over && ln /srv/over /srv/link\nENV A=b\n"), 0o644)
	put(t, context+"/files/gone", []byte("gone!"), 0o644)
	put(t, context+"/files/over", []byte("over"), 0o644)
	if _, err := e.Docker("build", "-q", "-t", image, context); err != nil {
		t.Fatal(err)
	}
	defer e.Docker("rmi", "-f", image, "plimsoll-image-testengine:base")
	out, err := e.Docker("image", "inspect", "-f", "{{.Id}}{{range .RootFS.Layers}} {{.}}{{end}}", image)
	if err != nil {
		t.Fatal(err)
	}
	facts := strings.Fields(out)
	at := filepath.Join(t.TempDir(), "a.tar")
	if _, err := e.Docker("save", "-o", at, image); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() (*walked, error){
		"by its client": func() (*walked, error) { return open(t, "docker-archive:"+at, Options{}) },
		"in a stream":   func() (*walked, error) { return save(t, e.Socket(), image) },
	} {
		got, err := read()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.image.ID.String() != facts[0] || len(got.image.Layers) != len(facts)-1 || len(facts) < 4 {
			t.Errorf("%s: id %s, %d layers, and the engine says %q", name, got.image.ID, len(got.image.Layers), facts)
			continue
		}
		for n, l := range got.image.Layers {
			if l.DiffID.String() != facts[n+1] {
				t.Errorf("%s: layer %d is %s, not %s", name, n, l.DiffID, facts[n+1])
			}
		}
		if _, there := got.view.Stat("/srv/gone"); there {
			t.Errorf("%s: what was deleted is there", name)
		}
		if f, there := got.view.Stat("/srv/over"); !there || f.Size != 6 || f.Layer != len(got.image.Layers)-1 {
			t.Errorf("%s: %+v", name, f)
		}
		n := layerOf(got, "/srv/gone")
		if n < 0 {
			t.Fatalf("%s: the deleted file has no entry", name)
		}
		if use := got.view.Layers[n]; use.Bytes != 9 || use.Deleted != 5 || use.Overwritten != 4 {
			t.Errorf("%s: %+v", name, use)
		}
		if use := got.view.Layers[len(facts)-2]; use.Bytes != 6 {
			t.Errorf("%s: a hard link counts twice: %+v", name, use)
		}
	}
}

// layerOf is the first layer with an entry at a path.
func layerOf(w *walked, path string) int {
	for _, e := range w.entries {
		if e.Path == path {
			return e.Layer
		}
	}
	return -1
}

// save reads an image by the engine's own API.
func save(t *testing.T, socket, image string) (*walked, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://engine/images/" + url.PathEscape(image) + "/get")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	temp := t.TempDir()
	i, err := Stream(context.Background(), image, answer.Body, Options{Temp: temp})
	if err != nil {
		return nil, err
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("%d files are left", len(left))
	}
	return read(t, i)
}
