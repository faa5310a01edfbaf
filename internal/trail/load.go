package trail

import (
	"bytes"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// state is what a folder says of a trail.
type state struct {
	firsts []int64 // of the segments
	edge   *edge
	// signed is the signature of the last checkpoint, which is that of the edge.
	signed signature
	last   time.Time // of the last event
	kept   int64     // size of the tree in the file "checkpoint", or -1
	// tail are the bytes of the last segment that are whole; torn are those of a batch
	// behind them that is not.
	tail, torn int
	// made are the tiles that were filled on the way here.
	made map[tileID][]tlog.Hash
}

// load reads the end of a trail. It begins where everything before is known to be
// durable: two segments back, of those that begin where a tile does; and further back
// where tiles are not what they should be. It is the same for a writer, which then goes
// on, and for a reader.
func load(d disk, k *Key) (*state, error) {
	firsts, err := segments(d)
	if err != nil {
		return nil, err
	}
	kept, err := readKept(d, k)
	if err != nil {
		return nil, err
	}
	s := &state{firsts: firsts, edge: &edge{}, kept: -1, made: map[tileID][]tlog.Hash{}}
	if kept != nil {
		s.kept = kept.Size
	}
	if len(firsts) == 0 {
		return s, s.notBefore(kept)
	}
	begin, settled := len(firsts)-1, 0
	for ; begin > 0; begin-- {
		if firsts[begin]%tileWidth != 0 {
			continue
		}
		if settled++; settled == 2 {
			break
		}
	}
	for {
		err := s.begin(d, k, firsts[begin])
		if err == nil {
			break
		}
		if begin == 0 {
			return nil, err
		}
		for begin--; begin > 0 && firsts[begin]%tileWidth != 0; begin-- {
		}
	}
	for i := begin; i < len(firsts); i++ {
		if err := s.replay(d, k, firsts[i], i == len(firsts)-1, kept); err != nil {
			return nil, err
		}
	}
	return s, s.notBefore(kept)
}

// readKept reads the file "checkpoint"; nil is that there is none.
func readKept(d disk, k *Key) (*Checkpoint, error) {
	data, err := d.Read(checkpointFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := k.own(data)
	if err != nil {
		return nil, corrupt(checkpointFile, -1, "%v", err)
	}
	return &c, nil
}

// notBefore holds the end that was found against a checkpoint.
func (s *state) notBefore(kept *Checkpoint) error {
	if kept != nil && kept.Size > s.edge.size {
		return corrupt(checkpointFile, s.edge.size, "it is of %d events, and %d are there: the others are lost", kept.Size, s.edge.size)
	}
	return nil
}

// begin makes the edge where a segment begins, from tiles.
func (s *state) begin(d disk, k *Key, first int64) error {
	if first == 0 {
		s.edge = &edge{}
		return nil
	}
	if first%tileWidth != 0 {
		return corrupt(segmentName(first), first, "the trail begins within a tile")
	}
	e, err := edgeAt(first, func(level int, index int64) ([]tlog.Hash, error) { return readTile(d, tileID{level, index}) })
	if errors.Is(err, fs.ErrNotExist) {
		err = corrupt("tile", -1, "%v", err)
	}
	if err != nil {
		return err
	}
	data, err := d.Read(segmentName(first))
	if err != nil {
		return err
	}
	if h, ok := readHeader(data); ok && (h.root != e.root() || !k.signed(Checkpoint{k.Name(), first, h.root}, h.signature)) {
		return corrupt(segmentName(first), first, "the tiles are not those of the events before it")
	}
	s.edge = e
	return nil
}

// replay adds the events of a segment.
func (s *state) replay(d disk, k *Key, first int64, last bool, kept *Checkpoint) error {
	name := segmentName(first)
	if first != s.edge.size {
		return corrupt(name, s.edge.size, "events %d to %d should come before it", s.edge.size, first-1)
	}
	data, err := d.Read(name)
	if err != nil {
		return err
	}
	begun := false
	var newest []byte
	whole, err := parseSegment(data, func(b *batch) error {
		if b.first != s.edge.size || !begun && len(b.entries) > 0 {
			return corrupt(name, s.edge.size, "a batch begins with event %d instead of %d", b.first, s.edge.size)
		}
		begun = true
		for _, e := range b.entries {
			s.edge.add(tlog.RecordHash(e))
		}
		for _, t := range s.edge.full {
			s.made[tileID{t.level, t.index}] = t.hashes
		}
		s.edge.full = nil
		if b.root != s.edge.root() {
			return corrupt(name, b.first, "the events up to %d are not those that were signed", b.end())
		}
		if kept != nil && kept.Size == s.edge.size && kept.Root != b.root {
			return corrupt(checkpointFile, -1, "it is not of this trail: the root of %d events is another", kept.Size)
		}
		s.signed = b.signature
		if n := len(b.entries); n > 0 {
			newest = b.entries[n-1]
		}
		return nil
	})
	var broken *brokenError
	switch {
	case errors.As(err, &broken) && last && broken.torn:
		s.tail, s.torn = whole, len(bytes.TrimRight(data[whole:], "\x00"))
	case errors.As(err, &broken):
		return corrupt(name, s.edge.size, "%v", broken)
	case err != nil:
		return err
	default:
		s.tail = whole
	}
	if newest != nil {
		e, err := Decode(newest)
		if err != nil {
			return corrupt(name, s.edge.size-1, "%v", err)
		}
		s.last = e.Time
	}
	if whole > 0 && !k.signed(Checkpoint{k.Name(), s.edge.size, s.edge.root()}, s.signed) {
		return corrupt(name, s.edge.size, "its last checkpoint is not signed by %s", k.Name())
	}
	return nil
}
