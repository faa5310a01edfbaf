package collect

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/accounts"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
)

const (
	// maxCertificates bounds how many files of registries are looked at, and
	// maxRegistries in how many folders they are looked for.
	maxCertificates = 64
	maxRegistries   = 256
)

// files makes facts of the host's files that the engine depends on: where this engine
// has them, by its configuration, and not where engines mostly do.
func (c *collector) files(started configured, peer engine.Peer) {
	c.facts.Files = []facts.File{}
	if c.host == nil {
		c.unseen("files", c.noHost)
		return
	}
	f := &finder{tracer: tracer{tree: c.host, folders: map[string]*lookedAt{}}, started: started, rootless: c.facts.Daemon.Rootless, uid: uint32(started.runsAs.UID)}
	f.readAccounts()
	folder, units := "/etc/docker", unitFolders
	if f.rootless && started.file != "" {
		folder = path.Dir(started.file)
		units = append([]string{path.Join(path.Dir(folder), "systemd/user")}, userUnitFolders...)
	}
	f.unit("docker.service", units)
	f.unit("docker.socket", units)
	f.unit("containerd.service", unitFolders)
	if f.rootless {
		units = append(slices.Clone(units), unitFolders...) // containerd's may be the host's
	}
	f.unitFolders(units)
	f.any("docker-folder", folder)
	f.certificates(path.Join(folder, "certs.d"))
	f.tls()
	f.sockets(peer)
	f.configured("daemon.json", started.file)
	f.any("default-docker", "/etc/default/docker")
	f.any("sysconfig-docker", "/etc/sysconfig/docker")
	f.containerd(peer)
	f.any("containerd-configuration", "/etc/containerd/config.toml")
	f.programs(c.programOf(peer.PID))
	f.any("client-configuration", "/root/.docker/config.json")
	c.facts.Files = f.found
}

// userUnitFolders are where systemd looks for a user's units, behind the user's own
// (systemd.unit(5)).
var userUnitFolders = []string{"/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"}

// finder looks at files, role by role.
type finder struct {
	tracer
	started  configured
	rootless bool
	uid      uint32 // the user that the engine runs as
	book     *accounts.Book
	// noUsers and noGroups are why names are not known, by number or at all.
	noUsers, noGroups string
	elsewhere         []string
	found             []facts.File
}

// readAccounts reads who there is, by the host's own files.
func (f *finder) readAccounts() {
	passwd, noPasswd := f.tree.read("/etc/passwd")
	group, noGroup := f.tree.read("/etc/group")
	f.book = accounts.Read(passwd, group)
	if noPasswd != nil {
		f.noUsers = "/etc/passwd cannot be read: " + noPasswd.Error()
	}
	if noGroup != nil {
		f.noGroups = "/etc/group cannot be read: " + noGroup.Error()
	}
	if nsswitch, err := f.tree.read("/etc/nsswitch.conf"); err == nil {
		f.elsewhere = accounts.Elsewhere(nsswitch)
	}
}

// own is true for the users whose files the engine's are.
func (f *finder) own(uid uint32) bool { return uid == 0 || f.rootless && uid == f.uid }

// add takes over what was found for a role: what is there, or cannot be seen, each
// file once, or else the first of those that are not.
func (f *finder) add(role string, list ...facts.File) {
	before := len(f.found)
	for _, one := range list {
		if (one.Exists || len(one.Unseen) > 0) && !slices.ContainsFunc(f.found[before:], func(other facts.File) bool { return other.Exists && other.Resolved == one.Resolved }) {
			f.found = append(f.found, one)
		}
	}
	switch {
	case len(f.found) > before:
	case len(list) > 0:
		f.found = append(f.found, list[0])
	default:
		f.found = append(f.found, absentFile(role, ""))
	}
}

// any adds what is there of the paths, which each serve a role.
func (f *finder) any(role string, paths ...string) {
	var list []facts.File
	for _, p := range paths {
		list = append(list, f.look(role, p))
	}
	f.add(role, list...)
}

// configured adds the file that the configuration names.
func (f *finder) configured(role, p string) {
	switch {
	case p != "":
		f.any(role, p)
	case f.started.config == nil:
		f.add(role, unseenFile(role, "", "how the engine is configured is not known: "+f.started.reason))
	default:
		f.add(role)
	}
}

