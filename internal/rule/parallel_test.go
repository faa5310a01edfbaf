package rule

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// TestInPlace: whatever the number of rules, however many findings each of them
// gives, and whether that is known beforehand, the findings stand in the rules'
// order, once each.
func TestInPlace(t *testing.T) {
	gives := func(i int) int { return i % 7 * (i % 3) }
	for _, n := range []int{0, 1, 2, 3, 100, 1000} {
		want := []string{}
		for i := range n {
			for k := range gives(i) {
				want = append(want, fmt.Sprint(i, " ", k))
			}
		}
		for _, unknown := range []int{1, 2, 5, n + 1} {
			known := func(i int) int {
				if (i+1)%unknown == 0 {
					return -1
				}
				return gives(i)
			}
			found := inPlace(n, known, func(found []finding.Finding, i int) []finding.Finding {
				for k := range gives(i) {
					found = append(found, finding.Finding{Element: fmt.Sprint(i, " ", k)})
				}
				return found
			})
			got := make([]string, len(found))
			for i, f := range found {
				got[i] = f.Element
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d rules: %s", n, diff)
			}
		}
	}
}

// TestJudgeManyAsOne: containers judged together get what each gets alone, and
// the findings come in the order of a report.
func TestJudgeManyAsOne(t *testing.T) {
	set := containerRules(t)
	f := liveFacts(t)
	spec := f.Containers[0]
	f.Containers = nil
	var names []string
	for i := range 25 {
		one := spec
		one.Name = fmt.Sprintf("web-%02d", i)
		one.Privileged = i%2 == 0
		if i%5 == 0 {
			one.Unseen = []workload.Unseen{{Path: "mounts", Reason: "it was dark"}}
		}
		f.Containers, names = append(f.Containers, one), append(names, one.Name)
	}
	sameTogether(t, set, f, names)
	got, err := set.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.Clone(got)
	finding.Sort(sorted, "")
	for i := range got {
		if got[i].About != sorted[i].About || !got[i].Subject.Is(sorted[i].Subject) {
			t.Fatalf("finding %d is of %s for %s, in a report it is of %s for %s", i, got[i].Rule, got[i].Subject.Name, sorted[i].Rule, sorted[i].Subject.Name)
		}
	}
	none, err := set.Judge(&facts.Facts{})
	if err != nil || len(none) != len(set.Rules()) {
		t.Errorf("no containers: %d findings of %d rules, %v", len(none), len(set.Rules()), err)
	}
	for i := range none {
		if x := &none[i]; x.Status != finding.NotApplicable || x.Subject.Kind != "container" || x.Subject.Name != "" {
			t.Errorf("no containers: %s is %s for %+v", x.Rule, x.Status, x.Subject)
		}
	}
}

func TestForAll(t *testing.T) {
	var done atomic.Int64
	err := forAll(50, 5*worthSharing, func(i int) error {
		done.Add(1)
		if i == 7 || i == 30 {
			return fmt.Errorf("number %d", i)
		}
		return nil
	})
	if err == nil || err.Error() != "number 7" || done.Load() != 50 {
		t.Errorf("%v after %d", err, done.Load())
	}
	if err := forAll(0, 0, func(int) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
	if err := forAll(3, 0, func(int) error { return nil }); err != nil {
		t.Error(err)
	}
}
