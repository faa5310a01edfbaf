package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseHierarchies(t *testing.T) {
	tests := []struct {
		name, mountinfo string
		want            []hierarchy
	}{
		{
			name: "version 2 alone, as systemd mounts it",
			mountinfo: "24 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n" +
				"30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
			want: []hierarchy{{Mount: "/sys/fs/cgroup", V2: true}},
		},
		{
			name: "version 1 with shared controllers, a named hierarchy and an agent",
			mountinfo: "30 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
				"31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:2 - cgroup cgroup rw,cpu,cpuacct\n" +
				"32 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/systemd/systemd-cgroups-agent,name=systemd\n" +
				"33 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			want: []hierarchy{
				{Mount: "/sys/fs/cgroup/cpu,cpuacct", Options: "cpu,cpuacct"},
				{Mount: "/sys/fs/cgroup/systemd", Options: "name=systemd"},
				{Mount: "/sys/fs/cgroup/unified", V2: true},
			},
		},
		{
			name: "mounted twice, at a place with a blank",
			mountinfo: "31 30 0:28 / /a\\040b rw - cgroup cgroup rw,pids\n" +
				"32 30 0:28 / /elsewhere rw - cgroup cgroup rw,pids\n",
			want: []hierarchy{{Mount: "/a b", Options: "pids"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseHierarchies([]byte(tt.mountinfo))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseHierarchiesNone(t *testing.T) {
	for _, in := range []string{"", "24 1 254:1 / / rw - ext4 /dev/vda1 rw\n", "31 30 0:28 / /x rw - cgroup\n"} {
		if got, err := parseHierarchies([]byte(in)); err == nil || !strings.Contains(err.Error(), "mount /sys/fs/cgroup") {
			t.Errorf("%q: got %v, %v; want an error that says what to mount", in, got, err)
		}
	}
}

// What is written as a mount table must be read back, whatever the paths hold.
func FuzzParseHierarchies(f *testing.F) {
	f.Add("/sys/fs/cgroup/memory", "memory", true)
	f.Add("/a b\tc\\d", "name=x", false)
	f.Add(`/x\040y`, "cpu,cpuacct", false)
	f.Fuzz(func(t *testing.T, path, options string, shared bool) {
		if path == "" || options == "" || options != remountOptions(options) || strings.ContainsAny(options, " \t\n") {
			t.Skip("not a path or option as the kernel writes it")
		}
		escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(path)
		tag := ""
		if shared {
			tag = "shared:7 "
		}
		got, err := parseHierarchies(fmt.Appendf(nil, "31 30 0:28 / %s rw,relatime %s- cgroup cgroup rw,%s\n", escaped, tag, options))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]hierarchy{{Mount: path, Options: options}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSymlinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "cpu,cpuacct"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("cpu,cpuacct", filepath.Join(dir, "cpu")); err != nil {
		t.Fatal(err)
	}
	got, err := symlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"cpu": "cpu,cpuacct"}, got); diff != "" {
		t.Error(diff)
	}
}

// Processes in a tree of cgroups end, and the tree goes, in each hierarchy by
// itself: version 1 has no way to end a whole tree at once.
func TestEmptyCgroups(t *testing.T) {
	needRoot(t)
	hs, err := readHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hs {
		t.Run(filepath.Base(h.Mount), func(t *testing.T) {
			name := token + "-cgroups"
			one := []hierarchy{h}
			enabled, err := createCgroups(one, name)
			t.Cleanup(func() { disableControllers(one, enabled) })
			if err != nil {
				t.Fatal(err)
			}
			inner := filepath.Join(h.Mount, name, "a", "b")
			if err := os.MkdirAll(inner, 0o755); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(h.Options, "cpuset") {
				copyCpuset(t, filepath.Join(h.Mount, name), filepath.Join(h.Mount, name, "a"), inner)
			}
			cmd := exec.Command("sleep", "1000")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(inner, "cgroup.procs"), fmt.Append(nil, cmd.Process.Pid), 0); err != nil {
				t.Fatal(err)
			}
			// As a paused container's: in the freezer's hierarchy only.
			if err := os.WriteFile(filepath.Join(inner, "freezer.state"), []byte("FROZEN"), 0); (err == nil) != strings.Contains(h.Options, "freezer") {
				t.Fatalf("freezing: %v", err)
			}
			bystander := exec.Command("sleep", "1000")
			if err := bystander.Start(); err != nil {
				t.Fatal(err)
			}
			defer bystander.Wait()
			defer bystander.Process.Kill()
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := emptyCgroups(ctx, one, name); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil || err.Error() != "signal: killed" {
				t.Errorf("the process inside ended with %v, want signal: killed", err)
			}
			if _, err := os.Stat(filepath.Join(h.Mount, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the cgroup is still there: %v", err)
			}
			if err := bystander.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("a process outside was ended: %v", err)
			}
		})
	}
}

func copyCpuset(t *testing.T, from string, to ...string) {
	t.Helper()
	for _, dir := range to {
		for _, f := range []string{"cpuset.mems", "cpuset.cpus"} {
			b, err := os.ReadFile(filepath.Join(from, f))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, f), b, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
