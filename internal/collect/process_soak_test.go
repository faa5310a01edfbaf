//go:build soak

package collect

import (
	"bytes"
	"net/http"
	"runtime"
	"strings"
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

// Ten thousand containers take memory by what is kept of each, not by what
// their answers are long.
func TestTenThousandContainers(t *testing.T) {
	const n = 10_000
	all := many(n)
	template := recorded(t, "inspect.json")
	f := &fake{containers: all}
	f.before = func(w http.ResponseWriter, path string) bool {
		if id, found := strings.CutPrefix(path, "/containers/0"); found {
			id = "0" + strings.TrimSuffix(id, "/json")
			body := bytes.Replace(template, []byte(`"Pid":`), []byte(`"Pid":0,"Was":`), 1)
			w.Write(bytes.ReplaceAll(body, []byte("0a16b2d463c16420c8d5bef04225248fcf7ffc6eaab11db6e6756afe6fb64c58"), []byte(id)))
			return true
		}
		return false
	}
	f.start(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got := f.collect(t)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(got.Containers) != n {
		t.Fatalf("got %d containers", len(got.Containers))
	}
	if id := got.Containers[n-1].ID; id != idOf(n) {
		t.Errorf("the last container has id %s", id)
	}
	const most = 8 << 10
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > most {
		t.Errorf("%d bytes are kept of each container, want at most %d", each, most)
	} else {
		t.Logf("%d bytes are kept of each container", each)
	}
	runtime.KeepAlive(got)
}
