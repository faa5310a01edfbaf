package gate

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/rules"
	"github.com/plimsoll/plimsoll/test/lab"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if programFolder != "" {
			_ = os.RemoveAll(programFolder)
		}
		os.Exit(code)
	}))
}

// ours are the project's rules.
func ours(t testing.TB) *rule.Set {
	t.Helper()
	set, err := rule.LoadToJudge(rules.Packed, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// standing is a gate before a real engine, with a real trail.
type standing struct {
	*Gate
	engine *lab.Engine
	socket string
	trail  string
}

// stand puts a gate before an engine, with the policy of a YAML text, "" for the one
// where there is none.
func stand(t *testing.T, e *lab.Engine, mode Mode, policy string) *standing {
	t.Helper()
	return standAs(t, e, mode, policy)
}

// standAs is stand with something changed.
func standAs(t *testing.T, e *lab.Engine, mode Mode, policy string, change ...func(*Config)) *standing {
	t.Helper()
	s := standAt(t, e.Host(), e.Socket(), mode, policy, change...)
	s.engine = e
	return s
}

// standAt is stand before the engine at an address, with what clients ask passed on to
// a socket, and with more that is changed in its configuration.
func standAt(t *testing.T, host, behind string, mode Mode, policy string, change ...func(*Config)) *standing {
	t.Helper()
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: host, Source: "the lab"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := DefaultPolicy(ours(t))
	if policy != "" {
		p, err = ReadPolicy("policy.yaml", []byte(policy), ours(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := trail.Open(trail.Config{Dir: filepath.Join(dir, "trail"), Name: "harbour-1", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Engine: behind, Around: collect.Config{Client: client, Now: time.Now, Root: "/"}, Policy: p, Mode: mode, Trail: l, Now: time.Now, Verdicts: verdict.Folder(filepath.Join(dir, "verdicts")),
		Log: func(format string, args ...any) { t.Logf("gate: "+format, args...) }}
	for _, f := range change {
		f(&c)
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &standing{Gate: g, socket: filepath.Join(dir, "gate.sock"), trail: filepath.Join(dir, "trail")}
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		g.Close()
		client.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// docker runs docker's client against the gate.
func (s *standing) docker(args ...string) (string, error) {
	return dockerAt("unix://"+s.socket, args...)
}

func dockerAt(host string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// A client that builds by BuildKit writes into its configuration.
	environ := append(os.Environ(), "DOCKER_CONFIG="+filepath.Dir(strings.TrimPrefix(host, "unix://")))
	for len(args) > 0 && strings.HasPrefix(args[0], "DOCKER_") { // as in a shell
		environ, args = append(environ, args[0]), args[1:]
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/docker", append([]string{"-H", host}, args...)...)
	cmd.Env = environ
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

// must is docker that must work.
func (s *standing) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.docker(args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// refused is docker that must be refused, for a reason that holds a text.
func (s *standing) refused(t *testing.T, reason string, args ...string) {
	t.Helper()
	out, err := s.docker(args...)
	if err == nil || !strings.Contains(out, reason) {
		t.Errorf("docker %s: want a refusal with %q, got %v\n%s", strings.Join(args, " "), reason, err, out)
	}
}

// events are those of the trail so far, a line each.
func (s *standing) events(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, e := range s.recorded(t) {
		out = append(out, fmt.Sprintf("%s %v %s", e.Type, e.Detail["gate"], e.Subject.Name))
	}
	return out
}

func (s *standing) recorded(t *testing.T) []*trail.Event { return eventsIn(t, s.trail) }

// eventsIn are those of a trail so far.
func eventsIn(t *testing.T, dir string) (all []*trail.Event) {
	t.Helper()
	v, err := trail.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range v.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := r.Event()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}
