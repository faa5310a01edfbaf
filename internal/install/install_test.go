package install

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// host is one with nothing but files, below a folder; what needs a systemd is tested on
// whole hosts, in the folder test.
func host(t *testing.T) *Host {
	t.Helper()
	h := &Host{Root: t.TempDir(), State: "/var/lib/plimsoll", Policy: "/etc/plimsoll/policy.yaml", Program: []string{"/bin/busybox"}, Now: time.Now,
		Run: func(_ context.Context, name string, args ...string) (string, error) {
			t.Errorf("it runs %s %q", name, args)
			return "", errors.New("no program is to be run")
		}}
	for _, dir := range []string{"/run/systemd/system", "/var/lib/plimsoll"} {
		if err := os.MkdirAll(h.at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// TestRefusedAtOnce: what can be told without asking systemd is told so, and nothing is
// made.
func TestRefusedAtOnce(t *testing.T) {
	loose := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(loose, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		change func(h *Host)
		want   string
	}{
		{"not root", func(h *Host) { h.UID = 1000 }, "only root may"},
		{"no systemd", func(h *Host) { os.Remove(h.at("/run/systemd/system")) }, "this host is not run by systemd"},
		{"a link for systemd's folder", func(h *Host) {
			os.Remove(h.at("/run/systemd/system"))
			os.Symlink("/", h.at("/run/systemd/system"))
		}, "this host is not run by systemd"},
		{"a state elsewhere", func(h *Host) { h.State = "/srv/plimsoll" }, "can't keep its trail in /srv/plimsoll"},
		{"a state with a space", func(h *Host) { h.State = "/var/lib/my plimsoll" }, "can't keep its trail in"},
		{"a policy that is not absolute", func(h *Host) { h.Policy = "policy.yaml" }, "is not absolute"},
		{"a policy that is a variable", func(h *Host) { h.Policy = "/etc/$POLICY" }, "that a unit can't name"},
		{"a policy that is a specifier", func(h *Host) { h.Policy = "/etc/%n" }, "that a unit can't name"},
		{"no program", func(h *Host) { h.Program = []string{"/nonexistent"} }, "can't be found"},
		{"a folder for a program", func(h *Host) { h.Program = []string{"/usr/bin"} }, "is no program"},
		{"a file for a program", func(h *Host) { h.Program = []string{"/etc/passwd"} }, "is no program"},
		{"a program that others may change", func(h *Host) { h.Program = []string{loose} }, "can be changed by others than root"},
		{"a record of another form", func(h *Host) { os.WriteFile(h.at(h.recordPath()), []byte(`{"schema":"x"}`), 0o600) }, "of another version of plimsoll"},
		{"a record that is none", func(h *Host) { os.WriteFile(h.at(h.recordPath()), []byte(`{"done":1}`), 0o600) }, "can't be read"},
	} {
		h := host(t)
		c.change(h)
		p, err := h.Look(t.Context())
		f := new(Failure)
		if p != nil || !errors.As(err, &f) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	// With nothing amiss it goes on to ask systemd.
	h, asked := host(t), false
	h.Run = func(context.Context, string, ...string) (string, error) {
		asked = true
		return "", errors.New("it does not answer")
	}
	if _, err := h.Look(t.Context()); !asked || err == nil || !strings.Contains(err.Error(), "systemd can't be asked about docker.service: it does not answer") {
		t.Errorf("asked %v, %v", asked, err)
	}
}

// TestRecord: a record is read as it was written, and folders that were made are in it
// before they are there.
func TestRecord(t *testing.T) {
	h := host(t)
	if _, err := h.ReadRecord(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a record: %v", err)
	}
	if err := os.Mkdir(h.at("/etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := &Record{Schema: recordSchema, Time: time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC), Socket: "/run/docker.sock", GID: 105, Mode: 0o660, Policy: h.Policy}
	if err := h.begin(r); err != nil {
		t.Fatal(err)
	}
	old := unix.Umask(0o077)
	err := h.writeFile(r, file{path: "/etc/a/b/c.conf", text: "x\n"})
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.ReadRecord()
	if diff := cmp.Diff(r, got); err != nil || diff != "" || !cmp.Equal(got.Folders, []string{"/etc/a", "/etc/a/b"}) {
		t.Errorf("%v\n%s", err, diff)
	}
	// Whatever the umask, others than root must be able to read what systemd's tools do.
	for path, want := range map[string]fs.FileMode{"/etc/a": fs.ModeDir | 0o755, "/etc/a/b/c.conf": 0o644, h.recordPath(): 0o600} {
		if info, err := os.Lstat(h.at(path)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}

// TestToRoot: what is of the gate's user becomes root's, and nothing else does, wherever
// that user has made links to.
func TestToRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	h := host(t)
	const user, other = 64901, 64902
	outside := filepath.Join(t.TempDir(), "outside")
	dir := h.at("/var/lib/plimsoll/gate")
	for path, uid := range map[string]int{outside: user, dir + "/trail": user, dir + "/deep/er": user, dir + "/theirs": other} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600), os.Chown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(outside, dir+"/link"), os.Symlink("/etc", dir+"/folder"), os.Lchown(dir+"/link", user, user), os.Chown(dir, user, user)); err != nil {
		t.Fatal(err)
	}
	if err := h.toRoot("/var/lib/plimsoll/gate", user); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{outside: user, dir: 0, dir + "/trail": 0, dir + "/deep/er": 0, dir + "/link": 0, dir + "/theirs": other, "/etc": 0} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if uid, _, _ := owner(info); uid != want {
			t.Errorf("%s is of %d, want %d", path, uid, want)
		}
	}
	if err := h.toRoot("/var/lib/plimsoll/none", user); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// TestCommand: what a program wrote tells why it failed, and none is waited for longer
// than the caller does.
func TestCommand(t *testing.T) {
	if out, err := Command(t.Context(), "sh", "-c", "echo out; echo err >&2"); err != nil || out != "out\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := Command(t.Context(), "sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.HasSuffix(err.Error(), ": why") {
		t.Errorf("it failed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Command(ctx, "sleep", "60"); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: %v", err)
	}
}
