package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/accounts"
	"github.com/plimsoll/plimsoll/internal/dockerd"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/posixacl"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// people is who there is on the host.
type people struct {
	book *accounts.Book
	// elsewhere is where the host looks for more; reason is why nobody is known.
	elsewhere []string
	reason    string
}

func (t *tree) people() people {
	var files [3][]byte
	for i, name := range []string{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf"} {
		data, err := t.read(name)
		if err == nil && data == nil && i < 2 {
			err = errors.New("it is not there")
		}
		if err != nil {
			return people{reason: name + " cannot be read: " + err.Error()}
		}
		files[i] = data
	}
	return people{book: accounts.Read(files[0], files[1]), elsewhere: accounts.Elsewhere(files[2])}
}

// engineSockets are the paths of the unix sockets that a daemon with the hosts
// listens on; systemd's own socket where it was handed one.
func (t *tree) engineSockets(hosts []string) ([]string, error) {
	if len(hosts) == 0 {
		return []string{"/run/docker.sock"}, nil
	}
	var paths []string
	for _, host := range hosts {
		switch at, found := strings.CutPrefix(host, "unix://"); {
		case found:
			paths = append(paths, path.Join("/", at))
		case strings.HasPrefix(host, "fd://"):
			streams, err := t.unitStreams()
			if err != nil {
				return nil, err
			}
			paths = append(paths, streams...)
		}
	}
	return paths, nil
}

// unitStreams are the paths that docker.socket listens on (systemd.socket(5)).
func (t *tree) unitStreams() ([]string, error) {
	files, err := t.unitFiles("docker.socket")
	if err != nil {
		return nil, err
	}
	u, err := dockerd.ParseUnits(files)
	if err != nil {
		return nil, fmt.Errorf("the units of the socket cannot be read: %w", err)
	}
	var streams []string
	for _, at := range u.Streams {
		if path.IsAbs(at) {
			streams = append(streams, path.Clean(at))
		}
	}
	if len(streams) == 0 {
		streams = []string{"/run/docker.sock"}
	}
	return streams, nil
}

// socket looks at one of the engine's sockets, and adds who may write to it to may.
func (t *tree) socket(p string, who people, may *controllers) (facts.EngineSocket, error) {
	out := facts.EngineSocket{Path: p, ACL: []string{}}
	var list []posixacl.Entry
	resolved, at, err := t.follow(p, func(fd int, _ *unix.Stat_t) (err error) {
		list, err = posixacl.Of(fd)
		return err
	})
	if err != nil || at == nil {
		return out, err
	}
	out.Path, out.Exists = resolved, true
	out.Owner, out.Group = who.book.UserName(at.Uid), who.book.GroupName(at.Gid)
	out.Mode = fmt.Sprintf("%04o", at.Mode&0o7777)
	if list == nil {
		list = []posixacl.Entry{{Kind: posixacl.Owner, Permissions: uint16(at.Mode >> 6 & 7)}, {Kind: posixacl.Group, Permissions: uint16(at.Mode >> 3 & 7)}}
	}
	for _, e := range list {
		writes := e.Permissions&posixacl.Write != 0
		switch e.Kind {
		case posixacl.Owner:
			if writes {
				may.user(at.Uid, "is the owner of "+resolved, resolved)
			}
		case posixacl.User:
			out.ACL = append(out.ACL, "user "+who.book.UserName(e.ID)+" "+letters(e.Permissions))
			if writes {
				may.user(e.ID, "is named in the access list of "+resolved, resolved)
			}
		case posixacl.Group:
			if writes {
				may.group(at.Gid, resolved)
			}
		case posixacl.Named:
			out.ACL = append(out.ACL, "group "+who.book.GroupName(e.ID)+" "+letters(e.Permissions))
			if writes {
				may.group(e.ID, resolved)
			}
		}
	}
	return out, nil
}

func letters(permissions uint16) string {
	out := ""
	for i, letter := range "rwx" {
		if permissions&(4>>i) != 0 {
			out += string(letter)
		}
	}
	return out
}

// controllers gathers who may control the engine, by name.
type controllers struct {
	book *accounts.Book
	all  map[string]*facts.Controller
}

func (c *controllers) user(uid uint32, way, socket string) {
	c.add(c.book.UserName(uid), int64(uid), way, socket)
}

func (c *controllers) group(gid uint32, socket string) {
	group, _ := c.book.Group(gid)
	name := c.book.GroupName(gid)
	for _, member := range c.book.Members(gid) {
		uid := int64(-1)
		if u, ok := c.book.UserNamed(member); ok {
			uid = int64(u.UID)
		}
		one := c.add(member, uid, "is in the group "+name+", which may write to "+socket, socket)
		if one != nil && slices.Contains(group.Members, member) && !slices.Contains(one.Groups, name) {
			one.Groups = append(one.Groups, name)
		}
	}
}

