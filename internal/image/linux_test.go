package image

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// need skips a test that lacks something, or fails it where everything must be there.
func need(t *testing.T, there bool, what string) {
	t.Helper()
	switch {
	case there:
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s", what)
	default:
		t.Skipf("needs %s", what)
	}
}

func mkfifo(name string) error { return unix.Mkfifo(name, 0o644) }

// mount mounts an empty file system until the test ends.
func mount(t *testing.T, at string) {
	t.Helper()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
		t.Fatalf("mounting: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(at, 0) })
}

func setxattr(t *testing.T, at, name, value string) {
	t.Helper()
	if err := unix.Setxattr(at, name, []byte(value), 0); err != nil {
		t.Fatalf("setting %s: %v", name, err)
	}
}
