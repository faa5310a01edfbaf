package workload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds for the walk through /dev.
const (
	devDepth   = 4
	devEntries = 1 << 12
)

// A deviceNode is a device file in /dev.
type deviceNode struct {
	path         string // inside
	kind         string // c or b
	major, minor uint32
	usable       bool // the device cgroup lets the caller read or write it
}

// engineDevices are the nodes that every container has, or that the engine
// lets every container make for itself (OCI runtime specification, default
// devices; 10:200 is /dev/net/tun, which older runtimes allow).
var engineDevices = []string{"c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:1", "c 5:2", "c 10:200"}

// engineDeviceRules are what a container's devices.list says where nothing was
// asked for.
var engineDeviceRules = append([]string{"b *:* m", "c *:* m", "c 136:* rwm"}, func() []string {
	rules := make([]string, len(engineDevices))
	for i, d := range engineDevices {
		rules[i] = d + " rwm"
	}
	return rules
}()...)

// deviceFields compares /dev and, on cgroup version 1, the list of what may be
// opened with what every container has; then it judges from these and the
// masks whether the container is privileged.
func (v *insider) deviceFields() {
	s := v.spec
	nodes, complete := v.extraDevices()
	rules, listed := v.deviceRules()
	sees := slices.ContainsFunc(nodes, func(n deviceNode) bool { return n.usable }) || slices.Contains(rules, "a *:* rwm")

	privileged, proven := v.privileged(sees)
	s.Privileged = privileged
	if !proven {
		s.hide(reasonInside, "privileged")
	}
	if !proven || privileged {
		// A privileged container has every device of the host without asking.
		s.hide(reasonInside, "devices", "device_rules")
		return
	}
	left := map[string]bool{}
	for _, r := range rules {
		left[r] = true
	}
	for _, r := range engineDeviceRules {
		delete(left, r)
	}
	given := []Device{}
	for _, n := range nodes {
		if !n.usable {
			continue
		}
		d := Device{ContainerPath: printable(n.path), Exposes: []string{}, ResolvedExposes: []string{}}
		if word := nodeExposes(fmt.Sprintf("%s %d:%d", n.kind, n.major, n.minor)); word != "" {
			d.ResolvedExposes = append(d.ResolvedExposes, word)
		}
		for r := range left {
			if permissions, found := strings.CutPrefix(r, fmt.Sprintf("%s %d:%d ", n.kind, n.major, n.minor)); found {
				d.Permissions = permissions
				delete(left, r)
			}
		}
		given = append(given, d)
	}
	slices.SortFunc(given, func(a, b Device) int { return strings.Compare(a.ContainerPath, b.ContainerPath) })
	s.Devices = given
	for i, d := range given {
		for _, name := range []string{"host_path", "exposes", "resolved"} {
			s.hide(reasonInside, fmt.Sprintf("devices[%d].%s", i, name))
		}
		if d.Permissions == "" {
			s.hide(reasonInside, fmt.Sprintf("devices[%d].permissions", i))
		}
	}
	if !listed || !complete || len(left) > 0 {
		// A device may have been given outside /dev.
		s.hide(reasonInside, "devices"+Open)
	}
	if !listed || len(left) > 0 || len(given) > 0 {
		s.hide(reasonInside, "device_rules")
	}
}

// privileged decides from what only --privileged does all at once: nothing is
// masked, /sys can be written, nearly all capabilities are there, and so are
// devices of the host. One that is missing disproves it where the engine would
// have given it whatever else was asked; anything between is unproven.
func (v *insider) privileged(devices bool) (is, proven bool) {
	s := v.spec
	sys := v.mountAt("/sys")
	switch {
	case s.SystemPaths == "default" || s.SystemPaths == "custom":
		return false, true
	case sys != nil && sys.fstype == "sysfs" && sys.readOnly() && !s.ReadOnlyRoot:
		return false, true
	case s.SystemPaths == "unconfined" && sys != nil && sys.fstype == "sysfs" && !sys.unwritable() && devices &&
		len(s.Capabilities) >= len(capabilityNames)-4 && len(without(hostCapabilities, s.Capabilities)) == 0:
		// Four may be missing: an engine or a host that is itself confined
		// cannot give what it lacks, and older engines know fewer.
		return true, true
	}
	return false, false
}

// hostCapabilities are those that make a container the host's equal.
var hostCapabilities = []string{"CAP_DAC_READ_SEARCH", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO"}

// deviceRules reads cgroup version 1's list; version 2 keeps it in a program
// that cannot be read.
func (v *insider) deviceRules() ([]string, bool) {
	l := v.controller("devices")
	if l.dir == "" || l.v2 {
		return nil, false
	}
	data, err := l.files.read(l.dir+"/devices.list", smallLimit)
	if err != nil {
		return nil, false
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), true
}

// extraDevices walks /dev for device files beyond the engine's; complete is
// false where a part was not looked at.
func (v *insider) extraDevices() (nodes []deviceNode, complete bool) {
	w := deviceWalk{files: v.files, left: devEntries, complete: true}
	w.walk("dev", 0)
	return w.nodes, w.complete
}

type deviceWalk struct {
	files    insideFiles
	left     int
	complete bool
	nodes    []deviceNode
}

func (w *deviceWalk) walk(dir string, depth int) {
	// Terminals come and go, and the two others are file systems of files.
	if slices.Contains([]string{"dev/pts", "dev/shm", "dev/mqueue"}, dir) {
		return
	}
	file, err := w.files.root.OpenFile(dir, os.O_RDONLY|unix.O_NONBLOCK|unix.O_DIRECTORY, 0)
	if err != nil || depth > devDepth {
		w.complete = false
		return
	}
	defer file.Close()
	entries, err := file.ReadDir(w.left + 1)
	if err != nil && !errors.Is(err, io.EOF) || len(entries) > w.left {
		w.complete = false
		return
	}
	w.left -= len(entries)
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.IsDir():
			w.walk(name, depth+1)
		case e.Type()&fs.ModeDevice != 0:
			w.node(int(file.Fd()), e.Name(), "/"+name)
		}
	}
}

func (w *deviceWalk) node(dir int, name, at string) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		w.complete = false
		return
	}
	n := deviceNode{path: at, kind: "c", major: unix.Major(st.Rdev), minor: unix.Minor(st.Rdev)}
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		n.kind = "b"
	}
	if slices.Contains(engineDevices, fmt.Sprintf("%s %d:%d", n.kind, n.major, n.minor)) || at == "/dev/console" {
		return
	}
	// access(2) asks the device cgroup too, without opening the device. EPERM
	// is its answer, EACCES that of the file's permissions, which say nothing
	// on what the container was given.
	for _, want := range []uint32{unix.R_OK, unix.W_OK} {
		if err := unix.Faccessat(dir, name, want, 0); err == nil {
			n.usable = true
		} else if err != unix.EPERM {
			w.complete = false
		}
	}
	w.nodes = append(w.nodes, n)
}
