package collect

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// outOfSight stands for a folder or file of the engine's that a tree does not show.
const outOfSight = -1

// sight tells which of the files that the engine sees this program sees too, and
// under which path, by what is mounted where for both. It is for a program that may
// not look through the engine's process: one in a container, to which some folders
// of the host are mounted, or one of an ordinary user, who sees the host as it is.
type sight struct {
	engine, own *workload.MountTable
	container   bool // this program runs in one
	processes   bool // it counts processes as the host does
}

// open opens what the engine has at p, p being without links but for the last
// element; outOfSight is what is not seen here.
func (s *sight) open(root int, p string) (int, error) {
	own, seen := s.own.Find(s.engine, p)
	if !seen && s.kernel(p) {
		own, seen = p, true
	}
	if !seen {
		return outOfSight, nil
	}
	return unix.Openat2(root, "."+own, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
}

// kernel is true for what one kernel tells all alike, whichever mount shows it: /proc,
// for those who count processes alike (pid_namespaces(7)), and of /sys what is not
// about networks (network_namespaces(7)).
func (s *sight) kernel(p string) bool {
	switch kind := s.own.Type(p); {
	case kind != s.engine.Type(p):
		return false
	case kind == "proc":
		return s.processes
	case kind == "sysfs":
		return p == "/sys" || strings.HasPrefix(p, "/sys/module") || strings.HasPrefix(p, "/sys/kernel")
	}
	return false
}

// openRoot is open for the engine's root.
func (s *sight) openRoot(root int) int {
	fd, err := s.open(root, "/")
	if err != nil {
		return outOfSight
	}
	return fd
}

// missing is why what the engine has at p is not seen.
func (s *sight) missing(p string) error {
	if !s.container {
		return errors.New("it is not among the files that this program sees")
	}
	top, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	if top == "" {
		return &notMounted{"-v /:/host:ro"}
	}
	return &notMounted{"-v /" + top + ":/" + top + ":ro"}
}

// notMounted is a file of the host that no mount brings into this container. Those
// who look for a file in several folders name all mounts that are missing.
type notMounted struct{ option string }

func (e *notMounted) Error() string { return "it is not mounted into this container: add " + e.option }

// newSight compares this program's mounts with those of the engine's process.
func (c *collector) newSight(pid int) *sight {
	s := &sight{engine: c.mountsOf(pid), container: c.Home.Inside}
	data, err := os.ReadFile(filepath.Join(c.Root, "proc/self/mountinfo"))
	if s.engine == nil || err != nil {
		return nil
	}
	if s.own, err = workload.ReadMountTable(data); err != nil {
		return nil
	}
	space, err := os.Readlink(filepath.Join(c.Root, "proc/self/ns/pid"))
	s.processes = err == nil && space == hostProcesses
	return s
}

// hostProcesses is the pid namespace that the kernel starts with, in the words of
// /proc/PID/ns/pid (PROC_PID_INIT_INO of include/uapi/linux/nsfs.h).
const hostProcesses = "pid:[4026531836]"
