package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Packing says what goes into a bundle.
type Packing struct {
	// Platform is that of the image of an index, as linux/amd64, "" for this machine's; All
	// is for every one.
	Platform string
	All      bool
	// NoLayers leaves the layers out: only what vouches for the image is packed.
	NoLayers bool
	// At is when it is packed, and By the program: the only two that differ between bundles
	// of the same things.
	At time.Time
	By string
	// First are the types of artifacts that are packed before others, where not all of them can
	// be: those of signatures.
	First []string
	// Files are others that are to be there, by paths below trust/, and Servers what servers
	// gave, by host and path.
	Files   map[string][]byte
	Servers map[string]map[string][]byte
	// Progress is told how many blobs there are, and then each that is packed. Nil is nobody.
	Progress func(done, of int)
	Limits   Limits
}

// The bounds of what lies beside an image and is packed with it. What is beyond them is left
// out: whoever may write to a repository could else let nobody pack anything of it.
const (
	maxBeside      = 16 << 20  // of one blob
	maxBesideTotal = 128 << 20 // of all
	maxPackedAbout = 1024      // referrers of one manifest
)

// Pack writes a bundle: the image, or images, that a repository's name leads to, what cosign
// has at tags beside them, and what refers to them, as one tar file. It is an OCI layout, and
// where it has layers an archive as docker load takes it. Left are what lies beside the image
// and was left out, and why: it is not what is said of it, or beyond the bounds.
//
// The layers are streamed into the file, so that a failure leaves half of one: whoever gives
// w throws that away.
func Pack(ctx context.Context, w io.Writer, r *Remote, p Packing) (info BundleInfo, left []string, err error) {
	p.Limits = p.Limits.withDefaults()
	if p.Progress == nil {
		p.Progress = func(int, int) {}
	}
	k := &packer{Packing: p, in: r, files: map[string]bundled{}, layers: map[digest.Digest]oci.Descriptor{}}
	if err := k.gather(ctx); err != nil {
		return BundleInfo{}, nil, fmt.Errorf("packing %s: %w", r.named, err)
	}
	if err := k.write(ctx, w); err != nil {
		return BundleInfo{}, nil, fmt.Errorf("packing %s: %w", r.named, err)
	}
	return k.info, k.left, nil
}

// bundled is a file of a bundle whose bytes are known.
type bundled struct {
	digest digest.Digest
	data   []byte
}

// packer is one bundle that is made.
type packer struct {
	Packing
	in     *Remote
	info   BundleInfo
	files  map[string]bundled // by path
	layers map[digest.Digest]oci.Descriptor
	index  []oci.Descriptor
	beside int64 // bytes of what lies beside
	left   []string
}

// put has a blob or a manifest in the bundle.
func (k *packer) put(id digest.Digest, data []byte) error {
	name, err := blobPath(id)
	if err == nil {
		k.files[name] = bundled{id, data}
	}
	return err
}

func (k *packer) file(name string, data []byte) {
	k.files[name] = bundled{digest.FromBytes(data), data}
}

// gather finds out what is packed, and reads all of it but the layers.
func (k *packer) gather(ctx context.Context) error {
	top, err := k.in.Named(ctx)
	if err != nil {
		return err
	}
	k.info = BundleInfo{Schema: BundleSchema, Name: k.in.Repository(), Tag: k.in.Tag(), Digest: top.Digest, Layers: !k.NoLayers, At: k.At.UTC().Truncate(time.Second), By: k.By}
	subjects := []*Document{top}
	if top.IsIndex() {
		if err := k.put(top.Digest, top.Data); err != nil {
			return err
		}
		children, err := k.children(ctx, top)
		if err != nil {
			return err
		}
		subjects = append(subjects, children...)
	}
	d := top.Descriptor
	d.Annotations = map[string]string{containerdName: k.in.named.String(), cosignKind: cosignImage}
	if top.IsIndex() {
		d.Annotations[cosignKind] = cosignIndex
	}
	if k.info.Tag != "" {
		d.Annotations[oci.AnnotationRefName] = k.info.Tag
	}
	k.index = append(k.index, d)
	for _, s := range subjects {
		if !s.IsIndex() {
			k.info.Images = append(k.info.Images, s.Digest)
			if err := k.image(ctx, s); err != nil {
				return err
			}
		}
	}
	for _, s := range subjects {
		if err := k.vouching(ctx, s); err != nil {
			return err
		}
	}
	for name, data := range k.Files {
		k.file(bundleExtra+name, data)
	}
	for host, documents := range k.Servers {
		for at, data := range documents {
			k.file(serverFile(host, at), data)
		}
	}
	return k.describe()
}

