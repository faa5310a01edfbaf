package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inode is a file of a root folder that has several names.
type inode struct{ device, number uint64 }

// rootWalk walks a root folder.
type rootWalk struct {
	*walker
	device uint64
	// first has the first name of each file that has several.
	first map[inode]string
}

// folders walks a root folder as one layer. Other file systems that are mounted in it are
// left out, and told of: those of a live root are /proc, other hosts' files, or endless.
func (w *walker) folders() error {
	info, err := w.image.root.Lstat(".")
	if err != nil {
		return err
	}
	sys := info.Sys().(*syscall.Stat_t)
	r := &rootWalk{walker: w, device: uint64(sys.Dev), first: map[inode]string{}}
	if err := w.view.count(); err != nil {
		return err
	}
	w.view.own.mode, w.view.own.implied = info.Mode(), false
	e := statEntry(info)
	e.Path = "/"
	if err := w.show(e); err != nil {
		return err
	}
	return r.folder(".")
}

// unseen notes what could not be looked at.
func (w *walker) unseen(name string, why error) {
	var at *fs.PathError
	if errors.As(why, &at) {
		why = at.Err
	}
	w.view.Unseen = append(w.view.Unseen, below("/", name)+": "+why.Error())
}

func (r *rootWalk) folder(name string) error {
	for _, base := range r.list(name) {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		at := path.Join(name, base)
		info, err := r.image.root.Lstat(at)
		if err != nil {
			r.unseen(at, err)
			continue
		}
		if err := r.one(at, info); err != nil {
			return err
		}
	}
	return nil
}

// list reads the names in a folder, of which no more than may be kept.
func (r *rootWalk) list(name string) []string {
	folder, err := r.image.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		r.unseen(name, err)
		return nil
	}
	defer folder.Close()
	names, err := folder.Readdirnames(r.image.limits.Entries + 1)
	if err != nil && err != io.EOF {
		r.unseen(name, err)
		return nil
	}
	slices.Sort(names)
	return names
}

func (r *rootWalk) one(at string, info fs.FileInfo) error {
	sys := info.Sys().(*syscall.Stat_t)
	e := statEntry(info)
	dir, base := path.Split(at)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		link, err := r.image.root.Readlink(at)
		if err != nil {
			r.unseen(at, err)
			return nil
		}
		e.Link = link
	case info.Mode().IsRegular():
		if sys.Nlink > 1 {
			key := inode{uint64(sys.Dev), sys.Ino}
			if first := r.first[key]; first != "" {
				e.Kind, e.Link, e.Size = HardLink, first, 0
				return r.addNamed(at, dir, base, e)
			}
			r.first[key] = below("/", at)
		}
		file, err := r.open(at, info)
		if err != nil {
			r.unseen(at, err)
			e.Body = failing{err}
			break
		}
		defer file.Close()
		e.Xattrs = attributes(int(file.Fd()))
		e.Body = io.LimitReader(withContext{r.ctx, file}, e.Size)
	}
	if err := r.addNamed(at, dir, base, e); err != nil {
		return err
	}
	if !info.IsDir() {
		return nil
	}
	if uint64(sys.Dev) != r.device {
		r.unseen(at, errors.New("another file system is mounted there"))
		return nil
	}
	return r.folder(at)
}

func (r *rootWalk) addNamed(at, dir, base string, e *Entry) error {
	err := r.add(path.Clean(dir), base, e)
	var own *visitError
	if err != nil && !errors.As(err, &own) {
		err = fmt.Errorf("%q %w", shown(at), err)
	}
	return err
}

// open opens the very file that was found.
func (r *rootWalk) open(at string, found fs.FileInfo) (*os.File, error) {
	// O_NONBLOCK: a fifo may have come into its place.
	file, err := r.image.root.OpenFile(at, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if now, err := file.Stat(); err != nil || !os.SameFile(now, found) {
		file.Close()
		return nil, errors.New("it was replaced meanwhile")
	}
	return file, nil
}

// failing is the content of a file that could not be opened.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// statEntry is what the file system tells of a file.
func statEntry(info fs.FileInfo) *Entry {
	sys := info.Sys().(*syscall.Stat_t)
	e := &Entry{Mode: info.Mode(), UID: int(sys.Uid), GID: int(sys.Gid), Modified: info.ModTime(), Body: nothing{}}
	if info.Mode().IsRegular() {
		e.Size = info.Size()
	}
	return e
}

// attributes are the extended attributes of an open file; file systems that have none, or
// tell none, give nil.
func attributes(fd int) map[string]string {
	if n, err := unix.Flistxattr(fd, nil); err != nil || n == 0 {
		return nil // as of most
	}
	names := make([]byte, 64<<10) // the kernel's XATTR_LIST_MAX
	n, err := unix.Flistxattr(fd, names)
	if err != nil || n == 0 {
		return nil
	}
	found := map[string]string{}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if n, err := unix.Fgetxattr(fd, name, value); err == nil {
			found[name] = string(value[:n])
		}
	}
	return found
}
