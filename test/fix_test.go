package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/fix"
	"github.com/plimsoll/plimsoll/test/lab"
)

// fixed are the rules whose failures the script mends on the engine of TestFix.
var fixed = []string{"cpu-unlimited", "daemon-json-group", "daemon-json-mode", "default-bridge-open", "experimental-on", "live-restore-off", "log-level-not-info", "memory-reservation-missing", "memory-unlimited", "pids-unlimited",
	"privileges-gained-by-default", "restart-without-end", "ulimits-default-missing", "userland-proxy-on"}

// followed are rules that look at what the script changed for another reason: what the
// engine does by default holds for containers too.
var followed = []string{"no-new-privileges-missing", "ulimits-overridden"}

// patient is an engine that a script is run on, with the program that makes it.
type patient struct {
	lab     *lab.Engine
	engine  *lab.Second
	program string
	file    string // its daemon.json
	store   string
}

// judge says what each rule comes to.
func (p *patient) judge(t *testing.T) map[string]finding.Status {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.program, "plimsoll"), "audit", "--host", "unix://"+p.engine.Socket(), "--format", "json", "--fail-on", "never")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r finding.Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	of := map[string]finding.Status{}
	for _, x := range r.Findings {
		of[x.Rule] = graver(of[x.Rule], x.Status)
	}
	return of
}

// script makes the script.
func (p *patient) script(t *testing.T, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fix.sh")
	args := append([]string{"audit", "--fix", "--host", "unix://" + p.engine.Socket(), "-o", file}, flags...)
	if out, err := exec.Command(filepath.Join(p.program, "plimsoll"), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return file
}

// run runs a script where the engine is.
func (p *patient) run(t *testing.T, script string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := p.lab.Enter(ctx, "sh", append([]string{script, "--store", p.store}, args...)...)
	cmd.Env = []string{"PATH=" + lab.Path}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("sh fix.sh %v: %v: %s", args, err, out)
	}
	return string(out)
}

// state is all about daemon.json that undo must bring back.
type state struct {
	text, acl string
	mode      fs.FileMode
	uid, gid  uint32
}

func stateOf(t *testing.T, file string) state {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	acl := make([]byte, 1024)
	n, err := unix.Getxattr(file, "system.posix_acl_access", acl)
	if err != nil {
		t.Fatal(err)
	}
	own := at.Sys().(*syscall.Stat_t)
	return state{text: string(text), acl: fmt.Sprintf("%x", acl[:n]), mode: at.Mode(), uid: own.Uid, gid: own.Gid}
}

