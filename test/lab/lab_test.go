package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// start gives the test an engine of its own, among this test run's.
func start(t *testing.T, c Config) *Engine {
	t.Helper()
	needEngine(t)
	c.base = testBase()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	e, err := Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// docker runs a docker command that must succeed.
func docker(t *testing.T, e *Engine, args ...string) string {
	t.Helper()
	out, err := e.Docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// TestOnDisk: an engine has its data in memory, or where this machine has its own, and takes
// either away.
func TestOnDisk(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	const inMemory = 0x01021994 // TMPFS_MAGIC of statfs(2)
	var lib unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(Base), &lib); err != nil {
		t.Fatal(err)
	}
	for _, disk := range []bool{false, true} {
		e := start(t, Config{OnDisk: disk})
		if err := e.Busybox(t.Context(), "bb:1"); err != nil {
			t.Fatal(err)
		}
		if got := docker(t, e, "run", "--rm", "--user", "7", "bb:1", "id", "-u"); got != "7" {
			t.Errorf("a container is user %s", got)
		}
		var info struct{ DriverStatus [][2]string }
		unmarshal(t, docker(t, e, "info", "--format", "{{json .}}"), &info)
		if memory := slices.Contains(info.DriverStatus, [2]string{"Backing Filesystem", "tmpfs"}); memory != (!disk || lib.Type == inMemory) {
			t.Errorf("on disk %t: %v", disk, info.DriverStatus)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	check("an engine on the disk")
}

func TestEngine(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	e := start(t, Config{})
	if err := e.Busybox(t.Context(), "bb:1", "LABEL made=here"); err != nil {
		t.Fatal(err)
	}

	t.Run("is an ordinary engine", func(t *testing.T) {
		var info struct {
			DefaultRuntime, CgroupDriver, OperatingSystem, Driver string
			Runtimes                                              map[string]any
			Warnings                                              []string
		}
		unmarshal(t, docker(t, e, "info", "--format", "{{json .}}"), &info)
		if info.DefaultRuntime != "runc" || info.CgroupDriver != "cgroupfs" || info.Driver != "overlay2" {
			t.Errorf("got %+v, want runc, cgroupfs and overlay2", info)
		}
		if strings.Contains(info.OperatingSystem, "containerized") {
			t.Errorf("the engine takes the machine for a container: %s", info.OperatingSystem)
		}
		for name := range info.Runtimes {
			if strings.Contains(name, "nores") || strings.Contains(name, "lab") {
				t.Errorf("a runtime of the lab's shows: %s", name)
			}
		}
	})

	t.Run("a privileged container runs, and inspect says what was asked", func(t *testing.T) {
		docker(t, e, "run", "--detach", "--name", "privileged", "--privileged", "bb:1")
		var got struct {
			State      struct{ Pid int }
			HostConfig struct {
				Privileged   bool
				Runtime      string
				CgroupParent string
				CapAdd       []string
			}
			Config struct{ Labels map[string]string }
		}
		unmarshal(t, docker(t, e, "inspect", "--format", "{{json .}}", "privileged"), &got)
		if !got.HostConfig.Privileged || got.HostConfig.Runtime != "runc" || got.HostConfig.CgroupParent != "" || got.HostConfig.CapAdd != nil {
			t.Errorf("inspect says %+v", got.HostConfig)
		}
		if got.Config.Labels["made"] != "here" {
			t.Errorf("the image's label is lost: %v", got.Config.Labels)
		}
		// The process id is the machine's: here is the container's process.
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", got.State.Pid))
		if err != nil || string(cmdline) != "sleep\x002147483647\x00" {
			t.Errorf("process %d is %q, %v", got.State.Pid, cmdline, err)
		}
		cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", got.State.Pid))
		if err != nil || !strings.Contains(string(cgroup), ":/"+cgroupName(e.dir)+"/docker/") {
			t.Errorf("its cgroups are %s, %v", cgroup, err)
		}
		effective := docker(t, e, "exec", "--privileged", "privileged", "grep", "CapEff", "/proc/1/status", "/proc/self/status")
		all, plain := uint64(0), uint64(0)
		if _, err := fmt.Sscanf(strings.ReplaceAll(effective, "\n", " "), "/proc/1/status:CapEff: %x /proc/self/status:CapEff: %x", &all, &plain); err != nil {
			t.Fatalf("reading %q: %v", effective, err)
		}
		const sysAdmin = 1 << 21
		if all&sysAdmin == 0 || all != plain {
			t.Errorf("the container has %x and exec in it %x, want all that the machine has", all, plain)
		}
	})

	t.Run("an ordinary container has the ordinary capabilities", func(t *testing.T) {
		got := docker(t, e, "run", "--rm", "bb:1", "grep", "CapEff", "/proc/self/status")
		if want := "CapEff:\t00000000a80425fb"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})

	t.Run("limits hold", func(t *testing.T) {
		_, err := e.Docker("run", "--name", "hungry", "--memory", "16m", "bb:1", "sh", "-c", "a=x; while true; do a=$a$a; done")
		if err == nil || !strings.Contains(err.Error(), "137") {
			t.Errorf("got %v, want exit status 137", err)
		}
		// An engine may hear of the end before it hears what the cause was, and then
		// never puts it right.
		waitFor(t, "the engine to say that memory was the cause", func() bool {
			if docker(t, e, "inspect", "--format", "{{.State.OOMKilled}}", "hungry") == "true" {
				return true
			}
			_, _ = e.Docker("start", "--attach", "hungry") // ends as one that is killed
			return false
		})
	})

	t.Run("ports are published inside only", func(t *testing.T) {
		docker(t, e, "run", "--detach", "--name", "web", "--publish", "127.0.0.1:18080:8080", "bb:1", "httpd", "-f", "-p", "8080", "-h", "/www")
		busybox, err := lookPath("busybox")
		if err != nil {
			t.Fatal(err)
		}
		get := func() (string, error) {
			out, err := e.Enter(t.Context(), busybox, "wget", "-q", "-O", "-", "http://127.0.0.1:18080/").Output()
			return string(out), err
		}
		waitFor(t, "the published port", func() bool { out, err := get(); return err == nil && out == "ok\n" })
		if filter, err := e.Enter(t.Context(), "iptables-save").Output(); err != nil || !strings.Contains(string(filter), "--dport 18080") {
			t.Errorf("there is no rule for the port inside: %v\n%s", err, filter)
		}
	})

	t.Run("its socket inside is the usual one", func(t *testing.T) {
		id := docker(t, e, "info", "--format", "{{.ID}}")
		out, err := e.Enter(t.Context(), "/usr/bin/docker", "--host", "unix:///var/run/docker.sock", "info", "--format", "{{.ID}}").Output()
		if err != nil || strings.TrimSpace(string(out)) != id {
			t.Errorf("the engine at /var/run/docker.sock is %q, %v; want %q", out, err, id)
		}
		docker(t, e, "run", "--rm", "--volume", "/var/run/docker.sock:/s", "bb:1", "test", "-S", "/s")
	})

	t.Run("what fails says why", func(t *testing.T) {
		_, err := e.Docker("run", "--name", "x", "bb:1")
		if err == nil || !strings.Contains(err.Error(), "Invalid container name") {
			t.Errorf("got %v, want docker's own words", err)
		}
		if err := e.Busybox(t.Context(), "bb:2", "FROM scratch"); err == nil || !strings.Contains(err.Error(), "bb:2") {
			t.Errorf("got %v, want an error about bb:2", err)
		}
	})

	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	check("an engine that was closed")
}

func unmarshal(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func TestSettings(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	e := start(t, Config{Settings: map[string]any{
		"userns-remap": "nobody:nogroup", "icc": false, "no-new-privileges": true, "live-restore": true,
		"default-ulimits": map[string]any{"nofile": map[string]any{"Name": "nofile", "Soft": 100, "Hard": 200}},
	}})
	if err := e.Busybox(t.Context(), "bb:1"); err != nil {
		t.Fatal(err)
	}
	got := docker(t, e, "info", "--format", "{{.LiveRestoreEnabled}} {{.SecurityOptions}}")
	if !strings.HasPrefix(got, "true ") || !strings.Contains(got, "name=userns") {
		t.Errorf("info says %s", got)
	}
	got = docker(t, e, "network", "inspect", "--format", `{{index .Options "com.docker.network.bridge.enable_icc"}}`, "bridge")
	if got != "false" {
		t.Errorf("icc is %s, want false", got)
	}
	got = docker(t, e, "run", "--rm", "bb:1", "sh", "-c", "ulimit -Sn; ulimit -Hn; grep NoNewPrivs /proc/self/status; cat /proc/self/uid_map")
	if want := []string{"100", "200", "NoNewPrivs:", "1", "0", "100000", "65536"}; !cmp.Equal(want, strings.Fields(got)) {
		t.Errorf("inside the container: got %q, want %q", strings.Fields(got), want)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	check("an engine with settings")
}

func TestStartRefuses(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	for _, name := range fixedSettings {
		_, err := Start(t.Context(), Config{base: testBase(), Settings: map[string]any{name: "x"}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("setting %s: got %v, want an error that names it", name, err)
		}
	}
	// The engine's own reason reaches the caller.
	_, err := Start(t.Context(), Config{base: testBase(), Settings: map[string]any{"no-such-setting": 1}})
	if err == nil || !strings.Contains(err.Error(), "no-such-setting") || !strings.Contains(err.Error(), "the engine ended while it started") {
		t.Errorf("got %v, want dockerd's words", err)
	}
	if _, err := Start(t.Context(), Config{base: testBase(), Program: "/nonexistent"}); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("got %v, want an error about the program", err)
	}
	// A program that knows nothing of the lab says nothing, and is told of.
	if _, err := Start(t.Context(), Config{base: testBase(), Program: "/bin/true"}); err == nil || !strings.Contains(err.Error(), "without a word") {
		t.Errorf("got %v, want an error about the keeper", err)
	}
	check("an engine that could not start")
}

func TestStartCancelled(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	reason := errors.New("not wanted any more")
	for _, after := range []time.Duration{0, 30 * time.Millisecond, 300 * time.Millisecond} {
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(after, func() { cancel(reason) })
		e, err := Start(ctx, Config{base: testBase()})
		timer.Stop()
		if err == nil { // it was up before
			err = e.Close()
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, reason) {
			t.Errorf("cancelled after %v: got %v, want %v", after, err, reason)
		}
	}
	check("a start that was cancelled")
}

func TestMakeDir(t *testing.T) {
	base := filepath.Join(t.TempDir(), "plimsoll-lab")
	dir, lock, err := makeDir(base)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir); !errors.Is(err, errInUse) {
		t.Errorf("a locked folder can be locked again: %v", err)
	}
	lock.Close()
	again, err := lockDir(dir)
	if err != nil {
		t.Fatalf("a folder that was let go cannot be locked: %v", err)
	}
	again.Close()
	if _, err := lockDir(dir + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for a folder that is not there", err)
	}
}

// Many starters and sweepers at one place must never take each other's.
func TestMakeDirAgainstSweep(t *testing.T) {
	base := filepath.Join(t.TempDir(), "plimsoll-lab")
	stop := make(chan struct{})
	swept := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				swept <- nil
				return
			default:
			}
			if err := sweep(context.Background(), base); err != nil {
				swept <- err
				return
			}
		}
	}()
	for range 200 {
		dir, lock, err := makeDir(base)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644); err != nil {
			t.Fatalf("a locked folder was taken away: %v", err)
		}
		lock.Close()
	}
	close(stop)
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	if err := sweep(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(base); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folders that nobody holds are left: %v", err)
	}
}

