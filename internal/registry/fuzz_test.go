package registry

import (
	"context"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/term"
)

// fixed is a repository of one manifest and one configuration, whatever is asked for.
type fixed struct {
	place
	manifest, config []byte
}

func (f fixed) Manifest(context.Context, digest.Digest) (*image.Document, error) {
	return &image.Document{Descriptor: oci.Descriptor{MediaType: oci.MediaTypeImageManifest, Digest: digest.FromBytes(f.manifest)}, Data: f.manifest}, nil
}

func (f fixed) Blob(_ context.Context, _ oci.Descriptor, most int64) ([]byte, error) {
	if int64(len(f.config)) > most {
		return nil, errors.New("too long")
	}
	return f.config, nil
}

// FuzzFind: whatever a registry has, what is told of it is bounded, no size is below nothing, and
// its row is one that a spreadsheet reads as it was written and does not act on.
func FuzzFind(f *testing.F) {
	const config = `{"os":"linux","architecture":"arm64","variant":"v8","created":"2026-11-01T00:00:00Z","config":{"Labels":{"org.opencontainers.image.base.name":"=x"}},"rootfs":{"diff_ids":["sha256:1"]}}`
	const manifest = `{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":2},"layers":[{"digest":"sha256:a","size":9}]}`
	f.Add([]byte(`{"manifests":[{"digest":"sha256:b","platform":{"os":"linux","architecture":"amd64"}}],"annotations":{"org.opencontainers.image.created":"x"}}`), []byte(manifest), []byte(config), true)
	f.Add([]byte(manifest), []byte(manifest), []byte(config), false)
	f.Add([]byte(`{"config":{"size":-1}}`), []byte(`{"artifactType":"+x","layers":null}`), []byte(`[]`), false)
	f.Fuzz(func(t *testing.T, top, below, config []byte, isIndex bool) {
		d := &image.Document{Descriptor: oci.Descriptor{MediaType: oci.MediaTypeImageManifest, Digest: digest.FromBytes(top)}, Data: top}
		if isIndex {
			d.MediaType = oci.MediaTypeImageIndex
		}
		l := &looker{}
		found, err := l.find(t.Context(), fixed{manifest: below, config: config}, d)
		if err != nil {
			return
		}
		if found.size < 0 || len(found.platforms) > maxPlatforms || !slices.Contains([]string{KindImage, KindIndex, KindArtifact}, found.kind) {
			t.Fatalf("%+v", found)
		}
		for _, p := range found.platforms {
			if p.Size < 0 || p.Size > found.size {
				t.Fatalf("%+v of %d", p, found.size)
			}
		}
		for _, id := range found.digests {
			if digest.Digest(id).Validate() != nil {
				t.Fatalf("%q is known by %q", top, id)
			}
		}
		r := &Report{Tags: []*Tag{{Repository: "r.example/a", Tag: "1", Kind: found.kind, Artifact: found.artifact, Platforms: found.platforms, Base: found.base, Created: found.created}}, Repositories: []Repository{{Name: "r.example/a"}}}
		var text strings.Builder
		if err := r.WriteCSV(&text); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%q: %v", text.String(), err)
		}
		for _, cell := range rows[1] {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
				t.Fatalf("%q acts", cell)
			}
		}
		text.Reset()
		if err := r.WriteTable(plain(&text)); err != nil || term.Escape(strings.ReplaceAll(text.String(), "\n", " ")) != strings.ReplaceAll(text.String(), "\n", " ") {
			t.Fatalf("%v: %q", err, text.String())
		}
	})
}
