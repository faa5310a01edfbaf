package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchy is one mounted cgroup hierarchy: a version 1 controller (or a
// named one, such as systemd's), or the version 2 tree.
type hierarchy struct {
	Mount   string // where it is mounted
	V2      bool
	Options string // what to hand to mount(2) to mount the same one again
}

// leaf is the cgroup below an engine's own that holds the daemons where the
// hierarchy is version 2, because there a cgroup with processes of its own
// cannot hand controllers to its children (kernel: cgroup-v2.rst, "No Internal
// Process Constraint").
const leaf = "daemons"

// parseHierarchies reads /proc/PID/mountinfo. A hierarchy mounted twice is
// reported at its first place only.
func parseHierarchies(mountinfo []byte) ([]hierarchy, error) {
	var found []hierarchy
	seen := map[string]bool{}
	for line := range strings.Lines(string(mountinfo)) {
		// Six fields, optional ones up to a dash, three more (proc(5)).
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(fields) < 10 {
			continue
		}
		dash := 6 + slices.Index(fields[6:], "-")
		if dash < 6 || len(fields) < dash+4 {
			continue
		}
		h := hierarchy{Mount: unescapeMount(fields[4])}
		switch fields[dash+1] {
		case "cgroup2":
			h.V2 = true
		case "cgroup":
			h.Options = remountOptions(fields[dash+3])
		default:
			continue
		}
		// The device number names the hierarchy whatever it is called.
		if seen[fields[2]] {
			continue
		}
		seen[fields[2]] = true
		found = append(found, h)
	}
	if len(found) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted, and an engine cannot run without one: mount /sys/fs/cgroup")
	}
	return found, nil
}

// remountOptions keeps of a version 1 hierarchy's super options those that
// choose the hierarchy; the kernel refuses a second mount with others.
func remountOptions(super string) string {
	var keep []string
	for o := range strings.SplitSeq(super, ",") {
		switch {
		case o == "rw", o == "ro", o == "xattr", o == "clone_children", o == "noprefix", o == "cpuset_v2_mode",
			strings.HasPrefix(o, "release_agent="):
		default:
			keep = append(keep, o)
		}
	}
	return strings.Join(keep, ",")
}

// unescapeMount undoes the octal escapes of mountinfo (proc(5)).
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func readHierarchies() ([]hierarchy, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading the mount table: %w", err)
	}
	return parseHierarchies(b)
}

// createCgroups makes the cgroup name at the top of every hierarchy. It returns
// the version 2 controllers that it had to switch on for children of the root,
// so that they can be switched off again.
func createCgroups(hs []hierarchy, name string) (enabled []string, err error) {
	for _, h := range hs {
		dir := filepath.Join(h.Mount, name)
		if h.V2 {
			on, err := enableControllers(h.Mount)
			enabled = append(enabled, on...)
			if err != nil {
				return enabled, err
			}
			dir = filepath.Join(dir, leaf)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return enabled, fmt.Errorf("making the engine's cgroup: %w", err)
		}
		// A version 1 cpuset starts empty, and nothing can enter an empty one.
		for _, f := range []string{"cpuset.mems", "cpuset.cpus"} {
			parent, err := os.ReadFile(filepath.Join(h.Mount, f))
			if h.V2 || err != nil {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, f), parent, 0o644); err != nil {
				return enabled, fmt.Errorf("filling the engine's cpuset: %w", err)
			}
		}
	}
	return enabled, nil
}

// enableControllers hands every controller of the version 2 tree at root to
// its children and returns those that were not handed on before.
func enableControllers(root string) ([]string, error) {
	all, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return nil, fmt.Errorf("reading the cgroup controllers: %w", err)
	}
	control := filepath.Join(root, "cgroup.subtree_control")
	before, err := os.ReadFile(control)
	if err != nil {
		return nil, fmt.Errorf("reading the cgroup controllers: %w", err)
	}
	had := strings.Fields(string(before))
	var on []string
	for _, c := range strings.Fields(string(all)) {
		if slices.Contains(had, c) {
			continue
		}
		// One that cannot be handed on (another owner holds it) is one that no
		// container can be limited by, here or with any other engine.
		if os.WriteFile(control, []byte("+"+c), 0o644) == nil {
			on = append(on, c)
		}
	}
	return on, nil
}

