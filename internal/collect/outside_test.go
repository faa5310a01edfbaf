package collect

import (
	"slices"
	"testing"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// TestOutside: an image that is in no engine has the facts of one that is, but for those
// that only an engine knows; values of variables are in none.
func TestOutside(t *testing.T) {
	o := Outside{
		Config: workload.ImageConfig{ID: "sha256:1", Tags: []string{"web:1"}, Created: "2026-11-01T00:00:00Z", User: "app:app", Env: []string{"TOKEN=hunter2", "EMPTY="}, HasHealth: true,
			Labels: map[string]string{baseNameLabel: "debian:12"}},
		Steps: []Step{
			{CreatedBy: "/bin/sh -c #(nop) ADD file:1 in / "},
			{CreatedBy: "ENV TOKEN=hunter2", EmptyLayer: true},
			{CreatedBy: "RUN /bin/sh -c apt-get install -y curl # buildkit"},
		},
		Layers: []string{"sha256:a", "sha256:b"}, LayerBytes: []int64{100, 23},
		Setuid: []facts.SetuidFile{{Path: "/bin/su", Mode: "4755"}},
	}
	f := o.Facts()
	if f.User != "app" || !f.Healthcheck || f.SizeBytes != 123 || f.Layers != 2 || f.Base.Name != "debian:12" || len(f.Setuid) != 1 {
		t.Errorf("%+v", f)
	}
	if !slices.Equal(f.LayerSteps, []int64{1, 3}) || !slices.Equal(f.LayerBytes, []int64{100, 23}) || !slices.Equal(f.Packages, []string{"curl"}) {
		t.Errorf("layers %v of %v bytes, packages %q", f.LayerSteps, f.LayerBytes, f.Packages)
	}
	if got := f.History[1].CreatedBy; got != "ENV TOKEN=***" {
		t.Errorf("a value is told: %q", got)
	}
	var unseen []string
	for _, u := range f.Unseen {
		unseen = append(unseen, u.Path)
	}
	if want := []string{"tagged", "base.id"}; !slices.Equal(unseen, want) {
		t.Errorf("unseen: %q, want %q", unseen, want)
	}
	o.Steps = o.Steps[:1]
	if f := o.Facts(); len(f.LayerSteps) != 0 || len(f.Unseen) <= len(unseen) {
		t.Errorf("a history that lacks a layer: %+v", f)
	}
}
