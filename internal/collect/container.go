package collect

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// listedContainer is what the list says that inspecting needs.
type listedContainer struct {
	id, name, image string
}

// readList reads the engine's list of containers. A list that cannot be read
// is an error: containers would be missing that nobody could name.
func readList(list []json.RawMessage) ([]listedContainer, error) {
	out := make([]listedContainer, 0, len(list))
	for i, raw := range list {
		var body struct {
			ID      string `json:"Id"`
			Names   []string
			ImageID string
		}
		err := decode("the engine's list of containers", raw, &body)
		if err == nil && body.ID == "" {
			err = errors.New("it has no Id")
		}
		if err != nil {
			return nil, fmt.Errorf("reading container %d of the engine's list: %w", i, err)
		}
		out = append(out, listedContainer{id: body.ID, name: ownName(body.Names, body.ID), image: body.ImageID})
	}
	return out, nil
}

// ownName picks a container's name from its list of names: the others are
// links, "/other/alias". One that has none yet goes by its short id.
func ownName(names []string, id string) string {
	for _, n := range names {
		if own, found := strings.CutPrefix(n, "/"); found && own != "" && !strings.Contains(own, "/") {
			return own
		}
	}
	return shortID(id)
}

func shortID(id string) string { return id[:min(12, len(id))] }

// foundImage is the answer about one image.
type foundImage struct {
	// config is nil when the image could not be read; reason says why.
	config *workload.ImageConfig
	reason string
	gone   bool
}

// images inspects each image that a listed container runs, once.
func (c *collector) images(ctx context.Context, listed []listedContainer) (map[string]*foundImage, error) {
	images := map[string]*foundImage{}
	for _, l := range listed {
		if l.image != "" {
			images[l.image] = &foundImage{}
		}
	}
	ids := slices.Sorted(maps.Keys(images))
	done := c.progress(len(ids), "images")
	err := each(ctx, len(ids), c.workers(), func(ctx context.Context, i int) error {
		defer done()
		found := images[ids[i]]
		raw, err := c.Client.ImageInspect(ctx, ids[i])
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
	})
	return images, err
}

// readImage reads the answer of GET /images/{id}/json. Config is null for an
// image that nothing can be run from.
func readImage(raw json.RawMessage) (*workload.ImageConfig, error) {
	var body struct {
		ID          string `json:"Id"`
		RepoTags    []string
		RepoDigests []string
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

// containers inspects each listed container, and leaves those out that are gone.
func (c *collector) containers(ctx context.Context, listed []listedContainer, images map[string]*foundImage) error {
	specs := make([]workload.Spec, len(listed))
	gone := make([]bool, len(listed))
	done := c.progress(len(listed), "containers")
	err := each(ctx, len(listed), c.workers(), func(ctx context.Context, i int) error {
		defer done()
		spec, err := c.container(ctx, listed[i], images[listed[i].image])
		gone[i] = errors.Is(err, engine.ErrNotFound)
		if gone[i] {
			return nil
		}
		specs[i] = spec
		return err
	})
	if err != nil {
		return err
	}
	c.facts.Containers = make([]workload.Spec, 0, len(listed))
	for i, l := range listed {
		if gone[i] {
			c.warn("the container %s (%s) was removed meanwhile, and is left out", l.name, shortID(l.id))
			continue
		}
		c.facts.Containers = append(c.facts.Containers, specs[i])
	}
	slices.SortStableFunc(c.facts.Containers, func(a, b workload.Spec) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return nil
}

// container is one container with its exec sessions. It is engine.ErrNotFound
// when the container is gone.
func (c *collector) container(ctx context.Context, l listedContainer, image *foundImage) (workload.Spec, error) {
	raw, err := c.Client.ContainerInspect(ctx, l.id)
	if errors.Is(err, engine.ErrNotFound) {
		return workload.Spec{}, err
	}
	reason, err := refusal(err)
	if err != nil {
		return workload.Spec{}, err
	}
	if reason != "" {
		return unseenContainer(l, reason), nil
	}
	around := c.around
	switch {
	case image == nil:
	case image.gone:
		// An empty image is not the one that runs, so the adapter says that the
		// image is not there.
		around.Image = &workload.ImageConfig{}
	default:
		around.Image = image.config
	}
	spec, execs, err := workload.FromInspect(raw, around)
	if err != nil {
		return unseenContainer(l, reasonUnreadable), nil
	}
	imageFacts(&spec, image)
	c.fileFacts(&spec)
	if err := c.execs(ctx, &spec, execs); err != nil {
		return workload.Spec{}, err
	}
	return spec, nil
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

// fileFacts says why the links of mounts were not followed, which the adapter
// cannot know. Where the mount's options are unseen, that is the reason.
func (c *collector) fileFacts(s *workload.Spec) {
	seen := func(path string) bool {
		return !slices.ContainsFunc(s.Unseen, func(u workload.Unseen) bool { return u.Path == path })
	}
	for i, u := range s.Unseen {
		mount, _, found := strings.Cut(u.Path, "].resolved")
		if found && seen(mount+"].host_paths") {
			s.Unseen[i].Reason = c.noFiles
		}
	}
}

// unseenContainer is a container of which only the list's words are known.
func unseenContainer(l listedContainer, reason string) workload.Spec {
	s := workload.Spec{Name: l.name, ID: l.id, Origin: workload.OriginInspect}
	t := reflect.TypeFor[workload.Spec]()
	for i := range t.NumField() {
		switch name := t.Field(i).Tag.Get("json"); name {
		case "-", "name", "id", "origin":
		default:
			s.Hide(name, reason)
		}
	}
	return s
}

// execs looks at the exec sessions that the inspect answer names. Those that
// have ended meanwhile, or have not begun, are none.
func (c *collector) execs(ctx context.Context, s *workload.Spec, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	s.Reveal("live.execs")
	for _, id := range slices.Sorted(slices.Values(ids)) {
		raw, err := c.Client.ExecInspect(ctx, id)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		}
		reason, err := refusal(err)
		if err != nil {
			return err
		}
		var body struct {
			Running       bool
			Pid           int64
			ProcessConfig struct {
				User       string `json:"user"`
				Privileged bool   `json:"privileged"`
			}
		}
		if reason == "" && decode("an exec session", raw, &body) != nil {
			reason = reasonUnreadable
		}
		if reason != "" {
			s.Reveal("live.execs")
			s.Hide("live.execs"+workload.Open, reason)
			continue
		}
		if body.Running {
			s.Live.Execs = append(s.Live.Execs, workload.Exec{ID: id, User: execUser(body.ProcessConfig.User, s.User),
				Privileged: body.ProcessConfig.Privileged, PID: body.Pid})
		}
	}
	return nil
}

// execUser is the user of an exec session in the form of Spec.User, which is
// the container's when the session names none.
func execUser(asked, container string) string {
	user, _, _ := strings.Cut(asked, ":")
	if user == "" {
		return container
	}
	if user == "root" {
		return "0"
	}
	if n, err := strconv.Atoi(user); err == nil && n >= 0 {
		return strconv.Itoa(n)
	}
	return user
}
