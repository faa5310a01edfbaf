package workload

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// systemPaths reads what the runtime lays over parts of /proc and /sys: an
// empty tmpfs or /dev/null where nothing shall be read, a read-only mount of
// the thing itself where nothing shall be written (OCI runtime specification,
// maskedPaths and readonlyPaths). A path that this kernel does not have cannot
// be covered, so the lists may be longer.
func (v *insider) systemPaths() {
	s := v.spec
	for i := range v.mounts {
		m := &v.mounts[i]
		switch {
		case v.isMask(m):
			s.MaskedPaths = append(s.MaskedPaths, printable(m.target))
		case v.isReadonlyPath(m):
			s.ReadonlyPaths = append(s.ReadonlyPaths, printable(m.target))
		}
	}
	s.MaskedPaths, s.ReadonlyPaths = sortedUnique(s.MaskedPaths), sortedUnique(s.ReadonlyPaths)
	base, covered := 0, 0
	for _, p := range append(slices.Clone(baseMaskedPaths), baseReadonlyPaths...) {
		if v.files.exists(p[1:]) {
			base++
		}
	}
	for _, p := range append(slices.Clone(s.MaskedPaths), s.ReadonlyPaths...) {
		if slices.Contains(baseMaskedPaths, p) || slices.Contains(baseReadonlyPaths, p) {
			covered++
		}
	}
	switch {
	case base == 0:
		s.hide(reasonInside, "system_paths", "masked_paths", "readonly_paths")
		return
	case len(s.MaskedPaths)+len(s.ReadonlyPaths) == 0:
		s.SystemPaths = "unconfined"
		return
	case covered < base:
		s.SystemPaths = "custom"
	default:
		s.SystemPaths = "default"
	}
	s.hide(reasonInside, "masked_paths"+Open, "readonly_paths"+Open)
}

func (v *insider) isMask(m *mountEntry) bool {
	if !strings.HasPrefix(m.target, "/proc/") && !strings.HasPrefix(m.target, "/sys/") || within(m.target, "/sys/fs/cgroup") {
		return false
	}
	return m.fstype == "tmpfs" && m.unwritable() || m.root == "/null" && (m.fstype == "tmpfs" || m.fstype == "devtmpfs")
}

func (v *insider) isReadonlyPath(m *mountEntry) bool {
	for _, top := range []string{"/proc", "/sys"} {
		if t := v.mountAt(top); t != nil && m.target != top && m.device == t.device && m.target == path.Join(top, m.root) {
			return m.readOnly()
		}
	}
	return false
}

// givenLimit is how many mounts are told of. A container that may mount can have
// a hundred thousand (fs.mount-max).
const givenLimit = 1 << 10

// mountFields sorts the table into what the engine always mounts and what was
// given to this container.
func (v *insider) mountFields() {
	s := v.spec
	if root := v.mountAt("/"); root != nil {
		s.ReadOnlyRoot = root.readOnly()
	} else {
		s.hide(reasonInside, "read_only_root")
	}
	s.Tty = v.mountAt("/dev/console") != nil
	s.Init = slices.ContainsFunc(v.mounts, func(m mountEntry) bool { return m.initMount() })

	open, given := v.truncated, map[int64]bool{}
	for i := range v.mounts {
		m := &v.mounts[i]
		own, doubtful := v.engineMount(m)
		open, given[m.id] = open || doubtful, !own || doubtful
		if own || v.mountAt(m.target) != m {
			continue
		}
		volume := volumeRoot().FindStringSubmatch(m.root)
		switch {
		case volume != nil && isImageID(volume[1]):
			s.AnonymousVolumes = append(s.AnonymousVolumes, printable(m.target))
			continue
		case volume == nil && given[m.parent]:
			// A bind brings along what is mounted below it; whether this came so
			// or was asked for cannot be told.
			open = true
			continue
		}
		if len(s.Mounts) == givenLimit {
			open = true
			break
		}
		s.Mounts = append(s.Mounts, v.givenMount(m, volume))
	}
	slices.SortStableFunc(s.Mounts, func(x, y Mount) int { return strings.Compare(x.Target, y.Target) })
	s.AnonymousVolumes = sortedUnique(s.AnonymousVolumes)
	for i := range s.Mounts {
		v.hideMount(&s.Mounts[i], fmt.Sprintf("mounts[%d].", i))
	}
	if open {
		s.hide(reasonInside, "mounts"+Open)
	}
}

