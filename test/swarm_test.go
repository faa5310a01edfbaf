package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/test/lab"
)

// flip is what a rule comes to in a swarm as docker's client makes it, and in one
// that is set up with care. Networks are those of the overlay driver.
type flip struct{ plain, careful finding.Status }

// swarmFlips are all rules about a swarm and its networks.
var swarmFlips = map[string]flip{
	"swarm-active":                  {finding.Fail, finding.Fail}, // no swarm at all passes
	"swarm-managers-unfit":          {finding.Fail, finding.Pass},
	"swarm-listens-everywhere":      {finding.Fail, finding.Pass},
	"overlay-not-encrypted":         {finding.Fail, finding.Pass},
	"service-secret-in-environment": {finding.Fail, finding.Pass},
	"swarm-autolock-off":            {finding.Fail, finding.Pass},
	"swarm-unlock-key-old":          {finding.NotApplicable, finding.Manual},
	"swarm-data-path-shared":        {finding.Fail, finding.Pass},
	// The careful swarm trusts an authority of 2020, and its certificates are long.
	"swarm-node-certificates-long": {finding.Pass, finding.Fail},
	"swarm-ca-old":                 {finding.Pass, finding.Fail},
}

// ofSwarm is what rules about a swarm and its networks come to.
func ofSwarm(t *testing.T, f *facts.Facts) map[string]finding.Status {
	t.Helper()
	found, err := ourRules(t).Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]finding.Status{}
	for _, x := range found {
		if strings.HasPrefix(x.Reason, "rule error") {
			t.Errorf("%s: %s", x.Rule, x.Reason)
		}
		if x.Subject.Kind == "swarm" || x.Subject.Kind == "network" {
			of[x.Rule] = graver(of[x.Rule], x.Status)
		}
	}
	return of
}

func docker(t *testing.T, e *lab.Engine, args ...string) string {
	t.Helper()
	out, err := e.Docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// TestSwarm makes two swarms on real engines, and asks that every rule about a swarm
// and its networks comes out both ways.
func TestSwarm(t *testing.T) {
	t.Parallel()
	for _, r := range ourRules(t).Rules() {
		if _, flips := swarmFlips[r.Name]; flips != (r.Subject == "swarm" || r.Subject == "network") {
			t.Errorf("%s, which looks at a %s, flips here: %t", r.Name, r.Subject, flips)
		}
	}
	e := lab.Private(t, nil)
	none := ofSwarm(t, factsOf(t, clientOf(t, e)))
	for name := range swarmFlips {
		want := finding.NotApplicable
		if name == "swarm-active" {
			want = finding.Pass
		}
		if none[name] != want {
			t.Errorf("without a swarm %s is %s", name, none[name])
		}
	}
	t.Run("Plain", func(t *testing.T) {
		docker(t, e, "swarm", "init", "--advertise-addr", "127.0.0.1")
		service(t, e, "web", "--publish", "8080:80", "--env", "DB_PASSWORD=hunter2")
		f := factsOf(t, clientOf(t, e))
		judgedAs(t, f, func(x flip) finding.Status { return x.plain })
		hidingInSwarm(t, f)
	})
	t.Run("Careful", func(t *testing.T) { careful(t, lab.Private(t, nil)) })
}

// service makes one that runs nothing: this kernel lacks what tasks need.
func service(t *testing.T, e *lab.Engine, name string, options ...string) {
	t.Helper()
	if err := e.Busybox(t.Context(), "swarm:1"); err != nil {
		t.Fatal(err)
	}
	docker(t, e, append(append([]string{"service", "create", "--detach", "--name", name, "--replicas", "0"}, options...), "swarm:1")...)
}

func judgedAs(t *testing.T, f *facts.Facts, side func(flip) finding.Status) {
	t.Helper()
	want := map[string]finding.Status{}
	for name, x := range swarmFlips {
		want[name] = side(x)
	}
	if diff := cmp.Diff(want, ofSwarm(t, f)); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	// A facts file is judged as the swarm was.
	data, err := facts.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("hunter2")) || bytes.Contains(data, []byte("SWMTKN")) || bytes.Contains(data, []byte("SWMKEY")) {
		t.Error("a secret is in the facts")
	}
	back, err := facts.Decode("facts.json", data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, ofSwarm(t, back)); diff != "" {
		t.Errorf("verdicts by the facts file (-want +got):\n%s", diff)
	}
}

