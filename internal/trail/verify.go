package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// maxProblems is how many problems are kept; the first says the most.
const maxProblems = 50

// Problem is something that is not as it was written.
type Problem struct {
	File string
	// Event is the first event that is concerned, or -1.
	Event int64
	What  string
}

func (p Problem) String() string {
	if p.Event < 0 {
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("event %d, %s: %s", p.Event, p.File, p.What)
}

// Verified is what Verify found.
type Verified struct {
	Checkpoint        // of all that is there
	First       int64 // the first event that was not pruned
	Checkpoints int   // that were checked
	// Problems are sorted by their events; those of no event come last.
	Problems []Problem
	// Torn are the bytes behind the last whole batch: one that is being written, or that
	// a crash cut short.
	Torn int
}

// VerifyConfig says what to check beside the tree, its checkpoints and its tiles.
type VerifyConfig struct {
	// Key is what checkpoints must be signed by; it is required.
	Key *Key
	// Deep also checks that each event is written as plimsoll writes it.
	Deep bool
	// Against are checkpoints from elsewhere. Without an origin they are of any trail.
	Against []Checkpoint
}

var errNoKey = errors.New("verifying a trail: the key is required")

// verifier adds events to a tree of its own, and compares.
type verifier struct {
	VerifyConfig
	found  Verified
	edge   *edge
	last   time.Time
	other  bool             // the tree is not the one that was signed; that was said
	wanted map[int64][]want // by size
	sigs   chan signedCheckpoint
	wg     sync.WaitGroup

	mu       sync.Mutex // of what follows
	problems []Problem
}

// want is a root that a tree of some size must have.
type want struct {
	root tlog.Hash
	file string
}

type signedCheckpoint struct {
	Checkpoint
	signature
	file string
}

func newVerifier(c VerifyConfig) *verifier {
	v := &verifier{VerifyConfig: c, edge: &edge{}, wanted: map[int64][]want{}, sigs: make(chan signedCheckpoint, 1024)}
	for _, a := range c.Against {
		if a.Origin != "" && a.Origin != c.Key.Name() {
			v.problem("the given checkpoint", -1, "it is of %s, and this trail is %s", a.Origin, c.Key.Name())
			continue
		}
		v.want(a, "the given checkpoint")
	}
	for range runtime.GOMAXPROCS(0) {
		v.wg.Go(func() {
			for s := range v.sigs {
				if !c.Key.signed(s.Checkpoint, s.signature) {
					v.problem(s.file, -1, "the checkpoint of %d events is not signed by %s", s.Size, c.Key.Name())
				}
			}
		})
	}
	return v
}

func (v *verifier) want(c Checkpoint, file string) {
	v.wanted[c.Size] = append(v.wanted[c.Size], want{c.Root, file})
}

func (v *verifier) problem(file string, event int64, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.problems) < maxProblems {
		v.problems = append(v.problems, Problem{file, event, fmt.Sprintf(format, args...)})
	}
}

// checkpoint compares a checkpoint of the trail's own with the tree.
func (v *verifier) checkpoint(c Checkpoint, s signature, file string) {
	v.found.Checkpoints++
	v.sigs <- signedCheckpoint{Checkpoint{v.Key.Name(), c.Size, c.Root}, s, file}
}

// entry looks at an event's bytes.
func (v *verifier) entry(seq int64, data []byte, file string) {
	if !bytes.HasPrefix(data, fmt.Appendf(nil, `{"seq":%d,"time":"`, seq)) {
		v.problem(file, seq, "it does not say that it is event %d", seq)
	}
	if v.Deep {
		if why := canonical(data, seq); why != "" {
			v.problem(file, seq, "%s", why)
			return
		}
		e, err := Decode(data)
		if err == nil && e.Time.Before(v.last) {
			v.problem(file, seq, "its time is before that of the event before it")
		} else if err == nil {
			v.last = e.Time
		}
	}
}

// leaf adds a hash to the tree.
func (v *verifier) leaf(h tlog.Hash) {
	v.edge.add(h)
	if w := v.wanted[v.edge.size]; w != nil {
		v.compare(w)
	}
}

func (v *verifier) compare(wanted []want) {
	root := v.edge.root()
	for _, w := range wanted {
		if w.root != root {
			v.problem(w.file, -1, "the root of the first %d events is %s, not %s: the trail was changed, or is another", v.edge.size, root, w.root)
		}
	}
	delete(v.wanted, v.edge.size)
}

