package collect

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/accounts"
	"github.com/plimsoll/plimsoll/internal/posixacl"
)

// trace is a path that was followed, with all that was met on the way.
type trace struct {
	resolved string
	// at is what is there; nil when nothing is. list is its access list, or listErr
	// why that could not be read.
	at      *unix.Stat_t
	list    []posixacl.Entry
	listErr error
	links   []tracedLink
	folders []tracedFolder
	// hidden is why a folder on the way was not seen, or nil.
	hidden error
}

type tracedLink struct {
	path string
	uid  uint32
}

// tracedFolder is a folder on the way, and the owner of what comes next in it.
type tracedFolder struct {
	path  string
	owner uint32
	*lookedAt
}

// lookedAt is what is known of a file by its own.
type lookedAt struct {
	at   unix.Stat_t
	list []posixacl.Entry
	err  error // of the list
}

// tracer follows paths, and looks at a folder once however many lead through it.
type tracer struct {
	tree    *tree
	folders map[string]*lookedAt
}

func lookAt(fd int) (*lookedAt, error) {
	l := &lookedAt{}
	if err := unix.Fstat(fd, &l.at); err != nil {
		return nil, err
	}
	l.list, l.err = posixacl.Of(fd)
	return l, nil
}

// trace follows p as tree.follow does.
func (r *tracer) trace(p string) (*trace, error) {
	w := r.tree.walk(p)
	defer w.end()
	t := &trace{}
	for links := 0; len(w.rest) > 0; {
		name, above := w.rest[0], w.here()
		owner, err := r.pass(t, w, name, above)
		if err != nil {
			return nil, fmt.Errorf("following %s: %w", p, err)
		}
		link, err := w.step()
		switch {
		case err == unix.ENOTDIR: // below what is no folder, nothing is
			w.done, w.rest = append(w.done, name), nil
			t.resolved = w.here()
			return t, nil
		case err != nil:
			return nil, fmt.Errorf("following %s: %w", p, err)
		case link == "":
			continue
		}
		if links++; links > maxLinks {
			return nil, fmt.Errorf("following %s: %w", p, unix.ELOOP)
		}
		t.links = append(t.links, tracedLink{strings.TrimSuffix(above, "/") + "/" + name, owner})
		if strings.HasPrefix(link, "/") {
			w.up(0)
		}
		w.rest = append(steps(link), w.rest...)
	}
	t.resolved = w.here()
	if len(w.fds) != len(w.done)+1 {
		return t, nil
	}
	fd := w.fds[len(w.done)]
	if fd == outOfSight {
		return nil, r.tree.sight.missing(t.resolved)
	}
	own, err := lookAt(fd)
	if err != nil {
		return nil, fmt.Errorf("following %s: %w", p, err)
	}
	t.at, t.list, t.listErr = &own.at, own.list, own.err
	return t, nil
}

// pass notes the folder that the next element is in, and gives the owner of that.
func (r *tracer) pass(t *trace, w *walk, name, above string) (owner uint32, err error) {
	if name == ".." || len(w.done) >= len(w.fds) {
		return 0, nil
	}
	fd := w.fds[len(w.fds)-1]
	if fd == outOfSight {
		if t.hidden == nil {
			t.hidden = r.tree.sight.missing(above)
		}
		return 0, nil
	}
	f := r.folders[above]
	if f == nil {
		if f, err = lookAt(fd); err != nil {
			return 0, err
		}
		r.folders[above] = f
	}
	var at unix.Stat_t
	if unix.Fstatat(fd, name, &at, unix.AT_SYMLINK_NOFOLLOW) == nil {
		owner = at.Uid
	}
	t.folders = append(t.folders, tracedFolder{above, owner, f})
	return owner, nil
}

// may lists who has permissions on a file beside its owner: everybody, or the group
// and those in the access list.
func may(at *unix.Stat_t, list []posixacl.Entry, permissions uint16, book *accounts.Book) []string {
	who := []string{}
	if uint16(at.Mode)&permissions == permissions {
		return append(who, "everybody")
	}
	group := uint16(at.Mode) >> 3
	for _, e := range list {
		if e.Kind == posixacl.Group {
			group = e.Permissions
		}
	}
	if group&permissions == permissions {
		who = append(who, "the group "+book.GroupName(at.Gid))
	}
	for _, e := range list {
		switch {
		case e.Permissions&permissions != permissions:
		case e.Kind == posixacl.User:
			who = append(who, "the user "+book.UserName(e.ID))
		case e.Kind == posixacl.Named:
			who = append(who, "the group "+book.GroupName(e.ID))
		}
	}
	slices.Sort(who)
	return slices.Compact(who)
}

// changers lists who, but those of the engine's own users, can put another file in the
// place of the next one in a folder. In a sticky folder only the owners of the
// folder and of the file can (inode(7)).
func (f *tracedFolder) changers(own func(uid uint32) bool, book *accounts.Book) []string {
	who := []string{}
	if !own(f.at.Uid) {
		who = append(who, "the user "+book.UserName(f.at.Uid))
	}
	writers := may(&f.at, f.list, posixacl.Write|posixacl.Execute, book)
	if f.at.Gid == 0 {
		// The group of root is root's own.
		writers = slices.DeleteFunc(writers, func(w string) bool { return w == "the group "+book.GroupName(0) })
	}
	if f.at.Mode&unix.S_ISVTX == 0 {
		return slices.Compact(append(who, writers...))
	}
	if len(writers) > 0 && !own(f.owner) && f.owner != f.at.Uid {
		who = append(who, "the user "+book.UserName(f.owner))
	}
	return who
}
