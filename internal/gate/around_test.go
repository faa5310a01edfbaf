package gate

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/test/lab"
)

// lookedAt is an engine whose looks are counted, and that can keep them waiting.
type lookedAt struct {
	collect.Client
	looks atomic.Int32
	gate  sync.Mutex // held by who keeps them waiting
}

func (l *lookedAt) Info(ctx context.Context) (json.RawMessage, error) {
	l.looks.Add(1)
	l.gate.Lock()
	defer l.gate.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.Client.Info(ctx)
}

// TestAroundRenews: what is used is renewed beside before it is too old, and nobody waits for
// that; what is of no use any more is not used though it was being renewed.
func TestAroundRenews(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: e.Host(), Source: "the lab"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	asked := &lookedAt{Client: client}
	began := time.Now()
	var later atomic.Int64
	a := newAround(collect.Config{Client: asked, Now: func() time.Time { return began.Add(time.Duration(later.Load())) }})
	defer a.close()
	use := func(after time.Duration) (w *collect.World) {
		t.Helper()
		later.Store(int64(after))
		if err := a.use(t.Context(), func(now *collect.World) error { w = now; return nil }); err != nil {
			t.Fatal(err)
		}
		return w
	}
	looks := func(want int32) {
		t.Helper()
		a.renewing.Wait()
		if got := asked.looks.Load(); got != want {
			t.Errorf("it was looked at %d times, not %d", got, want)
		}
	}
	first := use(0)
	if use(renewed-1) != first {
		t.Error("what is fresh is not used")
	}
	looks(1)
	asked.gate.Lock()
	for range 2 {
		if use(renewed) != first {
			t.Error("what is renewed is not used meanwhile")
		}
	}
	asked.gate.Unlock()
	looks(2)
	second := use(renewed + 1)
	if second == first {
		t.Error("what was renewed is not used")
	}
	if use(renewed+fresh) == second {
		t.Error("what is too old is used")
	}
	looks(3)

	// The engine begins anew while it is looked at.
	asked.gate.Lock()
	old := use(2*renewed + fresh)
	eventually(t, func() bool { return asked.looks.Load() == 4 }, func() string { return "it is being looked at" })
	a.stale()
	asked.gate.Unlock()
	looks(4)
	if use(2*renewed+fresh) == old {
		t.Error("what is of no use is used")
	}
	looks(5)

	// Nobody waits at the end for an engine that does not answer.
	asked.gate.Lock()
	use(3*renewed + fresh)
	ended := make(chan struct{})
	go func() { a.close(); close(ended) }()
	time.Sleep(10 * time.Millisecond) // for the end to be under way
	asked.gate.Unlock()
	<-ended
	if err := a.lasting.Err(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
