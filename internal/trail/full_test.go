package trail

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRealDiskFull: the same as TestDiskFull on a file system that really is.
func TestRealDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("mounting a small file system needs root: run make test")
		}
		t.Skip("mounting a small file system needs root")
	}
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=6m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(small, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(small, "trail")
	l := open(t, dir)
	acknowledged := map[int64]string{}
	add := func(e Event) error {
		seq, err := l.Append(t.Context(), e)
		if err == nil {
			acknowledged[seq] = e.Subject.Name
		}
		return err
	}
	refused := new(FullError)
	n := 0
	for ; ; n++ {
		err := add(event(n))
		if errors.As(err, &refused) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 1000 {
		t.Fatalf("it is full after %d events", n)
	}
	for i := range 500 {
		stop := event(n + i)
		stop.Type = Stop
		if err := add(stop); err != nil {
			t.Fatalf("stop %d on a full disk: %v", i, err)
		}
		if i%50 == 0 {
			if err := add(event(0)); !errors.As(err, &refused) {
				t.Fatalf("a deployment on a full disk: %v", err)
			}
		}
	}
	if err := unix.Mount("", small, "", unix.MS_REMOUNT, "size=12m"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(tick + 100*time.Millisecond)
	for i := range 1000 {
		if err := add(event(100_000 + i)); err != nil {
			t.Fatalf("after there was room again: %v", err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	held(t, "after a full disk", dir, acknowledged)
}
