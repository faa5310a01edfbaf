//go:build !front

package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// engineImage is what an engine says of an image, as far as it tells where that came from.
type engineImage struct {
	ID                    string `json:"Id" strict:"required"`
	RepoTags, RepoDigests []string

	Os, Architecture, Variant string
}

func inspectImage(ctx context.Context, client *engine.Client, name string) (*engineImage, error) {
	raw, err := client.ImageInspect(ctx, name)
	if err != nil {
		return nil, err
	}
	i := &engineImage{}
	if _, err := strict.Decode("the engine's answer", raw, i); err != nil {
		return nil, &failure{code: exitUnable, message: "what the engine says of the image can't be understood", err: err}
	}
	return i, nil
}

// names are all places in registries that the image came from: by the digest that each gave it,
// with the tag, which content trust signs. Those with tags are first.
func (i *engineImage) names() []reference.Named {
	var tagged, plain []reference.Named
	for _, one := range i.RepoDigests {
		have, err := reference.ParseNormalizedNamed(one)
		if err != nil {
			continue // <none>@sha256:…
		}
		plain = append(plain, have)
		for _, tag := range i.RepoTags {
			if t, err := reference.ParseNormalizedNamed(tag); err != nil || t.Name() != have.Name() {
				continue
			}
			if at, err := reference.ParseNormalizedNamed(tag + "@" + have.(reference.Digested).Digest().String()); err == nil {
				tagged = append(tagged, at)
				plain = slices.DeleteFunc(plain, func(p reference.Named) bool { return p.String() == have.String() })
			}
		}
	}
	return append(tagged, plain...)
}

// platforms are the words for what the image is for, those that say most first.
func (i *engineImage) platforms() []string {
	if i.Os == "" || i.Architecture == "" {
		return []string{""} // this machine's
	}
	short := i.Os + "/" + i.Architecture
	if i.Variant == "" {
		return []string{short}
	}
	return []string{short + "/" + i.Variant, short}
}

// writeVouched writes down for the gate that an image is trusted by its name, or that it is not
// any more, where that is to be withdrawn. One that is only older than what its tag is trusted for
// stays what it is by others.
func (a *app) writeVouched(by *sign.Verifier, r *sign.Result, withdraw bool) error {
	for id, trusted := range r.Trusts() {
		var err error
		switch {
		case trusted:
			err = a.verdicts().Verify(string(id), by.Verdict(r, id))
		case withdraw && r.Refused != sign.StepReplay:
			err = a.withdraw(r.Repository, string(id))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// withdraw writes down that an image is not trusted any more by a name. Of one that nothing was
// known of nothing is.
func (a *app) withdraw(name, id string) error {
	if _, err := a.verdicts().Read(id); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return a.verdicts().Withdraw(id, name)
}

// maxWhy bounds the reason in an event.
const maxWhy = 1024

// vouchEvent is the event of what was found about an image, which has no manifest where it was
// made here.
func vouchEvent(name string, id, manifest digest.Digest, d *sign.Decision) trail.Event {
	detail := map[string]any{"trusted": d.Trusted(), "by": d.By, "refused": d.Refused}
	if d.Entry != nil {
		detail["policy"] = d.Entry.Place()
	}
	if !d.Until.IsZero() {
		detail["until"] = d.Until.UTC().Format(time.RFC3339)
	}
	if !d.Trusted() {
		detail["why"] = trail.Clip(d.Steps[len(d.Steps)-1].Text, maxWhy)
	}
	return trail.Event{Type: trail.Vouch, Subject: trail.Subject{Kind: "image", ID: string(id), Digest: string(cmp.Or(manifest, id)), Name: name}, Detail: detail}
}
