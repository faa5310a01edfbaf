package serve

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// TestRun: what Run recorded is where the next one goes on, and two of them do not write
// one trail.
func TestRun(t *testing.T) {
	f, dir := startFake(t), t.TempDir()
	session := func(volume string, before int) { // events of the engine
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- Run(ctx, RunConfig{Trail: trail.Config{Dir: dir, Name: "harbour", Now: time.Now}, Watch: Config{Client: f.client, Now: time.Now}})
		}()
		waitFor(t, "the trail", func() bool { _, err := trail.Read(dir); return err == nil })
		waitFor(t, "the engine", func() bool { return count(stored(t, dir), trail.Engine) > before })
		if err := Run(ctx, RunConfig{Trail: trail.Config{Dir: dir, Now: time.Now}}); !errors.Is(err, trail.ErrLocked) {
			t.Errorf("a second one: %v", err)
		}
		volumes := count(stored(t, dir), trail.Volume)
		f.do(func() {
			f.volumes[volume] = true
			f.emit("volume", "create", volume, nil)
		})
		waitFor(t, "the volume", func() bool { return count(stored(t, dir), trail.Volume) == volumes+1 })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	}
	session("first", 0)
	session("second", count(stored(t, dir), trail.Engine))
	if n := count(stored(t, dir), trail.Volume); n != 2 {
		t.Errorf("%d events of two volumes", n)
	}
}

func count(events iter.Seq2[*trail.Event, error], kind string) int {
	n := 0
	for e, err := range events {
		if err == nil && e.Type == kind {
			n++
		}
	}
	return n
}

// TestReplayCarried: what was pruned is known by what was carried over.
func TestReplayCarried(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	carried := func(id, state string) *trail.Event {
		return &trail.Event{Type: trail.Deploy, Subject: trail.Subject{Kind: "container", ID: id, Name: "n" + id},
			Detail: map[string]any{"carried": true, "state": state, "since": since.Format(time.RFC3339Nano), "health": "sick"}}
	}
	k, err := Replay(func(yield func(*trail.Event, error) bool) {
		_ = yield(carried("1", Running), nil) && yield(carried("2", Paused), nil) && yield(carried("3", Exited), nil) && yield(carried("4", Created), nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Container{
		{ID: "1", Name: "n1", State: Running, Health: unhealthy, StartedAt: since},
		{ID: "2", Name: "n2", State: Paused, Health: unhealthy, StartedAt: since},
		{ID: "3", Name: "n3", State: Exited, Health: unhealthy},
		{ID: "4", Name: "n4", State: Created, Health: unhealthy},
	}
	if diff := cmp.Diff(want, k.Containers); diff != "" {
		t.Error(diff)
	}
}