// end gives what was found.
func (v *verifier) end() *Verified {
	close(v.sigs)
	v.wg.Wait()
	v.found.Checkpoint = Checkpoint{v.Key.Name(), v.edge.size, v.edge.root()}
	broken := slices.ContainsFunc(v.problems, func(p Problem) bool { return p.Event >= 0 })
	for size, wanted := range v.wanted {
		for _, w := range wanted {
			switch {
			case size > v.edge.size && broken: // that is why
			case size > v.edge.size:
				v.problem(w.file, v.edge.size, "it is of %d events, and %d are there: the others are lost", size, v.edge.size)
			case size == 0 && w.root != emptyRoot:
				v.problem(w.file, -1, "it is of no events, and has the root of some")
			}
		}
	}
	sort.SliceStable(v.problems, func(i, j int) bool {
		return uint64(v.problems[i].Event) < uint64(v.problems[j].Event) // -1 is last
	})
	v.found.Problems = v.problems
	return &v.found
}

// Verify reads a trail's folder from its first event, makes the whole tree again and
// compares it with every checkpoint and tile. The error is that of reading, or ctx's:
// what is wrong with the trail is in the result.
func Verify(ctx context.Context, dir string, c VerifyConfig) (*Verified, error) {
	return verify(ctx, folder(dir), c)
}

func verify(ctx context.Context, d disk, c VerifyConfig) (*Verified, error) {
	if c.Key == nil {
		return nil, errNoKey
	}
	v := newVerifier(c)
	err := v.folder(ctx, d)
	found := v.end()
	return found, err
}

func (v *verifier) folder(ctx context.Context, d disk) error {
	v.keys(d)
	// What is there when this begins is what is verified.
	kept, err := readKept(d, v.Key)
	if c := new(CorruptError); errors.As(err, &c) {
		v.problem(c.File, c.Event, "%s", c.What)
	} else if err != nil {
		return err
	}
	if kept != nil {
		v.want(*kept, checkpointFile)
	}
	firsts, err := segments(d)
	if err != nil {
		return err
	}
	if len(firsts) == 0 {
		return nil
	}
	if err := v.pruned(d, firsts[0]); err != nil {
		return err
	}
	v.found.First = firsts[0]
	for i, first := range firsts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.segment(d, first, i == len(firsts)-1); err != nil {
			return err
		}
		if err := v.tiles(d); err != nil {
			return err
		}
	}
	return nil
}

// keys looks at the key files. Who reads may not be allowed to read the private one.
func (v *verifier) keys(d disk) {
	switch public, err := d.Read(publicFile); {
	case err != nil:
		v.problem(publicFile, -1, "%v", err)
	case string(public) != v.Key.Text+"\n":
		v.problem(publicFile, -1, "it is not the key that the trail is verified by")
	}
	secret, err := d.Read(keyFile)
	switch {
	case errors.Is(err, fs.ErrPermission):
	case err != nil:
		v.problem(keyFile, -1, "%v", err)
	default:
		text, whole := strings.CutSuffix(string(secret), "\n")
		if _, public, err := parsePrivate(text); err != nil || !whole || public != v.Key.Text {
			v.problem(keyFile, -1, "it does not belong to the key that the trail is verified by")
		}
	}
}

// pruned takes the hashes of the events before the first that is kept from the tiles.
func (v *verifier) pruned(d disk, first int64) error {
	if first%tileWidth != 0 {
		v.problem(segmentName(first), first, "the trail begins within a tile")
	}
	for i := range first / tileWidth {
		hashes, err := readTile(d, tileID{0, i})
		if c := new(CorruptError); errors.As(err, &c) || errors.Is(err, fs.ErrNotExist) {
			v.problem(tileID{0, i}.path(), i*tileWidth, "the hashes of events that were pruned are not there")
			hashes = make([]tlog.Hash, tileWidth)
		} else if err != nil {
			return err
		}
		for _, h := range hashes {
			v.leaf(h)
		}
	}
	return nil
}

// segment checks a segment.
func (v *verifier) segment(d disk, first int64, last bool) error {
	name := segmentName(first)
	if first != v.edge.size {
		v.problem(name, v.edge.size, "events %d to %d are missing before it", v.edge.size, first-1)
		return v.skip(d, first)
	}
	data, err := d.Read(name)
	if err != nil {
		return err
	}
	for {
		n, err := parseSegment(data, func(b *batch) error { return v.batch(d, b, name) })
		broken := new(brokenError)
		if err == nil {
			return nil
		}
		if !errors.As(err, &broken) {
			return err
		}
		if last && broken.torn && v.afterAll() {
			v.found.Torn = len(bytes.TrimRight(data[n:], "\x00"))
			return nil
		}
		rest, err := v.broken(d, broken, name)
		if err != nil || rest == nil {
			return err
		}
		data = rest
	}
}

