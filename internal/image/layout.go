package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// The media types of docker that layouts may have beside OCI's.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// containerdName is containerd's annotation for the whole name of an image.
const containerdName = "io.containerd.image.name"

// namesOf are the names that an index gives a manifest: OCI's annotation, which mostly is
// a tag alone, and containerd's.
func namesOf(d oci.Descriptor) []string {
	var names []string
	for _, key := range []string{oci.AnnotationRefName, containerdName} {
		if name := d.Annotations[key]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// readLayout reads an OCI layout down to its one manifest.
func (i *Image) readLayout(ctx context.Context, o Options) error {
	data, err := document(ctx, i.store, part{name: oci.ImageLayoutFile}, i.limits.Document)
	if err != nil {
		return fmt.Errorf("it is no OCI layout: %w", err)
	}
	var layout oci.ImageLayout
	if _, err := strict.Decode(oci.ImageLayoutFile, data, &layout); err != nil {
		return err
	}
	if layout.Version != oci.ImageLayoutVersion {
		return fmt.Errorf("%s: the version is %.40q, and %s is read", oci.ImageLayoutFile, layout.Version, oci.ImageLayoutVersion)
	}
	data, err = document(ctx, i.store, part{name: oci.ImageIndexFile}, i.limits.Document)
	if err != nil {
		return err
	}
	var index oci.Index
	if _, err := strict.Decode(oci.ImageIndexFile, data, &index); err != nil {
		return err
	}
	list := index.Manifests
	if o.Name != "" {
		one, err := pick(list, o.Name, namesOf)
		if err != nil {
			return fmt.Errorf("%s: %w", oci.ImageIndexFile, err)
		}
		list = []oci.Descriptor{one}
	}
	f := finder{ctx: ctx, image: i, platform: o.Platform, seen: map[digest.Digest]bool{}}
	if err := f.find(list, nil, 0); err != nil {
		return err
	}
	return i.readFound(ctx, &f)
}

// readFound reads the one manifest that was found.
func (i *Image) readFound(ctx context.Context, f *finder) error {
	switch {
	case len(f.found) == 0 && len(f.other) > 0:
		return fmt.Errorf("it has no image for %q, but for %q", shown(f.platform), some(f.other))
	case len(f.found) == 0:
		return errors.New("it names no image")
	case len(f.found) > 1:
		return fmt.Errorf("it has %d images, and one must be picked by name or platform: %q", len(f.found), some(f.labels()))
	}
	return i.readManifest(ctx, f.found[0])
}

// candidate is a manifest that an index leads to.
type candidate struct {
	oci.Descriptor
	names []string
}

// finder follows indexes to manifests of images.
type finder struct {
	ctx      context.Context
	image    *Image
	platform string
	// seen are the digests that were followed: an index cannot hold itself, but the same
	// may be named over and over.
	seen  map[digest.Digest]bool
	found []candidate
	// other are the platforms that were not asked for.
	other []string
}

func (f *finder) labels() []string {
	var labels []string
	for _, c := range f.found {
		label := strings.Join(c.names, " ")
		if c.Platform != nil {
			label = strings.TrimSpace(label + " " + platformOf(c.Platform))
		}
		labels = append(labels, label)
	}
	return labels
}

func platformOf(p *oci.Platform) string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// maxIndexes bounds how deep indexes may name indexes; layouts have one below the first.
const maxIndexes = 4

func (f *finder) find(list []oci.Descriptor, names []string, depth int) error {
	if depth > maxIndexes {
		return fmt.Errorf("its indexes are more than %d deep", maxIndexes)
	}
	for _, d := range list {
		names := append(namesOf(d), names...)
		if f.seen[d.Digest] {
			continue
		}
		if len(f.seen) == f.image.limits.Documents {
			return beyond("the indexes name", f.image.limits.Documents, "documents")
		}
		f.seen[d.Digest] = true
		// What a build says of itself stands beside the images, for no platform.
		if p := d.Platform; p != nil {
			if p.OS == "unknown" {
				continue
			}
			if name := platformOf(p); f.platform != "" && f.platform != name && !strings.HasPrefix(name, f.platform+"/") {
				f.other = append(f.other, name)
				continue
			}
		}
		switch d.MediaType {
		case oci.MediaTypeImageIndex, dockerList:
			var below oci.Index
			if err := f.image.decode(f.ctx, d, &below); err != nil {
				return err
			}
			if err := f.find(below.Manifests, names, depth+1); err != nil {
				return err
			}
		case oci.MediaTypeImageManifest, dockerManifest:
			f.found = append(f.found, candidate{d, names})
		}
	}
	return nil
}

// decode reads a document of a layout, which must have its digest and size.
func (i *Image) decode(ctx context.Context, d oci.Descriptor, into any) error {
	name, err := blobPath(d.Digest)
	if err != nil {
		return err
	}
	data, err := document(ctx, i.store, part{name, d.Size, true}, i.limits.Document)
	if err != nil {
		return err
	}
	if int64(len(data)) != d.Size {
		return fmt.Errorf("%q has %d bytes, and its index says %d", name, len(data), d.Size)
	}
	// Each document is bounded, and so are all together, which take time to decode.
	if i.documents += int64(len(data)); i.documents > 8*i.limits.Document {
		return beyond("its documents have", 8*i.limits.Document, "bytes")
	}
	if err := check(name, d.Digest, d.Digest.Algorithm().FromBytes(data)); err != nil {
		return err
	}
	_, err = strict.Decode(name, data, into)
	return err
}

func (i *Image) readManifest(ctx context.Context, c candidate) error {
	var m oci.Manifest
	if err := i.decode(ctx, c.Descriptor, &m); err != nil {
		return err
	}
	i.Manifest, i.Names = c.Digest, c.names
	if len(m.Layers) > i.limits.Layers {
		return beyond("the manifest names", i.limits.Layers, "layers")
	}
	for n, d := range m.Layers {
		if !isLayer(d.MediaType) {
			return fmt.Errorf("layer %d has the media type %.100q, and is no layer of a file system", n, d.MediaType)
		}
		name, err := blobPath(d.Digest)
		if err != nil {
			return fmt.Errorf("layer %d: %w", n, err)
		}
		if d.Size < 0 {
			return fmt.Errorf("layer %d: its manifest says that it has %d bytes", n, d.Size)
		}
		i.Layers = append(i.Layers, Layer{Digest: d.Digest, Size: d.Size, name: name})
	}
	name, err := blobPath(m.Config.Digest)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return i.readConfig(ctx, part{name: name, size: m.Config.Size}, m.Config.Digest)
}
