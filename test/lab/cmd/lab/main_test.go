package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The test program is the lab command if this is set.
const asLab = "PLIMSOLL_LAB_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asLab) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command runs lab and returns its exit code and its two streams.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asLab+"=1", "DOCKER_HOST=unix:///nowhere.sock")
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	wrong := [][]string{
		{}, {"run"}, {"run", "--"}, {"run", "true"}, {"run", "x", "--", "true"}, {"test", "--", "true"}, {"test", "x", "--"},
		{"demo", "true"}, {"demo", "--"}, {"audit"}, {"audit", "true"}, {"remove", "x"}, {"install", "x", "--", "y"}, {"run", "--on-disk"}, {"test", "--on-disk", "--", "true"}, {"demo", "--on-disk", "--", "true"}, {"launch"}, {"internal-keep"},
	}
	for _, args := range wrong {
		code, out, errs := command(t, args...)
		if code != 2 || out != "" || errs != usage {
			t.Errorf("lab %q: exit code %d, output %q, errors %q; want 2 and the usage as errors", args, code, out, errs)
		}
	}
	for _, ask := range []string{"help", "-h", "--help"} {
		if code, out, errs := command(t, ask); code != 0 || out != usage || errs != "" {
			t.Errorf("lab %s: exit code %d, output %q, errors %q; want 0 and the usage", ask, code, out, errs)
		}
	}
}

func TestAudit(t *testing.T) {
	code, out, errs := command(t, "audit", "--", "sh", "-c", `echo "$@"; exit 3`, "sh", "--rules", "mine")
	if code != 3 || out != "--rules mine audit --host unix:///nowhere.sock\n" {
		t.Errorf("exit code %d, output %q", code, out)
	}
	if !strings.HasPrefix(errs, "This audits the Docker engine at unix:///nowhere.sock (found by DOCKER_HOST).") {
		t.Errorf("it does not say first what it does: %q", errs)
	}
}

func TestErrors(t *testing.T) {
	if code, _, errs := command(t, "audit", "--", "/nonexistent"); code != 125 || !strings.HasPrefix(errs, "This audits") || !strings.Contains(errs, "\nlab: running the command: ") {
		t.Errorf("exit code %d, errors %q", code, errs)
	}
	// What clears an engine's folder must not be led to another one.
	dir := t.TempDir()
	for _, stage := range []string{"internal-keep", "internal-inside"} {
		if code, _, errs := command(t, stage, dir); code != 1 || !strings.Contains(errs, "not an engine's folder") {
			t.Errorf("%s: exit code %d, errors %q; want 1 and a reason", stage, code, errs)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the folder is gone: %v", err)
	}
}
