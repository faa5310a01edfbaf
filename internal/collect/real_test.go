package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/test/lab"
)

// docker runs docker's client and returns what it says without its last line
// end.
func docker(t *testing.T, e *lab.Engine, args ...string) string {
	t.Helper()
	out, err := e.Docker(args...)
	if err != nil {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(out)
}

// removing takes a container, and its volumes, away when the test ends.
func removing(t *testing.T, e *lab.Engine, names ...string) {
	t.Cleanup(func() {
		if out, err := e.Docker(append([]string{"rm", "-f", "-v"}, names...)...); err != nil {
			t.Errorf("removing containers: %v\n%s", err, out)
		}
	})
}

func image(t *testing.T, e *lab.Engine, name string, changes ...string) {
	t.Helper()
	if err := e.Busybox(context.Background(), name, changes...); err != nil {
		t.Fatal(err)
	}
}

func realConfig(t *testing.T, host string) Config {
	t.Helper()
	c, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: host, Source: "the lab"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return Config{Client: c, Now: func() time.Time { return collectedAt }, Root: "/"}
}

// waitFor asks again until ok, for at most 20 seconds.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 400 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within 20 seconds", what)
}

func TestRealContainersInEveryState(t *testing.T) {
	e := lab.Shared(t)
	image(t, e, "collect:states", "HEALTHCHECK NONE")
	removing(t, e, "collect-runs", "collect-paused", "collect-stopped", "collect-created")
	docker(t, e, "run", "-d", "--name", "collect-runs", "--user", "65534:65534", "--cap-drop", "ALL", "-e", "TOKEN=x",
		"-v", "/var/run/docker.sock:/sock", "-v", "collect-data:/data", "collect:states", "sh", "-c", "sleep 1000 & exec sleep 2000")
	docker(t, e, "run", "-d", "--name", "collect-paused", "--init", "--security-opt", "seccomp=unconfined", "collect:states")
	docker(t, e, "pause", "collect-paused")
	docker(t, e, "run", "--name", "collect-stopped", "collect:states", "true")
	docker(t, e, "create", "--name", "collect-created", "collect:states")
	docker(t, e, "exec", "-d", "--user", "root", "collect-runs", "sleep", "3000")
	pid, err := strconv.Atoi(docker(t, e, "inspect", "-f", "{{.State.Pid}}", "collect-runs"))
	if err != nil {
		t.Fatal(err)
	}
	id := docker(t, e, "inspect", "-f", "{{.Id}}", "collect-runs")
	cfg := realConfig(t, e.Host())
	var got *facts.Facts
	waitFor(t, "three processes", func() bool {
		got = collect(t, cfg)
		return len(spec(t, got, "collect-runs").Live.Processes) == 3
	})
	runs := spec(t, got, "collect-runs")

	// The kernel's list of the container's cgroup is the second opinion.
	var inCgroup, seen []string
	var procs []byte
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} { // version 1 and 2
		files, err := filepath.Glob(root + "/plimsoll-lab-*/docker/" + id + "/cgroup.procs")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if procs, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	inCgroup = strings.Fields(string(procs))
	for _, p := range runs.Live.Processes {
		seen = append(seen, strconv.FormatInt(p.PID, 10))
		want := workload.Process{PID: p.PID, Name: "sleep", Executable: "busybox", UID: 65534, GID: 65534, Capabilities: []string{}, Seccomp: "filter"}
		if p.UID == 0 { // the exec session
			want.UID, want.GID = 0, 0
		}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("process (-want +got):\n%s", diff)
		}
	}
	slices.Sort(inCgroup)
	slices.Sort(seen)
	if !slices.Equal(seen, inCgroup) || !slices.Contains(seen, strconv.Itoa(pid)) {
		t.Errorf("got processes %v; the cgroup has %v", seen, inCgroup)
	}
	if len(runs.Live.Execs) != 1 || runs.Live.Execs[0].User != "0" || runs.Live.Execs[0].Privileged || runs.Live.Execs[0].PID == 0 {
		t.Errorf("got exec sessions %+v", runs.Live.Execs)
	}
	if runs.NoNewPrivileges || reasonFor(runs.Unseen, "no_new_privileges") != "" {
		t.Errorf("no new privileges: %v, unseen for %q", runs.NoNewPrivileges, reasonFor(runs.Unseen, "no_new_privileges"))
	}
	at := slices.IndexFunc(runs.Mounts, func(m workload.Mount) bool { return m.Target == "/sock" })
	if at < 0 || !slices.Equal(runs.Mounts[at].Resolved, []string{"/run/docker.sock"}) || !slices.Contains(runs.Mounts[at].ResolvedExposes, "engine-socket") {
		t.Errorf("the socket's mount: %+v", runs.Mounts)
	}
	paused := spec(t, got, "collect-paused")
	if paused.Live.Status != "paused" || !paused.Init || len(paused.Live.Processes) != 2 || paused.Live.Processes[0].Seccomp != "none" {
		t.Errorf("paused: status %q, init %v, %+v", paused.Live.Status, paused.Init, paused.Live.Processes)
	}
	for name, status := range map[string]string{"collect-stopped": "exited", "collect-created": "created"} {
		s := spec(t, got, name)
		if s.Live.Status != status || len(s.Live.Processes) != 0 || reasonFor(s.Unseen, "live.processes") != "" {
			t.Errorf("%s: status %q, %v", name, s.Live.Status, s.Live.Processes)
		}
	}
	if !slices.ContainsFunc(got.Volumes, func(v facts.Volume) bool { return v.Name == "collect-data" && v.Driver == "local" }) {
		t.Errorf("the volume is not among %v", got.Volumes)
	}
	if !slices.ContainsFunc(got.Networks, func(n facts.Network) bool { return n.Name == "bridge" && n.ICC }) {
		t.Errorf("the default bridge is not among %v", got.Networks)
	}

	// Nothing of this machine is looked at without a root.
	cfg.Root = ""
	dark := spec(t, collect(t, cfg), "collect-runs")
	for _, path := range []string{"live.processes", "no_new_privileges", fmt.Sprintf("mounts[%d].resolved", at)} {
		if reasonFor(dark.Unseen, path) == "" {
			t.Errorf("%s is seen without a look", path)
		}
	}
}

