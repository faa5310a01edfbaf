package workload

import (
	"path"
	"slices"
	"strings"
)

// MountTable is what is mounted where in one mount namespace. A bind mount gives
// files another path, which no link shows; the table does.
type MountTable struct {
	at       map[string]*mountEntry // what is seen at a path: the last mount there
	targets  []string               // the paths in at, in order
	byDevice map[string][]*mountEntry
}

// ReadMountTable reads /proc/PID/mountinfo (proc_pid_mountinfo(5)). The error
// names the line.
func ReadMountTable(mountinfo []byte) (*MountTable, error) {
	entries, err := parseMountinfo(mountinfo)
	if err != nil {
		return nil, err
	}
	t := &MountTable{at: make(map[string]*mountEntry, len(entries)), byDevice: map[string][]*mountEntry{}}
	for i := range entries {
		if strings.HasPrefix(entries[i].root, "/") { // others are namespaces, and no files
			t.at[entries[i].target] = &entries[i]
		}
	}
	for target, e := range t.at {
		t.targets = append(t.targets, target)
		t.byDevice[e.device] = append(t.byDevice[e.device], e)
	}
	slices.Sort(t.targets)
	return t, nil
}

// Also gives the other paths of what a mount of p shows, p being absolute and
// without links: those of the same files, and of what is mounted below, which a
// bind mount takes with it. Paths below p are not among them.
func (t *MountTable) Also(p string) []string {
	if p == "/" {
		return nil // all other paths are below
	}
	var also []string
	if e := t.covering(p); e != nil {
		also = t.elsewhere(e, path.Join(e.root, strings.TrimPrefix(p, e.target)))
	}
	first, _ := slices.BinarySearch(t.targets, p+"/")
	for _, target := range t.targets[first:] {
		if !within(target, p) {
			break
		}
		also = append(also, t.elsewhere(t.at[target], t.at[target].root)...)
	}
	return slices.DeleteFunc(sortedUnique(also), func(other string) bool { return within(other, p) })
}

// Mounted is what is mounted at a path.
type Mounted struct {
	At, Source, FileSystem string
	// Device is its number, major:minor.
	Device string
}

// Holds is the mount that the file at p is in, p being absolute and without links.
func (t *MountTable) Holds(p string) (Mounted, bool) {
	e := t.covering(p)
	if e == nil {
		return Mounted{}, false
	}
	return Mounted{At: e.target, Source: e.source, FileSystem: e.fstype, Device: e.device}, true
}

// Find is where the file is seen here that another mount namespace has at p, p being
// absolute and without links there; it need not exist. It is false where no mount
// shows that part of its file system here.
func (t *MountTable) Find(there *MountTable, p string) (string, bool) {
	in := there.covering(p)
	if in == nil {
		return "", false
	}
	part, found := path.Join(in.root, strings.TrimPrefix(p, in.target)), ""
	for _, e := range t.byDevice[in.device] {
		if !within(part, e.root) {
			continue
		}
		own := path.Join(e.target, strings.TrimPrefix(part, e.root))
		if t.covering(own) == e && (found == "" || own == p || found != p && own < found) {
			found = own
		}
	}
	return found, found != ""
}

// Type is the type of the file system that is seen at p, "" where nothing is mounted.
func (t *MountTable) Type(p string) string {
	if e := t.covering(p); e != nil {
		return e.fstype
	}
	return ""
}

// covering is the mount that the file at p is in.
func (t *MountTable) covering(p string) *mountEntry {
	for dir := p; ; dir = path.Dir(dir) {
		if e := t.at[dir]; e != nil || dir == "/" {
			return e
		}
	}
}

// elsewhere are the paths at which a part of a file system is seen, or a part of
// it: in is any mount of it.
func (t *MountTable) elsewhere(in *mountEntry, part string) []string {
	var paths []string
	if in.fstype == "proc" { // each mount has a device of its own
		paths = append(paths, path.Join("/proc", part))
	}
	for _, e := range t.byDevice[in.device] {
		switch {
		case isVolume(e.target):
		case within(e.root, part):
			paths = append(paths, e.target)
		case within(part, e.root):
			p := path.Join(e.target, strings.TrimPrefix(part, e.root))
			if t.covering(p) == e { // nothing else is mounted over it
				paths = append(paths, p)
			}
		}
	}
	return paths
}

// isVolume is true where an engine mounts a volume of the local driver with
// options, and below, where rbind brings more: what is there is something else's, and
// not the engine's own.
func isVolume(target string) bool {
	before, _, found := strings.Cut(target+"/", "/_data/")
	return found && path.Base(path.Dir(before)) == "volumes"
}
