package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// deploying runs plimsoll deploy, with a declaration, in surroundings that change may change.
func deploying(program, host, runtime string, change func(*exec.Cmd), command ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(program, "plimsoll"), append([]string{"deploy", "--owner", "team-shop", "--why", "release 4.18", "--retire-after", "2030-01-31", "--"}, command...)...)
	cmd.Dir = runtime
	cmd.Env = []string{"PATH=" + lab.Path, "HOME=" + runtime, "DOCKER_CONFIG=" + runtime, "XDG_RUNTIME_DIR=" + runtime, "DOCKER_HOST=" + host}
	if change != nil {
		change(cmd)
	}
	return cmd
}

// TestDeploy: what a user deploys through a gate is told of by the gate, by serve and by the
// inventory: who, whose, why, until when, and from which commit and run. It is what a gate
// takes that requires an owner and a reason.
func TestDeploy(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	if err := e.Busybox(t.Context(), "shop/api:1"); err != nil {
		t.Fatal(err)
	}
	program, state, socket := build(t), filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "gate.sock")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("schema: plimsoll/policy/1\nrequire: {owner: true, why: true}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	for _, args := range [][]string{{"gate", "--mode", "enforce", "--policy", policy, "--upstream", e.Host(), "--listen", "unix://" + socket}, {"serve", "--host", e.Host()}} {
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
	}
	d := &day{program: program, state: state}
	again(t, func() error {
		if len(d.events(t, trail.Engine)) == 0 {
			return fmt.Errorf("serve does not follow the engine")
		}
		_, err := os.Stat(socket)
		return err
	})
	runtime := t.TempDir()
	for _, from := range []string{socket, runtime} {
		for path := from; path != "/tmp" && path != "/"; path = filepath.Dir(path) {
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := deploying(program, "unix://"+socket, runtime, func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4001, Gid: 4001}}
		cmd.Env = append(cmd.Env, "GITLAB_CI=true", "GITLAB_USER_LOGIN=bot", "CI_COMMIT_SHA=9f2c1aa", "CI_PROJECT_URL=https://git.example/shop", "CI_JOB_URL=https://git.example/shop/-/jobs/7")
	}, "docker", "run", "-d", "--name", "web", "--stop-timeout", "1", "-l", "plimsoll.intent=the API", "shop/api:1", "sleep", "86400").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := trail.Declared{Owner: "team-shop", Why: "release 4.18", Intent: "the API", RetireAfter: "2030-01-31", Source: "deploy"}
	told := d.told(t, trail.Deploy, "web", 1)
	if told.Declared == nil || *told.Declared != want || told.Actor == nil || *told.Actor.UID != 4001 {
		t.Errorf("serve says %+v of %+v", told.Declared, told.Actor)
	}
	for name, text := range map[string]string{"commit": "9f2c1aa", "repository": "https://git.example/shop", "run": "https://git.example/shop/-/jobs/7"} {
		if told.Detail[name] != text {
			t.Errorf("serve says %s %v, want %s", name, told.Detail[name], text)
		}
	}
	asked := 0
	for line := range strings.Lines(d.plimsoll(t, 0, "trail", "list", "--gate", "--format", "json")) {
		e, err := trail.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == trail.Deploy && e.Declared != nil && *e.Declared == want && *e.Actor.UID == 4001 {
			asked++
		}
	}
	if asked == 0 {
		t.Errorf("the gate was told nothing: %s", d.plimsoll(t, 0, "trail", "list", "--gate", "--format", "json"))
	}
	one := d.list(t)["web"]
	if one.Owner != want.Owner || one.Why != want.Why || one.Declared != "deploy" || one.Who != "uid 4001" || one.Commit != "9f2c1aa" || one.Run == "" || one.Repository == "" {
		t.Errorf("the inventory has %+v", one)
	}
	if text := d.plimsoll(t, 0, "inventory", "-v"); !strings.Contains(text, "deployed from https://git.example/shop at 9f2c1aa") || !strings.Contains(text, "run           https://git.example/shop/-/jobs/7") {
		t.Errorf("it shows %s", text)
	}
	// Without it, the gate misses what it is to require.
	beside := exec.Command("/usr/bin/docker", "create", "shop/api:1")
	beside.Env = []string{"DOCKER_HOST=unix://" + socket, "HOME=/nonexistent"}
	if out, err := beside.CombinedOutput(); err == nil || !strings.Contains(string(out), "plimsoll.owner") {
		t.Errorf("without a declaration: %v: %s", err, out)
	}
	// What the gate refuses is refused, in its own words.
	out, err = deploying(program, "unix://"+socket, runtime, nil, "docker", "run", "--rm", "--privileged", "shop/api:1", "true").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "(privileged, critical)") {
		t.Errorf("a privileged container: %v: %s", err, out)
	}
}

