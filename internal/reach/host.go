package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// power is whose power the engine has over its host.
type power int

const (
	ofRoot    power = iota
	ofUser          // the engine runs without root
	ofUnknown       // nobody said: only what is true of both is claimed
)

// container is one container as the host's kernel sees it.
type container struct {
	*workload.Spec
	power power
	// strong is true when root inside the container can act as root of the
	// host, or, where the engine runs without root, as the engine's user.
	strong          bool
	pid, network    string // the namespaces in effect, joins followed
	ipc             string
	all             bool // every privilege
	everyCapability bool
	// unmasked is true when root inside can write to the host's /proc/sys, which names
	// what the kernel runs on a crash.
	unmasked bool
}

// host gives what a container reaches of its host: the whole of it, or "", and
// the rest as parts of a sentence.
func (m *sharing) host(i int) (root string, parts []string) {
	c := m.container(i)
	if whys := c.whys(); len(whys) > 0 {
		root = c.who() + " on the host (" + strings.Join(whys, ", ") + ")"
	}
	whose := "the engine's user"
	if c.power == ofRoot {
		whose = "the host"
	}
	if c.pid == "host" {
		switch {
		case root != "" && c.power == ofRoot:
			parts = append(parts, "every process of it")
		case root != "":
			parts = append(parts, "every process of that user")
		default:
			parts = append(parts, "every process of "+whose+" (host pid namespace)")
		}
	}
	if c.network == "host" {
		// Without root the engine has a network of its own, which host is then.
		where := "the host"
		if c.power != ofRoot {
			where = "the engine's network"
		}
		parts = append(parts, "every port of "+where+" (host network)")
	}
	if c.ipc == "host" {
		parts = append(parts, "the shared memory of "+whose+" (host ipc namespace)")
	}
	if root == "" {
		if slices.ContainsFunc(c.Mounts, func(m workload.Mount) bool { return shows(&m, "engine-socket") }) {
			parts = append(parts, "a user of the host (engine socket)")
		}
		parts = append(parts, c.files()...)
	}
	return root, parts
}

func (m *sharing) container(i int) container {
	s := &m.facts.Containers[i]
	c := container{Spec: s, power: m.power, pid: m.pid.mode(i), network: m.network.mode(i), ipc: m.ipc.mode(i)}
	// An engine without root remaps all users to its own, which power says
	// already; any other remapping leaves root inside a stranger to the host.
	mine := m.power == ofUser || seen(s.Unseen, "userns_remapped") && !s.UsernsRemapped
	rootInside := s.User == "0" || seen(s.Unseen, "no_new_privileges") && !s.NoNewPrivileges
	c.strong = mine && rootInside
	c.all = s.Privileged && c.strong
	// AppArmor's default profile forbids that too.
	open := s.AppArmor == "unconfined" && seen(s.Unseen, "apparmor") || seen(m.facts.Unseen, "daemon.apparmor") && !m.facts.Daemon.AppArmor
	c.unmasked = s.SystemPaths == "unconfined" && seen(s.Unseen, "system_paths") && s.User == "0" && c.strong && c.power == ofRoot && open
	c.withoutUnseen()
	c.everyCapability = slices.Contains(s.CapAdd, "ALL") && c.strong && len(c.capabilities()) == len(rootCapabilities)
	return c
}

// withoutUnseen takes out what mounts are said to show where that was not observed.
func (c *container) withoutUnseen() {
	own := *c.Spec
	own.Mounts = slices.Clone(own.Mounts)
	for i := range own.Mounts {
		m := &own.Mounts[i]
		if !seen(c.Unseen, fmt.Sprintf("mounts[%d].exposes", i)) {
			m.Exposes, m.HostPaths = nil, nil
		}
		if !seen(c.Unseen, fmt.Sprintf("mounts[%d].resolved_exposes", i)) {
			m.Resolved, m.ResolvedExposes = nil, nil
		}
	}
	c.Spec = &own
}

func (c container) who() string {
	if c.power == ofRoot {
		return "root"
	}
	return "the engine's user"
}

