package workload

import (
	"path"
	"slices"
	"strings"
)

// Mount is one thing mounted into a container.
type Mount struct {
	// Type is bind, volume, tmpfs, image, cluster or npipe.
	Type string `json:"type"`
	// Source is the host's path of a bind, the name of a volume ("" when it has
	// none), the image of an image mount.
	Source string `json:"source"`
	// Target is the path inside.
	Target string `json:"target"`
	// ReadOnly is true when nothing can be written through it.
	ReadOnly bool `json:"read_only"`
	// Propagation is rprivate unless asked otherwise.
	Propagation string `json:"propagation"`
	// Relabel is "shared" or "private" for the z and Z options: the engine then
	// rewrites the SELinux labels of the host's files.
	Relabel string `json:"relabel"`
	// From is the container that the mount was taken over from, or "".
	From string `json:"from"`
	// Subpath is the part of a volume or image that is mounted, or "".
	Subpath string `json:"subpath"`
	// Options are a tmpfs's options, sorted.
	Options []string `json:"options"`
	// Driver is a volume's driver; DriverOptions are its options, but for the
	// values of those that hold a password.
	Driver        string            `json:"driver"`
	DriverOptions map[string]string `json:"driver_options"`
	// HostPaths are the host's directories or devices that a bind, or a volume
	// of the local driver with options, makes visible.
	HostPaths []string `json:"host_paths"`
	// Exposes names what is known to lie at, below or around HostPaths, by
	// their spelling: words of hostPlaces, sorted.
	Exposes []string `json:"exposes"`
	// Resolved are HostPaths with links followed on the host, or the places that
	// are bound there under another path, and ResolvedExposes what lies there.
	// Unseen off the host.
	Resolved        []string `json:"resolved"`
	ResolvedExposes []string `json:"resolved_exposes"`
}

// A hostPlace is a part of the host with a name that rules can use.
type hostPlace struct {
	name  string
	paths []string // "*" in a path stands for one element
	// reach says which mounts expose the place.
	reach placeReach
}

// placeReach says whether a place is exposed by a mount of a part of it, by a
// mount of a folder that holds it, or by both.
type placeReach int

const (
	wholeOrPart placeReach = iota
	wholeOnly              // a part of it is something else
	partOnly               // a folder that may hold it is too common to say so
)

