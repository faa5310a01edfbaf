//go:build soak

package test

import (
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestNewestBuiltHere: the newest engine's images are trusted by who built them as those of
// others, wherever it keeps them.
func TestNewestBuiltHere(t *testing.T) {
	for _, containerd := range []bool{false, true} {
		builtBehind(t, lab.Newest(t, map[string]any{"features": map[string]any{"containerd-snapshotter": containerd}}))
	}
}
