package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// Bounds of what one tag may lead to. Official images are for ten platforms at most.
const (
	maxPlatforms = 64
	maxConfig    = 8 << 20
	maxLayers    = 1024
)

// found is what a manifest or an index tells.
type found struct {
	kind, artifact string
	platforms      []Platform
	size           int64
	created        time.Time
	base           *Base
	// chosen is the platform of the image whose configuration was read, this machine's if
	// there is one, and layers are its unpacked layers.
	chosen string
	layers []string
	// digests are those by which the images are known, and manifests what was read on the way.
	digests   []string
	manifests map[digest.Digest]*image.Document
}

// manifest is what is read of one.
type manifest struct {
	ArtifactType string            `json:"artifactType"`
	Config       oci.Descriptor    `json:"config"`
	Layers       []oci.Descriptor  `json:"layers"`
	Annotations  map[string]string `json:"annotations"`
}

// index is what is read of one.
type index struct {
	ArtifactType string            `json:"artifactType"`
	Manifests    []oci.Descriptor  `json:"manifests"`
	Annotations  map[string]string `json:"annotations"`
}

// configuration is what is read of an image's.
type configuration struct {
	Created      string `json:"created"`
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	Config       struct {
		Labels map[string]string `json:"Labels"`
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// imageConfigs are the media types of images' configurations.
var imageConfigs = []string{oci.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json"}

// find reads what a document tells.
func (l *looker) find(ctx context.Context, in image.Repository, d *image.Document) (*found, error) {
	f := &found{manifests: map[digest.Digest]*image.Document{d.Digest: d}}
	blobs := map[digest.Digest]int64{}
	if !d.IsIndex() {
		m, err := f.manifest(d, blobs)
		if err != nil {
			return nil, err
		}
		if f.size, err = sum(blobs); err != nil {
			return nil, err
		}
		if !slices.Contains(imageConfigs, m.Config.MediaType) {
			f.kind, f.artifact = KindArtifact, m.ArtifactType
			if f.artifact == "" {
				f.artifact = m.Config.MediaType
			}
			f.about(m.Annotations, nil)
			return f, nil
		}
		f.kind = KindImage
		c, err := f.configuration(ctx, in, m)
		if err != nil {
			return nil, err
		}
		f.platforms = []Platform{{c.platform(), string(d.Digest), f.size}}
		f.chosen = c.platform()
		f.known(d.Digest)
		f.about(m.Annotations, c)
		return f, nil
	}
	f.kind = KindIndex
	var list index
	if _, err := strict.Decode("the index", d.Data, &list); err != nil {
		return nil, err
	}
	children, err := platformsOf(list.Manifests)
	if err != nil {
		return nil, err
	}
	if len(children) == 0 {
		f.kind, f.artifact = KindArtifact, list.ArtifactType
		f.about(list.Annotations, nil)
		return f, nil
	}
	own := slices.IndexFunc(children, func(c oci.Descriptor) bool {
		return c.Platform.OS == "linux" && c.Platform.Architecture == runtime.GOARCH
	})
	f.known(d.Digest)
	for i, child := range children {
		document, err := in.Manifest(ctx, child.Digest)
		if err != nil {
			return nil, fmt.Errorf("its image for %s: %w", named(child.Platform), err)
		}
		f.manifests[child.Digest] = document
		one := map[digest.Digest]int64{}
		m, err := f.manifest(document, one)
		if err != nil {
			return nil, err
		}
		size, err := sum(one)
		if err != nil {
			return nil, err
		}
		for id, n := range one {
			blobs[id] = n
		}
		f.platforms = append(f.platforms, Platform{named(child.Platform), string(child.Digest), size})
		f.known(child.Digest, m.Config.Digest)
		if i != max(own, 0) || !slices.Contains(imageConfigs, m.Config.MediaType) {
			continue
		}
		c, err := f.configuration(ctx, in, m)
		if err != nil {
			return nil, err
		}
		f.chosen = named(child.Platform)
		f.about(m.Annotations, c)
	}
	f.about(list.Annotations, nil)
	f.size, err = sum(blobs)
	return f, err
}

// platformsOf are the images of an index. What builders put beside them has no platform, or one
// called unknown.
func platformsOf(list []oci.Descriptor) ([]oci.Descriptor, error) {
	var images []oci.Descriptor
	for _, d := range list {
		if d.Platform == nil || d.Platform.OS == "" || d.Platform.OS == "unknown" {
			continue
		}
		if images = append(images, d); len(images) > maxPlatforms {
			return nil, fmt.Errorf("its index lists more than %d images, the most that is looked at", maxPlatforms)
		}
	}
	return images, nil
}

func named(p *oci.Platform) string {
	return strings.Trim(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// manifest reads one, and adds what it consists of.
func (f *found) manifest(d *image.Document, blobs map[digest.Digest]int64) (*manifest, error) {
	if d.IsIndex() {
		return nil, errors.New("its index leads to another index")
	}
	m := &manifest{}
	if _, err := strict.Decode("the manifest", d.Data, m); err != nil {
		return nil, err
	}
	if len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("its manifest has %d layers, and %d is the most", len(m.Layers), maxLayers)
	}
	for _, b := range append([]oci.Descriptor{m.Config}, m.Layers...) {
		blobs[b.Digest] = b.Size
	}
	return m, nil
}

// sum adds sizes up; whoever wrote the manifest said them.
func sum(blobs map[digest.Digest]int64) (int64, error) {
	var all int64
	for id, n := range blobs {
		if n < 0 || n > math.MaxInt64-all {
			return 0, fmt.Errorf("the blob %.100q is said to have %d bytes, which can't be", id, n)
		}
		all += n
	}
	return all, nil
}

// configuration reads an image's.
func (f *found) configuration(ctx context.Context, in image.Repository, m *manifest) (*configuration, error) {
	data, err := in.Blob(ctx, m.Config, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("its configuration: %w", err)
	}
	c := &configuration{}
	if _, err := strict.Decode("the configuration", data, c); err != nil {
		return nil, err
	}
	f.known(m.Config.Digest)
	return c, nil
}

// known notes digests by which an image is known; what a manifest names may be none.
func (f *found) known(ids ...digest.Digest) {
	for _, id := range ids {
		if id.Validate() == nil && !slices.Contains(f.digests, string(id)) {
			f.digests = append(f.digests, string(id))
		}
	}
}

// platform is what an image says it is for.
func (c *configuration) platform() string {
	return strings.Trim(c.OS+"/"+c.Architecture+"/"+c.Variant, "/")
}

// about takes what annotations and a configuration say, unless something else has said it.
func (f *found) about(annotations map[string]string, c *configuration) {
	created := annotations[oci.AnnotationCreated]
	base := baseOf(annotations, FromAnnotation)
	if c != nil {
		if c.Created != "" {
			created = c.Created
		}
		if base == nil {
			base = baseOf(c.Config.Labels, FromLabel)
		}
		f.layers = c.RootFS.DiffIDs
	}
	if at, err := time.Parse(time.RFC3339Nano, created); err == nil && f.created.IsZero() {
		f.created = at.UTC()
	}
	if f.base == nil {
		f.base = base
	}
}

// baseOf is what words say of the base, nil for nothing.
func baseOf(words map[string]string, from string) *Base {
	b := &Base{words[oci.AnnotationBaseImageName], words[oci.AnnotationBaseImageDigest], from}
	if b.Name == "" && b.Digest == "" {
		return nil
	}
	return b
}

// notThere is true where nothing is known of an image.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// place is a repository under a name that no method of it has.
type place interface{ image.Repository }

// tagged is a repository as a tag of it was asked for, of which much was read already.
type tagged struct {
	found *found
	place
	tag   string
	named *image.Document
}

// Tag is the tag.
func (t tagged) Tag() string { return t.tag }

// Named is what it leads to.
func (t tagged) Named(context.Context) (*image.Document, error) { return t.named, nil }

// Manifest gives one that was read, or asks.
func (t tagged) Manifest(ctx context.Context, id digest.Digest) (*image.Document, error) {
	if d := t.found.manifests[id]; d != nil {
		return d, nil
	}
	return t.place.Manifest(ctx, id)
}
