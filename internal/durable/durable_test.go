package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// TestReplace: who reads while others write sees a whole file, with its permissions, and
// nothing else is left.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if _, err := Read(name, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	if err := Replace(name, bytes.Repeat([]byte("0"), 10_000), 0o644); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				if err := Replace(name, bytes.Repeat([]byte(strconv.Itoa(i)), 10_000), 0o640); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 500 {
		data, err := Read(name, 10_000)
		if err != nil || len(bytes.Trim(data, string(data[:1]))) != 0 || len(data) != 10_000 {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
	}
	wg.Wait()
	if _, err := Read(name, 9_999); !errors.Is(err, ErrTooLarge) {
		t.Errorf("larger than it may be: %v", err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := Replace(filepath.Join(dir, "none", "file"), nil, 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
}

// TestLock: of those who read a number and write the next one, none is lost.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "count")
	if err := Replace(name, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				unlock, err := Lock(dir)
				if err != nil {
					t.Error(err)
					return
				}
				data, err := Read(name, 10)
				n, wrong := strconv.Atoi(string(data))
				if err = errors.Join(err, wrong, Replace(name, []byte(strconv.Itoa(n+1)), 0o600)); err != nil {
					t.Error(err)
				}
				unlock()
			}
		})
	}
	wg.Wait()
	if data, err := Read(name, 10); err != nil || string(data) != "40" {
		t.Errorf("%s, %v", data, err)
	}
	if _, err := Lock(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
