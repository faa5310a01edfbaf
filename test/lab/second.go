package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Second is another daemon in the namespaces of an engine, which can be ended and
// started again: the engine itself ends with them.
type Second struct {
	engine *Engine
	socket string
	args   []string
	cmd    *exec.Cmd
	log    bytes.Buffer
}

// readyAfter bounds how long a second daemon takes to answer.
const readyAfter = 30 * time.Second

// Beside starts a second daemon by the daemon.json in file, or by an empty one, and ends
// it with the test. Its data are in the engine's own memory. As any daemon it makes
// /etc/docker/key.json on the machine, which Run takes away.
func Beside(t T, e *Engine, name, file string, flags ...string) *Second {
	t.Helper()
	folder := filepath.Dir(e.Socket())
	s := &Second{engine: e, socket: filepath.Join(folder, name+".sock")}
	if file == "" {
		file = filepath.Join(folder, name+".json")
		if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
			t.Fatalf("a second daemon: %v", err)
		}
	}
	dir := "/run/" + name
	s.args = append([]string{"--config-file", file, "--data-root", dir + "/data", "--exec-root", dir + "/exec", "--pidfile", dir + "/pid", "-H", s.Host(),
		"--containerd", containerdSocket, "--containerd-namespace", "at-" + name, "--containerd-plugins-namespace", "plugins-at-" + name}, flags...)
	s.Start(t)
	t.Cleanup(func() { s.End(os.Interrupt) })
	return s
}

// Host is the DOCKER_HOST of the daemon, and Socket its path.
func (s *Second) Host() string   { return "unix://" + s.socket }
func (s *Second) Socket() string { return s.socket }

// Docker runs Debian's docker command against the daemon, for at most a minute, and
// returns what it wrote.
func (s *Second) Docker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", append([]string{"-H", s.Host()}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Start starts the daemon after End, and waits until it answers. Its own words are in
// the failure of a test in which it does not.
func (s *Second) Start(t T) {
	t.Helper()
	s.log.Reset()
	s.cmd = s.engine.Enter(context.Background(), "dockerd", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.WaitDelay = time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("a second daemon: %v", err)
	}
	var err error
	for end := time.Now().Add(readyAfter); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, err = s.Docker("info"); err == nil {
			return
		}
	}
	s.End(os.Kill)
	t.Fatalf("the second daemon at %s does not answer: %v\n%s", s.socket, err, s.log.String())
}

// End sends the daemon a signal, and waits for its end. It may be called again.
func (s *Second) End(signal os.Signal) {
	_ = s.cmd.Process.Signal(signal) // nsenter became the daemon
	_ = s.cmd.Wait()
}

// Restart ends the daemon in order, and starts it.
func (s *Second) Restart(t T) {
	t.Helper()
	s.End(os.Interrupt)
	s.Start(t)
}
