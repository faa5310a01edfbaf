package collect

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/auditrule"
	"github.com/plimsoll/plimsoll/internal/dockerd"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

const (
	auditFile   = "/etc/audit/audit.rules"
	auditFolder = "/etc/audit/rules.d"
)

// audited is what the host says of its audit.
type audited struct {
	// kernel are the rules that it has; nil, with the reason, where it was not asked.
	kernel   *auditrule.Set
	status   auditrule.Status
	noKernel string
	// files are the rules that are loaded when it starts, from source; nil, with the
	// reason, where they cannot be read.
	files           *auditrule.Set
	source, noFiles string
}

// auditRules reads both.
func (t *tree) auditRules() audited {
	out := audited{noKernel: "the host's kernel is not the one that this program runs on"}
	if t.ownKernel() {
		set, status, err := auditrule.Kernel()
		switch {
		case errors.Is(err, auditrule.ErrNoAudit):
			out.kernel, out.noKernel = &auditrule.Set{}, ""
		case errors.Is(err, unix.EPERM) || errors.Is(err, unix.ECONNREFUSED):
			out.noKernel = "the kernel tells its audit rules to root of the host only"
		case err != nil:
			out.noKernel = err.Error()
		default:
			out.kernel, out.status, out.noKernel = set, status, ""
		}
	}
	var err error
	if out.files, out.source, err = t.auditFiles(); err != nil {
		out.noFiles = err.Error()
	}
	for _, set := range []*auditrule.Set{out.kernel, out.files} {
		if set != nil {
			set.Resolve(t.place, t.folder)
		}
	}
	return out
}

// auditFiles reads the rules that augenrules would load, or, without its folder, the
// file that auditctl is given.
func (t *tree) auditFiles() (*auditrule.Set, string, error) {
	names, err := t.list(auditFolder)
	if err != nil {
		return nil, auditFolder, err
	}
	var sources []auditrule.Source
	for _, name := range names {
		if path.Ext(name) != ".rules" {
			continue
		}
		data, err := t.read(path.Join(auditFolder, name))
		if err != nil {
			return nil, auditFolder, err
		}
		sources = append(sources, auditrule.Source{Name: path.Join(auditFolder, name), Data: data})
	}
	from := auditFolder
	if len(sources) == 0 {
		data, err := t.read(auditFile)
		if err != nil {
			return nil, auditFile, err
		}
		if data != nil {
			from, sources = auditFile, []auditrule.Source{{Name: auditFile, Data: data}}
		}
	}
	set, err := auditrule.Parse(auditrule.Merge(sources))
	return set, from, err
}

// place is where a file is, with the links on the way to it followed.
func (t *tree) place(p string) string {
	return path.Join(t.folder(path.Dir(p)), path.Base(p))
}

// folder is where a path leads, all links followed.
func (t *tree) folder(p string) string {
	resolved, _, err := t.follow(p, nil)
	if err != nil {
		return path.Clean(p)
	}
	return resolved
}

// audit fills in what is recorded of the engine's files.
func (c *collector) audit(read audited, started *dockerd.Config, exe string) {
	h := &c.facts.Host
	h.Audit = facts.Audit{Source: "the kernel", Enabled: read.status.Enabled != 0, Daemon: read.status.Daemon, NotLoaded: []string{}}
	set := read.kernel
	switch {
	case set == nil && read.files == nil:
		c.unseen("host.audit", read.noKernel)
	case set == nil:
		set, h.Audit.Source = read.files, read.source
		if h.Audit.Enabled = set.Enabled > 0; set.Enabled < 0 {
			c.unseen("host.audit.enabled", read.noKernel)
		}
		c.unseen("host.audit.daemon", read.noKernel)
		c.unseen("host.audit.not_loaded", read.noKernel)
	case read.files == nil:
		c.unseen("host.audit.not_loaded", read.noFiles)
	default:
		h.Audit.NotLoaded = read.kernel.Lacks(read.files)
	}
	for _, w := range c.watchedPaths(started, exe) {
		*w.into = facts.Watched{Path: w.paths[0], Rules: []string{}}
		found := slices.ContainsFunc(w.paths, func(p string) bool { return c.watched("host.audited."+w.name, p, w.into, set, read.noFiles) })
		if !found && w.unsure != "" {
			c.unseen("host.audited."+w.name, w.unsure)
		}
	}
}

