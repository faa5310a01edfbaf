package trail

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"
)

// TestPrune: what is old goes, its hashes stay, and all checkpoints can still be
// compared.
func TestPrune(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l, err := Open(Config{Dir: dir, Name: "h", Now: func() time.Time { now = now.Add(time.Hour); return now }, SegmentBytes: 40 << 10})
	if err != nil {
		t.Fatal(err)
	}
	var early Checkpoint
	for i := range 2000 {
		if _, err := l.Append(t.Context(), event(i)); err != nil {
			t.Fatal(err)
		}
		if i == 99 {
			v, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			early = v.Checkpoint()
		}
	}
	middle := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(1000 * time.Hour)
	could, err := l.Prunable(t.Context(), middle)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Prune(t.Context(), middle, Event{Detail: map[string]any{"why": "a thousand hours"}})
	if err != nil || p.First != 0 || p.Next < 600 || p.Next > 1000 || p.Next%tileWidth != 0 {
		t.Fatalf("pruned %+v, %v", p, err)
	}
	if could != p {
		t.Errorf("%+v could be pruned, and %+v was", could, p)
	}
	if again, err := l.Prune(t.Context(), middle, Event{}); err != nil || again != (Pruned{}) {
		t.Errorf("pruned again %+v, %v", again, err)
	}
	key, err := ParseKey(l.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Prune(t.Context(), now, Event{}); err == nil {
		t.Error("a closed trail was pruned")
	}
	for range 2 {
		other := early
		other.Root[0]++
		v := verified(t, dir, VerifyConfig{Key: key, Deep: true, Against: []Checkpoint{early}})
		if len(v.Problems) > 0 || v.First != p.Next || v.Size != 2001 {
			t.Errorf("after pruning: %+v", v)
		}
		if v := verified(t, dir, VerifyConfig{Key: key, Against: []Checkpoint{other}}); len(v.Problems) != 1 {
			t.Errorf("against another trail: %v", v.Problems)
		}
		view, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := view.ProveConsistent(early); err != nil {
			t.Error(err)
		}
		if _, err := view.Event(p.Next - 1); err == nil {
			t.Error("an event that was pruned is there")
		}
		if _, err := view.Prove(p.Next); err != nil {
			t.Error(err)
		}
		last, err := view.Event(2000)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := last.Event(); err != nil || e.Type != Prune || e.Detail["why"] == nil || e.Detail["next"] == nil {
			t.Errorf("the last event is %s, %v", last.Data, err)
		}
		var b bytes.Buffer
		if err := view.Export(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if v, err := VerifyBundle(t.Context(), &b, VerifyConfig{Key: key, Deep: true}); err != nil || len(v.Problems) > 0 || v.First != p.Next {
			t.Errorf("the bundle after pruning: %+v, %v", v, err)
		}
		// And so it is when it was opened again.
		if err := open(t, dir).Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPrunedTileGone: hashes of events that were pruned cannot be made again, so they are
// missed; those of events that are there can.
func TestPrunedTileGone(t *testing.T) {
	dir, key := filled(t, 2000)
	l := open(t, dir)
	p, err := l.Prune(t.Context(), time.Now().Add(time.Hour), Event{})
	if err != nil || p.Next < 512 {
		t.Fatalf("pruned %+v, %v", p, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d := folder(dir)
	for i := range int64(2000 / tileWidth) {
		name := tileID{0, i}.path()
		data, err := d.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Remove(name); err != nil {
			t.Fatal(err)
		}
		v := verified(t, dir, VerifyConfig{Key: key})
		if gone := i*tileWidth < p.Next; gone != (len(v.Problems) > 0) {
			t.Errorf("without %s: %v", name, v.Problems)
		}
		if err := d.Put(name, data); err != nil {
			t.Fatal(err)
		}
	}
}
