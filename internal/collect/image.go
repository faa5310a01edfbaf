package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// foundImage is what is found out about one image.
type foundImage struct {
	// config is nil when the image could not be read; reason says why.
	config *workload.ImageConfig
	reason string
	gone   bool
	// bare is true where the answer has no configuration, size is nil where it has no
	// size, and layers are its layers' digests, the lowest first, nil where it has
	// none to say.
	bare   bool
	size   *int64
	layers []string
	// tagged is when it got a name last; zero where the engine does not know.
	tagged time.Time
	// top is the last of its layers.
	top *layer
	// steps are its history, where that was asked for or read, and setuid its files;
	// otherwise noHistory and noSetuid are why not.
	steps     []rawStep
	noHistory string
	setuid    []facts.SetuidFile
	noSetuid  string
}

// imagesOf has each image that a listed container runs, by its id and once, and
// the ids in their order.
func imagesOf(listed []listedContainer) (map[string]*foundImage, []string) {
	images := map[string]*foundImage{}
	for _, l := range listed {
		if isImageID(l.image) {
			images[l.image] = &foundImage{}
		}
	}
	return images, slices.Sorted(maps.Keys(images))
}

// isImageID is false for what would be something else in an address.
func isImageID(id string) bool {
	return id != "" && id != "." && id != ".." && !strings.Contains(id, "/")
}

// image inspects one image, and asks for its history where that is wanted.
func (c *collector) image(ctx context.Context, id string, found *foundImage) error {
	raw, err := c.Client.ImageInspect(ctx, id)
	if errors.Is(err, engine.ErrNotFound) {
		found.gone = true
		return nil
	}
	if found.reason, err = refusal(err); err != nil || found.reason != "" {
		return err
	}
	if err = found.read(raw); err != nil {
		found.config, found.reason = nil, reasonUnreadable
	}
	if !c.ImageHistory {
		return nil
	}
	list, err := c.Client.ImageHistory(ctx, id)
	if errors.Is(err, engine.ErrNotFound) {
		found.noHistory = "the image was removed meanwhile"
		return nil
	}
	if found.noHistory, err = refusal(err); err == nil && found.noHistory == "" {
		found.steps, found.noHistory = readHistory(list, len(found.layers))
	}
	return err
}

// read reads the answer of GET /images/{id}/json. Config is null for an image that
// nothing can be run from.
func (i *foundImage) read(raw json.RawMessage) error {
	var body struct {
		ID          string         `json:"Id" strict:"required"`
		RepoTags    []string       `strict:"required"`
		RepoDigests []string       `strict:"required"`
		Missing     strict.Missing `json:"-"`
		Created     string
		Size        *int64
		RootFS      struct {
			Type   string
			Layers []string
		}
		Metadata struct{ LastTagTime string }
		Config   *struct {
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
		return err
	}
	if len(body.Missing) > 0 {
		return fmt.Errorf("%s is missing", body.Missing[0])
	}
	i.size, i.layers, i.bare = body.Size, body.RootFS.Layers, body.Config == nil
	if i.layers == nil && body.RootFS.Type != "" {
		i.layers = []string{} // it is made of labels alone
	}
	if at, err := time.Parse(time.RFC3339Nano, body.Metadata.LastTagTime); err == nil && at.Year() > 1 {
		i.tagged = at.UTC()
	}
	i.config = &workload.ImageConfig{ID: body.ID, Tags: body.RepoTags, Digests: body.RepoDigests, Created: body.Created}
	if i.bare {
		return nil
	}
	cfg := body.Config
	check := cfg.Healthcheck
	i.config.User, i.config.Env, i.config.Labels, i.config.Entrypoint, i.config.Cmd = cfg.User, cfg.Env, cfg.Labels, cfg.Entrypoint, cfg.Cmd
	i.config.ExposedPorts, i.config.Volumes = slices.Sorted(maps.Keys(cfg.ExposedPorts)), slices.Sorted(maps.Keys(cfg.Volumes))
	i.config.HasHealth = check != nil && len(check.Test) > 0 && check.Test[0] != "NONE"
	i.config.StopSignal = cfg.StopSignal
	return nil
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
