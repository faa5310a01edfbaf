package test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestSigned: through a gate whose policy requires it, an image runs once those who are trusted
// have signed it and that was verified; one that nobody signed does not, nor what the tag leads
// to later. What was verified still counts where the registry is gone, until the signer's key is
// revoked, and the trail names the signer.
func TestSigned(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	program, dir := build(t), t.TempDir()
	state, socket := filepath.Join(dir, "state"), filepath.Join(dir, "gate.sock")
	// One registry by one name, for the engine in its network and for plimsoll here.
	hub := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))}
	inner := e.Listen(t)
	outer, err := net.Listen("tcp4", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []net.Listener{inner, outer} {
		go hub.Serve(l)
	}
	t.Cleanup(func() { hub.Close() })
	name := inner.Addr().String() + "/shop/api"

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "\n", "\n      ")
	for file, text := range map[string]string{
		"release.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
		"trust.yaml":  "schema: plimsoll/trust/1\nkeys:\n  release:\n    pem: |\n      " + block + "\nimages:\n  - {name: \"" + name + "\", signed: {any: [{key: release}]}}\n",
		"policy.yaml": "schema: plimsoll/policy/1\nenforce: {severity: critical}\nrequire: {verdict: {verified: true}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	gate := exec.Command(filepath.Join(program, "plimsoll"), "gate", "--mode", "enforce", "--policy", filepath.Join(dir, "policy.yaml"), "--upstream", e.Host(), "--listen", "unix://"+socket, "--state", state)
	gate.Stderr = &said
	if err := gate.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = gate.Process.Signal(syscall.SIGTERM)
		if err := gate.Wait(); err != nil {
			t.Errorf("plimsoll gate: %v: %s", err, said.String())
		}
	})
	again(t, func() error {
		_, err := os.Stat(socket)
		return err
	})
	d := &day{program: program, state: state}
	verify := func(want int, told string) {
		t.Helper()
		if out := d.plimsoll(t, want, "image", "verify", "--host", e.Host(), "--trust", filepath.Join(dir, "trust.yaml"), name+":1"); !strings.Contains(out, told) {
			t.Errorf("%s, without %q", out, told)
		}
	}
	create := func(image string) (string, error) {
		cmd := exec.Command("docker", "-H", "unix://"+socket, "create", "--rm", image, "true")
		cmd.Env = []string{"PATH=" + lab.Path, "HOME=" + dir, "DOCKER_CONFIG=" + dir}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	refused := func(what, image string) {
		t.Helper()
		if out, err := create(image); err == nil || !strings.Contains(out, "plimsoll image verify "+image) {
			t.Errorf("%s: %v %s", what, err, out)
		}
	}
	push := func(label string) {
		t.Helper()
		if err := e.Busybox(t.Context(), name+":1", "LABEL is="+label); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Docker("push", name+":1"); err != nil {
			t.Fatal(err)
		}
	}
	push("one")
	refused("unsigned", name+":1")
	verify(1, "is not trusted")
	refused("unsigned, and seen to be", name+":1")
	d.plimsoll(t, 0, "image", "sign", "--key", filepath.Join(dir, "release.key"), name+":1")
	refused("signed, and not seen to be", name+":1")
	verify(0, "is trusted: cosign key release")
	if out, err := create(name + ":1"); err != nil {
		t.Errorf("signed and verified: %v %s", err, out)
	}
	first, err := e.Docker("image", "inspect", "-f", "{{.Id}}", name+":1")
	if err != nil {
		t.Fatal(err)
	}
	push("two")
	refused("another image by the tag", name+":1")
	verify(1, "is not trusted")
	if err := hub.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := create(strings.TrimSpace(first)); err != nil {
		t.Errorf("verified, and the registry gone: %v %s", err, out)
	}
	refused("unsigned, and the registry gone", name+":1")
	d.plimsoll(t, 3, "image", "verify", "--host", e.Host(), "--trust", filepath.Join(dir, "trust.yaml"), name+":1")
	var by []string
	for line := range strings.Lines(d.plimsoll(t, 0, "trail", "list", "--format", "json")) {
		one, err := trail.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if one.Type == trail.Vouch {
			by = append(by, fmt.Sprint(one.Detail["by"]))
		}
	}
	if len(by) != 3 || by[1] != "[cosign key release]" {
		t.Errorf("the trail says %q", by)
	}
	// What the key vouched for is taken back when it is revoked, with the registry still gone,
	// and what runs of it is told until it is no more.
	if out, err := e.Docker("run", "-d", "--name", "kept", strings.TrimSpace(first), "sleep", "1000"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	revoke := func(want int, told string) {
		t.Helper()
		if out := d.plimsoll(t, want, "trust", "keys", "revoke", "release", "--why", "the laptop was stolen", "--host", e.Host(), "--trust", filepath.Join(dir, "trust.yaml")); !strings.Contains(out, told) {
			t.Errorf("%s, without %q", out, told)
		}
	}
	revoke(1, "kept runs "+strings.TrimSpace(first))
	refused("by a revoked key", strings.TrimSpace(first))
	if out, err := e.Docker("rm", "-f", "kept"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	revoke(0, "0 containers")
}
