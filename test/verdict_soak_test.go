//go:build soak

package test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSoakMixedRunLines: the options of several rows in one run line, as the
// engine takes them, still come to one verdict. What a person types has more than
// one setting, and settings meet.
func TestSoakMixedRunLines(t *testing.T) {
	w := newWorld(t)
	var options []string
	for i := range w.table.Rows {
		if r := &w.table.Rows[i]; r.Run != "" && !r.refused && r.Before == nil && r.Refusal == "" {
			options = append(options, r.Run)
		}
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	var mixed []row
	refused := 0
	for i := range 250 {
		r := row{Name: fmt.Sprintf("mixed-%d", i)}
		for _, at := range random.Perm(len(options))[:2+random.IntN(5)] {
			r.Run = strings.TrimSpace(r.Run + " " + options[at])
		}
		// At a start an engine makes folders of the host that are not there.
		r.Start = i%3 == 0 && !strings.Contains(r.Run, "-v /") && !strings.Contains(r.Run, "=/")
		if err := w.shell(r.line()); err != nil {
			refused++ // as settings that exclude each other are
			continue
		}
		t.Cleanup(func() { w.docker(t, "rm", "-f", "-v", r.Name) })
		mixed = append(mixed, r)
	}
	t.Logf("seed %d: %d run lines, and %d that were refused", seed, len(mixed), refused)
	if len(mixed) < 100 {
		t.Fatalf("the engine took %d of 250 run lines", len(mixed))
	}
	set := ourRules(t)
	live := verdicts(t, set, w.collect(t))
	for i := range mixed {
		r := &mixed[i]
		run, create := w.asked(t, r)
		asRun, asCreate := verdicts(t, set, alone(run))[r.Name], verdicts(t, set, alone(create))[r.Name]
		for name, v := range live[r.Name] {
			if diff := cmp.Diff(asRun[name], asCreate[name], cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("%s: %s (-run line +create request):\n%s", r.line(), name, diff)
			}
			if text := agree(asRun[name], v); text != "" {
				t.Errorf("%s: %s: run line and container: %s", r.line(), name, text)
			}
		}
	}
}
