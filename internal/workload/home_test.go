package workload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindHome(t *testing.T) {
	id, other := strings.Repeat("a", 64), strings.Repeat("b", 64)
	const plain = "1 0 8:1 / / rw - ext4 /dev/vda rw\n"
	hostname := func(id string) string {
		return "2 1 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw - ext4 /dev/vda rw\n"
	}
	for name, tc := range map[string]struct {
		cgroup, mountinfo string
		want              Home
	}{
		"a host":                        {"0::/user.slice/session-1.scope\n", plain, Home{}},
		"a container on version 1":      {"3:memory:/docker/" + id + "\n0::/system.slice\n", plain, Home{Inside: true, ID: id}},
		"a container of systemd's":      {"0::/system.slice/docker-" + id + ".scope\n", plain, Home{Inside: true, ID: id}},
		"a cgroup namespace of its own": {"0::/\n", plain + hostname(id), Home{Inside: true, Network: id}},
		"the network of another one":    {"0::/docker/" + id + "\n", plain + hostname(other), Home{Inside: true, ID: id, Network: other}},
		"a file that anybody mounted":   {"0::/\n", plain + "2 1 8:1 /srv/hostname /etc/hostname rw - ext4 /dev/vda rw\n", Home{}},
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "proc/self"), 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"cgroup": tc.cgroup, "mountinfo": tc.mountinfo} {
			if err := os.WriteFile(filepath.Join(root, "proc/self", file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := FindHome(root); err != nil || got != tc.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, tc.want)
		}
	}
	if home, err := FindHome(t.TempDir()); err == nil || home != (Home{}) {
		t.Errorf("without /proc: %+v, %v", home, err)
	}
}

// TestFind: a file is found under the path that a mount gives it, and not where
// something else is mounted over it.
func TestFind(t *testing.T) {
	table := func(lines ...string) *MountTable {
		text := ""
		for _, line := range lines {
			text += "1 1 " + line + " rw - ext4 /dev/x rw\n"
		}
		m, err := ReadMountTable([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	there := table("8:1 / /", "8:2 /sub /data", "0:20 / /run")
	here := table("0:50 / /", "8:1 /etc /etc", "8:1 /other /etc/docker", "8:2 /sub/deep /d", "8:1 /usr/lib /a", "8:1 /usr/lib /b", "8:1 /usr/lib /usr/lib", "0:20 /docker.sock /s")
	for p, want := range map[string]string{
		"/etc": "/etc", "/etc/x/y": "/etc/x/y", "/etc/docker": "", "/etc/docker/x": "", "/other/x": "/etc/docker/x", "/etcetera": "",
		"/data/deep": "/d", "/data/deep/x": "/d/x", "/data": "", "/data/deeper": "", "/usr/lib/x": "/usr/lib/x", "/usr": "", "/": "",
		"/run/docker.sock": "/s", "/run": "", "/run/docker.sockets": "",
	} {
		if got, found := here.Find(there, p); got != want || found != (want != "") {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
	if got := here.Type("/etc/docker/x"); got != "ext4" {
		t.Errorf("the type is %q", got)
	}
	if got := table("8:1 /x /x").Type("/y"); got != "" {
		t.Errorf("the type of nothing is %q", got)
	}
	if got, found := there.Find(there, "/etc/x"); got != "/etc/x" || !found {
		t.Errorf("its own: %q", got)
	}
}
