package collect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// walkProc lists the processes whose cgroup names an id that is known, by
// that id. Several goroutines would be no faster: the kernel tells the cgroup of
// one process at a time.
func walkProc(ctx context.Context, proc string, known func(id []byte) bool) (map[string][]int, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	defer dir.Close()
	threads := kernelThreads(int(dir.Fd()))
	found := map[string][]int{}
	var buf []byte
	for ctx.Err() == nil {
		names, err := dir.Readdirnames(1024)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing processes: %w", err)
		}
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil || pid <= 0 || threads[name] {
				continue
			}
			// One that ends at this moment has nothing to say.
			content, err := readBounded(int(dir.Fd()), name+"/cgroup", buf)
			if err != nil {
				continue
			}
			buf = content[:cap(content)]
			if id := containerOf(content, known); id != "" {
				found[id] = append(found[id], pid)
			}
		}
	}
	return nil, ctx.Err()
}

// kernelThreads are the ids of the kernel's own threads, which belong to no
// container and are most of what /proc lists on a machine of many processors.
// They are the children of process 2 where that is one itself, by the flag
// PF_KTHREAD (include/linux/sched.h), which no program can set. It is empty
// where the kernel does not list children (CONFIG_PROC_CHILDREN).
func kernelThreads(proc int) map[string]bool {
	const (
		flagsField = 6 // behind the name: field 9 of proc_pid_stat(5)
		kthread    = 0x00200000
	)
	stat, err := readBounded(proc, "2/stat", nil)
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= flagsField {
		return nil
	}
	if flags, err := strconv.ParseUint(fields[flagsField], 10, 64); err != nil || flags&kthread == 0 {
		return nil
	}
	children, err := readBounded(proc, "2/task/2/children", nil)
	if err != nil {
		return nil
	}
	threads := map[string]bool{}
	for _, id := range strings.Fields(string(children)) {
		threads[id] = true
	}
	return threads
}

// containerOf is the deepest known container id in a /proc/PID/cgroup
// (cgroups(7)): lines "number:controllers:path", where an engine's path ends in
// /<id> or in docker-<id>.scope, and a container can make cgroups below its
// own, and engines of its own in them, whose ids are not known here. It is ""
// without one. Of lines that disagree the first counts.
func containerOf(cgroup []byte, known func(id []byte) bool) string {
	for line := range bytes.Lines(cgroup) {
		_, rest, _ := bytes.Cut(line, []byte(":"))
		_, p, ok := bytes.Cut(rest, []byte(":"))
		if !ok {
			continue
		}
		deepest, start := "", 0
		for i := 0; i <= len(p); i++ {
			if i < len(p) && isHex(p[i]) {
				continue
			}
			if i-start == idDigits && known(p[start:i]) {
				deepest = string(p[start:i])
			}
			start = i + 1
		}
		if deepest != "" {
			return deepest
		}
	}
	return ""
}

// idDigits is the length of an engine's ids.
const idDigits = 64

func isHex(b byte) bool { return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' }

func isID(id string) bool {
	return len(id) == idDigits && !slices.ContainsFunc([]byte(id), func(b byte) bool { return !isHex(b) })
}

// maxProcBytes bounds one file of /proc. A status is about 1,500 bytes, and up
// to 700 KiB for a process in all of the 65,536 groups that the kernel allows.
const maxProcBytes = 1 << 20

// readBounded reads a file of /proc, named from a folder that is open or, by
// unix.AT_FDCWD, as usual, into buf or a larger one. It takes half of the system
// calls of an os.File, for a host has many processes.
func readBounded(dir int, name string, buf []byte) ([]byte, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer unix.Close(fd)
	n := 0
	for n <= maxProcBytes {
		if n == len(buf) {
			buf = append(buf, make([]byte, max(n, 4<<10))...)
		}
		switch more, err := unix.Read(fd, buf[n:]); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", name, err)
		case more == 0:
			return buf[:n], nil
		default:
			n += more
		}
	}
	return nil, fmt.Errorf("reading %s: it is larger than %d bytes", name, maxProcBytes)
}

// readName is the kernel's name of the process at proc/PID. It can hold any
// byte but NUL; what is not UTF-8 is replaced.
func readName(proc string) (string, error) {
	content, err := readBounded(unix.AT_FDCWD, filepath.Join(proc, "comm"), nil)
	if err != nil {
		return "", err
	}
	return strings.ToValidUTF8(strings.TrimSuffix(string(content), "\n"), "\uFFFD"), nil
}

