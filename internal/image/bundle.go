package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// BundleSchema names the form of a bundle's own manifest.
const BundleSchema = "plimsoll/trust-bundle/1"

// bundleFile is where a bundle's manifest is, and bundleExtra the folder of what is neither
// the image nor a signature in a registry.
const (
	bundleFile  = "trust-bundle.json"
	bundleExtra = "trust/"
)

// BundleInfo is what a bundle says of itself. Nothing of it is signed: it is believed where
// something else shows it.
type BundleInfo struct {
	Schema string `json:"schema"`
	// Name is the repository, whole, with its host, and Tag what was packed by, "" for a
	// digest alone.
	Name string `json:"name"`
	Tag  string `json:"tag,omitempty"`
	// Digest is that of the index or manifest which the name led to.
	Digest digest.Digest `json:"digest"`
	// Images are the manifests that are there, of an index some or all of its own; Layers is
	// false where only what vouches for them is.
	Images []digest.Digest `json:"images"`
	Layers bool            `json:"layers"`
	// At is when it was packed, and By the program.
	At time.Time `json:"at"`
	By string    `json:"by"`
	// Files are all others of the bundle, by their paths.
	Files []BundledFile `json:"files"`
}

// BundledFile is a file of a bundle.
type BundledFile struct {
	Path   string        `json:"path"`
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
}

// Bundle is a [Repository] in one tar file, which an OCI layout is in: an image with what lies
// beside it in its registry, as [Pack] wrote it there, or somebody else: nothing of the file is
// believed that its digest does not show. Nothing outside the file is asked.
type Bundle struct {
	Info BundleInfo

	archive *archive
	limits  Limits
	asked   reference.Named
	files   map[string]BundledFile
	index   []oci.Descriptor
	tags    map[string]oci.Descriptor
	// types are the media types of manifests by the documents that name them, and platforms those
	// that the image's index says of the manifests which are there.
	types     map[digest.Digest]string
	platforms []string
	// about are the referrers by what they are about, nil before that was asked.
	about map[digest.Digest][]oci.Descriptor
}

// OpenBundle opens a bundle of the image that a reference of a registry names, by the same
// name. Where that has a digest, it is that of the image or of its index.
func OpenBundle(ctx context.Context, file string, r Reference, o Options) (*Bundle, error) {
	o.Limits = o.Limits.withDefaults()
	named, err := reference.ParseNormalizedNamed(r.At)
	if err != nil || r.Source != Registry || r.Several() {
		return nil, fmt.Errorf("opening %s: %s names no image of a registry", file, r)
	}
	a, err := openArchive(ctx, file, o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", file, err)
	}
	b := &Bundle{archive: a, limits: o.Limits, asked: reference.TagNameOnly(named), files: map[string]BundledFile{}, tags: map[string]oci.Descriptor{}, types: map[digest.Digest]string{}}
	if err := b.read(ctx); err != nil {
		a.Close()
		return nil, fmt.Errorf("opening %s: %w", file, err)
	}
	return b, nil
}

// Close lets go of the file.
func (b *Bundle) Close() error { return b.archive.Close() }

// read reads what says what is there, and checks that it is.
func (b *Bundle) read(ctx context.Context) error {
	for name, m := range b.archive.members {
		if m.link != "" {
			return fmt.Errorf("member %q is a link, and a bundle has none", shown(name))
		}
	}
	data, err := document(ctx, b.archive, part{name: bundleFile}, b.limits.Document)
	if err != nil {
		return fmt.Errorf("it is no bundle: %w", err)
	}
	if err := strict.JSON(bundleFile, data, &b.Info); err != nil {
		return err
	}
	if err := b.list(); err != nil {
		return fmt.Errorf("%s: %w", bundleFile, err)
	}
	if err := b.layout(ctx); err != nil {
		return err
	}
	return b.isAsked()
}

