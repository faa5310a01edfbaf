package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/distribution/reference"
	spec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Options say how an image is opened.
type Options struct {
	// Temp is the folder for what has to be spooled, "" the system's. A spooled file has
	// no name there, and goes with the image or the process.
	Temp string
	// Name picks an image where an archive or a layout has several: a tag, or the name
	// that the index has. "" is for one that is alone.
	Name string
	// Platform picks one where an image has several: os/architecture or
	// os/architecture/variant. "" is for one that is alone, and in a registry for that of
	// linux and this machine's architecture where there are several.
	Platform string
	// Limits bounds the reading.
	Limits Limits
	// Registries is for images in registries.
	Registries Registries
}

// Config is the configuration of an image, with what docker adds to OCI's. Numbers and
// texts are as the image has them, unchecked but for their JSON.
type Config = spec.DockerOCIImage

// Layer is one layer, the lowest first.
type Layer struct {
	// Digest is of the layer as it is stored, "" where no document names it. DiffID is of
	// its tar stream; "" for a root folder.
	Digest, DiffID digest.Digest
	// Size is the bytes that it has as it is stored, 0 for a root folder.
	Size int64

	name string
}

func (l Layer) part() part { return part{name: l.name, size: l.Size} }

// Image is an image that can be read. One goroutine uses it at a time; [Image.Close] ends it.
type Image struct {
	// ID is the digest of the configuration, as docker has it; "" for a root folder.
	ID digest.Digest
	// Manifest is the digest of the manifest, "" where there is none.
	Manifest digest.Digest
	// Names are the tags, or the names of the index, as they are written there.
	Names []string
	// Config is zero for a root folder, and Document is what it was read from: see
	// [Recorded].
	Config   Config
	Document []byte
	Layers   []Layer

	where  string
	limits Limits
	store  store
	// root is the folder of a root folder; store is then nil.
	root *os.Root
	// documents is how many bytes of documents were read.
	documents int64
}

// Close lets go of the files; spooled ones are gone with it.
func (i *Image) Close() error {
	if i.root != nil {
		return i.root.Close()
	}
	return i.store.Close()
}

// Open opens an image that is in files or in a registry. Those of the engine are streams:
// see [Stream]. Of a registry the documents are read here, and each layer when Walk gets to
// it, again for each walk. The error says where in which document something is wrong.
func Open(ctx context.Context, r Reference, o Options) (*Image, error) {
	o.Limits, o.Registries = o.Limits.withDefaults(), o.Registries.withDefaults()
	i := &Image{where: r.String(), limits: o.Limits}
	var err error
	switch r.Source {
	case DockerArchive, OCIArchive:
		var a *archive
		if a, err = openArchive(ctx, r.At, o); err == nil {
			i.store = a
		}
	case OCILayout:
		var root *os.Root
		if root, err = os.OpenRoot(r.At); err == nil {
			i.store = layoutFolder{root}
		}
	case Folder:
		if i.root, err = os.OpenRoot(r.At); err == nil {
			i.Layers = []Layer{{name: r.At}}
			return i, nil
		}
	case Registry:
		var found *repository
		if found, i.Names, err = openRegistry(ctx, r, o); err == nil {
			i.store = found
		}
	default:
		err = errors.New("it is the engine's, which sends it as a stream")
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", r, err)
	}
	return i.read(ctx, r.Source, o)
}

// Stream opens an image of a docker-archive that comes as a stream, such as the engine's
// answer to GET /images/NAME/get; where names it in messages. The stream is read to its
// end, and the caller closes it. It is spooled, since what orders its layers comes last.
func Stream(ctx context.Context, where string, r io.Reader, o Options) (*Image, error) {
	o.Limits = o.Limits.withDefaults()
	file, err := spool(ctx, r, "", o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", where, err)
	}
	a, err := indexed(ctx, file, o.Limits)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", where, err)
	}
	i := &Image{where: where, limits: o.Limits, store: a}
	return i.read(ctx, DockerArchive, o)
}

// read reads the documents, and closes the store where they cannot be read.
func (i *Image) read(ctx context.Context, source Source, o Options) (*Image, error) {
	read := i.readLayout
	switch source {
	case DockerArchive:
		read = i.readArchive
	case Registry:
		read = i.readRegistry
	}
	err := read(ctx, o)
	if got := platformOf(&i.Config.Platform); err == nil && o.Platform != "" && o.Platform != got && !strings.HasPrefix(got, o.Platform+"/") {
		err = fmt.Errorf("its image is for %q, not %q", shown(got), shown(o.Platform))
	}
	if err != nil {
		i.store.Close()
		return nil, fmt.Errorf("opening %s: %w", i.where, err)
	}
	return i, nil
}

