//go:build soak

package lab

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDemoWaits(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	cmd, _ := labProcess(t, "demo")
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the engine's address", func() bool {
		b, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(b), "export DOCKER_HOST=unix://"+testBase())
	})
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	if got := code(cmd.Wait()); got != 0 {
		t.Errorf("exit code %d, want 0: Ctrl-C is how it ends", got)
	}
	check("a demo that waits")
}
