package engine

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

// socketAccess is why this user may not connect to a socket, as far as the
// file system and the accounts of this machine tell.
type socketAccess struct {
	path  string
	mode  fs.FileMode // permission bits
	group string      // the socket's group: its name, or its number if it has none
	named bool        // group is a name
	user  string      // who we are

	stat    error // the socket could not be looked at, so all of the above but user is empty
	root    bool  // we are root, here
	member  bool  // the accounts say that user is in group
	current bool  // this process has the group
}

// socketAccessOf looks at a socket that refused us.
func socketAccessOf(path string) socketAccess {
	a := socketAccess{path: path, user: strconv.Itoa(os.Geteuid()), root: os.Geteuid() == 0}
	me, meErr := user.LookupId(a.user)
	if meErr == nil {
		a.user = me.Username
	}
	info, err := os.Stat(path)
	if err != nil {
		a.stat = err
		return a
	}
	a.mode = info.Mode().Perm()
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		a.stat = fmt.Errorf("stat %s: no owner", path)
		return a
	}
	gid := strconv.FormatUint(uint64(st.Gid), 10)
	a.group = gid
	if g, err := user.LookupGroupId(gid); err == nil {
		a.group, a.named = g.Name, true
	}
	if meErr == nil {
		if gids, err := me.GroupIds(); err == nil {
			a.member = slices.Contains(gids, gid)
		}
	}
	if gids, err := os.Getgroups(); err == nil {
		a.current = slices.Contains(gids, int(st.Gid))
	}
	a.current = a.current || os.Getegid() == int(st.Gid)
	return a
}

// hint says what to do; again is the command to repeat.
func (a socketAccess) hint(again string) string {
	other := "\n  sudo " + again + "\n  plimsoll audit --host ssh://harbour-1"
	switch {
	case a.stat != nil:
		return fmt.Sprintf("The folder of the socket is closed to %s. Run it with sudo, or name another engine:", a.user) + other
	case a.root:
		return "Even root is refused, so a security module or the sandbox around plimsoll forbids it. Run it outside of that, or name another engine:" +
			"\n  plimsoll audit --host ssh://harbour-1"
	case a.mode&0o060 != 0o060:
		return fmt.Sprintf("The socket's mode is %04o, so not even its group %s may use it. Run it with sudo, or name another engine:",
			a.mode, a.group) + other
	case a.current:
		return fmt.Sprintf("%s is in the group %s, which owns the socket, so something else forbids it: "+
			"a security module, or a sandbox around plimsoll. Run it with sudo, or name another engine:", a.user, a.group) + other
	case a.member:
		return fmt.Sprintf("%s is in the group %s, which owns the socket, but has not logged in since. "+
			"Log in again, or try it now:\n  sg %s %s", a.user, a.group, a.group, quote(again))
	}
	hint := fmt.Sprintf("The socket belongs to the group %s, and %s is not in it. Run it with sudo, or name another engine:", a.group, a.user) + other
	if a.named {
		hint += "\nOr join the group and log in again; who is in it can become root:\n" +
			fmt.Sprintf("  sudo usermod -aG %s %s", a.group, a.user)
	}
	return hint
}
