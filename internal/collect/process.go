package collect

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// maxProcesses bounds what is kept of one container, so that one that starts
// processes without end does not fill the facts. Its list is then open.
const maxProcesses = 4096

// processes are those of all containers, at one moment.
type processes struct {
	// looked is false where this machine's processes are not to be looked at, or
	// no container runs.
	looked bool
	// listed is false where they cannot be.
	listed bool
	// of has those of each container, by its id. One that has any proves that
	// the engine runs on this machine.
	of map[string]sighted
}

// sighted are the processes of one container.
type sighted struct {
	list []seenProcess
	cut  bool // the container has more
}

// findProcesses looks at the processes of all containers that run, in one walk
// over /proc. A process belongs to the container whose id its cgroup names,
// which holds for cgroup v1, v2 and both together, for either cgroup driver,
// and for cgroups that the container made below its own.
func (c *collector) findProcesses(ctx context.Context, all *containers) (processes, error) {
	first := map[string]int{}
	for i, l := range all.listed {
		if all.pids[i] > 0 && isID(l.id) {
			first[l.id] = all.pids[i]
		}
	}
	if c.Root == "" || len(first) == 0 {
		return processes{}, nil
	}
	proc := filepath.Join(c.Root, "proc")
	pids, err := walkProc(ctx, proc, func(id []byte) bool { return first[string(id)] > 0 })
	if ctx.Err() != nil {
		return processes{}, ctx.Err()
	}
	found := processes{looked: true, listed: err == nil, of: map[string]sighted{}}
	reader := processReader{proc: proc, sets: map[uint64][]string{}}
	for id, own := range pids {
		if ctx.Err() != nil {
			return processes{}, ctx.Err()
		}
		found.of[id] = reader.readAll(own, first[id])
	}
	return found, nil
}

// readAll reads processes, of very many only some, but the first of the
// container in any case.
func (r processReader) readAll(pids []int, first int) sighted {
	slices.Sort(pids)
	s := sighted{cut: len(pids) > maxProcesses}
	if s.cut {
		pids = pids[:maxProcesses]
		if !slices.Contains(pids, first) {
			pids[maxProcesses-1] = first
		}
	}
	s.list = make([]seenProcess, 0, len(pids))
	for _, pid := range pids {
		if p, err := r.read(pid); err == nil {
			s.list = append(s.list, p)
		}
	}
	return s
}

// addProcesses fills what the processes say of the containers that run.
func (c *collector) addProcesses(found processes) {
	for i := range c.facts.Containers {
		s := &c.facts.Containers[i]
		if !found.looked || s.Live.PID <= 0 || !isID(s.ID) {
			continue
		}
		own, any := found.of[s.ID]
		switch {
		case !found.listed:
			hideProcesses(s, "the processes of this machine cannot be listed")
		case c.sandboxes[s.Runtime]:
			hideProcesses(s, "the runtime "+s.Runtime+" keeps them out of the host's sight")
		case len(own.list) > 0:
			c.lookInto(s, own)
		case any || len(found.of) > 0:
			hideProcesses(s, "they ended meanwhile")
		default:
			hideProcesses(s, "they are not on this machine, or hidden from this user")
		}
	}
}

func hideProcesses(s *workload.Spec, reason string) {
	s.Reveal("live.processes")
	s.Live.Processes = []workload.Process{}
	s.Hide("live.processes", reason)
}

// lookInto fills what the processes of one container say.
func (c *collector) lookInto(s *workload.Spec, own sighted) {
	seen, cut := own.list, own.cut
	s.Reveal("live.processes")
	s.Live.Processes = make([]workload.Process, len(seen))
	for i, p := range seen {
		s.Live.Processes[i] = p.Process
		for _, field := range p.unseen {
			s.Hide(fmt.Sprintf("live.processes[%d].%s", i, field.Path), field.Reason)
		}
	}
	if cut {
		s.Hide("live.processes"+workload.Open, fmt.Sprintf("only the first %d were looked at", maxProcesses))
	}
	tellNoNewPrivileges(s, seen, cut)
	if i := slices.IndexFunc(seen, func(p seenProcess) bool { return p.PID == s.Live.PID }); i >= 0 && c.initName != "" && seen[i].Executable != "" && !isSeen(s, "init") {
		s.Init = seen[i].Executable == c.initName
		s.Reveal("init")
	}
}

// tellNoNewPrivileges takes the kernel's word where neither the container nor
// the engine says: the bit is inherited and never cleared (prctl(2)), so a
// process without it shows that the container was not started with it.
func tellNoNewPrivileges(s *workload.Spec, seen []seenProcess, cut bool) {
	if isSeen(s, "no_new_privileges") {
		return
	}
	all := true
	for _, p := range seen {
		if slices.ContainsFunc(p.unseen, func(u workload.Unseen) bool { return u.Path == "no_new_privileges" }) {
			return
		}
		all = all && p.NoNewPrivileges
	}
	if all && cut {
		return
	}
	s.NoNewPrivileges = all
	s.Reveal("no_new_privileges")
}

func isSeen(s *workload.Spec, path string) bool {
	return !slices.ContainsFunc(s.Unseen, func(u workload.Unseen) bool { return u.Path == path })
}
