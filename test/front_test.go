package test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// buildFront builds the program that starts quickly.
func buildFront(t *testing.T, path string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "front", "-o", path, "../cmd/plimsoll")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the front: %v\n%s", err, out)
	}
}

// TestFront: the program that starts quickly is made of nothing that looks into images, and
// has the whole one, which lies beside it, take its place for that, to the byte and the exit
// code; where that is missing it says so.
func TestFront(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-tags", "front", "../cmd/plimsoll").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	for _, heavy := range []string{"internal/scan", "internal/vuln", "internal/image", "internal/extract", "internal/sbom"} {
		if slices.Contains(linked, "github.com/plimsoll/plimsoll/"+heavy) {
			t.Errorf("%s is linked", heavy)
		}
	}
	if i := slices.IndexFunc(linked, func(p string) bool { return strings.Contains(p, "osv-scalibr") }); i >= 0 {
		t.Errorf("%s is linked", linked[i])
	}
	whole := filepath.Join(build(t), "plimsoll")
	dir := t.TempDir()
	front := filepath.Join(dir, "bin", "plimsoll")
	buildFront(t, front)
	run := func(program string, args ...string) (stdout, stderr string, code int) {
		t.Helper()
		cmd := exec.Command(program, args...)
		var o, e bytes.Buffer
		cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = &o, &e, dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8"}
		exit := new(exec.ExitError)
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return o.String(), e.String(), cmd.ProcessState.ExitCode()
	}
	if out, errs, code := run(front, "db", "status", "--state", dir); code != 3 || !strings.Contains(errs, "needs plimsoll-images, which is not beside "+front) || out != "" {
		t.Errorf("alone: exit %d: %s%s", code, out, errs)
	}
	if out, _, code := run(front, "version"); code != 0 || !strings.HasPrefix(out, "plimsoll") {
		t.Errorf("alone, of its own: exit %d: %s", code, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(front, link); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"bin/plimsoll-images", "lib/plimsoll/plimsoll-images"} {
		path := filepath.Join(dir, at)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, errs, code := run(link, "image", "--help"); code != 0 || !strings.Contains(out, "scan") {
			t.Errorf("by a link, with %s: exit %d: %s", at, code, errs)
		}
		for _, args := range [][]string{{"--help"}, {"image"}, {"image", "scan", "--help"}, {"help", "image", "scan"}, {"help", "audit"}, {"serve", "--help"}, {"__complete", "image", "s"}, {"__complete", ""}, {"db", "status", "--state", dir},
			{"--state", dir, "image", "scan", "dir:empty"}, {"image", "scan", "dir:nowhere"}, {"imagine"}, {"--state"}, {"db", "import", "--nothing"}, {"rules", "list"}, {"completion", "bash"}} {
			out, errs, code := run(front, args...)
			wantOut, wantErrs, wantCode := run(whole, args...)
			if out != wantOut || errs != wantErrs || code != wantCode {
				t.Errorf("%q, with %s: exit %d, want %d\n%s%s\nwant\n%s%s", args, at, code, wantCode, out, errs, wantOut, wantErrs)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
