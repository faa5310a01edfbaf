package finding

import "testing"

// TestOfScan: what a scan finds is told from rules of rule files.
func TestOfScan(t *testing.T) {
	for rule, want := range map[string]bool{"CVE-2024-1": true, "GHSA-a": true, "secret:netrc": true, FlawsNotEvaluated: true, "secret-in-environment": false, "image-user-root": false, "": false} {
		if OfScan(rule) != want {
			t.Errorf("%q: %v", rule, !want)
		}
	}
}