// careful makes a swarm of three managers and a worker.
func careful(t *testing.T, e *lab.Engine) {
	certificate, key := oldAuthority(t)
	docker(t, e, "swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1", "--data-path-addr", "127.0.0.9", "--autolock", "--cert-expiry", "8760h")
	docker(t, e, "swarm", "ca", "--rotate", "--quiet", "--detach", "--ca-cert", certificate, "--ca-key", key)
	remove := e.Enter(t.Context(), "docker", "-H", e.Host(), "network", "rm", "ingress")
	remove.Stdin = strings.NewReader("y\n")
	if out, err := remove.CombinedOutput(); err != nil {
		t.Fatalf("removing the network of published ports: %v: %s", err, out)
	}
	again(t, func() error {
		_, err := e.Docker("network", "create", "--ingress", "--driver", "overlay", "--opt", "encrypted", "ingress")
		return err
	})
	docker(t, e, "network", "create", "--driver", "overlay", "--opt", "encrypted", "between")
	service(t, e, "web", "--network", "between", "--env", "PORT=80")
	// An authority that is being changed gives no tokens that hold.
	again(t, func() error {
		if out, err := e.Docker("info", "-f", "{{.Swarm.Cluster.RootRotationInProgress}}"); err != nil || strings.TrimSpace(out) != "false" {
			return fmt.Errorf("the authority is still being changed (%v)", err)
		}
		return nil
	})
	for i, role := range []string{"manager", "manager", "worker"} {
		address := fmt.Sprintf("127.0.0.%d", i+2)
		other := lab.Beside(t, e, address, "", "--bridge=none", "--iptables=false")
		token := docker(t, e, "swarm", "join-token", "--quiet", role)
		again(t, func() error {
			_, err := other.Docker("swarm", "join", "--token", token, "--listen-addr", address, "--advertise-addr", address, "127.0.0.1:2377")
			return err
		})
		if role == "worker" {
			workerKnows(t, other)
		}
	}
	f := factsOf(t, clientOf(t, e))
	judgedAs(t, f, func(x flip) finding.Status { return x.careful })
	if len(f.Swarm.Nodes) != 4 || f.Swarm.ReachableManagers != 3 {
		t.Errorf("the nodes are %+v, %d managers reachable", f.Swarm.Nodes, f.Swarm.ReachableManagers)
	}
	hidingInSwarm(t, f)
}

// again does it until it succeeds; the swarm needs a moment for most.
func again(t *testing.T, do func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if err = do(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// oldAuthority writes the certificate of an authority made in 2020, and its key.
func oldAuthority(t *testing.T) (certificate, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "swarm-ca"}, NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter: time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("ca.pem", "CERTIFICATE", public), write("ca.key", "PRIVATE KEY", private)
}

// workerKnows: a worker gives no verdict on what only managers know, and what it is
// itself it does tell.
func workerKnows(t *testing.T, s *lab.Second) {
	t.Helper()
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: "unix://" + s.Socket(), Source: "the lab"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	got := ofSwarm(t, factsOf(t, client))
	for name, want := range map[string]finding.Status{"swarm-active": finding.Fail, "swarm-managers-unfit": finding.Unknown, "service-secret-in-environment": finding.Unknown,
		"swarm-autolock-off": finding.Unknown, "swarm-unlock-key-old": finding.Unknown, "swarm-ca-old": finding.Unknown, "swarm-node-certificates-long": finding.Unknown,
		"swarm-listens-everywhere": finding.Pass, "swarm-data-path-shared": finding.Fail} {
		if got[name] != want {
			t.Errorf("on a worker %s is %s, not %s", name, got[name], want)
		}
	}
}

// hidingInSwarm: whatever single fact of the swarm or of a network is hidden, nothing
// passes by that, or is gone.
func hidingInSwarm(t *testing.T, f *facts.Facts) {
	t.Helper()
	d := newDocument(t, ourRules(t), f)
	tried := 0
	for _, k := range keys(d.tree, reflect.TypeFor[facts.Facts](), nil) {
		if k[0] != "swarm" && k[0] != "networks" {
			continue
		}
		tried++
		for _, null := range []bool{false, true} {
			wrong, err := d.without(k, null)
			if err != nil {
				t.Errorf("without %s: %v", k, err)
			}
			for _, text := range wrong {
				t.Errorf("without %s: %s", k, text)
			}
		}
	}
	if tried < 40 {
		t.Errorf("%d keys were tried", tried)
	}
}
