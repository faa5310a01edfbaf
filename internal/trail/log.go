package trail

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	checkpointFile = "checkpoint"
	reserveFile    = "reserve"
	lockFile       = "lock"

	// defaultSegment is small enough that opening a trail, which reads two of them, is not
	// noticed.
	defaultSegment = 4 << 20
	// reserveBytes are room for some 3,000 events.
	reserveBytes = 1 << 20
	// tick is how late the file "checkpoint" may be, and how long a full disk is believed
	// to be full.
	tick = time.Second
)

// Config says how to open a trail for writing.
type Config struct {
	// Dir is the trail's folder; it is made where there is none.
	Dir string
	// Name names a new trail, usually the host's; it becomes part of its key.
	Name string
	// Now is the clock.
	Now func() time.Time
	// SegmentBytes is from what size on a segment is closed; 0 is 4 MiB.
	SegmentBytes int64

	disk disk // of tests; nil is Dir
}

// Log is the one writer of a trail. It may be used by many goroutines.
type Log struct {
	c    Config
	disk disk
	key  *key
	lock *os.File

	mu      sync.Mutex
	waiting []*appending  // owned by mu
	closed  bool          // owned by mu: nothing more is taken
	wake    chan struct{} // of one element: something waits, or closed is set
	jobs    chan func()   // for run to call
	done    chan struct{} // closed when run has ended

	// All below belongs to run's goroutine.
	edge      *edge
	last      time.Time
	file      file     // the last segment
	firsts    []int64  // of all segments
	unsettled []string // tiles that may be lost in a crash, of the segment before the last
	fresh     []string // the same of the last one
	tiler     *tiler
	signed    signature // of the edge
	kept      int64     // size of the tree in the file "checkpoint"
	behind    bool      // the host's clock was seen to be behind the trail's
	onReserve bool      // the last segment was the reserve: there is no other
	retry     bool      // a disk that was full may have room again
	broken    error
	buffer    []byte
}

// appending is an event that waits to be durable.
type appending struct {
	always bool
	rest   []byte
	seq    int64
	at     time.Time
	err    error
	done   chan struct{} // closed when seq, at and err are right
}

