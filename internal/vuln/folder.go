package vuln

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Folder is where the compiled files are: one for each family, FAMILY.pdb. Only its owner may
// write there.
type Folder string

const suffix = ".pdb"

// familyName is what a family may be called, so that it is a file's name.
var familyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$`)

func (f Folder) path(family string) (string, error) {
	if !familyName.MatchString(family) {
		return "", fmt.Errorf("%.80q is no ecosystem", family)
	}
	return filepath.Join(string(f), family+suffix), nil
}

// Sources finds the zips that a path names: a zip, a folder with an all.zip, or a folder of
// such folders, as OSV's bucket has them. A family is called as the folder of its all.zip, or
// as its own zip (Debian.zip). Nothing that is one is fs.ErrNotExist.
func Sources(path string) ([]Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		family := strings.TrimSuffix(filepath.Base(whole), ".zip")
		if family == "all" {
			family = filepath.Base(filepath.Dir(whole))
		}
		return []Source{{Family: family, Path: path}}, nil
	}
	if zip := filepath.Join(path, "all.zip"); exists(zip) {
		return []Source{{Family: filepath.Base(whole), Path: zip}}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var list []Source
	for _, e := range entries {
		if zip := filepath.Join(path, e.Name(), "all.zip"); exists(zip) {
			list = append(list, Source{Family: e.Name(), Path: zip})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no all.zip, and no folder with one: %w", path, fs.ErrNotExist)
	}
	return list, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Import compiles a source and puts the file in the place of the family's old one, which
// stays where the source cannot be compiled. Whoever has the old one open keeps it.
func (f Folder) Import(ctx context.Context, s Source) (Status, error) {
	path, err := f.path(s.Family)
	if err != nil {
		return Status{}, err
	}
	var status Status
	err = f.replace(filepath.Base(path), func(w io.Writer) error {
		_, err := Compile(ctx, w, s)
		return err
	}, func(next string) error {
		made, err := Open(next)
		if err != nil {
			return err
		}
		status = made.Status()
		return made.Close()
	})
	if err != nil {
		return Status{}, err
	}
	return status, nil
}

// replace writes a file of the folder and puts it in the place of the old one, durably, once
// it was checked; whatever fails, the old one stays.
func (f Folder) replace(name string, write func(io.Writer) error, check func(next string) error) error {
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return err
	}
	next, err := os.CreateTemp(string(f), ".next-")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	out := bufio.NewWriterSize(next, 1<<20)
	if err = write(out); err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = next.Chmod(0o644) // a scan needs no root
	}
	if err == nil {
		err = next.Sync()
	}
	if err = errors.Join(err, next.Close()); err != nil {
		return err
	}
	if err := check(next.Name()); err != nil {
		return err
	}
	if err := os.Rename(next.Name(), filepath.Join(string(f), name)); err != nil {
		return err
	}
	dir, err := os.Open(string(f))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Status tells what is in the folder, by family. A file that cannot be read is in the error,
// beside what is told of the others. A folder that is not there has nothing.
func (f Folder) Status() ([]Status, error) {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Status
	var wrong error
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		d, err := Open(filepath.Join(string(f), e.Name()))
		if err == nil {
			list = append(list, d.Status())
			err = d.Close()
		}
		wrong = errors.Join(wrong, err)
	}
	return list, wrong
}

// Open gives the files of the folder, to be asked.
func (f Folder) Open() *Set { return &Set{folder: f, open: map[string]*DB{}} }