// whys are the ways to the whole host, in a fixed order.
func (c container) whys() []string {
	var whys []string
	if slices.ContainsFunc(c.Mounts, func(m workload.Mount) bool { return shows(&m, "engine-socket") && !c.userSocket(&m) }) {
		whys = append(whys, "engine socket")
	}
	if c.exposes("runtime-socket") {
		whys = append(whys, "runtime socket")
	}
	if !c.strong {
		return whys
	}
	if c.all {
		whys = append(whys, "every privilege")
	}
	var writable []string
	for i := range c.Mounts {
		if c.writable(i) && c.leadsToAll(&c.Mounts[i]) {
			writable = append(writable, hostPaths(&c.Mounts[i])...)
		}
	}
	if len(writable) > 0 {
		whys = append(whys, "writable "+paths(writable))
	}
	if c.all {
		return whys
	}
	if len(whys) == 0 && c.power == ofRoot && c.exposes("system-bus") {
		whys = append(whys, "system bus")
	}
	if c.unmasked {
		whys = append(whys, "unmasked /proc/sys")
	}
	if c.everyCapability {
		whys = append(whys, "every capability")
	} else {
		if c.pid == "host" && c.has("CAP_SYS_PTRACE") {
			whys = append(whys, "host pid namespace with SYS_PTRACE")
		}
		whys = append(whys, c.capabilities()...)
	}
	return append(whys, c.devices()...)
}

// userSocket is true for a mount that shows no socket but those of users, whose
// engines run without root.
func (c container) userSocket(m *workload.Mount) bool {
	return c.power == ofRoot && !slices.ContainsFunc(hostPaths(m), func(p string) bool { return !within("/run/user")(p) && !within("/var/run/user")(p) })
}

// exposes is true when a mount shows a place, by its spelling or by where it
// leads.
func (c container) exposes(place string) bool {
	return slices.ContainsFunc(c.Mounts, func(m workload.Mount) bool { return shows(&m, place) })
}

func shows(m *workload.Mount, place string) bool {
	return slices.Contains(m.Exposes, place) || slices.Contains(m.ResolvedExposes, place)
}

func (c container) has(capability string) bool { return slices.Contains(c.Capabilities, capability) }

// writable is true when the i-th mount is seen to be.
func (c container) writable(i int) bool {
	return !c.Mounts[i].ReadOnly && seen(c.Unseen, fmt.Sprintf("mounts[%d].read_only", i))
}

// placesOfRoot are the places of the host by which whoever writes there becomes
// root: programs and their settings, what root runs on a schedule or a signal
// of the kernel (/proc/sys/kernel/core_pattern, /sys/kernel/uevent_helper), and
// the engine's own data. placesOfUser are those by which one becomes the user
// of an engine without root, who can write little else.
var (
	placesOfRoot = []string{"host-root", "boot", "system-config", "programs", "proc", "sys", "engine-data", "schedules", "run", "var"}
	placesOfUser = []string{"host-root", "homes", "engine-data", "run"}
)

// leadsToAll is true when writing to the mount leads to the whole host.
func (c container) leadsToAll(m *workload.Mount) bool {
	paths := hostPaths(m)
	all := func(test func(string) bool) bool {
		return !slices.ContainsFunc(paths, func(p string) bool { return !test(p) })
	}
	// A socket is written to, but not replaced.
	if len(paths) > 0 && all(func(p string) bool { return strings.HasSuffix(p, ".sock") }) {
		return false
	}
	// What lies in a user's home is that user's, an engine's data too.
	root := slices.ContainsFunc(placesOfRoot, func(p string) bool { return shows(m, p) }) && !(len(paths) > 0 && all(within("/home")))
	if shows(m, "homes") {
		root = root || slices.ContainsFunc(paths, within("/root"))
	}
	user := slices.ContainsFunc(placesOfUser, func(p string) bool { return shows(m, p) })
	switch c.power {
	case ofRoot:
		return root
	case ofUser:
		return user
	}
	return root && user
}

// within makes a test for paths at or below dir.
func within(dir string) func(string) bool {
	return func(p string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }
}

// rootCapabilities are those with which root inside becomes root of the host
// with nothing else: it mounts and reconfigures anything, loads code into the
// kernel, talks to hardware, or opens any file of the host by its handle.
var rootCapabilities = []string{"SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH"}

// capabilities are the root capabilities that the container has. In the user
// namespace of an engine without root only SYS_ADMIN has a meaning.
func (c container) capabilities() []string {
	var found []string
	for _, name := range rootCapabilities {
		if c.has("CAP_"+name) && (c.power == ofRoot || name == "SYS_ADMIN") {
			found = append(found, name)
		}
	}
	return found
}