// Open opens the trail in a folder for writing, and makes it where there is none. What a
// crash left of a batch that was not acknowledged is cut off, and that is an event.
//
// The error is ErrLocked, a *CorruptError, or of the system.
func Open(c Config) (*Log, error) {
	if c.SegmentBytes == 0 {
		c.SegmentBytes = defaultSegment
	}
	if c.disk == nil {
		c.disk = folder(c.Dir)
	}
	lock, err := lockDir(c.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{c: c, disk: c.disk, lock: lock, wake: make(chan struct{}, 1), jobs: make(chan func()), done: make(chan struct{})}
	torn, err := l.open()
	if err != nil {
		if l.file != nil {
			l.file.Close()
		}
		lock.Close()
		return nil, fmt.Errorf("opening the trail in %s: %w", c.Dir, err)
	}
	l.tiler = newTiler(l.disk)
	go l.run()
	if torn > 0 {
		_, err := l.Append(context.Background(), Event{Type: Recover, Subject: Subject{Kind: "trail", Name: l.key.Name()}, Detail: map[string]any{"bytes": torn}})
		if full := new(FullError); err != nil && !errors.As(err, &full) {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// lockDir takes the lock of a folder, which ends with the process.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return lock, nil
}

// open reads what is there and makes it whole. It gives the bytes that it cut off.
func (l *Log) open() (int, error) {
	k, err := openKey(l.disk, l.c.Name)
	if err != nil {
		return 0, err
	}
	public, err := ParseKey(k.public)
	if err != nil {
		return 0, err
	}
	s, err := load(l.disk, public)
	if err != nil {
		return 0, err
	}
	l.key, l.edge, l.last, l.firsts, l.signed, l.kept = k, s.edge, s.last, s.firsts, s.signed, s.kept
	if len(s.firsts) == 0 {
		return 0, l.begin()
	}
	if l.file, err = l.disk.Open(segmentName(s.firsts[len(s.firsts)-1])); err != nil {
		return 0, err
	}
	if l.file.Size() > int64(s.tail) {
		if err := l.file.Cut(int64(s.tail)); err != nil {
			return 0, err
		}
	}
	// What is whole was perhaps only written, not made durable.
	if err := l.file.Sync(); err != nil {
		return 0, err
	}
	if s.tail == 0 {
		if err := l.opening(l.file); err != nil {
			return 0, err
		}
	}
	for id, hashes := range s.made {
		if have, err := l.disk.Read(id.path()); err == nil && string(have) == string(joinHashes(hashes)) {
			l.fresh = append(l.fresh, id.path())
			continue
		}
		if err := l.disk.Put(id.path(), joinHashes(hashes)); err != nil {
			return 0, err
		}
		l.fresh = append(l.fresh, id.path())
	}
	l.takeReserve()
	return s.torn, l.fill()
}

// begin makes the next segment. What a crash leaves is a segment of no batch, or none.
func (l *Log) begin() error {
	if err := l.beginIn(); err != nil {
		return err
	}
	l.takeReserve()
	return l.fill()
}

// fill makes room for batches in the last segment. Where they lie in blocks that the file
// has already, fdatasync has no changed file to record, which costs it as much again.
func (l *Log) fill() error {
	if l.onReserve {
		return nil
	}
	err := l.file.Fill(l.c.SegmentBytes)
	if isFull(err) {
		return l.file.Cut(l.file.Size())
	}
	return err
}

func (l *Log) beginIn() error {
	first := l.edge.size
	f, err := l.disk.Open(segmentName(first))
	if err == nil {
		if err = l.opening(f); err != nil {
			f.Close()
		}
	}
	if err != nil {
		// No other segment may come behind the one that grows on, whatever took effect.
		if e := l.disk.Remove(segmentName(first)); e != nil {
			return fmt.Errorf("%v: %w", err, e)
		}
		return err
	}
	if l.file != nil {
		// All of it is durable, and zeros behind it do no harm.
		_ = l.file.Cut(l.file.Size())
		_ = l.file.Close()
	}
	l.file = f
	if len(l.firsts) == 0 || l.firsts[len(l.firsts)-1] != first {
		l.firsts = append(l.firsts, first)
	}
	return nil
}

// opening writes the batch that each segment begins with.
func (l *Log) opening(f file) error {
	c := Checkpoint{l.key.Name(), l.edge.size, l.edge.root()}
	signed, err := l.key.sign(c)
	if err != nil {
		return err
	}
	b := batch{first: c.Size, root: c.Root, signature: signed}
	if err := f.Append(b.append(nil)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	l.signed = signed
	return nil
}

// takeReserve makes the reserve where there is none, if the disk has room.
func (l *Log) takeReserve() {
	f, err := l.disk.Open(reserveFile)
	if err == nil {
		err = errors.Join(f.Hold(reserveBytes), f.Close())
	}
	if err == nil {
		l.onReserve = false
	} else if isFull(err) {
		l.onReserve = true // or there is none, which is the same
	}
}

// Append records an event, whose Seq and Time are not looked at. It returns when the
// event is durable, with its number. Many that wait share the time that this takes.
//
// The error is a *TooLargeError, a *FullError, one that is ErrBroken, fs.ErrClosed after
// Close, or ctx's; after the last the event may have been recorded.
func (l *Log) Append(ctx context.Context, e Event) (int64, error) { return l.Begin(e)(ctx) }

// Begin begins to record an event, and gives what waits until it is durable: all as Append
// has it, which is for who has nothing to do meanwhile. It may be waited for once.
func (l *Log) Begin(e Event) (wait func(context.Context) (int64, error)) {
	part, err := rest(e)
	if err != nil {
		return func(context.Context) (int64, error) { return 0, err }
	}
	a := &appending{always: alwaysRecorded[e.Type], rest: part, done: make(chan struct{})}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.waiting = append(l.waiting, a)
	}
	l.mu.Unlock()
	if closed {
		return func(context.Context) (int64, error) {
			return 0, fmt.Errorf("the trail in %s: %w", l.c.Dir, fs.ErrClosed)
		}
	}
	l.poke()
	return func(ctx context.Context) (int64, error) {
		select {
		case <-a.done:
			return a.seq, a.err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (l *Log) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Public is the trail's public key.
func (l *Log) Public() string { return l.key.public }

// Close records what waits, writes the checkpoint and lets the trail go.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.poke()
	<-l.done
	return l.broken
}

// run makes durable what waits, until the Log is closed.
func (l *Log) run() {
	defer close(l.done)
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for {
		select {
		case <-l.wake:
		case job := <-l.jobs:
			job()
		case <-timer.C:
			l.onTick()
		}
		for {
			select { // however much there is to do
			case <-timer.C:
				l.onTick()
			default:
			}
			l.mu.Lock()
			list, closed := l.waiting, l.closed
			l.waiting = nil
			l.mu.Unlock()
			if len(list) == 0 {
				if closed {
					l.keep()
					l.tiler.close()
					if l.broken == nil {
						l.broken = l.file.Cut(l.file.Size())
					}
					if err := errors.Join(l.file.Close(), l.lock.Close()); l.broken == nil {
						l.broken = err
					}
					return
				}
				break
			}
			for len(list) > 0 {
				list = list[l.commit(list):]
			}
		}
	}
}

func (l *Log) onTick() {
	l.retry = true
	l.keep()
}

// keep writes the file "checkpoint" where it is behind.
func (l *Log) keep() {
	if l.broken != nil || l.kept == l.edge.size {
		return
	}
	public, err := ParseKey(l.key.public)
	if err == nil {
		err = l.disk.Replace(checkpointFile, public.note(Checkpoint{l.key.Name(), l.edge.size, l.edge.root()}, l.signed), 0o644)
	}
	if err != nil && !isFull(err) {
		l.fail(err)
		return
	}
	if err == nil {
		l.kept = l.edge.size
	}
}

// fail ends the Log: what is on disk is not known.
func (l *Log) fail(err error) {
	if l.broken == nil {
		l.broken = fmt.Errorf("%w: writing %s: %w", ErrBroken, l.c.Dir, err)
	}
}

// answer tells those that wait.
func answer(list []*appending, err error) {
	for _, a := range list {
		if err != nil {
			a.err = err
		}
		close(a.done)
	}
}

// commit records the first of those that wait, and says how many it answered.
func (l *Log) commit(list []*appending) int {
	if l.broken == nil {
		// On a full disk the last segment grows on.
		if err := l.roll(); err != nil && !isFull(err) {
			l.fail(err)
		}
	}
	if l.broken != nil {
		answer(list, l.broken)
		return len(list)
	}
	n, bytes := 0, 0
	for n < len(list) && bytes < maxBatch-maxEvent {
		bytes += len(list[n].rest) + maxHead + 2
		n++
	}
	if l.file.Size() >= l.c.SegmentBytes { // it ends where a tile does
		n = min(n, int(tileWidth-l.edge.size%tileWidth))
	}
	list = list[:n]
	if l.onReserve {
		l.commitFull(list, nil)
		return n
	}
	err := l.write(list)
	if full := new(FullError); errors.As(err, &full) {
		l.commitFull(list, full)
		return n
	}
	answer(list, err)
	return n
}

// commitFull records on a full disk: what must always be recorded, in the room that was
// kept for that.
func (l *Log) commitFull(list []*appending, full *FullError) {
	if full == nil && l.retry {
		l.retry = false
		l.takeReserve()
		if !l.onReserve {
			answer(list, l.write(list))
			return
		}
	}
	if full == nil {
		full = &FullError{Dir: l.c.Dir, Err: unix.ENOSPC}
	}
	l.retry = false
	var always, others []*appending
	for _, a := range list {
		if a.always {
			always = append(always, a)
		} else {
			others = append(others, a)
		}
	}
	answer(others, full)
	if len(always) == 0 {
		return
	}
	if !l.onReserve {
		l.onReserve = true
		if err := l.useReserve(); err != nil {
			l.fail(err)
			answer(always, l.broken)
			return
		}
	}
	answer(always, l.write(always))
}

// useReserve makes the reserve the next segment.
func (l *Log) useReserve() error {
	if l.firsts[len(l.firsts)-1] == l.edge.size {
		// The segment has no event: the reserve takes its place.
		l.firsts = l.firsts[:len(l.firsts)-1]
	}
	if err := l.disk.Move(reserveFile, segmentName(l.edge.size)); err != nil {
		return err
	}
	return l.beginIn()
}

// roll begins a new segment where the last is large enough.
func (l *Log) roll() error {
	if l.file.Size() < l.c.SegmentBytes || l.edge.size%tileWidth != 0 || l.onReserve || l.firsts[len(l.firsts)-1] == l.edge.size {
		return nil
	}
	if err := l.tilesWritten(); err != nil {
		return err
	}
	// Opening begins two segments back: the tiles of those before must be durable.
	if err := l.disk.Settle(l.unsettled); err != nil {
		return err
	}
	l.unsettled, l.fresh = l.fresh, nil
	return l.begin()
}

// tilesWritten waits for the tiles of all events, and tries those again that there was no
// room for.
func (l *Log) tilesWritten() error {
	l.tiler.flush()
	var first error
	for _, f := range l.tiler.failures() {
		if !isFull(f.err) {
			return f.err
		}
		l.tiler.write(f.fullTile)
		first = f.err
	}
	l.tiler.flush()
	if !l.tiler.anyFailed() {
		return nil
	}
	return first
}

// write makes events durable as one batch, or none of them.
func (l *Log) write(list []*appending) error {
	now := l.c.Now().UTC().Round(0)
	behind := l.last.Sub(now) > time.Second
	if behind && !l.behind {
		clock, err := l.clockEvent(now)
		if err != nil {
			return err
		}
		list = append([]*appending{clock}, list...)
	}
	at := now
	if at.Before(l.last) {
		at = l.last
	}
	next := l.edge.copy()
	b := batch{first: next.size}
	for _, a := range list {
		a.seq, a.at = next.size, at
		// A leaf is hashed behind a zero (RFC 6962, section 2.1); in one piece, as it lies,
		// that costs half of what tlog.RecordHash does.
		leaf := make([]byte, 1, 1+maxHead+len(a.rest))
		leaf = append(appendHead(leaf, a.seq, at), a.rest...)
		b.entries = append(b.entries, leaf[1:])
		next.add(sha256.Sum256(leaf))
	}
	b.root = next.root()
	signed, err := l.key.sign(Checkpoint{l.key.Name(), next.size, b.root})
	if err != nil {
		return err
	}
	b.signature = signed
	l.buffer = b.append(l.buffer[:0])
	before := l.file.Size()
	if err := l.file.Append(l.buffer); err != nil {
		if !isFull(err) {
			l.fail(err)
			return l.broken
		}
		if e := l.file.Cut(before); e != nil {
			l.fail(e)
			return l.broken
		}
		return &FullError{Dir: l.c.Dir, Err: err}
	}
	if err := l.file.Sync(); err != nil {
		l.fail(err)
		return l.broken
	}
	l.edge, l.signed, l.last, l.behind = next, signed, at, behind
	for _, t := range next.full {
		l.fresh = append(l.fresh, tileID{t.level, t.index}.path())
		l.tiler.write(t)
	}
	next.full = nil
	return nil
}

// clockEvent says that the host's clock was set back. Events keep the time of the last
// one until it is there again.
func (l *Log) clockEvent(now time.Time) (*appending, error) {
	part, err := rest(Event{Type: Clock, Subject: Subject{Kind: "trail", Name: l.key.Name()}, Detail: map[string]any{"says": now.Format(time.RFC3339Nano)}})
	return &appending{rest: part}, err
}

// IsWritten says whether a writer holds the trail in a folder now.
func IsWritten(dir string) (bool, error) {
	lock, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	err = unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
