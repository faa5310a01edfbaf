package test

import (
	"testing"

	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/rules"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestEveryRecommendationIsAnswered: on a real engine with one container, an audit
// by a benchmark has a finding for each of its recommendations.
func TestEveryRecommendationIsAnswered(t *testing.T) {
	t.Parallel()
	engine := lab.Private(t, nil)
	if err := engine.Busybox(t.Context(), "benchmark:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Docker("run", "-d", "--name", "app", "benchmark:1", "sleep", "86400"); err != nil {
		t.Fatal(err)
	}
	f := factsOf(t, clientOf(t, engine))
	for _, benchmark := range []string{"cis-1.8", "cis-1.6", "cis-1.13"} {
		set, err := ourRules(t).Select(rule.Selection{Benchmark: benchmark})
		if err != nil {
			t.Fatal(err)
		}
		found, err := set.Judge(f)
		if err != nil {
			t.Fatal(err)
		}
		answered := map[string]bool{}
		for _, x := range found {
			for _, id := range x.Refs[benchmark] {
				answered[id] = true
			}
		}
		for _, id := range rules.Recommendations(benchmark) {
			if !answered[id] {
				t.Errorf("%s %s: no finding", benchmark, id)
			}
		}
	}
}