// seenProcess is a process, and which of its fields could not be seen; paths
// are below the process.
type seenProcess struct {
	workload.Process
	unseen []workload.Unseen
}

// processReader reads processes. sets has each capability set once, for most
// processes of a host share a few.
type processReader struct {
	proc string
	sets map[uint64][]string
}

// errEnded is a process that has ended, and waits for its parent to notice.
var errEnded = errors.New("the process has ended")

func (r processReader) read(pid int) (seenProcess, error) {
	dir := filepath.Join(r.proc, strconv.Itoa(pid))
	content, err := readBounded(unix.AT_FDCWD, filepath.Join(dir, "status"), nil)
	if err != nil {
		return seenProcess{}, err
	}
	st, err := parseStatus(content)
	if err != nil {
		return seenProcess{}, fmt.Errorf("reading the status of process %d: %w", pid, err)
	}
	if st.ended {
		return seenProcess{}, errEnded
	}
	name, err := readName(dir)
	if err != nil {
		return seenProcess{}, err
	}
	p := seenProcess{Process: workload.Process{PID: int64(pid), Name: name, UID: st.uid, GID: st.gid,
		Capabilities: r.set(st.capabilities), Seccomp: st.seccomp, NoNewPrivileges: st.noNewPrivileges == "1"}}
	if st.seccomp == "" {
		p.unseen = append(p.unseen, workload.Unseen{Path: "seccomp", Reason: "this kernel does not say it"})
	}
	if st.noNewPrivileges == "" { // before Linux 4.10
		p.unseen = append(p.unseen, workload.Unseen{Path: "no_new_privileges", Reason: "this kernel does not say it"})
	}
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	switch {
	case err == nil:
		p.Executable = strings.ToValidUTF8(path.Base(strings.TrimSuffix(exe, " (deleted)")), "\uFFFD")
	case errors.Is(err, fs.ErrPermission):
		p.unseen = append(p.unseen, workload.Unseen{Path: "executable", Reason: "only root may look at it"})
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return seenProcess{}, errEnded
	default:
		return seenProcess{}, err
	}
	return p, nil
}

func (r processReader) set(mask uint64) []string {
	set, known := r.sets[mask]
	if !known {
		set = workload.CapabilitySet(mask)
		r.sets[mask] = set
	}
	return set
}

// status is what is read of a /proc/PID/status.
type status struct {
	ended        bool
	uid, gid     int64 // effective
	capabilities uint64
	seccomp      string // none, strict or filter; "" when it is not said
	// noNewPrivileges is "0" or "1"; "" when it is not said.
	noNewPrivileges string
}

// parseStatus reads a /proc/PID/status (proc_pid_status(5)). The kernel writes
// the process's own name into it with line ends escaped, so no name can look
// like another line; of a key that comes twice the first counts.
func parseStatus(content []byte) (status, error) {
	fields := map[string]string{}
	for line := range strings.Lines(string(content)) {
		key, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch key {
		case "State", "Uid", "Gid", "CapEff", "Seccomp", "NoNewPrivs":
			if _, twice := fields[key]; found && !twice {
				fields[key] = strings.TrimSpace(value)
			}
		}
	}
	var s status
	var errs [3]error
	s.uid, errs[0] = effective("Uid", fields["Uid"])
	s.gid, errs[1] = effective("Gid", fields["Gid"])
	s.capabilities, errs[2] = strconv.ParseUint(fields["CapEff"], 16, 64)
	if err := cmp.Or(errs[0], errs[1], errs[2]); err != nil {
		return status{}, err
	}
	s.ended = strings.HasPrefix(fields["State"], "Z") || strings.HasPrefix(fields["State"], "X")
	switch v := fields["NoNewPrivs"]; v {
	case "", "0", "1":
		s.noNewPrivileges = v
	default:
		return status{}, fmt.Errorf("the value of NoNewPrivs is %q", v)
	}
	switch v := fields["Seccomp"]; v {
	case "":
	case "0":
		s.seccomp = "none"
	case "1":
		s.seccomp = "strict"
	case "2":
		s.seccomp = "filter"
	default:
		return status{}, fmt.Errorf("the value of Seccomp is %q", v)
	}
	return s, nil
}

// effective is the second of the four ids in a line of a status: real,
// effective, saved, and that of the file system.
func effective(key, value string) (int64, error) {
	ids := strings.Fields(value)
	if len(ids) != 4 {
		return 0, fmt.Errorf("%s is %q, not four numbers", key, value)
	}
	id, err := strconv.ParseUint(ids[1], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, not four numbers", key, value)
	}
	return int64(id), nil
}
