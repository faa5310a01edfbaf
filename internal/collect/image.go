package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// foundImage is the answer about one image.
type foundImage struct {
	// config is nil when the image could not be read; reason says why.
	config *workload.ImageConfig
	reason string
	gone   bool
}

// imagesOf has each image that a listed container runs, by its id and once, and
// the ids in their order.
func imagesOf(listed []listedContainer) (map[string]*foundImage, []string) {
	images := map[string]*foundImage{}
	for _, l := range listed {
		if l.image != "" {
			images[l.image] = &foundImage{}
		}
	}
	return images, slices.Sorted(maps.Keys(images))
}

// image inspects one image.
func (c *collector) image(ctx context.Context, id string, found *foundImage) error {
	raw, err := c.Client.ImageInspect(ctx, id)
	if errors.Is(err, engine.ErrNotFound) {
		found.gone = true
		return nil
	}
	if found.reason, err = refusal(err); err != nil || found.reason != "" {
		return err
	}
	if found.config, err = readImage(raw); err != nil {
		found.reason = reasonUnreadable
	}
	return nil
}

// readImage reads the answer of GET /images/{id}/json. Config is null for an
// image that nothing can be run from.
func readImage(raw json.RawMessage) (*workload.ImageConfig, error) {
	var body struct {
		ID          string         `json:"Id" strict:"required"`
		RepoTags    []string       `strict:"required"`
		RepoDigests []string       `strict:"required"`
		Missing     strict.Missing `json:"-"`
		Created     string
		Config      struct {
			User         string
			Env          []string
			Labels       map[string]string
			Entrypoint   workload.Words
			Cmd          workload.Words
			ExposedPorts map[string]struct{}
			Volumes      map[string]struct{}
			Healthcheck  *struct{ Test []string }
			StopSignal   string
		}
	}
	if err := decode("an image", raw, &body); err != nil {
		return nil, err
	}
	if len(body.Missing) > 0 {
		return nil, fmt.Errorf("%s is missing", body.Missing[0])
	}
	cfg := body.Config
	check := cfg.Healthcheck
	return &workload.ImageConfig{
		ID: body.ID, Tags: body.RepoTags, Digests: body.RepoDigests, Created: body.Created,
		User: cfg.User, Env: cfg.Env, Labels: cfg.Labels, Entrypoint: cfg.Entrypoint, Cmd: cfg.Cmd,
		ExposedPorts: slices.Sorted(maps.Keys(cfg.ExposedPorts)), Volumes: slices.Sorted(maps.Keys(cfg.Volumes)),
		HasHealth:  check != nil && len(check.Test) > 0 && check.Test[0] != "NONE",
		StopSignal: cfg.StopSignal,
	}, nil
}

// imageFacts says why facts of the image are unseen.
func imageFacts(s *workload.Spec, image *foundImage) {
	switch {
	case image == nil:
	case image.gone:
		s.Hide("image.created", "the image is gone")
		s.Hide("image.digests", "the image is gone")
	case image.config == nil:
		for _, p := range []string{"image.tags", "image.digests", "image.created", "image.present"} {
			s.Reveal(p)
			s.Hide(p, image.reason)
		}
	case s.Image.Created.IsZero():
		s.Reveal("image.created")
		s.Hide("image.created", "the image does not say it")
	}
}
