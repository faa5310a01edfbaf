package collect

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// listedContainer is what the list says that inspecting needs.
type listedContainer struct {
	id, name, image string
}

// list asks for the list of containers.
func (c *collector) list(ctx context.Context) ([]listedContainer, error) {
	raw, err := c.Client.ContainerList(ctx)
	if err != nil {
		return nil, err
	}
	return readList(raw)
}

// readList reads the engine's list of containers, and orders it by name, then
// id. A list that cannot be read is an error: containers would be missing that
// nobody could name.
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
			err = &strict.Error{Field: "Id", Msg: `"Id" is missing`}
		}
		if err != nil {
			return nil, fmt.Errorf("reading container %d of the engine's list: %w", i, err)
		}
		out = append(out, listedContainer{id: body.ID, name: ownName(body.Names, body.ID), image: body.ImageID})
	}
	slices.SortStableFunc(out, func(a, b listedContainer) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
	})
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

// containers is what is found out about the listed containers. The elements of
// listed, pids, specs and gone with the same index belong together, and are
// written by whoever has that container's answer.
type containers struct {
	listed  []listedContainer
	images  map[string]*foundImage
	backlog *backlog
	pids    []int // of the first process; 0 for a container that does not run
	specs   []workload.Spec
	gone    []bool
}

func newContainers(listed []listedContainer, images map[string]*foundImage) *containers {
	return &containers{listed: listed, images: images, backlog: newBacklog(),
		pids: make([]int, len(listed)), specs: make([]workload.Spec, len(listed)), gone: make([]bool, len(listed))}
}

// inspect asks for one container, and describes it unless its answer is put off.
func (c *collector) inspect(ctx context.Context, all *containers, at int) error {
	raw, err := c.Client.ContainerInspect(ctx, all.listed[at].id)
	a := inspected{at: at, size: len(raw), gone: errors.Is(err, engine.ErrNotFound)}
	if !a.gone {
		if a.reason, err = refusal(err); err != nil {
			return err
		}
		if a.reason == "" {
			if a.said, err = workload.ReadInspect(raw); err != nil {
				a.reason = reasonUnreadable
			} else {
				all.pids[at] = a.said.PID()
			}
		}
	}
	putOff, err := all.backlog.put(ctx, a)
	if err != nil || putOff {
		return err
	}
	return c.container(ctx, all, a)
}

// container describes one container with its exec sessions.
func (c *collector) container(ctx context.Context, all *containers, a inspected) error {
	defer c.described()
	l := all.listed[a.at]
	switch {
	case a.gone:
		all.gone[a.at] = true
		return nil
	case a.reason != "":
		all.specs[a.at] = unseenContainer(l, a.reason)
		return nil
	}
	image, around := all.images[l.image], c.around
	switch {
	case image == nil:
	case image.gone:
		// An empty image is not the one that runs, so the adapter says that the
		// image is not there.
		around.Image = &workload.ImageConfig{}
	default:
		around.Image = image.config
	}
	spec, execs, err := a.said.Spec(around)
	if err != nil {
		all.specs[a.at] = unseenContainer(l, reasonUnreadable)
		return nil
	}
	// The list has said these two.
	if spec.ID == "" {
		spec.ID = l.id
		spec.Reveal("id")
	}
	if spec.Name == "" {
		spec.Name = l.name
		spec.Reveal("name")
	}
	imageFacts(&spec, image)
	c.fileFacts(&spec)
	if err := c.execs(ctx, &spec, execs); err != nil {
		return err
	}
	all.specs[a.at] = spec
	return nil
}

// ownContainer is the place of the container that this program runs in, or -1. Where
// only the files of its network tell, no other container may use that network: any
// of those that do could be it.
func (c *collector) ownContainer(all *containers) int {
	at := func(id string) int {
		return slices.IndexFunc(all.listed, func(l listedContainer) bool { return id != "" && l.id == id })
	}
	if i := at(c.Home.ID); i >= 0 {
		return i
	}
	own := at(c.Home.Network)
	for i := range all.specs {
		s := &all.specs[i]
		if own < 0 || i == own || all.gone[i] {
			continue
		}
		if other, joins := strings.CutPrefix(s.Namespaces.Network, "container:"); joins || !isSeen(s, "namespaces.network") || !isSeen(s, "namespaces") {
			if !isID(other) || other == c.Home.Network {
				return -1
			}
		}
	}
	return own
}

// finish takes over the containers that are there, and warns of those that are
// gone.
func (c *collector) finish(all *containers) {
	there, own := 0, c.ownContainer(all)
	for i, l := range all.listed {
		if i == own {
			c.warn("the container %s (%s) is the one that plimsoll runs in, and is left out", l.name, shortID(l.id))
			continue
		}
		if all.gone[i] {
			c.warn("the container %s (%s) was removed meanwhile, and is left out", l.name, shortID(l.id))
			continue
		}
		if there != i {
			all.specs[there] = all.specs[i]
		}
		there++
	}
	clear(all.specs[there:])
	c.facts.Containers = all.specs[:there:there]
	// They are in the order of the list, unless one was renamed meanwhile.
	byName := func(a, b workload.Spec) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }
	if !slices.IsSortedFunc(c.facts.Containers, byName) {
		slices.SortStableFunc(c.facts.Containers, byName)
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
	var inherit []int // the container's user
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
			if execUser(body.ProcessConfig.User, "") == "" {
				inherit = append(inherit, len(s.Live.Execs))
			}
			s.Live.Execs = append(s.Live.Execs, workload.Exec{ID: id, User: execUser(body.ProcessConfig.User, s.User),
				Privileged: body.ProcessConfig.Privileged, PID: body.Pid})
		}
	}
	for _, i := range inherit {
		if !isSeen(s, "user") {
			s.Hide(fmt.Sprintf("live.execs[%d].user", i), reasonSilent)
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
