package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Bounds of what is read from files that the user names.
const (
	// maxFactsBytes: 10,000 containers need 60 MiB.
	maxFactsBytes = 512 << 20
	// maxRunLineBytes is for the files that a run line names, of environment
	// variables, labels and the like.
	maxRunLineBytes = 16 << 20
)

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > limit {
		return nil, tooLong(name, limit)
	}
	return readAll(f, name, limit)
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

// readRunLineFile reads a file that a run line names.
func readRunLineFile(name string) ([]byte, error) { return readFile(name, maxRunLineBytes) }

// checkOutput refuses a file for -o that cannot be, before the work is done; ""
// is none.
func checkOutput(name string) error {
	if name == "" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return &failure{code: exitUsage, message: fmt.Sprintf("-o %s is a folder", name), hint: "Name a file in it."}
	}
	folder := filepath.Dir(name)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return &failure{code: exitUsage, message: fmt.Sprintf("there is no folder %s for -o to write in", folder), hint: "Make it:\n  mkdir -p " + folder, err: err}
	}
	return nil
}

// replaceFile has a file written whole or not at all: a file that was there
// stays as it was until the new one is complete, and its mode and the links that
// lead to it stay for good. What is no regular file (a pipe, a terminal) is
// written to.
func replaceFile(name string, write func(io.Writer) error) error {
	mode := fs.FileMode(0o666)
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return writeTo(name, os.O_WRONLY, 0, write)
	default:
		mode = info.Mode().Perm()
		// /dev/stdout leads to a file where it is redirected; the link must stay.
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
	}
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"-"+rand.Text()[:8])
	// os.Rename on success leaves nothing to remove.
	defer os.Remove(temp)
	if err := writeTo(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode, write); err != nil {
		return err
	}
	return os.Rename(temp, name)
}

// writeTo opens, writes and closes; a regular file is on the disk then.
func writeTo(name string, flag int, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return err
	}
	err = write(f)
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
		return &failure{code: exitUnable, message: "standard output can't be written", err: err}
	}
	return nil
}
