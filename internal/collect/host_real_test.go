package collect

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestRealHost: what is said of the host of a real engine is so.
func TestRealHost(t *testing.T) {
	e := lab.Shared(t)
	f, err := Engine(context.Background(), realConfig(t, e.Host()))
	if err != nil {
		t.Fatal(err)
	}
	h := f.Host
	root := filepath.Join("/proc", strconv.Itoa(e.Pid), "root")

	if len(h.Sockets) == 0 || !h.Sockets[0].Exists || h.Sockets[0].Owner != "root" || !strings.HasPrefix(h.Sockets[0].Mode, "066") {
		t.Errorf("the sockets are %+v", h.Sockets)
	}
	exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(e.Pid), "exe"))
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"dockerd": exe, "data_root": f.Daemon.DataRoot, "daemon_json": f.Daemon.Config.File, "docker_socket": h.Sockets[0].Path} {
		got := map[string]string{"dockerd": h.Audited.Dockerd.Path, "data_root": h.Audited.DataRoot.Path, "daemon_json": h.Audited.DaemonJSON.Path, "docker_socket": h.Audited.DockerSockets[0].Path}[name]
		if got != path {
			t.Errorf("%s is at %s, want %s", name, got, path)
		}
	}
	if !h.Audited.Dockerd.Exists || !h.Audited.DataRoot.Exists {
		t.Errorf("the engine's program or its data are not there: %+v", h.Audited)
	}
	if h.Audit.Source != "the kernel" {
		t.Logf("the kernel was not asked: %v", f.Unseen)
	}

	var top, data unix.Stat_t
	if err := unix.Stat(root, &top); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(filepath.Join(root, f.Daemon.DataRoot), &data); err != nil {
		t.Fatal(err)
	}
	if p := h.DataPartition; p.Separate != (top.Dev != data.Dev) || p.MountPoint == "" || p.FileSystem == "" || p.Device == "" {
		t.Errorf("the data's partition is %+v; devices are %d and %d", p, top.Dev, data.Dev)
	}

	for _, one := range h.Components {
		if one.Name == "engine" && one.Version != docker(t, e, "version", "--format", "{{.Server.Version}}") {
			t.Errorf("the engine is %+v", one)
		}
	}
	names := func() (names []string) {
		for _, one := range h.Components {
			names = append(names, one.Name)
		}
		return names
	}()
	for _, name := range []string{"engine", "containerd", "runc"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among %q", name, names)
		}
	}
	for file, got := range map[string]int64{"kernel/randomize_va_space": h.Settings.RandomizeVASpace, "kernel/kptr_restrict": h.Settings.KptrRestrict, "fs/protected_symlinks": h.Settings.ProtectedSymlinks} {
		text, err := os.ReadFile("/proc/sys/" + file)
		if want := strings.TrimSpace(string(text)); err != nil || strconv.FormatInt(got, 10) != want {
			t.Errorf("%s is %d, want %s (%v)", file, got, want, err)
		}
	}
	for _, u := range f.Unseen {
		if strings.HasPrefix(u.Path, "host.") {
			t.Logf("unseen: %s, %s", u.Path, u.Reason)
		}
	}
}
