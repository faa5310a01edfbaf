package registry

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sign"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// hub is a registry that tests push to.
type hub struct {
	t    *testing.T
	host string
	// before sees requests, and is true where it has answered.
	before atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	asked  atomic.Int64
}

// newHub is go-containerregistry's, in memory.
func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		if see := h.before.Load(); see != nil && (*see)(w, r) {
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h.host = strings.TrimPrefix(server.URL, "http://")
	return h
}

func (h *hub) open(name string) *image.Remote {
	h.t.Helper()
	r, err := image.OpenRemote(h.t.Context(), image.Reference{Source: image.Registry, At: h.host + "/" + name}, true, image.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { r.Close() })
	return r
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// made is an image that a test makes.
type made struct {
	arch, created string
	layers        []string // what is in each
	labels        map[string]string
	annotations   map[string]string
}

// push puts an image into a repository, by a tag, or by its digest alone.
func (h *hub) push(name, tag string, m made) oci.Descriptor {
	h.t.Helper()
	r, ctx := h.open(name), h.t.Context()
	var layers []oci.Descriptor
	var diffs []string
	for _, content := range m.layers {
		layer, err := r.PutBlob(ctx, oci.MediaTypeImageLayer, []byte(content))
		layers = append(layers, must(h.t, layer, err))
		diffs = append(diffs, string(layer.Digest))
	}
	if m.arch == "" {
		m.arch = "amd64"
	}
	config := map[string]any{"os": "linux", "architecture": m.arch, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}, "config": map[string]any{"Labels": m.labels}}
	if m.created != "" {
		config["created"] = m.created
	}
	c, err := r.PutBlob(ctx, oci.MediaTypeImageConfig, h.json(config))
	d, err2 := r.PutManifest(ctx, tag, oci.MediaTypeImageManifest, h.json(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageManifest, "config": must(h.t, c, err), "layers": append([]oci.Descriptor{}, layers...), "annotations": m.annotations}))
	d = must(h.t, d, err2)
	d.Platform = &oci.Platform{OS: "linux", Architecture: m.arch}
	return d
}

// index puts an index of images into a repository.
func (h *hub) index(name, tag string, annotations map[string]string, children ...oci.Descriptor) oci.Descriptor {
	h.t.Helper()
	d, err := h.open(name).PutManifest(h.t.Context(), tag, oci.MediaTypeImageIndex, h.json(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageIndex, "manifests": children, "annotations": annotations}))
	return must(h.t, d, err)
}

func (h *hub) json(v any) []byte {
	h.t.Helper()
	data, err := json.Marshal(v)
	return must(h.t, data, err)
}

// signer makes a key, and a policy that wants its signature on all images of the registry but
// those below open/.
func (h *hub) signer() (*cosign.Signer, *sign.Verifier) {
	h.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(h.t, 0, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	signer, err2 := cosign.ParseSigner("release", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(h.t, secret, err)}), nil)
	der, err := x509.MarshalPKIXPublicKey(public)
	block := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(h.t, der, err)})), "\n", "\n      ")
	p, err := sign.ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\nkeys:\n  release:\n    pem: |\n      "+block+"\nimages:\n  - {name: \""+h.host+"/*\", signed: {any: [{key: release}]}}\n  - {name: \""+h.host+"/open/*\", unsigned: true, why: read by us}\n"))
	return must(h.t, signer, err2), &sign.Verifier{Policy: must(h.t, p, err), Now: noon}
}

// look makes a report, and gives its rows by repository and tag, without the host.
func (h *hub) look(name string, o Options) (*Report, map[string]*Tag) {
	h.t.Helper()
	o.Now = noon
	r, err := Look(h.t.Context(), h.host+"/"+name, o)
	if err != nil {
		h.t.Fatal(err)
	}
	rows := map[string]*Tag{}
	for _, t := range r.Tags {
		rows[strings.TrimPrefix(t.Repository, h.host+"/")+":"+t.Tag] = t
	}
	return r, rows
}

// table is a report as people see it.
func (h *hub) table(r *Report) string {
	h.t.Helper()
	var b bytes.Buffer
	if err := r.WriteTable(plain(&b)); err != nil {
		h.t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), h.host, "HOST")
}
