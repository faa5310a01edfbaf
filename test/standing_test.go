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

// standGate starts a gate that enforces before an engine, and waits until it listens.
func standGate(t *testing.T, program string, e *lab.Engine, policy, socket, state string) *os.Process {
	t.Helper()
	gate := exec.Command(filepath.Join(program, "plimsoll"), "gate", "--mode", "enforce", "--policy", policy, "--upstream", e.Host(), "--listen", "unix://"+socket, "--state", state)
	var said bytes.Buffer
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
	return gate.Process
}

// standRegistry starts a registry with one name, for an engine in its network and for plimsoll
// here. What is in its way may answer first.
func standRegistry(t *testing.T, e *lab.Engine, inWay func(http.Handler) http.Handler) (hub *http.Server, host string) {
	t.Helper()
	there := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	hub = &http.Server{Handler: there}
	if inWay != nil {
		hub.Handler = inWay(there)
	}
	inner := e.Listen(t)
	outer, err := net.Listen("tcp4", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []net.Listener{inner, outer} {
		go hub.Serve(l)
	}
	t.Cleanup(func() { hub.Close() })
	return hub, inner.Addr().String()
}

// newPair makes a pair of keys: the private one in PEM, and the public one as it stands below
// pem: | in a policy of trust.
func newPair(t *testing.T) (private, public string) {
	t.Helper()
	open, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(open)
	if err != nil {
		t.Fatal(err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), strings.ReplaceAll(block, "\n", "\n      ")
}
