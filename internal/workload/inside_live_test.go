//go:build soak

package workload

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/test/lab"
)

// printProgram builds the program that prints a Spec, static, once a run.
func printProgram(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "print")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/inside/print")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the program to run inside: %v\n%s", err, msg)
	}
	return out
}

// insideEngine holds what the live tests share.
type insideEngine struct {
	*lab.Engine
	program string
	around  Surroundings
	prefix  string
	started chan string // names of containers to remove
}

// newInsideEngine makes the images; what is started is removed at the end, all
// at once.
func newInsideEngine(t *testing.T, engine *lab.Engine, around Surroundings, prefix string) *insideEngine {
	t.Helper()
	e := &insideEngine{Engine: engine, program: printProgram(t), around: around, prefix: prefix, started: make(chan string, 100)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	t.Cleanup(func() {
		rm := []string{"rm", "-f", "-v"}
		for len(e.started) > 0 {
			rm = append(rm, <-e.started)
		}
		if out, err := e.Docker(rm...); err != nil {
			t.Errorf("removing: %v\n%s", err, out)
		}
		if out, err := e.Docker("rmi", prefix+":1", prefix+":volume"); err != nil {
			t.Errorf("removing the images: %v\n%s", err, out)
		}
	})
	for image, line := range map[string]string{":1": "ENV SOME=thing", ":volume": "VOLUME /data"} {
		if err := e.Busybox(ctx, prefix+image, line); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// look starts a container with the flags, runs the program in it and gives
// what it said and what the engine says.
func (e *insideEngine) look(t *testing.T, name string, entry bool, image string, flags ...string) (inside, outside seen) {
	t.Helper()
	name = e.prefix + "-" + name
	args := append([]string{"run", "-d", "--name", name, "-v", e.program + ":/print:ro"}, flags...)
	if args = append(args, image); entry {
		args = append(args, "/print", "stay")
	}
	if out, err := e.Docker(args...); err != nil {
		t.Fatalf("starting: %v\n%s", err, out)
	}
	e.started <- name
	get := []string{"exec", name, "/print"}
	if entry {
		get = []string{"logs", name}
	}
	var said struct {
		Spec   Spec
		Unseen []Unseen
	}
	for try := 0; ; try++ {
		out, err := e.Docker(get...)
		if err == nil {
			err = json.Unmarshal([]byte(out), &said)
		}
		if err == nil {
			break
		}
		if !entry || try == 100 {
			t.Fatalf("looking from inside: %v\n%s", err, out)
		}
		time.Sleep(50 * time.Millisecond) // the log is written by another process
	}
	said.Spec.Unseen = said.Unseen

	raw, err := e.Docker("inspect", "--type", "container", name)
	if err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list) != 1 {
		t.Fatalf("inspecting: %v, %d answers", err, len(list))
	}
	spec, _, err := FromInspect(list[0], e.around)
	if err != nil {
		t.Fatal(err)
	}
	return toSeen(t, said.Spec), toSeen(t, spec)
}

// theEnginesFacts is what this engine answers to /info, as a Daemon.
func theEnginesFacts() Surroundings {
	return Surroundings{EnvKey: []byte("print"), Volumes: map[string]Volume{"named": {Driver: "local"}},
		Daemon: &Daemon{Seccomp: "default", NoNewPrivilegesSeen: true, CgroupVersion: 1, DefaultRuntime: "runc", LogDriver: "json-file"}}
}

// insideDevice is a device as it is seen from inside, where its path on the host is
// not.
func insideDevice(path, permissions string, exposes ...any) map[string]any {
	return map[string]any{"host_path": "", "container_path": path, "permissions": permissions, "exposes": []any{}, "resolved": "", "resolved_exposes": append([]any{}, exposes...)}
}

// TestInsideLive: whatever is seen from inside is what the engine says, but for
// the differences that FromInside documents, each listed here with its row.
func TestInsideLive(t *testing.T) {
	e := newInsideEngine(t, lab.Shared(t), theEnginesFacts(), "insidelive")
	if _, err := e.Docker("run", "-d", "--name", "insidelive-other", "--ipc", "shareable", "-v", "named:/taken", "insidelive:1"); err != nil {
		t.Fatal(err)
	}
	e.started <- "insidelive-other"

	shared := t.TempDir()
	// A socket of that name that is not the engine's.
	other := filepath.Join(shared, "docker.sock")
	listener, err := net.Listen("unix", other)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	for _, c := range []struct {
		name  string
		flags []string
		// want is what must be seen, so that hiding everything is no way to pass.
		want map[string]any
		// unseen must be, in this state.
		unseen []string
		// differs lists the fields where the kernel's word is another.
		differs []string
		entry   bool
		image   string
		// mounts must be seen so, by target.
		mounts map[string]map[string]any
	}{
		{name: "plain", want: map[string]any{"user": "0", "read_only_root": false, "privileged": false, "system_paths": "default",
			"no_new_privileges": false, "namespaces.pid": "private", "namespaces.uts": "private", "namespaces.cgroup": "host",
			"userns_remapped": false, "resources.memory_bytes": 0.0, "resources.pids": 0.0, "resources.cpus": 0.0,
			"resources.shm_bytes": 67108864.0, "devices": []any{}, "device_rules": []any{}, "env": []any{"SOME"},
			"executable": "sleep", "init": false, "tty": false, "live.status": "running", "group_add": []any{}},
			unseen: []string{"seccomp", "apparmor", "group", "namespaces.ipc", "namespaces.network", "image", "name"}},
		{name: "entry", entry: true, want: map[string]any{"executable": "/print", "user": "0", "namespaces.pid": "private"}},
		{name: "privileged", flags: []string{"--privileged"}, differs: []string{"capabilities"},
			want: map[string]any{"privileged": true, "seccomp": "unconfined", "system_paths": "unconfined", "masked_paths": []any{}}},
		{name: "almost", flags: []string{"--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined",
			"--security-opt", "systempaths=unconfined", "--device", "/dev/fuse"}, differs: []string{"capabilities"},
			want: map[string]any{"privileged": false, "seccomp": "unconfined", "system_paths": "unconfined"}},
		{name: "readonly", flags: []string{"--read-only"}, want: map[string]any{"read_only_root": true, "privileged": false}},
		{name: "privilegedreadonly", flags: []string{"--privileged", "--read-only"}, differs: []string{"capabilities"},
			want: map[string]any{"read_only_root": true, "privileged": true}},
		{name: "limits", flags: []string{"--memory", "64m", "--memory-reservation", "32m", "--pids-limit", "77", "--cpus", "0.5",
			"--cpu-shares", "512", "--cpuset-cpus", "0", "--shm-size", "1m", "--oom-score-adj", "300"},
			want: map[string]any{"resources.memory_bytes": 67108864.0, "resources.memory_reservation_bytes": 33554432.0,
				"resources.memory_swap_bytes": 134217728.0, "resources.pids": 77.0, "resources.cpus": 0.5, "resources.cpu_shares": 512.0,
				"resources.cpuset_cpus": "0", "resources.shm_bytes": 1048576.0, "resources.oom_score_adj": 300.0}},
		{name: "swap", flags: []string{"--memory", "64m", "--memory-swap", "-1", "--oom-kill-disable"},
			want: map[string]any{"resources.memory_swap_bytes": -1.0, "resources.oom_kill_disable": true}},
		{name: "rates", flags: []string{"--device-read-bps", "/dev/vda:1mb", "--device-write-iops", "/dev/vda:50",
			"--cpu-quota", "25000", "--cpu-period", "50000"},
			want: map[string]any{"resources.read_bps": []any{map[string]any{"path": "", "value": 1048576.0}},
				"resources.write_iops": []any{map[string]any{"path": "", "value": 50.0}}, "resources.write_bps": []any{},
				"resources.cpus": 0.5, "resources.cpu_period_microseconds": 50000.0},
			unseen: []string{"resources.read_bps[0].path"}},
		{name: "dropall", flags: []string{"--cap-drop", "ALL"}, want: map[string]any{"capabilities": []any{}}},
		{name: "dropone", flags: []string{"--cap-drop", "NET_RAW", "--cap-add", "SYS_PTRACE", "--user", "root",
			"-e", "DB_PASSWORD=x", "-e", "GOMEMLIMIT=9MiB", "-e", "HOME=/h"}, want: map[string]any{"user": "0",
			"env": []any{"DB_PASSWORD", "GOMEMLIMIT", "SOME"}, "env_values.GOMEMLIMIT": "9MiB", "capabilities": []any{
				"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
				"CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE"}}},
		{name: "user", flags: []string{"--user", "1234:4321", "--group-add", "55", "--security-opt", "no-new-privileges",
			"--security-opt", "seccomp=unconfined"}, want: map[string]any{"user": "1234", "group": "4321", "group_add": []any{"55"},
			"executable": "sleep", "no_new_privileges": true, "seccomp": "unconfined"}},
		{name: "userentry", entry: true, flags: []string{"--user", "1234"}, want: map[string]any{"user": "1234"}, unseen: []string{"group"}},
		{name: "pidhost", flags: []string{"--pid", "host"}, want: map[string]any{"namespaces.pid": "host", "user": "0", "executable": "sleep"}},
		{name: "joined", flags: []string{"--pid", "container:insidelive-other", "--network", "container:insidelive-other",
			"--ipc", "container:insidelive-other", "--user", "77"}, want: map[string]any{"user": "77"},
			unseen: []string{"namespaces.pid", "namespaces.network", "namespaces.ipc"}},
		{name: "shared", flags: []string{"--uts", "host", "--ipc", "host", "--network", "host"},
			want:   map[string]any{"namespaces.uts": "host", "namespaces.ipc": "host"},
			unseen: []string{"hostname", "namespaces.network", "resources.shm_bytes"}},
		{name: "hostname", flags: []string{"--hostname", "buoy", "--domainname", "sea.example", "--tmpfs", "/dev/shm:size=1m", "--init", "-t"},
			want:   map[string]any{"init": true, "tty": true},
			unseen: []string{"namespaces.uts", "hostname", "domainname", "executable"},
			mounts: map[string]map[string]any{"/dev/shm": {"type": "tmpfs"}}},
		{name: "cgroupns", flags: []string{"--cgroupns", "private", "--memory", "64m", "--ipc", "none"},
			want: map[string]any{"namespaces.ipc": "none", "namespaces.cgroup": "private", "resources.memory_bytes": 67108864.0}, unseen: []string{"id"}},
		{name: "binds", image: "insidelive:volume", flags: []string{"-v", shared + ":/b", "-v", shared + ":/b/ro:ro", "-v", "named:/v", "-v", "/anonymous"},
			want: map[string]any{"anonymous_volumes": []any{"/anonymous", "/data"}}, unseen: []string{"mounts[0].type", "mounts[0].source", "mounts[0].exposes"},
			mounts: map[string]map[string]any{"/b": {"read_only": false}, "/print": {"type": "bind", "read_only": true, "propagation": "rprivate"},
				"/v": {"type": "volume", "source": "named", "driver": "local", "read_only": false}}},
		{name: "propagation", flags: []string{"--mount", "type=bind,src=" + shared + ",dst=/s,bind-propagation=private", "-v", "/sys:/sys"},
			want: map[string]any{"privileged": false}, differs: []string{"mounts[1]"}},
		{name: "tmpfs", flags: []string{"--tmpfs", "/t:size=1m", "--tmpfs", "/u:exec", "--tmpfs", "/ro:ro"},
			mounts: map[string]map[string]any{"/t": {"type": "tmpfs", "read_only": false, "options": []any{"nodev", "noexec", "nosuid"}},
				"/u": {"type": "tmpfs", "options": []any{"nodev", "nosuid"}}, "/ro": {"type": "tmpfs", "read_only": true}}},
		{name: "tmpfsofhost", flags: []string{"-v", "/dev/shm:/s", "--volumes-from", "insidelive-other", "--network", "none"},
			unseen: []string{"mounts[1].type", "namespaces.network"},
			mounts: map[string]map[string]any{"/s": {"type": ""}, "/taken": {"type": "volume", "source": "named"}}},
		{name: "socket", flags: []string{"-v", "/run/docker.sock:/run/docker.sock"},
			mounts: map[string]map[string]any{"/run/docker.sock": {"type": "bind", "exposes": []any{"engine-socket"}, "read_only": false}}},
		{name: "socketelsewhere", flags: []string{"-v", "/var/run/docker.sock:/tmp/s:ro"},
			mounts: map[string]map[string]any{"/tmp/s": {"type": "bind", "exposes": []any{"engine-socket"}, "read_only": true}}},
		{name: "socketother", flags: []string{"-v", other + ":/run/docker.sock"}, unseen: []string{"mounts[1].exposes"}},
		{name: "socketfolder", flags: []string{"-v", "/run:/host/run"}, unseen: []string{"mounts[0].type"},
			mounts: map[string]map[string]any{"/host/run": {"exposes": []any{"engine-socket", "runtime-socket"}}}},
		{name: "wholehost", flags: []string{"-v", "/:/host:ro"},
			mounts: map[string]map[string]any{"/host": {"exposes": []any{"engine-socket", "runtime-socket"}, "read_only": true}}},
		{name: "device", flags: []string{"--device", "/dev/fuse", "--device", "/dev/loop0:/dev/lo:r"}, want: map[string]any{"devices": []any{
			insideDevice("/dev/fuse", "rwm"), insideDevice("/dev/lo", "r", "disk")}}, unseen: []string{"devices[0].host_path"}},
		{name: "deviceoutside", flags: []string{"--device", "/dev/fuse:/opt/fuse"}, unseen: []string{"device_rules"}},
		{name: "devicerule", flags: []string{"--device-cgroup-rule", "c 10:229 rwm"}, unseen: []string{"device_rules"}},
		{name: "hostdev", flags: []string{"-v", "/dev:/dev", "-v", "/run:/host/run"}, unseen: []string{"mounts[1].type"},
			mounts: map[string]map[string]any{"/dev": {"read_only": false}}},
		{name: "hostcgroup", flags: []string{"-v", "/sys/fs/cgroup:/sys/fs/cgroup:ro"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			image := c.image
			if image == "" {
				image = "insidelive:1"
			}
			inside, outside := e.look(t, c.name, c.entry, image, c.flags...)
			for _, d := range differences("", "", inside.spec, outside.spec, inside, outside) {
				if !slices.ContainsFunc(c.differs, func(p string) bool { return strings.HasPrefix(d, p) }) && !strings.HasPrefix(d, "origin:") {
					t.Errorf("%s", d)
				}
			}
			for path, want := range c.want {
				if inside.hidden(path) {
					t.Errorf("%s is unseen", path)
				}
				if diff := cmp.Diff(want, inside.lookup(path)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
			for _, path := range c.unseen {
				if !inside.hidden(path) {
					t.Errorf("%s is seen as %v", path, inside.lookup(path))
				}
			}
			for target, want := range c.mounts {
				m := inside.mount(target)
				for field, value := range want {
					if diff := cmp.Diff(value, m[field]); diff != "" {
						t.Errorf("the mount at %s, %s (-want +got):\n%s", target, field, diff)
					}
				}
			}
		})
	}
}

// mount is the mount at a target, or nil.
func (s seen) mount(target string) map[string]any {
	list, _ := s.spec["mounts"].([]any)
	for _, e := range list {
		if m, _ := e.(map[string]any); m["target"] == target {
			return m
		}
	}
	return nil
}
