package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/dockerd"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
)

// theFiles collects the files of the host at root.
func theFiles(t *testing.T, root string, change func(c *collector, started *configured)) []facts.File {
	t.Helper()
	c := &collector{Config: Config{Root: root}, facts: &facts.Facts{}}
	var err error
	if c.host, err = openTree(root); err != nil {
		t.Fatal(err)
	}
	defer c.host.close()
	started := configured{file: "/etc/docker/daemon.json", config: dockerd.Merge(nil, nil)}
	if change != nil {
		change(c, &started)
	}
	c.files(started, engine.Peer{PID: 7, Path: "/run/docker.sock"})
	return c.facts.Files
}

// ofRole are the files of a role.
func ofRole(files []facts.File, role string) []facts.File {
	return slices.DeleteFunc(slices.Clone(files), func(f facts.File) bool { return f.Role != role })
}

func theFile(t *testing.T, files []facts.File, role string) facts.File {
	t.Helper()
	list := ofRole(files, role)
	if len(list) != 1 {
		t.Fatalf("%d files for %s: %+v", len(list), role, list)
	}
	return list[0]
}

// setACL gives a file an access list: of owner, group and others as in mode 0640, a
// user and a mask.
func setACL(t *testing.T, name string, uid uint32, permissions, mask uint16) {
	t.Helper()
	out := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, permissions uint16
		id               uint32
	}{{1, 6, 1<<32 - 1}, {2, permissions, uid}, {4, 4, 1<<32 - 1}, {0x10, mask, 1<<32 - 1}, {0x20, 0, 1<<32 - 1}} {
		out = binary.LittleEndian.AppendUint16(out, e.tag)
		out = binary.LittleEndian.AppendUint16(out, e.permissions)
		out = binary.LittleEndian.AppendUint32(out, e.id)
	}
	if err := unix.Setxattr(name, "system.posix_acl_access", out, 0); err != nil {
		t.Fatal(err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		lacking(t, "this needs root")
	}
}

// lacking ends a test that cannot run here: it is skipped, but under CI it fails.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func own(t *testing.T, root, name string, uid, gid int, mode uint32) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := errors.Join(os.Lchown(name, uid, gid), unix.Chmod(name, mode)); err != nil {
		t.Fatal(err)
	}
}

const (
	passwd = "root:x:0:0::/root:/bin/sh\nmei:x:1000:1000::/home/mei:/bin/sh\n"
	groups = "root:x:0:\ndocker:x:998:mei\nmei:x:1000:\n"
)

