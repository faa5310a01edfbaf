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

// processes looks at the processes of all containers that run, in one walk
// over /proc. A process belongs to the container whose id its cgroup names,
// which holds for cgroup v1, v2 and both together, for either cgroup driver,
// and for cgroups that the container made below its own; and it proves that the
// engine runs on this machine.
func (c *collector) processes(ctx context.Context) error {
	running := map[string]*workload.Spec{}
	for i := range c.facts.Containers {
		if s := &c.facts.Containers[i]; s.Live.PID > 0 && isID(s.ID) {
			running[s.ID] = s
		}
	}
	if c.Root == "" || len(running) == 0 {
		return nil
	}
	proc := filepath.Join(c.Root, "proc")
	pids, err := findProcesses(ctx, proc, func(id []byte) bool { return running[string(id)] != nil })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		for _, s := range running {
			hideProcesses(s, "the processes of this machine cannot be listed")
		}
		return nil
	}
	reader := processReader{proc: proc, sets: map[uint64][]string{}}
	for id, s := range running {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch own := pids[id]; {
		case c.sandboxes[s.Runtime]:
			hideProcesses(s, "the runtime "+s.Runtime+" keeps them out of the host's sight")
		case len(own) > 0:
			c.lookInto(s, own, reader)
		case len(pids) > 0:
			hideProcesses(s, "they ended meanwhile")
		default:
			hideProcesses(s, "they are not on this machine, or hidden from this user")
		}
	}
	return nil
}

func hideProcesses(s *workload.Spec, reason string) {
	s.Reveal("live.processes")
	s.Live.Processes = []workload.Process{}
	s.Hide("live.processes", reason)
}

// lookInto fills what the processes of one container say.
func (c *collector) lookInto(s *workload.Spec, pids []int, reader processReader) {
	slices.Sort(pids)
	first, cut := int(s.Live.PID), len(pids) > maxProcesses
	if cut {
		pids = pids[:maxProcesses]
		if !slices.Contains(pids, first) {
			pids[maxProcesses-1] = first
		}
	}
	seen := make([]seenProcess, 0, len(pids))
	for _, pid := range pids {
		if p, err := reader.read(pid); err == nil {
			seen = append(seen, p)
		}
	}
	if len(seen) == 0 {
		hideProcesses(s, "they ended meanwhile")
		return
	}
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
