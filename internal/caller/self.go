package caller

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// self is what of our own process decides what others look like. It does not change
// while we live.
type self struct {
	uids, gids ids
	allCgroups bool  // cgroups are named from the root on
	proc       error // why /proc cannot be used, if so
}

// ids are the numbers of users, or of groups, that our user namespace has.
type ids struct {
	all bool
	// overflow is what stands for all others. Where the namespace also has somebody of
	// that number, that one is not told apart.
	overflow uint32
}

// stranger says that a number does not, or may not, name somebody of our namespace.
func (i ids) stranger(id uint32) bool { return !i.all && id == i.overflow }

func (i ids) known(list []uint32) []uint32 {
	if i.all {
		return list
	}
	kept := list[:0]
	for _, id := range list {
		if !i.stranger(id) {
			kept = append(kept, id)
		}
	}
	return kept
}

// defaultOverflow is DEFAULT_OVERFLOWUID (include/linux/highuid.h).
const defaultOverflow = 65534

// look looks at ourselves, once if nothing fails.
func (s *Source) look() *self {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.self != nil {
		return s.self
	}
	me := &self{}
	uidErr, gidErr := me.uids.read(s.proc(), "uid"), me.gids.read(s.proc(), "gid")
	var cgroupErr error
	me.allCgroups, cgroupErr = allCgroups(s.proc())
	me.proc = ours(s.proc())
	if uidErr == nil && gidErr == nil && cgroupErr == nil && me.proc == nil {
		s.self = me
	}
	return me
}

// read finds what kind of ids, uid or gid, there are. If it fails they are those of a
// namespace that has not all of them.
func (i *ids) read(proc, kind string) error {
	i.overflow = defaultOverflow
	mapped, err := os.ReadFile(filepath.Join(proc, "self", kind+"_map"))
	if err != nil {
		return err
	}
	if i.all = mapsAll(mapped); i.all {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(proc, "sys/kernel/overflow"+kind))
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 32)
	if err != nil {
		return err
	}
	i.overflow = uint32(n)
	return nil
}

// mapsAll says that a uid_map or gid_map has every id there can be, which are 2³²-1
// (user_namespaces(7)): lines of first id inside, first id outside, and how many. They
// do not overlap.
func mapsAll(mapped []byte) bool {
	var sum uint64
	for line := range bytes.Lines(mapped) {
		fields := bytes.Fields(line)
		if len(fields) != 3 {
			return false
		}
		n, err := strconv.ParseUint(string(fields[2]), 10, 32)
		if err != nil {
			return false
		}
		sum += n
	}
	return sum >= uint64(NoID)
}

// allCgroups says that we are in the first cgroup namespace, whose number is
// PROC_CGROUP_INIT_INO (include/linux/proc_ns.h), or that the kernel has none of them.
func allCgroups(proc string) (bool, error) {
	link, err := os.Readlink(filepath.Join(proc, "self/ns/cgroup"))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return link == "cgroup:[4026531835]", err
}

// ours checks that a proc(5) numbers processes as our sockets do. That of another pid
// namespace has others under the same numbers.
func ours(proc string) error {
	link, err := os.Readlink(filepath.Join(proc, "self"))
	if err != nil {
		return fmt.Errorf("finding ourselves in %s: %w", proc, err)
	}
	if link != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("%s is of another pid namespace than ours: mount a proc of our own there", proc)
	}
	return nil
}
