package serve

import (
	"cmp"
	"context"
	"time"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// handle records an event of the engine, if it counts and is not known yet. Fresh says
// that it was not seen before.
func (w *watcher) handle(ctx context.Context, e *event) (fresh bool, err error) {
	if w.seen.has(e.mark) {
		return false, nil
	}
	if w.whole || e.at.After(w.since) {
		switch e.kind {
		case "container":
			err = w.container(ctx, e)
		case "image":
			err = w.image(ctx, e)
		case "volume":
			err = w.volume(ctx, e)
		case "network":
			err = w.network(ctx, e)
		case "service", "node", "secret", "config":
			err = w.swarm(ctx, e)
		}
		if err != nil {
			return false, err
		}
	}
	w.seen.add(e.mark)
	return true, nil
}

// late says of an event that nobody followed the engine when it happened.
func (w *watcher) late(e *event) bool { return e.at.Before(w.before) }

// tell records an event about a subject, for one of the engine.
func (w *watcher) tell(ctx context.Context, typ string, e *event, s trail.Subject, d detail) error {
	if d == nil {
		d = detail{}
	}
	if _, said := d["at"]; !said {
		d.when("at", e.at)
	}
	d.flag("found_later", w.late(e))
	return w.record(ctx, trail.Event{Type: typ, Subject: s, Detail: d})
}

// heard are the actions on containers that are recorded. The others are noise, as attach
// and resize, or steps of what is recorded: exec_create, exec_die, restart.
var heard = map[string]bool{"create": true, "start": true, "health_status": true, "stop": true, "kill": true, "oom": true, "die": true, "pause": true,
	"unpause": true, "rename": true, "update": true, "exec_start": true, "destroy": true, "commit": true}

func (w *watcher) container(ctx context.Context, e *event) error {
	if !heard[e.action] || w.picture.gone.have[e.id] || e.id == "" {
		return nil
	}
	c := w.picture.containers[e.id]
	switch {
	case e.action == "create" && c != nil:
		return nil // it was found
	case e.action == "create":
		return w.deploy(ctx, e.id, w.inspect(ctx, e.id), e)
	case c == nil:
		// Nobody saw how it was made.
		l := w.inspect(ctx, e.id)
		if err := w.deploy(ctx, e.id, l, e); err != nil {
			return err
		}
		c = w.picture.containers[e.id]
		if l != nil {
			if err := w.compare(ctx, c, l); err != nil {
				return err
			}
		}
	}
	if !c.now.noted {
		// It is known from the trail, which does not hold its labels and its health check.
		if l := w.inspect(ctx, c.id); l != nil {
			c.note(l)
		}
		c.now.noted = true
	}
	return w.lives(ctx, c, e)
}

// lives handles what happens to a container that is in the picture.
func (w *watcher) lives(ctx context.Context, c *container, e *event) error {
	attr := func(name string) string {
		if c.now.shadowed[name] {
			return ""
		}
		return trail.Clip(e.attrs[name], maxName)
	}
	switch e.action {
	case "start":
		return w.start(ctx, c, e)
	case "health_status":
		return w.healthStatus(ctx, c, e)
	case "die":
		return w.die(ctx, c, e, attr("exitCode"))
	case "oom":
		c.now.oom = true
	case "stop":
		c.now.stopped = true
		return w.tell(ctx, trail.Stop, e, c.subject(), nil)
	case "kill":
		c.now.stopped = true
		d := detail{}
		d.put("signal", attr("signal"))
		return w.tell(ctx, trail.Kill, e, c.subject(), d)
	case "pause":
		if !c.paused {
			return w.tell(ctx, trail.Pause, e, c.subject(), nil)
		}
	case "unpause":
		if c.paused {
			return w.tell(ctx, trail.Resume, e, c.subject(), nil)
		}
	case "rename":
		return w.renamed(ctx, c, trail.Clip(e.attrs["name"], maxName), e)
	case "update":
		if l := w.inspect(ctx, c.id); l != nil {
			c.note(l)
		}
		if err := w.tell(ctx, trail.Update, e, c.subject(), nil); err != nil {
			return err
		}
		w.judge.want(c.id)
	case "exec_start":
		return w.exec(ctx, c, e, attr("execID"))
	case "destroy":
		return w.tell(ctx, trail.Remove, e, c.subject(), nil)
	case "commit":
		id := attr("imageID")
		if id == "" {
			return nil
		}
		return w.tell(ctx, trail.Load, e, trail.Subject{Kind: "image", ID: id, Digest: id, Name: attr("imageRef")}, detail{"action": "commit", "container": c.id})
	}
	return nil
}

// deploy records that a container was made. What the engine does not say any more is
// taken from the event.
func (w *watcher) deploy(ctx context.Context, id string, l *look, e *event) error {
	found := e == nil || e.action != "create"
	d := detail{}
	c := &container{id: id}
	var labels map[string]string
	created := time.Time{}
	if l != nil {
		c.name, c.image, c.digest, labels = trail.Clip(l.Name, maxName), trail.Clip(l.Config.Image, maxName), trail.Clip(l.Image, maxName), l.Config.Labels
		created = engineTime(l.Created)
		d.put("restart", trail.Clip(l.HostConfig.RestartPolicy.Name, maxName))
		d.flag("privileged", l.HostConfig.Privileged)
	}
	if e != nil {
		// A name of the event is the one at that time.
		c.name, c.image = cmp.Or(trail.Clip(e.attrs["name"], maxName), c.name), cmp.Or(c.image, trail.Clip(e.attrs["image"], maxName))
		if l == nil {
			labels = e.attrs
		}
		if created.IsZero() && !found {
			created = e.at
		}
	}
	d.when("created", created)
	say, more := declare.Of(labels, created)
	for name, text := range more {
		d.put(name, text)
	}
	at := created
	if e != nil {
		at = e.at
	}
	d.put("replaces", w.picture.predecessor(c.name, id, at))
	if !found {
		d.when("at", e.at)
	}
	d.flag("found_later", found || w.late(e))
	if err := w.record(ctx, trail.Event{Type: trail.Deploy, Subject: c.subject(), Declared: say, Detail: d}); err != nil {
		return err
	}
	if c := w.picture.containers[id]; l != nil {
		c.note(l)
	} else if !found {
		c.now.shadowed = shadowed(e.attrs)
	}
	if found {
		w.judge.want(id)
	}
	return nil
}
