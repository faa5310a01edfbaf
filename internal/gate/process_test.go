package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// programFolder has the program plimsoll-gate once a test asked for it; TestMain takes it
// away.
var programFolder string

var builtProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "plimsoll-gate")
	if err != nil {
		return "", err
	}
	programFolder = dir
	path := filepath.Join(dir, "plimsoll-gate")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/plimsoll/plimsoll/cmd/plimsoll-gate").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building plimsoll-gate: %w: %s", err, out)
	}
	return path, os.Chmod(dir, 0o755) // for those who are not root
})

// program is a plimsoll-gate that runs before an engine. It can be ended and started again,
// with the same socket and trail.
type program struct {
	t      *testing.T
	engine string // its socket
	dir    string
	socket string
	state  string
	args   []string
	uid    uint32

	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of its end
	said  *safeBuffer
}

// run starts plimsoll-gate, and ends it with the test.
func run(t *testing.T, engine string, args ...string) *program {
	t.Helper()
	p := prepare(t, engine, args...)
	p.start()
	return p
}

// prepare is run without the start.
func prepare(t *testing.T, engine string, args ...string) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{t: t, engine: engine, dir: dir, socket: filepath.Join(dir, "gate.sock"), state: filepath.Join(dir, "state"), args: args}
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() && p.said != nil {
			t.Logf("plimsoll-gate said: %s", p.said)
		}
	})
	return p
}

// as has it run as a user who may not do everything, and who may use the engine.
func (p *program) as(uid uint32) {
	p.t.Helper()
	p.uid, p.args = uid, append(p.args, "--group", "") // it may give the socket to none
	err := errors.Join(os.Chown(p.dir, int(uid), int(uid)), os.MkdirAll(p.state, 0o700), os.Chown(p.state, int(uid), int(uid)), os.Chmod(p.engine, 0o666))
	for path := filepath.Dir(p.dir); path != "/" && path != os.TempDir(); path = filepath.Dir(path) {
		err = errors.Join(err, os.Chmod(path, 0o755))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// start starts it, and waits until clients can connect.
func (p *program) start() {
	p.t.Helper()
	p.launch()
	for end := time.Now().Add(patient); ; time.Sleep(5 * time.Millisecond) {
		if strings.Contains(p.said.String(), "listening on ") {
			return
		}
		select {
		case <-p.ended:
			p.t.Fatalf("plimsoll-gate has ended: %v: %s", p.err, p.said)
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("plimsoll-gate does not listen: %s", p.said)
		}
	}
}

func (p *program) launch() {
	p.t.Helper()
	path, err := builtProgram()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(path, append([]string{"--upstream", "unix://" + p.engine, "--listen", "unix://" + p.socket, "--state", p.state}, p.args...)...)
	if p.uid != 0 {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.uid, Gid: p.uid}}
	}
	p.said = &safeBuffer{}
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, ended := p.cmd, make(chan struct{})
	p.ended = ended
	go func() {
		p.err = cmd.Wait()
		close(ended)
	}()
}

// end ends it by a signal, and gives the exit code: -1 where it was killed.
func (p *program) end(signal syscall.Signal) int {
	p.t.Helper()
	if p.cmd == nil {
		return 0
	}
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(patient):
		p.t.Errorf("plimsoll-gate does not end at %v: %s", signal, p.said)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// exits waits for it to end by itself, and gives the exit code.
func (p *program) exits() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patient):
		p.t.Fatalf("plimsoll-gate runs on: %s", p.said)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) trail() string { return filepath.Join(p.state, TrailFolder) }

// ask makes one request, and leaves no connection.
func (p *program) ask(method, target, body string) (int, string, error) {
	p.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	c := over(p.socket)
	defer c.CloseIdleConnections()
	return ask(p.t.Context(), c, method, target, r)
}

func (p *program) docker(args ...string) (string, error) {
	return dockerAt("unix://"+p.socket, args...)
}

func (p *program) must(args ...string) string {
	p.t.Helper()
	out, err := p.docker(args...)
	if err != nil {
		p.t.Fatalf("docker %s: %v\n%s\n%s", strings.Join(args, " "), err, out, p.said)
	}
	return out
}

// refuses checks that a command is refused, for a reason that holds a text.
func (p *program) refuses(reason string, args ...string) {
	p.t.Helper()
	if out, err := p.docker(args...); err == nil || !strings.Contains(out, reason) {
		p.t.Errorf("docker %s: want a refusal with %q, got %v\n%s", strings.Join(args, " "), reason, err, out)
	}
}

// verified checks that the trail is whole, and gives its events. The gate may not run.
func (p *program) verified() []*trail.Event {
	p.t.Helper()
	public, err := os.ReadFile(filepath.Join(p.trail(), "key.pub"))
	if err != nil {
		p.t.Fatal(err)
	}
	key, err := trail.ParseKey(strings.TrimSpace(string(public)))
	if err != nil {
		p.t.Fatal(err)
	}
	v, err := trail.Verify(p.t.Context(), p.trail(), trail.VerifyConfig{Key: key, Deep: true})
	if err != nil {
		p.t.Fatal(err)
	}
	if len(v.Problems) > 0 {
		p.t.Errorf("the trail does not verify: %v", v.Problems)
	}
	return eventsIn(p.t, p.trail())
}

// recorded looks for an event of a type, phase and subject.
func recordedIn(events []*trail.Event, kind, phase, name string) bool {
	for _, e := range events {
		if e.Type == kind && e.Detail["gate"] == phase && e.Subject.Name == name {
			return true
		}
	}
	return false
}

// safeBuffer is written to by a process while a test reads it.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// policy has it begin with a policy of a text from now on.
func (p *program) policy(text string) {
	p.t.Helper()
	file := filepath.Join(p.dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.args = []string{"--policy", file}
}

// eventsOf are those about a subject so far.
func (p *program) eventsOf(name string) (list []*trail.Event) {
	p.t.Helper()
	for _, e := range eventsIn(p.t, p.trail()) {
		if e.Subject.Name == name {
			list = append(list, e)
		}
	}
	return list
}

// connect connects to a socket.
func connect(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}

// yard is an engine of its own with the image web:1, for gates that run before it.
func yard(t *testing.T) *lab.Engine {
	t.Helper()
	e := lab.Private(t, nil)
	if err := e.Busybox(t.Context(), "web:1"); err != nil {
		t.Fatal(err)
	}
	return e
}
