package cosign

import (
	"os/exec"
	"testing"
)

// cli runs cosign's own program.
func cli(t *testing.T, program, dir string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	// It has no network to ask for roots, and finds no credentials.
	cmd.Env = []string{"HOME=" + dir, "COSIGN_PASSWORD=pw", "COSIGN_YES=true", "PATH=/usr/bin:/bin"}
	return cmd.CombinedOutput()
}
