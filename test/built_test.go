package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestBuiltHere: through a gate that requires what is verified, an image runs that no registry
// has once somebody has built it who may, of a base that is trusted. What another user built, or
// gave its name, and what was loaded where that does not count, does not run.
func TestBuiltHere(t *testing.T) {
	t.Parallel()
	builtBehind(t, lab.Private(t, nil))
}

// builtBehind is TestBuiltHere behind an engine.
func builtBehind(t *testing.T, e *lab.Engine) {
	if err := e.Busybox(t.Context(), "base:1"); err != nil {
		t.Fatal(err)
	}
	program, dir := build(t), t.TempDir()
	state, socket, archive := filepath.Join(dir, "state"), filepath.Join(dir, "gate.sock"), filepath.Join(dir, "base.tar")
	id, err := e.Docker("image", "inspect", "-f", "{{.Id}}", "base:1")
	if id = strings.TrimSpace(id); err == nil {
		_, err = e.Docker("save", "-o", archive, id)
	}
	if err == nil {
		_, err = e.Docker("rmi", "base:1")
	}
	if err != nil {
		t.Fatal(err)
	}
	const images = "schema: plimsoll/trust/1\nimages:\n  - {name: docker.io/shop/*, built: {by: [4001], within: 1d}}\n  - {name: docker.io/library/base, built: {by: [root], base: any"
	for file, text := range map[string]string{
		"trust.yaml":  images + "}}\n",
		"loaded.yaml": images + ", loaded: true}}\n",
		"policy.yaml": "schema: plimsoll/policy/1\nenforce: {severity: critical}\nrequire: {verdict: {verified: true}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	standGate(t, program, e, filepath.Join(dir, "policy.yaml"), socket, state)
	// Whoever may connect is for the socket's mode to say; here everybody.
	for path := socket; path != "/tmp" && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	d := &day{program: program, state: state}
	verify := func(code int, policy, image, told string) {
		t.Helper()
		if out := d.plimsoll(t, code, "image", "verify", "--explain", "--host", e.Host(), "--trust", filepath.Join(dir, policy), image); !strings.Contains(out, told) {
			t.Errorf("%s, without %q", out, told)
		}
	}
	as := func(uid uint32, stdin string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "/usr/bin/docker", args...)
		cmd.Env = []string{"DOCKER_HOST=unix://" + socket, "HOME=/nonexistent", "DOCKER_BUILDKIT=0"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("docker %s as %d: %w: %s", strings.Join(args, " "), uid, err, out)
		}
		return string(out), err
	}
	must := func(uid uint32, stdin string, args ...string) {
		t.Helper()
		if _, err := as(uid, stdin, args...); err != nil {
			t.Fatal(err)
		}
	}
	runs := func(image string) {
		t.Helper()
		if out, err := as(4002, "", "run", "--rm", image, "cat", "/made"); err != nil || !strings.Contains(out, "here") {
			t.Errorf("%v %s", err, out)
		}
	}
	refused := func(what, image string) {
		t.Helper()
		if out, err := as(4002, "", "create", image, "true"); err == nil || !strings.Contains(out, "plimsoll image verify "+image) {
			t.Errorf("%s: %v %s", what, err, out)
		}
	}
	const recipe = "FROM base:1\nRUN echo here > /made\n"
	verify(3, "trust.yaml", "shop/api:1", "") // nobody has it
	must(0, "", "load", "-i", archive)
	must(0, "", "tag", id, "base:1")
	must(4001, recipe, "build", "--no-cache", "-t", "shop/api:1", "-")
	refused("built, and not verified", "shop/api:1")
	verify(1, "trust.yaml", "shop/api:1", "the image that it was made from, "+id[:19]+", is not verified")
	verify(1, "trust.yaml", "base:1", "there is no loaded: true")
	refused("of a base that is not trusted", "shop/api:1")
	verify(0, "loaded.yaml", "base:1", "is trusted: loaded here by root")
	verify(0, "trust.yaml", "shop/api:1", "is trusted: built here by uid 4001")
	verify(0, "trust.yaml", "shop/api:1", "it was made from "+id[:19]+", which is trusted: loaded here by root")
	runs("shop/api:1")
	first := strings.TrimSpace(docker(t, e, "image", "inspect", "-f", "{{.Id}}", "shop/api:1"))

	must(4002, recipe, "build", "--no-cache", "-t", "shop/web:1", "-")
	verify(1, "trust.yaml", "shop/web:1", "and only 4001 may")
	refused("built by another user", "shop/web:1")
	must(4001, "FROM shop/web:1\nRUN true\n", "build", "--no-cache", "-t", "shop/api:2", "-") // which begins with all of base:1
	verify(1, "trust.yaml", "shop/api:2", "is not verified")
	refused("of a base that another built of one that is trusted", "shop/api:2")
	must(4002, "", "tag", "shop/web:1", "shop/api:1")
	verify(1, "trust.yaml", "shop/api:1", "and only 4001 may")
	refused("another image of the name", "shop/api:1")
	// A container that was committed is taken for the step of somebody else's build.
	step, bad := "echo here > /made && true", filepath.Join(dir, "made")
	if err := os.WriteFile(bad, []byte("evil\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	must(4002, "", "run", "-d", "--name", "trap", "base:1", "/bin/sh", "-c", step)
	must(4002, "", "wait", "trap")
	must(4002, "", "cp", bad, "trap:/made")
	must(4002, "", "commit", "trap")
	must(4001, "FROM base:1\nRUN "+step+"\n", "build", "-t", "shop/api:1", "-")
	if out := docker(t, e, "run", "--rm", "shop/api:1", "cat", "/made"); !strings.Contains(out, "evil") {
		t.Errorf("the cache gave %q, and nothing of the other's", out)
	}
	verify(1, "trust.yaml", "shop/api:1", "--no-cache")
	refused("built out of the cache", "shop/api:1")
	must(4001, "FROM base:1\nRUN "+step+"\n", "build", "--no-cache", "-q", "-t", "shop/api:1", "-")
	verify(0, "trust.yaml", "shop/api:1", "is trusted: built here by uid 4001")
	runs("shop/api:1")
	must(4002, "", "tag", first, "shop/api:1")
	verify(1, "trust.yaml", "shop/api:1", "it was built at ")
	if out, err := as(4002, "", "create", "shop/api:1", "true"); err == nil || !strings.Contains(out, "is what the tag stood for until") {
		t.Errorf("an older build by the tag: %v %s", err, out)
	}
	must(4002, "", "create", first, "true")
	if _, err := e.Docker("tag", "shop/api:1", "other/api:1"); err != nil {
		t.Fatal(err)
	}
	if out := d.plimsoll(t, 3, "image", "verify", "--host", e.Host(), "--trust", filepath.Join(dir, "trust.yaml"), "other/api:1"); out != "" {
		t.Errorf("of a name that is in no entry: %s", out)
	}
}
