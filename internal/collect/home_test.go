package collect

import (
	"slices"
	"testing"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// TestOwnContainer: the container that this program runs in is left out, where there
// is no doubt which it is.
func TestOwnContainer(t *testing.T) {
	joined := func(a answer) { a["HostConfig"].(answer)["NetworkMode"] = "container:" + idOf(2) }
	elsewhere := func(a answer) { a["HostConfig"].(answer)["NetworkMode"] = "container:" + idOf(1) }
	host := func(a answer) { a["HostConfig"].(answer)["NetworkMode"] = "host" }
	for name, tc := range map[string]struct {
		home   workload.Home
		change func(answer) // of web
		want   []string
	}{
		"none":                               {workload.Home{}, nil, []string{"db", "own", "web"}},
		"the cgroup tells":                   {workload.Home{Inside: true, ID: idOf(2)}, nil, []string{"db", "web"}},
		"the cgroup tells against the files": {workload.Home{Inside: true, ID: idOf(2), Network: idOf(1)}, nil, []string{"db", "web"}},
		"another engine's":                   {workload.Home{Inside: true, ID: idOf(9), Network: idOf(9)}, nil, []string{"db", "own", "web"}},
		"the files tell":                     {workload.Home{Inside: true, Network: idOf(2)}, nil, []string{"db", "web"}},
		"the files tell, and one is on the host's network":   {workload.Home{Inside: true, Network: idOf(2)}, host, []string{"db", "web"}},
		"the files tell, and one has joined another's":       {workload.Home{Inside: true, Network: idOf(2)}, elsewhere, []string{"db", "web"}},
		"the files could be those of one that has joined it": {workload.Home{Inside: true, Network: idOf(2)}, joined, []string{"db", "own", "web"}},
	} {
		f := (&fake{containers: []container{{id: idOf(1), name: "db"}, {id: idOf(2), name: "own"}, {id: idOf(3), name: "web", change: tc.change}}}).start(t)
		cfg := f.config()
		cfg.Home = tc.home
		var warnings []string
		cfg.Warn = func(text string) { warnings = append(warnings, text) }
		var got []string
		for _, c := range collect(t, cfg).Containers {
			got = append(got, c.Name)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
		said := slices.Contains(warnings, "the container own (000000000000) is the one that plimsoll runs in, and is left out")
		if said != (len(tc.want) == 2) {
			t.Errorf("%s: it says %q", name, warnings)
		}
	}
}
