package workload

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Inside is how the container that plimsoll itself runs in is looked at.
type Inside struct {
	// Root is the directory that holds /proc, /sys, /dev and /etc; "" is "/".
	Root string
	// EnvKey is the key that environment values are hashed with; nil for none.
	EnvKey []byte
}

// ErrNotInside is returned where nothing speaks of a container. The command
// line tells it from a file that could not be read.
var ErrNotInside = errors.New("this does not look like a container: no container id in /proc/self/cgroup, " +
	"no engine's file over /etc/hostname, /etc/hosts or /etc/resolv.conf, and no /.dockerenv in namespaces of its own; " +
	"run plimsoll in the container that shall be judged (docker exec), or judge this host without --inside")

// FromInside makes a Spec of the container that the caller runs in, from /proc
// and /sys alone, for people whose host is somebody else's. No engine is
// needed, and nothing is tried that could change anything.
//
// It says what the kernel enforces, not what was asked for. Where the two are
// the same thing, the value is that of FromInspect; where one reading of the
// kernel's files fits several requests, the field is unseen. These differ on
// purpose, because the kernel's word is the truer one:
//   - user, group, group_add: numbers, where a name was asked for; and of a
//     first process that changed its user since, the user that it has now;
//   - executable: what the first process runs now, if it replaced itself;
//   - capabilities: without those that the engine did not have to give;
//   - env: with the variables that a start script added before it replaced
//     itself;
//   - mounts: read_only is also true where the file system itself is; shared
//     and slave do not say whether it was asked recursively; a nameless volume
//     that was taken over from another container counts as the container's own;
//   - resources: 1024 CPU shares are none, CPU sets are spelled as the kernel
//     does, unlimited swap without a limit of memory is nothing.
//
// The error is ErrNotInside where there is no container, else it names the
// file that could not be read or understood.
func FromInside(in Inside) (Spec, error) {
	if in.Root == "" {
		in.Root = "/"
	}
	root, err := os.OpenRoot(in.Root)
	if err != nil {
		return Spec{}, fmt.Errorf("looking at the container from inside: %w", err)
	}
	defer root.Close()
	s := Spec{Origin: OriginInside}
	v := insider{spec: &s, files: insideFiles{root}, envKey: in.EnvKey}
	if err := v.look(); err != nil {
		return Spec{}, fmt.Errorf("looking at the container from inside: %w", err)
	}
	v.fill()
	s.finish()
	return s, nil
}

// insider fills one Spec from the files that the kernel shows.
type insider struct {
	spec   *Spec
	files  insideFiles
	envKey []byte

	// What look has read.
	mounts     []mountEntry
	mountIndex map[string]int // the last of mounts at each target
	truncated  bool           // mounts has only the first part of the table
	processes  []insideProcess
	self       insideProcess
	first      insideProcess
	firstSeen  bool // first is the container's first process for sure
	cgroups    map[string]string
	ns         map[string]uint64 // inode numbers; a kind that cannot be read is missing
}

// look reads what everything else depends on.
func (v *insider) look() error {
	var err error
	if v.self, err = v.process("self"); err != nil {
		return err
	}
	table, err := v.files.read("proc/self/mountinfo", mountinfoLimit)
	if v.truncated = errors.Is(err, errLong); err != nil && !v.truncated {
		return err
	}
	if v.truncated {
		table = wholeLines(table)
	}
	if v.mounts, err = parseMountinfo(table); err != nil {
		return fmt.Errorf("reading /proc/self/mountinfo: %w", err)
	}
	if len(v.mounts) == 0 {
		return errors.New("reading /proc/self/mountinfo: no mount is listed; mount /proc in the container")
	}
	v.mountIndex = make(map[string]int, len(v.mounts))
	for i, m := range v.mounts {
		v.mountIndex[m.target] = i
	}
	if err := v.findProcesses(); err != nil {
		return err
	}
	raw, err := v.files.read("proc/"+v.first.dir+"/cgroup", smallLimit)
	if err != nil {
		return err
	}
	if v.cgroups, err = parseCgroup(raw); err != nil {
		return fmt.Errorf("reading /proc/%s/cgroup: %w", v.first.dir, err)
	}
	v.ns = v.readNamespaces()
	if !v.inContainer() {
		return ErrNotInside
	}
	return nil
}

