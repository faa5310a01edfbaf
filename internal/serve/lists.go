package serve

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// lists is what an engine has.
type lists struct {
	containers map[string]*look
	images     map[string]listedImage
	volumes    map[string]bool
	networks   map[string]string
	// someVolumes says that others may be there.
	someVolumes bool
}

type listedImage struct {
	tags   map[string]bool
	pulled bool
}

const lookers = 8 // side by side

// lists asks for all lists and looks at each container.
func (w *watcher) lists(ctx context.Context) (*lists, error) {
	l := &lists{}
	if err := w.listOthers(ctx, l); err != nil {
		return nil, err
	}
	raw, err := w.Client.ContainerList(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(raw))
	for _, r := range raw {
		var body struct {
			ID string `json:"Id"`
		}
		if _, err := strict.Decode("the engine's list of containers", r, &body); err != nil {
			return nil, err
		}
		ids = append(ids, body.ID)
	}
	l.containers, err = w.lookAt(ctx, ids)
	return l, err
}

// answered says that an error is about one answer, and not about the way to the engine.
func answered(err error) bool {
	var of *engine.Error
	return errors.Is(err, engine.ErrTooBig) || errors.As(err, &of) && of.Status != 0
}

// lookAt looks at many containers. Those that are gone are left out. One of which the
// engine does not tell is nil: it is not gone.
func (w *watcher) lookAt(ctx context.Context, ids []string) (map[string]*look, error) {
	var mu sync.Mutex
	var first error
	out := make(map[string]*look, len(ids))
	todo := make(chan string)
	var workers sync.WaitGroup
	for range min(lookers, len(ids)) {
		workers.Go(func() {
			for id := range todo {
				raw, err := w.Client.ContainerInspect(ctx, id)
				var l *look
				if err == nil {
					if l, err = readLook(raw); err != nil {
						w.log("looking at the container %s: %v", trail.Clip(id, 12), err)
						l, err = nil, nil
					}
				} else if answered(err) && !errors.Is(err, engine.ErrNotFound) {
					w.log("looking at the container %s: %v", trail.Clip(id, 12), err)
					err = nil
				}
				mu.Lock()
				if err == nil {
					out[id] = l
				} else if !errors.Is(err, engine.ErrNotFound) {
					first = cmp.Or(first, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, id := range ids {
		todo <- id
	}
	close(todo)
	workers.Wait()
	return out, first
}

// predefined are the networks that every engine makes for itself, one of them anew at
// each of its starts.
var predefined = map[string]bool{"bridge": true, "host": true, "none": true}

// listOthers asks for images, volumes and networks.
func (w *watcher) listOthers(ctx context.Context, l *lists) error {
	l.images, l.volumes, l.networks = map[string]listedImage{}, map[string]bool{}, map[string]string{}
	images, err := w.Client.ImageList(ctx)
	if err != nil {
		return err
	}
	for _, r := range images {
		var body struct {
			ID                    string `json:"Id"`
			RepoTags, RepoDigests []string
		}
		if _, err := strict.Decode("the engine's list of images", r, &body); err != nil {
			return err
		}
		i := listedImage{tags: map[string]bool{}}
		for _, tag := range body.RepoTags {
			if tag != noTag {
				i.tags[trail.Clip(tag, maxName)] = true
			}
		}
		for _, d := range body.RepoDigests {
			i.pulled = i.pulled || !strings.HasPrefix(d, "<none>@")
		}
		l.images[body.ID] = i
	}
	volumes, warnings, err := w.Client.VolumeList(ctx)
	if err != nil {
		return err
	}
	l.someVolumes = len(warnings) > 0
	for _, r := range volumes {
		var body struct{ Name string }
		if _, err := strict.Decode("the engine's list of volumes", r, &body); err != nil {
			return err
		}
		l.volumes[trail.Clip(body.Name, maxName)] = true
	}
	networks, err := w.Client.NetworkList(ctx)
	if err != nil {
		return err
	}
	for _, r := range networks {
		var body struct {
			ID   string `json:"Id"`
			Name string
		}
		if _, err := strict.Decode("the engine's list of networks", r, &body); err != nil {
			return err
		}
		if !predefined[body.Name] {
			l.networks[body.ID] = trail.Clip(body.Name, maxName)
		}
	}
	return nil
}

const noTag = "<none>:<none>"

// meeting is what an engine says of itself.
type meeting struct {
	ID, Name      string
	ServerVersion string
	SystemTime    string
}

func (w *watcher) meet(ctx context.Context) (*meeting, error) {
	raw, err := w.Client.Info(ctx)
	if err != nil {
		return nil, err
	}
	m := &meeting{}
	if _, err := strict.Decode("the engine's info", raw, m); err != nil {
		return nil, err
	}
	return m, nil
}
