package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// labProcess is the lab command of these tests, in a process group of its own
// so that a signal to the group is what a terminal's Ctrl-C is.
func labProcess(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asLab+"="+testBase())
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Minute
	return cmd, &out
}

// code is a command's exit code, as a shell tells it.
func code(err error) int {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0
	}
	if s := exit.Sys().(syscall.WaitStatus); s.Signaled() {
		return 128 + int(s.Signal())
	}
	return exit.ExitCode()
}

func TestRun(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	tests := []struct {
		name, script string
		code         int
		out          string
	}{
		{"the command reaches the engine", `docker --host $PLIMSOLL_TEST_ENGINE version --format '{{.Server.Version}}' | grep -c .`, 0, "1\n"},
		{"it knows dockerd", `tr '\0' ' ' < /proc/$PLIMSOLL_TEST_PID/cmdline | cut -d' ' -f1`, 0, "dockerd\n"},
		{"it can start another", `test -x $PLIMSOLL_TEST_LAB`, 0, ""},
		{"its exit code is passed on", `exit 7`, 7, ""},
		{"its signal is passed on", `kill -9 $$`, 137, ""},
		{"what it leaves running ends", `setsid sleep 100123 & setsid sh -c 'sleep 100123 & sleep 100123' & exit 0`, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd, out := labProcess(t, "run", "sh", "-c", tt.script)
			cmd.Env = append(cmd.Env, "PATH="+Path)
			got := code(cmd.Run())
			if got != tt.code || out.String() != tt.out {
				t.Errorf("exit code %d and output %q; want %d and %q", got, out, tt.code, tt.out)
			}
		})
	}
	t.Run("a command that is not there", func(t *testing.T) {
		cmd, out := labProcess(t, "run", "/nonexistent")
		if got := code(cmd.Run()); got != failed || !strings.Contains(out.String(), "running the command") {
			t.Errorf("exit code %d and output %q; want %d and a reason", got, out, failed)
		}
	})
	t.Run("with packages that are there", func(t *testing.T) {
		cmd, out := labProcess(t, "test", "sh", "-c", "test -S ${PLIMSOLL_TEST_ENGINE#unix://} && echo reached; exit 5")
		if got := code(cmd.Run()); got != 5 || out.String() != "reached\n" {
			t.Errorf("exit code %d and output %q; want 5, and nothing of packages", got, out)
		}
	})
	left, err := exec.Command("pgrep", "-f", "^sleep 100123").Output()
	if err == nil {
		t.Errorf("processes are left: %s", left)
	}
	check("lab run")
}

