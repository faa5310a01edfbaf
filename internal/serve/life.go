package serve

import (
	"context"
	"strconv"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// start records that a container runs, unless that was found.
func (w *watcher) start(ctx context.Context, c *container, e *event) error {
	l := w.inspect(ctx, c.id)
	// The engine's StartedAt is that of the last start, which may be a later one.
	at := e.at
	if l != nil {
		c.note(l)
		if s := l.started(); !s.IsZero() && !s.After(e.at) {
			at = s
		}
	}
	if c.running {
		if l == nil || !at.Equal(l.started()) || !at.After(c.started) {
			return nil
		}
		// The engine threw the event of its end away.
		if err := w.found(ctx, trail.Die, c, nil); err != nil {
			return err
		}
	}
	d := detail{}
	d.when("at", at)
	if w.byEngine(c, l, at, e) {
		d["by"] = "engine"
	}
	if err := w.tell(ctx, trail.Start, e, c.subject(), d); err != nil {
		return err
	}
	c.began()
	w.judge.want(c.id)
	return nil
}

// began forgets what was before a start.
func (c *container) began() {
	n := &c.now
	n.oom, n.stopped, n.left, n.anew = false, false, nil, false
}

// byEngine says whether the engine started a container by itself. It counts its restarts,
// and a start by a client sets that to 0 (moby: container.RestartCount). Where it speaks
// of a later start already: one whose policy has it started again, and that nobody
// stopped, cannot be started by a client meanwhile, since it counts as running. An engine
// that begins anew starts what its policies want before it answers a client.
func (w *watcher) byEngine(c *container, l *look, at time.Time, e *event) bool {
	switch {
	case c.now.anew && c.restarts() && (e == nil || w.late(e)):
		return true
	case l != nil && (e == nil || at.Equal(l.started())):
		n := l.RestartCount
		if l.State.Restarting {
			n-- // that of the next start, which is counted beforehand
		}
		return n > 0
	}
	return c.ran && !c.running && c.restarts() && !c.now.stopped
}

func (w *watcher) healthStatus(ctx context.Context, c *container, e *event) error {
	if e.about == c.health || !c.running {
		return nil
	}
	switch e.about {
	case healthy:
		d := detail{}
		if after := e.at.Sub(c.started); after >= 0 && !c.started.IsZero() {
			d["seconds"] = after.Round(time.Millisecond).Seconds()
		}
		return w.tell(ctx, trail.Healthy, e, c.subject(), d)
	case unhealthy:
		return w.tell(ctx, trail.Sick, e, c.subject(), nil)
	}
	return nil
}

// die records that a container ended, unless that was found.
func (w *watcher) die(ctx context.Context, c *container, e *event, code string) error {
	if !c.running {
		return nil // one that could not be started has no such event
	}
	if e.at.Before(c.started) {
		// Its start was found, and this is the end before it; or a clock was set back.
		if l := w.inspect(ctx, c.id); l != nil && l.running() && l.started().Equal(c.started) {
			return nil
		}
	}
	d := detail{}
	n, err := strconv.Atoi(code)
	oom := c.now.oom
	if err != nil || n == 137 && !oom && !c.now.stopped {
		// A restarted one says nothing of its last end.
		if l := w.inspect(ctx, c.id); l != nil && !l.State.Running {
			n, err, oom = l.State.ExitCode, nil, oom || l.State.OOMKilled
		}
	}
	if n == 137 && !oom && !c.now.stopped {
		var ended error
		if oom, ended = w.oomUnderWay(ctx, c.id, w.late(e)); ended != nil {
			return ended
		}
	}
	if err == nil {
		d["exit_code"] = n
	}
	d.flag("oom", oom)
	return w.tell(ctx, trail.Die, e, c.subject(), d)
}

// oomUnderWay says whether an event says that the kernel was out of memory for a container
// that was killed. The kernel tells of it on another way than of the end, and engines pass on
// what comes first: on a busy host by some hundred milliseconds. What is remembered is there
// already, and where much happens nobody waits.
func (w *watcher) oomUnderWay(ctx context.Context, id string, remembered bool) (bool, error) {
	const looks, busy = 50, 100
	for n := 0; ; n++ {
		oom, waiting := false, 0
		w.stream.waiting(func(e *event) {
			waiting++
			oom = oom || e.kind == "container" && e.action == "oom" && e.id == id
		})
		if oom || n == looks || remembered || waiting > busy {
			return oom, nil
		}
		if err := w.pause(ctx, w.pace.settle/10); err != nil {
			return false, err
		}
	}
}

func (w *watcher) renamed(ctx context.Context, c *container, to string, e *event) error {
	if to == "" || to == c.name {
		return nil
	}
	d := detail{"to": to}
	d.put("from", c.name)
	s := c.subject()
	s.Name = to
	if e == nil {
		d["found_later"] = true
		return w.record(ctx, trail.Event{Type: trail.Rename, Subject: s, Detail: d})
	}
	return w.tell(ctx, trail.Rename, e, s, d)
}
