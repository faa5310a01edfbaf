package gate

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// authority is one whose clients run docker.
type authority struct{ *lab.Authority }

// docker runs docker's client over TLS as somebody.
func (a authority) docker(address, who string, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all := []string{"-H", "tcp://" + address, "--tlsverify", "--tlscacert", a.File("ca.pem")}
	if who != "" {
		all = append(all, "--tlscert", a.File(who+".pem"), "--tlskey", a.File(who+"-key.pem"))
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/docker", append(all, args...)...)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+filepath.Dir(a.File("ca.pem")))
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// TestOverTLS: over TCP a client is who its certificate says, and without one of a known
// authority nobody.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	known, theirs := authority{lab.NewAuthority(t, t.TempDir())}, lab.NewAuthority(t, t.TempDir())
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	known.Issue("gate", &x509.Certificate{Subject: pkix.Name{CommonName: "gate"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	for _, who := range []string{"ana", "ben"} {
		known.Issue(who, &x509.Certificate{Subject: pkix.Name{CommonName: who, Organization: []string{"shop"}}, ExtKeyUsage: client})
	}
	theirs.Issue("eve", &x509.Certificate{Subject: pkix.Name{CommonName: "ana", Organization: []string{"shop"}}, ExtKeyUsage: client})

	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte("schema: plimsoll/policy/1\nmode: enforce\nallow:\n  - classes: [secrets, swarm]\n    certificates: ['CN=ana,O=shop']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	asker, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: e.Host(), Source: "the lab"}})
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ready, reload, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	certificates := &Certificates{Cert: known.File("gate.pem"), Key: known.File("gate-key.pem"), Authorities: known.File("ca.pem")}
	socket := filepath.Join(dir, "gate.sock")
	logged := make(chan string, 100)
	go func() {
		ended <- Run(ctx, RunConfig{Listen: []Address{{Network: "unix", Name: socket}, {Network: "tcp", Name: address}}, Certificates: certificates, Group: -1, Rules: ours(t), PolicyFile: policy, Reload: reload,
			Trail: trail.Config{Dir: filepath.Join(dir, "trail"), Name: "harbour-1", Now: time.Now}, Ready: func() { close(ready) },
			Config: Config{Engine: e.Socket(), Around: collect.Config{Client: asker, Now: time.Now, Root: "/"}, Now: time.Now, Log: func(format string, args ...any) { logged <- fmt.Sprintf(format, args...) }}})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}

	for _, step := range []struct{ who, stdin, line, want, refused string }{
		{who: "ana", line: "version --format {{.Server.APIVersion}}", want: "1.41"},
		{who: "ana", stdin: "through it", line: "run -i --rm web:1 cat", want: "through it"},
		{who: "ana", line: "run -d --name web web:1 sleep 1000"},
		{who: "ben", line: "exec web echo hello", want: "hello"},
		{who: "ben", line: "run --privileged web:1 true", refused: "(privileged, critical)"},
		{who: "ana", line: "swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377", want: "Swarm initialized"},
		{who: "ana", stdin: "x", line: "secret create s -"},
		{who: "ben", stdin: "x", line: "secret create t -", refused: "the class secrets is not allowed to CN=ben,O=shop"},
		{line: "ps", refused: "certificate"},
	} {
		out, err := known.docker(address, step.who, step.stdin, strings.Fields(step.line)...)
		if step.refused != "" {
			if err == nil || !strings.Contains(out, step.refused) {
				t.Errorf("%s: docker %s: want a refusal with %q, got %v\n%s", step.who, step.line, step.refused, err, out)
			}
			continue
		}
		if err != nil || !strings.Contains(out, step.want) {
			t.Errorf("%s: docker %s: want %q, got %v\n%s", step.who, step.line, step.want, err, out)
		}
	}
	// Who calls herself ana by an authority of her own.
	for _, file := range []string{"eve.pem", "eve-key.pem"} {
		data, err := os.ReadFile(theirs.File(file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(known.File(file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := known.docker(address, "eve", "", "ps"); err == nil {
		t.Errorf("a certificate of another authority: %s", out)
	}
	if answer, err := http.Get("http://" + address + "/_ping"); err == nil && answer.StatusCode == http.StatusOK {
		t.Error("it answers without TLS")
	}
	if out, err := dockerAt("unix://"+socket, "ps", "--format", "{{.Names}}"); err != nil || out != "web" {
		t.Errorf("over the unix socket: %v, %s", err, out)
	}

	// The authority of the clients is another one now; a file that is none changes nothing.
	replace := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(certificates.Authorities+".new", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(certificates.Authorities+".new", certificates.Authorities); err != nil {
			t.Fatal(err)
		}
		reload <- struct{}{}
		reload <- struct{}{} // is taken once the first was done
	}
	good, err := os.ReadFile(known.File("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(theirs.File("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	certificates.Authorities = known.File("clients.pem")
	replace([]byte("none"))
	if out, err := known.docker(address, "ana", "", "ps"); err != nil {
		t.Errorf("after a file without certificates: %v, %s", err, out)
	}
	replace(other)
	if out, err := known.docker(address, "ana", "", "ps"); err == nil {
		t.Errorf("ana's authority is not known any more: %s", out)
	}
	if out, err := known.docker(address, "eve", "", "ps"); err != nil {
		t.Errorf("eve's authority is known: %v, %s", err, out)
	}
	replace(good)

	subjects := map[string]int{}
	for _, ev := range eventsIn(t, filepath.Join(dir, "trail")) {
		if ev.Actor != nil {
			subjects[ev.Actor.CertSubject]++
			if ev.Actor.UID != nil {
				t.Errorf("%s of uid %d came over the unix socket", ev.Type, *ev.Actor.UID)
			}
		}
	}
	if len(subjects) != 2 || subjects["CN=ana,O=shop"] < 8 || subjects["CN=ben,O=shop"] < 4 {
		t.Errorf("the trail has %v", subjects)
	}
}
