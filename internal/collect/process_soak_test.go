//go:build soak

package collect

import (
	"testing"

	"github.com/plimsoll/plimsoll/internal/workload"
)

func TestTenThousandProcesses(t *testing.T) {
	all := make([]fakeProc, 10_000)
	for i := range all {
		all[i] = fakeProc{i + 1, v2("/docker/" + idOf(0xa)), "fork\n", "/fork", statusOf("S", 0, 0, 0xff, 1, 2)}
	}
	cfg := (&fake{containers: []container{running(0xa, "a", 9_000)}}).start(t).config()
	cfg.Root = procRoot(t, all...)
	a := spec(t, collect(t, cfg), "a")
	if n := len(a.Live.Processes); n != maxProcesses || a.Live.Processes[n-1].PID != 9_000 || a.Live.Processes[n-2].PID != maxProcesses-1 {
		t.Errorf("got %d processes, and %+v last", n, a.Live.Processes[n-1])
	}
	if reasonFor(a.Unseen, "live.processes"+workload.Open) == "" {
		t.Error("the list is cut, and nothing says so")
	}
	if reasonFor(a.Unseen, "no_new_privileges") == "" {
		t.Error("no_new_privileges is told from a part of the processes")
	}
	if &a.Live.Processes[0].Capabilities[0] != &a.Live.Processes[1].Capabilities[0] {
		t.Error("equal capability sets take memory twice")
	}
}