// children are the manifests of an index that are packed.
func (k *packer) children(ctx context.Context, index *Document) ([]*Document, error) {
	var list oci.Index
	if _, err := strict.Decode("the index", index.Data, &list); err != nil {
		return nil, err
	}
	if len(list.Manifests) > k.Limits.Documents {
		return nil, beyond("the index names", k.Limits.Documents, "documents")
	}
	want := cmp.Or(k.Platform, "linux/"+runtime.GOARCH)
	var chosen []digest.Digest
	var others []string
	for _, d := range list.Manifests {
		p := d.Platform
		switch {
		case slices.Contains(chosen, d.Digest):
		case k.All || p != nil && (p.OS+"/"+p.Architecture == want || platformOf(p) == want):
			chosen = append(chosen, d.Digest)
		case p != nil && p.OS != "unknown":
			others = append(others, platformOf(p))
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("it has no image for %q, but for %q", want, some(others))
	}
	for _, d := range list.Manifests {
		// What a build says of itself goes with its image.
		if slices.Contains(chosen, digest.Digest(d.Annotations["vnd.docker.reference.digest"])) && !slices.Contains(chosen, d.Digest) {
			chosen = append(chosen, d.Digest)
		}
	}
	var children []*Document
	for _, id := range chosen {
		child, err := k.in.Manifest(ctx, id)
		if err != nil {
			return nil, err
		}
		if child.IsIndex() {
			return nil, errors.New("its index leads to another index")
		}
		children = append(children, child)
	}
	return children, nil
}

// image packs a manifest with its configuration, and notes its layers.
func (k *packer) image(ctx context.Context, d *Document) error {
	var m oci.Manifest
	if _, err := strict.Decode("the manifest", d.Data, &m); err != nil {
		return err
	}
	if len(m.Layers) > k.Limits.Layers {
		return beyond("the manifest names", k.Limits.Layers, "layers")
	}
	if err := k.put(d.Digest, d.Data); err != nil {
		return err
	}
	config, err := k.in.Blob(ctx, m.Config, k.Limits.Document)
	if err != nil {
		return err
	}
	if err := k.put(m.Config.Digest, config); err != nil {
		return err
	}
	if k.NoLayers {
		return nil
	}
	var archived archived
	for n, layer := range m.Layers {
		name, err := blobPath(layer.Digest)
		if err != nil {
			return fmt.Errorf("layer %d: %w", n, err)
		}
		if layer.Size < 0 || layer.Size > k.Limits.Layer {
			return fmt.Errorf("layer %d has %d bytes, and %d is the most", n, layer.Size, k.Limits.Layer)
		}
		if before, twice := k.layers[layer.Digest]; twice && before.Size != layer.Size {
			return fmt.Errorf("layer %d has %d bytes, and had %d before", n, layer.Size, before.Size)
		}
		k.layers[layer.Digest] = layer
		if isLayer(layer.MediaType) {
			archived.Layers = append(archived.Layers, name)
		}
	}
	var total int64
	for _, layer := range k.layers {
		if total += layer.Size; total > k.Limits.Total {
			return beyond("the layers have", k.Limits.Total, "bytes")
		}
	}
	return k.loadable(config, m.Config, archived, len(m.Layers))
}

// loadable has docker load find the image, where it is the one for the platform: docker reads
// one image of a name from an archive.
func (k *packer) loadable(config []byte, d oci.Descriptor, a archived, layers int) error {
	const name = "manifest.json"
	var c Config
	if _, err := strict.Decode("the configuration", config, &c); err != nil {
		return err
	}
	want := cmp.Or(k.Platform, "linux/"+runtime.GOARCH)
	if _, before := k.files[name]; before || len(a.Layers) != layers || c.OS+"/"+c.Architecture != want && platformOf(&c.Platform) != want {
		return nil
	}
	var err error
	if a.Config, err = blobPath(d.Digest); err != nil {
		return err
	}
	if k.info.Tag != "" {
		a.RepoTags = []string{k.info.Name + ":" + k.info.Tag}
	}
	data, err := json.Marshal([]archived{a})
	if err == nil {
		k.file(name, data)
	}
	return err
}

// cosignKind is cosign's annotation for what a layout has of one image, by which cosign verify
// --local-image finds it (its pkg/oci/layout).
const (
	cosignKind  = "kind"
	cosignImage = "dev.cosignproject.cosign/image"
	cosignIndex = "dev.cosignproject.cosign/imageIndex"
)

// cosignKinds are those by the ends of cosign's tags.
var cosignKinds = map[string]string{".sig": "dev.cosignproject.cosign/sigs", ".att": "dev.cosignproject.cosign/atts"}

// vouching packs what lies beside a manifest.
func (k *packer) vouching(ctx context.Context, subject *Document) error {
	for _, suffix := range []string{".sig", ".att"} {
		tag := referrersTag(subject.Digest) + suffix
		d, err := k.in.Tagged(ctx, tag)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil {
			as := d.Descriptor
			as.Annotations = map[string]string{oci.AnnotationRefName: tag}
			if subject.Digest == k.info.Digest { // cosign knows one image a layout
				as.Annotations[cosignKind] = cosignKinds[suffix]
			}
			err = k.artifact(ctx, d, as)
		}
		if err := k.leave("the tag "+tag, err); err != nil {
			return err
		}
	}
	return k.referrers(ctx, subject)
}

// referrer is a manifest about the image that may be packed.
type referrer struct {
	document *Document
	as       oci.Descriptor
	blobs    int64 // bytes, by its own word
}

// referrers packs what refers to a manifest: what may be a signature first, and of that the
// smaller first, so that nobody crowds it out with what is large.
func (k *packer) referrers(ctx context.Context, subject *Document) error {
	list, err := k.in.Referrers(ctx, subject.Digest, k.Limits.Documents)
	if err != nil {
		return err
	}
	later := func(d oci.Descriptor) int {
		if slices.Contains(k.First, d.ArtifactType) {
			return 0
		}
		return 1
	}
	slices.SortFunc(list, func(a, b oci.Descriptor) int {
		return cmp.Or(cmp.Compare(later(a), later(b)), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Digest, b.Digest))
	})
	if len(list) > maxPackedAbout {
		k.left = append(k.left, fmt.Sprintf("%d referrers of %s: %d of one manifest are packed", len(list)-maxPackedAbout, subject.Digest, maxPackedAbout))
		list = list[:maxPackedAbout]
	}
	var all []referrer
	for _, named := range list {
		d, err := k.in.Manifest(ctx, named.Digest)
		var m oci.Manifest
		if err == nil {
			_, wrong := strict.Decode("the manifest", d.Data, &m)
			err = other(wrong)
		}
		if err != nil {
			if err := k.leave("the referrer "+string(named.Digest), err); err != nil {
				return err
			}
			continue
		}
		r := referrer{document: d, as: oci.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, ArtifactType: named.ArtifactType, Annotations: withoutName(named.Annotations)}}
		for _, one := range m.Layers {
			r.blobs += min(max(one.Size, 0), maxBesideTotal)
		}
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b referrer) int {
		return cmp.Or(cmp.Compare(later(a.as), later(b.as)), cmp.Compare(a.blobs, b.blobs))
	})
	for _, r := range all {
		if err := k.leave("the referrer "+string(r.as.Digest), k.artifact(ctx, r.document, r.as)); err != nil {
			return err
		}
	}
	return nil
}