// An engine's socket and data count wherever it keeps them, and under any path.
func TestRealEngineElsewhere(t *testing.T) {
	e := lab.Shared(t)
	image(t, e, "collect:elsewhere")
	removing(t, e, "collect-elsewhere")
	data := docker(t, e, "info", "-f", "{{.DockerRootDir}}")
	other := t.TempDir()
	link := filepath.Join(other, "s")
	if err := e.Enter(t.Context(), "sh", "-c", `touch "$0" "$0.none" && mount --bind "$1" "$0"`, link, e.Socket()).Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Enter(context.Background(), "umount", link).Run(); err != nil {
			t.Error(err)
		}
	})
	settings := filepath.Join(other, "settings") // a folder of the host under a second path
	if err := e.Enter(t.Context(), "sh", "-c", `mkdir -p "$0/ssh" && mount --bind /etc "$0"`, settings).Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Enter(context.Background(), "umount", settings).Run(); err != nil {
			t.Error(err)
		}
	})
	docker(t, e, "create", "--name", "collect-elsewhere", "-v", e.Socket()+":/a", "-v", filepath.Dir(e.Socket())+":/b", "-v", link+":/c",
		"-v", data+"/containers:/d", "-v", link+".none:/e", "-v", other+":/f", "-v", settings+":/g",
		"--mount", "type=volume,target=/h,volume-opt=type=none,volume-opt=o=bind,volume-opt=device="+other, "collect:elsewhere")
	etc := []string{"host-keys", "schedules", "system-config"}
	all := append([]string{"engine-socket"}, etc...)
	// The lab mounts a file of /b over one of /proc.
	want := map[string][]string{"/a": {"engine-socket"}, "/b": {"engine-data", "engine-socket", "proc"}, "/c": {"engine-socket"}, "/d": {"engine-data"}, "/e": {},
		"/f": all, "/g": etc, "/h": all}
	for _, m := range spec(t, collect(t, realConfig(t, e.Host())), "collect-elsewhere").Mounts {
		if !slices.Equal(m.ResolvedExposes, want[m.Target]) {
			t.Errorf("%s is %s and exposes %v, want %v", m.Target, m.Source, m.ResolvedExposes, want[m.Target])
		}
		delete(want, m.Target)
	}
	if len(want) > 0 {
		t.Errorf("no mounts at %v", want)
	}
}

// The answers of the engine's own client about itself are the second opinion.
func TestRealDaemon(t *testing.T) {
	e := lab.Private(t, map[string]any{"live-restore": true, "log-driver": "local", "no-new-privileges": true, "icc": false})
	got := collect(t, realConfig(t, e.Host()))
	d := got.Daemon
	want := docker(t, e, "info", "-f", "{{.Name}}|{{.OperatingSystem}}|{{.KernelVersion}}|{{.NCPU}}|{{.MemTotal}}|{{.ServerVersion}}|{{.LoggingDriver}}|{{.LiveRestoreEnabled}}|{{.DockerRootDir}}|{{.CgroupVersion}}")
	h := got.Host
	if said := fmt.Sprintf("%s|%s|%s|%d|%d|%s|%s|%v|%s|%d", h.Name, h.OS, h.Kernel, h.CPUs, h.MemoryBytes, d.Version, d.LogDriver, d.LiveRestore, d.DataRoot, h.CgroupVersion); said != want {
		t.Errorf("got  %s\nwant %s", said, want)
	}
	// An engine of 20.10 does not say its default, but its file does.
	if !d.NoNewPrivileges || reasonFor(got.Unseen, "daemon.no_new_privileges") != "" || d.Config.ICC || d.Config.Origins["icc"] != d.Config.File {
		t.Errorf("no new privileges %v, configuration %+v", d.NoNewPrivileges, d.Config)
	}
	if i := slices.IndexFunc(got.Networks, func(n facts.Network) bool { return n.Name == "bridge" }); i < 0 || got.Networks[i].ICC {
		t.Errorf("icc is off, and the networks are %+v", got.Networks)
	}
	image(t, e, "collect:nnp")
	docker(t, e, "run", "-d", "--name", "nnp", "collect:nnp")
	nnp := spec(t, collect(t, realConfig(t, e.Host())), "nnp")
	if !nnp.NoNewPrivileges || reasonFor(nnp.Unseen, "no_new_privileges") != "" {
		t.Errorf("the daemon's default is on: got %v, unseen for %q", nnp.NoNewPrivileges, reasonFor(nnp.Unseen, "no_new_privileges"))
	}
}

