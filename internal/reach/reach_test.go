package reach

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// world is an engine with containers, made by the adapter from create requests
// as the engine would describe them.
type world struct {
	daemon  workload.Daemon
	rootful bool
	hide    []string // paths of the first container, or of the facts with a leading /
	volumes map[string]workload.Volume
	links   map[string]string
	nodes   map[string][]string
}

// describe makes facts of a name and a create body for each container.
func (w world) describe(t testing.TB, bodies ...[2]string) *facts.Facts {
	t.Helper()
	f := &facts.Facts{Schema: facts.Schema, Daemon: facts.Daemon{Rootless: !w.rootful, UsernsRemap: w.daemon.UsernsRemap}}
	around := workload.Surroundings{Daemon: &w.daemon, Volumes: w.volumes, Resolve: func(p string) ([]string, error) {
		if to, found := w.links[p]; found {
			return []string{to}, nil
		}
		return []string{p}, nil
	}, Nodes: func(p string) ([]string, error) { return w.nodes[p], nil }}
	if around.Volumes == nil {
		around.Volumes = map[string]workload.Volume{}
	}
	around.Image = &workload.ImageConfig{}
	for i, b := range bodies {
		s, err := workload.FromCreate(b[0], []byte(b[1]), around)
		if err != nil {
			t.Fatalf("%s: %v", b[0], err)
		}
		s.ID = fmt.Sprintf("%064x", 0xabc0+i)
		s.Reveal("id")
		f.Containers = append(f.Containers, s)
	}
	for _, h := range w.hide {
		if path, ofFacts := strings.CutPrefix(h, "/"); ofFacts {
			f.Unseen = append(f.Unseen, workload.Unseen{Path: path, Reason: "hidden"})
		} else {
			f.Containers[0].Hide(h, "hidden")
		}
	}
	return f
}

// say is the sentences as "name: text".
func say(f *facts.Facts) []string {
	out := []string{}
	for _, r := range Of(f) {
		out = append(out, r.Subject+": "+r.Text)
	}
	return out
}

// host is a body of nothing but a HostConfig.
func host(config string) string { return `{"Image":"bb","HostConfig":{` + config + `}}` }

// as is host for a user whom nothing makes root.
func as(user, config string) string {
	return `{"Image":"bb","User":"` + user + `","HostConfig":{"SecurityOpt":["no-new-privileges"],` + config + `}}`
}

var rootful = world{rootful: true, daemon: workload.Daemon{NoNewPrivilegesSeen: true, CgroupVersion: 1}}

