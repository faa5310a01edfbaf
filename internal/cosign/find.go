package cosign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// bundleTypes are the media types of bundles, by the layers and the types of artifacts.
var bundleTypes = []string{bundleType, "application/vnd.dev.sigstore.bundle+json;version=0.1", "application/vnd.dev.sigstore.bundle+json;version=0.2"}

// vagueTypes are what registries say of an artifact whose type they do not know: that of its
// configuration, or nothing. One must look.
var vagueTypes = []string{"", oci.MediaTypeEmptyJSON, oci.MediaTypeImageConfig}

// Types are those that an artifact may be told to be of which vouches for an image: who can't
// look at all takes these first.
func Types() []string { return slices.Concat(bundleTypes, vagueTypes) }

// ErrMore is that more is there than is looked at.
var ErrMore = errors.New("more are there than are looked at, and those do not suffice")

// Find looks in a repository for what vouches for a manifest, and checks it. It gives what
// holds and what does not, also beside an error; where there is nothing at all, one
// rejection says so.
//
// The error is of signers or a digest that cannot be, or of the registry: then it is not known
// what else there is. It is [ErrMore] where more is there than is looked at, and what holds of
// that is not enough: else whoever puts the rest there could have an image be unsigned.
func Find(ctx context.Context, r image.Repository, subject digest.Digest, by Signers, now time.Time, o Options) ([]Signature, []Rejection, error) {
	o = o.withDefaults()
	if err := by.check(); err != nil {
		return nil, nil, fmt.Errorf("looking for signatures: %w", err)
	}
	if err := subject.Validate(); err != nil {
		return nil, nil, fmt.Errorf("looking for signatures: %.100q is no digest: %w", subject, err)
	}
	f := &finder{in: r, o: o, judge: judge{by: &by, subject: subject, now: now}, blobs: map[digest.Digest][]byte{}}
	if o.SameName {
		f.repository = r.Repository()
	}
	for _, at := range o.Layouts {
		var err error
		switch at {
		case Referrers:
			err = f.referrers(ctx)
		case Tags:
			err = f.tag(ctx, ".sig", f.simpleLayer)
		case Attestations:
			err = f.tag(ctx, ".att", f.attestedLayer)
		default:
			err = fmt.Errorf("%q is no layout", at)
		}
		if err != nil {
			return f.found, f.rejected, fmt.Errorf("looking for signatures of %s in %s: %w", subject, r.Repository(), err)
		}
		if f.done() {
			break
		}
	}
	switch {
	case f.over && !f.enough():
		return f.found, f.rejected, fmt.Errorf("looking for signatures of %s in %s: %w, which is %d", subject, r.Repository(), ErrMore, o.Signatures)
	case len(f.found) == 0 && len(f.rejected) == 0:
		f.reject(r.Repository()+"@"+string(subject), refuse(NoSignature, "nothing in the repository vouches for it"))
	}
	return f.found, f.rejected, nil
}

// finder is one search.
type finder struct {
	judge
	in image.Repository
	o  Options

	looked   int
	over     bool
	found    []Signature
	rejected []Rejection
	// blobs are the payloads that were read: many keys may have signed one.
	blobs map[digest.Digest][]byte
}

func (f *finder) reject(where string, why *refusal) {
	f.rejected = append(f.rejected, Rejection{why.step, where, why.why})
}

// take keeps what holds. One statement by one signer counts once, wherever else it is put: each
// copy of a long one would cost as much again. Its time is that of the newest.
func (f *finder) take(where string, one *Signature) {
	one.Where = where
	if one.Attests() {
		same := func(s Signature) bool { return s.payload == one.payload && s.By() == one.By() }
		if i := slices.IndexFunc(f.found, same); i >= 0 {
			if f.found[i].At.Before(one.At) {
				f.found[i].At = one.At
			}
			return
		}
		if f.o.Heard != nil {
			f.o.Heard(one)
			one.Predicate = nil
		}
	}
	f.found = append(f.found, *one)
}

// done is true where nothing more need be looked at.
func (f *finder) done() bool {
	return f.over || f.o.Enough != nil && f.o.Enough(f.found)
}

// enough is true where what was found suffices: where nobody says what does, anything.
func (f *finder) enough() bool {
	if f.o.Enough == nil {
		return len(f.found) > 0
	}
	return f.o.Enough(f.found)
}

// next is true where one more may be looked at.
func (f *finder) next(where string) bool {
	if f.over || !f.o.Whole && f.done() {
		return false
	}
	if f.looked == f.o.Signatures {
		f.over = true
		f.reject(where, refuse(TooMany, "%d others were looked at, which is the most", f.looked))
		return false
	}
	f.looked++
	return true
}

// passed turns what cannot be read because of who put it there into a rejection. Any other
// error is of the registry.
func (f *finder) passed(where string, err error) error {
	wrong := new(strict.Error)
	if errors.Is(err, image.ErrNotFound) || errors.Is(err, image.ErrOther) || errors.As(err, &wrong) {
		f.reject(where, refuse(Malformed, "%v", err))
		return nil
	}
	return err
}