// inContainer looks for what only an engine leaves behind. /.dockerenv alone
// is no sign: it stays in a root file system that was exported to a machine.
func (v *insider) inContainer() bool {
	for _, p := range v.cgroups {
		if _, id, _ := containerCgroup(p); id != "" {
			return true
		}
	}
	for _, m := range v.mounts {
		if m.engineFile() {
			return true
		}
	}
	if v.files.exists(".dockerenv") || v.files.exists("run/.containerenv") {
		for _, kind := range []string{"pid", "uts", "ipc", "user"} {
			if inode, seen := v.ns[kind]; seen && inode != initialNamespaces[kind] {
				return true
			}
		}
	}
	return false
}

// insideNever are the parts of a Spec that leave no trace that could be told
// from another's: what was asked of the engine and what it keeps to itself.
var insideNever = []string{
	"name", "image", "labels", "cap_add", "cap_drop", "apparmor_asked", "selinux_labels", "selinux_disabled",
	"volumes_from", "volume_driver", "storage_options", "device_requests",
	"ports", "exposed_ports", "publish_all", "networks", "links", "mac_address", "ip_addresses", "dns", "dns_options",
	"dns_search", "extra_hosts", "restart", "healthcheck", "runtime", "log_driver", "log_options", "sysctls",
	"cgroup_parent", "auto_remove", "open_stdin", "stop_signal", "stop_timeout_seconds", "annotations",
	"namespaces.user",
	"resources.swappiness", "resources.cpu_realtime_runtime_microseconds", "resources.cpu_realtime_period_microseconds",
	"resources.ulimits", "resources.blkio_weight", "resources.blkio_weight_devices",
	"live.created", "live.started", "live.pid", "live.restart_count", "live.oom_killed", "live.health", "live.execs",
}

// fill sets or hides every field, in an order where later ones use earlier.
func (v *insider) fill() {
	v.empty()
	v.spec.hide(reasonInside, insideNever...)
	v.processFields()
	v.environment()
	v.securityFields()
	v.namespaceFields()
	v.systemPaths()
	v.mountFields()
	v.writableCgroups()
	v.deviceFields()
	v.resourceFields()
	v.liveFields()
}

// empty makes the lists and maps that stay unseen empty instead of missing.
func (v *insider) empty() {
	s := v.spec
	none := map[string]string{}
	s.Labels, s.StorageOptions, s.Sysctls, s.Annotations = none, clone(none), clone(none), clone(none)
	for _, l := range []*[]string{&s.GroupAdd, &s.Env, &s.EnvEmpty, &s.CapAdd, &s.CapDrop, &s.Capabilities, &s.SELinuxLabels, &s.MaskedPaths,
		&s.ReadonlyPaths, &s.AnonymousVolumes, &s.DeviceRules, &s.ExposedPorts, &s.Networks, &s.Links, &s.IPAddresses, &s.DNS,
		&s.DNSOptions, &s.DNSSearch, &s.ExtraHosts, &s.LogOptions, &s.Image.Tags, &s.Image.Digests} {
		*l = []string{}
	}
	s.Mounts, s.VolumesFrom, s.Devices, s.DeviceRequests, s.Ports = []Mount{}, []Join{}, []Device{}, []DeviceRequest{}, []Port{}
	r := &s.Resources
	r.Ulimits = []Ulimit{}
	for _, l := range []*[]DeviceRate{&r.BlkioWeightDevices, &r.ReadBps, &r.WriteBps, &r.ReadIops, &r.WriteIops} {
		*l = []DeviceRate{}
	}
	s.Live = Live{Processes: []Process{}, Execs: []Exec{}}
}

// initialNamespaces are the inode numbers of the namespaces that the kernel
// itself starts with, by the name of their link in /proc/PID/ns
// (include/uapi/linux/nsfs.h; the first five are as old as the links). A
// namespace with such a number is the host's, without doubt; one without may
// still be that of an engine that itself runs in a container.
var initialNamespaces = map[string]uint64{
	"ipc": 0xEFFFFFFF, "uts": 0xEFFFFFFE, "user": 0xEFFFFFFD, "pid": 0xEFFFFFFC, "cgroup": 0xEFFFFFFB,
}

var namespaceLink = lazy(`^[a-z]+:\[([0-9]{1,20})\]$`)

func (v *insider) readNamespaces() map[string]uint64 {
	found := map[string]uint64{}
	for kind := range initialNamespaces {
		link, err := v.files.root.Readlink("proc/self/ns/" + kind)
		if err != nil {
			continue
		}
		if m := namespaceLink().FindStringSubmatch(link); m != nil {
			if inode, ok := decimal(m[1]); ok {
				found[kind] = uint64(inode)
			}
		}
	}
	return found
}