func TestOneContainer(t *testing.T) {
	for _, test := range []struct {
		name, body, want string
	}{
		{"plain", host(``), ""},
		{"the engine's socket", host(`"Binds":["/var/run/docker.sock:/var/run/docker.sock:ro"]`), "root on the host (engine socket)"},
		{"containerd's socket", host(`"Binds":["/run/containerd/containerd.sock:/c.sock"]`), "root on the host (runtime socket)"},
		{"privileged", host(`"Privileged":true`), "root on the host (every privilege)"},
		{"privileged as another user", `{"Image":"bb","User":"1000","HostConfig":{"Privileged":true}}`, "root on the host (every privilege)"},
		{"privileged, never root", as("1000", `"Privileged":true`), ""},
		{"all of the host", host(`"Privileged":true,"PidMode":"host","NetworkMode":"host","IpcMode":"host","Binds":["/var/run/docker.sock:/s"]`),
			"root on the host (engine socket, every privilege), every process of it, every port of the host (host network), the shared memory of the host (host ipc namespace)"},
		{"the host's root", host(`"Binds":["/:/host"]`), "root on the host (engine socket, runtime socket, writable /)"},
		{"the host's root, read-only", host(`"Binds":["/:/host:ro"]`), "root on the host (engine socket, runtime socket)"},
		{"system folders", host(`"Binds":["/etc:/a","/usr/bin:/b","/var/log:/c"]`), "root on the host (writable /etc and /usr/bin)"},
		{"read-only system folders", host(`"Binds":["/etc:/a:ro","/var/log:/c"]`), "the host's files (/var/log), the host's files read-only (/etc)"},
		{"four folders", host(`"Binds":["/etc:/a:ro","/usr:/b:ro","/boot:/c:ro","/var/log:/d:ro"]`), "the host's files read-only (/boot, /etc, /usr and 1 more)"},
		{"root's home", host(`"Binds":["/root/.ssh:/a"]`), "root on the host (writable /root/.ssh)"},
		{"homes", host(`"Binds":["/home:/a"]`), "the host's files (/home)"},
		{"the host's /proc", host(`"Binds":["/proc:/host/proc"]`), "root on the host (writable /proc)"},
		{"the host's /proc to read", host(`"Binds":["/proc:/host/proc:ro"]`), "the host's files read-only (/proc)"},
		{"the kernel's own files by a volume", host(`"Mounts":[{"Type":"volume","Source":"k","Target":"/k","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"sysfs","device":"sysfs"}}}}]`),
			"root on the host (writable /sys)"},
		{"a folder of its own", host(`"Binds":["/srv/data:/data"]`), ""},
		{"the time zone", host(`"Binds":["/etc/localtime:/etc/localtime"]`), ""},
		{"bare device nodes", host(`"Binds":["/dev:/host/dev"]`), ""},
		{"processes", host(`"PidMode":"host"`), "every process of the host (host pid namespace)"},
		{"processes and ptrace", host(`"PidMode":"host","CapAdd":["SYS_PTRACE"]`), "root on the host (host pid namespace with SYS_PTRACE), every process of it"},
		{"ptrace alone", host(`"CapAdd":["SYS_PTRACE"]`), ""},
		{"capabilities", host(`"CapAdd":["sys_module","CAP_SYS_ADMIN","NET_ADMIN"]`), "root on the host (SYS_ADMIN, SYS_MODULE)"},
		{"files by handle", host(`"CapAdd":["DAC_READ_SEARCH"]`), "root on the host (DAC_READ_SEARCH)"},
		{"all capabilities", host(`"CapAdd":["ALL"],"PidMode":"host"`), "root on the host (every capability), every process of it"},
		{"nearly all capabilities", host(`"CapAdd":["ALL"],"CapDrop":["SYS_ADMIN"]`), "root on the host (SYS_MODULE, SYS_RAWIO, DAC_READ_SEARCH)"},
		{"capabilities, never root", as("1000", `"CapAdd":["SYS_ADMIN"]`), ""},
		{"a disk", host(`"Devices":[{"PathOnHost":"/dev/sda1","PathInContainer":"/dev/x","CgroupPermissions":"rwm"}]`), "root on the host (raw device /dev/sda1)"},
		{"a disk to read", host(`"Devices":[{"PathOnHost":"/dev/nvme0n1","PathInContainer":"/dev/x","CgroupPermissions":"r"}]`), "the host's files read-only (/dev/nvme0n1)"},
		{"other devices", host(`"Devices":[{"PathOnHost":"/dev/fuse"},{"PathOnHost":"/dev/mapper/control"},{"PathOnHost":"/dev/snd"}]`), ""},
		{"device rules", host(`"DeviceCgroupRules":["b 8:* rwm","c 13:* rwm","c 1:1 rw","b *:* r"]`), "root on the host (device rule b 8:* rwm, device rule c 1:1 rw)"},
		{"a disk that may only be made", host(`"Devices":[{"PathOnHost":"/dev/sda1","PathInContainer":"/dev/x","CgroupPermissions":"m"}]`), ""},
		{"rarer disks", host(`"Devices":[{"PathOnHost":"/dev/loop0"},{"PathOnHost":"/dev/nbd0"},{"PathOnHost":"/dev/mtd0"},{"PathOnHost":"/dev/loop-control"}]`),
			"root on the host (raw device /dev/loop0, raw device /dev/mtd0, raw device /dev/nbd0)"},
		{"device rules for disks of other kinds", host(`"DeviceCgroupRules":["c 21:* rw","b 11:0 rwm"]`), "root on the host (device rule c 21:* rw)"},
		{"device rules to read", host(`"DeviceCgroupRules":["b *:* r"]`), "the host's files read-only (device rule b *:* r)"},
		{"device rules with the host's device files", host(`"DeviceCgroupRules":["b 254:* rwm"],"CapDrop":["MKNOD"],"Binds":["/dev:/d:ro"]`), "root on the host (device rule b 254:* rwm)"},
		{"the system bus", host(`"Binds":["/run/dbus:/run/dbus:ro"]`), "root on the host (system bus)"},
		{"the system bus, never root", as("1000", `"Binds":["/run/dbus:/run/dbus"]`), ""},
		{"a user's engine", host(`"Binds":["/run/user/1000/docker.sock:/s"]`), "a user of the host (engine socket)"},
		{"users' engines and the host's", host(`"Binds":["/run:/s:ro"]`), "root on the host (engine socket, runtime socket)"},
		{"device rules without mknod", host(`"DeviceCgroupRules":["a *:* rwm"],"CapDrop":["MKNOD"]`), ""},
		{"a rule for all devices, whatever uses it names", host(`"DeviceCgroupRules":["a 5:5 m"]`), "root on the host (device rule a *:* rwm)"},
		{"a rule with zeros in front", host(`"DeviceCgroupRules":["c 01:001 rwm"]`), "root on the host (device rule c 1:1 rwm)"},
		{"unmasked", host(`"MaskedPaths":[],"ReadonlyPaths":[]`), "root on the host (unmasked /proc/sys)"},
		{"unmasked, never root", as("1000", `"MaskedPaths":[],"ReadonlyPaths":[]`), ""},
		{"folders of units", host(`"Binds":["/run/systemd/system:/a","/run/udev:/b:ro"]`), "root on the host (writable /run/systemd/system)"},
		{"a program for other files by a volume", host(`"Mounts":[{"Type":"volume","Source":"k","Target":"/k","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"binfmt_misc","device":"binfmt_misc"}}}}]`),
			"root on the host (writable /proc)"},
		{"a volume that is read-only by its options", host(`"Mounts":[{"Type":"volume","Source":"k","Target":"/k","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"none","o":"bind,ro","device":"/etc"}}}}]`),
			"the host's files read-only (/etc)"},
		{"ports", host(`"NetworkMode":"host"`), "every port of the host (host network)"},
		{"never root, with files", as("1000", `"Binds":["/etc:/a","/home:/b:ro"]`), "the host's files open to its user (/etc and /home)"},
		{"never root, with the socket", as("1000", `"Binds":["/run/docker.sock:/s"]`), "root on the host (engine socket)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := []string{}
			if test.want != "" {
				want = append(want, "web: "+test.want)
			}
			if diff := cmp.Diff(want, say(rootful.describe(t, [2]string{"web", test.body}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOtherEngines(t *testing.T) {
	rootless := world{daemon: workload.Daemon{UsernsRemap: true, NoNewPrivilegesSeen: true}}
	remapped := world{rootful: true, daemon: workload.Daemon{UsernsRemap: true, NoNewPrivilegesSeen: true}}
	for _, test := range []struct {
		name       string
		world      world
		body, want string
	}{
		{"rootless, the socket", rootless, host(`"Binds":["/run/user/1000/docker.sock:/s"]`), "the engine's user on the host (engine socket)"},
		{"rootless, privileged", rootless, host(`"Privileged":true,"PidMode":"host"`), "the engine's user on the host (every privilege), every process of that user"},
		{"rootless, processes", rootless, host(`"PidMode":"host"`), "every process of the engine's user (host pid namespace)"},
		{"rootless, ports", rootless, host(`"NetworkMode":"host"`), "every port of the engine's network (host network)"},
		{"rootless, memory", rootless, host(`"IpcMode":"host"`), "the shared memory of the engine's user (host ipc namespace)"},
		{"rootless, system folders", rootless, host(`"Binds":["/etc:/a"]`), "the host's files open to the engine's user (/etc)"},
		{"rootless, homes", rootless, host(`"Binds":["/home/ana:/a"]`), "the engine's user on the host (writable /home/ana)"},
		{"rootless, capabilities", rootless, host(`"CapAdd":["SYS_ADMIN","SYS_MODULE"]`), "the engine's user on the host (SYS_ADMIN)"},
		{"rootless, module", rootless, host(`"CapAdd":["SYS_MODULE"]`), ""},
		{"rootless, a disk", rootless, host(`"Devices":[{"PathOnHost":"/dev/sda"}]`), ""},
		{"remapped, capabilities", remapped, host(`"CapAdd":["SYS_ADMIN"]`), ""},
		{"remapped, system folders", remapped, host(`"Binds":["/etc:/a"]`), "the host's files open to its user (/etc)"},
		{"remapped, the socket", remapped, host(`"Binds":["/run/docker.sock:/s"]`), "root on the host (engine socket)"},
		{"remapped but for this one", remapped, host(`"UsernsMode":"host","Privileged":true`), "root on the host (every privilege)"},
		{"disks under other names", world{rootful: true, daemon: rootful.daemon, links: map[string]string{"/dev/vg0/root": "/dev/dm-0"}, nodes: map[string][]string{"/srv/d": {"b 254:0"}, "/srv/e": {"c 10:200"}}},
			host(`"Devices":[{"PathOnHost":"/dev/vg0/root"},{"PathOnHost":"/srv/d"},{"PathOnHost":"/srv/e"}]`), "root on the host (raw device /dev/vg0/root, raw device /srv/d)"},
		{"a link to the socket", world{rootful: true, daemon: rootful.daemon, links: map[string]string{"/opt/s": "/run/docker.sock"}},
			host(`"Binds":["/opt/s:/s"]`), "root on the host (engine socket)"},
		{"a link to a system folder", world{rootful: true, daemon: rootful.daemon, links: map[string]string{"/opt/e": "/etc"}},
			host(`"Binds":["/opt/e:/s:ro"]`), "the host's files read-only (/etc)"},
		{"a volume that is a host path", world{rootful: true, daemon: rootful.daemon, volumes: map[string]workload.Volume{
			"conf": {Driver: "local", Options: map[string]string{"o": "bind", "type": "none", "device": "/etc"}}}},
			host(`"Binds":["conf:/c"]`), "root on the host (writable /etc)"},
		{"a volume on a disk", world{rootful: true, daemon: rootful.daemon, volumes: map[string]workload.Volume{
			"disk": {Driver: "local", Options: map[string]string{"type": "ext4", "device": "/dev/sdb1"}}}},
			host(`"Binds":["disk:/c"]`), "the host's files (/dev/sdb1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := []string{}
			if test.want != "" {
				want = append(want, "web: "+test.want)
			}
			if diff := cmp.Diff(want, say(test.world.describe(t, [2]string{"web", test.body}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsUnseenIsNotClaimed(t *testing.T) {
	for _, test := range []struct {
		hide, body, want string
	}{
		{"/daemon.rootless", host(`"Privileged":true,"PidMode":"host","NetworkMode":"host"`),
			"the engine's user on the host (every privilege), every process of that user, every port of the engine's network (host network)"},
		{"/daemon", host(`"Binds":["/etc:/a"]`), "the host's files open to the engine's user (/etc)"},
		{"/daemon.rootless", host(`"Binds":["/:/a"]`), "the engine's user on the host (engine socket, runtime socket, writable /)"},
		{"/daemon.version", host(`"Privileged":true`), "root on the host (every privilege)"},
		{"userns_remapped", host(`"Privileged":true`), ""},
		{"mounts[0].read_only", host(`"Binds":["/etc:/a"]`), "the host's files read-only (/etc)"},
		{"mounts[*].read_only", host(`"Binds":["/etc:/a"]`), "the host's files read-only (/etc)"},
		{"mounts[1].read_only", host(`"Binds":["/etc:/a"]`), "root on the host (writable /etc)"},
		{"mounts[...]", host(`"Binds":["/etc:/a"]`), "root on the host (writable /etc)"},
		{"no_new_privileges", `{"Image":"bb","User":"7","HostConfig":{"Privileged":true}}`, ""},
		{"no_new_privileges", `{"Image":"bb","User":"0","HostConfig":{"Privileged":true}}`, "root on the host (every privilege)"},
	} {
		w := rootful
		w.hide = []string{test.hide}
		want := []string{}
		if test.want != "" {
			want = append(want, "web: "+test.want)
		}
		if diff := cmp.Diff(want, say(w.describe(t, [2]string{"web", test.body}))); diff != "" {
			t.Errorf("%s unseen, %s (-want +got):\n%s", test.hide, test.body, diff)
		}
	}
}

// Hiding any fact of a document neither makes a claim nor a stronger one.
func TestHidingAFactNeverClaimsMore(t *testing.T) {
	f := rootful.describe(t,
		[2]string{"all", host(`"Privileged":true,"PidMode":"host","NetworkMode":"host","IpcMode":"host","Binds":["/run/docker.sock:/s","/etc:/e"]`)},
		[2]string{"files", host(`"Binds":["/etc:/e:ro","/home:/h","data:/d","/srv/x:/x"]`)},
		[2]string{"other", as("7", `"CapAdd":["SYS_ADMIN"],"Binds":["data:/d","/srv:/s"],"VolumesFrom":["files"],"PidMode":"container:files"`)},
		[2]string{"plain", host(``)},
	)
	before := partsOf(f)
	paths := []string{"daemon", "daemon.rootless", "daemon.userns_remap"}
	for i := range f.Containers {
		for _, p := range []string{"user", "privileged", "cap_add", "capabilities", "mounts", "mounts[0]", "mounts[0].read_only", "mounts[1].read_only",
			"mounts[0].source", "mounts[0].type", "mounts[0].host_paths", "mounts[1].exposes", "mounts[1].resolved_exposes", "mounts[0].from",
			"namespaces", "namespaces.pid", "namespaces.network", "userns_remapped", "no_new_privileges", "volumes_from", "devices", "live"} {
			if strings.HasPrefix(p, "mounts[") && int(p[len("mounts[")]-'0') >= len(f.Containers[i].Mounts) {
				continue // a document that hides what is not there is refused
			}
			paths = append(paths, fmt.Sprintf("containers[%d].%s", i, p))
		}
	}
	weaker := []string{"the engine's user on the host (", "every process of the engine's user (", "every process of that user", "every port of the engine's network (",
		"the shared memory of the engine's user (", "the host's files open to ", "the host's files read-only ("}
	for _, hidden := range paths {
		g := *f
		g.Unseen = append(g.Unseen, workload.Unseen{Path: hidden, Reason: "hidden"})
		doc, err := facts.Encode(&g)
		if err != nil {
			t.Fatal(err)
		}
		back, err := facts.Decode("facts.json", doc)
		if err != nil {
			t.Fatal(err)
		}
		for i, parts := range partsOf(back) {
			for _, part := range parts {
				if !claimed(part, before[i], weaker) {
					t.Errorf("without %s: %s: %q; with it: %q", hidden, f.Containers[i].Name, part, before[i])
				}
			}
		}
	}
}

// partsOf are the parts of each container's sentence.
func partsOf(f *facts.Facts) [][]string {
	m, out := newMap(f), make([][]string, len(f.Containers))
	for i := range f.Containers {
		root, host := m.host(i)
		if root != "" {
			out[i] = append(out[i], root)
		}
		out[i] = append(append(out[i], host...), m.others(i)...)
	}
	return out
}

// claimed is true when the parts that were there say as much: the same, or the
// same for more reasons, or something of which part is a weaker form.
func claimed(part string, before, weaker []string) bool {
	head, whys, _ := strings.Cut(strings.TrimSuffix(part, ")"), " (")
	for _, w := range weaker {
		if len(before) > 0 && strings.HasPrefix(part, w) {
			return true
		}
	}
	for _, b := range before {
		had, reasons, _ := strings.Cut(strings.TrimSuffix(b, ")"), " (")
		switch {
		case b == part, had == head && strings.HasPrefix(head, "the data of "), had == head && strings.Contains(reasons, "every privilege"):
			return true
		case had == head:
			return subset(whys, reasons)
		}
	}
	return false
}

func subset(whys, reasons string) bool {
	for w := range strings.SplitSeq(whys, ", ") {
		if !strings.Contains(reasons, w) {
			return false
		}
	}
	return true
}

func TestOtherContainers(t *testing.T) {
	for _, test := range []struct {
		name   string
		bodies [][2]string
		want   []string
	}{
		{"nothing shared", [][2]string{{"a", host(`"Binds":["x:/x"]`)}, {"b", host(`"Binds":["y:/y"]`)}}, nil},
		{"a volume", [][2]string{{"backup", host(`"Binds":["data:/d:ro"]`)}, {"db", host(`"Binds":["data:/d"]`)}},
			[]string{"backup: the data of db (shared volume)"}},
		{"a volume that both write", [][2]string{{"a", host(`"Binds":["x:/x"]`)}, {"b", host(`"Binds":["x:/x"]`)}},
			[]string{"a: the data of b (shared volume)", "b: the data of a (shared volume)"}},
		{"a volume that both read", [][2]string{{"a", host(`"Binds":["x:/x:ro"]`)}, {"b", host(`"Binds":["x:/x:ro"]`)}}, nil},
		{"volumes-from", [][2]string{{"db", host(`"Binds":["data:/d"]`)}, {"backup", host(`"VolumesFrom":["db:ro"]`)}},
			[]string{"backup: the data of db (volumes-from)"}},
		{"volumes-from by a part of the id", [][2]string{{"db", host(``)}, {"backup", host(`"VolumesFrom":["` + fmt.Sprintf("%064x", 0xabc0) + `"]`)}},
			[]string{"backup: the data of db (volumes-from)"}},
		{"volumes-from nobody", [][2]string{{"db", host(``)}, {"backup", host(`"VolumesFrom":["gone"]`)}}, nil},
		{"a directory", [][2]string{{"a", host(`"Binds":["/srv/app:/x:ro"]`)}, {"b", host(`"Binds":["/srv/app:/x"]`)}},
			[]string{"a: the data of b (shared directory)"}},
		{"a directory above", [][2]string{{"a", host(`"Binds":["/srv:/x:ro"]`)}, {"b", host(`"Binds":["/srv/app/data:/x"]`)}, {"c", host(`"Binds":["/srv2:/x"]`)}},
			[]string{"a: the data of b (shared directory)"}},
		{"a directory below", [][2]string{{"a", host(`"Binds":["/srv/app/data:/x:ro"]`)}, {"b", host(`"Binds":["/srv/app:/x"]`)}},
			[]string{"a: the data of b (shared directory)"}},
		{"the time zone", [][2]string{{"a", host(`"Binds":["/etc/localtime:/etc/localtime"]`)}, {"b", host(`"Binds":["/etc/localtime:/etc/localtime"]`)}}, nil},
		{"a network", [][2]string{{"app", host(``)}, {"side", host(`"NetworkMode":"container:app"`)}},
			[]string{"app: the network of side (joined namespace)", "side: the network of app (joined namespace)"}},
		{"processes and memory", [][2]string{{"app", host(``)}, {"debug", host(`"PidMode":"container:app","IpcMode":"container:app"`)}},
			[]string{"app: the processes of debug (joined namespace), the shared memory of debug (joined namespace)",
				"debug: the processes of app (joined namespace), the shared memory of app (joined namespace)"}},
		{"the host's network by another", [][2]string{{"a", host(`"NetworkMode":"host"`)}, {"b", host(`"NetworkMode":"container:a","PidMode":"container:a"`)}},
			[]string{"a: every port of the host (host network), the processes of b (joined namespace)",
				"b: every port of the host (host network), the processes of a (joined namespace)"}},
		{"a join of a join", [][2]string{{"a", host(``)}, {"b", host(`"NetworkMode":"container:a"`)}, {"c", host(`"NetworkMode":"container:b"`)}},
			[]string{"a: the network of b and c (joined namespace)", "b: the network of a and c (joined namespace)", "c: the network of a and b (joined namespace)"}},
		{"a circle", [][2]string{{"a", host(`"NetworkMode":"container:b"`)}, {"b", host(`"NetworkMode":"container:a"`)}}, nil},
		{"a join to nobody", [][2]string{{"a", host(`"NetworkMode":"container:gone"`)}}, nil},
		{"each is named once", [][2]string{{"a", host(`"VolumesFrom":["b"],"Binds":["x:/x","/srv:/s"]`)}, {"b", host(`"Binds":["x:/x:ro","/srv:/s:ro"]`)}, {"c", host(`"Binds":["x:/x","/srv:/s"]`)}},
			[]string{"a: the data of b (volumes-from), the data of c (shared volume)", "b: the data of a and c (shared volume)", "c: the data of a (shared volume)"}},
		{"many", [][2]string{{"e", host(`"Binds":["x:/x"]`)}, {"d", host(`"Binds":["x:/x"]`)}, {"c", host(`"Binds":["x:/x"]`)}, {"b", host(`"Binds":["x:/x"]`)}, {"a", host(`"Binds":["x:/x:ro"]`)}},
			[]string{"a: the data of b, c, d and 1 more (shared volume)", "b: the data of c, d and e (shared volume)", "c: the data of b, d and e (shared volume)",
				"d: the data of b, c and e (shared volume)", "e: the data of b, c and d (shared volume)"}},
		{"order", [][2]string{{"a", host(`"Binds":["x:/x:ro"]`)}, {"b", host(`"Binds":["x:/x"],"NetworkMode":"host"`)}, {"d", host(`"Privileged":true`)}, {"c", host(`"Binds":["x:/x:ro"],"Privileged":true`)}},
			[]string{"c: root on the host (every privilege), the data of b (shared volume)", "d: root on the host (every privilege)",
				"b: every port of the host (host network)", "a: the data of b (shared volume)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.want == nil {
				test.want = []string{}
			}
			if diff := cmp.Diff(test.want, say(rootful.describe(t, test.bodies...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Facts come from elsewhere too: nothing in them breaks or hangs this.
func TestOddFacts(t *testing.T) {
	odd := &facts.Facts{Containers: []workload.Spec{
		{}, {ID: "ab"}, {Name: "x", Namespaces: workload.Namespaces{Network: "container:", PID: "container:x", IPC: "container:ab"}},
		{ID: "ab", VolumesFrom: []workload.Join{{Container: "a"}, {}}, DeviceRules: []string{"", "a", "b x rwm"}, Mounts: []workload.Mount{{}, {Type: "volume", HostPaths: []string{"srv", ""}}}},
	}}
	if got := Of(odd); got == nil {
		t.Error("got nil, want a list")
	}
	circle := &facts.Facts{}
	for i := range 2000 {
		circle.Containers = append(circle.Containers, workload.Spec{Name: fmt.Sprint("c", i), Namespaces: workload.Namespaces{Network: fmt.Sprint("container:c", (i+1)%2000)}})
	}
	if got := say(circle); len(got) != 0 {
		t.Errorf("a circle gives %d sentences", len(got))
	}
}

func TestManyContainersWithOneFolder(t *testing.T) {
	const n = 3000
	f := rootful.describe(t, [2]string{"c", host(`"Binds":["/srv/shared:/x","data:/d"]`)})
	template := f.Containers[0]
	f.Containers = nil
	for i := range n {
		s := template
		s.Name, s.ID = fmt.Sprintf("c%04d", i), fmt.Sprintf("%064x", i)
		f.Containers = append(f.Containers, s)
	}
	got := Of(f)
	if len(got) != n || got[n-1].Text != "the data of c0000, c0001, c0002 and 2996 more (shared volume)" {
		t.Errorf("got %d sentences, the last %q", len(got), got[len(got)-1].Text)
	}
}

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		unseen, path string
		want         bool
	}{
		{"a", "a", true}, {"a", "a.b", true}, {"a", "a[0]", true}, {"a", "ab", false}, {"a.b", "a", false}, {"a[0]", "a[0].b", true}, {"a[1]", "a[0].b", false},
		{"a[*].b", "a[12].b", true}, {"a[*].b", "a[12].c", false}, {"a[*]", "a[3]", true}, {"a[*]", "a", false}, {"a[*].b[*]", "a[1].b[2].c", true},
		{"a[...]", "a", false}, {"a[...]", "a[0]", false},
	} {
		if got := covers(test.unseen, test.path); got != test.want {
			t.Errorf("covers(%q, %q) = %v", test.unseen, test.path, got)
		}
	}
}
