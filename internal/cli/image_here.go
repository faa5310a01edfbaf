//go:build !front

package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/strict"
)

const (
	// waitMade bounds the wait for the gate to say what came of a build: it is recorded when the
	// client has its answer.
	waitMade = 2 * time.Second
	// restMade is how long to wait before the trail is looked at again.
	restMade = 50 * time.Millisecond
)

// verifiedHere verifies an image that the engine has, where the policy says who may build those
// of its name, by the gate's trail. Nil is that this is no such image, or one that its registry
// may still tell of.
func (a *app) verifiedHere(ctx context.Context, by *sign.Verifier, text string) (*sign.Result, error) {
	ref, err := parseReference(text)
	if err != nil || ref.Source != image.Engine {
		return nil, nil // it is told where that is read
	}
	named, err := reference.ParseNormalizedNamed(ref.At)
	if err != nil {
		return nil, nil
	}
	entry := by.Policy.For(named.Name())
	if entry == nil || entry.Built == nil {
		return nil, nil
	}
	client, _, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	has, err := inspectImage(ctx, client, ref.At)
	if far := new(engine.Error); errors.Is(err, engine.ErrNotFound) || errors.As(err, &far) && far.Status == 0 {
		return nil, nil // there is none of that name, or no engine
	}
	if err != nil {
		return nil, err
	}
	if !strings.Contains(ref.At, "@") {
		named = reference.TagNameOnly(named)
	}
	return a.builtHere(ctx, client, by, has, text, named)
}

// builtHere is verifiedHere for an image that was looked at, by a name with the tag that counts.
func (a *app) builtHere(ctx context.Context, client *engine.Client, by *sign.Verifier, has *engineImage, text string, named reference.Named) (*sign.Result, error) {
	entry := by.Policy.For(named.Name())
	if entry == nil || entry.Built == nil {
		return nil, nil
	}
	l := &sign.Local{Asked: text, Name: named.Name(), ID: digest.Digest(has.ID), Platform: has.platforms()[0]}
	if t, is := named.(reference.Tagged); is && !strings.Contains(text, "@") {
		l.Tag = t.Tag()
	}
	var err error
	if l.Layers, err = a.layersOf(ctx, client, has.ID); err != nil {
		return nil, err
	}
	made, err := a.made(ctx, has.ID)
	if err != nil {
		return nil, err
	}
	r, err := by.VerifyLocal(l, made)
	if err != nil {
		return nil, &failure{code: exitUnable, message: "it can't be told whether " + text + " is trusted", err: err}
	}
	if !r.Trusted() && (entry.Signed != nil || len(entry.Attested) > 0 || entry.Unsigned) && digestOf(has.RepoDigests, named.Name()) != "" {
		return nil, nil
	}
	return r, nil
}

// layersOf are the steps by which an image was built, and who vouches for the images of them. A
// history has whole seconds: of the steps down to an image that is verified the engine is asked.
func (a *app) layersOf(ctx context.Context, client *engine.Client, id string) ([]sign.Layer, error) {
	history, err := client.ImageHistory(ctx, id)
	if err != nil {
		return nil, err
	}
	verdicts := a.verdicts()
	var all []sign.Layer
	var based bool
	for _, raw := range history {
		var step struct {
			ID      string `json:"Id" strict:"required"`
			Created int64  `strict:"required"`
		}
		if _, err := strict.Decode("the engine's answer", raw, &step); err != nil {
			return nil, &failure{code: exitUnable, message: "what the engine says of the image's history can't be understood", err: err}
		}
		layer := sign.Layer{At: time.Unix(step.Created, 0)}
		if step.ID != "<missing>" { // the engine's word for none
			layer.ID = step.ID
			known, err := verdicts.Read(step.ID)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, &failure{code: exitUnable, message: "what is known of the image " + step.ID + " can't be read", err: err}
			}
			if known != nil && known.Verified != nil {
				layer.Verified, layer.Until = known.Verified.By, known.Verified.Ends()
			}
			based = based || layer.Verified != nil && len(all) > 0
			if !based {
				if layer.At, err = createdAt(ctx, client, step.ID); err != nil {
					return nil, err
				}
			}
		}
		all = append(all, layer)
	}
	return all, nil
}

// createdAt is when an image was made, by its own word.
func createdAt(ctx context.Context, client *engine.Client, id string) (time.Time, error) {
	raw, err := client.ImageInspect(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	var body struct{ Created time.Time } // absent where the image does not say
	if _, err := strict.Decode("the engine's answer", raw, &body); err != nil {
		return time.Time{}, &failure{code: exitUnable, message: "what the engine says of the image " + id + " can't be understood", err: err}
	}
	return body.Created, nil
}

// made is what the gate's trail has of an image. An event that is about to come is waited for.
func (a *app) made(ctx context.Context, id string) (*sign.Made, error) {
	wait, cancel := context.WithTimeout(ctx, waitMade)
	defer cancel()
	for {
		made, err := sign.FindMade(filepath.Join(a.state, gate.TrailFolder), id)
		if err != nil {
			return nil, &failure{code: exitUnable, message: "the gate's trail can't be read", hint: "Run it as root.", err: err}
		}
		if len(made.Makings) > 0 || !made.Waits {
			return made, nil
		}
		select {
		case <-wait.Done():
			return made, ctx.Err()
		case <-time.After(restMade):
		}
	}
}
