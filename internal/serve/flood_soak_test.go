//go:build soak

package serve

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestRealFlood: of 300 containers that are run and removed, four at a time, each has its
// whole story, once.
func TestRealFlood(t *testing.T) {
	e := lab.Private(t, nil)
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	m := &memory{}
	watch(t, realClient(t, e.Host()), m, nil).follows(t)
	const n = 300
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < n; i += 4 {
				if _, err := e.Docker("run", "--rm", "--network", "none", "--name", fmt.Sprintf("flood-%d", i), "web:1", "true"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := map[string]int{}
	waitFor(t, "the last removal", func() bool {
		got = map[string]int{}
		for _, e := range m.all() {
			if e.Subject.Kind == "container" {
				got[e.Type]++
			}
		}
		return got[trail.Remove] == n
	})
	if diff := cmp.Diff(map[string]int{trail.Deploy: n, trail.Start: n, trail.Die: n, trail.Remove: n}, got); diff != "" {
		t.Error(diff)
	}
}