// unit adds the unit that systemd has under a name, which is the first in its folders,
// and the drop-ins beside it.
func (f *finder) unit(name string, folders []string) {
	var list []facts.File
	var missing notHere
	note := func(one facts.File, err error) {
		if !missing.note(err) {
			list = append(list, one)
		}
	}
	found, dropIns := false, map[string]bool{}
	added := func(folder string) {
		names, err := f.tree.list(folder)
		if err != nil {
			note(unseenFile(name, folder, reasonOf(err)), err)
		}
		for _, own := range names {
			if path.Ext(own) == ".conf" && !dropIns[own] && len(dropIns) < maxCertificates {
				dropIns[own] = true
				list = append(list, f.look(name, path.Join(folder, own)))
			}
		}
	}
	for _, folder := range folders {
		if p := path.Join(folder, name); !found {
			t, err := f.trace(p)
			// A link to /dev/null says that there is to be no such unit.
			masked := err == nil && t.resolved == "/dev/null"
			if found = masked || err == nil && t.at != nil; found && !masked || err != nil {
				note(f.look(name, p), err)
			}
		}
		if found && folder == "/lib/systemd/system" {
			break // of a host that has its units in /usr/lib, it is a link
		}
		added(path.Join(folder, name+".d"))
	}
	for _, folder := range folders {
		added(path.Join(folder, allOfKind(name)))
	}
	if len(missing) > 0 {
		list = append(list, unseenFile(name, path.Join(folders[0], name), missing.reason()))
	}
	if len(list) == 0 {
		list = append(list, absentFile(name, path.Join(folders[0], name)))
	}
	f.add(name, list...)
}

// certificates adds what the engine presents to registries, and what it knows them by.
func (f *finder) certificates(folder string) {
	const role = "registry-certificate"
	var list []facts.File
	keys := []facts.File{}
	registries, err := f.tree.list(folder)
	if err != nil {
		list = append(list, unseenFile(role, folder, reasonOf(err)))
	}
	more := len(registries) > maxRegistries
	for _, registry := range registries[:min(len(registries), maxRegistries)] {
		names, err := f.tree.list(path.Join(folder, registry))
		if err != nil {
			var other otherKind
			if !errors.As(err, &other) {
				list = append(list, unseenFile(role, path.Join(folder, registry), reasonOf(err)))
			}
			continue
		}
		for _, name := range names {
			p := path.Join(folder, registry, name)
			ext := path.Ext(name)
			switch {
			case !slices.Contains([]string{".crt", ".cert", ".key"}, ext):
			case len(list)+len(keys) >= maxCertificates:
				more = true
			case ext == ".key":
				keys = append(keys, f.look("registry-key", p))
			default:
				list = append(list, f.look(role, p))
			}
		}
	}
	if more {
		const reason = "there are too many to look at all"
		list = append(list, unseenFile(role, folder, reason))
		keys = append(keys, unseenFile("registry-key", folder, reason))
	}
	f.add(role, list...)
	f.add("registry-key", keys...)
}

// tls adds the files of the engine's own listener.
func (f *finder) tls() {
	for _, one := range []struct{ role, option string }{{"tls-ca", "tlscacert"}, {"tls-certificate", "tlscert"}, {"tls-key", "tlskey"}} {
		p := ""
		if f.started.config != nil {
			p = f.started.config.Text(one.option)
		}
		f.configured(one.role, p)
	}
}

// sockets adds those that the engine listens on.
func (f *finder) sockets(peer engine.Peer) {
	const role = "docker-socket"
	var list []facts.File
	paths := []string{}
	if path.IsAbs(peer.Path) {
		paths = append(paths, peer.Path)
	}
	if f.started.config != nil {
		hosts := f.started.config.List("hosts")
		if len(hosts) > 0 || !f.rootless {
			more, err := f.tree.engineSockets(hosts)
			if err != nil {
				list = append(list, unseenFile(role, "", err.Error()))
			}
			paths = append(paths, more...)
		}
	} else {
		list = append(list, unseenFile(role, "", "how the engine is configured is not known: "+f.started.reason))
	}
	for _, p := range paths {
		list = append(list, f.look(role, p))
	}
	f.add(role, list...)
}

// containerd adds the socket of the containerd that runs the engine's containers.
func (f *finder) containerd(peer engine.Peer) {
	own, execRoot := "", "/run/docker"
	if f.started.config != nil {
		own, execRoot = f.started.config.Text("containerd"), f.started.config.Text("exec-root")
		if f.rootless && !f.started.config.IsSet("exec-root") && path.IsAbs(peer.Path) {
			execRoot = path.Join(path.Dir(peer.Path), "docker") // both are in $XDG_RUNTIME_DIR
		}
	}
	paths := []string{strings.TrimPrefix(own, "unix://")}
	if own == "" {
		paths = []string{"/run/containerd/containerd.sock", path.Join(execRoot, "containerd/containerd.sock")}
	}
	f.any("containerd-socket", paths...)
}