// limits are what docker update changes of a container.
func (p *patient) limits(t *testing.T, name string) string {
	t.Helper()
	out, err := p.engine.Docker("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}", name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// TestFix: on a real engine, the script mends what it says, does so once, and takes all
// of it back.
func TestFix(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	dir := t.TempDir()
	p := &patient{lab: e, program: build(t), file: filepath.Join(dir, "daemon.json"), store: filepath.Join(dir, "store")}
	settings := "{\n\t\"exec-opts\" : [ \"native.cgroupdriver=cgroupfs\" ],\n\t\"log-level\": \"debug\",\n\t\"labels\": [\"it's=$(touch " + dir + "/pwned)\"],\n\t\"experimental\": true\n}\n"
	if err := os.WriteFile(p.file, []byte(settings), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(p.file, 0, 12346); err != nil {
		t.Fatal(err)
	}
	readers := []byte{2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0x39, 0x30, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 6, 0, 255, 255, 255, 255}
	if err := unix.Setxattr(p.file, "system.posix_acl_access", readers, 0); err != nil {
		t.Fatal(err)
	}
	p.engine = lab.Beside(t, e, "patient", p.file, "--bridge=none")
	image := filepath.Join(dir, "image.tar")
	if err := e.Busybox(t.Context(), "fix:1", `LABEL quoted="'; touch `+dir+`/pwned; '"`); err != nil {
		t.Fatal(err)
	}
	docker(t, e, "save", "-o", image, "fix:1")
	const longest = "a_b.c-d_0123456789"
	for _, args := range [][]string{
		{"load", "-i", image},
		{"run", "-d", "--network", "none", "--name", "web", "--restart", "always", "fix:1", "sleep", "86400"},
		{"create", "--network", "none", "--name", longest, "--env", "A=$(touch " + dir + "/pwned)\n'\"", "--volume", dir + "/$(touch pwned)';x:/x", "fix:1"},
	} {
		if _, err := p.engine.Docker(args...); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := p.engine.Docker("rm", "-f", "-v", "web", longest); err != nil {
			t.Error(err)
		}
	})
	original, before, webWas := stateOf(t, p.file), p.judge(t), p.limits(t, "web")
	for _, name := range fixed {
		if before[name] != finding.Fail {
			t.Errorf("before, %s is %s", name, before[name])
		}
	}

	// The rest of the machine's files are no business of a test.
	script := p.script(t, "--only", strings.Join(fixed, ","))
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if out := p.run(t, script, "--dry-run"); !strings.Contains(out, "Would do: web: docker update") {
		t.Errorf("a dry run says:\n%s", out)
	}
	if diff := cmp.Diff(original, stateOf(t, p.file), cmp.AllowUnexported(state{})); diff != "" || p.limits(t, "web") != webWas {
		t.Errorf("a dry run changes:\n%s", diff)
	}
	said := p.run(t, script)
	if !strings.Contains(said, "The engine is not systemd's: restart it") {
		t.Errorf("it says:\n%s", said)
	}
	p.engine.Restart(t)
	after := p.judge(t)
	for name, is := range after {
		switch mended := slices.Contains(fixed, name); {
		case mended && is != finding.Pass:
			t.Errorf("after it, %s is %s\n%s", name, is, text)
		case !mended && is != before[name] && !slices.Contains(followed, name):
			t.Errorf("%s was %s and is %s, which nobody asked for", name, before[name], is)
		}
	}
	mended, webIs := stateOf(t, p.file), p.limits(t, "web")
	// Others write no more, and who was in the access list reads on.
	readable := strings.TrimSuffix(original.acl, "20000600ffffffff") + "20000400ffffffff"
	if mended.acl != readable || original.mode != 0o646 || mended.mode != 0o644 || mended.uid != 0 || original.gid != 12346 || mended.gid != 0 || webIs == webWas {
		t.Errorf("the file is %+v, and web %s", mended, webIs)
	}
	if out := p.run(t, script); strings.Contains(out, "Done:") || !strings.Contains(out, "Is so already") {
		t.Errorf("the second time it says:\n%s", out)
	}
	if diff := cmp.Diff(mended, stateOf(t, p.file), cmp.AllowUnexported(state{})); diff != "" || p.limits(t, "web") != webIs {
		t.Errorf("the second time it changes:\n%s", diff)
	}

	p.run(t, script, "undo")
	if diff := cmp.Diff(original, stateOf(t, p.file), cmp.AllowUnexported(state{})); diff != "" {
		t.Errorf("after undo daemon.json differs (-want +got):\n%s", diff)
	}
	// No limit is all that the host has, since the engine takes none away.
	if got := strings.Fields(p.limits(t, "web")); got[0] != got[1] || len(got[0]) < 9 || got[3] != "0" || got[4] != "always" {
		t.Errorf("after undo web is %v, and was %s", got, webWas)
	}
	p.engine.Restart(t)
	for name, is := range p.judge(t) {
		// A limit that is all of the host's is one.
		if limit := slices.Contains([]string{"memory-unlimited", "cpu-unlimited", "memory-reservation-missing"}, name); !limit && is != before[name] {
			t.Errorf("after undo %s is %s, and was %s", name, is, before[name])
		}
	}
	for _, at := range []string{dir, filepath.Dir(script), "."} {
		if _, err := os.Stat(filepath.Join(at, "pwned")); err == nil {
			t.Errorf("a name became a command:\n%s", text)
		}
	}

	// A container that is gone since does not stop it, there or back.
	if _, err := p.engine.Docker("create", "--network", "none", "--name", "gone", "fix:1"); err != nil {
		t.Fatal(err)
	}
	script = p.script(t, "--only", "pids-unlimited,restart-without-end")
	if _, err := p.engine.Docker("rm", "gone"); err != nil {
		t.Fatal(err)
	}
	if out := p.run(t, script); strings.Count(out, "Done:") != 2 || !strings.Contains(out, "Is so already: gone:") {
		t.Errorf("without one container it says:\n%s", out)
	}
	if out := p.run(t, script, "undo"); strings.Count(out, "Taken back:") != 2 {
		t.Errorf("without one container undo says:\n%s", out)
	}

	// Flags limit the script as they do the report.
	only, err := os.ReadFile(p.script(t, "--only", "pids-unlimited"))
	if err != nil {
		t.Fatal(err)
	}
	if steps := strings.Count(string(only), "\ndo_"); steps != 2 {
		t.Errorf("of one rule it has %d steps:\n%s", steps, only)
	}
}

// fixHostTree runs the script for the files of a tree, and gives the rules that it
// mends. Their evidence has the path without links, so that none leads out of the tree.
func fixHostTree(t *testing.T, root string, found []finding.Finding) []string {
	t.Helper()
	var some []finding.Finding
	var names []string
	seen := &facts.Facts{}
	for _, f := range found {
		path, is := f.Evidence["path"].(string)
		if f.Status != finding.Fail || f.Fix == nil || f.Fix.Mode == "" && f.Fix.Owner == "" || !is {
			continue
		}
		f.Subject = &finding.Subject{Kind: f.Subject.Kind, Name: filepath.Join(root, path)}
		kind := "regular"
		switch at, err := os.Lstat(f.Subject.Name); {
		case err != nil:
			t.Fatal(err)
		case at.IsDir():
			kind = "directory"
		case at.Mode()&fs.ModeSocket != 0:
			kind = "socket"
		}
		seen.Files = append(seen.Files, facts.File{Path: f.Subject.Name, Resolved: f.Subject.Name, Kind: kind})
		some, names = append(some, f), append(names, f.Rule)
	}
	if len(some) == 0 {
		return nil
	}
	script := fix.Script(fix.Config{Facts: seen, Findings: some})
	cmd := exec.Command("sh", "-s", "--", "--store", t.TempDir())
	cmd.Stdin = strings.NewReader(script.Text)
	if out, err := cmd.CombinedOutput(); err != nil || script.Mended != len(some) {
		t.Errorf("%d of %v mended: %v: %s", script.Mended, names, err, out)
	}
	return names
}
