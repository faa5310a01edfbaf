package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

// second is another daemon in the namespaces of an engine: a node of a swarm, or one
// that can be restarted.
type second struct {
	socket string
	engine *lab.Engine
	args   []string
	stop   func()
}

// Host is the address of the daemon's socket.
func (s *second) Host() string { return "unix://" + s.socket }

func (s *second) docker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", append([]string{"-H", s.Host()}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// keyFile is made by this engine for itself, and on the machine.
const keyFile = "/etc/docker/key.json"

// keyIsOurs says that there was none before any test of ours.
var keyIsOurs = func() bool {
	_, err := os.Stat(keyFile)
	return errors.Is(err, fs.ErrNotExist)
}()

// beside starts a daemon by the daemon.json in file, or by an empty one, and ends it
// with the test.
func beside(t *testing.T, e *lab.Engine, name, file string, flags ...string) *second {
	t.Helper()
	s := &second{socket: filepath.Join(filepath.Dir(e.Socket()), name+".sock"), engine: e}
	dir := "/run/" + name // the engine's own, in memory
	if keyIsOurs {
		t.Cleanup(func() { os.Remove(keyFile) })
	}
	if file == "" {
		file = filepath.Join(t.TempDir(), "daemon.json")
		if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.args = append([]string{"--config-file", file, "--data-root", dir + "/data", "--exec-root", dir + "/exec", "--pidfile", dir + "/pid", "-H", s.Host(),
		"--containerd", "/run/containerd/containerd.sock", "--containerd-namespace", "at-" + name, "--containerd-plugins-namespace", "plugins-at-" + name}, flags...)
	s.start(t)
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *second) start(t *testing.T) {
	t.Helper()
	var log bytes.Buffer
	cmd := s.engine.Enter(context.Background(), "dockerd", s.args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.stop = func() {
		_ = cmd.Process.Signal(os.Interrupt) // nsenter became the daemon
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the daemon of %s said:\n%s", s.socket, log.String())
		}
	}
	again(t, func() error {
		_, err := s.docker("info")
		return err
	})
}

func (s *second) restart(t *testing.T) {
	t.Helper()
	s.stop()
	s.start(t)
}
