package collect

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// mounts is a table of lines "device root target".
func mounts(t *testing.T, lines ...string) *workload.MountTable {
	t.Helper()
	text := ""
	for _, line := range lines {
		kind := "ext4"
		for _, own := range []string{"proc", "sys"} {
			if _, target, _ := strings.Cut(line, "/ /"); target == own {
				kind = map[string]string{"proc": "proc", "sys": "sysfs"}[own]
			}
		}
		text += "1 1 " + line + " rw - " + kind + " /dev/x rw\n"
	}
	table, err := workload.ReadMountTable([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestSight: in a container, what lies below a mount from the host is the host's, and
// of anything else nothing is said, whatever the container itself has there.
func TestSight(t *testing.T) {
	root := rootOf(t, map[string]string{
		"etc/docker/daemon.json": "{}", "etc/link": "-> /etc/docker/daemon.json", "etc/away": "-> /usr/lib/x", "etc/up": "-> ../../../etc/docker", "etc/hostname": "the container's",
		"etc/loop": "-> loop", "usr/lib/x": "the container's", "usr/lib/systemd/u": "unit", "run/docker.sock": "the container's", "var/run/docker.sock": "the host's", "opt/data/f": "the host's",
		"srv/x": "the container's", "usr/local": "-> lib",
	})
	at, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	at.sight = &sight{container: true,
		engine: mounts(t, "8:1 / /", "0:20 / /run", "8:2 / /data", "8:3 / /etc/nfs"),
		own: mounts(t, "0:50 / /", "8:1 /etc /etc", "8:1 /docker/c/hostname /etc/hostname", "8:1 /usr/lib/systemd /usr/lib/systemd",
			"0:20 /docker.sock /var/run/docker.sock", "8:2 / /opt/data")}
	for p, want := range map[string]string{
		"/etc/docker/daemon.json":  "{}",
		"/etc/link":                "{}",
		"/etc/up/daemon.json":      "{}",
		"/etc/none":                "none",
		"/etc/docker/none/x":       "none",
		"/usr/lib/systemd/u":       "unit",
		"/usr/lib/systemd/none":    "none",
		"/run/docker.sock":         "the host's",
		"/data/f":                  "the host's",
		"/data/none":               "none",
		"/usr/lib/x":               "add -v /usr:/usr:ro",
		"/usr/lib":                 "add -v /usr:/usr:ro",
		"/usr/local/systemd/u":     "add -v /usr:/usr:ro",
		"/etc/away":                "add -v /usr:/usr:ro",
		"/etc/hostname":            "add -v /etc:/etc:ro",
		"/etc/nfs/x":               "add -v /etc:/etc:ro",
		"/var/run/docker.sock":     "add -v /var:/var:ro",
		"/srv/x":                   "add -v /srv:/srv:ro",
		"/opt/data/f":              "add -v /opt:/opt:ro",
		"/":                        "add -v /:/host:ro",
		"/etc/../../etc/../srv/x":  "add -v /srv:/srv:ro",
		"/usr/lib/systemd/../x":    "add -v /usr:/usr:ro",
		"/etc/loop":                unix.ELOOP.Error(),
		"/none":                    "add -v /none:/none:ro",
		"/usr/lib/systemd/u/below": unix.ENOTDIR.Error(),
	} {
		got := ""
		data, err := at.read(p)
		switch {
		case err != nil:
			got = strings.TrimPrefix(err.Error(), "it is not mounted into this container: ")
		case data == nil:
			got = "none"
		default:
			got = string(data)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
		r := &tracer{tree: at, folders: map[string]*lookedAt{}}
		switch traced, err := r.trace(p); {
		case errors.Is(err, unix.ELOOP) || want == unix.ENOTDIR.Error():
		case (err != nil) != strings.HasPrefix(want, "add "), err == nil && (traced.at == nil) != (want == "none"):
			t.Errorf("%s: traced to %+v, %v", p, traced, err)
		case err == nil && traced.hidden == nil:
			t.Errorf("%s: all folders on the way were seen, and the root cannot be", p)
		}
	}
}

// TestSightOfAUser: who may not look through the engine's process sees the same files
// where the same is mounted.
func TestSightOfAUser(t *testing.T) {
	root := rootOf(t, map[string]string{"etc/x": "x", "link": "-> etc"})
	at, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	at.sight = &sight{engine: mounts(t, "8:1 / /", "0:20 / /run"), own: mounts(t, "8:1 / /", "0:21 / /run")}
	if data, err := at.read("/link/x"); string(data) != "x" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
	r := &tracer{tree: at, folders: map[string]*lookedAt{}}
	if traced, err := r.trace("/link/x"); err != nil || traced.hidden != nil || len(traced.links) != 1 {
		t.Errorf("got %+v, %v", traced, err)
	}
	if _, err := at.read("/run/x"); err == nil || err.Error() != "it is not among the files that this program sees" {
		t.Errorf("of another file system: %v", err)
	}
}

// TestSightOfTheKernel: what one kernel tells all alike is seen through another mount
// of it, but processes only by who counts them alike.
func TestSightOfTheKernel(t *testing.T) {
	root := rootOf(t, map[string]string{"proc/1/mountinfo": "m", "proc/sys/kernel/x": "1", "proc/acpi/x": "hidden", "sys/module/m/x": "y", "sys/class/net/eth0": "the container's"})
	at, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	for _, processes := range []bool{true, false} {
		at.sight = &sight{processes: processes, engine: mounts(t, "8:1 / /", "0:4 / /proc", "0:5 / /sys"), own: mounts(t, "0:50 / /", "0:41 / /proc", "0:42 / /sys", "0:43 / /proc/acpi")}
		for p, want := range map[string]bool{"/proc/1/mountinfo": processes, "/proc/sys/kernel/x": processes, "/proc/acpi/x": false, "/sys/module/m/x": true, "/sys/class/net/eth0": false} {
			if data, err := at.read(p); (err == nil && data != nil) != want {
				t.Errorf("%s, alike %v: %q, %v", p, processes, data, err)
			}
		}
	}
}
