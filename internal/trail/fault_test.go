package trail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// faulty is a disk that counts what is asked of it, and fails once or for a while.
type faulty struct {
	disk
	mu    sync.Mutex
	calls int
	log   []string
	// fail says, for the call of a number, what is done of it and with which error.
	fail func(n int, call string) (portion, error)
}

// portion is how much of a call takes effect.
type portion int

const (
	none portion = iota
	half         // of an Append or a Fill
	all
)

func (f *faulty) do(call string, effect func(portion) error) error {
	f.mu.Lock()
	n := f.calls
	f.calls++
	f.log = append(f.log, call)
	fail := f.fail
	f.mu.Unlock()
	if fail != nil {
		if p, err := fail(n, call); err != nil {
			if p != none {
				_ = effect(p)
			}
			return err
		}
	}
	return effect(all)
}

func (f *faulty) Open(name string) (file, error) {
	var out file
	err := f.do("open "+name, func(portion) (err error) { out, err = f.disk.Open(name); return err })
	if err != nil && out != nil {
		out.Close()
	}
	return &faultyFile{out, f, name}, err
}

func (f *faulty) Replace(name string, data []byte, mode fs.FileMode) error {
	return f.do("replace "+name, func(portion) error { return f.disk.Replace(name, data, mode) })
}

func (f *faulty) Put(name string, data []byte) error {
	return f.do("put "+name, func(portion) error { return f.disk.Put(name, data) })
}

func (f *faulty) Settle(names []string) error {
	return f.do("settle", func(portion) error { return f.disk.Settle(names) })
}

func (f *faulty) Move(from, to string) error {
	return f.do("move "+from, func(portion) error { return f.disk.Move(from, to) })
}

func (f *faulty) Remove(name string) error {
	return f.do("remove "+name, func(portion) error { return f.disk.Remove(name) })
}

type faultyFile struct {
	file
	f    *faulty
	name string
}

func (f *faultyFile) Append(data []byte) error {
	return f.f.do("append "+f.name, func(p portion) error {
		if p == half {
			data = data[:len(data)/2]
		}
		return f.file.Append(data)
	})
}

func (f *faultyFile) Sync() error {
	return f.f.do("sync "+f.name, func(portion) error { return f.file.Sync() })
}

func (f *faultyFile) Cut(size int64) error {
	return f.f.do("cut "+f.name, func(portion) error { return f.file.Cut(size) })
}

func (f *faultyFile) Fill(bytes int64) error {
	return f.f.do("fill "+f.name, func(p portion) error {
		if p == half {
			bytes -= (bytes - f.Size()) / 2
		}
		return f.file.Fill(bytes)
	})
}

func (f *faultyFile) Hold(bytes int64) error {
	return f.f.do("hold "+f.name, func(portion) error { return f.file.Hold(bytes) })
}

