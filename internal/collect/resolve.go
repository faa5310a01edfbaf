package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// tree is a tree of files, such as the one that the engine sees. Nothing asked
// of it leads out of it, whatever links it holds and however they change while
// it is looked at.
type tree struct {
	root int
	// mounts is what is mounted there; nil when that is not known.
	mounts *workload.MountTable
	// path is of a file that is to be recognized under any other, "" for none.
	path string
	// sight is set where the tree is not the engine's own, and then says which of
	// the engine's files are in it, and where.
	sight *sight
}

// openTree opens a folder as a tree of its own.
func openTree(at string) (*tree, error) {
	fd, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: at, Err: err}
	}
	return &tree{root: fd}, nil
}

// close ends the use of the tree; closing none is all right.
func (t *tree) close() {
	if t != nil {
		unix.Close(t.root)
	}
}

const (
	// maxLinks is the kernel's own bound (path_resolution(7)).
	maxLinks = 40
	// maxDepth bounds how many folders are held open at once.
	maxDepth = 256
	// maxFiles bounds how many files of a folder are looked at.
	maxFiles = 1 << 14
)

// resolve follows every link in the absolute path p, and gives after it the
// other paths of what a mount of it shows. What does not exist stays as it is
// spelled, for the engine makes missing folders there. It opens nothing that
// could act on being opened (O_PATH), so sockets and devices stay untouched.
func (t *tree) resolve(p string) ([]string, error) {
	var known *unix.Stat_t
	if t.path != "" {
		// As it is now: it may have another name since it was looked at last. One that
		// cannot be found has no other path.
		_, known, _ = t.follow(t.path, nil)
	}
	var paths []string
	resolved, _, err := t.follow(p, func(fd int, at *unix.Stat_t) error {
		linked, err := shows(fd, at, known)
		if linked {
			paths = []string{t.path}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if t.mounts != nil {
		paths = append(paths, t.mounts.Also(resolved)...)
	}
	return append([]string{resolved}, paths...), nil
}

// recognize has resolve give p for every path to the file that is at p, and for
// folders that hold it: a hard link gives a file another path, and nothing else
// tells.
func (t *tree) recognize(p string) { t.path = p }

// shows reports whether the file or folder fd is the known file, if any, or holds a hard
// link of it.
func shows(fd int, at, known *unix.Stat_t) (bool, error) {
	switch {
	case known == nil || at.Dev != known.Dev:
		return false, nil
	case at.Ino == known.Ino:
		return true, nil
	case at.Mode&unix.S_IFMT != unix.S_IFDIR || known.Nlink < 2:
		return false, nil
	}
	found := false
	err := eachFile(fd, func(at *unix.Stat_t) { found = found || at.Dev == known.Dev && at.Ino == known.Ino })
	return found, err
}

// nodes are the device files at p, or below it, as their kind and numbers. Where
// nothing is, there was something once, or will be.
func (t *tree) nodes(p string) ([]string, error) {
	var nodes []string
	add := func(at *unix.Stat_t) {
		kind := map[uint32]string{unix.S_IFBLK: "b", unix.S_IFCHR: "c"}[at.Mode&unix.S_IFMT]
		if kind != "" {
			nodes = append(nodes, fmt.Sprintf("%s %d:%d", kind, unix.Major(at.Rdev), unix.Minor(at.Rdev)))
		}
	}
	_, there, err := t.follow(p, func(fd int, at *unix.Stat_t) error {
		add(at)
		if at.Mode&unix.S_IFMT != unix.S_IFDIR {
			return nil
		}
		return eachFile(fd, add)
	})
	if err == nil && there == nil {
		err = fmt.Errorf("looking at %s: %w", p, unix.ENOENT)
	}
	return nodes, err
}

// eachFile visits what is in a folder and the folders below, and follows no link.
func eachFile(folder int, visit func(at *unix.Stat_t)) error {
	left := maxFiles
	var walk func(folder int, depth int) error
	walk = func(folder, depth int) error {
		fd, err := unix.Openat(folder, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("looking into a folder: %w", err)
		}
		f := os.NewFile(uintptr(fd), ".")
		defer f.Close()
		names, err := f.Readdirnames(left + 1)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("looking into a folder: %w", err)
		}
		if left -= len(names); left < 0 || depth == maxDepth {
			return errors.New("looking into a folder: it holds too much")
		}
		for _, name := range names {
			var at unix.Stat_t
			if err := unix.Fstatat(fd, name, &at, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				continue // it went away
			}
			visit(&at)
			if at.Mode&unix.S_IFMT != unix.S_IFDIR {
				continue
			}
			below, err := unix.Openat(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			err = walk(below, depth+1)
			unix.Close(below)
			if err != nil {
				return err
			}
		}
		return nil
	}
	return walk(folder, 0)
}

// exists is true when the path is there, links followed.
func (t *tree) exists(p string) bool {
	_, at, err := t.follow(p, nil)
	return err == nil && at != nil
}

// follow is where the path leads, and what is there; nil when nothing is. What is
// there is also shown to look, which may be nil.
func (t *tree) follow(p string, look func(fd int, at *unix.Stat_t) error) (resolved string, at *unix.Stat_t, err error) {
	w := t.walk(p)
	defer w.end()
	for links := 0; len(w.rest) > 0; {
		link, err := w.step()
		if err != nil {
			return "", nil, fmt.Errorf("following %s: %w", p, err)
		}
		if link == "" {
			continue
		}
		if links++; links > maxLinks {
			return "", nil, fmt.Errorf("following %s: %w", p, unix.ELOOP)
		}
		if strings.HasPrefix(link, "/") {
			w.up(0)
		}
		w.rest = append(steps(link), w.rest...)
	}
	resolved = "/" + strings.Join(w.done, "/")
	if len(w.fds) != len(w.done)+1 {
		return resolved, nil, nil
	}
	at = &unix.Stat_t{}
	fd := w.fds[len(w.done)]
	if fd == outOfSight {
		err = t.sight.missing(resolved)
	} else if err = unix.Fstat(fd, at); err == nil && look != nil {
		err = look(fd, at)
	}
	if err != nil {
		return "", nil, fmt.Errorf("following %s: %w", p, err)
	}
	return resolved, at, nil
}

func steps(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool { return s == "" || s == "." })
}

// walk is a path in the middle of being resolved. fds has the root and then
// one folder or file for each element of done, as far as they exist.
type walk struct {
	tree       *tree
	rest, done []string
	fds        []int
}

func (t *tree) walk(p string) *walk {
	w := &walk{tree: t, rest: steps(p), fds: []int{t.root}}
	if t.sight != nil {
		w.fds[0] = t.sight.openRoot(t.root)
	}
	return w
}

// end closes all that the walk holds open.
func (w *walk) end() {
	w.up(0)
	if w.fds[0] != w.tree.root && w.fds[0] != outOfSight {
		unix.Close(w.fds[0])
	}
}

// here is the path of what was reached.
func (w *walk) here() string { return "/" + strings.Join(w.done, "/") }

// up goes back to the first depth elements of what is done.
func (w *walk) up(depth int) {
	w.done = w.done[:depth]
	for len(w.fds) > depth+1 {
		if fd := w.fds[len(w.fds)-1]; fd != outOfSight {
			unix.Close(fd)
		}
		w.fds = w.fds[:len(w.fds)-1]
	}
}

// step takes the next element of rest. It returns a link's text when that is
// what the element is, and the caller goes on with it.
func (w *walk) step() (link string, err error) {
	name := w.rest[0]
	w.rest = w.rest[1:]
	if name == ".." {
		w.up(max(0, len(w.done)-1))
		return "", nil
	}
	if len(w.done) >= len(w.fds) { // below what does not exist
		w.done = append(w.done, name)
		return "", nil
	}
	if len(w.fds) > maxDepth {
		return "", unix.ENAMETOOLONG
	}
	fd, err := w.open(name)
	if errors.Is(err, unix.ENOENT) {
		w.done = append(w.done, name)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if fd != outOfSight {
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			link, err = readLink(fd)
		}
		if err != nil || link != "" {
			unix.Close(fd)
			return link, err
		}
	}
	w.done, w.fds = append(w.done, name), append(w.fds, fd)
	return "", nil
}

// open opens the next element, which acts on nothing.
func (w *walk) open(name string) (int, error) {
	if s := w.tree.sight; s != nil {
		return s.open(w.tree.root, path.Join(w.here(), name))
	}
	return unix.Openat(w.fds[len(w.fds)-1], name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// readLink reads the link that fd is. No link of Linux is empty or longer than
// a path may be.
func readLink(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	switch {
	case err != nil:
		return "", err
	case n == 0 || n == len(buf):
		return "", unix.ENAMETOOLONG
	}
	return string(buf[:n]), nil
}

// peer is who listens on the engine's socket, or nobody when that is not known
// or nothing would be asked of it. It makes a connection of its own, and so
// comes before the calls, which Concurrency bounds.
func (c *collector) peer(ctx context.Context) engine.Peer {
	if c.Root == "" {
		return engine.Peer{}
	}
	peer, err := c.Client.Peer(ctx)
	if err != nil {
		return engine.Peer{}
	}
	return peer
}

// openEngineRoot opens the files as the engine sees them, through the process
// that listens on its socket, pid: its mount namespace is the one that bind
// mounts are made from, and mounts is what is mounted there, nil when that could
// not be read. The tree is nil, with the reason, when that process is not
// the engine itself, as with a socket that ssh or socat forwards from elsewhere.
//
// Where systemd listens for the engine, the engine is its child and sees
// systemd's files, but systemd can also start a forwarder. Then a folder that
// the engine keeps for one of its containers must be there as well.
func (c *collector) openEngineRoot(pid int, mounts *workload.MountTable, listed []listedContainer) (*tree, string) {
	if c.Root == "" {
		return nil, "the host's files were not looked at"
	}
	if pid <= 0 {
		return nil, "the engine's process is not on this machine, or hidden"
	}
	proc := c.proc(pid)
	root, err := openTree(filepath.Join(proc, "root"))
	if err != nil {
		return nil, "the engine's process may not be looked at by this user"
	}
	// After opening: a pid that was reused in between names another program.
	name, err := readName(proc)
	engine := err == nil && (name == "dockerd" || pid == 1 && name == "systemd" && c.keepsContainers(root, listed))
	switch {
	case engine && mounts != nil:
		root.mounts = mounts
		return root, ""
	case engine:
		root.close()
		return nil, "what is mounted where the engine runs could not be read"
	}
	root.close()
	return nil, "what listens on the engine's socket is not the engine"
}

func (c *collector) proc(pid int) string { return filepath.Join(c.Root, "proc", strconv.Itoa(pid)) }

// mountsOf reads what is mounted where a process runs, or gives nil where nothing
// is to be looked at, or it cannot be read.
func (c *collector) mountsOf(pid int) *workload.MountTable {
	if c.Root == "" || pid <= 0 {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(c.proc(pid), "mountinfo"))
	if err != nil {
		return nil
	}
	mounts, err := workload.ReadMountTable(data)
	if err != nil {
		return nil
	}
	return mounts
}

// keepsContainers is true when the engine's folder for a listed container is
// in the tree.
func (c *collector) keepsContainers(root *tree, listed []listedContainer) bool {
	data := c.facts.Daemon.DataRoot
	return strings.HasPrefix(data, "/") && slices.ContainsFunc(listed, func(l listedContainer) bool {
		return isID(l.id) && root.exists(data+"/containers/"+l.id)
	})
}
