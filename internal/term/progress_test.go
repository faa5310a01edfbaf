package term

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tape is a terminal's writer that remembers each write.
type tape struct {
	mu     sync.Mutex
	writes []string
}

func (w *tape) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, string(b))
	return len(b), nil
}

// all gives the writes so far.
func (w *tape) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.writes)
}

func (w *tape) screen(t *testing.T) string {
	return screen(t, strings.Join(w.all(), ""))
}

// onTerminal runs a test of a progress line in a bubble whose clock only moves
// when everybody sleeps.
func onTerminal(t *testing.T, columns int, test func(t *testing.T, p *Progress, w *tape)) {
	synctest.Test(t, func(t *testing.T) {
		w := &tape{}
		c := colourful(columns)
		c.Writer, c.Color = w, false
		p := NewProgress(ProgressConfig{Out: New(c), Now: time.Now})
		test(t, p, w)
		p.Stop()
		if got := w.screen(t); got != "" {
			t.Errorf("left on the screen: %q", got)
		}
	})
}

func TestProgressIsQuietForASecond(t *testing.T) {
	onTerminal(t, 100, func(t *testing.T, p *Progress, w *tape) {
		p.Count("Reading the host", 50, "containers")
		p.Done(10)
		time.Sleep(950 * time.Millisecond)
		synctest.Wait()
		if len(w.all()) > 0 {
			t.Errorf("written early: %q", w.all())
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if len(w.all()) != 1 {
			t.Errorf("after a second: %q", w.all())
		}
	})
}

func TestProgressThatEndsEarlyWritesNothing(t *testing.T) {
	onTerminal(t, 100, func(t *testing.T, p *Progress, w *tape) {
		p.Count("Reading the host", 50, "containers")
		time.Sleep(500 * time.Millisecond)
		p.Stop()
		if len(w.all()) > 0 {
			t.Errorf("written: %q", w.all())
		}
	})
}

func TestProgressCounts(t *testing.T) {
	onTerminal(t, 100, func(t *testing.T, p *Progress, w *tape) {
		show := func(want string) {
			t.Helper()
			time.Sleep(redraw)
			synctest.Wait()
			if got := w.screen(t); got != want {
				t.Errorf("screen\n got %s\nwant %s", got, want)
			}
		}
		p.Count("Reading the host", 50, "containers")
		time.Sleep(3300 * time.Millisecond)
		show(" Reading the host  ⊖───────────────────────  0 of 50 containers")
		p.Done(30)
		p.Done(1)
		// 31 in 3.5 s, so the other 19 take 2.1 s.
		show(" Reading the host  ━━━━━━━━━━━━━━⊖─────────  31 of 50 containers, 3 s left")
		p.Done(18)
		show(" Reading the host  ━━━━━━━━━━━━━━━━━━━━━━━⊖  49 of 50 containers, 1 s left")
		p.Done(7)
		show(" Reading the host  ━━━━━━━━━━━━━━━━━━━━━━━⊖  50 of 50 containers")
		p.Count("Reading images", 1204, "images")
		p.Done(1)
		show(" Reading images  ⊖───────────────────────  1 of 1,204 images, 2 min left")
	})
}

func TestProgressWaits(t *testing.T) {
	onTerminal(t, 100, func(t *testing.T, p *Progress, w *tape) {
		p.Wait("Waiting for the engine", "images", 20*time.Second)
		time.Sleep(8500 * time.Millisecond)
		synctest.Wait()
		if got, want := w.screen(t), " Waiting for the engine: images, 8 s so far (gives up at 20 s)"; got != want {
			t.Errorf("screen\n got %s\nwant %s", got, want)
		}
		p.Wait("Waiting", "", 0)
		time.Sleep(150 * time.Second)
		synctest.Wait()
		if got, want := w.screen(t), " Waiting, 2 min so far"; got != want {
			t.Errorf("screen\n got %s\nwant %s", got, want)
		}
	})
}

func TestProgressIsDrawnTenTimesASecondAtMost(t *testing.T) {
	onTerminal(t, 100, func(t *testing.T, p *Progress, w *tape) {
		const total = 100_000
		p.Count("Reading the host", total, "containers")
		for range total {
			p.Done(1)
			time.Sleep(100 * time.Microsecond)
		}
		synctest.Wait()
		// Ten seconds, the first of them quiet.
		if n := len(w.all()); n < 80 || n > 92 {
			t.Errorf("%d times in nine seconds", n)
		}
	})
	onTerminal(t, 100, func(t *testing.T, p *Progress, w *tape) {
		p.Count("Reading the host", 10, "containers")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(w.all()); n != 1 {
			t.Errorf("%d times although nothing changed", n)
		}
	})
}

func TestProgressStaysOnOneLine(t *testing.T) {
	for columns, want := range map[int]string{
		75: " Reading the host  ━━━━━━━━━━━━⊖───────────  5 of 10 containers, 20 s left",
		74: " Reading the host  5 of 10 containers, 20 s left",
		20: " Reading the host",
		2:  "",
		0:  " Reading the host  ━━━━━━━━━━━━⊖───────────  5 of 10 containers, 20 s left",
	} {
		onTerminal(t, columns, func(t *testing.T, p *Progress, w *tape) {
			p.Count("Reading the host", 10, "containers")
			p.Done(5)
			time.Sleep(20*time.Second - redraw/2)
			synctest.Wait()
			if got := w.screen(t); got != want {
				t.Errorf("%d columns\n got %s\nwant %s", columns, got, want)
			}
		})
	}
	onTerminal(t, 30, func(t *testing.T, p *Progress, w *tape) {
		p.Wait("等待", strings.Repeat("名", 30), 0)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := w.screen(t); Width(got) > 29 || Width(got) < 28 {
			t.Errorf("%d cells: %s", Width(got), got)
		}
	})
}

func TestProgressEscapes(t *testing.T) {
	onTerminal(t, 100, func(t *testing.T, p *Progress, w *tape) {
		p.Wait("Waiting for the engine", "\x1b[2J\n", 0)
		time.Sleep(2050 * time.Millisecond)
		synctest.Wait()
		if got, want := w.screen(t), ` Waiting for the engine: \x1b[2J\x0a, 2 s so far`; got != want {
			t.Errorf("screen\n got %s\nwant %s", got, want)
		}
	})
}

func TestProgressInASCII(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tape{}
		p := NewProgress(ProgressConfig{Out: New(Config{Writer: w, Terminal: true, Columns: 80}), Now: time.Now})
		defer p.Stop()
		p.Count("Reading the host", 50, "containers")
		p.Done(31)
		time.Sleep(3250 * time.Millisecond)
		synctest.Wait()
		if got, want := w.screen(t), " Reading the host  ==============O---------  31 of 50 containers, 2 s left"; got != want {
			t.Errorf("screen\n got %s\nwant %s", got, want)
		}
	})
}

