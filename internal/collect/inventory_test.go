package collect

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// TestInventory counts what runs, what does not, and which volumes have names.
func TestInventory(t *testing.T) {
	status := func(status string, check []string) func(answer) {
		return func(a answer) {
			a["State"].(answer)["Status"] = status
			a["Config"].(answer)["Healthcheck"] = answer{"Test": check}
		}
	}
	f := (&fake{containers: []container{
		{id: idOf(1), name: "run", pid: 999_999_991, change: status("running", []string{"CMD", "true"})},
		{id: idOf(2), name: "unchecked", pid: 999_999_992, change: status("running", []string{"NONE"})},
		{id: idOf(3), name: "paused", pid: 999_999_993, change: status("paused", []string{"CMD", "true"})},
		{id: idOf(4), name: "ended", change: status("exited", nil)},
		{id: idOf(5), name: "created", change: status("created", nil)},
	}, answers: map[string][]byte{"/volumes": encode(t, answer{"Volumes": []answer{{"Name": "b", "Options": nil}, {"Name": "a", "Options": nil}, {"Name": idOf(9), "Options": nil}}})}}).start(t)
	got := f.collect(t)
	want := facts.Inventory{Images: 1, ImagesBytes: 1982270, Containers: 5, ContainersRunning: 3, ContainersStopped: 2, ContainersUnchecked: []string{"unchecked"},
		VolumesNamed: []string{"a", "b"}, VolumesAnonymous: 1}
	if diff := cmp.Diff(want, got.Daemon.Inventory); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, u := range got.Unseen {
		if strings.HasPrefix(u.Path, "daemon.inventory") {
			t.Errorf("unseen: %+v", u)
		}
	}
}

// TestInventoryThatIsNotWhole: what could not be looked at is not counted as none.
func TestInventoryThatIsNotWhole(t *testing.T) {
	for refused, want := range map[string][]string{
		"/containers/" + idOf(1) + "/json":   {"containers_running", "containers_stopped", "containers_unchecked[...]"},
		"/volumes":                           {"volumes_named[...]", "volumes_anonymous"},
		"/images/json":                       {"images", "images_unused", "images_dangling", "images_bytes", "images_unused_bytes"},
		"/images/" + recordedImage + "/json": {"images_unused", "images_bytes", "images_unused_bytes"},
	} {
		f := (&fake{containers: many(2), before: refusing(http.StatusForbidden, refused)}).start(t)
		got := f.collect(t)
		var paths []string
		for _, u := range got.Unseen {
			if path, found := strings.CutPrefix(u.Path, "daemon.inventory."); found {
				paths = append(paths, path)
			}
		}
		for _, path := range want {
			if reasonFor(got.Unseen, "daemon.inventory."+path) == "" {
				t.Errorf("%s: %s was seen", refused, path)
			}
		}
		if len(paths) != len(want) {
			t.Errorf("%s: unseen are %q, want %q", refused, paths, want)
		}
	}
}