// A run that is interrupted at any moment leaves nothing.
func TestInterrupted(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	const busy = `docker --host $PLIMSOLL_TEST_ENGINE run --detach --privileged --network host --volume /etc:/h bb:1; echo running; sleep 100123`
	const image = `d="docker --host $PLIMSOLL_TEST_ENGINE"; tar -C $(dirname $(command -v busybox)) -c busybox | $d import --change 'CMD ["/busybox","sleep","100000"]' - bb:1; `
	tests := []struct {
		name   string
		script string
		when   string        // what the output holds first
		after  time.Duration // and then
		signal syscall.Signal
		ends   []int // exit codes; an early signal finds no handler, a late one no lab
	}{
		{"as it starts", "sleep 100123", "", 0, syscall.SIGINT, []int{130}},
		{"as the keeper starts", "sleep 100123", "", 15 * time.Millisecond, syscall.SIGINT, []int{130}},
		{"as cgroups are made", "sleep 100123", "", 40 * time.Millisecond, syscall.SIGTERM, []int{143}},
		{"as containerd starts", "sleep 100123", "", 120 * time.Millisecond, syscall.SIGINT, []int{130}},
		{"as dockerd starts", "sleep 100123", "", 350 * time.Millisecond, syscall.SIGHUP, []int{129}},
		{"as the engine answers", "sleep 100123", "", 700 * time.Millisecond, syscall.SIGINT, []int{130}},
		{"as the command runs", "echo running; sleep 100123", "running", 0, syscall.SIGQUIT, []int{131}},
		{"as an image is made", "echo running; " + image + busy, "running", 50 * time.Millisecond, syscall.SIGINT, []int{130}},
		{"as a container starts", image + "echo running; " + busy, "running", 250 * time.Millisecond, syscall.SIGINT, []int{130}},
		{"as a container runs", image + busy, "running", 0, syscall.SIGTERM, []int{143}},
		{"as it clears up", image + "$d run --detach bb:1; echo running", "running", 5 * time.Millisecond, syscall.SIGINT, []int{0, 130}},
		{"as it clears up, later", image + "$d run --detach bb:1; echo running", "running", 80 * time.Millisecond, syscall.SIGHUP, []int{0, 129}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, out := interrupt(t, tt.script, tt.when, tt.after, func(pid int) {
				_ = syscall.Kill(-pid, tt.signal)
				// People press it more than once.
				time.Sleep(20 * time.Millisecond)
				_ = syscall.Kill(-pid, tt.signal)
			})
			if !oneOf(got, tt.ends) {
				t.Errorf("exit code %d, want one of %v; it said %s", got, tt.ends, out)
			}
			check("a signal")
		})
	}
	t.Run("a signal to the lab alone reaches the command", func(t *testing.T) {
		got, out := interrupt(t, "trap 'echo asked to end; exit 3' TERM; echo running; while true; do sleep 0.1; done", "running", 0,
			func(pid int) { _ = syscall.Kill(pid, syscall.SIGTERM) })
		if got != 143 || !strings.Contains(out, "asked to end") {
			t.Errorf("exit code %d, output %s", got, out)
		}
		check("a signal to the lab alone")
	})
}

