//go:build soak

package workload

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestInsideRemapped: in a user namespace devices are mounts, and root is
// somebody else.
func TestInsideRemapped(t *testing.T) {
	around := theEnginesFacts()
	around.Daemon.UsernsRemap = true
	e := newInsideEngine(t, lab.Private(t, map[string]any{"userns-remap": "nobody:nogroup"}), around, "insideremap")
	// Some packages open others, as /dev/fuse, to everybody.
	const closed = "/dev/loop-control"
	if info, err := os.Stat(closed); err != nil || info.Mode().Perm()&0o006 != 0 {
		t.Fatalf("%s is not there, or open to everybody: %v", closed, err)
	}
	for _, c := range []struct {
		name  string
		flags []string
		want  map[string]any
		// unseen is a path that must be listed.
		unseen string
	}{
		{"plain", nil, map[string]any{"userns_remapped": true, "user": "0", "namespaces.pid": "private", "system_paths": "default", "privileged": false, "device_rules": []any{}}, "group"},
		{"device", []string{"--device", "/dev/kmsg", "-m", "64m"}, map[string]any{"resources.memory_bytes": 67108864.0, "devices": []any{
			insideDevice("/dev/kmsg", "rwm", "kernel-log")}}, "devices[0].host_path"},
		// The file's own permissions keep this root out, so that what it was given is not known.
		{"closed", []string{"--device", closed}, nil, "devices[...]"},
		{"host", []string{"--userns", "host"}, map[string]any{"userns_remapped": false, "writable_cgroups": true}, "group"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inside, outside := e.look(t, c.name, false, "insideremap:1", c.flags...)
			for _, d := range differences("", "", inside.spec, outside.spec, inside, outside) {
				if !strings.HasPrefix(d, "origin:") {
					t.Error(d)
				}
			}
			if !slices.Contains(inside.unseen, c.unseen) {
				t.Errorf("%s is not among the unseen %v", c.unseen, inside.unseen)
			}
			for path, want := range c.want {
				if inside.hidden(path) {
					t.Errorf("%s is unseen", path)
				}
				if diff := cmp.Diff(want, inside.lookup(path)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
		})
	}
}
