package trail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Pruned says which events were thrown away: from First up to Next, which is kept.
type Pruned struct{ First, Next int64 }

// Prunable says what Prune would throw away.
func (l *Log) Prunable(ctx context.Context, before time.Time) (Pruned, error) {
	var p Pruned
	err := l.do(ctx, func() error {
		i, err := l.prunable(before)
		if err == nil && i > 0 {
			p = Pruned{l.firsts[0], l.firsts[i]}
		}
		return err
	})
	return p, err
}

// Prune throws away the segments whose events are all from before a time, but never the
// last one. Their hashes stay, so that every checkpoint can still be compared. An event
// says so first: e, of the type Prune, to whose Detail the numbers are added.
func (l *Log) Prune(ctx context.Context, before time.Time, e Event) (Pruned, error) {
	var p Pruned
	err := l.do(ctx, func() error {
		i, err := l.prunable(before)
		if err != nil || i == 0 {
			return err
		}
		p = Pruned{l.firsts[0], l.firsts[i]}
		if err := l.hashesKept(p, i); err != nil {
			return err
		}
		detail := map[string]any{"first": p.First, "next": p.Next, "before": before.UTC().Format(time.RFC3339)}
		for name, value := range e.Detail {
			detail[name] = value
		}
		e.Type, e.Subject, e.Detail = Prune, Subject{Kind: "trail", Name: l.key.Name()}, detail
		part, err := rest(e)
		if err != nil {
			return err
		}
		a := &appending{rest: part, done: make(chan struct{})}
		if l.commit([]*appending{a}); a.err != nil {
			return a.err
		}
		// From the first on: what a crash leaves begins later, and has no gap.
		for ; l.firsts[0] < p.Next; l.firsts = l.firsts[1:] {
			if err := l.disk.Remove(segmentName(l.firsts[0])); err != nil {
				return err
			}
		}
		return nil
	})
	return p, err
}

// do runs f where the Log's fields belong to it.
func (l *Log) do(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	select {
	case l.jobs <- func() {
		if l.broken != nil {
			done <- l.broken
			return
		}
		done <- f()
	}:
	case <-l.done:
		return fmt.Errorf("the trail in %s: %w", l.c.Dir, fs.ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-done // what was begun is ended
}

// prunable counts the segments that can be thrown away: those behind begin where a tile
// does.
func (l *Log) prunable(before time.Time) (int, error) {
	n := 0
	for i := 1; i < len(l.firsts); i++ {
		last, err := l.lastTime(l.firsts[i-1])
		if err != nil {
			return 0, err
		}
		if !last.Before(before) {
			break
		}
		if l.firsts[i]%tileWidth == 0 {
			n = i
		}
	}
	return n, nil
}

// lastTime is the time of the last event of a segment.
func (l *Log) lastTime(first int64) (time.Time, error) {
	data, err := l.disk.Read(segmentName(first))
	if err != nil {
		return time.Time{}, err
	}
	var last []byte
	if _, err := parseSegment(data, func(b *batch) error {
		if n := len(b.entries); n > 0 {
			last = b.entries[n-1]
		}
		return nil
	}); err != nil {
		return time.Time{}, corrupt(segmentName(first), -1, "%v", err)
	}
	if last == nil {
		return time.Time{}, nil
	}
	e, err := Decode(last)
	if err != nil {
		return time.Time{}, corrupt(segmentName(first), -1, "%v", err)
	}
	return e.Time, nil
}

// hashesKept makes sure that the tiles of what goes are there, right, and durable.
func (l *Log) hashesKept(p Pruned, i int) error {
	if err := l.tilesWritten(); err != nil {
		return err
	}
	if err := l.disk.Settle(append(l.unsettled, l.fresh...)); err != nil {
		return err
	}
	tile := func(level int, index int64) ([]tlog.Hash, error) { return readTile(l.disk, tileID{level, index}) }
	e, err := edgeAt(p.First, tile)
	if err != nil {
		return err
	}
	for n := p.First; n < p.Next; n += tileWidth {
		hashes, err := tile(0, n/tileWidth)
		if err != nil {
			return err
		}
		for _, h := range hashes {
			e.add(h)
		}
	}
	// The tiles above are what opening reads.
	if above, err := edgeAt(p.Next, tile); err != nil || above.root() != e.root() {
		return errors.Join(corrupt("tile", p.First, "the tiles of hashes do not belong together"), err)
	}
	data, err := l.disk.Read(segmentName(l.firsts[i]))
	if err != nil {
		return err
	}
	if h, ok := readHeader(data); !ok || h.root != e.root() {
		return corrupt("tile", p.First, "the tiles are not those of the events before event %d", p.Next)
	}
	return nil
}