// initial is true when the container uses the kernel's own namespace of kind;
// seen is false where the link could not be read.
func (v *insider) initial(kind string) (is, seen bool) {
	inode, seen := v.ns[kind]
	return inode == initialNamespaces[kind], seen
}

func (v *insider) namespaceFields() {
	s, n := v.spec, &v.spec.Namespaces
	known := func(field *string, path, value string) {
		if *field = value; value == "" {
			s.hide(reasonInside, "namespaces."+path)
		}
	}
	known(&n.PID, "pid", v.pidNamespace())
	known(&n.UTS, "uts", v.utsNamespace())
	v.names()
	known(&n.IPC, "ipc", v.ipcNamespace())
	known(&n.Cgroup, "cgroup", v.cgroupNamespace())
	// Some settings of the network exist in the kernel's first network
	// namespace only (net/core/sysctl_net_core.c, net_core_table).
	network := ""
	if v.files.exists("proc/sys/net/core/netdev_max_backlog") {
		network = "host"
	}
	known(&n.Network, "network", network)

	initial, seen := v.initial("user")
	if seen && initial {
		return
	}
	raw, err := v.files.read("proc/self/uid_map", smallLimit)
	outside, mapped := rootOutside(raw)
	if s.UsernsRemapped = err == nil && mapped && outside != 0; !s.UsernsRemapped {
		// Root may be root of the namespace around, which may be remapped.
		s.hide(reasonInside, "userns_remapped")
	}
}

// names: the id in the cgroup's path, and the host name and domain, which are
// what was asked for only where they are the container's own.
func (v *insider) names() {
	s := v.spec
	if _, s.ID, _ = v.ownCgroup(); s.ID == "" {
		s.hide(reasonInside, "id")
	}
	s.Hostname = v.hostname()
	if s.Domainname = v.files.line("proc/sys/kernel/domainname"); s.Domainname == "(none)" {
		s.Domainname = ""
	}
	if s.Namespaces.UTS != "private" {
		s.hide(reasonInside, "hostname", "domainname")
	}
}

// pidNamespace: a namespace whose process 1 is the container's own was made
// for it; kernel threads are seen in the host's only.
func (v *insider) pidNamespace() string {
	if initial, seen := v.initial("pid"); seen && initial {
		return "host"
	}
	if v.firstSeen && v.first.pid == 1 {
		return "private"
	}
	if status, err := v.readStatus("2"); err == nil && status.name == "kthreadd" && status.ppid == 0 {
		return "host"
	}
	return ""
}

// utsNamespace: a host name that is the beginning of the container's own id was
// set by the engine, so the names are not the host's.
func (v *insider) utsNamespace() string {
	initial, seen := v.initial("uts")
	switch {
	case seen && initial:
		return "host"
	case len(v.hostname()) == 12 && slices.ContainsFunc(v.ids(), func(id string) bool { return strings.HasPrefix(id, v.hostname()) }):
		return "private"
	}
	return ""
}

// ipcNamespace: private, shareable and another container's look the same.
func (v *insider) ipcNamespace() string {
	initial, seen := v.initial("ipc")
	switch {
	case seen && initial:
		return "host"
	case seen && v.mountAt("/dev/shm") == nil:
		return "none"
	}
	return ""
}

// cgroupNamespace: a path that shows the container's own id is seen from
// above, "/" from the container's own.
func (v *insider) cgroupNamespace() string {
	initial, seen := v.initial("cgroup")
	_, id, known := v.ownCgroup()
	switch {
	case seen && initial, id != "":
		return "host"
	case seen && known:
		return "private"
	}
	return ""
}

func (v *insider) hostname() string { return v.files.line("proc/sys/kernel/hostname") }

// ids are the container ids that the files speak of: the own one in the
// cgroup's path, and that of the container whose network is used in the
// engine's files, which is mostly the own one too.
func (v *insider) ids() []string {
	var ids []string
	if _, id, _ := v.ownCgroup(); id != "" {
		ids = append(ids, id)
	}
	for _, m := range v.mounts {
		if m.engineFile() {
			ids = append(ids, containerID(m.root))
		}
	}
	return ids
}

// rootOutside reads uid_map (user_namespaces(7)): the id, one namespace up, of
// the user that is 0 inside.
func rootOutside(uidMap []byte) (outside int64, mapped bool) {
	for _, line := range strings.Split(string(uidMap), "\n") {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "0" {
			continue
		}
		if n, ok := decimal(f[1]); ok {
			return n, true
		}
	}
	return 0, false
}