// writableCgroups is seen where the control groups are the engine's mount. In a
// user namespace that mount can be written to, and the files still belong to
// the host's root.
func (v *insider) writableCgroups() {
	s, seen, doubt := v.spec, false, false
	for i := range v.mounts {
		m := &v.mounts[i]
		if m.fstype != "cgroup" && m.fstype != "cgroup2" || !within(m.target, "/sys/fs/cgroup") {
			continue
		}
		own, doubtful := v.engineMount(m)
		seen, doubt = true, doubt || doubtful || !own
		s.WritableCgroups = s.WritableCgroups || !m.unwritable()
	}
	if initial, known := v.initial("user"); !seen || doubt || s.WritableCgroups && !(initial && known) {
		s.hide(reasonInside, "writable_cgroups")
	}
}

// engineMount is true for what every container has, and doubtful where the
// same line could come from a mount that was asked for.
func (v *insider) engineMount(m *mountEntry) (own, doubtful bool) {
	switch m.target {
	case "/":
		return true, false
	case "/proc":
		return m.fstype == "proc", v.late("/proc", "/dev")
	case "/sys":
		return m.fstype == "sysfs", v.late("/sys", "/dev/mqueue")
	case "/dev":
		return v.ownDev(), false
	case "/dev/pts":
		return m.fstype == "devpts", false
	case "/dev/mqueue":
		return m.fstype == "mqueue", false
	case "/dev/console":
		return m.fstype == "devpts", false
	case "/dev/shm":
		initial, seen := v.initial("ipc")
		switch {
		case m.fstype != "tmpfs" || m.root != "/" || v.fresh(m) && m.source != "shm":
			return false, false
		case m.source == "shm" || seen && initial:
			return true, false
		}
		return true, true
	case "/sys/fs/cgroup":
		if m.fstype == "tmpfs" {
			return m.root == "/", false
		}
	}
	switch {
	case m.engineFile() || m.initMount() || v.isMask(m) || v.isReadonlyPath(m):
		return true, false
	case (m.fstype == "cgroup" || m.fstype == "cgroup2") && within(m.target, "/sys/fs/cgroup"):
		return true, m.root != v.cgroups[m.controller()]
	case within(m.target, "/dev") && v.isDevice(m.target):
		// In a user namespace no device can be made, and each is mounted.
		return true, !slices.Contains(engineDevicePaths, m.target)
	case within(m.target, "/run/secrets") && m.fstype == "tmpfs":
		return true, true // swarm's secrets, or a tmpfs that was asked for
	}
	return false, false
}

// engineDevicePaths are the devices that every container has.
var engineDevicePaths = []string{"/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"}

func (v *insider) isDevice(target string) bool {
	mode, there := v.files.mode(strings.TrimPrefix(target, "/"))
	return there && mode&fs.ModeDevice != 0
}

// late is true for a mount that comes after one that the engine makes later:
// the host's own was then asked for in its place. Engines mount /proc, /dev,
// /sys and the message queue in this order, and what was asked for last.
func (v *insider) late(target, after string) bool {
	at, mounted := v.mountIndex[target]
	before, there := v.mountIndex[after]
	return mounted && there && at > before
}

// ownDev is true when /dev is the container's own and not the host's, or that
// of a container around.
func (v *insider) ownDev() bool {
	dev := v.mountAt("/dev")
	return dev != nil && dev.fstype == "tmpfs" && dev.root == "/" && !v.late("/dev", "/sys")
}

