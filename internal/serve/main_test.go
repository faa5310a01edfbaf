package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/trail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are times of a watcher that is not waited for. Those for what is under way stay
// long enough for a machine that is busy.
var quick = pace{first: 100 * time.Millisecond, settle: 100 * time.Millisecond, retry: time.Millisecond, most: 20 * time.Millisecond,
	full: time.Millisecond, judge: 5 * time.Millisecond, scan: 10 * time.Millisecond, rest: 10 * time.Millisecond, gate: 10 * time.Millisecond, queue: maxQueue}

// memory is a trail that is kept in memory, for what is recorded; package trail has the
// tests of what becomes of it.
type memory struct {
	mu     sync.Mutex
	events []*trail.Event
	// before may refuse an event.
	before func(e *trail.Event) error
}

func (m *memory) record(_ context.Context, e trail.Event) (int64, error) {
	if m.before != nil {
		if err := m.before(&e); err != nil {
			return 0, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Seq = int64(len(m.events))
	// What comes out of a trail went through JSON.
	raw, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	stored, err := trail.Decode(raw)
	if err != nil {
		return 0, err
	}
	m.events = append(m.events, stored)
	return e.Seq, nil
}

func (m *memory) all() []*trail.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// since gives the events from number n on.
func (m *memory) since(n int) []*trail.Event { return m.all()[n:] }

// known replays it.
func (m *memory) known(t *testing.T) *Known {
	t.Helper()
	k, err := Replay(func(yield func(*trail.Event, error) bool) {
		for _, e := range m.all() {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// watching is a Watch that runs.
type watching struct {
	stop     context.CancelFunc
	ended    chan error
	compared chan struct{} // closed when its first comparison is done
}

// follows waits until what was there at the start is recorded.
func (w *watching) follows(t *testing.T) {
	t.Helper()
	select {
	case <-w.compared:
	case err := <-w.ended:
		w.ended <- err
		t.Fatalf("the watcher ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was compared within 30 seconds")
	}
}

// watch starts a watcher that goes on from what m holds, and ends it with the test.
func watch(t *testing.T, c *engine.Client, m *memory, change func(*Config)) *watching {
	t.Helper()
	cfg := Config{Client: c, Record: m.record, Now: time.Now, Known: m.known(t), Log: func(format string, args ...any) {
		if testing.Verbose() {
			fmt.Fprintf(os.Stderr, "    "+format+"\n", args...)
		}
	}, pace: quick}
	if change != nil {
		change(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &watching{stop: stop, ended: make(chan error, 1), compared: make(chan struct{})}
	cfg.compared = sync.OnceFunc(func() { close(w.compared) })
	go func() { w.ended <- Watch(ctx, cfg) }()
	t.Cleanup(func() { w.end() })
	return w
}

// end ends the watcher, and gives the error that it ended with.
func (w *watching) end() error {
	w.stop()
	err := <-w.ended
	w.ended <- err
	return err
}

// waitFor asks again until ok, for at most 30 seconds.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within 30 seconds", what)
}

// has says whether m has an event of that type about a subject of that name.
func (m *memory) has(typ, name string) bool {
	return slices.ContainsFunc(m.all(), func(e *trail.Event) bool { return e.Type == typ && e.Subject.Name == name })
}

func (m *memory) wait(t *testing.T, typ, name string) *trail.Event {
	t.Helper()
	waitFor(t, typ+" of "+name, func() bool { return m.has(typ, name) })
	all := m.all()
	return all[slices.IndexFunc(all, func(e *trail.Event) bool { return e.Type == typ && e.Subject.Name == name })]
}

// lines are events in few words: type, name, and of the detail what is asked for.
func lines(events []*trail.Event, details ...string) []string {
	out := []string{}
	for _, e := range events {
		line := e.Type + " " + e.Subject.Name
		for _, name := range details {
			if v, there := e.Detail[name]; there {
				line += fmt.Sprintf(" %s=%v", name, v)
			}
		}
		out = append(out, line)
	}
	return out
}

func about(events []*trail.Event, kinds ...string) []*trail.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e *trail.Event) bool { return !slices.Contains(kinds, e.Subject.Kind) })
}
