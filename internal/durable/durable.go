// Package durable keeps small files that must not be lost, or be read half: [Replace] puts a
// whole file in the place of another, [Lock] has one at a time read a folder's files and write
// them anew, and [Read] reads one of bounded size. What is in the files is for whoever keeps
// them.
//
// What is durable is what POSIX's rename and fsync make so: of file and folder, in this order.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Replace puts a whole file in the place of another, or of none, with these permissions. Who
// reads meanwhile sees the one or the other; when it has returned, a crash takes nothing away.
func Replace(path string, data []byte, mode fs.FileMode) error {
	next, err := os.CreateTemp(filepath.Dir(path), ".next-")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	_, err = next.Write(data)
	if err == nil {
		err = next.Chmod(mode)
	}
	if err == nil {
		err = next.Sync()
	}
	if err = errors.Join(err, next.Close()); err != nil {
		return err
	}
	if err := os.Rename(next.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Lock waits until nobody else has locked a folder, and has it locked until unlock is called,
// or the process ends.
func Lock(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { file.Close() }, nil
}

// ErrTooLarge is a file of more bytes than are read: whoever reads it says so in words of its
// own.
var ErrTooLarge = errors.New("it is larger than it may be")

// Read reads a file of no more than so many bytes, and waits for no pipe. The error is
// ErrTooLarge, or of the system.
func Read(path string, most int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%w: %s has more than %d bytes", ErrTooLarge, path, most)
	}
	return data, err
}
