package inventory

import (
	"iter"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// Source is a trail to read. A Sync uses it from one goroutine.
type Source interface {
	// Name tells trails apart, and says the same as long as it is the same trail.
	Name() string
	// First is the first event that was not pruned, and Size the number that follows the
	// last; neither ever becomes less.
	First() int64
	Size() int64
	// Events gives the events from one on, in order and without a gap, up to Size. An
	// error is the last that it gives.
	Events(from int64) iter.Seq2[trail.Record, error]
	// Again is the same trail as it is now. It is asked when the database knows of more
	// events or of a later prune than this Source does: another process has synced.
	Again() (Source, error)
}

// Trail reads the trail in a folder, as it is now. The error is that of trail.Read.
func Trail(dir string) (Source, error) {
	v, err := trail.Read(dir)
	if err != nil {
		return nil, err
	}
	return &folder{View: v, dir: dir}, nil
}

// folder is a trail's View as a Source.
type folder struct {
	*trail.View
	dir string
}

func (f *folder) Name() string           { return f.Key().Text }
func (f *folder) Again() (Source, error) { return Trail(f.dir) }
