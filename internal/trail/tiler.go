package trail

import "sync"

// tiler writes tiles beside the Log, which does not wait for them: they can be made again
// as long as the events are there. A file is made for each, which a file system may be
// slow at while it makes other things durable.
type tiler struct {
	disk    disk
	in      chan fullTile
	waiting sync.WaitGroup // tiles that were given and not written
	ended   sync.WaitGroup

	mu     sync.Mutex
	failed []failedTile // owned by mu
}

type failedTile struct {
	fullTile
	err error
}

func newTiler(d disk) *tiler {
	t := &tiler{disk: d, in: make(chan fullTile, 64)}
	t.ended.Go(func() {
		for tile := range t.in {
			name := tileID{tile.level, tile.index}.path()
			if err := t.disk.Put(name, joinHashes(tile.hashes)); err != nil {
				t.mu.Lock()
				t.failed = append(t.failed, failedTile{tile, err})
				t.mu.Unlock()
			}
			t.waiting.Done()
		}
	})
	return t
}

// write gives it a tile. It waits only where it is far behind.
func (t *tiler) write(tile fullTile) {
	t.waiting.Add(1)
	t.in <- tile
}

// failures gives the tiles that could not be written since it was last asked.
func (t *tiler) failures() []failedTile {
	t.mu.Lock()
	defer t.mu.Unlock()
	failed := t.failed
	t.failed = nil
	return failed
}

// anyFailed says whether failures would give any.
func (t *tiler) anyFailed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failed) > 0
}

// flush waits until all is written or failed.
func (t *tiler) flush() { t.waiting.Wait() }

// close ends it, after all that was given to it.
func (t *tiler) close() {
	close(t.in)
	t.ended.Wait()
}
