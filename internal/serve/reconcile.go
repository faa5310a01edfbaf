package serve

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// reconcile compares what the engine has with the picture of it, and records what
// differs. What differs at first is looked at again when the events that are under way
// have come: they say more.
func (w *watcher) reconcile(ctx context.Context) error {
	l, err := w.lists(ctx)
	if err != nil {
		return away("listing what the engine has", err)
	}
	others, ids := w.differOthers(l), w.differ(l)
	if !others && len(ids) == 0 && w.whole {
		return nil
	}
	if err := w.pause(ctx, w.pace.settle); err != nil {
		return err
	}
	if err := w.drainNow(ctx); err != nil {
		return err
	}
	if others {
		if err := w.listOthers(ctx, l); err != nil {
			return away("listing what the engine has", err)
		}
		if err := w.compareOthers(ctx, l); err != nil {
			return err
		}
	}
	looks, err := w.lookAt(ctx, ids)
	if err != nil {
		return away("looking at containers", err)
	}
	if err := w.compareContainers(ctx, ids, looks); err != nil {
		return err
	}
	w.whole = true
	return nil
}

// drainNow handles the events that wait, whatever comes behind them.
func (w *watcher) drainNow(ctx context.Context) error {
	for {
		e, gap, _ := w.stream.next()
		if e == nil {
			w.stream.reopen(gap)
			return nil
		}
		if _, err := w.handle(ctx, e); err != nil {
			return err
		}
	}
}

// differ lists the containers that are not as in the picture, and takes note of those
// that are.
func (w *watcher) differ(l *lists) []string {
	var ids []string
	for id, look := range l.containers {
		c := w.picture.containers[id]
		if look == nil {
			continue
		}
		if c == nil || c.differs(look) {
			ids = append(ids, id)
		} else {
			c.note(look)
			if !c.judged {
				w.judge.want(id)
			}
		}
	}
	for id := range w.picture.containers {
		if _, there := l.containers[id]; !there {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *container) differs(l *look) bool {
	return trail.Clip(l.Name, maxName) != c.name || l.started().After(c.started) || l.running() != c.running || l.running() && (l.State.Paused != c.paused || l.health() != "" && l.health() != c.health)
}

// compareContainers records what differs of those containers: those that are gone first,
// for their names may be in use again, then in the order in which they were made.
func (w *watcher) compareContainers(ctx context.Context, ids []string, looks map[string]*look) error {
	slices.SortFunc(ids, func(a, b string) int {
		la, lb := looks[a], looks[b]
		switch {
		case la == nil && lb == nil:
			return cmp.Compare(a, b)
		case la == nil:
			return -1
		case lb == nil:
			return 1
		}
		return cmp.Or(engineTime(la.Created).Compare(engineTime(lb.Created)), cmp.Compare(a, b))
	})
	for _, id := range ids {
		c := w.picture.containers[id]
		l, there := looks[id]
		switch {
		case w.picture.gone.have[id], l == nil && (there || c == nil):
			continue
		case l == nil:
			if err := w.found(ctx, trail.Remove, c, nil); err != nil {
				return err
			}
			continue
		case c == nil:
			if err := w.deploy(ctx, id, l, nil); err != nil {
				return err
			}
			c = w.picture.containers[id]
		}
		if err := w.compare(ctx, c, l); err != nil {
			return err
		}
		c.note(l)
		if !c.judged {
			w.judge.want(id)
		}
	}
	return nil
}

func (w *watcher) found(ctx context.Context, typ string, c *container, d detail) error {
	if d == nil {
		d = detail{}
	}
	d["found_later"] = true
	return w.record(ctx, trail.Event{Type: typ, Subject: c.subject(), Detail: d})
}

// compare records what a look at a container shows that the picture does not have.
func (w *watcher) compare(ctx context.Context, c *container, l *look) error {
	if err := w.renamed(ctx, c, trail.Clip(l.Name, maxName), nil); err != nil {
		return err
	}
	began := l.started()
	// One that runs since a start that the picture has an end of did not end.
	if began.After(c.started) || l.running() && !c.running {
		if c.running {
			// It ended between; nobody knows how.
			if err := w.found(ctx, trail.Die, c, nil); err != nil {
				return err
			}
		}
		c.note(l)
		d := detail{}
		d.when("at", began)
		if w.byEngine(c, l, began, nil) {
			d["by"] = "engine"
		}
		if err := w.found(ctx, trail.Start, c, d); err != nil {
			return err
		}
		c.began()
		w.judge.want(c.id)
	}
	switch {
	case c.running && !l.running():
		d := detail{"exit_code": l.State.ExitCode}
		d.when("at", notBefore(engineTime(l.State.FinishedAt), c.started))
		d.flag("oom", l.State.OOMKilled || c.now.oom)
		return w.found(ctx, trail.Die, c, d)
	case !l.running():
		return nil
	}
	if l.State.Paused != c.paused {
		typ := trail.Resume
		if l.State.Paused {
			typ = trail.Pause
		}
		if err := w.found(ctx, typ, c, nil); err != nil {
			return err
		}
	}
	if h := l.health(); h != "" && h != c.health {
		typ := trail.Healthy
		if h == unhealthy {
			typ = trail.Sick
		}
		return w.found(ctx, typ, c, nil)
	}
	return nil
}

// notBefore leaves out a time that is before another: the engine does not have it yet.
func notBefore(at, limit time.Time) time.Time {
	if at.Before(limit) {
		return time.Time{}
	}
	return at
}
