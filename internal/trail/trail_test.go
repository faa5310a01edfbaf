package trail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// open opens a trail whose segments are small, and closes it with the test.
func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(Config{Dir: dir, Name: "harbour-1", Now: time.Now, SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func event(i int) Event {
	return Event{Type: Deploy, Subject: Subject{Kind: "container", ID: fmt.Sprintf("%064x", i), Name: fmt.Sprintf("web-%d", i), Image: "shop/api:4.18.2"},
		Declared: &Declared{Owner: "team-shop", Why: "release", Source: "labels"}, Detail: map[string]any{"restart": "no", "n": i}}
}

// fill appends events from many goroutines.
func fill(t *testing.T, l *Log, n, writers int) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				if _, err := l.Append(context.Background(), event(i)); err != nil {
					t.Errorf("event %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestAppendAndOpenAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	total := 0
	for range 4 {
		l := open(t, dir)
		if l.edge.size != int64(total) {
			t.Fatalf("opened with %d events, want %d", l.edge.size, total)
		}
		fill(t, l, 1000, 16)
		total += 1000
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(t.Context(), event(0)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a closed trail says %v", err)
		}
	}
	names, err := os.ReadDir(filepath.Join(dir, "events"))
	if err != nil || len(names) < 4 {
		t.Errorf("%d segments, %v", len(names), err)
	}
}
