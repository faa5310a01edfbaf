package workload

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// layOut makes a root directory of a recorded one; edit may change the files.
func layOut(t testing.TB, name string, edit func(files map[string]string)) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "inside", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	if edit != nil {
		edit(files)
	}
	root := t.TempDir()
	mkdir(t, filepath.Join(root, "dev")) // first: what a container mounts is younger
	for _, name := range slices.Sorted(mapsKeys(files)) {
		writeRecorded(t, filepath.Join(root, name), files[name])
	}
	return root
}

func mapsKeys(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func mkdir(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// writeRecorded writes one recorded file: "-> " begins a link, and what is
// separated by NUL has a line each.
func writeRecorded(t testing.TB, path, data string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	var err error
	if target, link := strings.CutPrefix(data, "-> "); link {
		err = os.Symlink(strings.TrimSuffix(target, "\n"), path)
	} else {
		if base := filepath.Base(path); base == "environ" || base == "cmdline" {
			data = strings.ReplaceAll(data, "\n", "\x00")
		}
		err = os.WriteFile(path, []byte(data), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fromRecorded is FromInside of a recorded root.
func fromRecorded(t testing.TB, name string, edit func(files map[string]string)) Spec {
	t.Helper()
	s, err := FromInside(Inside{Root: layOut(t, name, edit), EnvKey: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check compares what is seen, by path, and demands that the rest is unseen.
func check(t *testing.T, s Spec, want map[string]any, unseen ...string) {
	t.Helper()
	got := toSeen(t, s)
	for path, value := range want {
		if got.hidden(path) {
			t.Errorf("%s is unseen", path)
		}
		if diff := cmp.Diff(value, got.lookup(path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for _, path := range unseen {
		if !got.hidden(path) && !slices.Contains(got.unseen, path) {
			t.Errorf("%s is seen as %v", path, got.lookup(path))
		}
	}
}

func TestInsidePlain(t *testing.T) {
	s := fromRecorded(t, "plain", nil)
	check(t, s, map[string]any{
		"origin": "inside", "user": "1234", "group": "55", "group_add": []any{"77"}, "executable": "sleep",
		"env": []any{"DB_PASSWORD", "GOMEMLIMIT"}, "env_values": map[string]any{"GOMEMLIMIT": "50MiB"},
		"privileged": false, "no_new_privileges": false, "system_paths": "default", "writable_cgroups": false, "read_only_root": false,
		"namespaces.pid": "private", "namespaces.uts": "private", "namespaces.cgroup": "host", "userns_remapped": false,
		"resources.memory_bytes": 67108864.0, "resources.memory_reservation_bytes": 33554432.0,
		"resources.memory_swap_bytes": 134217728.0, "resources.kernel_memory_bytes": 0.0, "resources.pids": 50.0,
		"resources.cpus": 0.5, "resources.cpu_quota_microseconds": 50000.0, "resources.cpu_period_microseconds": 100000.0,
		"resources.cpu_shares": 0.0, "resources.shm_bytes": 67108864.0, "resources.oom_kill_disable": false,
		"resources.read_bps": []any{}, "devices": []any{}, "device_rules": []any{}, "init": false, "tty": false,
		"live.status": "running",
	}, "group_add[...]", "seccomp", "apparmor", "namespaces.ipc", "namespaces.network", "resources.cpuset_cpus", "labels", "name")
	if len(s.ID) != 64 || !strings.HasPrefix(s.ID, s.Hostname) {
		t.Errorf("id %q, host name %q", s.ID, s.Hostname)
	}
	if len(s.EnvHashes) != 2 || s.EnvHashes["DB_PASSWORD"] == s.EnvHashes["GOMEMLIMIT"] {
		t.Errorf("hashes %v", s.EnvHashes)
	}
	type mount struct{ Type, Source, Target string }
	var got []mount
	for _, m := range s.Mounts {
		got = append(got, mount{m.Type, m.Source, m.Target})
	}
	want := []mount{{"", "", "/data"}, {"bind", "", "/dump.sh"}, {"tmpfs", "", "/scratch"}, {"volume", "named", "/v"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	for _, u := range s.Unseen {
		if u.Path == "mounts"+Open {
			t.Error("every mount is accounted for, and yet the list is open")
		}
	}
}

// TestInsideOthersEnvironment: the first process's variables are its owner's to
// read; the caller's own were given by the same engine.
func TestInsideOthersEnvironment(t *testing.T) {
	s := fromRecorded(t, "plain", func(f map[string]string) {
		delete(f, "proc/1/environ")
		for name := range f {
			if strings.HasSuffix(name, "/environ") {
				f[name] = "ONE=1\nHOME=/\nTWO=a=b\n"
			}
		}
	})
	check(t, s, map[string]any{"env": []any{"ONE", "TWO"}}, "env[...]")
}

func TestInsidePrivileged(t *testing.T) {
	s := fromRecorded(t, "privileged", nil)
	check(t, s, map[string]any{"privileged": true, "seccomp": "unconfined", "system_paths": "unconfined", "writable_cgroups": true,
		"masked_paths": []any{}, "readonly_paths": []any{}, "user": "0"}, "devices", "device_rules")
	if len(s.Capabilities) < 37 || !slices.Contains(s.Capabilities, "CAP_SYS_ADMIN") {
		t.Errorf("capabilities %v", s.Capabilities)
	}

	// What only resembles a privileged container is not said to be one.
	mounts, list := "", "sys/fs/cgroup/devices/devices.list"
	for _, c := range []struct {
		name   string
		edit   func(files map[string]string)
		proven bool
	}{
		{"no device of the host", func(f map[string]string) { f[list] = strings.Join(engineDeviceRules, "\n") }, false},
		{"read-only sys", func(f map[string]string) {
			f[mounts] = strings.Replace(f[mounts], " /sys rw,", " /sys ro,", 1)
		}, true},
		{"few capabilities", func(f map[string]string) {
			f["proc/1/status"] = strings.Replace(f["proc/1/status"], "CapBnd:\t0000003ffeffffff", "CapBnd:\t00000000a80425fb", 1)
		}, false},
		{"a masked path", func(f map[string]string) {
			f[mounts] += "999 1 0:99 / /proc/acpi ro - tmpfs tmpfs ro\n"
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fromRecorded(t, "privileged", func(files map[string]string) {
				for name := range files {
					if strings.HasSuffix(name, "mountinfo") && name != "proc/1/mountinfo" {
						mounts = name
					}
				}
				before := files[mounts] + files[list] + files["proc/1/status"]
				if c.edit(files); before == files[mounts]+files[list]+files["proc/1/status"] {
					t.Fatal("the edit changed nothing")
				}
			})
			if s.Privileged {
				t.Error("privileged")
			}
			if unseen := toSeen(t, s).hidden("privileged"); unseen == c.proven {
				t.Errorf("privileged is unseen: %t", unseen)
			}
		})
	}
}

func TestInsideShared(t *testing.T) {
	s := fromRecorded(t, "shared", nil)
	check(t, s, map[string]any{"namespaces.pid": "host", "namespaces.uts": "host", "namespaces.ipc": "host",
		"no_new_privileges": true, "read_only_root": true, "privileged": false, "user": "0", "executable": "sleep"},
		"hostname", "resources.shm_bytes", "namespaces.network", "seccomp")
	// Process 1 and the kernel's threads are the host's.
	if len(s.Live.Processes) != 1 || s.Live.Processes[0].Name != "sleep" || s.Live.Processes[0].PID != 17390 {
		t.Errorf("processes %+v", s.Live.Processes)
	}
	if toSeen(t, s).hidden("live.processes[0].pid") {
		t.Error("the host's own number of a process is unseen")
	}
	s = fromRecorded(t, "shared", func(f map[string]string) { f["proc/sys/net/core/netdev_max_backlog"] = "1000\n" })
	check(t, s, map[string]any{"namespaces.network": "host"})

	// A namespace with another number: kernel threads still prove the host's.
	other := func(f map[string]string) { f["proc/17608/ns/pid"] = "-> pid:[4026532999]\n" }
	check(t, fromRecorded(t, "shared", other), map[string]any{"namespaces.pid": "host"})
	check(t, fromRecorded(t, "shared", func(f map[string]string) { other(f); delete(f, "proc/2/status") }), nil, "namespaces.pid")
}

func TestInsideVersion2(t *testing.T) {
	s := fromRecorded(t, "version2", nil)
	check(t, s, map[string]any{"user": "65534", "apparmor": "docker-default", "namespaces.cgroup": "private", "namespaces.pid": "private",
		"namespaces.uts": "private", "hostname": "5f7cbb3d3f0c", "domainname": "", "tty": true, "system_paths": "default",
		"resources.memory_bytes": 67108864.0, "resources.memory_reservation_bytes": 0.0, "resources.memory_swap_bytes": 134217728.0,
		"resources.cpus": 1.5, "resources.cpu_shares": 0.0, "resources.cpuset_cpus": "", "resources.pids": 0.0,
		"resources.read_bps": []any{map[string]any{"path": "", "value": 1048576.0}}, "resources.write_iops": []any{},
		"env": []any{"NODE_OPTIONS"}, "devices": []any{}, "group_add": []any{}},
		"id", "group", "group_add[...]", "executable", "device_rules", "devices[...]", "resources.kernel_memory_bytes",
		"resources.oom_kill_disable", "resources.read_bps[0].path", "mounts[0].type")
	if len(s.Mounts) != 1 || s.Mounts[0].Target != "/data" || s.Mounts[0].Propagation != "shared" {
		t.Errorf("mounts %+v", s.Mounts)
	}
	file := func(name, value string) func(map[string]string) {
		return func(f map[string]string) { f["sys/fs/cgroup/"+name] = value }
	}
	for _, c := range []struct {
		name   string
		edit   func(map[string]string)
		want   map[string]any
		unseen []string
	}{
		{"swap without end", file("memory.swap.max", "max\n"), map[string]any{"resources.memory_swap_bytes": -1.0}, nil},
		{"no swap", file("memory.swap.max", "0\n"), map[string]any{"resources.memory_swap_bytes": 67108864.0}, nil},
		{"nothing limited", func(f map[string]string) {
			f["sys/fs/cgroup/memory.max"], f["sys/fs/cgroup/memory.swap.max"], f["sys/fs/cgroup/cpu.max"] = "max\n", "max\n", "max 100000\n"
		}, map[string]any{"resources.memory_bytes": 0.0, "resources.memory_swap_bytes": 0.0, "resources.cpus": 0.0,
			"resources.cpu_period_microseconds": 0.0}, nil},
		{"a weight", file("cpu.weight", "59\n"), nil, []string{"resources.cpu_shares"}},
		{"a set", file("cpuset.cpus", "1-2\n"), map[string]any{"resources.cpuset_cpus": "1-2"}, nil},
		{"nonsense", file("memory.max", "much\n"), nil, []string{"resources.memory_bytes", "resources.memory_swap_bytes"}},
		{"nonsense rates", file("io.max", "8:0 rbps=fast\n"), map[string]any{"resources.write_bps": []any{}}, []string{"resources.read_bps"}},
		{"nonsense quota", file("cpu.max", "100000\n"), nil, []string{"resources.cpus", "resources.cpu_quota_microseconds"}},
		{"controllers not handed down", func(f map[string]string) {
			delete(f, "sys/fs/cgroup/memory.max")
			delete(f, "sys/fs/cgroup/pids.max")
		}, nil, []string{"resources.memory_bytes", "resources.pids"}},
		{"a cgroup within the container", func(f map[string]string) { f["proc/1/cgroup"] = "0::/init.scope\n" }, nil,
			[]string{"resources.memory_bytes", "resources.pids", "resources.cpus", "namespaces.cgroup", "mounts[...]"}},
		{"the host's cgroup namespace", func(f map[string]string) {
			f["proc/1/cgroup"] = "0::/system.slice/docker-5f7cbb3d3f0c5e3d1a8e4bd2c9d9ed2f7cbd1f1f0cf1a7b6c5d4e3f2a1b0c9d8.scope\n"
		}, map[string]any{"namespaces.cgroup": "host",
			"id": "5f7cbb3d3f0c5e3d1a8e4bd2c9d9ed2f7cbd1f1f0cf1a7b6c5d4e3f2a1b0c9d8"}, []string{"resources.memory_bytes"}},
		{"no limits in the kernel's first cgroup", func(f map[string]string) { f["proc/1/ns/cgroup"] = "-> cgroup:[4026531835]\n" },
			map[string]any{"namespaces.cgroup": "host"}, []string{"resources.memory_bytes"}},
		{"control groups that can be written to", func(f map[string]string) {
			f["proc/1/mountinfo"] = strings.Replace(f["proc/1/mountinfo"], "/sys/fs/cgroup ro,", "/sys/fs/cgroup rw,", 1)
		}, map[string]any{"writable_cgroups": true}, nil},
		{"the same in a user namespace", func(f map[string]string) {
			f["proc/1/mountinfo"] = strings.Replace(f["proc/1/mountinfo"], "/sys/fs/cgroup ro,", "/sys/fs/cgroup rw,", 1)
			f["proc/1/ns/user"] = "-> user:[4026532900]\n"
		}, nil, []string{"writable_cgroups"}},
		{"no control groups", func(f map[string]string) {
			f["proc/1/mountinfo"] = withoutLines(f["proc/1/mountinfo"], "/sys/fs/cgroup")
		},
			nil, []string{"writable_cgroups"}},
		{"remapped", func(f map[string]string) {
			f["proc/1/ns/user"], f["proc/1/uid_map"] = "-> user:[4026532900]\n", "         0     100000      65536\n"
		}, map[string]any{"userns_remapped": true}, []string{"live.processes[0].uid"}},
		{"root of the namespace around", func(f map[string]string) {
			f["proc/1/ns/user"] = "-> user:[4026532900]\n"
		}, nil, []string{"userns_remapped"}},
		{"unconfined", func(f map[string]string) { f["proc/1/attr/current"] = "unconfined\n" }, map[string]any{"apparmor": "unconfined"}, nil},
		{"SELinux", func(f map[string]string) { f["proc/1/attr/current"] = "system_u:system_r:container_t:s0:c1,c2\x00" }, nil, []string{"apparmor"}},
		{"no filter", func(f map[string]string) {
			f["proc/1/status"] = strings.Replace(f["proc/1/status"], "Seccomp:\t2", "Seccomp:\t0", 1)
		},
			map[string]any{"seccomp": "unconfined"}, nil},
		{"an old kernel", func(f map[string]string) {
			f["proc/1/status"] = strings.NewReplacer("Seccomp:\t2\n", "", "NoNewPrivs:\t0\n", "", "CapBnd:\t00000000a80425fb\n", "").Replace(f["proc/1/status"])
		}, nil, []string{"seccomp", "no_new_privileges", "capabilities", "live.processes[0].seccomp", "live.processes[0].capabilities"}},
		{"unmasked", func(f map[string]string) {
			f["proc/1/mountinfo"] = withoutLines(f["proc/1/mountinfo"], "/proc/kcore")
		}, map[string]any{"system_paths": "custom", "privileged": false}, nil},
		{"kubernetes", func(f map[string]string) {
			f["proc/1/mountinfo"] = strings.Replace(f["proc/1/mountinfo"], "/var/lib/docker/containers/5f7cbb3d3f0c5e3d1a8e4bd2c9d9ed2f7cbd1f1f0cf1a7b6c5d4e3f2a1b0c9d8/hosts",
				"/var/lib/kubelet/pods/0f6a2b6e-1c6f-4c08-9a2b-7d9e2f6f5a11/etc-hosts", 1)
		}, nil, nil},
		{"no ipc", func(f map[string]string) { f["proc/1/mountinfo"] = withoutLines(f["proc/1/mountinfo"], "/dev/shm") },
			map[string]any{"namespaces.ipc": "none"}, []string{"resources.shm_bytes"}},
		{"a chosen host name", func(f map[string]string) { f["proc/sys/kernel/hostname"] = "buoy\n" }, nil, []string{"hostname", "namespaces.uts"}},
		{"another group", func(f map[string]string) {
			f["proc/1/status"] = strings.Replace(f["proc/1/status"], "Gid:\t65534\t65534", "Gid:\t0\t0", 1)
		}, map[string]any{"group": "0"}, nil},
		{"no accounts", func(f map[string]string) { delete(f, "etc/passwd") }, nil, []string{"group", "group_add[...]"}},
		{"no environment", func(f map[string]string) { delete(f, "proc/1/environ") }, nil, []string{"env", "env_empty", "env_values", "env_hashes"}},
		{"one value of the environment", nil, map[string]any{"env_values": map[string]any{"NODE_OPTIONS": "--max-old-space-size=48"}}, nil},
		{"a program", func(f map[string]string) {
			f["proc/1/status"] = strings.Replace(f["proc/1/status"], "start.sh", "sh", 1)
		}, map[string]any{"executable": "/bin/sh"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, fromRecorded(t, "version2", c.edit), c.want, c.unseen...) })
	}
}

// withoutLines drops the lines that have part in them.
func withoutLines(text, part string) string {
	return strings.Join(slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(l string) bool { return strings.Contains(l, part) }), "")
}

// TestInsideMounts: lines added to the table of mounts, and what becomes of them.
func TestInsideMounts(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	for _, c := range []struct {
		name, lines string
		want        []Mount
		anonymous   []string
		open        bool
	}{
		{name: "nothing"},
		{name: "escapes", lines: `700 600 8:1 /a /x\040y\134z rw - ext4 /dev/sda1 rw`, want: []Mount{{Target: `/x y\z`, Propagation: "rprivate"}}},
		{name: "not UTF-8", lines: "700 600 8:1 /a /x\xff rw - ext4 /dev/sda1 rw", want: []Mount{{Target: "/x\uFFFD", Propagation: "rprivate"}}},
		{name: "read-only file system", lines: "700 600 8:1 /a /x rw - ext4 /dev/sda1 ro", want: []Mount{{Target: "/x", ReadOnly: true, Propagation: "rprivate"}}},
		{name: "slave", lines: "700 600 8:1 /a /x rw master:3 - ext4 /dev/sda1 rw", want: []Mount{{Target: "/x", Propagation: "slave"}}},
		{name: "shared and slave", lines: "700 600 8:1 /a /x rw shared:4 master:3 - ext4 /dev/sda1 rw", want: []Mount{{Target: "/x"}}},
		{name: "volume", lines: "700 600 8:1 /d/volumes/db/_data /x rw - ext4 /dev/sda1 rw",
			want: []Mount{{Type: "volume", Source: "db", Driver: "local", Target: "/x", Propagation: "rprivate"}}},
		{name: "part of a volume", lines: "700 600 8:1 /d/volumes/db/_data/a/b /x rw - ext4 /dev/sda1 rw",
			want: []Mount{{Type: "volume", Source: "db", Subpath: "a/b", Driver: "local", Target: "/x", Propagation: "rprivate"}}},
		{name: "volume without a name", lines: "700 600 8:1 /d/volumes/" + hex + "/_data /x rw - ext4 /dev/sda1 rw", anonymous: []string{"/x"}},
		{name: "below a bind", lines: "700 600 8:1 /a /x rw - ext4 /dev/sda1 rw\n701 700 8:2 / /x/y rw - ext4 /dev/sdb rw",
			want: []Mount{{Target: "/x", Propagation: "rprivate"}}, open: true},
		{name: "volume below a bind", lines: "700 600 8:1 /a /x rw - ext4 /dev/sda1 rw\n701 700 8:1 /d/volumes/db/_data /x/y rw - ext4 /dev/sda1 rw",
			want: []Mount{{Target: "/x", Propagation: "rprivate"}, {Type: "volume", Source: "db", Driver: "local", Target: "/x/y", Propagation: "rprivate"}}},
		{name: "covered", lines: "700 600 8:1 /a /x rw - ext4 /dev/sda1 rw\n701 600 8:1 /b /x ro - ext4 /dev/sda1 rw",
			want: []Mount{{Target: "/x", ReadOnly: true, Propagation: "rprivate"}}},
		{name: "secrets", lines: "700 600 0:80 / /run/secrets/key ro - tmpfs tmpfs rw", open: true},
		{name: "the dev of a container around", lines: "700 600 0:6 / /dev rw - tmpfs tmpfs rw",
			want: []Mount{{Target: "/dev", Propagation: "rprivate"}}},
		{name: "the host's sys", lines: "700 600 0:21 / /sys rw - sysfs sysfs rw", open: true},
		{name: "below the host's sys", lines: "700 600 0:21 / /sys rw - sysfs sysfs rw\n701 700 0:13 / /sys/kernel/tracing rw - tracefs none rw", open: true},
		{name: "below its own sys", lines: "701 604 0:13 / /sys/kernel/tracing rw - tracefs none rw",
			want: []Mount{{Target: "/sys/kernel/tracing", Propagation: "rprivate"}}},
		{name: "the host's proc", lines: "700 600 0:53 / /proc rw - proc proc rw", open: true},
		{name: "the host's dev", lines: "700 600 0:6 / /dev rw - devtmpfs devtmpfs rw", want: []Mount{{Target: "/dev", Propagation: "rprivate"}}},
		{name: "the host's cgroups", lines: "700 604 0:28 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw", open: true},
		{name: "lxcfs", lines: "700 601 0:90 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw",
			want: []Mount{{Target: "/proc/meminfo", Propagation: "rprivate"}}},
		{name: "init", lines: "700 600 8:1 /usr/bin/docker-init /sbin/docker-init ro - ext4 /dev/sda1 rw"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fromRecorded(t, "version2", func(f map[string]string) { f["proc/1/mountinfo"] += c.lines + "\n" })
			got := slices.DeleteFunc(s.Mounts, func(m Mount) bool { return m.Target == "/data" })
			for i := range got {
				got[i].Options, got[i].DriverOptions, got[i].HostPaths, got[i].Exposes, got[i].Resolved, got[i].ResolvedExposes = nil, nil, nil, nil, nil, nil
			}
			if diff := cmp.Diff(append([]Mount{}, c.want...), got); diff != "" {
				t.Errorf("mounts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append([]string{}, c.anonymous...), s.AnonymousVolumes); diff != "" {
				t.Errorf("volumes without a name (-want +got):\n%s", diff)
			}
			if open := slices.ContainsFunc(s.Unseen, func(u Unseen) bool { return u.Path == "mounts"+Open }); open != c.open {
				t.Errorf("the list is open: %t", open)
			}
			if s.Init != (c.name == "init") {
				t.Errorf("init: %t", s.Init)
			}
		})
	}
}

// TestInsideSockets: a socket counts where it is one and where the mounted file
// system has it at the engine's place.
func TestInsideSockets(t *testing.T) {
	for _, c := range []struct {
		name, root, target, socket string
		want                       []string
	}{
		{"itself", "/docker.sock", "/var/run/docker.sock", "var/run/docker.sock", []string{"engine-socket"}},
		{"itself, one file system", "/run/docker.sock", "/s", "s", []string{"engine-socket"}},
		{"another's", "/app/docker.sock", "/var/run/docker.sock", "var/run/docker.sock", []string{}},
		{"another name", "/app.sock", "/var/run/docker.sock", "var/run/docker.sock", []string{}},
		{"its folder", "/", "/host", "host/docker.sock", []string{"engine-socket"}},
		{"the host's root", "/", "/host", "host/run/docker.sock", []string{"engine-socket"}},
		{"containerd's folder", "/containerd", "/c", "c/containerd.sock", []string{"runtime-socket"}},
		{"none there", "/", "/host", "", []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := layOut(t, "version2", func(f map[string]string) {
				f["proc/1/mountinfo"] += "700 600 0:70 " + c.root + " " + c.target + " rw - ext4 /dev/sda2 rw\n"
			})
			mkdir(t, filepath.Join(root, filepath.Dir(c.target)))
			if c.socket != "" {
				path := filepath.Join(root, c.socket)
				mkdir(t, filepath.Dir(path))
				// Sockets have short paths: bind from within the folder.
				t.Chdir(filepath.Dir(path))
				listener, err := net.Listen("unix", filepath.Base(path))
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
			}
			s, err := FromInside(Inside{Root: root})
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(s.Mounts, func(m Mount) bool { return m.Target == c.target })
			if at < 0 {
				t.Fatalf("no mount at %s: %+v", c.target, s.Mounts)
			}
			if diff := cmp.Diff(c.want, s.Mounts[at].Exposes); diff != "" {
				t.Errorf("exposes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestInsideFreshTmpfs: only a tmpfs that is younger than the container's /dev
// is one that was made for it.
func TestInsideFreshTmpfs(t *testing.T) {
	for _, older := range []bool{false, true} {
		root := layOut(t, "version2", func(f map[string]string) {
			f["proc/1/mountinfo"] += "700 600 0:70 / /t rw,noexec - tmpfs tmpfs rw\n"
		})
		mkdir(t, filepath.Join(root, "t"))
		if older {
			// Timestamps of birth cannot be set, so /dev is made anew.
			if err := os.RemoveAll(filepath.Join(root, "dev")); err != nil {
				t.Fatal(err)
			}
			var a, b time.Time
			for !a.Before(b) {
				mkdir(t, filepath.Join(root, "dev"))
				a, b = birth(t, root, "t"), birth(t, root, "dev")
				if !a.Before(b) {
					if err := os.Remove(filepath.Join(root, "dev")); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		s, err := FromInside(Inside{Root: root})
		if err != nil {
			t.Fatal(err)
		}
		m := s.Mounts[slices.IndexFunc(s.Mounts, func(m Mount) bool { return m.Target == "/t" })]
		if fresh := m.Type == "tmpfs"; fresh == older {
			t.Errorf("older than /dev: %t, type %q", older, m.Type)
		}
	}
}

func birth(t *testing.T, root, name string) time.Time {
	t.Helper()
	r, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at, seen := insideFiles{r}.born(name)
	if !seen {
		t.Fatal("the file system of temporary files keeps no time of birth")
	}
	return at
}

func TestInsideRefuses(t *testing.T) {
	for _, c := range []struct {
		name, recorded string
		edit           func(map[string]string)
		want           string
	}{
		{"a machine", "machine", nil, "does not look like a container"},
		{"no /proc", "version2", func(f map[string]string) { delete(f, "proc/self") }, "reading /proc/self/mountinfo: no such file"},
		{"no table", "version2", func(f map[string]string) { f["proc/1/mountinfo"] = "" }, "not with a mount's number"},
		{"a short line", "version2", func(f map[string]string) { f["proc/1/mountinfo"] += "7 8 9\n" }, "line 19: 3 fields where a mount has at least 10"},
		{"no separator", "version2", func(f map[string]string) { f["proc/1/mountinfo"] += "7 8 0:1 / / rw a b c d e\n" }, "no separator"},
		{"a relative path", "version2", func(f map[string]string) { f["proc/1/mountinfo"] += "7 8 0:1 / x rw - a b c\n" }, `"x" where a mount has its path`},
		{"bad status", "version2", func(f map[string]string) { f["proc/1/status"] = "Uid:\t0\tx\t0\t0\n" }, `reading /proc/self/status: "x" is not a number in Uid`},
		{"bad stat", "version2", func(f map[string]string) { f["proc/1/stat"] = "1 (x) S\n" }, "reading /proc/self/stat: "},
		{"bad cgroup", "version2", func(f map[string]string) { f["proc/1/cgroup"] = "0:/\n" }, "reading /proc/1/cgroup: line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := FromInside(Inside{Root: layOut(t, c.recorded, c.edit)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q in it", err, c.want)
			}
			if errors.Is(err, ErrNotInside) != (c.recorded == "machine") {
				t.Errorf("ErrNotInside: %v", err)
			}
		})
	}
	if _, err := FromInside(Inside{Root: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a root that is not there was taken")
	}
	// The same machine in namespaces of its own is a container.
	check(t, fromRecorded(t, "machine", func(f map[string]string) { f["proc/900/ns/uts"] = "-> uts:[4026532700]\n" }), map[string]any{"origin": "inside"})
}

// TestInsideHostile: files that a container can make of its own cannot hold the
// caller up or lead it out of the root.
func TestInsideHostile(t *testing.T) {
	root := layOut(t, "version2", nil)
	passwd := filepath.Join(root, "etc/passwd")
	replace := func(make func() error) {
		t.Helper()
		if err := os.Remove(passwd); err != nil {
			t.Fatal(err)
		}
		if err := make(); err != nil {
			t.Fatal(err)
		}
	}
	look := func() Spec {
		t.Helper()
		s, err := FromInside(Inside{Root: root})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	replace(func() error { return syscall.Mkfifo(passwd, 0o644) })
	check(t, look(), nil, "group")
	replace(func() error { return os.Symlink("/etc/passwd", passwd) })
	check(t, look(), nil, "group")
	replace(func() error { return os.WriteFile(passwd, bytes.Repeat([]byte("x:x:1:1\n"), accountsLimit), 0o644) })
	check(t, look(), nil, "group", "group_add[...]")

	// A table longer than what is read is judged as far as it goes.
	line := "700 600 8:1 /" + strings.Repeat("a", 4000) + " /x rw - ext4 /dev/sda1 rw\n"
	s := fromRecorded(t, "version2", func(f map[string]string) {
		f["proc/1/mountinfo"] += strings.Repeat(line, mountinfoLimit/len(line)+1)
	})
	check(t, s, map[string]any{"read_only_root": false}, "mounts[...]")

	// So is one with more mounts than are told of, and one with as many is whole.
	var many strings.Builder
	for i := range 50_000 {
		if i == givenLimit-1 { // /data is there already
			s = fromRecorded(t, "version2", func(f map[string]string) { f["proc/1/mountinfo"] += many.String() })
			if len(s.Mounts) != givenLimit || slices.ContainsFunc(s.Unseen, func(u Unseen) bool { return u.Path == "mounts"+Open }) {
				t.Errorf("%d mounts, or the list is open", len(s.Mounts))
			}
		}
		many.WriteString("700 600 8:1 /a /x" + itoa(int64(i)) + " rw - ext4 /dev/sda1 rw\n")
	}
	s = fromRecorded(t, "version2", func(f map[string]string) { f["proc/1/mountinfo"] += many.String() })
	if check(t, s, nil, "mounts[...]"); len(s.Mounts) != givenLimit {
		t.Errorf("%d mounts", len(s.Mounts))
	}
}

// TestInsideHidden: where others' processes are hidden, nothing is said of the
// first one.
func TestInsideHidden(t *testing.T) {
	s := fromRecorded(t, "plain", func(f map[string]string) {
		for name := range f {
			if strings.HasPrefix(name, "proc/1/") {
				delete(f, name)
			}
		}
	})
	check(t, s, map[string]any{"resources.memory_bytes": 67108864.0, "read_only_root": false}, "user", "group", "group_add", "executable",
		"namespaces.pid", "live.processes[...]", "resources.oom_score_adj")
}

// TestInsideEveryField holds each field of the Spec to one of two lists: what
// can be seen from inside, here, and insideNever. A new field is in neither.
func TestInsideEveryField(t *testing.T) {
	can := []string{"id", "origin", "user", "group", "group_add", "executable", "env", "env_empty", "env_values", "env_hashes", "privileged",
		"capabilities", "seccomp", "apparmor", "no_new_privileges", "system_paths", "masked_paths", "readonly_paths", "writable_cgroups",
		"namespaces.pid", "namespaces.uts", "namespaces.ipc", "namespaces.network", "namespaces.cgroup", "userns_remapped", "read_only_root", "mounts",
		"anonymous_volumes", "devices", "device_rules", "hostname", "domainname", "init", "tty", "resources.memory_bytes",
		"resources.memory_reservation_bytes", "resources.memory_swap_bytes", "resources.kernel_memory_bytes", "resources.kernel_memory_tcp_bytes",
		"resources.cpus", "resources.cpu_quota_microseconds", "resources.cpu_period_microseconds", "resources.cpu_shares",
		"resources.cpuset_cpus", "resources.cpuset_mems", "resources.pids", "resources.read_bps", "resources.write_bps",
		"resources.read_iops", "resources.write_iops", "resources.oom_kill_disable", "resources.oom_score_adj", "resources.shm_bytes",
		"live.status", "live.exit_code", "live.processes", "unknown_fields"}
	covered := func(path string, list []string) bool {
		return slices.ContainsFunc(list, func(l string) bool { return path == l || strings.HasPrefix(path, l+".") })
	}
	var leaves func(t reflect.Type, at string) []string
	leaves = func(typ reflect.Type, at string) (out []string) {
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
			return []string{at}
		}
		for i := range typ.NumField() {
			name := strings.Split(typ.Field(i).Tag.Get("json"), ",")[0]
			if name != "-" {
				out = append(out, leaves(typ.Field(i).Type, strings.TrimPrefix(at+"."+name, "."))...)
			}
		}
		return out
	}
	all := leaves(reflect.TypeFor[Spec](), "")
	for _, path := range all {
		if covered(path, can) == covered(path, insideNever) {
			t.Errorf("%s must be in one of the lists", path)
		}
	}
	for _, path := range slices.Concat(can, insideNever) {
		if !slices.ContainsFunc(all, func(p string) bool { return covered(p, []string{path}) }) {
			t.Errorf("%s is no field", path)
		}
	}
	// What can be seen is seen in some recorded container.
	var recorded []seen
	for name, file := range map[string]string{"plain": "", "privileged": "", "shared": "proc/sys/net/core/netdev_max_backlog",
		"version2": "sys/fs/cgroup/cpuset.mems"} {
		recorded = append(recorded, toSeen(t, fromRecorded(t, name, func(f map[string]string) {
			if file != "" {
				f[file] = "1\n"
			}
		})))
	}
	for _, path := range can {
		if !slices.ContainsFunc(recorded, func(s seen) bool { return !s.hidden(path) }) {
			t.Errorf("%s is seen nowhere", path)
		}
	}
}
