package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// World is what the lab's commands need of the world around them.
type World struct {
	Environ []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Signals are those that end the command early; each of them is followed by
	// clearing up, which further signals do not cut short.
	Signals <-chan os.Signal
	// OnDisk is Config's, for the engine of Run and Test.
	OnDisk bool

	base string // as Config's
}

// grace is how long a command may take to end after a signal was passed on.
const grace = 10 * time.Second

// Run starts an engine, runs argv with PLIMSOLL_TEST_ENGINE and its kin in the
// environment, and takes the engine away. It returns the command's exit code,
// or 128 and the signal's number if a signal ended it early; 125 with an error
// if it could not be run or something was left behind.
func Run(w World, argv []string) (code int, err error) {
	return w.interruptible(func(ctx context.Context) (int, error) { return w.run(ctx, argv) })
}

// Test is Run on a machine that may lack packages: those of names that are not
// installed are there while argv runs, and are removed again afterwards.
func Test(w World, names, argv []string) (code int, err error) {
	return w.interruptible(func(ctx context.Context) (int, error) {
		return w.withPackages(ctx, names, failed, func([]string) {}, func() (int, error) { return w.run(ctx, argv) })
	})
}

func (w World) run(ctx context.Context, argv []string) (int, error) {
	if _, err := os.Lstat(engineKey); errors.Is(err, fs.ErrNotExist) {
		defer os.Remove(engineKey)
	}
	return w.withEngine(ctx, failed, func(e *Engine) (int, error) {
		return w.command(ctx, argv, append(slices.Clone(w.Environ), e.environ()...))
	})
}

// engineKey is made by each daemon that tests start beside an engine, on the machine.
const engineKey = "/etc/docker/key.json"

// failed is the exit code of a lab that could not do its own part, as with
// env(1) and docker run.
const failed = 125

// withEngine gives do an engine for as long as it runs. Where that is not
// possible, or something is left behind, the exit code is unable.
func (w World) withEngine(ctx context.Context, unable int, do func(*Engine) (int, error)) (code int, err error) {
	e, err := Start(ctx, Config{base: w.base, OnDisk: w.OnDisk})
	if err != nil {
		return unable, err
	}
	defer func() {
		if cerr := e.Close(); cerr != nil {
			code, err = unable, errors.Join(err, cerr)
		}
	}()
	return do(e)
}

// withPackages gives do the packages of names for as long as it runs. It calls
// say with those that it will install before it installs them. Where that is
// not possible, or something is left behind, the exit code is unable.
func (w World) withPackages(ctx context.Context, names []string, unable int, say func(missing []string), do func() (int, error)) (code int, err error) {
	if os.Geteuid() != 0 {
		return unable, errors.New("a private engine needs root: run this as root")
	}
	if inRun := func(v string) bool { return strings.HasPrefix(v, "PLIMSOLL_TEST_ENGINE=") }; slices.ContainsFunc(w.Environ, inRun) {
		// The run around this one keeps its packages, and their record locked,
		// until it has ended.
		missing, err := Missing(names)
		if err != nil {
			return unable, err
		}
		if len(missing) == 0 {
			say(nil)
			return do()
		}
	}
	unlock, err := lockRecord()
	if err != nil {
		return unable, err
	}
	missing, err := Missing(names)
	if err != nil {
		unlock()
		return unable, err
	}
	kept, err := readRecord()
	if err != nil {
		unlock()
		return unable, err
	}
	say(missing)
	// What a killed run has left is removed after this one.
	leftover := kept.Throwaway
	if len(missing) == 0 && !leftover {
		unlock()
		return do()
	}
	defer unlock()
	if leftover {
		kept = record{}
	}
	if len(missing) > 0 {
		if err := install(ctx, w, missing, true); err != nil {
			return unable, err
		}
	}
	defer func() {
		if rerr := remove(w, kept); rerr != nil {
			code, err = unable, errors.Join(err, rerr)
		}
	}()
	return do()
}

// signalError is the cause of a context that a signal ended.
type signalError struct{ unix.Signal }

