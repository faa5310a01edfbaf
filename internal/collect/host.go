package collect

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/engine"
)

// openHost opens the files of the host that the engine runs on, or gives the
// reason why they cannot be looked at. A Root that is not this machine's own was
// named by the user, who knows whose files are there; otherwise what listens on
// the engine's socket must be the engine, for a socket may be forwarded.
func (c *collector) openHost(peer engine.Peer) (*tree, string) {
	switch {
	case c.Root == "":
		return nil, "the host's files were not looked at"
	case peer.Path == "":
		return nil, "the engine is on another machine, as far as can be told"
	case !c.sameUsers(peer.PID):
		return nil, "the users here are others than the host's: run this container with --userns host"
	case filepath.Clean(c.Root) != "/":
		root, err := openTree(c.Root)
		if err != nil {
			return nil, "the host's files may not be looked at by this user"
		}
		return root, ""
	case peer.PID <= 0 && c.Home.Inside:
		return nil, "the engine's process is hidden from this container: add --pid host"
	case peer.PID <= 0:
		return nil, "the engine's process is not on this machine, or hidden"
	}
	proc := c.proc(peer.PID)
	root, err := openTree(filepath.Join(proc, "root"))
	if err != nil {
		s := c.newSight(peer.PID)
		if s == nil {
			return nil, "what is mounted where the engine runs could not be read"
		}
		if root, err = openTree("/"); err != nil {
			return nil, "the host's files may not be looked at by this user"
		}
		root.sight = s
	}
	// After opening: a pid that was reused in between names another program.
	if name, err := readName(proc); err != nil || name != "dockerd" && (peer.PID != 1 || name != "systemd") {
		root.close()
		return nil, "what listens on the engine's socket is not the engine"
	}
	return root, ""
}

// sameUsers is false in a user namespace that is not the engine's: there, numbers
// of owners mean other users than on the host (user_namespaces(7)).
func (c *collector) sameUsers(pid int) bool {
	own, err := readBounded(unix.AT_FDCWD, "/proc/self/uid_map", nil)
	if err != nil || strings.Join(strings.Fields(string(own)), " ") == "0 0 4294967295" {
		return true // a kernel without the file has no such namespaces
	}
	if pid <= 0 {
		return false
	}
	its, err := os.ReadFile(filepath.Join(c.proc(pid), "uid_map"))
	return err == nil && bytes.Equal(own, its)
}
