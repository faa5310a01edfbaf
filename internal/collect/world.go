package collect

import (
	"context"
	"fmt"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// World is an engine and its host as they were when they were looked at, without
// containers and images: all that one container is judged by and that is not its own. It
// may be used by many goroutines.
type World struct{ c *collector }

// LookAround makes a World of an engine. The errors are those of Engine.
func LookAround(ctx context.Context, cfg Config) (*World, error) {
	c, err := newCollector(cfg)
	if err != nil {
		return nil, err
	}
	c.bare = true
	if err := c.collect(ctx); err != nil {
		c.close()
		return nil, err
	}
	return &World{c}, nil
}

// Close lets the host's files go. No method may be running, or be called after it.
func (w *World) Close() { w.c.close() }

// Image is an image as the engine describes it.
type Image struct{ found foundImage }

// ID is the engine's, "sha256:" and 64 hex digits.
func (i *Image) ID() string { return i.found.config.ID }

// Config is what a container takes over from it.
func (i *Image) Config() *workload.ImageConfig { return i.found.config }

// Image asks for an image by whatever names it. The error is engine.ErrNotFound where
// there is none.
func (w *World) Image(ctx context.Context, name string) (*Image, error) {
	i := &Image{}
	raw, err := w.c.Client.ImageInspect(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := i.found.read(raw); err != nil {
		return nil, fmt.Errorf("reading what the engine says of the image: %w", err)
	}
	return i, nil
}

// Volumes asks for the engine's volumes, of which there may be others since the World was
// looked at. Nil is that they are not all known.
func (w *World) Volumes(ctx context.Context) (map[string]workload.Volume, error) {
	list, warnings, err := w.c.Client.VolumeList(ctx)
	if err != nil {
		return nil, err
	}
	c := &collector{Config: w.c.Config, facts: &facts.Facts{}}
	c.volumes(list, warnings, "")
	if len(c.facts.Unseen) > 0 {
		return nil, nil
	}
	return c.around.Volumes, nil
}

// Asked makes facts of one container that somebody asks for, to be judged. Image is nil
// where the engine has not got it yet; volumes are those of Volumes.
func (w *World) Asked(body *workload.CreateBody, image *Image, volumes map[string]workload.Volume) (*facts.Facts, error) {
	around := w.around(image, volumes)
	spec, err := workload.FromCreateBody(*body, around)
	if err != nil {
		return nil, err
	}
	return w.with(spec, image), nil
}

// Made makes facts of one container that is there, of the engine's inspect answer. Image
// is nil where it is gone. Execs are the exec sessions that it is to be judged with.
func (w *World) Made(in *workload.Inspected, image *Image, volumes map[string]workload.Volume, execs []workload.Exec) (*facts.Facts, error) {
	around := w.around(image, volumes)
	if image == nil {
		around.Image = &workload.ImageConfig{}
	}
	spec, _, err := in.Spec(around)
	if err != nil {
		return nil, err
	}
	spec.Reveal("live.execs")
	for _, e := range execs {
		e.User = execUser(e.User, spec.User)
		spec.Live.Execs = append(spec.Live.Execs, e)
	}
	return w.with(spec, image), nil
}

func (w *World) around(image *Image, volumes map[string]workload.Volume) workload.Surroundings {
	around := w.c.around
	around.Volumes = volumes
	if image != nil {
		around.Image = image.found.config
	}
	return around
}

func (w *World) with(spec workload.Spec, image *Image) *facts.Facts {
	found := &foundImage{gone: true}
	if image != nil {
		found = &image.found
	}
	if spec.Origin == workload.OriginInspect || image != nil {
		imageFacts(&spec, found)
	}
	w.c.fileFacts(&spec)
	f := *w.c.facts
	f.Collected = w.c.Now().UTC()
	f.Containers = []workload.Spec{spec}
	return &f
}
