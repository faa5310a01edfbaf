package gate

import (
	"context"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestEveryday: what people do every day works through the gate, and what the rules
// forbid does not.
func TestEveryday(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	s := stand(t, e, Enforce, "")
	if out := s.must(t, "run", "--rm", "web:1", "echo", "hello"); out != "hello" {
		t.Errorf("run says %q", out)
	}
	s.must(t, "run", "-d", "--name", "one", "web:1", "sleep", "100000")
	if out := s.must(t, "exec", "one", "echo", "inside"); out != "inside" {
		t.Errorf("exec says %q", out)
	}
	if out := s.must(t, "ps", "--format", "{{.Names}} {{.Image}}"); out != "one web:1" {
		t.Errorf("ps says %q", out)
	}
	s.must(t, "stop", "-t", "0", "one")
	s.must(t, "start", "one")
	s.must(t, "rm", "-f", "one")
	for _, c := range []struct {
		reason string
		args   []string
	}{
		{"privileged", []string{"run", "--rm", "--privileged", "web:1", "true"}},
		{"host-root-mounted", []string{"run", "--rm", "-v", "/:/host", "web:1", "true"}},
		{"pid-namespace-host", []string{"run", "--rm", "--pid", "host", "web:1", "true"}},
		{"seccomp-unconfined", []string{"run", "--rm", "--security-opt", "seccomp=unconfined", "web:1", "true"}},
		{"engine-socket-mounted", []string{"run", "--rm", "-v", e.Socket() + ":/var/run/docker.sock", "web:1", "true"}},
		{"class plugins", []string{"plugin", "install", "--grant-all-permissions", "x/y"}},
		{"class swarm", []string{"swarm", "init", "--advertise-addr", "127.0.0.1"}},
	} {
		s.refused(t, c.reason, c.args...)
	}
	if out, err := e.Docker("ps", "-aq"); err != nil || out != "" {
		t.Errorf("left: %q, %v", out, err)
	}
	if t.Failed() {
		t.Log("\n" + strings.Join(s.events(t), "\n"))
	}
}