// TestDeployOnTerminal: what runs on a terminal has it, its keys reach it once, and no signal
// leaves a socket behind.
func TestDeployOnTerminal(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	if err := e.Busybox(t.Context(), "web:1"); err != nil {
		t.Fatal(err)
	}
	program := build(t)
	// Each says ready, and then gets what is typed, or the signal.
	for name, c := range map[string]struct {
		command []string
		types   string
		signal  syscall.Signal
		code    int
		says    string
	}{
		"a container's shell": {[]string{"docker", "run", "-it", "--rm", "web:1", "sh", "-c", "echo ready; read line; echo got $line; exit 7"}, "abc\n", 0, 7, "ready\nabc\ngot abc\n"},
		"a container's ctrl-c": {[]string{"docker", "run", "-it", "--rm", "web:1", "sh", "-c", "trap 'echo told; exit 8' INT; echo ready; while :; do sleep 0.1; done"}, "\x03", 0, 8,
			"ready\n^Ctold\n"},
		"ctrl-c":    {[]string{"sh", "-c", "trap 'echo told; sleep 0.3; exit 9' INT; echo ready; while :; do sleep 0.1; done"}, "\x03", 0, 9, "ready\n^Ctold\n"},
		"no trap":   {[]string{"sh", "-c", "echo ready; sleep 600"}, "\x03", 0, 130, "ready\n^C"},
		"terminate": {[]string{"sh", "-c", "echo ready; exec sleep 600"}, "", syscall.SIGTERM, 143, "ready\n"},
		"hang up":   {[]string{"sh", "-c", "trap 'echo told; exit 6' HUP; echo ready; while :; do sleep 0.1; done"}, "", syscall.SIGHUP, 6, "ready\ntold\n"},
	} {
		person, terminal, err := openTerminal(80)
		if err != nil {
			t.Fatal(err)
		}
		runtime := t.TempDir()
		cmd := deploying(program, e.Host(), runtime, func(cmd *exec.Cmd) {
			cmd.Args = append(cmd.Args[:2:2], append([]string{"-q"}, cmd.Args[2:]...)...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		}, c.command...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		terminal.Close()
		var mu sync.Mutex
		var screen strings.Builder
		shown := func() string {
			mu.Lock()
			defer mu.Unlock()
			return strings.ReplaceAll(screen.String(), "\r\n", "\n")
		}
		var read sync.WaitGroup
		read.Go(func() {
			chunk := make([]byte, 4096)
			for {
				n, err := person.Read(chunk)
				mu.Lock()
				screen.Write(chunk[:n])
				mu.Unlock()
				if err != nil {
					return // EIO: nobody has the other side open any more
				}
			}
		})
		again(t, func() error {
			if !strings.Contains(shown(), "ready\n") {
				return fmt.Errorf("%s: it shows %q", name, shown())
			}
			return nil
		})
		if sockets, _ := filepath.Glob(filepath.Join(runtime, "plimsoll-deploy-*", "docker.sock")); len(sockets) != 1 {
			t.Errorf("%s: there are the sockets %q", name, sockets)
		}
		if c.signal != 0 {
			err = cmd.Process.Signal(c.signal)
		} else {
			_, err = person.WriteString(c.types)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		read.Wait()
		person.Close()
		if got := cmd.ProcessState.ExitCode(); got != c.code || shown() != c.says {
			t.Errorf("%s: exit code %d, want %d; it shows %q, want %q", name, got, c.code, shown(), c.says)
		}
		if left, _ := filepath.Glob(filepath.Join(runtime, "plimsoll-*")); len(left) > 0 {
			t.Errorf("%s leaves %q", name, left)
		}
	}
}