// fresh is true for a tmpfs that was made for this container: it came into
// being after the container's own /dev, which is made first, and within the
// seconds that a start takes. A tmpfs of the host's is older.
func (v *insider) fresh(m *mountEntry) bool {
	if m.fstype != "tmpfs" || m.root != "/" || !v.ownDev() {
		return false
	}
	dev, known := v.files.born("dev")
	at, seen := v.files.born(strings.TrimPrefix(m.target, "/"))
	return known && seen && !at.Before(dev) && at.Sub(dev) < 30*time.Second
}

// givenMount is what can be told of a mount that was asked for. A volume of the
// local driver is known by its place in the engine's data; a volume with mount
// options looks like a bind, so that the type of a directory stays unseen.
func (v *insider) givenMount(m *mountEntry, volume []string) Mount {
	out := Mount{Target: printable(m.target), ReadOnly: m.unwritable(), Propagation: m.propagation(), DriverOptions: map[string]string{},
		Options: []string{}, HostPaths: []string{}, Exposes: []string{}, Resolved: []string{}, ResolvedExposes: []string{}}
	mode, there := v.files.mode(strings.TrimPrefix(m.target, "/"))
	switch {
	case volume != nil:
		out.Type, out.Source, out.Subpath, out.Driver = "volume", printable(volume[1]), printable(volume[2]), "local"
	case v.fresh(m):
		out.Type = "tmpfs"
		for o := range m.options.each() {
			if o == "noexec" || o == "nosuid" || o == "nodev" {
				out.Options = append(out.Options, o)
			}
		}
		slices.Sort(out.Options)
	case there && !mode.IsDir():
		out.Type = "bind"
	}
	if out.Type == "" || out.Type == "bind" {
		out.Exposes = v.socketsBelow(m)
	}
	return out
}

// hideMount lists what is unseen of a mount at its final position.
func (v *insider) hideMount(m *Mount, at string) {
	s := v.spec
	hide := func(fields ...string) {
		for _, f := range fields {
			s.hide(reasonInside, at+f)
		}
	}
	hide("from", "relabel")
	switch m.Type {
	case "volume":
		// The engine binds volumes in without a word on propagation, and what
		// follows from that depends on the host's mounts.
		hide("propagation", "driver_options")
		return
	case "tmpfs":
		hide("options" + Open)
		return
	case "":
		hide("type", "subpath", "driver", "options", "driver_options")
	}
	if m.Propagation == "" || m.Type == "" && m.Propagation == "slave" {
		hide("propagation")
	}
	hide("source", "host_paths", "resolved", "resolved_exposes")
	if len(m.Exposes) > 0 {
		hide("exposes" + Open)
	} else {
		hide("exposes")
	}
}

// socketsBelow names the engine's and runtimes' sockets that a mount makes
// reachable: a socket must be there, and its path within its file system must
// be that of the socket, with or without /run (mostly a file system of its own).
func (v *insider) socketsBelow(m *mountEntry) []string {
	found := []string{}
	for _, place := range hostPlaces {
		if place.name != "engine-socket" && place.name != "runtime-socket" {
			continue
		}
		for _, p := range place.paths {
			if !strings.Contains(p, "*") && v.socketBelow(m, p) {
				found = append(found, place.name)
			}
		}
	}
	return sortedUnique(found)
}

func (v *insider) socketBelow(m *mountEntry, socket string) bool {
	for rest := socket; ; {
		file := path.Join(m.target, rest)
		if mode, there := v.files.mode(strings.TrimPrefix(file, "/")); there && mode.Type() == fs.ModeSocket {
			at := v.covering(file)
			within := path.Join(at.root, strings.TrimPrefix(file, at.target))
			if within == socket || within == strings.TrimPrefix(socket, "/run") {
				return true
			}
		}
		// The next shorter end of the path, and at last the target itself.
		if rest == "" {
			return false
		}
		if i := strings.IndexByte(rest[1:], '/'); i >= 0 {
			rest = rest[1+i:]
		} else {
			rest = ""
		}
	}
}