// devices are the ways to the host's disks and memory. The nodes are root's, so
// an engine without root has none.
func (c container) devices() []string {
	if c.power != ofRoot {
		return nil
	}
	var found []string
	for i := range c.Devices {
		if d := &c.Devices[i]; isRaw(d) && strings.Contains(d.Permissions, "w") {
			found = append(found, "raw device "+d.HostPath)
		}
	}
	return append(found, c.deviceRules("w")...)
}

// isRaw is true for a disk or the memory, by the device's name or by what it is.
func isRaw(d *workload.Device) bool {
	raw := func(word string) bool { return word == "disk" || word == "memory" }
	return slices.ContainsFunc(d.Exposes, raw) || slices.ContainsFunc(d.ResolvedExposes, raw)
}

// deviceRules are the rules ("b 8:* rwm") that let the container use block
// devices or memory, character devices of major 1, for reading (r) or writing
// (w). The device files it makes itself, or has from a folder of the host.
func (c container) deviceRules(use string) []string {
	if !c.has("CAP_MKNOD") && !c.exposes("devices") {
		return nil
	}
	var found []string
	for _, rule := range c.DeviceRules {
		fields := strings.Fields(rule)
		if len(fields) != 3 || !strings.Contains(fields[2], use) {
			continue
		}
		major, minor, _ := strings.Cut(fields[1], ":")
		memory := (major == "1" || major == "*") && slices.Contains([]string{"*", "1", "2", "4"}, minor)
		disk := slices.Contains([]string{"21", "90", "162"}, major) // SCSI generic, flash and raw devices
		const opticalDisc = "11"
		if fields[0] == "a" || fields[0] == "b" && major != opticalDisc || fields[0] == "c" && (memory || disk) {
			found = append(found, "device rule "+rule)
		}
	}
	return found
}

// files are the parts about what is seen of the host's files, where that is not
// the whole host.
func (c container) files() []string {
	var readable, writable []string
	for i := range c.Mounts {
		m := &c.Mounts[i]
		switch {
		case !showsFiles(m):
		case c.writable(i):
			writable = append(writable, hostPaths(m)...)
		default:
			readable = append(readable, hostPaths(m)...)
		}
	}
	if c.strong && c.power == ofRoot {
		for i := range c.Devices {
			if d := &c.Devices[i]; isRaw(d) && strings.Contains(d.Permissions, "r") {
				readable = append(readable, d.HostPath)
			}
		}
		readable = append(readable, c.deviceRules("r")...)
	}
	form := func(words string, list []string) string { return "the host's files " + words + "(" + paths(list) + ")" }
	all := append(slices.Clone(writable), readable...)
	var parts []string
	switch {
	case len(all) == 0:
	case c.power != ofRoot:
		parts = append(parts, form("open to the engine's user ", all))
	case !c.strong:
		parts = append(parts, form("open to its user ", all))
	default:
		if len(writable) > 0 {
			parts = append(parts, form("", writable))
		}
		if len(readable) > 0 {
			parts = append(parts, form("read-only ", readable))
		}
	}
	return parts
}

// showsFiles is false for sockets, and for device nodes, which a mount alone
// does not open.
func showsFiles(m *workload.Mount) bool {
	for _, place := range append(slices.Clone(m.Exposes), m.ResolvedExposes...) {
		if !slices.Contains([]string{"engine-socket", "runtime-socket", "system-bus", "devices"}, place) {
			return true
		}
	}
	return false
}

// hostPaths are the paths by which a mount shows places of the host: as they
// are spelled or, where the spelling shows nothing, where they lead.
func hostPaths(m *workload.Mount) []string {
	switch {
	case len(m.Exposes) > 0 && len(m.HostPaths) > 0:
		return m.HostPaths
	case len(m.Exposes) == 0:
		return m.Resolved
	}
	// A file system of the kernel, mounted by a volume's options.
	var found []string
	for _, place := range m.Exposes {
		if place == "proc" || place == "sys" {
			found = append(found, "/"+place)
		}
	}
	return found
}

// paths writes a list of paths, each once.
func paths(list []string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	list = slices.Compact(list)
	return and(list, len(list))
}