func TestProgressWritesOnlyToTerminals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := NewProgress(ProgressConfig{Out: New(Config{Writer: &b, UTF8: true, Color: true}), Now: time.Now})
		p.Count("Reading the host", 50, "containers")
		p.Done(3)
		time.Sleep(time.Minute)
		p.Stop()
		p.Stop()
		if b.Len() > 0 {
			t.Errorf("written: %q", b.String())
		}
	})
}

func TestProgressStopsOnceForAll(t *testing.T) {
	onTerminal(t, 100, func(t *testing.T, p *Progress, w *tape) {
		p.Count("Reading the host", 50, "containers")
		time.Sleep(2 * time.Second)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				p.Stop()
				p.Done(1)
				p.Wait("Waiting", "", 0)
			})
		}
		all.Wait()
		n := len(w.all())
		time.Sleep(time.Minute)
		if len(w.all()) != n {
			t.Errorf("written after the end: %q", w.all()[n:])
		}
	})
}

type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, errors.New("input/output error") }

func TestProgressOutlivesItsTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := colourful(80)
		c.Writer = gone{}
		p := NewProgress(ProgressConfig{Out: New(c), Now: time.Now})
		p.Count("Reading the host", 50, "containers")
		time.Sleep(2 * time.Second)
		p.Done(50)
		time.Sleep(2 * time.Second)
		p.Stop()
		if p.task.done != 50 {
			t.Errorf("done %d", p.task.done)
		}
	})
}