// add notes a way; root is none that needs one.
func (c *controllers) add(name string, uid int64, way, socket string) *facts.Controller {
	if uid == 0 {
		return nil
	}
	one := c.all[name]
	if one == nil {
		one = &facts.Controller{Name: name, UID: uid, Ways: []string{}, Groups: []string{}, Sockets: []string{}}
		c.all[name] = one
	}
	if !slices.Contains(one.Ways, way) {
		one.Ways = append(one.Ways, way)
	}
	if !slices.Contains(one.Sockets, socket) {
		one.Sockets = append(one.Sockets, socket)
	}
	return one
}

// socketPaths are those of the engine's sockets; more is why there may be others than
// the one that answers, which is seen.
func (c *collector) socketPaths(noHosts, seen string) (paths []string, more string) {
	if noHosts == "" {
		all, err := c.host.engineSockets(c.facts.Daemon.Config.Hosts)
		if err == nil {
			return slices.DeleteFunc(all, func(p string) bool { return !path.IsAbs(p) }), ""
		}
		noHosts = err.Error()
	}
	if !path.IsAbs(seen) {
		return nil, noHosts
	}
	return []string{seen}, noHosts
}

// access fills in the sockets and who may use them; open is why there may be more.
func (c *collector) access(who people, paths []string, open string) {
	h := &c.facts.Host
	h.Sockets, h.Controllers = []facts.EngineSocket{}, []facts.Controller{}
	if who.reason != "" {
		c.unseen("host.sockets", who.reason)
		c.unseen("host.controllers", who.reason)
		return
	}
	may := &controllers{book: who.book, all: map[string]*facts.Controller{}}
	for _, p := range paths {
		s, err := c.host.socket(p, who, may)
		if err != nil {
			open = "the socket " + p + " cannot be looked at"
			continue
		}
		if !slices.ContainsFunc(h.Sockets, func(o facts.EngineSocket) bool { return o.Path == s.Path }) {
			h.Sockets = append(h.Sockets, s)
		}
	}
	c.describeControllers(may, who.book)
	if len(who.elsewhere) > 0 && open == "" {
		c.unseen("host.controllers"+workload.Open, "users and groups of this host come from "+strings.Join(who.elsewhere, ", ")+" too, which was not asked")
	}
	if open != "" {
		c.unseen("host.sockets"+workload.Open, open)
		c.unseen("host.controllers"+workload.Open, open)
	}
}

// describeControllers tells of each whether and when the account was used.
func (c *collector) describeControllers(may *controllers, book *accounts.Book) {
	h := &c.facts.Host
	logins, err := c.host.open("/var/log/lastlog", unix.S_IFREG, "it is no regular file")
	if logins != nil {
		defer logins.Close()
	}
	for _, name := range slices.Sorted(maps.Keys(may.all)) {
		one := *may.all[name]
		at := fmt.Sprintf("host.controllers[%d].", len(h.Controllers))
		if u, ok := book.UserNamed(name); ok {
			one.Login = canLogIn(u.Shell)
		} else {
			c.unseen(at+"login", "the host's own files do not know "+name)
		}
		switch {
		case err != nil || logins == nil:
			c.unseen(at+"last_login", "/var/log/lastlog is not there, or may not be looked at")
		case one.UID < 0:
			c.unseen(at+"last_login", "the host's own files do not know "+name)
		default:
			var readErr error
			if one.LastLogin, readErr = lastLogin(logins, one.UID); readErr != nil {
				c.unseen(at+"last_login", "/var/log/lastlog cannot be read")
			}
		}
		h.Controllers = append(h.Controllers, one)
	}
}

// canLogIn is false for the shells that end at once.
func canLogIn(shell string) bool {
	return !slices.Contains([]string{"nologin", "false", "true", "sync", "shutdown", "halt"}, path.Base(shell))
}

// lastLogin reads a user's entry of lastlog: a time of 32 bits, a line and a host, by
// the user's number (glibc's bits/utmp.h).
func lastLogin(f *os.File, uid int64) (string, error) {
	const entryBytes = 4 + 32 + 256
	var seconds [4]byte
	switch _, err := f.ReadAt(seconds[:], uid*entryBytes); {
	case errors.Is(err, io.EOF):
		return "never", nil
	case err != nil:
		return "", fmt.Errorf("reading the last login of user %d: %w", uid, err)
	}
	if at := binary.NativeEndian.Uint32(seconds[:]); at != 0 {
		return time.Unix(int64(at), 0).UTC().Format(time.DateOnly), nil
	}
	return "never", nil
}
