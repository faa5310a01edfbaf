package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/workload/runline"
)

// Bounds of what is read from files that the user names.
const (
	// maxFactsBytes: 10,000 containers need 60 MiB.
	maxFactsBytes = 512 << 20
	// maxRunLineBytes is for the files that a run line names, of environment
	// variables, labels and the like.
	maxRunLineBytes = 16 << 20
)

// await gives what do gives, or the error of ctx if that ends first. Then do is
// left to itself, so it must change nothing; the program is about to end.
func await[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// readFile reads a file of at most limit bytes. It may be a pipe, such as a
// shell's <(…), on which nothing comes, so the end of ctx ends it.
func readFile(ctx context.Context, name string, limit int64) ([]byte, error) {
	read := func() ([]byte, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAll(f, name, limit)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil: // which opening says in its own words
	case !info.Mode().IsRegular():
		return await(ctx, read)
	case info.Size() > limit:
		return nil, tooLong(name, limit)
	}
	return read()
}

// readAll is readFile for what is open already.
func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, tooLong(name, limit)
	}
	return data, nil
}

func tooLong(name string, limit int64) error {
	if limit < 1<<20 {
		return fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return fmt.Errorf("%s is longer than %d MiB", name, limit>>20)
}

// ruleFolder is a folder of rule files. Unlike os.DirFS it refuses to open a pipe
// or a device, which nobody means by a rule, and for which opening or reading may
// wait without end.
type ruleFolder string

// Open opens a file or a folder.
func (dir ruleFolder) Open(name string) (fs.File, error) {
	refuse := func(err error) (fs.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return refuse(fs.ErrInvalid)
	}
	// O_NONBLOCK opens a pipe without waiting for its other end (fifo(7)).
	f, err := os.OpenFile(filepath.Join(string(dir), name), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		f.Close()
		return refuse(err)
	}
	return f, nil
}

// checkOutput refuses a file to write that cannot be, before the work is done; ""
// is none.
func checkOutput(name string) error {
	if name == "" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return &failure{code: exitUsage, message: fmt.Sprintf("%s is a folder, and a file is written", name), hint: "Name a file in it."}
	}
	folder := filepath.Dir(name)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return &failure{code: exitUsage, message: fmt.Sprintf("there is no folder %s to write in", folder), hint: "Make it:\n  mkdir -p " + runline.Quote([]string{folder}), err: err}
	}
	return nil
}

// replaceFile has a file written whole or not at all: a file that was there
// stays as it was until the new one is complete, and its mode, its owner where that
// can be, and the links that lead to it stay for good. What is no regular file (a pipe, a terminal) is
// written to, and the end of ctx ends the wait for who reads it.
func replaceFile(ctx context.Context, name string, write func(io.Writer) error) error {
	mode := fs.FileMode(0o666)
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if name, err = behindLinks(name); err != nil {
			return err
		}
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		_, err := await(ctx, func() (struct{}, error) { return struct{}{}, writeTo(ctx, name, os.O_WRONLY, 0, write) })
		return err
	default:
		mode = info.Mode().Perm()
		// /dev/stdout leads to a file where it is redirected; the link must stay.
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
		if err := unix.Access(name, unix.W_OK); err != nil {
			return &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"-"+rand.Text()[:8])
	// os.Rename on success leaves nothing to remove.
	defer os.Remove(temp)
	if err := writeTo(ctx, temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode, write); err != nil {
		return err
	}
	if info != nil {
		// Its owner may be another, which only root can keep.
		if own, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = os.Chown(temp, int(own.Uid), int(own.Gid))
		}
		if err := os.Chmod(temp, mode); err != nil { // which the umask has cut
			return err
		}
	}
	return os.Rename(temp, name)
}

// behindLinks is where a name leads at which nothing is: a link to a file that is yet
// to be made stays one.
func behindLinks(name string) (string, error) {
	for range 40 { // as the kernel (path_resolution(7))
		to, err := os.Readlink(name)
		if err != nil {
			return name, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(name), to)
		}
		name = to
	}
	return "", &fs.PathError{Op: "open", Path: name, Err: unix.ELOOP}
}

// lockFolder waits for everyone else who holds the lock of a folder.
func lockFolder(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if _, err := await(ctx, func() (struct{}, error) { return struct{}{}, unix.Flock(int(f.Fd()), unix.LOCK_EX) }); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}

// writeTo opens, writes until ctx ends, and closes; a regular file is on the disk
// then.
func writeTo(ctx context.Context, name string, flag int, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return err
	}
	err = write(until{ctx, f})
	if err == nil && flag&os.O_CREATE != 0 {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// until is a writer that takes nothing more once ctx has ended.
type until struct {
	ctx context.Context
	io.Writer
}

func (u until) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Writer.Write(p)
}

// print writes text for standard output.
func (a *app) print(text string) error {
	if _, err := io.WriteString(a.stdout, text); err != nil {
		return unwritten(err)
	}
	return nil
}

func unwritten(err error) error {
	return &failure{code: exitUnable, message: "standard output can't be written", err: err}
}

// remembering is a writer that keeps its first error, for what writes without
// looking at errors: cobra prints help so.
type remembering struct {
	io.Writer
	err error
}

func (r *remembering) Write(p []byte) (int, error) {
	n, err := r.Writer.Write(p)
	r.err = cmp.Or(r.err, err)
	return n, err
}
