package collect

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestPool(t *testing.T) {
	boom := errors.New("boom")
	for _, test := range []struct {
		name     string
		n, fails int // the call that fails; -1: none
		workers  int
		most     int32 // calls made
		want     error
	}{
		{"none", 0, -1, 4, 0, nil},
		{"all", 100, -1, 4, 100, nil},
		{"more workers than calls", 3, -1, 8, 3, nil},
		{"first fails", 100, 0, 1, 1, boom},
		{"last fails", 100, 99, 4, 100, boom},
	} {
		var now, most atomic.Int32
		calls := make([]atomic.Int32, test.n)
		p := newPool(context.Background(), test.workers)
		err := p.submit(test.n, func(_ context.Context, i int) error {
			calls[i].Add(1)
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if i == test.fails {
				return boom
			}
			return nil
		}).wait()
		p.stop()
		var made int32
		for i := range calls {
			n := calls[i].Load()
			if made += n; n > 1 {
				t.Errorf("%s: call %d was made %d times", test.name, i, n)
			}
		}
		if !errors.Is(err, test.want) || made > test.most || test.want == nil && made != test.most {
			t.Errorf("%s: got %v after %d calls", test.name, err, made)
		}
		if n := most.Load(); int(n) > test.workers {
			t.Errorf("%s: %d calls at once, with %d workers", test.name, n, test.workers)
		}
	}
}

// The bound on calls at once is reached, also by calls of several batches: each
// of these waits until all have begun. The timeout is only so as not to hang.
func TestPoolRunsSideBySide(t *testing.T) {
	const workers = 5
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := newPool(ctx, workers)
	defer p.stop()
	var begun atomic.Int32
	all := make(chan struct{})
	together := func(ctx context.Context, _ int) error {
		if begun.Add(1) == workers {
			close(all)
		}
		select {
		case <-all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, b := range []*batch{p.submit(2, together), p.submitFirst(1, together), p.submit(2, together)} {
		if err := b.wait(); err != nil {
			t.Error(err)
		}
	}
}

// What runs beside the call that fails is told to stop, whatever batch it
// belongs to, nothing is begun after it, and every wait has the first error.
func TestPoolStopsAtAnError(t *testing.T) {
	boom := errors.New("boom")
	p := newPool(context.Background(), 2)
	var ended, begunLate atomic.Bool
	slow := p.submit(1, func(ctx context.Context, _ int) error {
		<-ctx.Done()
		ended.Store(true)
		return ctx.Err()
	})
	failing := p.submit(1, func(context.Context, int) error { return boom })
	late := func(context.Context, int) error {
		begunLate.Store(true)
		return nil
	}
	behind := p.submit(1, late)
	for name, b := range map[string]*batch{"beside it": slow, "the failing": failing, "behind it": behind} {
		if err := b.wait(); !errors.Is(err, boom) {
			t.Errorf("%s: got %v, want the first error", name, err)
		}
	}
	if err := p.submitFirst(1, late).wait(); !errors.Is(err, boom) {
		t.Errorf("submitted after the error: got %v", err)
	}
	p.stop()
	if !ended.Load() {
		t.Error("a call still runs after stop")
	}
	// The one behind may have been begun only by the worker that had failed.
	if begunLate.Load() {
		t.Error("a call was begun after the error")
	}
}

// stop cancels calls that nobody waits for, and returns after their end.
func TestPoolStop(t *testing.T) {
	p := newPool(context.Background(), 3)
	begun := make(chan struct{})
	var ended atomic.Int32
	p.submit(3, func(ctx context.Context, _ int) error {
		begun <- struct{}{}
		<-ctx.Done()
		ended.Add(1)
		return ctx.Err()
	})
	for range 3 {
		<-begun
	}
	p.stop()
	if n := ended.Load(); n != 3 {
		t.Errorf("%d of 3 calls had ended after stop", n)
	}
}

func TestPoolStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := newPool(ctx, 1)
	defer p.stop()
	var calls atomic.Int32
	b := p.submit(50, func(context.Context, int) error {
		if calls.Add(1) == 3 {
			cancel()
		}
		return nil
	})
	if err := b.wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("%d calls, want none after the third", n)
	}
}

// Batches run one after another, but those submitted first run before what is
// not begun, also before the rest of a batch.
func TestPoolOrder(t *testing.T) {
	p := newPool(context.Background(), 1)
	defer p.stop()
	var got []string
	say := func(name string) func(context.Context, int) error {
		return func(context.Context, int) error { // by the one worker
			got = append(got, name)
			return nil
		}
	}
	held, hold := make(chan struct{}), make(chan struct{})
	begun := p.submit(2, func(ctx context.Context, i int) error {
		if i == 0 {
			close(held)
			<-hold
		}
		return say("begun")(ctx, i)
	})
	<-held
	a, b := p.submit(2, say("a")), p.submit(1, say("b"))
	c := p.submitFirst(2, say("c"))
	close(hold)
	for _, batch := range []*batch{begun, a, b, c} {
		if err := batch.wait(); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"begun", "c", "c", "begun", "a", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// A pool that had nothing to do goes on with what comes later.
	if err := p.submit(1, say("d")).wait(); err != nil || got[len(got)-1] != "d" {
		t.Errorf("after a pause: %q (%v)", got, err)
	}
}
