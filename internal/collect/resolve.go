package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/engine"
)

// tree is a tree of files, such as the one that the engine sees. Nothing asked
// of it leads out of it, whatever links it holds and however they change while
// it is looked at.
type tree struct {
	root int
	// known is a file that is to be recognized under any path, and path its own.
	known *unix.Stat_t
	path  string
}

// openTree opens the folder at path as a tree of its own.
func openTree(path string) (*tree, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
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
)

// resolve follows every link in the absolute path p. What does not exist stays
// as it is spelled, for the engine makes missing folders there. It opens
// nothing that could act on being opened (O_PATH), so sockets and devices stay
// untouched.
func (t *tree) resolve(p string) (string, error) {
	resolved, at, err := t.follow(p)
	if err == nil && at != nil && t.known != nil && at.Dev == t.known.Dev && at.Ino == t.known.Ino {
		return t.path, nil
	}
	return resolved, err
}

// recognize has resolve give p for every path to the file that is at p: a bind
// mount or a hard link gives a file another path, and follows no link.
func (t *tree) recognize(p string) {
	t.path = p
	_, t.known, _ = t.follow(p) // a file that cannot be found has no other path
}

// exists is true when the path is there, links followed.
func (t *tree) exists(p string) bool {
	_, at, err := t.follow(p)
	return err == nil && at != nil
}

// follow is where the path leads, and what is there; nil when nothing is.
func (t *tree) follow(p string) (resolved string, at *unix.Stat_t, err error) {
	w := walk{rest: steps(p), fds: []int{t.root}}
	defer func() { w.up(0) }()
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
	if err := unix.Fstat(w.fds[len(w.done)], at); err != nil {
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
	rest, done []string
	fds        []int
}

// up goes back to the first depth elements of what is done.
func (w *walk) up(depth int) {
	w.done = w.done[:depth]
	for len(w.fds) > depth+1 {
		unix.Close(w.fds[len(w.fds)-1])
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
	fd, err := unix.Openat(w.fds[len(w.fds)-1], name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		w.done = append(w.done, name)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		link, err = readLink(fd)
	}
	if err != nil || link != "" {
		unix.Close(fd)
		return link, err
	}
	w.done, w.fds = append(w.done, name), append(w.fds, fd)
	return "", nil
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
// mounts are made from. It is nil, with the reason, when that process is not
// the engine itself, as with a socket that ssh or socat forwards from elsewhere.
//
// Where systemd listens for the engine, the engine is its child and sees
// systemd's files, but systemd can also start a forwarder. Then a folder that
// the engine keeps for one of its containers must be there as well.
func (c *collector) openEngineRoot(pid int, listed []listedContainer) (*tree, string) {
	if c.Root == "" {
		return nil, "the host's files were not looked at"
	}
	if pid <= 0 {
		return nil, "the engine's process is not on this machine, or hidden"
	}
	proc := filepath.Join(c.Root, "proc", strconv.Itoa(pid))
	root, err := openTree(filepath.Join(proc, "root"))
	if err != nil {
		return nil, "the engine's process may not be looked at by this user"
	}
	// After opening: a pid that was reused in between names another program.
	name, err := readName(proc)
	switch {
	case err == nil && name == "dockerd":
		return root, ""
	case err == nil && pid == 1 && name == "systemd" && c.keepsContainers(root, listed):
		return root, ""
	}
	root.close()
	return nil, "what listens on the engine's socket is not the engine"
}

// keepsContainers is true when the engine's folder for a listed container is
// in the tree.
func (c *collector) keepsContainers(root *tree, listed []listedContainer) bool {
	data := c.facts.Daemon.DataRoot
	return strings.HasPrefix(data, "/") && slices.ContainsFunc(listed, func(l listedContainer) bool {
		return isID(l.id) && root.exists(data+"/containers/"+l.id)
	})
}
