package trail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// TestNotClosed: what a writer leaves that did not end has zeros behind the last batch,
// which are nothing; what else is there is a batch that nobody was told of.
func TestNotClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	l := open(t, dir)
	fill(t, l, 20, 4)
	key, err := ParseKey(l.Public())
	if err != nil {
		t.Fatal(err)
	}
	segment := segmentName(0)
	for _, c := range []struct {
		name   string
		behind string
		torn   int
	}{
		{"nothing", "", 0},
		{"half a header", batchMagic + "\x00\x00", 4},
		{"the end of a batch", strings.Repeat("\x00", 512) + "}", 513},
	} {
		t.Run(c.name, func(t *testing.T) {
			left := filepath.Join(t.TempDir(), "trail")
			if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join(left, segment))
			if err != nil {
				t.Fatal(err)
			}
			end := int(l.file.Size())
			if len(data) != 64<<10 || end >= len(data) {
				t.Fatalf("the segment has %d bytes, and %d of batches", len(data), end)
			}
			copy(data[end:], c.behind)
			if err := os.WriteFile(filepath.Join(left, segment), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if v := verified(t, left, VerifyConfig{Key: key}); len(v.Problems) > 0 || v.Size != 20 || v.Torn != c.torn {
				t.Errorf("%+v", v)
			}
			again := open(t, left)
			fill(t, again, 1, 1)
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			want := int64(21)
			if c.torn > 0 {
				want++ // that it was cut off
			}
			if v := verified(t, left, VerifyConfig{Key: key, Deep: true}); len(v.Problems) > 0 || v.Size != want || v.Torn != 0 {
				t.Errorf("opened again: %+v", v)
			}
		})
	}
}
