package serve

import (
	"context"
	"errors"
	"slices"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
)

func imageSubject(id, name string) trail.Subject {
	return trail.Subject{Kind: "image", ID: trail.Clip(id, maxName), Digest: trail.Clip(id, maxName), Name: trail.Clip(name, maxName)}
}

func (w *watcher) image(ctx context.Context, e *event) error {
	name := e.attrs["name"]
	if name == e.id {
		name = "" // the engine has no other name for it
	}
	switch e.action {
	case "pull":
		// The event has the reference for an id.
		l, err := w.inspectImage(ctx, e.id)
		if err != nil {
			return err
		}
		if l == nil {
			l = &imageLook{}
		}
		if err := w.tell(ctx, trail.Pull, e, imageSubject(l.ID, e.id), nil); err != nil {
			return err
		}
		w.verify.again(l.ID)
	case "load", "import", "build":
		return w.load(ctx, e)
	case "tag":
		if w.picture.images[e.id][trail.Clip(name, maxName)] {
			return nil // nothing changed, or it was found
		}
		d := detail{}
		d.put("from", w.picture.tagged(trail.Clip(name, maxName)))
		if err := w.tell(ctx, trail.Tag, e, imageSubject(e.id, name), d); err != nil {
			return err
		}
		w.verify.again(e.id)
	case "untag":
		return w.untag(ctx, e)
	case "delete":
		if w.picture.images[e.id] == nil {
			return nil
		}
		// An image of which the engine could not tell while it took it away.
		if err := w.lostTags(ctx, e, nil); err != nil {
			return err
		}
		return w.tell(ctx, trail.Delete, e, imageSubject(e.id, ""), nil)
	}
	return nil
}

// load records an image that came from here. Tags that came with it have no events of
// their own.
func (w *watcher) load(ctx context.Context, e *event) error {
	l, err := w.inspectImage(ctx, e.id)
	if err != nil {
		return err
	}
	var tags []string
	if l != nil {
		for _, tag := range l.RepoTags {
			if tag = trail.Clip(tag, maxName); tag != noTag && !w.picture.images[e.id][tag] {
				tags = append(tags, tag)
			}
		}
	}
	slices.Sort(tags)
	name := ""
	if len(tags) > 0 {
		name, tags = tags[0], tags[1:]
	}
	if err := w.tell(ctx, trail.Load, e, imageSubject(e.id, name), detail{"action": e.action}); err != nil {
		return err
	}
	for _, tag := range tags {
		if err := w.tell(ctx, trail.Tag, e, imageSubject(e.id, tag), nil); err != nil {
			return err
		}
	}
	return nil
}

// untag finds out which tags an image lost, which the event does not say. What several
// events mean is recorded with the first of them.
func (w *watcher) untag(ctx context.Context, e *event) error {
	l, err := w.inspectImage(ctx, e.id)
	if err != nil {
		return err
	}
	if l == nil {
		return nil // the lists will tell
	}
	left := map[string]bool{}
	for _, tag := range l.RepoTags {
		left[trail.Clip(tag, maxName)] = true
	}
	return w.lostTags(ctx, e, left)
}

// lostTags records all tags that an image had, but for those that are left.
func (w *watcher) lostTags(ctx context.Context, e *event, left map[string]bool) error {
	for _, tag := range sortedKeys(w.picture.images[e.id]) {
		if left[tag] {
			continue
		}
		if err := w.tell(ctx, trail.Delete, e, imageSubject(e.id, tag), detail{"action": "untag"}); err != nil {
			return err
		}
	}
	return nil
}

type imageLook struct {
	ID       string `json:"Id"`
	RepoTags []string
}

// inspectImage looks at an image. One that is gone has no id. Nil is one of which the
// engine does not tell.
func (w *watcher) inspectImage(ctx context.Context, id string) (*imageLook, error) {
	raw, err := w.Client.ImageInspect(ctx, id)
	l := &imageLook{}
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return l, nil
	case err != nil && !answered(err):
		return nil, away("looking at an image", err)
	case err == nil:
		_, err = strict.Decode("the engine's answer about an image", raw, l)
	}
	if err != nil {
		w.log("looking at the image %s: %v", trail.Clip(id, maxName), err)
		return nil, nil
	}
	return l, nil
}

func (w *watcher) volume(ctx context.Context, e *event) error {
	name := trail.Clip(e.id, maxName)
	// A container that is given a volume asks for it to be created, though it is there.
	if e.action != "create" && e.action != "destroy" || w.picture.volumes[name] == (e.action == "create") {
		return nil
	}
	d := detail{"action": e.action}
	d.put("driver", trail.Clip(e.attrs["driver"], maxName))
	return w.tell(ctx, trail.Volume, e, trail.Subject{Kind: "volume", Name: name}, d)
}

func (w *watcher) network(ctx context.Context, e *event) error {
	name, known := w.picture.networks[e.id]
	if !known {
		name = trail.Clip(e.attrs["name"], maxName)
	}
	s := trail.Subject{Kind: "network", ID: trail.Clip(e.id, maxName), Name: name}
	d := detail{"action": e.action}
	switch e.action {
	case "create":
		if known || predefined[name] {
			return nil
		}
		d.put("driver", trail.Clip(e.attrs["type"], maxName))
	case "destroy", "remove":
		if !known {
			return nil
		}
		d["action"] = "destroy"
	case "connect", "disconnect":
		// A start connects, and an end takes away what is not running by then.
		c := w.picture.containers[e.attrs["container"]]
		if c == nil || !c.running {
			return nil
		}
		left := c.now.left[e.id] // some engines say it twice
		if e.action == "disconnect" && left {
			return nil
		}
		if c.now.left == nil {
			c.now.left = map[string]bool{}
		}
		c.now.left[e.id] = e.action == "disconnect"
		d["container"] = c.id
		d.put("container_name", c.name)
	default:
		return nil
	}
	return w.tell(ctx, trail.Network, e, s, d)
}

// swarm records what becomes of the parts of a swarm. All that an update of them changed
// is in no event.
func (w *watcher) swarm(ctx context.Context, e *event) error {
	if e.action != "create" && e.action != "update" && e.action != "remove" {
		return nil
	}
	name := trail.Clip(e.attrs["name"], maxName)
	d := detail{"action": e.action}
	d.put(e.kind, name)
	for to, from := range map[string]string{"replicas": "replicas.new", "image": "image.new", "state": "updatestate.new", "node_state": "state.new", "availability": "availability.new", "role": "role.new"} {
		d.put(to, text(e.attrs[from]))
	}
	return w.tell(ctx, trail.Task, e, trail.Subject{Kind: e.kind, ID: trail.Clip(e.id, maxName), Name: name}, d)
}
