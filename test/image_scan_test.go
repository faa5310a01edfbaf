package test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/scan/scantest"
	known "github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/internal/vuln"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestImageScan: an image of a real engine is scanned as what was loaded there, a second time
// without asking the engine for it; the gate and the trail learn what was found, and an image
// like it without the flaw passes.
func TestImageScan(t *testing.T) {
	t.Parallel()
	e, program, state := lab.Private(t, nil), build(t), t.TempDir()
	if err := scantest.Import(context.Background(), vuln.Folder(filepath.Join(state, "db")), filepath.Join("testdata", "scan", "osv"), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	load := func(version string) string {
		t.Helper()
		path := imagetest.Saved(t, nil, imagetest.Layer{"/app/node_modules/lodash/package.json": `{"name":"lodash","version":"` + version + `"}`})
		out, err := e.Docker("load", "-i", path)
		if err != nil {
			t.Fatal(err, out)
		}
		id, err := e.Docker("inspect", "-f", "{{.Id}}", "app:1")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(id)
	}
	run := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.Command(filepath.Join(program, "plimsoll"), append(args, "--state", state, "--host", e.Host())...)
		out, err := cmd.Output()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	id := load("4.17.4")
	first, code := run("image", "scan", "--format", "json", "--unknown-as", "critical", "app:1")
	if code != 1 {
		t.Fatalf("exit %d: %s", code, first)
	}
	var report struct {
		Image    struct{ ID string }
		Findings []struct{ Rule, Element string }
	}
	if err := json.Unmarshal([]byte(first), &report); err != nil || report.Image.ID != id || len(report.Findings) == 0 || report.Findings[0].Element != "pkg:npm/lodash@4.17.4" {
		t.Errorf("%v: %+v, and the engine has %s", err, report, id)
	}
	v, err := known.Folder(filepath.Join(state, "verdicts")).Read(id)
	if err != nil {
		t.Fatal(err)
	}
	if v.Scanned == nil || v.Scanned.Worst == "" {
		t.Errorf("the verdict is %+v", v.Scanned)
	}
	if events, code := run("trail", "list", "--type", "scan", "--format", "json"); code != 0 || !strings.Contains(events, id) {
		t.Errorf("the trail has %s (exit %d)", events, code)
	}
	// All that there is to read of it is kept, so that an engine which can't save it is enough.
	if kept, err := os.ReadDir(filepath.Join(state, "layers")); err != nil || len(kept) != 2 {
		t.Errorf("kept: %v, %v", kept, err)
	}
	second, code := run("image", "scan", "--format", "json", "--unknown-as", "critical", "app:1")
	if code != 1 || findingsOf(t, second) != findingsOf(t, first) {
		t.Errorf("exit %d: %s", code, second)
	}
	good := load("99.0.0")
	if out, code := run("image", "scan", "app:1"); code != 0 || good == id {
		t.Errorf("a version without flaws: exit %d: %s", code, out)
	}
	if out, code := run("image", "scan", "nowhere:1"); code != 2 {
		t.Errorf("one that is not there: exit %d: %s", code, out)
	}
}

// findingsOf is what a report found, to be compared.
func findingsOf(t *testing.T, report string) string {
	t.Helper()
	var body struct{ Findings json.RawMessage }
	if err := json.Unmarshal([]byte(report), &body); err != nil {
		t.Fatal(err)
	}
	return string(body.Findings)
}

// TestServeScans: the image of what is run is scanned by plimsoll serve, and again when more
// is known of flaws; the inventory says when, and what is new is told.
func TestServeScans(t *testing.T) {
	t.Parallel()
	e, program, state := lab.Private(t, nil), build(t), t.TempDir()
	plimsoll := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(filepath.Join(program, "plimsoll"), append(args, "--state", state)...).Output()
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return string(out)
	}
	docker := func(args ...string) {
		t.Helper()
		if out, err := e.Docker(args...); err != nil {
			t.Fatal(err, out)
		}
	}
	records := func(ids ...string) {
		t.Helper()
		dir := t.TempDir()
		var lines strings.Builder
		for _, id := range ids {
			lines.WriteString(`{"id":"` + id + `","modified":"2026-11-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"lodash"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"9.0.0"}]}]}]}` + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, "npm.jsonl"), []byte(lines.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := scantest.Import(t.Context(), vuln.Folder(filepath.Join(state, "db")), dir, t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Busybox(t.Context(), "base:1"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "package.json")
	if err := os.WriteFile(file, []byte(`{"name":"lodash","version":"4.17.4"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	docker("run", "--name", "make", "base:1", "mkdir", "-p", "/app/node_modules/lodash")
	docker("cp", file, "make:/app/node_modules/lodash/package.json")
	docker("commit", "make", "web:1")
	records("CVE-2024-1")
	serve := exec.Command(filepath.Join(program, "plimsoll"), "serve", "--state", state, "--host", e.Host())
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait()
	})
	scanned := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if out, err := exec.Command(filepath.Join(program, "plimsoll"), "trail", "list", "--type", "scan", "--format", "json", "--state", state).Output(); err == nil && strings.Contains(string(out), what) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("no scan tells %s", what)
			}
		}
	}
	docker("run", "-d", "--name", "web", "web:1", "sleep", "60")
	scanned(`"CVE-2024-1"`)
	if out := plimsoll("inventory", "--format", "json"); !strings.Contains(out, `"last_scanned"`) {
		t.Errorf("the inventory has no scan: %s", out)
	}
	records("CVE-2024-1", "CVE-2024-2")
	docker("run", "-d", "--name", "again", "web:1", "sleep", "60")
	scanned(`"CVE-2024-2"`)
	if out := plimsoll("trail", "list", "--type", "scan", "--format", "json"); !strings.Contains(strings.Join(strings.Fields(out), ""), `"new":["CVE-2024-2"]`) {
		t.Errorf("what is new is not told: %s", out)
	}
}
