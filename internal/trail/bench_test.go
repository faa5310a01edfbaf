package trail

import (
	"context"
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

// appendAll appends events from 64 goroutines, and says how long that took and how large
// the writes were.
func appendAll(b *testing.B, dir string, n int, durable bool) (time.Duration, []int) {
	b.Helper()
	var sizes []int
	l, err := Open(Config{Dir: dir, Name: "h", Now: time.Now, disk: &writes{folder(dir), durable, &sizes}})
	if err != nil {
		b.Fatal(err)
	}
	sizes = nil
	began := time.Now()
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < n; i += 64 {
				if _, err := l.Append(context.Background(), event(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	return took, sizes
}

// raw writes as many bytes in as many pieces to a file, and makes each piece durable.
func raw(b *testing.B, path string, sizes []int) time.Duration {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
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

// benchEvents are enough for several segments.
const benchEvents = 50_000

// BenchmarkAppend: durable events a second with 64 writers, and what part that is of the
// same bytes in the same pieces with nothing but write(2) and fdatasync(2).
func BenchmarkAppend(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		ours, sizes := appendAll(b, filepath.Join(dir, "trail"), benchEvents, true)
		theirs := raw(b, filepath.Join(dir, "raw"), sizes)
		b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of-raw")
		b.ReportMetric(benchEvents/ours.Seconds(), "events/s")
		b.ReportMetric(float64(benchEvents)/float64(len(sizes)), "events/sync")
	}
}

// BenchmarkMillion: what a trail of a million events costs to append to beside an empty
// one, to open, and to verify.
func BenchmarkMillion(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "trail")
	appendAll(b, dir, 1_000_000, false)
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
		full, _ := appendAll(b, dir, benchEvents, true)
		empty, _ := appendAll(b, filepath.Join(b.TempDir(), "trail"), benchEvents, true)
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
