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

	"github.com/google/go-cmp/cmp"

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
	// Others than the two come in other ways: somebody who logged in and became root, by ssh,
	// and from inside a container, whose root is not the host's.
	login := exec.CommandContext(t.Context(), "sh", "-c", "echo 4004 > /proc/self/loginuid && exec su root -s /bin/sh -c 'docker pause ana'")
	login.Env = []string{"DOCKER_HOST=unix://" + socket, "HOME=/nonexistent", "PATH=" + lab.Path, "DOCKER_CONFIG=" + state}
	if out, err := login.CombinedOutput(); err != nil {
		t.Fatalf("docker as root, who logged in as 4004: %v: %s", err, out)
	}
	server := lab.StartSSHD(t, "PATH="+lab.Path+" DOCKER_HOST=unix://"+socket, "cleo:x:4003:4003::/:/bin/sh")
	bin := t.TempDir()
	if err := os.Symlink(server.Program("known", "hosts"), filepath.Join(bin, "ssh")); err != nil {
		t.Fatal(err)
	}
	far := exec.CommandContext(t.Context(), "/usr/bin/docker", "-H", server.AddressOf("cleo", ""), "unpause", "ana")
	far.Env = []string{"PATH=" + bin + ":" + lab.Path, "HOME=/nonexistent", "DOCKER_CONFIG=" + state}
	if out, err := far.CombinedOutput(); err != nil {
		t.Fatalf("docker by ssh: %v: %s", err, out)
	}
	inside := strings.TrimSpace(docker(t, e, "run", "-d", "--name", "inside", "--stop-timeout", "1", "-v", "/:/host", "shop/api:1", "sleep", "86400"))
	docker(t, e, "exec", "-e", "DOCKER_CONFIG=/tmp", "inside", "chroot", "/host", "/usr/bin/docker", "-H", "unix://"+socket, "rename", "ana", "anna")
	for _, c := range []struct {
		kind string
		want trail.Actor
	}{
		{trail.Pause, trail.Actor{UID: uid32(0), LoginUID: uid32(4004)}},
		{trail.Resume, trail.Actor{UID: uid32(4003)}},
		{trail.Rename, trail.Actor{UID: uid32(0), Container: inside}},
	} {
		for name, of := range map[string]*trail.Actor{"the gate": d.asked(t, c.kind), "serve": d.told(t, c.kind, map[bool]string{true: "anna", false: "ana"}[c.kind == trail.Rename], 1).Actor} {
			if of == nil {
				t.Errorf("%s knows nobody who asked for %s", name, c.kind)
				continue
			}
			got := trail.Actor{UID: of.UID, LoginUID: of.LoginUID, Container: of.Container}
			if c.want.LoginUID == nil {
				got.LoginUID = nil // that of whoever runs the test, or none
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s, of %s: %s", name, c.kind, diff)
			}
		}
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

func uid32(n uint32) *uint32 { return &n }

// asked is who asked the gate first for something of a type, by the gate's own trail.
func (d *day) asked(t *testing.T, kind string) *trail.Actor {
	t.Helper()
	v, err := trail.Read(filepath.Join(d.state, "gate"))
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
		if e.Type == kind && e.Detail["gate"] == "asked" {
			return e.Actor
		}
	}
	return nil
}
