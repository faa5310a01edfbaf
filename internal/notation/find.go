package notation

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

// vagueTypes are what registries say of an artifact whose type they do not know: that of its
// configuration, or nothing. One must look.
var vagueTypes = []string{"", oci.MediaTypeEmptyJSON, oci.MediaTypeImageConfig}

// ErrMore is that more is there than is looked at.
var ErrMore = errors.New("more are there than are looked at, and those do not suffice")

// Find looks in a repository for signatures of a manifest, of which digest, size and media
// type count, and checks them. It gives what holds and what does not, also beside an error;
// where there is nothing at all, one rejection says so.
//
// The error is of a subject or of signers that cannot be, or of the registry: then it is not
// known what else there is. It is [ErrMore] where more is there than is looked at, and what
// holds of that is not enough: else whoever puts the rest there could have an image be unsigned.
func Find(ctx context.Context, r image.Repository, subject oci.Descriptor, by []*Signer, now time.Time, o Options) ([]Signature, []Rejection, error) {
	o = o.withDefaults()
	if err := subject.Digest.Validate(); err != nil {
		return nil, nil, fmt.Errorf("looking for signatures: %.100q is no digest: %w", subject.Digest, err)
	}
	if now.IsZero() || subject.MediaType == "" || slices.ContainsFunc(by, func(s *Signer) bool { return s == nil || s.Authority == nil || len(s.Authority.certificates) == 0 }) {
		return nil, nil, errors.New("looking for signatures: a time, the type of what is signed, or an authority is missing")
	}
	f := &finder{in: r, o: o, judge: judge{by: by, subject: subject, now: now}}
	if err := f.referrers(ctx); err != nil {
		return f.found, f.rejected, fmt.Errorf("looking for signatures of %s in %s: %w", subject.Digest, r.Repository(), err)
	}
	switch {
	case f.over && !f.enough():
		return f.found, f.rejected, fmt.Errorf("looking for signatures of %s in %s: %w, which is %d", subject.Digest, r.Repository(), ErrMore, o.Signatures)
	case len(f.found) == 0 && len(f.rejected) == 0:
		f.reject(r.Repository()+"@"+string(subject.Digest), refuse(NoSignature, "nothing in the repository vouches for it"))
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
}

// enough is true where what was found suffices: where nobody says what does, anything.
func (f *finder) enough() bool {
	if f.o.Enough == nil {
		return len(f.found) > 0
	}
	return f.o.Enough(f.found)
}

func (f *finder) reject(where string, why *refusal) {
	f.rejected = append(f.rejected, Rejection{why.step, where, why.why})
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

func (f *finder) referrers(ctx context.Context) error {
	list, err := f.in.Referrers(ctx, f.subject.Digest, maxReferrers)
	if err != nil {
		return f.passed("the list of referrers", err)
	}
	for _, d := range list {
		named := d.ArtifactType == ArtifactType
		if !named && !slices.Contains(vagueTypes, d.ArtifactType) {
			continue
		}
		if !f.o.Whole && f.o.Enough != nil && f.o.Enough(f.found) {
			return nil
		}
		where := "referrer " + string(d.Digest)
		if f.looked == f.o.Signatures {
			f.over = true
			f.reject(where, refuse(TooMany, "%d others were looked at, which is the most", f.looked))
			return nil
		}
		f.looked++
		if err := f.referrer(ctx, where, d.Digest, named); err != nil {
			return err
		}
	}
	return nil
}

// referrer looks at one that is named a signature, or may be one.
func (f *finder) referrer(ctx context.Context, where string, id digest.Digest, named bool) error {
	document, err := f.in.Manifest(ctx, id)
	if err != nil {
		return f.passed(where, err)
	}
	m := &oci.Manifest{}
	if document.IsIndex() {
		err = fmt.Errorf("%w: it is an index, and no manifest", image.ErrOther)
	} else {
		_, err = strict.Decode("the manifest", document.Data, m)
	}
	if err != nil {
		return f.passed(where, err)
	}
	// Before OCI 1.1, and in what notation writes, the type is that of the configuration.
	is := m.ArtifactType == ArtifactType || m.ArtifactType == "" && m.Config.MediaType == ArtifactType
	switch {
	case !is && !named:
		return nil
	case !is:
		f.reject(where, refuse(WrongType, "its manifest is no signature of Notation, but %.100q", m.ArtifactType+m.Config.MediaType))
		return nil
	case m.Subject == nil || m.Subject.Digest != f.subject.Digest:
		f.reject(where, refuse(WrongDigest, "its manifest does not refer to this one"))
		return nil
	case len(m.Layers) != 1:
		f.reject(where, refuse(Malformed, "its manifest has %d layers, and an envelope is one", len(m.Layers)))
		return nil
	}
	layer := m.Layers[0]
	if !slices.Contains(envelopeTypes, layer.MediaType) {
		f.reject(where, refuse(WrongType, "its media type is %.100q, and neither %s nor %s", layer.MediaType, envelopeTypes[0], envelopeTypes[1]))
		return nil
	}
	data, err := f.in.Blob(ctx, layer, f.o.Envelope)
	if err != nil {
		return f.passed(where, err)
	}
	found, wrong := f.enveloped(ctx, layer.MediaType, data)
	if wrong != nil {
		f.reject(where, wrong)
		return nil
	}
	for _, one := range found {
		one.Where = where
		f.found = append(f.found, one)
	}
	return nil
}
