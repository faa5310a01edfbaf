package collect

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/escape"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// plainHost is a host of Debian as files, with an engine of process 7.
var plainHost = map[string]string{
	"etc/passwd": "root:x:0:0::/root:/bin/bash\nanna:x:1000:1000::/home/anna:/bin/bash\nrun:x:1001:998::/:/usr/sbin/nologin\n", "etc/group": "root:x:0:\nanna:x:1000:\ndocker:x:998:anna,carl\nops:x:50:anna\n",
	"etc/docker/daemon.json": "{}", "usr/lib/systemd/system/docker.service": unit, "usr/lib/systemd/system/docker.socket": "[Socket]\nListenStream=/run/docker.sock\n",
	"lib": "-> usr/lib", "var/run": "-> ../run", "run/docker.sock": "a socket", "run/containerd/containerd.sock": "", "usr/sbin/dockerd": "", "usr/bin/runc": "", "usr/bin/containerd": "",
	"var/lib/docker/x": "", "proc/sys/kernel/randomize_va_space": "2\n", "proc/sys/kernel/yama/ptrace_scope": "1", "proc/sys/fs/protected_symlinks": "1",
	"proc/1/mountinfo":                       "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
	"proc/1/net/tcp":                         "  sl  local_address\n   0: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n   1: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 78 1\n",
	"proc/7/comm":                            "dockerd\n",
	"sys/kernel/security/lsm":                "lockdown,capability,landlock,yama,apparmor",
	"sys/module/apparmor/parameters/enabled": "Y\n", "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
	"etc/audit/rules.d/a.rules": "-D\n-w /usr/sbin/dockerd -p rwxa\n-w /etc/ -p wa\n-w /var/run/docker.sock -p wa\n",
	"var/lib/dpkg/status":       "Package: docker.io-doc\nStatus: install ok installed\nVersion: 1\n\nPackage: docker.io\nStatus: install ok installed\nVersion: 20.10.24+dfsg1-1+deb12u1\n\nPackage: z\n",
}

// hostIn are the facts of a host as files, changed: "" takes a file away. The daemon
// is configured with hosts, unless that is hidden.
func hostIn(t *testing.T, change map[string]string, prepare func(root string), hosts ...string) *facts.Facts {
	t.Helper()
	files := maps.Clone(plainHost)
	maps.Copy(files, change)
	maps.DeleteFunc(files, func(_, text string) bool { return text == "" })
	for name := range plainHost { // an empty file of the base is one
		if _, changed := change[name]; plainHost[name] == "" && !changed {
			files[name] = "x"
		}
	}
	root := rootOf(t, files)
	if err := os.Chown(filepath.Join(root, "run/docker.sock"), 0, 998); err == nil {
		if err := os.Chmod(filepath.Join(root, "run/docker.sock"), 0o660); err != nil {
			t.Fatal(err)
		}
	}
	if prepare != nil {
		prepare(root)
	}
	c := &collector{Config: Config{Root: root}, facts: &facts.Facts{Collected: collectedAt, Daemon: facts.Daemon{DataRoot: "/var/lib/docker", Config: facts.DaemonConfig{Hosts: hosts, File: "/etc/docker/daemon.json"}},
		Host: facts.Host{Kernel: "6.1.0-9-amd64"}}}
	peer := engine.Peer{PID: 7, Path: "/run/docker.sock"}
	c.host, c.noHost = c.openHost(peer)
	defer c.host.close()
	started := configured{}
	if hosts == nil {
		started.reason = "hidden"
	}
	c.hostFacts(c.lookAtHost(peer), started, peer, nil)
	return c.facts
}

