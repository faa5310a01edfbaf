package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestBundleLoaded: an image that was packed with its signatures is verified in a network
// namespace that has no network, loaded into the engine from the same file, and then run
// through a gate that requires it to have been verified; one that was loaded and not verified
// is not, and neither is one whose bundle was changed.
func TestBundleLoaded(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	program, dir := build(t), t.TempDir()
	state, socket := filepath.Join(dir, "state"), filepath.Join(dir, "gate.sock")
	hub, host := standRegistry(t, e, nil)
	name := host + "/shop/api"
	private, block := newPair(t)
	at := func(file string) string { return filepath.Join(dir, file) }
	for file, text := range map[string]string{
		"release.key": private,
		"trust.yaml":  "schema: plimsoll/trust/1\nkeys:\n  release:\n    pem: |\n      " + block + "\nimages:\n  - {name: \"" + name + "\", signed: {any: [{key: release}]}}\n",
		"policy.yaml": "schema: plimsoll/policy/1\nenforce: {severity: critical}\nrequire: {verdict: {verified: true}}\n",
	} {
		if err := os.WriteFile(at(file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := &day{program: program, state: state}
	docker := func(args ...string) string {
		t.Helper()
		out, err := e.Docker(args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	ids := map[string]string{}
	for _, tag := range []string{"1", "2"} {
		if err := e.Busybox(t.Context(), name+":"+tag, "LABEL is="+tag); err != nil {
			t.Fatal(err)
		}
		docker("push", name+":"+tag)
		d.plimsoll(t, 0, "image", "sign", "--key", at("release.key"), name+":"+tag)
		d.plimsoll(t, 0, "trust", "bundle", "--trust", at("trust.yaml"), name+":"+tag, "-o", at(tag+".tar"))
		ids[tag] = docker("image", "inspect", "-f", "{{.Id}}", name+":"+tag)
		docker("rmi", name+":"+tag)
	}
	if err := hub.Close(); err != nil {
		t.Fatal(err)
	}
	// Of another image there is a byte more in a layer.
	whole, err := os.ReadFile(at("1.tar"))
	if err != nil {
		t.Fatal(err)
	}
	spoilt := bytes.Clone(whole)
	spoilt[bytes.Index(spoilt, []byte("\x1f\x8b\x08"))+100] ^= 1
	if err := os.WriteFile(at("spoilt.tar"), spoilt, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(want int, told, bundle string) {
		t.Helper()
		cmd := exec.Command("unshare", "-n", filepath.Join(program, "plimsoll"), "image", "verify", "--explain", "--state", state, "--trust", at("trust.yaml"), "--bundle", at(bundle), name+":1")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want || !strings.Contains(string(out), told) {
			t.Errorf("%v: %s, want %d with %q", err, out, want, told)
		}
	}

	standGate(t, program, e, at("policy.yaml"), socket, state)
	create := func(image string) (string, error) {
		cmd := exec.Command("docker", "-H", "unix://"+socket, "create", "--rm", image, "true")
		cmd.Env = []string{"PATH=" + lab.Path, "HOME=" + dir, "DOCKER_CONFIG=" + dir}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, tag := range []string{"1", "2"} {
		if out := docker("load", "-i", at(tag+".tar")); !strings.Contains(out, name+":"+tag) {
			t.Errorf("loaded: %s", out)
		}
		if id := docker("image", "inspect", "-f", "{{.Id}}", name+":"+tag); id != ids[tag] {
			t.Errorf("it is loaded as %s, and was %s", id, ids[tag])
		}
	}
	if out, err := create(name + ":1"); err == nil || !strings.Contains(out, "was not verified") {
		t.Errorf("before it is verified: %v %s", err, out)
	}
	verify(3, "is not what its digest says", "spoilt.tar")
	if out, err := create(name + ":1"); err == nil {
		t.Errorf("after a spoilt bundle: %s", out)
	}
	verify(0, "is trusted: cosign key release", "1.tar")
	if out, err := create(name + ":1"); err != nil {
		t.Errorf("loaded and verified: %v %s", err, out)
	}
	if out, err := create(name + ":2"); err == nil || !strings.Contains(out, "was not verified") {
		t.Errorf("loaded, and not verified: %v %s", err, out)
	}
}
