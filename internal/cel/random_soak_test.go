//go:build soak

package cel

import (
	"flag"
	"testing"
)

// TestSoakRandomLikeTheReference is TestRandomLikeTheReference with far more
// expressions.
func TestSoakRandomLikeTheReference(t *testing.T) {
	before := flag.Lookup("rapid.checks").Value.String()
	if err := flag.Set("rapid.checks", "30000"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", before) })
	randomLikeTheReference(t)
}