// afterAll says that no checkpoint speaks of more events than were found: what comes may
// be a batch that nobody was told of.
func (v *verifier) afterAll() bool {
	for size := range v.wanted {
		if size > v.edge.size {
			return false
		}
	}
	return true
}

// batch checks a batch whose sums are right.
func (v *verifier) batch(d disk, b *batch, name string) error {
	if b.first != v.edge.size {
		v.problem(name, v.edge.size, "a batch begins with event %d instead of %d", b.first, v.edge.size)
		return v.skip(d, b.first)
	}
	before := v.edge.copy()
	for i, data := range b.entries {
		v.entry(b.first+int64(i), data, name)
		v.leaf(tlog.RecordHash(data))
	}
	v.checkpoint(Checkpoint{Size: b.end(), Root: b.root}, b.signature, name)
	if b.root == v.edge.root() || v.other {
		return nil
	}
	i := v.differs(d, b.first, b.entries)
	if i < 0 {
		v.problem(name, b.first, "the root with event %d is not the one that was signed", b.end()-1)
		v.other = true
		return nil
	}
	// Whether the event or the tile was changed shows with the tile's hashes in its place.
	after := v.edge
	before.full = after.full[:len(after.full):len(after.full)]
	v.edge = before
	if err := v.skip(d, b.end()); err != nil {
		return err
	}
	if v.edge.root() == b.root {
		v.problem(name, b.first+int64(i), "it was changed")
		return nil
	}
	v.problem(name, b.first, "the events up to %d are not those that were signed", b.end()-1)
	v.edge, v.other = after, true
	return nil
}

// differs gives the first of some events whose hash is not the one in the tiles, or -1.
func (v *verifier) differs(d disk, first int64, entries [][]byte) int {
	var tile []tlog.Hash
	var have int64 = -1
	for i, data := range entries {
		seq := first + int64(i)
		if seq/tileWidth != have {
			have = seq / tileWidth
			tile, _ = readTile(d, tileID{0, have})
		}
		if tile != nil && tile[seq%tileWidth] != tlog.RecordHash(data) {
			return i
		}
	}
	return -1
}

// broken says which event a break in a segment begins with, and goes on behind it where
// it can: with what comes after the batch, or nil.
func (v *verifier) broken(d disk, b *brokenError, name string) ([]byte, error) {
	if b.header == nil || b.header.first != v.edge.size || len(b.rest) < b.header.bytes {
		v.problem(name, v.edge.size, "from byte %d on it cannot be read: %s", b.offset, b.what)
		return nil, nil
	}
	h := b.header
	entries, _ := split(b.rest[:h.bytes], h.count)
	i := v.differs(d, h.first, entries)
	if i < 0 {
		i = 0
		// Which event it is cannot be told where the tile is not full: the batch, then.
		for i < len(entries) && canonical(entries[i], h.first+int64(i)) == "" {
			i++
		}
		i = min(i, max(h.count-1, 0))
	}
	v.problem(name, h.first+int64(i), "%s", b.what)
	return nil, v.skip(d, h.first+int64(h.count))
}

// skip goes on at a later event with the hashes in the tiles, as far as there are some.
func (v *verifier) skip(d disk, to int64) error {
	for v.edge.size < to {
		tile, err := readTile(d, tileID{0, v.edge.size / tileWidth})
		if err != nil {
			break
		}
		for i := v.edge.size % tileWidth; i < tileWidth && v.edge.size < to; i++ {
			v.leaf(tile[i])
		}
	}
	return nil
}

// tiles compares the files of tiles with those that were filled.
func (v *verifier) tiles(d disk) error {
	full := v.edge.full
	v.edge.full = nil
	for _, t := range full {
		id := tileID{t.level, t.index}
		hashes, err := readTile(d, id)
		if c := new(CorruptError); errors.As(err, &c) {
			v.problem(c.File, id.firstEvent(), "%s", c.What)
			continue
		} else if errors.Is(err, fs.ErrNotExist) {
			// It may be made again from what is after it; the next opening does that.
			if id.end() <= v.found.First {
				v.problem(id.path(), id.firstEvent(), "it is gone, and so are the events")
			}
			continue
		} else if err != nil {
			return err
		}
		for i, h := range hashes {
			if h != t.hashes[i] {
				v.problem(id.path(), id.firstEvent()+int64(i)<<(tileHeight*t.level), "hash %d of it is not that of the events", i)
				break
			}
		}
	}
	return nil
}

// firstEvent is the first event that a tile is about, and end the one behind the last.
func (t tileID) firstEvent() int64 { return t.index << (tileHeight * (t.level + 1)) }
func (t tileID) end() int64        { return (t.index + 1) << (tileHeight * (t.level + 1)) }
