package trail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is what a trail needs of a folder. Names are relative to it, with slashes.
//
// What has an error may have taken effect all the same.
type disk interface {
	// Read reads a whole file; fs.ErrNotExist says that there is none.
	Read(name string) ([]byte, error)
	// Names lists a folder, sorted; one that is missing is empty.
	Names(dir string) ([]string, error)
	// Open opens a file for appending, and makes it and its folder. Its name is durable
	// when Open returns.
	Open(name string) (file, error)
	// Replace makes a file with the data or replaces all of it; after a crash it is the
	// old one or the new one.
	Replace(name string, data []byte, mode fs.FileMode) error
	// Put is Replace that may be undone by a crash, or leave anything in the file.
	Put(name string, data []byte) error
	// Settle makes files durable that were Put.
	Settle(names []string) error
	// Move renames a file, durably.
	Move(from, to string) error
	// Remove removes a file, durably.
	Remove(name string) error
}

// file is a file that is open for appending, by one goroutine.
type file interface {
	Size() int64
	// Append writes behind the end. After an error any part may be there.
	Append(data []byte) error
	// Sync makes all that was appended durable (fdatasync(2)).
	Sync() error
	// Cut takes away what is behind size, durably.
	Cut(size int64) error
	// Fill puts zeros behind the end, until the file has so many bytes; Append writes over
	// them. They need not be durable. After an error any part of them may be there.
	Fill(bytes int64) error
	// Hold takes room on the disk for so many bytes, without changing the size.
	Hold(bytes int64) error
	Close() error
}

// folder is a disk below a path.
type folder string

func (d folder) at(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

func (d folder) Read(name string) ([]byte, error) { return os.ReadFile(d.at(name)) }

func (d folder) Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(d.at(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// makeDirs makes the folder of a file, and each new folder's name durable.
func (d folder) makeDirs(name string) error {
	dir := filepath.Dir(d.at(name))
	var missing []string
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		missing = append(missing, at)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := os.Mkdir(missing[i], 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := syncDir(filepath.Dir(missing[i])); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (d folder) Open(name string) (file, error) {
	if err := d.makeDirs(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.at(name), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = syncDir(filepath.Dir(d.at(name)))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &opened{File: f, size: info.Size()}, nil
}

func (d folder) Replace(name string, data []byte, mode fs.FileMode) error {
	if err := d.makeDirs(name); err != nil {
		return err
	}
	if err := d.put(name, data, mode, true); err != nil {
		return err
	}
	return syncDir(filepath.Dir(d.at(name)))
}

func (d folder) Put(name string, data []byte) error {
	err := d.put(name, data, 0o600, false)
	if errors.Is(err, fs.ErrNotExist) {
		if err = d.makeDirs(name); err == nil {
			err = d.put(name, data, 0o600, false)
		}
	}
	return err
}

func (d folder) Settle(names []string) error {
	dirs := map[string]bool{}
	for _, name := range names {
		dirs[filepath.Dir(d.at(name))] = true
		f, err := os.Open(d.at(name))
		if err != nil {
			return err
		}
		err = f.Sync()
		f.Close()
		if err != nil {
			return err
		}
	}
	for dir := range dirs {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (d folder) put(name string, data []byte, mode fs.FileMode, durable bool) error {
	next := d.at(name) + ".new" // of the one writer
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(next, d.at(name))
	}
	if err != nil {
		os.Remove(next)
	}
	return err
}

func (d folder) Move(from, to string) error {
	if err := d.makeDirs(to); err != nil {
		return err
	}
	if err := os.Rename(d.at(from), d.at(to)); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(d.at(to))); err != nil {
		return err
	}
	return syncDir(filepath.Dir(d.at(from)))
}

func (d folder) Remove(name string) error {
	if err := os.Remove(d.at(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(d.at(name)))
}

// opened is a file of a folder.
type opened struct {
	*os.File
	size int64
}

func (f *opened) Size() int64 { return f.size }

func (f *opened) Append(data []byte) error {
	n, err := f.WriteAt(data, f.size)
	f.size += int64(n)
	return err
}

func (f *opened) Sync() error {
	for {
		// The size of the file is data that fdatasync(2) keeps.
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

func (f *opened) Cut(size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	f.size = size
	return f.Sync()
}

func (f *opened) Fill(bytes int64) error {
	zeros := make([]byte, 64<<10)
	for at := f.size; at < bytes; {
		n, err := f.WriteAt(zeros[:min(bytes-at, int64(len(zeros)))], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

func (f *opened) Hold(bytes int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, bytes)
	if err != nil {
		return fmt.Errorf("taking %d bytes for %s: %w", bytes, f.Name(), err)
	}
	return nil
}

// isFull says whether an error is that of a full disk, or of a quota.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