// list checks the bundle's manifest, and that the files are those that it lists.
func (b *Bundle) list() error {
	i := &b.Info
	if i.Schema != BundleSchema {
		return fmt.Errorf("its schema is %.80q, and %s is read", i.Schema, BundleSchema)
	}
	named, err := reference.ParseNormalizedNamed(i.Name)
	if err != nil || named.Name() != i.Name {
		return fmt.Errorf("%.200q is no whole name of a repository", i.Name)
	}
	if _, err := reference.WithTag(named, i.Tag); i.Tag != "" && err != nil {
		return fmt.Errorf("%.200q is no tag", i.Tag)
	}
	if err := i.Digest.Validate(); err != nil {
		return fmt.Errorf("%.100q is no digest: %w", i.Digest, err)
	}
	if i.At.IsZero() {
		return errors.New("it does not say when it was packed")
	}
	for _, f := range i.Files {
		m, there := b.archive.members[f.Path]
		_, twice := b.files[f.Path]
		switch {
		case !there:
			return fmt.Errorf("it lists %q, which is not there", shown(f.Path))
		case twice:
			return fmt.Errorf("it lists %q twice", shown(f.Path))
		case m.size != f.Size:
			return fmt.Errorf("%q has %d bytes, and %d are listed", shown(f.Path), m.size, f.Size)
		}
		if err := f.Digest.Validate(); err != nil {
			return fmt.Errorf("%q: %.100q is no digest: %w", shown(f.Path), f.Digest, err)
		}
		if own, _ := blobPath(f.Digest); strings.HasPrefix(f.Path, "blobs/") && f.Path != own {
			return fmt.Errorf("%q is listed as %s", shown(f.Path), f.Digest)
		}
		b.files[f.Path] = f
	}
	for name := range b.archive.members {
		if _, listed := b.files[name]; !listed && name != bundleFile {
			return fmt.Errorf("it does not list %q, which is there", shown(name))
		}
	}
	return nil
}

// layout reads the layout's index, and what the image's own index says of types.
func (b *Bundle) layout(ctx context.Context) error {
	data, err := b.File(ctx, oci.ImageLayoutFile, b.limits.Document)
	if err != nil {
		return err
	}
	var layout oci.ImageLayout
	if _, err := strict.Decode(oci.ImageLayoutFile, data, &layout); err != nil {
		return err
	}
	if layout.Version != oci.ImageLayoutVersion {
		return fmt.Errorf("%s: the version is %.40q, and %s is read", oci.ImageLayoutFile, layout.Version, oci.ImageLayoutVersion)
	}
	if data, err = b.File(ctx, oci.ImageIndexFile, b.limits.Document); err != nil {
		return err
	}
	var index oci.Index
	if _, err := strict.Decode(oci.ImageIndexFile, data, &index); err != nil {
		return err
	}
	if len(index.Manifests) > b.limits.Documents {
		return beyond(oci.ImageIndexFile+" names", b.limits.Documents, "documents")
	}
	for _, d := range index.Manifests {
		if err := b.names(d); err != nil {
			return fmt.Errorf("%s: %w", oci.ImageIndexFile, err)
		}
		tag := d.Annotations[oci.AnnotationRefName]
		if tag == "" {
			continue
		}
		if _, twice := b.tags[tag]; twice {
			return fmt.Errorf("%s: %q is there twice", oci.ImageIndexFile, shown(tag))
		}
		b.tags[tag] = d
	}
	b.index = index.Manifests
	if t := b.Info.Tag; t != "" && b.tags[t].Digest != b.Info.Digest {
		return fmt.Errorf("%s: the tag %s leads to %.100q, and was packed as %s", oci.ImageIndexFile, t, b.tags[t].Digest, b.Info.Digest)
	}
	top, err := b.Manifest(ctx, b.Info.Digest)
	if err != nil || !top.IsIndex() {
		return err
	}
	var list oci.Index
	if _, err := strict.Decode("the index", top.Data, &list); err != nil {
		return err
	}
	if len(list.Manifests) > b.limits.Documents {
		return beyond("the index names", b.limits.Documents, "documents")
	}
	for _, d := range list.Manifests {
		// Those of other platforms need not be there.
		if name, err := blobPath(d.Digest); err == nil && b.files[name].Path != "" {
			if err := b.names(d); err != nil {
				return fmt.Errorf("the index: %w", err)
			}
			if p := d.Platform; p != nil && p.OS != "unknown" {
				b.platforms = append(b.platforms, platformOf(p))
			}
		}
	}
	return nil
}