func TestHostOfFiles(t *testing.T) {
	f := hostIn(t, nil, nil, "fd://")
	h := f.Host
	want := facts.Host{Kernel: "6.1.0-9-amd64", Kernels: []string{},
		Security:      facts.Security{Modules: []string{"lockdown", "capability", "landlock", "yama", "apparmor"}, AppArmor: true, SELinux: "disabled", Landlock: true, Yama: true, Lockdown: "integrity"},
		Settings:      facts.Settings{RandomizeVASpace: 2, KptrRestrict: -1, DmesgRestrict: -1, UnprivilegedBPFDisabled: -1, PtraceScope: 1, ProtectedHardlinks: -1, ProtectedSymlinks: 1},
		DataPartition: facts.Partition{MountPoint: "/", Device: "/dev/sda1", FileSystem: "ext4"},
		Sockets:       []facts.EngineSocket{{Path: "/run/docker.sock", Exists: true, Owner: "root", Group: "docker", Mode: "0660", ACL: []string{}}},
		Controllers: []facts.Controller{
			{Name: "anna", UID: 1000, Ways: []string{"is in the group docker, which may write to /run/docker.sock"}, Groups: []string{"docker"}, Sockets: []string{"/run/docker.sock"}, Login: true},
			{Name: "carl", UID: -1, Ways: []string{"is in the group docker, which may write to /run/docker.sock"}, Groups: []string{"docker"}, Sockets: []string{"/run/docker.sock"}},
			{Name: "run", UID: 1001, Ways: []string{"is in the group docker, which may write to /run/docker.sock"}, Groups: []string{}, Sockets: []string{"/run/docker.sock"}},
		},
		Audit: facts.Audit{Source: "/etc/audit/rules.d", NotLoaded: []string{}}, Listeners: []facts.Listener{{Address: "0.0.0.0:22/tcp"}}}
	h.Audited = facts.Audited{}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
	var unseen []string
	for _, u := range f.Unseen {
		unseen = append(unseen, u.Path)
	}
	slices.Sort(unseen)
	if diff := cmp.Diff([]string{"host.audit.daemon", "host.audit.enabled", "host.audit.not_loaded", "host.controllers[0].last_login", "host.controllers[1].last_login", "host.controllers[1].login", "host.controllers[2].last_login"}, unseen); diff != "" {
		t.Errorf("unseen: %s", diff)
	}
	a := f.Host.Audited
	for name, w := range map[string]struct {
		got  facts.Watched
		want facts.Watched
	}{
		"dockerd":      {a.Dockerd, facts.Watched{Path: "/usr/sbin/dockerd", Exists: true, Recorded: "rwxa", Rules: []string{"-w /usr/sbin/dockerd -p rwxa"}}},
		"daemon.json":  {a.DaemonJSON, facts.Watched{Path: "/etc/docker/daemon.json", Exists: true, Recorded: "wa", Rules: []string{"-w /etc/ -p wa"}}},
		"etc":          {a.EtcDocker, facts.Watched{Path: "/etc/docker", Exists: true, Recorded: "wa", Rules: []string{"-w /etc/ -p wa"}}},
		"the socket":   {a.DockerSockets[0], facts.Watched{Path: "/run/docker.sock", Exists: true, Recorded: "wa", Rules: []string{"-w /var/run/docker.sock -p wa"}}},
		"data":         {a.DataRoot, facts.Watched{Path: "/var/lib/docker", Exists: true, Rules: []string{}}},
		"runc":         {a.Runc, facts.Watched{Path: "/usr/bin/runc", Exists: true, Rules: []string{}}},
		"the unit":     {a.DockerService, facts.Watched{Path: "/usr/lib/systemd/system/docker.service", Exists: true, Rules: []string{}}},
		"what is none": {a.SysconfigDocker, facts.Watched{Path: "/etc/sysconfig/docker", Rules: []string{}}},
	} {
		if diff := cmp.Diff(w.want, w.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestHostChanges: one file is another, and one fact is.
func TestHostChanges(t *testing.T) {
	lastlog := make([]byte, 1001*292+4)
	binary.NativeEndian.PutUint32(lastlog[1000*292:], uint32(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).Unix()))
	for name, test := range map[string]struct {
		change  map[string]string
		prepare func(root string)
		hosts   []string // none is fd://
		hidden  bool     // the configuration
		want    func(h *facts.Host) bool
		unseen  string // a path, and what its reason begins with
	}{
		"no list of modules": {change: map[string]string{"sys/kernel/security/lsm": "", "proc/filesystems": "ext4\n"}, want: func(h *facts.Host) bool {
			return h.Security.AppArmor && h.Security.Yama && h.Security.SELinux == "disabled" && len(h.Security.Modules) == 0
		}, unseen: "host.security.modules the host's /sys"},
		"AppArmor is off":      {change: map[string]string{"sys/kernel/security/lsm": "", "sys/module/apparmor/parameters/enabled": "N\n"}, want: func(h *facts.Host) bool { return !h.Security.AppArmor }},
		"nothing below sys":    {change: map[string]string{"sys/kernel/security/lsm": "", "sys/module/apparmor/parameters/enabled": "", "sys/kernel/security/lockdown": ""}, unseen: "host.security.apparmor the host's /sys"},
		"SELinux is unknown":   {change: map[string]string{"sys/kernel/security/lsm": ""}, unseen: "host.security.selinux the host's /sys"},
		"Landlock is unknown":  {change: map[string]string{"sys/kernel/security/lsm": ""}, unseen: "host.security.landlock the host's /sys"},
		"SELinux is in force":  {change: map[string]string{"sys/fs/selinux/enforce": "1"}, want: func(h *facts.Host) bool { return h.Security.SELinux == "enforcing" }},
		"SELinux only tells":   {change: map[string]string{"sys/fs/selinux/enforce": "0"}, want: func(h *facts.Host) bool { return h.Security.SELinux == "permissive" }},
		"grsecurity":           {change: map[string]string{"proc/sys/kernel/grsecurity/x": "1"}, want: func(h *facts.Host) bool { return h.Security.Grsecurity }},
		"no lockdown":          {change: map[string]string{"sys/kernel/security/lockdown": ""}, want: func(h *facts.Host) bool { return h.Security.Lockdown == "none" }},
		"a setting":            {change: map[string]string{"proc/sys/kernel/randomize_va_space": "0"}, want: func(h *facts.Host) bool { return h.Settings.RandomizeVASpace == 0 }},
		"a setting of letters": {change: map[string]string{"proc/sys/kernel/randomize_va_space": "x"}, unseen: "host.settings.randomize_va_space /proc/sys/kernel/randomize_va_space is no number"},
		"a setting as a pipe":  {change: map[string]string{"proc/sys/kernel/dmesg_restrict": "|"}, unseen: "host.settings.dmesg_restrict /proc/sys/kernel/dmesg_restrict cannot be read"},
		"no proc": {change: map[string]string{"proc/sys/kernel/randomize_va_space": "", "proc/sys/kernel/yama/ptrace_scope": "", "proc/sys/fs/protected_symlinks": ""},
			unseen: "host.settings.kptr_restrict the host's /proc/sys is not there"},
		"a newer kernel": {change: map[string]string{"lib": "", "lib/modules/6.1.0-9-amd64/modules.dep": "x", "lib/modules/6.1.0-25-amd64/modules.dep": "x", "lib/modules/6.1.0-30-cloud-amd64/modules.dep": "x", "lib/modules/6.1.0-31-amd64/left": "x"},
			want: func(h *facts.Host) bool { return slices.Equal(h.Kernels, []string{"6.1.0-9-amd64", "6.1.0-25-amd64"}) }},
		"a partition of its own": {change: map[string]string{"proc/1/mountinfo": "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:17 / /var/lib/docker rw - xfs /dev/sdb1 rw\n"},
			want: func(h *facts.Host) bool {
				return h.DataPartition == facts.Partition{MountPoint: "/var/lib/docker", Device: "/dev/sdb1", FileSystem: "xfs", Separate: true}
			}},
		"a bind mount of the same": {change: map[string]string{"proc/1/mountinfo": "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:1 /big /var/lib/docker rw - ext4 /dev/sda1 rw\n"},
			want: func(h *facts.Host) bool {
				return !h.DataPartition.Separate && h.DataPartition.MountPoint == "/var/lib/docker"
			}},
		"no table of mounts":  {change: map[string]string{"proc/1/mountinfo": ""}, want: func(h *facts.Host) bool { return !h.DataPartition.Separate }, unseen: "host.data_partition.device what is mounted"},
		"no data root":        {change: map[string]string{"var/lib/docker/x": ""}, unseen: "host.data_partition /var/lib/docker is not there"},
		"no accounts":         {change: map[string]string{"etc/passwd": ""}, unseen: "host.controllers /etc/passwd cannot be read: it is not there"},
		"accounts as a pipe":  {change: map[string]string{"etc/group": "|"}, unseen: "host.sockets /etc/group cannot be read"},
		"accounts elsewhere":  {change: map[string]string{"etc/nsswitch.conf": "passwd: files sss\n"}, want: func(h *facts.Host) bool { return len(h.Controllers) == 3 }, unseen: "host.controllers[...] users and groups of this host come from sss too"},
		"nobody in the group": {change: map[string]string{"etc/group": "docker:x:998:\n", "etc/passwd": "root:x:0:0::/:/bin/sh\n"}, want: func(h *facts.Host) bool { return len(h.Controllers) == 0 }},
		"when they were there": {change: map[string]string{"var/log/lastlog": string(lastlog)}, want: func(h *facts.Host) bool {
			return h.Controllers[0].LastLogin == "2026-03-04" && h.Controllers[2].LastLogin == "never"
		}},
		"the socket of a user": {prepare: func(root string) { chown(t, root, "run/docker.sock", 1000, 0) }, want: func(h *facts.Host) bool {
			return slices.Equal(h.Controllers[0].Ways, []string{"is the owner of /run/docker.sock"}) && len(h.Controllers) == 1
		}},
		"a group that may read": {prepare: func(root string) { chmod(t, root, "run/docker.sock", 0o640) }, want: func(h *facts.Host) bool { return len(h.Controllers) == 0 }},
		"open to all":           {prepare: func(root string) { chmod(t, root, "run/docker.sock", 0o666) }, want: func(h *facts.Host) bool { return h.Sockets[0].Mode == "0666" }},
		"an access list": {prepare: func(root string) {
			list := binary.LittleEndian.AppendUint32(nil, 2)
			for _, e := range [][3]uint32{{1, 6, 1<<32 - 1}, {2, 6, 1000}, {2, 4, 1001}, {4, 0, 1<<32 - 1}, {8, 6, 50}, {16, 6, 1<<32 - 1}, {32, 0, 1<<32 - 1}} {
				list = binary.LittleEndian.AppendUint16(list, uint16(e[0]))
				list = binary.LittleEndian.AppendUint16(list, uint16(e[1]))
				list = binary.LittleEndian.AppendUint32(list, e[2])
			}
			if err := unix.Setxattr(filepath.Join(root, "run/docker.sock"), "system.posix_acl_access", list, 0); err != nil {
				t.Fatal(err)
			}
		}, want: func(h *facts.Host) bool {
			return slices.Equal(h.Sockets[0].ACL, []string{"user anna rw", "user run r", "group ops rw"}) && len(h.Controllers) == 1 &&
				slices.Equal(h.Controllers[0].Ways, []string{"is named in the access list of /run/docker.sock", "is in the group ops, which may write to /run/docker.sock"})
		}},
		"other sockets": {hosts: []string{"unix:///var/run/docker.sock", "tcp://0.0.0.0:2376", "unix:///run/second.sock"}, want: func(h *facts.Host) bool {
			return len(h.Sockets) == 2 && h.Sockets[0].Path == "/run/docker.sock" && !h.Sockets[1].Exists && h.Sockets[1].Path == "/run/second.sock" &&
				len(h.Audited.DockerSockets) == 2 && h.Audited.DockerSockets[0].Recorded == "wa" && !h.Audited.DockerSockets[1].Exists && h.Audited.DockerSockets[1].Path == "/run/second.sock"
		}},
		"systemd's socket elsewhere": {change: map[string]string{"etc/systemd/system/docker.socket.d/a.conf": "[Socket]\nListenStream=\nListenStream=%t/engine.sock\n", "run/engine.sock": "x"},
			want: func(h *facts.Host) bool {
				return len(h.Sockets) == 1 && h.Sockets[0].Path == "/run/engine.sock" && h.Sockets[0].Exists && len(h.Audited.DockerSockets) == 1 && h.Audited.DockerSockets[0].Recorded == ""
			}},
		"systemd's socket beside": {change: map[string]string{"etc/systemd/system/docker.socket.d/a.conf": "[Socket]\nListenStream = \\\n# not here\n /srv/docker.sock\n", "srv/docker.sock": "x"},
			want: func(h *facts.Host) bool { return len(h.Sockets) == 2 && h.Sockets[1].Path == "/srv/docker.sock" }},
		"systemd's socket, nobody knows where": {change: map[string]string{"etc/systemd/system/docker.socket.d/a.conf": "[Socket]\nListenStream=/run/%n\n"},
			want: func(h *facts.Host) bool { return len(h.Sockets) == 1 }, unseen: "host.sockets[...] the units of the socket cannot be read: /usr/lib/systemd/system/docker.socket: what %n stands for"},
		"a hidden configuration":                       {hidden: true, want: func(h *facts.Host) bool { return len(h.Sockets) == 1 }, unseen: "host.sockets[...] hidden"},
		"a hidden configuration, and what is recorded": {hidden: true, want: func(h *facts.Host) bool { return len(h.Audited.DockerSockets) == 1 }, unseen: "host.audited.docker_sockets[...] hidden"},
		"no accounts, and what is recorded":            {change: map[string]string{"etc/passwd": ""}, want: func(h *facts.Host) bool { return h.Audited.DockerSockets[0].Recorded == "wa" }},
		"audit rules that end": {change: map[string]string{"etc/audit/rules.d/a.rules": "-w relative\n"}, want: func(h *facts.Host) bool { return h.Audited.Dockerd.Exists },
			unseen: "host.audited.dockerd.recorded /etc/audit/rules.d/a.rules line 1: "},
		"no audit rules": {change: map[string]string{"etc/audit/rules.d/a.rules": ""}, want: func(h *facts.Host) bool {
			return h.Audit.Source == "/etc/audit/rules.d" && h.Audited.Dockerd.Recorded == ""
		}},
		"the file of auditctl": {change: map[string]string{"etc/audit/rules.d/a.rules": "", "etc/audit/audit.rules": "-e 1\n-w /usr/sbin/dockerd -p x\n"}, want: func(h *facts.Host) bool {
			return h.Audit.Source == "/etc/audit/audit.rules" && h.Audit.Enabled && h.Audited.Dockerd.Recorded == "x"
		}},
		"switched off in files": {change: map[string]string{"etc/audit/rules.d/b.rules": "-e 0\n"}, want: func(h *facts.Host) bool { return !h.Audit.Enabled }},
		"no table of sockets":   {change: map[string]string{"proc/1/net/tcp": ""}, unseen: "host.listeners /proc/1/net/tcp cannot be read"},
		"only its own address":  {change: map[string]string{"proc/1/net/tcp": "x\n   1: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 78 1\n"}, want: func(h *facts.Host) bool { return len(h.Listeners) == 0 }},
		"very many connections": {change: map[string]string{"proc/1/net/tcp": "  sl  local_address rem_address   st tx_queue\n   1: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 78 1\n" + strings.Repeat("   2: 0100000A:0016 0200000A:1000 01 0:0 0:0 0 0 0 79 1\n", 1<<15)},
			want: func(h *facts.Host) bool {
				return slices.Equal(h.Listeners, []facts.Listener{{Address: "0.0.0.0:22/tcp"}})
			}},
		"very many that wait": {change: map[string]string{"proc/1/net/udp": "x\n" + strings.Repeat("   2: 0100000A:0016 00000000:0000 07 0:0 0:0 0 0 0 79 1\n", 1<<15)}, unseen: "host.listeners /proc/1/net/udp cannot be read"},
		"version 6 of a protocol": {change: map[string]string{"proc/1/net/tcp": "x\n", "proc/1/net/udp6": "x\n 1: 00000000000000000000000000000000:0202 0:0 07 0:0 0:0 0 0 0 78 1\n"},
			want: func(h *facts.Host) bool {
				return slices.Equal(h.Listeners, []facts.Listener{{Address: "[::]:514/udp"}})
			}},
		"a link that leads out": {change: map[string]string{"etc/docker/daemon.json": "-> ../../../../../../../../etc/passwd"}, want: func(h *facts.Host) bool { return h.Audited.DaemonJSON.Path == "/etc/passwd" }},
	} {
		t.Run(name, func(t *testing.T) {
			hosts := test.hosts
			if hosts == nil && !test.hidden {
				hosts = []string{"fd://"}
			}
			f := hostIn(t, test.change, test.prepare, hosts...)
			if test.want != nil && !test.want(&f.Host) {
				t.Errorf("got %+v", f.Host)
			}
			path, begin, _ := strings.Cut(test.unseen, " ")
			if reason := reasonFor(f.Unseen, path); test.unseen != "" && (reason == "" || !strings.HasPrefix(reason, begin)) {
				t.Errorf("%s is unseen for %q", path, reason)
			}
			for _, u := range f.Unseen {
				if u.Reason == "" {
					t.Errorf("%s is unseen without a reason", u.Path)
				}
			}
		})
	}
}

func chown(t *testing.T, root, name string, uid, gid int) {
	t.Helper()
	if err := os.Chown(filepath.Join(root, name), uid, gid); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, root, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
		t.Fatal(err)
	}
}

// TestHostNotLookedAt: all that a host itself tells is unseen, for one reason.
func TestHostNotLookedAt(t *testing.T) {
	c := &collector{facts: &facts.Facts{}, noHost: "far away"}
	c.hostFacts(c.lookAtHost(engine.Peer{}), configured{}, engine.Peer{}, nil)
	for _, part := range hostParts {
		if reason := reasonFor(c.facts.Unseen, "host."+part); reason != "far away" {
			t.Errorf("host.%s: %q", part, reason)
		}
	}
	if h := c.facts.Host; h.Sockets == nil || h.Controllers == nil || h.Kernels == nil || h.Listeners == nil || h.Audit.NotLoaded == nil || h.Security.Modules == nil {
		t.Errorf("a list is nil in %+v", h)
	}
}

// versionOf is an engine's answer with components.
func versionOf(t *testing.T, platform string, components ...[3]string) json.RawMessage {
	t.Helper()
	var list []answer
	for _, c := range components {
		list = append(list, answer{"Name": c[0], "Version": c[1], "Details": answer{"GitCommit": c[2]}})
	}
	return encode(t, answer{"Platform": answer{"Name": platform}, "Components": list})
}

func TestVersions(t *testing.T) {
	const community, hash = "Docker Engine - Community", "d8e4a8e"
	for name, test := range map[string]struct {
		version json.RawMessage
		os      string
		pkg     string // Debian's, of the engine
		now     time.Time
		facts   func(f *facts.Facts)
		want    func(h *facts.Host) bool
		unseen  string
	}{
		"all is new": {version: versionOf(t, community, [3]string{"Engine", "29.9.0", hash}, [3]string{"containerd", "v2.3.6", hash}, [3]string{"runc", "1.5.2", "v1.5.2-0-g" + hash}, [3]string{"docker-init", "0.19.0", "de40ad0"}),
			want: func(h *facts.Host) bool {
				return len(h.Components) == 4 && !h.Release.Behind && h.Release.Maintained && h.Release.Branch == "29" && h.Components[2].EscapesKnown && len(h.Components[2].Escapes) == 0
			}},
		"an old runc": {version: versionOf(t, community, [3]string{"Engine", "29.9.0", hash}, [3]string{"runc", "1.1.11", "v1.1.11-0-g4bccb38"}), want: func(h *facts.Host) bool {
			r := h.Components[1]
			return slices.Contains(r.Escapes, "CVE-2024-21626") && slices.Contains(r.Flaws, "CVE-2024-45310") && r.Update == "1.3.6" && !slices.Contains(r.Escapes, "CVE-2023-28642")
		}},
		"what it gets round is not there": {version: versionOf(t, community, [3]string{"runc", "1.1.4", hash}), want: func(h *facts.Host) bool {
			return slices.Contains(h.Components[0].OutOfReach, "CVE-2023-28642") && !slices.Contains(h.Components[0].Flaws, "CVE-2023-28642")
		}},
		"what it gets round is there": {version: versionOf(t, community, [3]string{"runc", "1.1.4", hash}), facts: func(f *facts.Facts) { f.Daemon.AppArmor = true }, want: func(h *facts.Host) bool {
			return slices.Contains(h.Components[0].Flaws, "CVE-2023-28642")
		}},
		"nothing in the host's network": {version: versionOf(t, community, [3]string{"containerd", "1.4.2", hash}), facts: func(f *facts.Facts) { f.Containers = []workload.Spec{{}} },
			want: func(h *facts.Host) bool {
				return slices.Equal(h.Components[0].OutOfReach, []string{"CVE-2020-15257"}) && len(h.Components[0].Escapes) == 0
			}},
		"something in the host's network": {version: versionOf(t, community, [3]string{"containerd", "1.4.2", hash}),
			facts: func(f *facts.Facts) {
				f.Containers = []workload.Spec{{Namespaces: workload.Namespaces{Network: "host"}}}
			},
			want: func(h *facts.Host) bool { return slices.Equal(h.Components[0].Escapes, []string{"CVE-2020-15257"}) }},
		"networks that are hidden": {version: versionOf(t, community, [3]string{"containerd", "1.4.2", hash}),
			facts: func(f *facts.Facts) {
				f.Containers = []workload.Spec{{Unseen: []workload.Unseen{{Path: "namespaces", Reason: "x"}}}}
			},
			unseen: "host.components[0].escapes_known whether there is a container in the host's network here, which CVE-2020-15257 needs, could not be told"},
		"a plugin decides": {version: versionOf(t, community, [3]string{"Engine", "27.1.0", hash}), facts: func(f *facts.Facts) { f.Daemon.AuthorizationPlugins = []string{"opa"} },
			want: func(h *facts.Host) bool {
				return slices.Contains(h.Components[0].Escapes, "CVE-2024-41110") && h.Components[0].Update == "29.5.1"
			}},
		"no plugin decides": {version: versionOf(t, community, [3]string{"Engine", "27.1.0", hash}), want: func(h *facts.Host) bool { return slices.Contains(h.Components[0].OutOfReach, "CVE-2024-41110") }},
		"a branch that has ended": {version: versionOf(t, community, [3]string{"Engine", "28.5.1", hash}), want: func(h *facts.Host) bool {
			return h.Release == facts.Release{Branch: "28", Newest: "28.5.2", Ended: "2026-05-13", Behind: true, Table: "2026-10-12"}
		}},
		"Debian's, mended": {version: versionOf(t, "", [3]string{"Engine", "20.10.24+dfsg1", "5d6db84"}, [3]string{"runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1"}), os: "Debian GNU/Linux 12 (bookworm)", pkg: "20.10.24+dfsg1-1+deb12u1+b6",
			want: func(h *facts.Host) bool {
				return h.Components[1].Package == "runc 1.1.5+ds1-1+deb12u1" && len(h.Components[1].Escapes) == 0 && h.Release.Branch == "Debian 12" && !h.Release.Behind && h.Release.Maintained
			}, unseen: "host.components[1].escapes_known whether Debian's runc 1.1.5+ds1-1+deb12u1 has a fix of its own for CVE-2024-45310, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881, CVE-2026-41579 is not in the table of 2026-10-12"},
		"Debian's, not mended": {version: versionOf(t, "", [3]string{"Engine", "20.10.24+dfsg1", ""}, [3]string{"runc", "1.1.5+ds1", "1.1.5+ds1-1"}), os: "Debian GNU/Linux 12 (bookworm)", pkg: "20.10.24+dfsg1-1",
			want: func(h *facts.Host) bool {
				return slices.Equal(h.Components[1].Escapes, []string{"CVE-2024-21626"}) && h.Components[1].Update == "1.1.5+ds1-1+deb12u1" && h.Release.Behind
			}},
		"somebody's": {version: versionOf(t, "", [3]string{"Engine", "25.0.3", ""}, [3]string{"runc", "1.1.11", ""}), os: "Amazon Linux 2023",
			want:   func(h *facts.Host) bool { return len(h.Components[1].Escapes) == 0 },
			unseen: "host.components[1].escapes_known whether whoever built this runc has a fix of its own for CVE-2024-21626"},
		"somebody's release": {version: versionOf(t, "", [3]string{"Engine", "25.0.3", ""}), unseen: "host.release whose release the engine 25.0.3 is"},
		"no version":         {version: versionOf(t, community, [3]string{"Engine", "library-import", ""}), unseen: "host.components[0].escapes_known engine has no version that is known"},
		"no components":      {version: json.RawMessage(`{"Version":"17.03"}`), unseen: "host.components the engine does not say it"},
		"an old table":       {version: versionOf(t, community, [3]string{"Engine", "29.9.0", hash}), now: escape.Date.Add(366 * 24 * time.Hour), unseen: "host.release what is known of releases is of 2026-10-12, more than a year ago"},
		"an old table of flaws": {version: versionOf(t, community, [3]string{"runc", "1.1.11", hash}), now: escape.Date.Add(366 * 24 * time.Hour), want: func(h *facts.Host) bool { return slices.Contains(h.Components[0].Escapes, "CVE-2024-21626") },
			unseen: "host.components[0].escapes_known what is known of flaws is of 2026-10-12, more than a year ago"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &collector{facts: &facts.Facts{Collected: collectedAt, Host: facts.Host{OS: test.os}}}
			if !test.now.IsZero() {
				c.facts.Collected = test.now
			}
			if test.facts != nil {
				test.facts(c.facts)
			}
			c.versions(c.components(test.version, test.pkg, ""))
			if test.want != nil && !test.want(&c.facts.Host) {
				t.Errorf("got %+v, %+v\n%+v", c.facts.Host.Components, c.facts.Host.Release, c.facts.Unseen)
			}
			path, begin, _ := strings.Cut(test.unseen, " ")
			if reason := reasonFor(c.facts.Unseen, path); !strings.HasPrefix(reason, begin) || test.unseen != "" && reason == "" {
				t.Errorf("%s is unseen for %q", path, reason)
			}
		})
	}
}

// TestOwnKernel: only a real /proc is of the kernel that this program runs on.
func TestOwnKernel(t *testing.T) {
	for root, want := range map[string]bool{"/": true, rootOf(t, map[string]string{"proc/version": "x"}): false, t.TempDir(): false} {
		tree, err := openTree(root)
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.ownKernel(); got != want {
			t.Errorf("%s: %t", root, got)
		}
		tree.close()
	}
}

// TestAuditOfThisKernel: with a real /proc the kernel is asked, or it is said why not.
func TestAuditOfThisKernel(t *testing.T) {
	tree, err := openTree("/")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	read := tree.auditRules()
	if (read.kernel == nil) == (read.noKernel == "") {
		t.Errorf("%+v, and %q", read.kernel, read.noKernel)
	}
	t.Logf("the kernel's rules: %+v, %+v %s", read.kernel, read.status, read.noKernel)
}
