package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/rules"
)

// TestEveryRecommendationHasARule: and no rule names one that there is not.
func TestEveryRecommendationHasARule(t *testing.T) {
	answered := map[string]map[string]bool{}
	for _, r := range load(t) {
		for benchmark, ids := range r.Refs {
			if answered[benchmark] == nil {
				answered[benchmark] = map[string]bool{}
			}
			for _, id := range ids {
				answered[benchmark][id] = true
				if !slices.Contains(rules.Recommendations(benchmark), id) {
					t.Errorf("%s names %s %s, which there is not", r.Name, benchmark, id)
				}
			}
		}
	}
	for benchmark, count := range map[string]int{"cis-1.8": 118, "cis-1.6": 117, "cis-1.13": 106} {
		all := rules.Recommendations(benchmark)
		if len(all) != count {
			t.Errorf("%s has %d recommendations, not %d", benchmark, len(all), count)
		}
		for _, id := range all {
			if !answered[benchmark][id] {
				t.Errorf("no rule answers %s %s", benchmark, id)
			}
		}
	}
}

// TestWording holds titles and remedies to the style that reports rely on.
func TestWording(t *testing.T) {
	blamed := []string{"ensure", "danger", "warning", "insecure", "failed to", "!"}
	for _, r := range load(t) {
		for field, text := range map[string]string{"title": r.Title, "why": r.Why, "message": r.Message, "manual": r.Manual, "remedy.run": r.Remedy.Run} {
			for _, word := range blamed {
				if strings.Contains(strings.ToLower(text), word) {
					t.Errorf("%s: %s has %q: %s", r.Name, field, word, text)
				}
			}
		}
		if r.Subject == "container" && r.Remedy.Run == "" {
			t.Errorf("%s has no remedy for a run line", r.Name)
		}
		if r.Manual != "" && !strings.HasSuffix(strings.TrimSpace(r.Manual), "?") {
			t.Errorf("%s: the question has no question mark: %s", r.Name, r.Manual)
		}
		if strings.HasSuffix(strings.TrimSpace(r.Message), ".") {
			t.Errorf("%s: the message ends with a full stop: %s", r.Name, r.Message)
		}
	}
}

// TestPackedIsFresh: packed.go is what the rules give now.
func TestPackedIsFresh(t *testing.T) {
	want, err := rule.Pack(rules.Files)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, rules.Packed); diff != "" {
		t.Errorf("packed.go is old. Run  go generate ./rules\n%s", diff)
	}
}

func load(t *testing.T) []*rule.Rule {
	t.Helper()
	set, err := rule.Load(rules.Files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return set.Rules()
}