// work opens a trail on a disk and appends until something fails or enough is there. It
// gives what was acknowledged, by number.
func work(dir string, d disk, n int) map[int64]string {
	acknowledged := map[int64]string{}
	l, err := Open(Config{Dir: dir, Name: "harbour-1", Now: time.Now, SegmentBytes: 20 << 10, disk: d})
	if err != nil {
		return acknowledged
	}
	for i := 0; i < n; i += 40 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for w := range 40 { // so that there are batches of many
			wg.Go(func() {
				seq, err := l.Append(context.Background(), event(i+w))
				if err == nil {
					mu.Lock()
					acknowledged[seq] = event(i + w).Subject.Name
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	_ = l.Close()
	return acknowledged
}

// held checks that a trail is whole and has all that was acknowledged.
func held(t *testing.T, what, dir string, acknowledged map[int64]string) {
	t.Helper()
	l, err := Open(Config{Dir: dir, Name: "harbour-1", Now: time.Now, SegmentBytes: 20 << 10})
	if err != nil {
		t.Errorf("%s: opening again: %v", what, err)
		return
	}
	if _, err := l.Append(context.Background(), event(1_000_000)); err != nil {
		t.Errorf("%s: appending after that: %v", what, err)
	}
	key, err := ParseKey(l.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("%s: closing after that: %v", what, err)
	}
	v := verified(t, dir, VerifyConfig{Key: key, Deep: true})
	if len(v.Problems) > 0 {
		t.Errorf("%s: %v", what, v.Problems)
	}
	view, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[int64]string{}
	for r, err := range view.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := r.Event()
		if err != nil {
			t.Fatal(err)
		}
		found[r.Seq] = e.Subject.Name
	}
	for seq, name := range acknowledged {
		if found[seq] != name {
			t.Errorf("%s: event %d of %s was acknowledged, and is %q", what, seq, name, found[seq])
			return
		}
	}
}

// TestEachCallFails: whichever call fails, before or after it took effect, no event that
// was acknowledged is lost, and the trail goes on when it is opened again.
func TestEachCallFails(t *testing.T) {
	const n = 1000
	clean := &faulty{disk: folder(filepath.Join(t.TempDir(), "trail"))}
	if got := work(string(clean.disk.(folder)), clean, n); len(got) != n {
		t.Fatalf("%d of %d events without a fault", len(got), n)
	}
	kinds := map[string]bool{}
	for _, call := range clean.log {
		kinds[strings.Fields(call)[0]] = true
	}
	for _, kind := range []string{"open", "replace", "put", "settle", "append", "sync", "hold", "fill", "cut"} {
		if !kinds[kind] {
			t.Errorf("no call was %s", kind)
		}
	}
	step := 1
	if !thorough {
		step = 29
	}
	for at, call := range clean.log {
		if at%step != 0 && !strings.HasPrefix(call, "open") {
			continue
		}
		for _, p := range []portion{none, half, all} {
			for _, f := range []struct {
				sick  bool // all that comes later fails too
				error error
			}{{false, syscall.EIO}, {true, syscall.EIO}, {false, syscall.ENOSPC}} {
				dir := filepath.Join(t.TempDir(), "trail")
				var failed string
				d := &faulty{disk: folder(dir), fail: func(n int, call string) (portion, error) {
					if n == at || f.sick && n > at {
						if failed == "" {
							failed = call
						}
						return p, f.error
					}
					return all, nil
				}}
				acknowledged := work(dir, d, n)
				held(t, fmt.Sprintf("call %d, %s, portion %d, %+v", at, failed, p, f), dir, acknowledged)
			}
		}
	}
}

// TestDurableBeforeAcknowledged: between the last write to a segment and the answer
// there is an fdatasync of it.
func TestDurableBeforeAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	d := &faulty{disk: folder(dir)}
	l, err := Open(Config{Dir: dir, Name: "h", Now: time.Now, disk: d})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 200 {
		if _, err := l.Append(t.Context(), event(i)); err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		wrote, synced := -1, -1
		for n, call := range d.log {
			if strings.HasPrefix(call, "append "+segmentDir) {
				wrote = n
			}
			if strings.HasPrefix(call, "sync "+segmentDir) {
				synced = n
			}
		}
		d.mu.Unlock()
		if wrote < 0 || synced != wrote+1 {
			t.Fatalf("event %d was acknowledged after write %d and sync %d", i, wrote, synced)
		}
	}
	// The other side: many that wait share one.
	before := d.count("sync " + segmentDir)
	fill(t, l, 640, 64)
	if now := d.count("sync " + segmentDir); now-before > 320 {
		t.Errorf("640 events of 64 writers took %d fdatasyncs", now-before)
	}
}

func (f *faulty) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.log {
		if strings.HasPrefix(c, call) {
			n++
		}
	}
	return n
}

// TestDiskFull: what must always be recorded is, in the room that was kept; the rest is
// refused until there is room again, and nothing is lost.
func TestDiskFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	var full atomic.Bool
	d := &faulty{disk: folder(dir)}
	d.fail = func(_ int, call string) (portion, error) {
		verb, name, _ := strings.Cut(call, " ")
		// The reserve has its room; renaming needs none.
		onReserve := d.count("move "+reserveFile) > 0 && strings.HasPrefix(name, segmentDir)
		if !full.Load() || slices.Contains([]string{"move", "sync", "cut", "remove", "settle"}, verb) || onReserve || verb == "open" {
			return all, nil
		}
		return half, syscall.ENOSPC
	}
	l, err := Open(Config{Dir: dir, Name: "h", Now: time.Now, SegmentBytes: 20 << 10, disk: d})
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := map[int64]string{}
	add := func(e Event) error {
		seq, err := l.Append(t.Context(), e)
		if err == nil {
			acknowledged[seq] = e.Subject.Name
		}
		return err
	}
	for i := range 300 {
		if err := add(event(i)); err != nil {
			t.Fatal(err)
		}
	}
	full.Store(true)
	for i := range 100 {
		refused := new(FullError)
		if err := add(event(300 + i)); !errors.As(err, &refused) {
			t.Fatalf("a full disk says %v", err)
		}
		stop := event(500 + i)
		stop.Type = []string{Stop, Kill, Remove, Die}[i%4]
		if err := add(stop); err != nil {
			t.Fatalf("%s on a full disk: %v", stop.Type, err)
		}
	}
	full.Store(false)
	time.Sleep(tick + 100*time.Millisecond)
	for i := range 600 {
		if err := add(event(1000 + i)); err != nil {
			t.Fatalf("after there was room again: %v", err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(acknowledged) != 300+100+600 {
		t.Errorf("%d were acknowledged", len(acknowledged))
	}
	held(t, "after a full disk", dir, acknowledged)
}

// TestLocked: a trail has one writer, and readers beside it.
func TestLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	l := open(t, dir)
	fill(t, l, 10, 2)
	if _, err := Open(Config{Dir: dir, Name: "h", Now: time.Now}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	written := func(want bool) {
		t.Helper()
		if got, err := IsWritten(dir); err != nil || got != want {
			t.Errorf("it is written: %t, %v", got, err)
		}
	}
	written(true)
	v, err := Read(dir)
	if err != nil || v.Size() != 10 {
		t.Fatalf("a reader: %v", err)
	}
	fill(t, l, 10, 2)
	if v, err = Read(dir); err != nil || v.Size() != 20 {
		t.Errorf("a reader later: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	written(false)
	open(t, dir)
}

// TestClockSetBack: no event is before the one before it, and it is said once that the
// clock was set back.
func TestClockSetBack(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dir := filepath.Join(t.TempDir(), "trail")
	l, err := Open(Config{Dir: dir, Name: "h", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []time.Duration{0, time.Minute, -time.Hour, time.Second, 2 * time.Hour, time.Second} {
		now = now.Add(step)
		if _, err := l.Append(t.Context(), event(0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	v, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r, err := range v.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := r.Event()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Type+" "+e.Time.Format("15:04:05"))
	}
	want := []string{"deploy 12:00:00", "deploy 12:01:00", "clock 12:01:00", "deploy 12:01:00", "deploy 12:01:00", "deploy 13:01:01", "deploy 13:01:02"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
