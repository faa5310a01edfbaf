package collect

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// hostSeen is what of a host needs nothing that the engine says.
type hostSeen struct {
	security  facts.Security
	settings  facts.Settings
	unseen    missing
	people    people
	audit     audited
	listeners []facts.Listener
	// enginePackage is the version of Debian's package of the engine.
	enginePackage, noEnginePackage string
	// program is the engine's own, "" where that is not known.
	program string
}

// lookAtHost looks at the host beside the engine's calls.
func (c *collector) lookAtHost(peer engine.Peer) hostSeen {
	if c.host == nil {
		return hostSeen{noEnginePackage: c.noHost}
	}
	var out hostSeen
	out.security, out.unseen = c.host.security()
	settings, gone := c.host.settings()
	out.settings, out.unseen = settings, append(out.unseen, gone...)
	out.people, out.audit = c.host.people(), c.host.auditRules()
	var err error
	if out.listeners, err = c.host.listeners(); err != nil {
		out.listeners = []facts.Listener{}
		out.unseen.add("listeners", err.Error())
	}
	if out.enginePackage, err = c.host.installed("docker.io"); err != nil {
		out.noEnginePackage = "the packages of this host cannot be read: " + err.Error()
	}
	out.program = c.programOf(peer.PID)
	return out
}

// programOf is the program of the engine, whose process or systemd's is pid; "" where
// that is not known.
func (c *collector) programOf(pid int) string {
	if pid == 1 {
		pid = c.daemonOfSystemd()
	}
	if pid <= 0 {
		return ""
	}
	exe, err := os.Readlink(filepath.Join(c.proc(pid), "exe"))
	if name := filepath.Base(exe); err != nil || !strings.HasPrefix(name, "docker") {
		return ""
	}
	return strings.TrimSuffix(exe, " (deleted)")
}

// hostParts are the facts of a host that its own files and kernel tell.
var hostParts = []string{"kernels", "security", "settings", "data_partition", "sockets", "controllers", "audit", "audited", "listeners"}

// hostFacts makes facts of what was seen of the host.
func (c *collector) hostFacts(seen hostSeen, started configured, peer engine.Peer, mounts *workload.MountTable) {
	h := &c.facts.Host
	h.Kernels, h.Sockets, h.Controllers, h.Listeners = []string{}, []facts.EngineSocket{}, []facts.Controller{}, []facts.Listener{}
	h.Security.Modules, h.Audit.NotLoaded, h.Audited.DockerSockets = []string{}, []string{}, []facts.Watched{}
	if c.host == nil {
		for _, part := range hostParts {
			c.unseen("host."+part, c.noHost)
		}
		return
	}
	h.Security, h.Settings, h.Listeners = seen.security, seen.settings, seen.listeners
	for _, u := range seen.unseen {
		c.unseen("host."+u.Path, u.Reason)
	}
	if kernels, err := c.host.kernels(h.Kernel); err != nil {
		c.unseen("host.kernels", "/lib/modules cannot be read: "+err.Error())
	} else {
		h.Kernels = kernels
	}
	c.dataPartition(mounts)
	sockets, more := c.socketPaths(started.reason, peer.Path)
	c.access(seen.people, sockets, more)
	c.audit(seen.audit, started.config, seen.program)
	c.auditSockets(seen.audit, sockets, more)
}

// dataPartition finds the mount of the data root: by the table of what is mounted
// where the engine runs, or else by the numbers of the devices.
func (c *collector) dataPartition(mounts *workload.MountTable) {
	h := &c.facts.Host
	root := c.facts.Daemon.DataRoot
	if !strings.HasPrefix(root, "/") {
		c.unseen("host.data_partition", reasonSilent)
		return
	}
	resolved, at, err := c.host.follow(root, nil)
	if err != nil || at == nil {
		c.unseen("host.data_partition", root+" is not there, or may not be looked at")
		return
	}
	if mounts == nil {
		mounts = c.mountsOf(1)
	}
	if mounts != nil {
		own, found := mounts.Holds(resolved)
		whole, there := mounts.Holds("/")
		if found && there {
			h.DataPartition = facts.Partition{MountPoint: own.At, Device: own.Source, FileSystem: own.FileSystem, Separate: own.Device != whole.Device}
			return
		}
	}
	for _, part := range []string{"mount_point", "device", "file_system"} {
		c.unseen("host.data_partition."+part, "what is mounted there could not be read")
	}
	var top unix.Stat_t
	if err := unix.Fstat(c.host.root, &top); err != nil {
		c.unseen("host.data_partition.separate", "the root of the host may not be looked at")
		return
	}
	h.DataPartition.Separate = at.Dev != top.Dev
}