// hostPlaces is the one table of what host paths mean. Paths are the Filesystem
// Hierarchy Standard's and the engines' documented ones, with /run for /var/run.
var hostPlaces = []hostPlace{
	{"engine-socket", []string{"/run/docker.sock", "/run/user/*/docker.sock", "/run/podman/podman.sock",
		"/run/user/*/podman/podman.sock"}, wholeOnly},
	{"runtime-socket", []string{"/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock",
		"/run/crio/crio.sock", "/run/buildkit/buildkitd.sock", "/run/cri-dockerd.sock", "/run/k3s/containerd/containerd.sock"}, wholeOnly},
	{"system-bus", []string{"/run/dbus/system_bus_socket", "/run/systemd/private"}, wholeOnly},
	{"host-root", []string{"/"}, wholeOnly},
	{"boot", []string{"/boot"}, wholeOrPart},
	{"devices", []string{"/dev"}, wholeOrPart},
	{"system-config", []string{"/etc"}, wholeOrPart},
	{"programs", []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr"}, wholeOrPart},
	{"proc", []string{"/proc"}, wholeOrPart},
	{"sys", []string{"/sys"}, wholeOrPart},
	{"engine-data", []string{"/var/lib/docker", "/var/lib/containerd", "/run/docker", "/run/containerd"}, wholeOrPart},
	{"engine-data", []string{"/home/*/.local/share/docker"}, partOnly},
	{"host-keys", []string{"/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/etc/kubernetes", "/root/.ssh",
		"/home/*/.ssh", "/root/.docker", "/home/*/.docker", "/root/.aws", "/home/*/.aws", "/root/.kube",
		"/home/*/.kube", "/root/.gnupg", "/home/*/.gnupg", "/var/lib/kubelet"}, wholeOrPart},
	{"homes", []string{"/home", "/root"}, wholeOrPart},
	{"logs", []string{"/var/log"}, wholeOrPart},
	{"run", []string{"/run"}, wholeOnly},
	{"var", []string{"/var", "/var/lib"}, wholeOnly},
	{"schedules", []string{"/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/crontab",
		"/etc/systemd", "/var/spool/cron"}, wholeOrPart},
	{"schedules", []string{"/run/systemd/system", "/run/systemd/transient", "/run/systemd/generator", "/run/udev/rules.d"}, partOnly},
}

// harmlessPaths are files below the places above that are commonly and
// harmlessly mounted: time zone, certificates of authorities, the socket that
// takes log lines, and devices that every container has.
var harmlessPaths = []string{"/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo", "/etc/ssl/certs",
	"/usr/share/ca-certificates", "/etc/ca-certificates", "/etc/pki/ca-trust", "/usr/local/share/ca-certificates",
	"/dev/log", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// exposes names the places that a mount of the host's path p makes visible.
func exposes(p string) []string {
	p = canonicalHostPath(p)
	found := []string{}
	for _, h := range harmlessPaths {
		if within(p, h) {
			return found
		}
	}
	for _, place := range hostPlaces {
		for _, at := range place.paths {
			if place.reach != partOnly && inside(at, p) || place.reach != wholeOnly && inside(p, at) {
				found = append(found, place.name)
				break
			}
		}
	}
	return sortedUnique(found)
}

// exposes is exposes, and knows where this engine keeps its things.
func (a *Surroundings) exposes(p string) []string {
	found := exposes(p)
	p = canonicalHostPath(p)
	if slices.ContainsFunc(a.Sockets, func(s string) bool { return within(canonicalHostPath(s), p) }) {
		found = append(found, "engine-socket")
	}
	if data := canonicalHostPath(a.DataRoot); len(data) > 1 && (within(data, p) || within(p, data)) {
		found = append(found, "engine-data")
	}
	return sortedUnique(found)
}

// canonicalHostPath cleans p and writes /run for /var/run, which is a link to it
// on every system that follows the Filesystem Hierarchy Standard 3.0.
func canonicalHostPath(p string) string {
	p = cleanPath(p)
	if rest, ok := strings.CutPrefix(p, "/var/run"); ok && (rest == "" || rest[0] == '/') {
		return path.Clean("/run" + rest)
	}
	return p
}

// within is true when p is at or below dir.
func within(p, dir string) bool {
	rest, ok := strings.CutPrefix(p, dir)
	return dir == "/" || ok && (rest == "" || rest[0] == '/')
}

// inside is within where either side may have "*" for one element.
func inside(p, dir string) bool {
	if dir == "/" {
		return true
	}
	// The first letters tell most paths apart.
	if len(p) > 1 && len(dir) > 1 && p[0] == dir[0] && p[1] != dir[1] && p[1] != '*' && dir[1] != '*' {
		return false
	}
	for more := true; more; {
		var d, e string
		var rest bool
		d, dir, more = strings.Cut(dir, "/")
		e, p, rest = strings.Cut(p, "/")
		if d != e && d != "*" && e != "*" || more && !rest {
			return false
		}
	}
	return true
}

// localVolumePaths are the host's paths and places that a volume of the local
// driver shows through its mount options (type, o and device of mount(8)).
func localVolumePaths(options map[string]string) (paths, places []string) {
	device, kind := options["device"], options["type"]
	for _, o := range strings.Split(options["o"], ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(o), "=")
		switch name {
		case "bind", "rbind":
			paths = append(paths, cleanPath(device))
		case "lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir": // Linux's Documentation/filesystems/overlayfs.rst
			for _, p := range strings.Split(value, ":") {
				paths = append(paths, cleanPath(strings.ReplaceAll(p, `\`, "")))
			}
		}
	}
	switch kind {
	case "proc", "binfmt_misc": // which is a part of /proc/sys
		places = append(places, "proc")
	case "sysfs", "debugfs", "tracefs", "cgroup", "cgroup2", "cpuset", "securityfs", "selinuxfs", "smackfs", "bpf", "configfs", "efivarfs", "fusectl", "pstore":
		places = append(places, "sys")
	case "ecryptfs", "aufs", "shiftfs", "unionfs": // which show a folder anew
		paths = append(paths, cleanPath(device))
	case "devtmpfs":
		places = append(places, "devices")
	}
	if len(paths) == 0 && device != "" && (slices.Contains(diskFilesystems, kind) || strings.HasPrefix(device, "/") && within(cleanPath(device), "/dev")) {
		paths = append(paths, cleanPath(device)) // below the engine's own folder, which is /
		places = append(places, "block-device")
	}
	return sortedUnique(paths), places
}

// readOnlyVolume is true when the mount options of a volume of the local driver let
// nothing be written: ro, and an overlay without a folder to write to.
func readOnlyVolume(options map[string]string) bool {
	upper, readOnly := false, false
	for _, o := range strings.Split(options["o"], ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(o), "=")
		upper = upper || name == "upperdir"
		switch name {
		case "ro":
			readOnly = true
		case "rw":
			readOnly = false
		}
	}
	return readOnly || options["type"] == "overlay" && !upper
}

// diskFilesystems are those of Linux that are mounted from a block device,
// whatever path leads to it (Linux's Documentation/filesystems).
var diskFilesystems = []string{"ext2", "ext3", "ext4", "ubifs", "jffs2", "apfs", "xfs", "btrfs", "bcachefs", "f2fs", "jfs", "reiserfs", "nilfs2", "gfs2", "ocfs2",
	"vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "hfsplus", "zfs", "iso9660", "udf", "squashfs", "erofs", "cramfs", "minix", "ufs"}

// expose fills HostPaths, Exposes and, with a resolver around, Resolved.
func (m *Mount) expose(paths, places []string, around *Surroundings) bool {
	m.HostPaths = sortedUnique(paths)
	m.Exposes = append([]string{}, places...)
	shown := make(map[string][]string, len(m.HostPaths))
	for _, p := range m.HostPaths {
		shown[p] = around.exposes(p)
		m.Exposes = append(m.Exposes, shown[p]...)
	}
	m.Exposes = sortedUnique(m.Exposes)
	m.Resolved, m.ResolvedExposes = []string{}, []string{}
	if len(m.HostPaths) == 0 {
		return true
	}
	if around.Resolve == nil {
		return false
	}
	seen := true
	for _, p := range m.HostPaths {
		leads, err := around.Resolve(p)
		if err != nil {
			seen = false
			continue
		}
		resolved := leads[:1:1]
		for i, r := range leads {
			places, known := shown[r] // as for most, which are no links
			if !known {
				places = around.exposes(r)
				shown[r] = places
			}
			m.ResolvedExposes = append(m.ResolvedExposes, places...)
			switch {
			case i == 0 || len(places) == 0:
			case len(shown[resolved[0]]) == 0: // a name for the place that lies there
				resolved = []string{r}
			default:
				resolved = append(resolved, r)
			}
		}
		m.Resolved = append(m.Resolved, resolved...)
	}
	m.Resolved, m.ResolvedExposes = sortedUnique(m.Resolved), sortedUnique(m.ResolvedExposes)
	return seen
}
