package serve

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// ErrGone says that an image is not there any more, and ErrNothing that there is nothing to
// say of it: Config.Scan and Config.Verify give them.
var (
	ErrGone    = errors.New("the image is gone")
	ErrNothing = errors.New("there is nothing to say of the image")
)

const (
	// maxImages bounds how many images a chore knows. What is beyond is not looked at, so that
	// nobody can have one forgotten that is in use.
	maxImages = 4096
	// longestFailing bounds the wait after an attempt that failed, and longestRest that before
	// an image is looked at anew because somebody wants it so.
	longestFailing = time.Hour
	longestRest    = 10 * time.Minute
)

// chore is something that is done for images, one at a time, apart from what records events:
// for each once, and again when what it is done by has changed.
type chore[R any] struct {
	// doing names it in the log, as "scanning".
	doing string
	// do does it for an image, by its id: last is what came of it before, and idle says that
	// nobody wants the image, which is known to be there. nil: nothing is done.
	do func(ctx context.Context, id string, last R, idle bool) (R, error)
	// data names what it is done by; "" is that there is none, which the log is told once in the
	// words of none.
	data func() string
	none string
	// lasts is how long what came of it holds, 0 for as long as the data does. nil: so do all.
	lasts func(R) time.Duration
	now   func() time.Time
	log   func(format string, args ...any)
	pace  pace

	results chan outcome[R]
	wake    chan struct{}
	stop    context.CancelFunc
	ended   chan struct{}

	mu     sync.Mutex
	images map[string]*choreState[R] // owned by mu, by id
	order  []string                  // owned by mu: ids, the oldest first
	full   bool                      // owned by mu: and the log was told
}

// choreState is what is known of an image.
type choreState[R any] struct {
	data string // under which it was done, "" for never
	last R
	idle bool
	// at is when it was tried last, and until how long what came of it holds; zero is for as
	// long as the data does.
	at, until time.Time
	// failed is the data under which it failed last, after when it may be tried again, wait
	// how long the next wait is, and said what the log was told.
	failed string
	after  time.Time
	wait   time.Duration
	said   string
	// anew says that somebody wants it done whatever the data, no sooner than at rested; rest
	// is the next such wait.
	anew   bool
	rested time.Time
	rest   time.Duration
}

// outcome is what came of it for an image.
type outcome[R any] struct {
	id, data string
	found    R
}

// begin has it done until ctx is done, or close is called. known is what came of it before.
func (c *chore[R]) begin(ctx context.Context, with Config, known map[string]choreState[R]) *chore[R] {
	ctx, c.stop = context.WithCancel(ctx)
	c.now, c.log, c.pace = with.Now, with.Log, with.pace
	if c.log == nil {
		c.log = func(string, ...any) {}
	}
	c.results, c.wake, c.ended, c.images = make(chan outcome[R]), make(chan struct{}, 1), make(chan struct{}), map[string]*choreState[R]{}
	for _, id := range sortedKeys(known) {
		if i := c.take(id); i != nil {
			*i = known[id]
		}
	}
	go func() {
		defer close(c.ended)
		if c.do != nil && c.data != nil {
			c.run(ctx)
		}
	}()
	return c
}

func (c *chore[R]) close() {
	c.stop()
	<-c.ended
}

// take is the state of an image, which is new where it was not known: nil where there are too
// many. c.mu is held, or nobody else has c yet.
func (c *chore[R]) take(id string) *choreState[R] {
	if i := c.images[id]; i != nil || id == "" || c.do == nil {
		return i
	}
	if len(c.order) >= maxImages {
		if !c.full {
			c.full = true
			c.log("%s is done for %d images, and not for more", c.doing, maxImages)
		}
		return nil
	}
	i := &choreState[R]{idle: true}
	c.images[id] = i
	c.order = append(c.order, id)
	return i
}

// know says that an image is there. It is looked at for what it was found to be before.
func (c *chore[R]) know(id string) {
	c.change(id, func(*choreState[R]) {})
}