func TestIsEngineDir(t *testing.T) {
	for dir, want := range map[string]bool{
		Base + "/0123abcd": true, "/tmp/x/plimsoll-lab-test-7/0123abcd": true,
		Base: false, Base + "/": false, Base + "/0123abc": false, Base + "/0123abcd/inside": false, Base + "/..": false, Base + "/../../etc": false,
		"/var/lib/postgres/0123abcd": false, "plimsoll-lab/0123abcd": false, "/": false, "": false,
	} {
		if got := isEngineDir(dir); got != want {
			t.Errorf("%q: got %v, want %v", dir, got, want)
		}
	}
}

func TestReadState(t *testing.T) {
	dir := t.TempDir()
	want := before{Files: map[string]string{"/x": "1\n"}, Controllers: []string{"io"}, AppArmor: true}
	if err := writeState(dir, "before.json", want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, readState[before](dir, "before.json")); diff != "" {
		t.Error(diff)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "before.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "before.json"), whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before.json", "absent.json"} {
		if diff := cmp.Diff(before{}, readState[before](dir, name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The kernel's settings are put back if, and only if, they changed.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	raised, same := filepath.Join(dir, "raised"), filepath.Join(dir, "same")
	writeFile(t, raised, "200\n")
	writeFile(t, same, "5\n")
	was := before{Files: map[string]string{raised: "200\n", same: "5\n"}}
	writeFile(t, raised, "1000000\n")
	old := time.Unix(1, 0)
	if err := os.Chtimes(same, old, old); err != nil {
		t.Fatal(err)
	}
	if err := was.restore(nil); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(raised); err != nil || string(b) != "200\n" {
		t.Errorf("got %q, %v; want it put back", b, err)
	}
	if info, err := os.Stat(same); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("an unchanged setting was written: %v", err)
	}
	if err := os.Remove(raised); err != nil {
		t.Fatal(err)
	}
	if err := was.restore(nil); err == nil || !strings.Contains(err.Error(), raised) {
		t.Errorf("got %v, want an error that names %s", err, raised)
	}
}

func TestHasProfile(t *testing.T) {
	const loaded = "docker-default (enforce)\n/usr/bin/man (enforce)\n"
	if !hasProfile(loaded) {
		t.Error("docker-default is not seen")
	}
	for _, text := range []string{"", "docker-default-2 (enforce)\n", "/usr/bin/docker-default (enforce)\n"} {
		if hasProfile(text) {
			t.Errorf("docker-default is seen in %q", text)
		}
	}
}

func TestAddRangeKeepsTheMachines(t *testing.T) {
	needRoot(t)
	for _, path := range []string{"/etc/subuid", "/etc/subgid"} {
		before, err := os.ReadFile(path)
		if err != nil {
			lacking(t, err.Error())
		}
		copied := filepath.Join(t.TempDir(), "copy")
		if err := addRange(path, copied, "nobody:nogroup"); err != nil {
			t.Fatal(err)
		}
		seen, err := os.ReadFile(path)
		if uerr := unix.Unmount(path, unix.MNT_DETACH); uerr != nil {
			t.Fatal(uerr)
		}
		want := "nobody:100000:65536\n"
		if err != nil || string(seen) != string(before)+want {
			t.Errorf("%s reads %q, %v; want %q at its end", path, seen, err, want)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("the machine's %s became %q, %v", path, after, err)
		}
	}
}