// interrupt starts the lab, waits until its output holds when, and then after,
// and does something to it. It returns the lab's exit code and output.
func interrupt(t *testing.T, script, when string, after time.Duration, do func(pid int)) (int, string) {
	t.Helper()
	cmd, _ := labProcess(t, "run", "sh", "-c", script)
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(cmd.Env, "PATH="+Path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := func() string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if when != "" {
		waitFor(t, strconv.Quote(when), func() bool { return strings.Contains(said(), when) })
	}
	time.Sleep(after)
	do(cmd.Process.Pid)
	got := code(cmd.Wait())
	return got, said()
}

func oneOf(n int, of []int) bool {
	for _, o := range of {
		if n == o {
			return true
		}
	}
	return false
}

// Nobody can clear up after SIGKILL but those that are left.
func TestKilled(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	const script = `docker --host $PLIMSOLL_TEST_ENGINE version >/dev/null; echo running; exec sleep 100123`
	endCommand := func(pid int) {
		for _, p := range children(pid) {
			if !isKeeper(p, testBase()) {
				_ = syscall.Kill(p, syscall.SIGKILL)
			}
		}
	}
	t.Run("the lab", func(t *testing.T) {
		got, _ := interrupt(t, script, "running", 0, func(pid int) {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it must not see the command's end
			endCommand(pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		})
		if got != 137 {
			t.Errorf("exit code %d, want 137", got)
		}
		check("a lab that was killed")
	})
	t.Run("the lab as it starts", func(t *testing.T) {
		if got, _ := interrupt(t, script, "", 200*time.Millisecond, func(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }); got != 137 {
			t.Errorf("exit code %d, want 137", got)
		}
		sweepAll(t) // there was perhaps no keeper yet
		check("a lab that was killed as it started")
	})
	t.Run("the keeper", func(t *testing.T) {
		got, out := interrupt(t, script, "running", 0, func(pid int) {
			killKeeper(t, pid)
			_ = syscall.Kill(-pid, syscall.SIGINT)
		})
		if got != 130 {
			t.Errorf("exit code %d, want 130; it said %s", got, out)
		}
		check("a keeper that was killed")
	})
	t.Run("both, and then the next start sweeps", func(t *testing.T) {
		interrupt(t, script, "running", 0, func(pid int) {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it must not see the keeper's end
			endCommand(pid)
			killKeeper(t, pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		})
		left, err := os.ReadDir(testBase())
		if err != nil || len(left) != 1 {
			t.Fatalf("nothing was left to sweep: %v, %v", left, err)
		}
		sweepAll(t)
		check("a sweep")
	})
	t.Run("dockerd", func(t *testing.T) {
		e := start(t, Config{})
		if err := syscall.Kill(e.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "dockerd's end", func() bool { _, err := e.Docker("version"); return err != nil })
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		check("an engine that was killed")
	})
}

// sweepAll sweeps until no engine of this test run is left: a process that was
// killed holds its lock until the kernel has ended it.
func sweepAll(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	waitFor(t, "the sweep", func() bool {
		if err := sweep(ctx, testBase()); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(testBase())
		return errors.Is(err, fs.ErrNotExist)
	})
}

func killKeeper(t *testing.T, pid int) {
	t.Helper()
	for _, p := range children(pid) {
		if isKeeper(p, testBase()) {
			_ = syscall.Kill(p, syscall.SIGKILL)
			return
		}
	}
	t.Errorf("process %d has no keeper", pid)
}

func TestParseStat(t *testing.T) {
	tests := []struct {
		in          string
		pid, parent int
		ok          bool
	}{
		{"12 (sh) S 7 12 12 0", 12, 7, true},
		{"12 (a) b) (c) S 7 12", 12, 7, true},
		{"12 () R 1 1", 12, 1, true},
		{"12 (sh) S", 0, 0, false},
		{"12", 0, 0, false},
		{"", 0, 0, false},
		{"x (sh) S 7", 0, 7, false},
	}
	for _, tt := range tests {
		pid, parent, ok := parseStat(tt.in)
		if ok != tt.ok || ok && (pid != tt.pid || parent != tt.parent) {
			t.Errorf("%q: got %d, %d, %v; want %d, %d, %v", tt.in, pid, parent, ok, tt.pid, tt.parent, tt.ok)
		}
	}
}

// A process may call itself what it likes.
func FuzzParseStat(f *testing.F) {
	f.Add(12, "sh", 7)
	f.Add(1, ") S 99 ", 0)
	f.Add(4194304, "((", 4194303)
	f.Fuzz(func(t *testing.T, pid int, name string, parent int) {
		gotPid, gotParent, ok := parseStat(fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560\n", pid, name, parent))
		if !ok || gotPid != pid || gotParent != parent {
			t.Errorf("got %d, %d, %v; want %d, %d", gotPid, gotParent, ok, pid, parent)
		}
	})
}

func TestChildren(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if got := children(os.Getpid()); !oneOf(cmd.Process.Pid, got) || oneOf(os.Getpid(), got) {
		t.Errorf("got %v, want %d and not %d in it", got, cmd.Process.Pid, os.Getpid())
	}
	if isKeeper(cmd.Process.Pid, Base) {
		t.Error("sleep is taken for a keeper")
	}
}

func TestIsInterrupt(t *testing.T) {
	stopped, full := error(signalError{unix.SIGINT}), errors.New("disk full")
	yes := []error{stopped, context.Canceled, fmt.Errorf("starting: %w", stopped), errors.Join(stopped, context.Canceled)}
	no := []error{nil, full, errors.Join(stopped, full), fmt.Errorf("%w, then %w", stopped, full), context.DeadlineExceeded}
	for _, err := range yes {
		if !isInterrupt(err) {
			t.Errorf("%v is nothing but an interruption", err)
		}
	}
	for _, err := range no {
		if isInterrupt(err) {
			t.Errorf("%v says more than that it was interrupted", err)
		}
	}
}
