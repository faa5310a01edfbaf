package collect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// TestStepFactsAreBounded: a history without end is cut, and says so, as are texts
// and names without end.
func TestStepFactsAreBounded(t *testing.T) {
	many := make([]rawStep, 100_000)
	for n := range many {
		many[n] = rawStep{CreatedBy: fmt.Sprintf("RUN apt-get install package-%d", n), EmptyLayer: true, size: 0}
	}
	long := strings.Repeat("x", maxStepBytes+1)
	for name, tc := range map[string]struct {
		steps  []rawStep
		layers int
		want   map[string]string
	}{
		"as usual":    {[]rawStep{{CreatedBy: "RUN x"}, {CreatedBy: "CMD y", EmptyLayer: true}}, 1, map[string]string{}},
		"many steps":  {many, 0, map[string]string{"history[...]": "it has more than 1024 steps", "packages[...]": "it has more of them"}},
		"a long step": {[]rawStep{{CreatedBy: "RUN " + long}}, 1, map[string]string{"history[0].command": "a step of it is too long", "history[0].secrets[...]": "a step of it is too long", "history[0].variables[...]": "a step of it is too long", "packages[...]": "a step of it is too long"}},
		"no end of arguments": {[]rawStep{{CreatedBy: "RUN |1 A=b make # buildkit"}}, 1, map[string]string{"history[0].command": "where the build arguments of a step end cannot be told",
			"history[0].secrets[...]": "where the build arguments of a step end cannot be told", "history[0].variables[...]": "where the build arguments of a step end cannot be told",
			"packages[...]": "where the build arguments of a step end cannot be told"}},
		"too few layers": {[]rawStep{{CreatedBy: "RUN x"}}, 2, map[string]string{"history[...]": "its history does not have all of its layers", "layer_steps": "which steps made layers cannot be told",
			"layer_bytes": "the sizes of its layers are not known", "packages[...]": "its history does not have all of its layers"}},
		"layers in doubt": {[]rawStep{{CreatedBy: "RUN x", EmptyLayer: true, maybeEmpty: true}}, 2, map[string]string{"layer_steps": "which steps made layers cannot be told", "layer_bytes": "the sizes of its layers are not known"}},
	} {
		i := foundImage{steps: tc.steps, layers: make([]string, tc.layers)}
		var out facts.Image
		i.stepFacts(&out, newStepReader())
		if len(out.Unseen) != len(tc.want) {
			t.Errorf("%s: unseen %v", name, out.Unseen)
		}
		for path, reason := range tc.want {
			if got := reasonFor(out.Unseen, path); got != reason {
				t.Errorf("%s: %s is unseen for %q, want %q", name, path, got, reason)
			}
		}
		if len(out.History) > maxSteps || len(out.Packages) > maxPackages {
			t.Errorf("%s: %d steps, %d packages", name, len(out.History), len(out.Packages))
		}
	}
}

// TestStepReaderShares: a text is kept once for all images, and all together are
// bounded.
func TestStepReaderShares(t *testing.T) {
	r := newStepReader()
	r.left = 3000
	for n := range 100 {
		if _, ok := r.read("RUN apt-get install a"); !ok {
			t.Fatalf("no room for a text that is known, at %d", n)
		}
	}
	for n := range 100 {
		if _, ok := r.read(fmt.Sprintf("RUN %d", n)); !ok {
			i := foundImage{steps: []rawStep{{CreatedBy: "RUN new"}}, layers: []string{"x"}}
			var out facts.Image
			i.stepFacts(&out, r)
			if reasonFor(out.Unseen, "history[...]") != "the images have more history than is kept" {
				t.Errorf("unseen %v", out.Unseen)
			}
			return
		}
	}
	t.Error("there is room without end")
}

// TestCommandsOfLayersAreRuns: what made files without a shell is a RUN, and what
// made none, or is a remark, is not.
func TestCommandsOfLayersAreRuns(t *testing.T) {
	i := foundImage{layers: []string{"a", "b"}, steps: []rawStep{{CreatedBy: "# debian.sh --arch amd64"}, {CreatedBy: "apt-get install curl"}, {CreatedBy: "sleep 9", EmptyLayer: true},
		{CreatedBy: `/bin/sh -c #(nop)  CMD ["apt-get" "install" "vim"]`, EmptyLayer: true}}}
	var out facts.Image
	i.stepFacts(&out, newStepReader())
	var got []string
	for _, s := range out.History {
		got = append(got, s.Instruction)
	}
	if strings.Join(got, ",") != ",RUN,,CMD" || strings.Join(out.Packages, " ") != "curl" {
		t.Errorf("%q, packages %q", got, out.Packages)
	}
}
