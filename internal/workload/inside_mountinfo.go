package workload

import (
	"bytes"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
)

// mountEntry is a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mountEntry struct {
	id, parent int64
	device     string // major:minor
	// root is what of the file system is mounted, as a path within that file
	// system: not within the host.
	root    string
	target  string
	options options  // of this mount
	tags    []string // shared:N, master:N, …
	fstype  string
	source  string
	super   options // of the file system
}

// options are a mount's, parted by commas. Most are never looked at.
type options string

func (o options) each() iter.Seq[string] { return strings.SplitSeq(string(o), ",") }

func (o options) has(option string) bool {
	for one := range o.each() {
		if one == option {
			return true
		}
	}
	return false
}

// parseMountinfo reads the whole table; an error names the line.
func parseMountinfo(data []byte) ([]mountEntry, error) {
	var all []mountEntry
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		m, err := parseMountLine(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func parseMountLine(line string) (mountEntry, error) {
	// The separator is the first field after the sixth that is "-" alone.
	f := strings.Split(line, " ")
	if len(f) < 10 {
		return mountEntry{}, fmt.Errorf("%d fields where a mount has at least 10", len(f))
	}
	dash := slices.Index(f[6:], "-")
	if dash < 0 {
		return mountEntry{}, fmt.Errorf("no separator before the type of the file system")
	}
	after := f[6+dash+1:]
	if len(after) < 3 {
		return mountEntry{}, fmt.Errorf("%d fields after the separator where a mount has 3", len(after))
	}
	m := mountEntry{device: f[2], root: unescapeOctal(f[3]), target: unescapeOctal(f[4]), options: options(f[5]),
		tags: f[6 : 6+dash], fstype: unescapeOctal(after[0]), source: unescapeOctal(after[1]),
		super: options(strings.Join(after[2:], " "))}
	var ok, fine bool
	m.id, ok = decimal(f[0])
	if m.parent, fine = decimal(f[1]); !ok || !fine {
		return mountEntry{}, fmt.Errorf("%q and %q where a mount has its number and its parent's", f[0], f[1])
	}
	if m.fstype == "" {
		return mountEntry{}, fmt.Errorf("no type of the file system")
	}
	if !strings.HasPrefix(m.target, "/") {
		return mountEntry{}, fmt.Errorf("%q where a mount has its path", m.target)
	}
	return m, nil
}

// unescapeOctal undoes what the kernel does to space, tab, newline and
// backslash in a path: \040 and the like. Anything else stays.
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '3' && isOctal(s[i+2]) && isOctal(s[i+3]) {
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

// readOnly is true for the mount alone, whatever the file system is.
func (m *mountEntry) readOnly() bool { return m.options.has("ro") }

// unwritable is true when the mount or the whole file system is read-only.
func (m *mountEntry) unwritable() bool { return m.readOnly() || m.super.has("ro") }

// superValue is the value of an option of the file system, "" when not given.
func (m *mountEntry) superValue(name string) string {
	for o := range m.super.each() {
		if value, found := strings.CutPrefix(o, name+"="); found {
			return value
		}
	}
	return ""
}

// propagation is the word for the tags; "" where it is more than one.
func (m *mountEntry) propagation() string {
	word := "rprivate"
	for _, t := range m.tags {
		kind, _, _ := strings.Cut(t, ":")
		next := map[string]string{"shared": "shared", "master": "slave"}[kind]
		switch {
		case next == "":
		case word != "rprivate":
			return ""
		default:
			word = next
		}
	}
	return word
}

var (
	// containerIDs finds an engine's id as an element of a path, with the
	// decorations of systemd's cgroup driver and of other engines.
	containerIDs = lazy(`^(?:[a-z][a-z-]*-)?([0-9a-f]{64})(?:\.scope)?$`)
	volumeRoot   = lazy(`/volumes/([^/]+)/_data(?:/(.+))?$`)
	kubeletHosts = lazy(`/pods/[0-9a-f-]{36}/etc-hosts$`)
)

// containerID is the last container id in a path, or "".
func containerID(p string) string {
	elements := strings.Split(p, "/")
	for i := len(elements) - 1; i >= 0; i-- {
		if m := containerIDs().FindStringSubmatch(elements[i]); m != nil {
			return m[1]
		}
	}
	return ""
}

// engineFile is true for the files that an engine writes for each container and
// mounts over the image's.
func (m *mountEntry) engineFile() bool {
	switch m.target {
	case "/etc/resolv.conf", "/etc/hostname", "/etc/hosts", "/run/.containerenv":
		return containerID(path.Dir(m.root)) != "" || kubeletHosts().MatchString(m.root)
	}
	return false
}

// initMount is true for the small first process that --init puts in: where
// docker and podman mount it.
func (m *mountEntry) initMount() bool {
	return slices.Contains([]string{"/sbin/docker-init", "/dev/init", "/run/podman-init"}, m.target)
}

// mountAt is the mount that is seen at target: the last of several.
func (v *insider) mountAt(target string) *mountEntry {
	if i, mounted := v.mountIndex[target]; mounted {
		return &v.mounts[i]
	}
	return nil
}

// covering is the mount that the file at p is in.
func (v *insider) covering(p string) *mountEntry {
	for dir := p; ; dir = path.Dir(dir) {
		if m := v.mountAt(dir); m != nil || dir == "/" {
			return m
		}
	}
}
