package sign

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/dct"
	"github.com/plimsoll/plimsoll/internal/image"
)

// StepPlace says where an image and its signatures were looked at, where that was not the
// registry.
const StepPlace = "place"

// notationType is the type of artifacts that are signatures of Notation.
const notationType = "application/vnd.cncf.notary.signature"

// Pack writes a bundle of an image of a registry, with what the policy names for it: what the
// servers of content trust say, and the files with authorities that are trusted. A nil policy
// names nothing. What is left out is as [image.Pack] has it.
func (v *Verifier) Pack(ctx context.Context, w io.Writer, ref image.Reference, p image.Packing) (image.BundleInfo, []string, error) {
	remote, err := image.OpenRemote(ctx, ref, false, v.Image)
	if err != nil {
		return image.BundleInfo{}, nil, err
	}
	defer remote.Close()
	p.First = append(cosign.Types(), notationType)
	p.Files, p.Servers = map[string][]byte{}, map[string]map[string][]byte{}
	var list []Signer
	if v.Policy != nil {
		if e := v.Policy.For(remote.Repository()); e != nil {
			list = e.signers()
		}
	}
	for _, s := range list {
		files := []string{s.Root}
		if s.ContentTrust != "" {
			files = []string{v.Policy.Servers[s.ContentTrust].CA}
			o, err := v.asking(v.Policy.Servers[s.ContentTrust])
			if err != nil {
				return image.BundleInfo{}, nil, err
			}
			host, documents, err := dct.Collect(ctx, dct.Options{Trust: o.Trust, Registries: o.Registries}, remote.Repository())
			if err != nil {
				return image.BundleInfo{}, nil, err
			}
			p.Servers[host] = documents
		}
		for _, file := range files {
			if file == "" {
				continue
			}
			data, err := readBounded(file)
			if err != nil {
				return image.BundleInfo{}, nil, err
			}
			// Two may be called alike.
			p.Files["roots/"+digest.FromBytes(data).Encoded()[:12]+"-"+filepath.Base(file)] = data
		}
	}
	return image.Pack(ctx, w, remote, p)
}

// VerifyBundle looks at an image in a bundle, and asks nobody else. What it is called is as it
// is in a registry; what of that is trusted is the policy's alone: no file of the bundle. An
// image that needs no signature is refused, since nothing shows that it came from a registry of
// that name. Where no platform is named and one is packed, it is that. Progress is told how many files there are, and then each that was checked.
func (v *Verifier) VerifyBundle(ctx context.Context, file string, ref image.Reference, progress func(done, of int)) (*Result, error) {
	bundle, err := image.OpenBundle(ctx, file, ref, v.Image)
	if err != nil {
		return nil, err
	}
	defer bundle.Close()
	if err := bundle.Check(ctx, progress); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	packed := *v
	packed.from = bundle.Document
	if only := bundle.Platforms(); packed.Platform == "" && len(only) == 1 {
		packed.Platform = only[0]
	}
	r, err := packed.VerifyIn(ctx, bundle, ref.At)
	if err != nil {
		return nil, err
	}
	r.placed("by the bundle %s alone, which says that it was packed on %s by %s", file, bundle.Info.At.UTC().Format(time.RFC3339), bundle.Info.By)
	return r, nil
}

// shown refuses an image that needs no signature where nothing shows that it is of its name: before
// its tag is taken to stand for it.
func (v *Verifier) shown(r *Result) {
	if v.from != nil && r.Trusted() && r.Entry.Unsigned {
		r.By, r.whole = nil, false
		r.refuse(StepSigners, "nobody has signed it, and a bundle does not show that it came from there")
	}
}

// placed says first where the image was looked at.
func (r *Result) placed(format string, args ...any) {
	r.Place = fmt.Sprintf(format, args...)
	r.Steps = slices.Insert(r.Steps, 0, Step{StepPlace, true, r.Place})
}