// names notes a manifest that a document names.
func (b *Bundle) names(d oci.Descriptor) error {
	name, err := blobPath(d.Digest)
	if err != nil {
		return err
	}
	f, there := b.files[name]
	if !there || f.Size != d.Size {
		return fmt.Errorf("%s of %d bytes is named, and is not there", d.Digest, d.Size)
	}
	if before, twice := b.types[d.Digest]; twice && before != d.MediaType {
		return fmt.Errorf("%s is named as %.100q and as %.100q", d.Digest, before, d.MediaType)
	}
	b.types[d.Digest] = d.MediaType
	return nil
}

// isAsked says whether the bundle is of the image that was asked for.
func (b *Bundle) isAsked() error {
	if b.asked.Name() != b.Info.Name {
		return fmt.Errorf("it is a bundle of %s, and %s is asked for", b.Info.Name, b.asked.Name())
	}
	if tag := b.Tag(); tag != "" && tag != b.Info.Tag {
		return fmt.Errorf("it is a bundle of %q, and the tag %q is asked for", shown(b.Info.Name+":"+b.Info.Tag), tag)
	}
	if d, is := b.asked.(reference.Digested); is && b.types[d.Digest()] == "" {
		return fmt.Errorf("it has no %s, but %s", d.Digest(), b.Info.Digest)
	}
	return nil
}

// Check reads every file, and says which is not what its digest says. Progress is told how many
// there are, and then each that was read.
func (b *Bundle) Check(ctx context.Context, progress func(done, of int)) error {
	progress(0, len(b.Info.Files))
	buffer := make([]byte, unpackedBuffer)
	for _, f := range b.Info.Files {
		at, err := b.archive.open(ctx, part{name: f.Path})
		if err != nil {
			return err
		}
		sum := f.Digest.Algorithm().Hash()
		if _, err := io.CopyBuffer(onlyWriter{sum}, at, buffer); err != nil {
			return fmt.Errorf("reading %q: %w", f.Path, err)
		}
		if err := check(f.Path, f.Digest, digest.NewDigest(f.Digest.Algorithm(), sum)); err != nil {
			return err
		}
		progress(1, len(b.Info.Files))
	}
	return nil
}

// File reads a file of the bundle, of no more than so many bytes.
func (b *Bundle) File(ctx context.Context, name string, most int64) ([]byte, error) {
	f, there := b.files[name]
	if !there {
		return nil, fmt.Errorf("%w: the bundle has no %q", ErrNotFound, shown(name))
	}
	if f.Size > most {
		return nil, other(fmt.Errorf("%q has %d bytes, and %d is the most", shown(name), f.Size, most))
	}
	data, err := document(ctx, b.archive, part{name: f.Path}, most)
	if err != nil {
		return nil, err
	}
	return data, other(check(shown(name), f.Digest, f.Digest.Algorithm().FromBytes(data)))
}

// Platforms are those of the images that are there, as their index says; none where there is no
// index.
func (b *Bundle) Platforms() []string { return slices.Clone(b.platforms) }

// Document is what a server of a host gave at a path, when the bundle was packed.
func (b *Bundle) Document(ctx context.Context, host, at string, most int64) ([]byte, error) {
	return b.File(ctx, serverFile(host, at), most)
}

// serverFile is where a bundle has a document of a server.
func serverFile(host, at string) string { return path.Join(bundleExtra, "servers", host, at) }

