package rules_test

import (
	"fmt"
	"slices"
	"testing"
)

// TestEveryRecommendationForHostsHasARule: the sections about the host are whole.
func TestEveryRecommendationForHostsHasARule(t *testing.T) {
	answered := map[string][]string{}
	for _, r := range load(t) {
		if r.Subject == "host" {
			for benchmark, ids := range r.Refs {
				answered[benchmark] = append(answered[benchmark], ids...)
			}
		}
	}
	for benchmark, parts := range map[string][]string{"cis-1.8": {"1.1", "1.2"}, "cis-1.6": {"1.1", "1.2"}, "cis-1.13": {"1"}} {
		for _, part := range parts {
			for n := range sections[benchmark][part] {
				if id := fmt.Sprintf("%s.%d", part, n+1); !slices.Contains(answered[benchmark], id) {
					t.Errorf("no rule answers %s %s", benchmark, id)
				}
			}
		}
	}
}