func TestFileFacts(t *testing.T) {
	needRoot(t)
	root := rootOf(t, map[string]string{"etc/passwd": passwd, "etc/group": groups, "etc/docker/daemon.json": "-> ../../srv/docker/d.json", "srv/docker/d.json": "{}", "etc/default/docker": ""})
	own(t, root, ".", 0, 0, 0o755)
	own(t, root, "srv", 1000, 1000, 0o755)
	own(t, root, "srv/docker", 0, 998, 0o775)
	own(t, root, "srv/docker/d.json", 1000, 998, 0o640)
	setACL(t, filepath.Join(root, "srv/docker/d.json"), 1234, 6, 4)
	if err := os.Lchown(filepath.Join(root, "etc/docker/daemon.json"), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	got := theFile(t, theFiles(t, root, nil), "daemon.json")
	want := facts.File{Role: "daemon.json", Path: "/etc/docker/daemon.json", Exists: true, Resolved: "/srv/docker/d.json", Kind: "regular", UID: 1000, GID: 998, User: "mei", Group: "docker",
		Mode: "0640", ACL: []string{"user:1234:r--"}, Readers: []string{"the group docker", "the user 1234"}, Writers: []string{},
		Links:   []facts.FileLink{{Path: "/etc/docker/daemon.json", UID: 1000, User: "mei"}},
		Folders: []facts.FileFolder{{Path: "/srv", By: []string{"the user mei"}}, {Path: "/srv/docker", By: []string{"the group docker"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	plain := theFile(t, theFiles(t, root, nil), "default-docker")
	if plain.Mode != "0644" || plain.User != "root" || len(plain.Folders)+len(plain.Links)+len(plain.ACL)+len(plain.Writers)+len(plain.Unseen) > 0 || !slices.Equal(plain.Readers, []string{"everybody"}) {
		t.Errorf("got %+v", plain)
	}
}

// TestEveryRole: there is an entry for each role on any host, so that no
// recommendation is without an answer.
func TestEveryRole(t *testing.T) {
	roles := []string{"docker.service", "docker.socket", "containerd.service", "docker-folder", "registry-certificate", "registry-key", "tls-ca", "tls-certificate", "tls-key",
		"docker-socket", "daemon.json", "default-docker", "sysconfig-docker", "containerd-socket", "containerd-configuration", "program", "client-configuration", "unit-folder", "environment-file", "seccomp-profile"}
	for name, change := range map[string]func(*collector, *configured){
		"an empty host":         nil,
		"nothing is configured": func(_ *collector, s *configured) { *s = configured{reason: "it was dark", noAccount: "it was dark"} },
		"rootless": func(c *collector, s *configured) {
			c.facts.Daemon.Rootless, s.file = true, "/home/ana/.config/docker/daemon.json"
		},
	} {
		files := theFiles(t, rootOf(t, map[string]string{"etc/x": ""}), change)
		for _, role := range roles {
			if len(ofRole(files, role)) == 0 {
				t.Errorf("%s: nothing for %s", name, role)
			}
		}
		for _, f := range files {
			if !slices.Contains(roles, f.Role) {
				t.Errorf("%s: %s is no role", name, f.Role)
			}
			if f.Exists {
				t.Errorf("%s: %+v", name, f)
			}
			if reason := reasonFor(f.Unseen, "exists"); (reason != "") != (name == "nothing is configured" && slices.Contains([]string{"tls-ca", "tls-certificate", "tls-key", "docker-socket", "daemon.json", "program", "seccomp-profile"}, f.Role)) {
				t.Errorf("%s: %s is unseen: %q", name, f.Role, reason)
			}
		}
	}
}

// TestFilesAreWhereTheEngineHasThem: by its units and its configuration.
func TestFilesAreWhereTheEngineHasThem(t *testing.T) {
	flags := func(words ...string) func(*collector, *configured) {
		return func(_ *collector, s *configured) {
			settings, err := dockerd.ParseCommandLine(append([]string{"dockerd"}, words...), "")
			if err != nil {
				panic(err)
			}
			s.config = dockerd.Merge(settings, nil)
		}
	}
	rootless := func(c *collector, s *configured) {
		c.facts.Daemon.Rootless, s.file, s.runsAs.UID = true, "/home/ana/.config/docker/daemon.json", 1000
	}
	// theFiles has the socket in /run, as if that were the user's folder.
	for name, tc := range map[string]struct {
		files  map[string]string
		change func(*collector, *configured)
		role   string
		want   []string // the paths that exist
	}{
		"unit of the package": {map[string]string{"usr/lib/systemd/system/docker.service": ""}, nil, "docker.service", []string{"/usr/lib/systemd/system/docker.service"}},
		"unit of the administrator": {map[string]string{"usr/lib/systemd/system/docker.service": "", "etc/systemd/system/docker.service": ""}, nil, "docker.service",
			[]string{"/etc/systemd/system/docker.service"}},
		"drop-ins": {map[string]string{"lib/systemd/system/docker.service": "", "lib/systemd/system/docker.service.d/a.conf": "", "etc/systemd/system/docker.service.d/a.conf": "", "run/systemd/system/docker.service.d/b.conf": "", "run/systemd/system/docker.service.d/b": ""},
			nil, "docker.service", []string{"/etc/systemd/system/docker.service.d/a.conf", "/run/systemd/system/docker.service.d/b.conf", "/lib/systemd/system/docker.service"}},
		"one folder under two names": {map[string]string{"usr/lib/systemd/system/docker.service": "", "usr/lib/systemd/system/docker.service.d/a.conf": "", "lib": "-> usr/lib"},
			nil, "docker.service", []string{"/usr/lib/systemd/system/docker.service", "/usr/lib/systemd/system/docker.service.d/a.conf"}},
		"masked unit": {map[string]string{"usr/lib/systemd/system/docker.socket": "", "etc/systemd/system/docker.socket": "-> /dev/null", "dev/null": ""}, nil, "docker.socket", nil},
		"unit of a user": {map[string]string{"home/ana/.config/systemd/user/docker.service": "", "usr/lib/systemd/system/docker.service": ""}, rootless, "docker.service",
			[]string{"/home/ana/.config/systemd/user/docker.service"}},
		"folder of a user":              {map[string]string{"home/ana/.config/docker/certs.d/r/a.crt": ""}, rootless, "docker-folder", []string{"/home/ana/.config/docker"}},
		"certificates":                  {map[string]string{"etc/docker/certs.d/r:5000/ca.crt": "", "etc/docker/certs.d/r:5000/c.cert": "", "etc/docker/certs.d/r:5000/c.key": "", "etc/docker/certs.d/r:5000/README": "", "etc/docker/certs.d/x": ""}, nil, "registry-certificate", []string{"/etc/docker/certs.d/r:5000/c.cert", "/etc/docker/certs.d/r:5000/ca.crt"}},
		"keys for registries":           {map[string]string{"etc/docker/certs.d/r:5000/ca.crt": "", "etc/docker/certs.d/r:5000/c.key": ""}, nil, "registry-key", []string{"/etc/docker/certs.d/r:5000/c.key"}},
		"certificates of a user":        {map[string]string{"home/ana/.config/docker/certs.d/r/a.crt": "", "etc/docker/certs.d/r/a.crt": ""}, rootless, "registry-certificate", []string{"/home/ana/.config/docker/certs.d/r/a.crt"}},
		"key of the listener":           {map[string]string{"srv/k": "", "etc/docker/key.pem": ""}, flags("--tlsverify", "--tlskey", "/srv/k"), "tls-key", []string{"/srv/k"}},
		"sockets":                       {map[string]string{"srv/s": "", "run/docker.sock": ""}, flags("-H", "unix:///srv/s", "-H", "tcp://0.0.0.0:2376"), "docker-socket", []string{"/run/docker.sock", "/srv/s"}},
		"sockets of systemd":            {map[string]string{"srv/s": "", "run/docker.sock": "", "usr/lib/systemd/system/docker.socket": "[Socket]\nListenStream = /srv/s\nListenStream=/run/docker.sock\n"}, flags("-H", "fd://"), "docker-socket", []string{"/run/docker.sock", "/srv/s"}},
		"a stream that is no more":      {map[string]string{"srv/s": "", "run/docker.sock": "", "usr/lib/systemd/system/docker.socket": "[Socket]\nListenStream=/srv/s\nListenStream=\nListenStream=/run/docker.sock\n"}, flags("-H", "fd://"), "docker-socket", []string{"/run/docker.sock"}},
		"socket of systemd":             {map[string]string{"run/docker.sock": "", "var/run": "-> ../run"}, flags("-H", "fd://", "-H", "unix:///var/run/docker.sock"), "docker-socket", []string{"/run/docker.sock"}},
		"containerd of its own":         {map[string]string{"run/docker/containerd/containerd.sock": "", "var/run": "-> /run"}, nil, "containerd-socket", []string{"/var/run/docker/containerd/containerd.sock"}},
		"containerd beside":             {map[string]string{"run/containerd/containerd.sock": ""}, nil, "containerd-socket", []string{"/run/containerd/containerd.sock"}},
		"containerd of a user's engine": {map[string]string{"run/docker/containerd/containerd.sock": "", "var/run/docker/containerd/containerd.sock": ""}, rootless, "containerd-socket", []string{"/run/docker/containerd/containerd.sock"}},
		"containerd elsewhere":          {map[string]string{"run/containerd/containerd.sock": "", "srv/c.sock": ""}, flags("--containerd", "/srv/c.sock"), "containerd-socket", []string{"/srv/c.sock"}},
		"older shim":                    {map[string]string{"usr/bin/containerd-shim-runc-v1": "", "usr/bin/containerd-shim": "", "usr/bin/containerd-shim-x": ""}, nil, "program", []string{"/usr/bin/containerd-shim-runc-v1", "/usr/bin/containerd-shim"}},
		"program of a unit":             {map[string]string{"opt/dockerd": "", "opt/containerd": "", "usr/lib/systemd/system/docker.service": "[Service]\nExecStart=/opt/dockerd\n", "usr/lib/systemd/system/containerd.service": "[Service]\nExecStart=/opt/containerd\n"}, nil, "program", []string{"/opt/dockerd", "/opt/containerd"}},
		"program of the process":        {map[string]string{"proc/7/exe": "-> /srv/dockerd", "srv/dockerd": ""}, nil, "program", []string{"/srv/dockerd"}},
		"program of another process":    {map[string]string{"proc/7/exe": "-> /srv/socat", "srv/socat": ""}, nil, "program", nil},
		"runtimes":                      {map[string]string{"srv/crun": "", "usr/bin/kata": "", "usr/bin/other": ""}, flags("--add-runtime", "crun=/srv/crun", "--add-runtime", "k=kata"), "program", []string{"/srv/crun", "/usr/bin/kata"}},
		"variables":                     {map[string]string{"srv/env": "", "etc/default/docker": "", "usr/lib/systemd/system/docker.service": "[Service]\nEnvironmentFile=-/etc/default/docker\nEnvironmentFile=/srv/env\n"}, nil, "environment-file", []string{"/srv/env"}},
		"calls":                         {map[string]string{"srv/s.json": ""}, flags("--seccomp-profile", "/srv/s.json"), "seccomp-profile", []string{"/srv/s.json"}},
		"calls of the engine":           {map[string]string{"builtin": ""}, flags("--seccomp-profile", "builtin"), "seccomp-profile", nil},
		"drop-ins for all": {map[string]string{"lib/systemd/system/docker.service": "", "etc/systemd/system/service.d/a.conf": "", "etc/systemd/system/service.d/b.conf": "", "run/systemd/system/docker.service.d/a.conf": "", "etc/systemd/system/socket.d/c.conf": ""},
			nil, "docker.service", []string{"/run/systemd/system/docker.service.d/a.conf", "/lib/systemd/system/docker.service", "/etc/systemd/system/service.d/b.conf"}},
		"folders of units": {map[string]string{"usr/lib/systemd/system/x.service": "", "lib": "-> usr/lib", "etc/systemd/system/docker.service.d/x": "", "etc/systemd/system/x.service.d/x": "", "run/systemd/system": ""},
			nil, "unit-folder", []string{"/etc/systemd/system", "/etc/systemd/system/docker.service.d", "/usr/lib/systemd/system"}},
		"programs": {map[string]string{"usr/local/bin/runc": "", "usr/bin/runc": "", "usr/bin/dockerd": ""}, nil, "program", []string{"/usr/bin/dockerd", "/usr/local/bin/runc"}},
	} {
		var got []string
		for _, f := range ofRole(theFiles(t, rootOf(t, tc.files), tc.change), tc.role) {
			if f.Exists {
				got = append(got, f.Path)
			}
			if len(f.Unseen) > 0 {
				t.Errorf("%s: %s is unseen: %v", name, f.Path, f.Unseen)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}

// TestNamesOfOwners: a number without a name is one where the host has no other
// directory of names, and else nobody knows.
func TestNamesOfOwners(t *testing.T) {
	needRoot(t)
	files := map[string]string{"etc/passwd": passwd, "etc/group": groups, "etc/default/docker": ""}
	for _, tc := range []struct {
		name, file, text string
		user, group      string // reasons for what is unseen
		uid              int
	}{
		{"a user of the host", "etc/hosts", "", "", "", 1000},
		{"a number", "etc/hosts", "", "", "", 4444},
		{"perhaps a user of a directory", "etc/nsswitch.conf", "passwd: files sss\ngroup: files\n", "the host asks sss for it", "the host asks sss for it", 4444},
		{"a user of the host, which has a directory", "etc/nsswitch.conf", "passwd: files sss\n", "", "", 1000},
		{"users that cannot be read", "etc/passwd", "|", "/etc/passwd cannot be read: it is no regular file", "", 1000},
		{"groups that cannot be read", "etc/group", "|", "", "/etc/group cannot be read: it is no regular file", 1000},
	} {
		all := map[string]string{tc.file: tc.text}
		for name, text := range files {
			if name != tc.file {
				all[name] = text
			}
		}
		root := rootOf(t, all)
		own(t, root, "etc/default/docker", tc.uid, tc.uid, 0o644)
		f := theFile(t, theFiles(t, root, nil), "default-docker")
		if user, group := reasonFor(f.Unseen, "user"), reasonFor(f.Unseen, "group"); user != tc.user || group != tc.group {
			t.Errorf("%s: unseen for %q and %q", tc.name, user, group)
		}
		if tc.user == "" && f.User != map[int]string{1000: "mei", 4444: "4444"}[tc.uid] {
			t.Errorf("%s: the user is %q", tc.name, f.User)
		}
	}
}

// TestWhoCanReplace: by the owner, the mode, the access list and the sticky bit of
// each folder.
func TestWhoCanReplace(t *testing.T) {
	needRoot(t)
	for _, tc := range []struct {
		name     string
		uid, gid int
		mode     uint32
		fileUID  int
		rootless bool
		want     []string
	}{
		{"root's", 0, 0, 0o755, 0, false, nil},
		{"root's group's", 0, 0, 0o775, 0, false, nil},
		{"everybody's", 0, 0, 0o777, 0, false, []string{"everybody"}},
		{"a group's", 0, 998, 0o775, 0, false, []string{"the group docker"}},
		{"a group's that cannot enter it", 0, 998, 0o765, 0, false, nil},
		{"a person's", 1000, 0, 0o755, 0, false, []string{"the user mei"}},
		{"that of who runs a rootless engine", 1000, 1000, 0o755, 1000, true, nil},
		{"another person's, by a rootless engine", 4444, 0, 0o755, 1000, true, []string{"the user 4444"}},
		{"everybody's, but sticky, and the file is root's", 0, 0, 0o1777, 0, false, nil},
		{"everybody's, but sticky, and the file is a person's", 0, 0, 0o1777, 1000, false, []string{"the user mei"}},
		{"a person's and sticky", 1000, 0, 0o1755, 0, false, []string{"the user mei"}},
	} {
		root := rootOf(t, map[string]string{"etc/passwd": passwd, "etc/group": groups, "etc/default/docker": ""})
		own(t, root, ".", 0, 0, 0o755)
		own(t, root, "etc/default/docker", tc.fileUID, 0, 0o644)
		own(t, root, "etc/default", tc.uid, tc.gid, tc.mode)
		f := theFile(t, theFiles(t, root, func(c *collector, s *configured) {
			c.facts.Daemon.Rootless, s.runsAs.UID = tc.rootless, 1000
		}), "default-docker")
		var got []string
		for _, folder := range f.Folders {
			if folder.Path != "/etc/default" {
				t.Errorf("%s: %+v", tc.name, folder)
			}
			got = append(got, folder.By...)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestWhoCanAddUnits: a sticky folder keeps nobody from adding to it, and nothing need be
// in it.
func TestWhoCanAddUnits(t *testing.T) {
	needRoot(t)
	for _, tc := range []struct {
		folder string
		uid    int
		mode   uint32
		want   []string
	}{
		{"etc/systemd/system", 0, 0o755, nil},
		{"etc/systemd/system", 0, 0o777, []string{"everybody"}},
		{"etc/systemd/system", 0, 0o1777, []string{"everybody"}},
		{"etc/systemd/system/docker.service.d", 0, 0o777, []string{"everybody"}},
		{"etc/systemd/system/service.d", 1000, 0o755, []string{"the user mei"}},
		{"etc/systemd/system/docker.socket.d", 0, 0o775, nil},
	} {
		root := rootOf(t, map[string]string{"etc/passwd": passwd, "etc/group": groups, "usr/lib/systemd/system/docker.service": ""})
		if err := os.MkdirAll(filepath.Join(root, tc.folder), 0o755); err != nil {
			t.Fatal(err)
		}
		own(t, root, ".", 0, 0, 0o755)
		own(t, root, tc.folder, tc.uid, 0, tc.mode)
		var got []string
		for _, f := range ofRole(theFiles(t, root, nil), "unit-folder") {
			for _, folder := range f.Folders {
				if folder.Path != "/"+tc.folder {
					t.Errorf("%+v", folder)
				}
				got = append(got, folder.By...)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s with %o: got %q, want %q", tc.folder, tc.mode, got, tc.want)
		}
	}
}

// TestHostileFiles: whatever a host's root has where files are expected, the files end
// soon, and nothing of them is from elsewhere.
func TestHostileFiles(t *testing.T) {
	needRoot(t)
	outside := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600), os.Lchown(filepath.Join(outside, "secret"), 4321, 4321)); err != nil {
		t.Fatal(err)
	}
	root := rootOf(t, map[string]string{
		"etc/passwd": "|", "etc/nsswitch.conf": "-> /dev/zero",
		"etc/docker/daemon.json":                      "-> " + outside + "/secret",
		"etc/default/docker":                          "-> ../../../../../../../../.." + outside + "/secret",
		"etc/sysconfig/docker":                        "-> docker",
		"etc/containerd/config.toml":                  "-> /proc/self/root" + outside + "/secret",
		"proc/self/root":                              "-> /",
		"run/docker.sock":                             "|",
		"run/containerd/containerd.sock":              "-> /run/containerd/containerd.sock/x",
		"usr/lib/systemd/system/docker.service":       "|",
		"etc/systemd/system/docker.service.d":         "-> .",
		"etc/systemd/system/docker.socket":            "-> a/" + strings.Repeat("../a/", 30) + "b",
		"etc/systemd/system/a/b":                      "-> ../docker.socket",
		"root/.docker/config.json/config.json":        "",
		"etc/docker/certs.d/\x1b[2Jr\nx/\xff\xfe.crt": "",
		"etc/docker/certs.d/loop":                     "-> loop",
	})
	for name, kind := range map[string]uint32{"usr/bin/runc": unix.S_IFCHR, "dev/zero": unix.S_IFCHR} {
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), unix.Mknod(name, kind|0o666, int(unix.Mkdev(1, 5)))); err != nil {
			t.Fatal(err)
		}
	}
	group, err := os.Create(filepath.Join(root, "etc/group"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(group.Truncate(100<<30), group.Close()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	files := theFiles(t, root, nil)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("%d bytes were used", used)
	}
	for _, f := range files {
		if f.UID == 4321 || f.Exists && !strings.HasPrefix(f.Resolved, "/") {
			t.Errorf("it leads out: %+v", f)
		}
		if !utf8.ValidString(f.Path) {
			t.Errorf("the path %q is no text", f.Path)
		}
	}
	for role, want := range map[string]string{"daemon.json": "", "default-docker": "", "containerd-configuration": "", "sysconfig-docker": "too many levels of symbolic links",
		"containerd-socket": "too many levels of symbolic links", "docker-socket": "pipe", "docker.service": "pipe", "program": "device", "client-configuration": "directory", "docker.socket": "too many levels of symbolic links"} {
		f := ofRole(files, role)[0]
		if got := f.Kind + reasonFor(f.Unseen, "exists"); got != want {
			t.Errorf("%s is %q, want %q", role, got, want)
		}
	}
	if f := theFile(t, files, "containerd-configuration"); !strings.Contains(reasonFor(ofRole(files, "docker-socket")[0].Unseen, "group"), "it has more than") {
		t.Errorf("a file of 100 GB was read: %+v", f)
	}
}

// TestVeryManyCertificates: as many as a folder may have are no work, and what was not
// looked at is said.
func TestVeryManyCertificates(t *testing.T) {
	root := rootOf(t, map[string]string{"etc/docker/certs.d/a/ca.crt": ""})
	folder := filepath.Join(root, "etc/docker/certs.d/a")
	for i := range maxFiles + 100 {
		if err := unix.Mknod(fmt.Sprintf("%s/%06d.crt", folder, i), unix.S_IFREG|0o644, 0); err != nil {
			t.Fatal(err)
		}
	}
	list := ofRole(theFiles(t, root, nil), "registry-certificate")
	if n := len(list); n != maxCertificates+1 || reasonFor(list[n-1].Unseen, "mode") != "there are too many to look at all" {
		t.Errorf("%d files, the last %+v", n, list[n-1])
	}
	if one := ofRole(theFiles(t, rootOf(t, map[string]string{"etc/docker/certs.d/a/ca.crt": ""}), nil), "registry-certificate"); len(one) != 1 || len(one[0].Unseen) > 0 {
		t.Errorf("of one: %+v", one)
	}
}

// TestFilesNobodyMayLookAt: what a user may not see is unseen, for that reason.
func TestFilesNobodyMayLookAt(t *testing.T) {
	needRoot(t)
	root := rootOf(t, map[string]string{"etc/docker/daemon.json": "{}", "etc/default/docker": "", "etc/docker/certs.d/r/a.crt": ""})
	for dir := root; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	own(t, root, "etc/docker", 0, 0, 0o700)
	// The kernel takes away the rights over files of a thread with such a number
	// (setfsuid(2), capabilities(7)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	files := theFiles(t, root, nil)
	if err := unix.Setfsuid(0); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"daemon.json", "registry-certificate"} {
		if f := theFile(t, files, role); reasonFor(f.Unseen, "mode") != "it may not be looked at by this user" || f.Exists {
			t.Errorf("%s: %+v", role, f)
		}
	}
	if f := theFile(t, files, "default-docker"); !f.Exists || len(f.Unseen) > 0 {
		t.Errorf("got %+v", f)
	}
}

// TestTraceFollows: a path leads where it leads without a look at all on the way.
func TestTraceFollows(t *testing.T) {
	root := rootOf(t, map[string]string{"a/b/c": "", "a/l": "-> b", "a/up": "-> ../..", "x": "-> /a/up/a/l/c", "dead": "-> /none/y", "loop": "-> loop", "a/out": "-> ../../../etc"})
	at, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	for _, p := range []string{"/", "/a/b/c", "/a/l/c", "/x", "/dead", "/dead/z", "/loop", "/a/out", "/a/out/passwd", "/..", "/a/../x", "/a/none/../b", "/x/y", ""} {
		r := &tracer{tree: at, folders: map[string]*lookedAt{}}
		want, there, wantErr := at.follow(p, nil)
		got, err := r.trace(p)
		if errors.Is(wantErr, unix.ENOTDIR) {
			if err != nil || got.at != nil {
				t.Errorf("%s: %+v, %v", p, got, err)
			}
			continue
		}
		if (err == nil) != (wantErr == nil) || err == nil && (got.resolved != want || (got.at == nil) != (there == nil)) {
			t.Errorf("%s: got %+v, %v, want %s, %v", p, got, err, want, wantErr)
		}
	}
}
