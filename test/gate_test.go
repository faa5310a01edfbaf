package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestWhoAsked: two users deploy through a gate that stands before a real engine, and the
// inventory says who did what, and of what was done without the gate that nobody knows.
func TestWhoAsked(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	if err := e.Busybox(t.Context(), "shop/api:1"); err != nil {
		t.Fatal(err)
	}
	program, state := build(t), filepath.Join(t.TempDir(), "state")
	socket := filepath.Join(t.TempDir(), "gate.sock")
	var said bytes.Buffer
	start := func(args ...string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command(filepath.Join(program, "plimsoll"), append(args, "--state", state)...)
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("plimsoll %v: %v: %s", args, err, said.String())
			}
		})
		return cmd
	}
	standing := start("gate", "--mode", "enforce", "--upstream", e.Host(), "--listen", "unix://"+socket)
	d := &day{engine: nil, program: program, state: state}
	start("serve", "--host", e.Host())
	again(t, func() error {
		if len(d.events(t, trail.Engine)) == 0 {
			return fmt.Errorf("serve does not follow the engine")
		}
		_, err := os.Stat(socket)
		return err
	})
	// Whoever may connect is for the socket's mode to say; here everybody.
	for path := socket; path != "/tmp" && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	as := func(uid uint32, args ...string) error {
		cmd := exec.CommandContext(t.Context(), "/usr/bin/docker", args...)
		cmd.Env = []string{"DOCKER_HOST=unix://" + socket, "HOME=/nonexistent"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("docker %s as %d: %w: %s", strings.Join(args, " "), uid, err, out)
		}
		return nil
	}
	for _, step := range []struct {
		uid  uint32
		args []string
	}{
		{4001, []string{"run", "-d", "--name", "ana", "--stop-timeout", "1", "-l", "plimsoll.owner=team-shop", "shop/api:1", "sleep", "86400"}},
		{4002, []string{"run", "-d", "--name", "ben", "--stop-timeout", "1", "shop/api:1", "sleep", "86400"}},
		{4002, []string{"exec", "ana", "true"}},
		{4001, []string{"rm", "-f", "ben"}},
	} {
		if err := as(step.uid, step.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := as(4002, "run", "--privileged", "shop/api:1", "true"); err == nil || !strings.Contains(err.Error(), "(privileged, critical)") {
		t.Errorf("a privileged container: %v", err)
	}
	docker(t, e, "run", "-d", "--name", "beside", "--stop-timeout", "1", "shop/api:1", "sleep", "86400")
	uid := func(kind, name string) string {
		t.Helper()
		a := d.told(t, kind, name, 1).Actor
		if a == nil {
			return "nobody"
		}
		return fmt.Sprint(*a.UID)
	}
	for _, c := range []struct{ kind, name, want string }{
		{trail.Deploy, "ana", "4001"}, {trail.Start, "ana", "4001"}, {trail.Deploy, "ben", "4002"}, {trail.Exec, "ana", "4002"},
		{trail.Remove, "ben", "4001"}, {trail.Deploy, "beside", "nobody"}, {trail.Start, "beside", "nobody"},
	} {
		if got := uid(c.kind, c.name); got != c.want {
			t.Errorf("%s of %s was asked for by %s, want %s", c.kind, c.name, got, c.want)
		}
	}
	have := d.list(t)
	if who := have["ana"].Who; who != "uid 4001" || have["ana"].Via != "gate" || have["ana"].Owner != "team-shop" || have["beside"].Who != "" {
		t.Errorf("the inventory has %+v", have)
	}
	if err := standing.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	again(t, func() error {
		if text := d.plimsoll(t, 0, "trail", "list", "--gate", "--type", "count", "--format", "json"); !strings.Contains(text, `"looked":`) {
			return fmt.Errorf("the gate has not said how many requests only looked")
		}
		return nil
	})
	if t.Failed() {
		t.Log(d.plimsoll(t, 0, "trail", "list", "--gate"), d.plimsoll(t, 0, "trail", "list"), said.String())
	}
}