// manifest reads the manifest of a document.
func manifest(d *image.Document) (*oci.Manifest, error) {
	if d.IsIndex() {
		return nil, fmt.Errorf("%w: it is an index, and no manifest", image.ErrOther)
	}
	m := &oci.Manifest{}
	_, err := strict.Decode("the manifest", d.Data, m)
	return m, err
}

// tag looks at the layers of the manifest that a tag beside the subject leads to.
func (f *finder) tag(ctx context.Context, suffix string, look func(context.Context, string, oci.Descriptor) error) error {
	name := tagOf(f.subject, suffix)
	d, err := f.in.Tagged(ctx, name)
	if errors.Is(err, image.ErrNotFound) {
		return nil
	}
	if err != nil {
		return f.passed(name, err)
	}
	m, err := manifest(d)
	if err != nil {
		return f.passed(name, err)
	}
	for i, layer := range m.Layers {
		where := place(name, i, len(m.Layers))
		if !f.next(where) {
			return nil
		}
		if err := look(ctx, where, layer); err != nil {
			return err
		}
	}
	return nil
}

// blob reads a layer of the type that it must have. It is nil where it was refused.
func (f *finder) blob(ctx context.Context, where string, d oci.Descriptor, most int64, types ...string) ([]byte, error) {
	if !slices.Contains(types, d.MediaType) {
		f.reject(where, refuse(WrongType, "its media type is %.100q, and not %s", d.MediaType, types[0]))
		return nil, nil
	}
	if d.Size > most {
		f.reject(where, refuse(Malformed, "it has %d bytes, and %d is the most", d.Size, most))
		return nil, nil
	}
	if data, read := f.blobs[d.Digest]; read && int64(len(data)) == d.Size {
		return data, nil
	}
	data, err := f.in.Blob(ctx, d, most)
	if err != nil {
		return nil, f.passed(where, err)
	}
	if d.Size <= f.o.Payload { // larger ones would add up, and are not shared
		f.blobs[d.Digest] = data
	}
	return data, nil
}

func (f *finder) simpleLayer(ctx context.Context, where string, d oci.Descriptor) error {
	data, err := f.blob(ctx, where, d, f.o.Payload, simpleType)
	if data == nil || err != nil {
		return err
	}
	found, wrong := f.simple(data, d.Annotations)
	if wrong != nil {
		f.reject(where, wrong)
		return nil
	}
	f.take(where, found)
	return nil
}

func (f *finder) attestedLayer(ctx context.Context, where string, d oci.Descriptor) error {
	data, err := f.blob(ctx, where, d, f.o.Attestation, envelopeType)
	if data == nil || err != nil {
		return err
	}
	found, wrong := f.attested(data, d.Annotations)
	if wrong != nil {
		f.reject(where, wrong)
		return nil
	}
	for i := range found {
		f.take(where, &found[i])
	}
	return nil
}

// referrers looks at the bundles among what refers to the subject. What refers to those is
// not asked for: nothing that vouches for an image is about something else.
func (f *finder) referrers(ctx context.Context) error {
	list, err := f.in.Referrers(ctx, f.subject, maxReferrers)
	if err != nil {
		return f.passed("the list of referrers", err)
	}
	for _, d := range list {
		named := slices.Contains(bundleTypes, d.ArtifactType)
		if !named && !slices.Contains(vagueTypes, d.ArtifactType) {
			continue
		}
		where := "referrer " + string(d.Digest)
		if !f.next(where) {
			return nil
		}
		document, err := f.in.Manifest(ctx, d.Digest)
		if err != nil {
			if err := f.passed(where, err); err != nil {
				return err
			}
			continue
		}
		m, err := manifest(document)
		if err != nil {
			if err := f.passed(where, err); err != nil {
				return err
			}
			continue
		}
		if !named && !slices.Contains(bundleTypes, m.ArtifactType) {
			continue
		}
		if err := f.referrer(ctx, where, m); err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) referrer(ctx context.Context, where string, m *oci.Manifest) error {
	switch {
	case m.Subject == nil || m.Subject.Digest != f.subject:
		// Else whoever lists another's referrer here could have it counted twice.
		f.reject(where, refuse(WrongDigest, "its manifest does not refer to this one"))
		return nil
	case len(m.Layers) != 1:
		f.reject(where, refuse(Malformed, "its manifest has %d layers, and a bundle is one", len(m.Layers)))
		return nil
	}
	data, err := f.blob(ctx, where, m.Layers[0], f.o.Attestation/3*4+f.o.Payload, bundleTypes...)
	if data == nil || err != nil {
		return err
	}
	found, wrong := f.bundled(data)
	if wrong != nil {
		f.reject(where, wrong)
		return nil
	}
	f.take(where, found)
	return nil
}