// errBeyond is what is more than is packed of what lies beside an image.
var errBeyond = errors.New("more is there than is packed")

// leave notes what lies beside the image and is left out for what it is. Other errors end the
// packing: then it is not known what else there is.
func (k *packer) leave(what string, err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrOther) || errors.Is(err, errBeyond) {
		k.left = append(k.left, fmt.Sprintf("%s: %v", what, err))
		return nil
	}
	return err
}

// artifact packs a manifest that vouches for the image, as the layout names it, with its blobs, or
// nothing of it.
func (k *packer) artifact(ctx context.Context, d *Document, as oci.Descriptor) error {
	if d.IsIndex() {
		return fmt.Errorf("%w: it is an index, and no manifest", ErrOther)
	}
	var m oci.Manifest
	if _, err := strict.Decode("the manifest", d.Data, &m); err != nil {
		return other(err)
	}
	blobs := map[digest.Digest][]byte{}
	size := int64(len(d.Data))
	for _, one := range append([]oci.Descriptor{m.Config}, m.Layers...) {
		if one.Size < 0 || one.Size > maxBeside || size+k.beside+one.Size > maxBesideTotal {
			return fmt.Errorf("%w: the blob %.100q has %d bytes", errBeyond, one.Digest, one.Size)
		}
		if _, have := blobs[one.Digest]; have {
			continue
		}
		data, err := k.in.Blob(ctx, one, maxBeside)
		if err != nil {
			return err
		}
		blobs[one.Digest] = data
		size += one.Size
	}
	k.beside += size
	blobs[d.Digest] = d.Data
	for id, data := range blobs {
		if err := k.put(id, data); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(k.index, func(is oci.Descriptor) bool {
		return is.Digest == as.Digest && is.Annotations[oci.AnnotationRefName] == as.Annotations[oci.AnnotationRefName]
	}) {
		k.index = append(k.index, as)
	}
	return nil
}

// describe makes the documents that say what is there.
func (k *packer) describe() error {
	index := oci.Index{MediaType: oci.MediaTypeImageIndex, Manifests: k.index}
	index.SchemaVersion = 2
	slices.SortStableFunc(index.Manifests[1:], func(a, b oci.Descriptor) int {
		return cmp.Or(cmp.Compare(a.Annotations[oci.AnnotationRefName], b.Annotations[oci.AnnotationRefName]), cmp.Compare(a.Digest, b.Digest))
	})
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	k.file(oci.ImageIndexFile, data)
	if data, err = json.Marshal(oci.ImageLayout{Version: oci.ImageLayoutVersion}); err != nil {
		return err
	}
	k.file(oci.ImageLayoutFile, data)
	slices.Sort(k.info.Images)
	k.info.Images = slices.Compact(k.info.Images)
	for name, f := range k.files {
		k.info.Files = append(k.info.Files, BundledFile{name, f.digest, int64(len(f.data))})
	}
	for id, d := range k.layers {
		name, err := blobPath(id)
		if err != nil {
			return err
		}
		if _, have := k.files[name]; !have {
			k.info.Files = append(k.info.Files, BundledFile{name, id, d.Size})
		}
	}
	slices.SortFunc(k.info.Files, func(a, b BundledFile) int { return cmp.Compare(a.Path, b.Path) })
	return nil
}

// write writes the file: what says what is there comes first.
func (k *packer) write(ctx context.Context, w io.Writer) error {
	out := tar.NewWriter(w)
	data, err := json.MarshalIndent(k.info, "", "  ")
	if err != nil {
		return err
	}
	k.Progress(0, len(k.info.Files))
	if err := addMember(out, bundleFile, int64(len(data)), bytes.NewReader(data)); err != nil {
		return err
	}
	for _, f := range k.info.Files {
		if at, is := k.files[f.Path]; is {
			err = addMember(out, f.Path, f.Size, bytes.NewReader(at.data))
		} else {
			err = k.layer(ctx, out, f)
		}
		if err != nil {
			return err
		}
		k.Progress(1, len(k.info.Files))
	}
	return out.Close()
}

// layer streams a layer from the registry.
func (k *packer) layer(ctx context.Context, out *tar.Writer, f BundledFile) error {
	d := &download{ctx: ctx, repository: &repository{session: k.in.session, path: k.in.path}, path: "/v2/" + k.in.path + "/blobs/" + f.Digest.String(), size: f.Size}
	defer d.close()
	sum := f.Digest.Algorithm().Hash()
	if err := addMember(out, f.Path, f.Size, io.TeeReader(d, sum)); err != nil {
		return fmt.Errorf("layer %s: %w", f.Digest, err)
	}
	return check("the layer", f.Digest, digest.NewDigest(f.Digest.Algorithm(), sum))
}

// addMember writes a file of an archive, of no time and nobody's.
func addMember(out *tar.Writer, name string, size int64, from io.Reader) error {
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	n, err := io.Copy(out, from)
	if err == nil && n != size {
		err = fmt.Errorf("it has %d bytes, and should have %d", n, size)
	}
	return err
}
