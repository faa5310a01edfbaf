package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// reopenEvery is how often a trail that could not be written is tried again, at the most.
const reopenEvery = time.Second

// lasting is a trail that is opened again when it must be: a disk that failed may have been
// mended, and a gate that had to be started again for it would cut off everybody.
type lasting struct {
	c   trail.Config
	log func(format string, args ...any)

	mu     sync.Mutex
	l      *trail.Log // nil while it can't be written
	err    error      // why not
	tried  time.Time
	closed bool
}

// openLasting opens a trail, which must work the first time.
func openLasting(c trail.Config, log func(format string, args ...any)) (*lasting, error) {
	l, err := trail.Open(c)
	if err != nil {
		return nil, err
	}
	return &lasting{c: c, log: log, l: l}, nil
}

// Append is Recorder's. An event may be recorded twice where the disk failed while it was
// written: what got there is not known then.
func (t *lasting) Append(ctx context.Context, e trail.Event) (int64, error) { return t.Begin(e)(ctx) }

// Begin is Recorder's, and as Append.
func (t *lasting) Begin(e trail.Event) (wait func(context.Context) (int64, error)) {
	l, err := t.open()
	if err != nil {
		return func(context.Context) (int64, error) {
			return 0, fmt.Errorf("the trail in %s can't be written: %w", t.c.Dir, err)
		}
	}
	recorded := l.Begin(e)
	return func(ctx context.Context) (int64, error) {
		seq, err := recorded(ctx)
		if errors.Is(err, trail.ErrBroken) || errors.Is(err, fs.ErrClosed) {
			t.drop(l, err)
			return t.Append(ctx, e)
		}
		return seq, err
	}
}

// open gives the trail, and opens it where that is not done and was not tried just now.
func (t *lasting) open() (*trail.Log, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.c.Now()
	switch age := now.Sub(t.tried); {
	case t.closed:
		return nil, fs.ErrClosed
	case t.l != nil:
		return t.l, nil
	case age >= 0 && age < reopenEvery:
		return nil, t.err
	}
	t.tried = now
	l, err := trail.Open(t.c)
	if err != nil {
		t.err = err
		return nil, err
	}
	t.log("the trail in %s can be written again", t.c.Dir)
	t.l = l
	return l, nil
}

// drop lets a trail go that must be opened again, unless another has done so.
func (t *lasting) drop(l *trail.Log, why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.l != l {
		return
	}
	t.log("recording stops: %v", why)
	t.l, t.err = nil, why
	_ = l.Close() // it says why once more
}

// Close lets the trail go.
func (t *lasting) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.l == nil {
		return t.err
	}
	return t.l.Close()
}
