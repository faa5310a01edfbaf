package collect

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// fakeProc is one process in a made-up /proc. The empty string leaves a file
// away.
type fakeProc struct {
	pid                       int
	cgroup, comm, exe, status string
}

// statusOf is a /proc/PID/status as Linux 6.1 writes it, in part.
func statusOf(state string, uid, gid int, caps uint64, noNewPrivs, seccomp int) string {
	return fmt.Sprintf("Name:\tx\\nUid:\t9\nState:\t%s\nUid:\t1\t%d\t3\t4\nGid:\t5\t%d\t7\t8\nGroups:\t \nCapBnd:\t000001ffffffffff\nCapEff:\t%016x\nNoNewPrivs:\t%d\nSeccomp:\t%d\n",
		state, uid, gid, caps, noNewPrivs, seccomp)
}

// v1 and v2 are what /proc/PID/cgroup shows.
func v1(path string) string { return "12:pids:" + path + "\n1:name=systemd:" + path + "\n0::/\n" }
func v2(path string) string { return "0::" + path + "\n" }

// procRoot writes processes below a root of its own.
func procRoot(t *testing.T, processes ...fakeProc) string {
	t.Helper()
	root := t.TempDir()
	for _, p := range processes {
		dir := filepath.Join(root, "proc", strconv.Itoa(p.pid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"cgroup": p.cgroup, "comm": p.comm, "status": p.status} {
			if content == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if p.exe != "" {
			if err := os.Symlink(p.exe, filepath.Join(dir, "exe")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func running(id int, name string, pid int) container {
	return container{id: idOf(id), name: name, pid: pid}
}

func TestProcessesBelongToTheirCgroup(t *testing.T) {
	a, b := idOf(0xa), idOf(0xb)
	plain := statusOf("S (sleeping)", 0, 0, 0xa80425fb, 0, 2)
	root := procRoot(t,
		fakeProc{10, v1("/docker/" + a), "sleep\n", "/bin/busybox", plain},
		fakeProc{11, v1("/docker/" + a + "/below"), "evil\x1b[2J\n\xff\n", "/tmp/x (deleted)", statusOf("R (running)", 1000, 1001, 0, 1, 0)},
		fakeProc{12, v1("/docker/" + a + "/docker/" + idOf(0xdead)), "inner\n", "/bin/x", plain}, // an engine inside a
		fakeProc{13, v1("/docker/" + a + "/" + b), "nested\n", "/bin/x", plain},                  // b has a's cgroup as its parent
		fakeProc{14, v2("/system.slice/docker-" + b + ".scope"), "web\n", "/bin/nginx", plain},
		fakeProc{15, v2("/../../system.slice/docker-" + b + ".scope/init"), "web\n", "/bin/nginx", plain},
		fakeProc{16, v1("/docker/" + a), "zombie\n", "", statusOf("Z (zombie)", 0, 0, 0, 0, 0)},
		fakeProc{17, v1("/docker/" + a), "gone\n", "", plain},           // ended after its status was read
		fakeProc{18, v1("/docker/" + a), "sleep\n", "/bin/busybox", ""}, // ended before
		fakeProc{20, v1("/user.slice"), "bash\n", "/bin/bash", plain},
		fakeProc{21, v1("/docker/" + a[:60]), "short\n", "/bin/x", plain},
		fakeProc{22, v1("/docker/0" + a), "long\n", "/bin/x", plain},
	)
	f := (&fake{containers: []container{running(0xa, "a", 10), running(0xb, "b", 14)}}).start(t)
	cfg := f.config()
	cfg.Root = root
	got := collect(t, cfg)
	caps := workload.CapabilitySet(0xa80425fb)
	want := []workload.Process{
		{PID: 10, Name: "sleep", Executable: "busybox", Capabilities: caps, Seccomp: "filter"},
		{PID: 11, Name: "evil\x1b[2J\n\uFFFD", Executable: "x", UID: 1000, GID: 1001, Capabilities: []string{}, Seccomp: "none", NoNewPrivileges: true},
		{PID: 12, Name: "inner", Executable: "x", Capabilities: caps, Seccomp: "filter"},
	}
	if diff := cmp.Diff(want, spec(t, got, "a").Live.Processes); diff != "" {
		t.Errorf("a (-want +got):\n%s", diff)
	}
	want = []workload.Process{
		{PID: 13, Name: "nested", Executable: "x", Capabilities: caps, Seccomp: "filter"},
		{PID: 14, Name: "web", Executable: "nginx", Capabilities: caps, Seccomp: "filter"},
		{PID: 15, Name: "web", Executable: "nginx", Capabilities: caps, Seccomp: "filter"},
	}
	if diff := cmp.Diff(want, spec(t, got, "b").Live.Processes); diff != "" {
		t.Errorf("b (-want +got):\n%s", diff)
	}
	for _, u := range spec(t, got, "a").Unseen {
		if strings.HasPrefix(u.Path, "live") {
			t.Errorf("%s is unseen: %s", u.Path, u.Reason)
		}
	}
}

func TestProcessesThatCannotBeSeen(t *testing.T) {
	plain := statusOf("S (sleeping)", 0, 0, 0, 0, 2)
	mine := fakeProc{10, v1("/docker/" + idOf(0xa)), "sleep\n", "/bin/busybox", plain}
	elsewhere := fakeProc{10, v1("/user.slice"), "bash\n", "/bin/bash", plain}
	asked := func(runtime string) func(answer) {
		return func(a answer) { a["HostConfig"].(answer)["Runtime"] = runtime }
	}
	for name, test := range map[string]struct {
		proc   []fakeProc
		a, b   container
		reason string // for b
	}{
		"seen":            {[]fakeProc{mine, {11, v1("/docker/" + idOf(0xb)), "x\n", "/x", plain}}, running(0xa, "a", 10), running(0xb, "b", 11), ""},
		"stopped":         {[]fakeProc{mine}, running(0xa, "a", 10), running(0xb, "b", 0), ""},
		"ended meanwhile": {[]fakeProc{mine}, running(0xa, "a", 10), running(0xb, "b", 11), "they ended meanwhile"},
		"another machine": {[]fakeProc{elsewhere}, running(0xa, "a", 10), running(0xb, "b", 10), "they are not on this machine, or hidden from this user"},
		"no proc":         {nil, running(0xa, "a", 10), running(0xb, "b", 10), "the processes of this machine cannot be listed"},
		"all have ended":  {[]fakeProc{mine, {11, v1("/docker/" + idOf(0xb)), "x\n", "", plain}}, running(0xa, "a", 10), running(0xb, "b", 11), "they ended meanwhile"},
		"a kernel of its own": {[]fakeProc{mine, {11, v1("/docker/" + idOf(0xb)), "runsc\n", "/x", plain}}, running(0xa, "a", 10),
			container{id: idOf(0xb), name: "b", pid: 11, change: asked("sandbox")}, "the runtime sandbox keeps them out of the host's sight"},
		"another runtime": {[]fakeProc{mine, {11, v1("/docker/" + idOf(0xb)), "x\n", "/x", plain}}, running(0xa, "a", 10),
			container{id: idOf(0xb), name: "b", pid: 11, change: asked("runc")}, ""},
	} {
		f := (&fake{containers: []container{test.a, test.b}, answers: map[string][]byte{
			"/info": altered(t, "info.json", func(a answer) { a["Runtimes"].(answer)["sandbox"] = answer{"path": "/usr/bin/runsc"} }),
		}}).start(t)
		cfg := f.config()
		cfg.Root = procRoot(t, test.proc...)
		b := spec(t, collect(t, cfg), "b")
		if r := reasonFor(b.Unseen, "live.processes"); r != test.reason {
			t.Errorf("%s: unseen for %q, want %q", name, r, test.reason)
		}
		if want := test.reason == "" && test.b.pid > 0; (len(b.Live.Processes) > 0) != want || b.Live.Processes == nil {
			t.Errorf("%s: got %v", name, b.Live.Processes)
		}
	}
}

func TestOldKernelsSayLess(t *testing.T) {
	short := "Name:\tx\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t0000000000000000\n"
	cfg := (&fake{containers: []container{running(0xa, "a", 10)}}).start(t).config()
	cfg.Root = procRoot(t, fakeProc{10, v1("/docker/" + idOf(0xa)), "x\n", "/x", short})
	a := spec(t, collect(t, cfg), "a")
	for _, field := range []string{"seccomp", "no_new_privileges"} {
		if r := reasonFor(a.Unseen, "live.processes[0]."+field); r != "this kernel does not say it" {
			t.Errorf("%s is unseen for %q", field, r)
		}
	}
	if reasonFor(a.Unseen, "no_new_privileges") == "" {
		t.Error("the container's no_new_privileges is seen, though the kernel does not say it")
	}
}

// An engine before 24.0 does not say what its default is; the kernel does.
func TestKernelTellsNoNewPrivileges(t *testing.T) {
	at := func(pid, bit int) fakeProc {
		return fakeProc{pid, v1("/docker/" + idOf(0xa)), "x\n", "/x", statusOf("S", 0, 0, 0, bit, 2)}
	}
	for name, test := range map[string]struct {
		proc []fakeProc
		opts []string
		want bool
	}{
		"off":                {[]fakeProc{at(10, 0)}, nil, false},
		"on":                 {[]fakeProc{at(10, 1), at(11, 1)}, nil, true},
		"set by one itself":  {[]fakeProc{at(10, 1), at(11, 0)}, nil, false},
		"the container asks": {[]fakeProc{at(10, 0)}, []string{"no-new-privileges"}, true},
	} {
		cfg := (&fake{containers: []container{{id: idOf(0xa), name: "a", pid: 10, change: func(a answer) {
			a["HostConfig"].(answer)["SecurityOpt"] = test.opts
		}}}}).start(t).config()
		cfg.Root = procRoot(t, test.proc...)
		a := spec(t, collect(t, cfg), "a")
		if a.NoNewPrivileges != test.want || reasonFor(a.Unseen, "no_new_privileges") != "" {
			t.Errorf("%s: got %v, unseen for %q", name, a.NoNewPrivileges, reasonFor(a.Unseen, "no_new_privileges"))
		}
	}
}

func TestFirstProcessTellsInit(t *testing.T) {
	for exe, want := range map[string]bool{"/sbin/docker-init": true, "/bin/busybox": false} {
		cfg := (&fake{containers: []container{running(0xa, "a", 10)}}).start(t).config()
		cfg.Root = procRoot(t, fakeProc{10, v1("/docker/" + idOf(0xa)), "x\n", exe, statusOf("S", 0, 0, 0, 0, 2)})
		a := spec(t, collect(t, cfg), "a")
		if a.Init != want || reasonFor(a.Unseen, "init") != "" {
			t.Errorf("%s: init is %v, unseen for %q", exe, a.Init, reasonFor(a.Unseen, "init"))
		}
		cfg.Root = ""
		if a = spec(t, collect(t, cfg), "a"); reasonFor(a.Unseen, "init") == "" {
			t.Error("init is seen without a look at the processes")
		}
	}
}

func TestReadBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "status")
	for size, fits := range map[int]bool{maxProcBytes: true, maxProcBytes + 1: false} {
		if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readBounded(unix.AT_FDCWD, name, nil); (err == nil) != fits || fits && len(got) != size {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
}

func TestParseStatus(t *testing.T) {
	good := statusOf("S (sleeping)", 1000, 1001, 1<<40, 1, 2)
	want := status{uid: 1000, gid: 1001, capabilities: 1 << 40, seccomp: "filter", noNewPrivileges: "1"}
	if got, err := parseStatus([]byte(good)); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for name, change := range map[string][2]string{
		"no uid": {"Uid:\t1\t", "Uib:\t1\t"}, "three ids": {"\t3\t4\n", "\t3\n"}, "negative": {"1000", "-1"}, "too large": {"1000", "4294967296"},
		"capabilities": {"CapEff:\t0", "CapEff:\tg"}, "no capabilities": {"CapEff", "CapEfg"}, "bit": {"NoNewPrivs:\t1", "NoNewPrivs:\t2"},
		"mode": {"Seccomp:\t2", "Seccomp:\t3"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s changes nothing", name)
		}
		if got, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestFindProcessesOfThisMachine(t *testing.T) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	got, err := walkProc(context.Background(), "/proc", func([]byte) bool { return false })
	if err != nil || len(got) != 0 {
		t.Errorf("nothing is known, and got %v, %v (this process: %s)", got, err, own)
	}
	p, err := processReader{proc: "/proc", sets: map[uint64][]string{}}.read(os.Getpid())
	if err != nil || p.UID != int64(os.Geteuid()) || p.GID != int64(os.Getegid()) || len(p.unseen) != 0 {
		t.Errorf("this process: got %+v, %v", p, err)
	}
	if exe, err := os.Executable(); err != nil || p.Executable != filepath.Base(exe) {
		t.Errorf("this process: got executable %q, want that of %q", p.Executable, exe)
	}
}

// TestKernelThreads: what is left out of the walk are kernel threads, and a
// process 2 that is a program hides none of its children.
func TestKernelThreads(t *testing.T) {
	open := func(name string) int {
		dir, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dir.Close() })
		return int(dir.Fd())
	}
	for id := range kernelThreads(open("/proc")) {
		// Only a thread of the kernel has no program, even for root.
		if exe, err := os.Readlink("/proc/" + id + "/exe"); err == nil {
			t.Errorf("process %s is taken for the kernel's, and runs %s", id, exe)
		}
	}
	for flags, want := range map[string]int{"2129984": 2, "4194560": 0, "x": 0} {
		proc := t.TempDir()
		if err := os.MkdirAll(filepath.Join(proc, "2/task/2"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"2/stat": "2 (a) S 0 0) S 0 0 0 0 -1 " + flags + " 0 0", "2/task/2/children": "3 14 "} {
			if err := os.WriteFile(filepath.Join(proc, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := kernelThreads(open(proc)); len(got) != want {
			t.Errorf("flags %s: got %v, want %d", flags, got, want)
		}
	}
}