// archived is an image of a docker-archive's manifest.json (docker's image/spec/v1.2.md,
// Combined Image JSON + Filesystem Changeset Format).
type archived struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (i *Image) readArchive(ctx context.Context, o Options) error {
	data, err := document(ctx, i.store, part{name: "manifest.json"}, i.limits.Document)
	if err != nil {
		return err
	}
	var list []archived
	if _, err := strict.Decode("manifest.json", data, &list); err != nil {
		return err
	}
	one, err := pick(list, o.Name, func(a archived) []string { return a.RepoTags })
	if err != nil {
		return fmt.Errorf("manifest.json: %w", err)
	}
	i.Names = one.RepoTags
	if one.Config == "" {
		return errors.New(`manifest.json: "Config" is missing`)
	}
	if len(one.Layers) > i.limits.Layers {
		return beyond("manifest.json names", i.limits.Layers, "layers")
	}
	for _, name := range one.Layers {
		i.Layers = append(i.Layers, Layer{Digest: named(name), name: name})
	}
	return i.readConfig(ctx, part{name: one.Config}, named(one.Config))
}

// pick is the entry of that name, or the only one.
func pick[T any](list []T, name string, names func(T) []string) (T, error) {
	var found []T
	var all []string
	for _, one := range list {
		all = append(all, names(one)...)
		if name == "" || slices.ContainsFunc(names(one), func(n string) bool { return sameName(n, name) }) {
			found = append(found, one)
		}
	}
	var none T
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(list) == 0:
		return none, errors.New("it names no image")
	case len(found) == 0:
		return none, fmt.Errorf("it has no image %q, but %q", shown(name), some(all))
	default:
		return none, fmt.Errorf("it has %d images, and one must be named: %q", len(found), some(all))
	}
}

// some are so many names as a message can hold.
func some(names []string) []string {
	var few []string
	for _, n := range names[:min(len(names), 10)] {
		few = append(few, shown(n))
	}
	return few
}

// sameName is true for two spellings of one name.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	full := func(name string) string {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return ""
		}
		return reference.TagNameOnly(named).String()
	}
	return full(a) != "" && full(a) == full(b)
}

// readConfig reads the configuration, which must have the digest, if there is one, and a
// diff id for each layer.
func (i *Image) readConfig(ctx context.Context, p part, want digest.Digest) error {
	name := p.name
	data, err := document(ctx, i.store, p, i.limits.Document)
	if err != nil {
		return err
	}
	i.Document, i.ID = data, digest.FromBytes(data)
	if want != "" {
		i.ID = want.Algorithm().FromBytes(data)
		if err := check(shown(name), want, i.ID); err != nil {
			return err
		}
	}
	if _, err := strict.Decode(shown(name), data, &i.Config); err != nil {
		return err
	}
	ids := i.Config.RootFS.DiffIDs
	if len(ids) != len(i.Layers) {
		return fmt.Errorf("the image has %d layers, and its configuration %d diff ids", len(i.Layers), len(ids))
	}
	for n, id := range ids {
		if err := id.Validate(); err != nil {
			return fmt.Errorf("%s: rootfs.diff_ids[%d]: %.100q is no digest: %w", shown(name), n, id, err)
		}
		i.Layers[n].DiffID = id
		b, err := i.store.open(ctx, i.Layers[n].part())
		if err != nil {
			return fmt.Errorf("layer %d: %w", n, err)
		}
		if size := i.Layers[n].Size; i.Manifest != "" && size != b.size {
			err = fmt.Errorf("layer %d: %q has %d bytes, and its manifest says %d", n, shown(i.Layers[n].name), b.size, size)
		}
		i.Layers[n].Size = b.size
		if err = errors.Join(err, b.close()); err != nil {
			return err
		}
	}
	return nil
}

// isLayer is true for the media types of layers that are tar streams, compressed or not
// (the OCI image specification's media-types.md; docker's image manifest v2, schema 2).
func isLayer(mediaType string) bool {
	for _, begin := range []string{"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar", "application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar"} {
		if end, found := strings.CutPrefix(mediaType, begin); found && slices.Contains([]string{"", "+gzip", "+zstd", ".gzip", ".zstd"}, end) {
			return true
		}
	}
	return false
}
