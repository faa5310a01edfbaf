package trail

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sort"

	"golang.org/x/mod/sumdb/tlog"
)

// View is a trail as it was when it was read: up to the last batch that was whole then.
// It needs no lock, and a writer may go on. It may be used by one goroutine.
type View struct {
	disk disk
	key  *Key
	*state
}

// Record is a stored event.
type Record struct {
	Seq  int64
	Data []byte // as it was acknowledged
}

// Event decodes the record.
func (r Record) Event() (*Event, error) { return Decode(r.Data) }

// Read reads the trail in a folder. The error wraps fs.ErrNotExist where there is none,
// or is a *CorruptError.
func Read(dir string) (*View, error) {
	v, err := read(folder(dir))
	if err != nil {
		return nil, fmt.Errorf("reading the trail in %s: %w", dir, err)
	}
	return v, nil
}

func read(d disk) (*View, error) {
	text, err := d.Read(publicFile)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return nil, corrupt(publicFile, -1, "%v", err)
	}
	for try := 0; ; try++ {
		s, err := load(d, key)
		// A prune may take segments away between their being listed and read.
		if errors.Is(err, fs.ErrNotExist) && try < 3 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &View{disk: d, key: key, state: s}, nil
	}
}

// Key is the key that the trail itself names. Who does not trust the folder compares it
// with one from elsewhere.
func (v *View) Key() *Key { return v.key }

// Size is the number of events that there ever were.
func (v *View) Size() int64 { return v.edge.size }

// First is the first event that was not pruned.
func (v *View) First() int64 {
	if len(v.firsts) == 0 {
		return 0
	}
	return v.firsts[0]
}

// Checkpoint is the last one.
func (v *View) Checkpoint() Checkpoint {
	return Checkpoint{v.key.Name(), v.edge.size, v.edge.root()}
}

// Signed is the last checkpoint as a signed note. A trail that never had a segment has
// none.
func (v *View) Signed() ([]byte, error) {
	if len(v.firsts) == 0 {
		return nil, errors.New("the trail has no checkpoint yet")
	}
	return v.key.note(v.Checkpoint(), v.signed), nil
}

// Events gives the records from a number on, or from First where that is later. An error
// is the last that it gives.
func (v *View) Events(from int64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		i := sort.Search(len(v.firsts), func(i int) bool { return v.firsts[i] > from })
		for i = max(i-1, 0); i < len(v.firsts); i++ {
			err := v.segment(i, func(b *batch) error {
				for n, data := range b.entries {
					seq := b.first + int64(n)
					if seq >= v.edge.size {
						return errStop
					}
					if seq >= from && !yield(Record{seq, data}, nil) {
						return errStop
					}
				}
				return nil
			})
			if errors.Is(err, errStop) {
				return
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
		}
	}
}

// errStop ends the reading of a segment; only Events branches on it.
var errStop = errors.New("enough")

// segment calls f with each batch of a segment that this View covers.
func (v *View) segment(i int, f func(b *batch) error) error {
	name := segmentName(v.firsts[i])
	data, err := v.disk.Read(name)
	if err != nil {
		return err
	}
	_, err = parseSegment(data, func(b *batch) error {
		if b.first >= v.edge.size && len(b.entries) > 0 {
			return errStop // it came later
		}
		return f(b)
	})
	if broken := new(brokenError); errors.As(err, &broken) {
		if i == len(v.firsts)-1 && broken.torn {
			return nil
		}
		return corrupt(name, -1, "%v", broken)
	}
	return err
}

// Event reads one event.
func (v *View) Event(seq int64) (Record, error) {
	if seq < 0 || seq >= v.Size() {
		return Record{}, fmt.Errorf("there is no event %d: the trail has %d, from 0", seq, v.Size())
	}
	if seq < v.First() {
		return Record{}, fmt.Errorf("event %d was pruned: the first that is kept is %d", seq, v.First())
	}
	for r, err := range v.Events(seq) {
		return r, err
	}
	return Record{}, fmt.Errorf("event %d is not there", seq)
}

// tree reads hashes by tiles, and holds them against the root.
func (v *View) tree() tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: v.edge.size, Hash: v.edge.root()}, viewTiles{v})
}

// viewTiles is a tlog.TileReader.
type viewTiles struct{ v *View }

func (viewTiles) Height() int                         { return tileHeight }
func (viewTiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (r viewTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		hashes, err := r.v.tile(tileID{t.L, t.N}, t.W)
		if err != nil {
			return nil, err
		}
		out[i] = joinHashes(hashes)
	}
	return out, nil
}

// tile gives the first hashes of a tile.
func (v *View) tile(t tileID, width int) ([]tlog.Hash, error) {
	hashes := v.made[t]
	switch {
	case hashes != nil:
	case t.index == v.edge.size>>(tileHeight*(t.level+1)) && t.level < len(v.edge.open):
		hashes = v.edge.open[t.level]
	default:
		var err error
		if hashes, err = readTile(v.disk, t); err != nil {
			return nil, err
		}
	}
	if len(hashes) < width {
		return nil, corrupt(t.path(), -1, "it has %d hashes instead of %d", len(hashes), width)
	}
	return hashes[:width], nil
}
