package test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// tarOf is an archive of files, each a name and what is in it.
func tarOf(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// configOf is the configuration of an image of one layer that was built then.
func configOf(layer []byte, created string) string {
	return fmt.Sprintf(`{"architecture":"amd64","os":"linux","created":%q,"config":{"User":"nobody","Cmd":["/hello"],"Healthcheck":{"Test":["CMD","true"]}},
		"history":[{"created":%q,"created_by":"COPY hello /hello # buildkit"}],"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, created, created, sha256.Sum256(layer))
}

// archiveOf is what docker load takes, of an image that says it was built in 2020.
func archiveOf(t *testing.T, name, content string) []byte {
	t.Helper()
	layer := tarOf(t, [2]string{"hello", content})
	return tarOf(t, [2]string{"config.json", configOf(layer, "2020-02-02T02:02:02Z")}, [2]string{"layer.tar", string(layer)},
		[2]string{"manifest.json", fmt.Sprintf(`[{"Config":"config.json","RepoTags":[%q],"Layers":["layer.tar"]}]`, name)})
}

// serveRegistry serves one image, called pulled:1, on an address that the engine
// takes without TLS, in the network that the engine is in.
func serveRegistry(t *testing.T, e *lab.Engine) string {
	t.Helper()
	layer := tarOf(t, [2]string{"hello", "from afar"})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(layer); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	blobs := map[string][]byte{}
	put := func(data []byte) string {
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		blobs[digest] = data
		return digest
	}
	config := []byte(configOf(layer, "2026-11-01T00:00:00Z"))
	const kind = "application/vnd.docker.distribution.manifest.v2+json"
	manifest := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,
		"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%d,"digest":%q},
		"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":%d,"digest":%q}]}`,
		kind, len(config), put(config), packed.Len(), put(packed.Bytes())))
	digest := put(manifest)
	listener := e.Listen(t)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		switch {
		case r.URL.Path == "/v2/":
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Docker-Content-Digest", digest)
			w.Write(manifest)
		case blobs[name] != nil:
			w.Write(blobs[name])
		default:
			http.NotFound(w, r)
		}
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}
