package image

import (
	"testing"

	"golang.org/x/sys/unix"
)

func mkfifo(name string) error { return unix.Mkfifo(name, 0o644) }

// mount mounts an empty file system until the test ends.
func mount(t *testing.T, at string) {
	t.Helper()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
		t.Skipf("mounting: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(at, 0) })
}

func setxattr(t *testing.T, at, name, value string) {
	t.Helper()
	if err := unix.Setxattr(at, name, []byte(value), 0); err != nil {
		t.Skipf("setting %s: %v", name, err)
	}
}
