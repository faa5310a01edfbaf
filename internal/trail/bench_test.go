package trail

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// writes is a disk that notes how large each write to a segment is. Without durable,
// nothing is synced: it makes a large trail in a short time.
type writes struct {
	disk
	durable bool
	sizes   *[]int
}

type writesFile struct {
	file
	w *writes
}

func (w *writes) Open(name string) (file, error) {
	f, err := w.disk.Open(name)
	return &writesFile{f, w}, err
}

func (f *writesFile) Append(data []byte) error {
	*f.w.sizes = append(*f.w.sizes, len(data))
	return f.file.Append(data)
}

func (f *writesFile) Sync() error {
	if !f.w.durable {
		return nil
	}
	return f.file.Sync()
}

func (w *writes) Settle(names []string) error {
	if !w.durable {
		return nil
	}
	return w.disk.Settle(names)
}

// appendAll appends events, of those up to n, from 64 goroutines.
func appendAll(b *testing.B, l *Log, from, n int) time.Duration {
	b.Helper()
	began := time.Now()
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := from + w; i < n; i += 64 {
				if _, err := l.Append(context.Background(), event(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// begun is a trail for a benchmark, which closes it.
func begun(b *testing.B, dir string, durable bool, sizes *[]int) *Log {
	b.Helper()
	l, err := Open(Config{Dir: dir, Name: "h", Now: time.Now, disk: &writes{folder(dir), durable, sizes}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

// raw writes as many bytes in as many pieces to a file, and makes each piece durable.
func raw(b *testing.B, f *os.File, sizes []int) time.Duration {
	b.Helper()
	data := make([]byte, maxBatch+maxEvent+batchHeader)
	began := time.Now()
	for _, n := range sizes {
		if _, err := f.Write(data[:n]); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

// benchEvents are enough for several segments, and are appended in so many rounds.
const benchEvents, benchRounds = 50_000, 20

// BenchmarkAppend: durable events a second with 64 writers, and what part that is of the
// same bytes in the same pieces with nothing but write(2) and fdatasync(2). The two take
// turns: how fast a disk is changes from second to second.
func BenchmarkAppend(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		f, err := os.Create(filepath.Join(dir, "raw"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		var sizes []int
		l := begun(b, filepath.Join(dir, "trail"), true, &sizes)
		var ours, theirs time.Duration
		pieces := 0
		for i := range benchRounds {
			sizes = nil
			ours += appendAll(b, l, i*benchEvents/benchRounds, (i+1)*benchEvents/benchRounds)
			pieces += len(sizes)
			theirs += raw(b, f, sizes)
		}
		b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of-raw")
		b.ReportMetric(benchEvents/ours.Seconds(), "events/s")
		b.ReportMetric(float64(benchEvents)/float64(pieces), "events/sync")
	}
}

// BenchmarkMillion: what a trail of a million events costs to append to beside an empty
// one, to open, and to verify.
func BenchmarkMillion(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "trail")
	var sizes []int
	l := begun(b, dir, false, &sizes)
	appendAll(b, l, 0, 1_000_000)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, publicFile))
	if err != nil {
		b.Fatal(err)
	}
	key, err := ParseKey(string(text))
	if err != nil {
		b.Fatal(err)
	}
	unix.Sync()
	for b.Loop() {
		began := time.Now()
		if _, err := Read(dir); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began))/float64(time.Millisecond), "ms/open")
		large := begun(b, dir, true, &sizes)
		small := begun(b, filepath.Join(b.TempDir(), "trail"), true, &sizes)
		var full, empty time.Duration
		for i := range benchRounds {
			full += appendAll(b, large, i*benchEvents/benchRounds, (i+1)*benchEvents/benchRounds)
			empty += appendAll(b, small, i*benchEvents/benchRounds, (i+1)*benchEvents/benchRounds)
		}
		if err := errors.Join(large.Close(), small.Close()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(empty.Seconds()/full.Seconds(), "of-empty")
		began = time.Now()
		v, err := Verify(context.Background(), dir, VerifyConfig{Key: key})
		if err != nil || len(v.Problems) > 0 {
			b.Fatal(err, v)
		}
		b.ReportMetric(float64(v.Size)/time.Since(began).Seconds(), "events/s")
		b.ReportMetric(float64(v.Checkpoints), "checkpoints")
	}
}