func (s signalError) Error() string { return "stopped by " + unix.SignalName(s.Signal) }

// interruptible runs do with a context that the first signal ends; do then has
// to clear up and return. The exit code is the signal's if there was one.
func (w World) interruptible(do func(context.Context) (int, error)) (int, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		for {
			select {
			case s := <-w.Signals:
				if ctx.Err() == nil {
					fmt.Fprintln(w.Stderr, "lab: clearing up")
				}
				cancel(signalError{s.(unix.Signal)})
			case <-done:
				return
			}
		}
	}()
	code, err := do(ctx)
	close(done)
	<-listening
	var s signalError
	if errors.As(context.Cause(ctx), &s) {
		code = 128 + int(s.Signal)
		// That it was interrupted is no news to whoever did it.
		if isInterrupt(err) {
			err = nil
		}
	}
	cancel(nil)
	return code, err
}

// isInterrupt reports whether err says that a signal came, and nothing else.
func isInterrupt(err error) bool {
	switch e := err.(type) {
	case signalError:
		return true
	case interface{ Unwrap() error }:
		return isInterrupt(e.Unwrap())
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !isInterrupt(err) })
	}
	return err == context.Canceled
}

// command runs argv and then ends what it left running, except the keepers of
// private engines, which it waits for. The command stays in the lab's process
// group: a terminal's Ctrl-C is meant for it too. Signals that came from
// elsewhere are passed on.
func (w World) command(ctx context.Context, argv, environ []string) (int, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return failed, fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	before := children(os.Getpid())
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = w.Stdin, w.Stdout, w.Stderr
	cmd.WaitDelay = grace
	if err := ctx.Err(); err != nil {
		return failed, err
	}
	if err := cmd.Start(); err != nil {
		return failed, fmt.Errorf("running the command: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		var s signalError
		if errors.As(context.Cause(ctx), &s) && !foreground() {
			_ = cmd.Process.Signal(s.Signal)
		}
		select {
		case err = <-ended:
		case <-time.After(grace):
			_ = cmd.Process.Kill()
			err = <-ended
		}
	}
	w.endOrphans(before)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return status.ExitStatus(), nil
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return failed, fmt.Errorf("running the command: %w", err)
	}
	return 0, nil
}

// foreground reports whether a terminal delivers its signals to this process's
// group, and so to the command too.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// endOrphans ends this process's children but those in keep, and theirs, until
// there are none. It works because orphans become children of the nearest
// ancestor that is a subreaper (prctl(2)).
func (w World) endOrphans(keep []int) {
	for {
		left := 0
		for _, pid := range children(os.Getpid()) {
			if slices.Contains(keep, pid) {
				continue
			}
			left++
			if !isKeeper(pid, orText(w.base, Base)) {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
			var status unix.WaitStatus
			_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil)
		}
		if left == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// children lists the processes whose parent is pid.
func children(pid int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var found []int
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // ended since
		}
		if child, parent, ok := parseStat(string(b)); ok && parent == pid {
			found = append(found, child)
		}
	}
	return found
}

// parseStat reads the process id and the parent's from /proc/PID/stat. The name
// between them may hold anything, blanks and brackets too (proc(5)).
func parseStat(stat string) (pid, parent int, ok bool) {
	head, _, ok1 := strings.Cut(stat, " ")
	last := strings.LastIndexByte(stat, ')')
	if !ok1 || last < 0 {
		return 0, 0, false
	}
	fields := strings.Fields(stat[last+1:])
	if len(fields) < 2 {
		return 0, 0, false
	}
	pid, err1 := strconv.Atoi(head)
	parent, err2 := strconv.Atoi(fields[1])
	return pid, parent, err1 == nil && err2 == nil
}

// isKeeper reports whether a process is an engine's keeper, which clears up
// and ends by itself once its starter is gone.
func isKeeper(pid int, base string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	args := strings.Split(string(b), "\x00")
	return err == nil && len(args) > 2 && args[1] == stageKeep && filepath.Dir(args[2]) == base
}
