package test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
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
	at := func(file string) string { return filepath.Join(dir, file) }
	block := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "\n", "\n      ")
	for file, text := range map[string]string{
		"release.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
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

	var said bytes.Buffer
	gate := exec.Command(filepath.Join(program, "plimsoll"), "gate", "--mode", "enforce", "--policy", at("policy.yaml"), "--upstream", e.Host(), "--listen", "unix://"+socket, "--state", state)
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