// joinCgroups moves this process into the cgroup name of every hierarchy,
// makes that cgroup the root of what it and its children see, and then steps
// into the leaf of version 2. The calling goroutine must be locked to its
// thread, and what it execs or forks inherits the namespace.
func joinCgroups(hs []hierarchy, name string) error {
	self := []byte(strconv.Itoa(os.Getpid()))
	for _, h := range hs {
		if err := os.WriteFile(filepath.Join(h.Mount, name, "cgroup.procs"), self, 0o644); err != nil {
			return fmt.Errorf("entering the engine's cgroup: %w", err)
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a cgroup namespace: %w", err)
	}
	for _, h := range hs {
		if !h.V2 {
			continue
		}
		if err := os.WriteFile(filepath.Join(h.Mount, name, leaf, "cgroup.procs"), self, 0o644); err != nil {
			return fmt.Errorf("entering the daemons' cgroup: %w", err)
		}
	}
	return nil
}

// remountCgroups replaces what is mounted at the hierarchies' places by the
// same hierarchies as seen from the caller's cgroup namespace. Mounts are those
// of the caller's mount namespace, which must be private.
func remountCgroups(hs []hierarchy) error {
	const top = "/sys/fs/cgroup"
	if len(hs) == 1 && hs[0].Mount == top {
		// The kernel refuses a file system on top of itself.
		if err := unix.Unmount(top, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("replacing %s: %w", top, err)
		}
		return mount("cgroup2", top, "cgroup2", 0, "")
	}
	links, err := symlinks(top)
	if err != nil {
		return err
	}
	if err := mount("tmpfs", top, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, h := range hs {
		if err := os.MkdirAll(h.Mount, 0o755); err != nil {
			return fmt.Errorf("making a place for a cgroup hierarchy: %w", err)
		}
		kind := "cgroup"
		if h.V2 {
			kind = "cgroup2"
		}
		if err := mount(kind, h.Mount, kind, 0, h.Options); err != nil {
			return err
		}
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(top, name)); err != nil {
			return fmt.Errorf("linking a cgroup controller: %w", err)
		}
	}
	return nil
}

// symlinks returns the links directly in dir; systemd makes some for
// controllers that share a hierarchy (cpu → cpu,cpuacct).
func symlinks(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the cgroup mounts: %w", err)
	}
	links := map[string]string{}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading the cgroup mounts: %w", err)
		}
		links[e.Name()] = to
	}
	return links, nil
}

// emptyCgroups ends every process in the cgroup name and below, whoever
// started it, and removes the cgroups. It needs a moment, since an ended
// process leaves its cgroup only when the kernel has torn it down.
func emptyCgroups(ctx context.Context, hs []hierarchy, name string) error {
	for {
		left := 0
		var last error
		for _, h := range hs {
			dir := filepath.Join(h.Mount, name)
			if err := killCgroup(dir); err != nil {
				last = err
			}
			if err := removeCgroup(dir); err != nil {
				last, left = err, left+1
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("removing %d cgroups named %s: %w", left, name, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// killCgroup sends SIGKILL to all processes of dir and below.
func killCgroup(dir string) error {
	// Since Linux 5.14 version 2 ends a whole tree at once, forks included.
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		procs, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil // removed since it was listed
		}
		for _, f := range strings.Fields(string(procs)) {
			pid, err := strconv.Atoi(f)
			if err != nil || pid <= 1 {
				continue
			}
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		// A process of version 1 that is frozen, as in a paused container, ends
		// only when it is thawed. Elsewhere the file is not there.
		_ = os.WriteFile(filepath.Join(path, "freezer.state"), []byte("THAWED"), 0)
		return nil
	})
}

// removeCgroup removes dir and the cgroups below it, deepest first.
func removeCgroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
	}
	return nil
}

// disableControllers takes back what createCgroups switched on. A controller
// that somebody else has begun to use since stays on.
func disableControllers(hs []hierarchy, enabled []string) {
	for _, h := range hs {
		if !h.V2 {
			continue
		}
		for _, c := range enabled {
			_ = os.WriteFile(filepath.Join(h.Mount, "cgroup.subtree_control"), []byte("-"+c), 0o644)
		}
	}
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mounting %s at %s: %w", source, target, err)
	}
	return nil
}
