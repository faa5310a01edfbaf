package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// flaws is what is known of images, and what was asked of it.
type flaws struct {
	mu    sync.Mutex
	data  string
	of    map[string][]string
	fails int // so often
	gone  bool
	asked []string
}

func (f *flaws) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *flaws) config(c *Config) {
	c.Data = func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.data
	}
	c.Scan = func(_ context.Context, id string) (Scanned, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked = append(f.asked, f.data)
		switch {
		case f.gone:
			return Scanned{}, ErrGone
		case f.fails > 0:
			f.fails--
			return Scanned{}, errors.New("by the test")
		}
		return Scanned{Name: "web:1", Findings: len(f.of[f.data]), Worst: "high", IDs: slices.Clone(f.of[f.data])}, nil
	}
}

// scans are those that were recorded.
func scans(m *memory) []*trail.Event {
	var out []*trail.Event
	for _, e := range m.all() {
		if e.Type == trail.Scan {
			out = append(out, e)
		}
	}
	return out
}

// TestScans: the image of what runs is scanned once, and again when the data changes, and
// only then something is new; after a restart what was scanned is known, and an attempt that
// failed is made again.
func TestScans(t *testing.T) {
	f, m := startFake(t), &memory{}
	known := &flaws{data: "1", fails: 1, of: map[string][]string{"1": {"CVE-1"}, "2": {"CVE-2", "CVE-1"}, "3": {"CVE-2", "CVE-1"}}}
	w := watch(t, f.client, m, known.config)
	w.follows(t)
	f.do(func() {
		for n := range 3 {
			f.start(f.create(n, nil))
		}
	})
	waitFor(t, "a scan", func() bool { return len(scans(m)) == 1 })
	for n, data := range []string{"2", "3"} {
		known.set(func() { known.data = data })
		waitFor(t, "a scan under new data", func() bool { return len(scans(m)) == n+2 })
	}
	w.end()
	w = watch(t, f.client, m, known.config)
	w.follows(t)
	f.mark(m, "again")
	want := []string{"scan web:1 data=1 findings=1", "scan web:1 data=2 findings=2 new=[CVE-2]", "scan web:1 data=3 findings=2"}
	if diff := cmp.Diff(want, lines(scans(m), "data", "findings", "new")); diff != "" {
		t.Error(diff)
	}
	known.set(func() {
		if got := strings.Join(known.asked, ""); got != "1123" {
			t.Errorf("asked under %s", got)
		}
		known.data, known.gone = "4", true
	})
	waitFor(t, "one that is gone", func() bool {
		known.mu.Lock()
		defer known.mu.Unlock()
		return len(known.asked) == 5
	})
	f.mark(m, "end")
	if n := len(scans(m)); n != 3 {
		t.Errorf("%d scans", n)
	}
	if id := scans(m)[0].Subject.Digest; id != "sha256:"+idOf(9) {
		t.Errorf("it is about %s", id)
	}
}

// TestNoScans: without data, and without a scanner, nothing is scanned, and the first is told.
func TestNoScans(t *testing.T) {
	for _, with := range []bool{true, false} {
		f, m := startFake(t), &memory{}
		known := &flaws{}
		var mu sync.Mutex
		told := 0
		w := watch(t, f.client, m, func(c *Config) {
			if with {
				known.config(c)
			}
			c.Log = func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(fmt.Sprintf(format, args...), "no database") {
					told++
				}
			}
		})
		w.follows(t)
		f.do(func() { f.start(f.create(1, nil)) })
		m.wait(t, trail.Start, "c1")
		if with {
			waitFor(t, "being told", func() bool { mu.Lock(); defer mu.Unlock(); return told == 1 })
		}
		f.mark(m, "end")
		if len(scans(m)) != 0 || len(known.asked) != 0 {
			t.Errorf("%v: %d scans, asked %q", with, len(scans(m)), known.asked)
		}
		w.end()
	}
}
