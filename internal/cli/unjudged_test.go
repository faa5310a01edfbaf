package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/workload"
)

func TestUnjudged(t *testing.T) {
	dark, _, err := workload.FromInspect([]byte(`{}`), workload.Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	line, err := workload.FromCreate("web", []byte(`{"Image":"nginx"}`), workload.Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		containers []workload.Spec
		want       unjudged
	}{
		"none":       {nil, unjudged{}},
		"dark":       {[]workload.Spec{dark, dark}, unjudged{2, []string{"the engine does not say it"}}},
		"one of two": {[]workload.Spec{line, dark}, unjudged{1, []string{"the engine does not say it"}}},
		"seen":       {[]workload.Spec{line, {}}, unjudged{}},
	} {
		got := unjudgedOf(tc.containers)
		if got.containers != tc.want.containers || len(tc.want.why) > 0 && !cmp.Equal(tc.want.why, got.why) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}
