package collect

import (
	"path/filepath"

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
	case filepath.Clean(c.Root) != "/":
		root, err := openTree(c.Root)
		if err != nil {
			return nil, "the host's files may not be looked at by this user"
		}
		return root, ""
	case peer.PID <= 0:
		return nil, "the engine's process is not on this machine, or hidden"
	}
	proc := c.proc(peer.PID)
	root, err := openTree(filepath.Join(proc, "root"))
	if err != nil {
		root, err = openTree("/")
	}
	if err != nil {
		return nil, "the host's files may not be looked at by this user"
	}
	// After opening: a pid that was reused in between names another program.
	if name, err := readName(proc); err != nil || name != "dockerd" && (peer.PID != 1 || name != "systemd") {
		root.close()
		return nil, "what listens on the engine's socket is not the engine"
	}
	return root, ""
}
