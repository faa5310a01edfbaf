package collect

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRecordedNewest: the answers of an engine of API 1.56 (moby v2.0.0-beta.24), as they were
// recorded, are understood to the last field that says something.
func TestRecordedNewest(t *testing.T) {
	said := map[string]json.RawMessage{}
	if err := json.Unmarshal(recorded(t, "newest.json"), &said); err != nil {
		t.Fatal(err)
	}
	f := &fake{answers: map[string][]byte{"/version": said["/version"]}, before: func(w http.ResponseWriter, path string) bool {
		body, found := said[path]
		if found {
			w.Write(body)
		}
		return found
	}}
	got := f.start(t).collect(t)
	if got.Daemon.APIVersion != "1.56" || got.Daemon.StorageDriver != "overlay2" || got.Daemon.ContainerdImages || got.Daemon.Seccomp != "default" || len(got.Containers) != 2 || len(got.Images) != 1 {
		t.Errorf("%+v", got.Daemon)
	}
	for _, s := range got.Containers {
		type summary struct {
			Privileged, ReadOnly, NoNewPrivileges bool
			User, PID, Network                    string
			Memory, PIDs                          int64
			Mounts, Ports                         int
		}
		want := summary{User: "1000", PID: "private", Network: "bridge", ReadOnly: true, NoNewPrivileges: true, Memory: 64 << 20, PIDs: 7, Mounts: 3, Ports: 1}
		if s.Name == "privileged" {
			want = summary{User: "1000", PID: "host", Network: "none", Privileged: true}
		}
		have := summary{s.Privileged, s.ReadOnlyRoot, s.NoNewPrivileges, s.User, s.Namespaces.PID, s.Namespaces.Network, s.Resources.MemoryBytes, s.Resources.Pids, len(s.Mounts), len(s.Ports)}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s: %s", s.Name, diff)
		}
		// Without the host's own files this is all that cannot be known.
		blind := []string{"env_hashes", "init", "live.processes"}
		if s.Name == "web" {
			blind = append(blind, "mounts[0].resolved", "mounts[0].resolved_exposes")
		}
		var unseen []string
		for _, u := range s.Unseen {
			unseen = append(unseen, u.Path)
		}
		if slices.Sort(unseen); !slices.Equal(unseen, blind) {
			t.Errorf("%s: %q are not known, want %q", s.Name, unseen, blind)
		}
	}
}
