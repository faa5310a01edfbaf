package serve

import (
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// stored gives the events of a trail on disk.
func stored(t *testing.T, dir string) iter.Seq2[*trail.Event, error] {
	t.Helper()
	v, err := trail.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(*trail.Event, error) bool) {
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
}

// TestIntoATrail: what is watched is in a real trail, which verifies to the byte, and a
// watcher that goes on from there has nothing to add.
func TestIntoATrail(t *testing.T) {
	f, dir := startFake(t), t.TempDir()
	session := func(mark string, change func()) []string {
		l, err := trail.Open(trail.Config{Dir: dir, Name: "harbour", Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		k, err := Replay(stored(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		m := &memory{} // to wait by
		w := watch(t, f.client, m, func(c *Config) {
			c.Known = k
			c.Record = l.Append
			c.Log = t.Logf
		})
		w.follows(t)
		f.do(func() {
			change()
			f.volumes[mark] = true
			f.emit("volume", "create", mark, nil)
		})
		var got []string
		waitFor(t, "the mark", func() bool {
			got = nil
			for e, err := range stored(t, dir) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, lines([]*trail.Event{e}, "exit_code")...)
			}
			return len(got) > 0 && got[len(got)-1] == "volume "+mark
		})
		w.end()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		return got
	}
	want := []string{"engine harbour"}
	got := session("first", func() {
		for n := range 50 {
			c := f.create(n, map[string]string{"plimsoll.why": "\x00\xff \u2028"})
			f.start(c)
			f.die(c, n)
			want = append(want, "deploy "+c.name, "start "+c.name, "die "+c.name+" exit_code="+c.name[1:])
		}
	})
	want = append(want, "volume first")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = session("second", func() {})
	if diff := cmp.Diff(append(want, "engine harbour", "volume second"), got); diff != "" {
		t.Error(diff)
	}
	view, err := trail.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := trail.Verify(t.Context(), dir, trail.VerifyConfig{Key: view.Key(), Deep: true})
	if err != nil || len(v.Problems) > 0 {
		t.Errorf("the trail: %v, %v", v.Problems, err)
	}
}
