package gate

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestPhases: a create is asked once and has one outcome, whatever is thought of it, and all
// that is said of it names when it was asked.
func TestPhases(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, policy string
		mode         Mode
		args         []string
		want         []string
	}{
		{name: "ordinary", mode: Enforce, want: []string{phaseAsked, phaseDone}},
		{name: "ordinary", mode: Observe, want: []string{phaseAsked, phaseDone}},
		{name: "refused", mode: Enforce, args: []string{"--privileged"}, want: []string{phaseAsked, phaseRefused}},
		{name: "would-be", mode: Observe, args: []string{"--privileged"}, want: []string{phaseAsked, phaseWould, phaseWould, phaseDone}},
		{name: "filled-in", mode: Enforce, policy: "defaults: {pids: 100}", want: []string{phaseAsked, phaseDone}},
	} {
		policy := ""
		if c.policy != "" {
			policy = "schema: plimsoll/policy/1\n" + c.policy + "\n"
		}
		s := stand(t, e, c.mode, policy)
		args := append(append([]string{"create", "--name", c.name}, c.args...), "web:1", "true")
		if c.want[len(c.want)-1] == phaseRefused {
			s.refused(t, "privileged", args...)
		} else {
			s.must(t, args...)
			s.must(t, "rm", c.name)
		}
		var got []string
		asked := int64(-1)
		for _, ev := range s.recorded(t) {
			if ev.Subject.Name != c.name || ev.Type != trail.Deploy && ev.Type != refuse {
				continue
			}
			phase, _ := ev.Detail["gate"].(string)
			got = append(got, phase)
			if phase == phaseAsked {
				asked = ev.Seq
			} else if of := fmt.Sprint(ev.Detail["asked"]); of != fmt.Sprint(asked) {
				t.Errorf("%s in %s: %s is of event %s, not %d", c.name, c.mode, phase, of, asked)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s in %s: %q, want %q", c.name, c.mode, got, c.want)
		}
	}
}
