package serve

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// RunConfig says which engine is followed, and which trail is written.
type RunConfig struct {
	Trail trail.Config
	// Watch is without Record and Known: these are the trail's.
	Watch Config
}

// longestWait is how long Run waits at most before it opens a trail again.
const longestWait = time.Minute

// Run opens the trail and records in it what happens at the engine until ctx is done,
// whose error it then gives. A trail that must be opened again is: what is really on
// disk is read then, and what is missing found by what is different. Any other error
// ends it.
func Run(ctx context.Context, c RunConfig) error {
	for wait := time.Second; ; wait = min(2*wait, longestWait) {
		err := record(ctx, c)
		if ctx.Err() != nil || !errors.Is(err, trail.ErrBroken) {
			return err
		}
		if c.Watch.Log != nil {
			c.Watch.Log("%v; it is opened again in %v", err, wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// record is Run for as long as the trail is right.
func record(ctx context.Context, c RunConfig) error {
	l, err := trail.Open(c.Trail)
	if err != nil {
		return err
	}
	known, err := replay(c.Trail.Dir)
	if err == nil {
		w := c.Watch
		w.Known, w.Record = known, l.Append
		err = Watch(ctx, w)
	}
	return errors.Join(err, l.Close())
}

// replay makes of a trail what it holds of the engine.
func replay(dir string) (*Known, error) {
	v, err := trail.Read(dir)
	if err != nil {
		return nil, err
	}
	var events iter.Seq2[*trail.Event, error] = func(yield func(*trail.Event, error) bool) {
		for r, err := range v.Events(0) {
			var e *trail.Event
			if err == nil {
				e, err = r.Event()
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
	return Replay(events)
}