// auditSockets fills in what is recorded of the engine's sockets; open is why there may
// be more.
func (c *collector) auditSockets(read audited, paths []string, open string) {
	set := read.kernel
	if set == nil {
		set = read.files
	}
	all := &c.facts.Host.Audited.DockerSockets
	*all = []facts.Watched{}
	for _, p := range paths {
		one := facts.Watched{Path: p, Rules: []string{}}
		if resolved, _, err := c.host.follow(p, nil); err == nil && slices.ContainsFunc(*all, func(other facts.Watched) bool { return other.Path == resolved }) {
			continue
		} else if err == nil {
			one.Path = resolved
		}
		c.watched(fmt.Sprintf("host.audited.docker_sockets[%d]", len(*all)), p, &one, set, read.noFiles)
		*all = append(*all, one)
	}
	if open != "" {
		c.unseen("host.audited.docker_sockets"+workload.Open, open)
	}
}

// watched fills in what set records of p, and is true where that is there, or cannot
// be seen.
func (c *collector) watched(fact, p string, into *facts.Watched, set *auditrule.Set, noSet string) bool {
	resolved, at, err := c.host.follow(p, nil)
	switch {
	case err != nil:
		c.unseen(fact, p+" cannot be looked at")
		return true
	case at == nil || resolved == "/dev/null": // a unit that is masked is none
		return false
	}
	into.Path, into.Exists = resolved, true
	if set == nil {
		c.unseen(fact+".recorded", noSet)
		c.unseen(fact+".rules", noSet)
		return true
	}
	into.Recorded, into.Rules = set.Recorded(resolved, at.Mode&unix.S_IFMT == unix.S_IFDIR)
	return true
}

// watchedPath is a part of the engine with the paths where it may be: the first that
// is there counts.
type watchedPath struct {
	name  string
	into  *facts.Watched
	paths []string
	// unsure is why it may be somewhere else.
	unsure string
}

// binFolders are where programs are.
var binFolders = []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/libexec/docker"}

// programs are the paths where a program of any of the names may be.
func programs(names ...string) []string {
	var paths []string
	for _, name := range names {
		for _, folder := range binFolders {
			paths = append(paths, path.Join(folder, name))
		}
	}
	return paths
}

func (c *collector) watchedPaths(started *dockerd.Config, exe string) []watchedPath {
	a := &c.facts.Host.Audited
	units := func(name string) []string {
		var paths []string
		for _, folder := range unitFolders {
			paths = append(paths, path.Join(folder, name))
		}
		return paths
	}
	dataRoot, noDataRoot := c.facts.Daemon.DataRoot, ""
	if !path.IsAbs(dataRoot) {
		dataRoot, noDataRoot = "/var/lib/docker", reasonSilent
	}
	containerd := []string{"/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock"}
	json := "/etc/docker/daemon.json"
	if started != nil {
		if own := started.Text("containerd"); path.IsAbs(own) {
			containerd = slices.Insert(containerd, 0, own)
		}
	}
	if own := c.facts.Daemon.Config.File; path.IsAbs(own) {
		json = own
	}
	dockerd := programs("dockerd", "docker-current")
	if exe != "" {
		dockerd = slices.Insert(dockerd, 0, exe)
	}
	return []watchedPath{
		{"dockerd", &a.Dockerd, dockerd, ""},
		{"run_containerd", &a.RunContainerd, []string{"/run/containerd"}, ""},
		{"data_root", &a.DataRoot, []string{dataRoot}, noDataRoot},
		{"etc_docker", &a.EtcDocker, []string{"/etc/docker"}, ""},
		{"docker_service", &a.DockerService, units("docker.service"), ""},
		{"docker_socket_unit", &a.DockerSocketUnit, units("docker.socket"), ""},
		{"containerd_socket", &a.ContainerdSocket, containerd, ""},
		{"default_docker", &a.DefaultDocker, []string{"/etc/default/docker"}, ""},
		{"daemon_json", &a.DaemonJSON, []string{json}, ""},
		{"containerd_config", &a.ContainerdConfig, []string{"/etc/containerd/config.toml"}, ""},
		{"sysconfig_docker", &a.SysconfigDocker, []string{"/etc/sysconfig/docker"}, ""},
		{"containerd", &a.Containerd, programs("containerd", "docker-containerd"), ""},
		{"shim", &a.Shim, programs("containerd-shim", "docker-containerd-shim"), ""},
		{"shim_runc_v1", &a.ShimRuncV1, programs("containerd-shim-runc-v1"), ""},
		{"shim_runc_v2", &a.ShimRuncV2, programs("containerd-shim-runc-v2"), ""},
		{"runc", &a.Runc, programs("runc", "docker-runc"), ""},
	}
}