// want asks for it, unless it was done under the present data for somebody who wanted it.
func (c *chore[R]) want(id string) {
	c.change(id, func(i *choreState[R]) {
		if i.idle {
			i.idle, i.data = false, ""
		}
	})
}

// again asks for it even so. Whoever does that over and over is made to wait longer each time.
func (c *chore[R]) again(id string) {
	c.change(id, func(i *choreState[R]) {
		now := c.now()
		if now.Sub(i.at) > longestRest {
			i.rest = 0
		}
		if i.idle, i.anew, i.rested = false, true, i.at.Add(i.rest); i.rested.Before(now) {
			i.rested = now
		}
	})
}

func (c *chore[R]) change(id string, set func(*choreState[R])) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.take(id)
	if i == nil {
		return
	}
	set(i)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// forget is for an image that is gone.
func (c *chore[R]) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.images[id] == nil {
		return
	}
	delete(c.images, id)
	c.order = slices.DeleteFunc(c.order, func(one string) bool { return one == id })
}

// due is when it is to be done for an image, zero for not before something changes.
func (i *choreState[R]) due(data string, now time.Time) time.Time {
	at := i.until
	switch {
	case i.failed == data:
		at = i.after
	case i.data != data:
		at = now
	}
	if i.anew && (at.IsZero() || i.rested.Before(at)) {
		at = i.rested
	}
	return at
}

// turn is an image that it is to be done for.
type turn[R any] struct {
	id   string
	last R
	idle bool
}

// next is the image whose turn it is, nil for none, with how long to wait for the next. Those
// that failed come last, so that a registry that is off holds up no other.
func (c *chore[R]) next(data string) (*turn[R], time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, wait, best := c.now(), c.pace.scan, ""
	for _, id := range c.order {
		i := c.images[id]
		switch at := i.due(data, now); {
		case at.IsZero():
		case at.After(now):
			wait = min(wait, at.Sub(now))
		case best == "" || i.before(c.images[best]):
			best = id
		}
	}
	if best == "" {
		return nil, wait
	}
	i := c.images[best]
	if i.anew {
		i.anew, i.rest = false, min(max(2*i.rest, c.pace.rest), longestRest)
	}
	return &turn[R]{best, i.last, i.idle}, 0
}

// before says that the turn of an image comes before that of one that was known earlier.
func (i *choreState[R]) before(other *choreState[R]) bool {
	return i.wait < other.wait || i.wait == other.wait && other.idle && !i.idle
}

// done notes how it ended.
func (c *chore[R]) done(t *turn[R], data string, found R, err error) {
	if errors.Is(err, ErrGone) {
		c.forget(t.id)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.images[t.id]
	if i == nil {
		return
	}
	i.at = c.now()
	if err != nil && !errors.Is(err, ErrNothing) {
		i.failed, i.wait = data, min(max(2*i.wait, c.pace.scan), longestFailing)
		i.after = i.at.Add(i.wait)
		if said := err.Error(); said != i.said {
			i.said = said
			c.log("%s the image %s: %v", c.doing, trail.Clip(t.id, 19), err)
		}
		return
	}
	i.failed, i.wait, i.said, i.until = "", 0, "", time.Time{}
	if t.idle == i.idle { // else somebody wants it by now
		i.data = data
	}
	if err != nil {
		return
	}
	i.last = found
	if c.lasts != nil {
		if lasts := c.lasts(found); lasts > 0 {
			i.until = i.at.Add(lasts)
		}
	}
}

func (c *chore[R]) run(ctx context.Context) {
	told := false
	for {
		wait := c.pace.scan // after which the data may have changed
		for {
			data := c.data()
			if data == "" {
				if !told && c.none != "" {
					c.log("%s", c.none)
				}
				told = true
				break
			}
			var t *turn[R]
			if t, wait = c.next(data); t == nil {
				break
			}
			found, err := c.do(ctx, t.id, t.last, t.idle)
			if ctx.Err() != nil {
				return
			}
			if c.done(t, data, found, err); err != nil {
				continue
			}
			select {
			case c.results <- outcome[R]{t.id, data, found}:
			case <-ctx.Done():
				return
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-c.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}