func TestRealRemappedUsers(t *testing.T) {
	e := lab.Private(t, map[string]any{"userns-remap": "nobody:nogroup"})
	image(t, e, "collect:remap")
	docker(t, e, "run", "-d", "--name", "mapped", "collect:remap")
	got := collect(t, realConfig(t, e.Host()))
	mapped := spec(t, got, "mapped")
	if !got.Daemon.UsernsRemap || got.Daemon.Rootless || !mapped.UsernsRemapped {
		t.Errorf("remapped: daemon %v, rootless %v, container %v", got.Daemon.UsernsRemap, got.Daemon.Rootless, mapped.UsernsRemapped)
	}
	if len(mapped.Live.Processes) != 1 || mapped.Live.Processes[0].UID == 0 {
		t.Errorf("the process of a remapped root: %+v", mapped.Live.Processes)
	}
}

// countingProxy forwards a socket of its own to the engine's and counts.
type countingProxy struct {
	mu    sync.Mutex
	paths []string
}

func (p *countingProxy) start(t *testing.T, target string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plimsoll")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "proxy.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", target)
	}}
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "docker"})
	}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.paths = append(p.paths, r.URL.RequestURI())
		p.mu.Unlock()
		forward.ServeHTTP(w, r)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-ended
		transport.CloseIdleConnections()
		os.RemoveAll(dir)
	})
	return "unix://" + socket
}

// Through a forwarded socket the facts are the same but for the host's files,
// since nobody can tell where a forwarder leads. Processes prove themselves.
func TestRealRequestsThroughAProxy(t *testing.T) {
	e := lab.Private(t, nil)
	image(t, e, "collect:one")
	image(t, e, "collect:two")
	image(t, e, "collect:unused")
	const n = 6
	for i := range n {
		docker(t, e, "run", "-d", "--name", fmt.Sprintf("count-%02d", i), "-v", "/var/run:/host", []string{"collect:one", "collect:two"}[i%2])
	}
	docker(t, e, "exec", "-d", "count-03", "sleep", "1000")
	proxy := &countingProxy{}
	got := collect(t, realConfig(t, proxy.start(t, e.Socket())))
	kinds := map[string]int{}
	for _, p := range proxy.paths {
		switch {
		case strings.Contains(p, "size") || strings.Contains(p, "/top"):
			t.Errorf("a costly request: %s", p)
		case strings.HasSuffix(p, "/containers/json?all=1"), strings.HasSuffix(p, "/images/json"):
			kinds["list"]++
		case strings.Contains(p, "/containers/"):
			kinds["container"]++
		case strings.Contains(p, "/images/"):
			kinds["image"]++
		case strings.Contains(p, "/exec/"):
			kinds["exec"]++
		default:
			kinds["other"]++
		}
	}
	if diff := cmp.Diff(map[string]int{"list": 2, "container": n, "image": 3, "exec": 1, "other": 5}, kinds); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if len(got.Containers) != n {
		t.Fatalf("got %d containers", len(got.Containers))
	}
	for _, c := range got.Containers {
		if r := reasonFor(c.Unseen, "mounts[0].resolved"); r != "what listens on the engine's socket is not the engine" {
			t.Errorf("%s: links are unseen for %q", c.Name, r)
		}
		if len(c.Live.Processes) == 0 {
			t.Errorf("%s: no processes, though its cgroup names it", c.Name)
		}
	}
}

func TestRealEngineDies(t *testing.T) {
	e := lab.Private(t, nil)
	image(t, e, "collect:dies")
	for i := range 5 {
		docker(t, e, "create", "--name", fmt.Sprintf("dies-%d", i), "collect:dies")
	}
	cfg := realConfig(t, e.Host())
	if got := collect(t, cfg); len(got.Containers) != 5 {
		t.Fatalf("got %d containers", len(got.Containers))
	}
	cfg.Concurrency = 1 // so that no container was inspected when the image was
	cfg.Progress = func(done, _ int, what string) {
		if done != 1 || what != "images" {
			return
		}
		dockerd, err := os.FindProcess(e.Pid)
		if err == nil {
			err = dockerd.Kill()
		}
		if err != nil {
			t.Errorf("killing the engine: %v", err)
		}
		waitFor(t, "the engine's end", func() bool {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.Pid))
			return err != nil || bytes.Contains(status, []byte("State:\tZ"))
		})
	}
	got, err := Engine(context.Background(), cfg)
	var said *engine.Error
	if got != nil || !errors.As(err, &said) || said.Hint() == "" {
		t.Errorf("got %v, %v; want no facts and the engine's error", got, err)
	}
}