// Repository is the name of the repository that was packed.
func (b *Bundle) Repository() string { return b.Info.Name }

// Tag is the tag that was asked for, "" for a digest alone.
func (b *Bundle) Tag() string {
	if t, is := b.asked.(reference.Tagged); is {
		return t.Tag()
	}
	return ""
}

// Named gives what was asked for.
func (b *Bundle) Named(ctx context.Context) (*Document, error) {
	if d, is := b.asked.(reference.Digested); is {
		return b.Manifest(ctx, d.Digest())
	}
	return b.Manifest(ctx, b.Info.Digest)
}

// Manifest gives the one with a digest.
func (b *Bundle) Manifest(ctx context.Context, id digest.Digest) (*Document, error) {
	name, err := blobPath(id)
	if err != nil {
		return nil, other(err)
	}
	named, is := b.types[id]
	if !is {
		return nil, fmt.Errorf("%w: the bundle has no manifest %s", ErrNotFound, id)
	}
	data, err := b.File(ctx, name, b.limits.Document)
	if err != nil {
		return nil, err
	}
	d := &Document{Data: data, Descriptor: oci.Descriptor{Digest: id, Size: int64(len(data))}}
	d.MediaType, err = typeOf(data, named)
	return d, other(err)
}

// Tagged gives the one that a tag led to when the bundle was packed.
func (b *Bundle) Tagged(ctx context.Context, tag string) (*Document, error) {
	d, there := b.tags[tag]
	if !there {
		return nil, fmt.Errorf("%w: the bundle has no tag %q", ErrNotFound, shown(tag))
	}
	return b.Manifest(ctx, d.Digest)
}

// Blob gives a small blob whole.
func (b *Bundle) Blob(ctx context.Context, d oci.Descriptor, most int64) ([]byte, error) {
	name, err := blobPath(d.Digest)
	if err != nil {
		return nil, other(err)
	}
	data, err := b.File(ctx, name, most)
	if err == nil && int64(len(data)) != d.Size {
		return nil, other(fmt.Errorf("the blob %s does not have the %d bytes that are said of it", d.Digest, d.Size))
	}
	return data, err
}

// Referrers are the manifests of the bundle that say that they are about another.
func (b *Bundle) Referrers(ctx context.Context, of digest.Digest, most int) ([]oci.Descriptor, error) {
	if b.about == nil {
		if err := b.refer(ctx); err != nil {
			return nil, err
		}
	}
	if len(b.about[of]) > most {
		return nil, beyond("the bundle names", most, "referrers")
	}
	return slices.Clone(b.about[of]), nil
}

// refer finds out which manifests of the layout are about which. All together are bounded,
// since each is read.
func (b *Bundle) refer(ctx context.Context) error {
	about := map[digest.Digest][]oci.Descriptor{}
	left := 8 * b.limits.Document
	for _, d := range b.index {
		if left -= d.Size; left < 0 {
			return beyond("the manifests of the bundle have", 8*b.limits.Document, "bytes")
		}
		document, err := b.Manifest(ctx, d.Digest)
		if err != nil {
			return err
		}
		var m struct {
			Subject *oci.Descriptor `json:"subject"`
		}
		// Who packed it wrote down what a registry gave.
		if _, err := strict.Decode("the manifest", document.Data, &m); err != nil || m.Subject == nil {
			continue
		}
		d.Annotations = withoutName(d.Annotations)
		if !slices.ContainsFunc(about[m.Subject.Digest], func(is oci.Descriptor) bool { return is.Digest == d.Digest }) {
			about[m.Subject.Digest] = append(about[m.Subject.Digest], d)
		}
	}
	b.about = about
	return nil
}

// withoutName are annotations without those by which a layout's index names what it has.
func withoutName(all map[string]string) map[string]string {
	kept := map[string]string{}
	for k, v := range all {
		if k != oci.AnnotationRefName && k != containerdName && k != cosignKind {
			kept[k] = v
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}
