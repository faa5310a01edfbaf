package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/relay"
)

// Config says what is run. All but Dir, Signals and Log are required.
type Config struct {
	// Command is the program with its arguments.
	Command []string
	// Environ and Dir are what it gets, but for the variables that name an engine.
	Environ []string
	Dir     string
	// Stdin, Stdout and Stderr are the program's own: where they are files, no pipe is put
	// between.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Signals are those that plimsoll is sent meanwhile; they are for the program.
	Signals <-chan os.Signal

	Saying declare.Saying
	// Dialer connects to the engine, and At is what to call that.
	Dialer *engine.Dialer
	At     string
	// Folders are those that the socket's own folder may be made in, the first that will do.
	Folders []string
	Now     func() time.Time
	// Log is told what a person should know. Names in it may hold anything.
	Log func(format string, args ...any)
}

// Result is how it ended.
type Result struct {
	// Code is the program's exit code, 128 and the number of the signal that ended it.
	Code int
	// Requests counts all that the program asked; the others what was declared: the requests
	// that an engine said yes to.
	Requests, Containers, Services, Updates int64
}

// ErrNotStarted says that the program could not be started; what is wrong with it is in the
// error that wraps it. Who runs one branches on it.
var ErrNotStarted = errors.New("the program can't be started")

// engineVariables name an engine, or how to speak to it. None may be left: the program's
// client would try TLS on our socket, or call another.
var engineVariables = []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"}

// Run runs the program, and waits for it. What it left open to the engine ends with it. The
// program belongs to the same group of processes, so that a terminal's signals and its
// suspending go to both.
func Run(ctx context.Context, c Config) (Result, error) {
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	listener, socket, err := listen(c.Folders)
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(filepath.Dir(socket))
	cmd := exec.Command(c.Command[0], c.Command[1:]...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Stdin, c.Stdout, c.Stderr
	cmd.Env = slices.DeleteFunc(slices.Clone(c.Environ), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(engineVariables, name)
	})
	cmd.Env = append(cmd.Env, "DOCKER_HOST=unix://"+socket)

	ctx, cancel := context.WithCancel(ctx)
	p := &proxy{c: &c}
	served := make(chan error, 1)
	go func() {
		served <- relay.Serve(ctx, listener, func(err error) { c.Log("accepting a connection: %v", err) }, p.serve)
	}()
	err = cmd.Start()
	if err == nil {
		err = wait(cmd, c.Signals)
	} else {
		err = fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	cancel()
	err = cmp.Or(err, <-served)
	r := Result{Requests: p.requests.Load(), Containers: p.made[container].Load(), Services: p.made[service].Load(), Updates: p.made[serviceUpdate].Load()}
	if cmd.ProcessState != nil {
		r.Code = code(cmd.ProcessState)
	}
	return r, err
}

// wait waits for the program, and passes signals on to it.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if (sig == syscall.SIGINT || sig == syscall.SIGQUIT) && atTerminal() {
				continue // which has sent it to the program too
			}
			// One that has just ended cannot be told.
			_ = cmd.Process.Signal(sig)
		case err := <-ended:
			if bad := new(exec.ExitError); errors.As(err, &bad) {
				return nil
			}
			return err
		}
	}
}

// atTerminal says whether this group of processes is the one in the foreground of its
// terminal, to all of which that sends SIGINT and SIGQUIT (termios(3), ISIG).
func atTerminal() bool {
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer terminal.Close()
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// code is an exit code as shells have it.
func code(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// listen makes a socket in a folder that nobody else may enter.
func listen(folders []string) (l net.Listener, socket string, err error) {
	var failed []error
	for _, folder := range folders {
		if folder == "" {
			continue
		}
		own, err := os.MkdirTemp(folder, "plimsoll-deploy-") // for its owner alone
		if err != nil {
			failed = append(failed, err)
			continue
		}
		socket := filepath.Join(own, "docker.sock")
		// A path of more than 107 bytes is refused (unix(7)).
		if l, err := net.Listen("unix", socket); err == nil {
			return l, socket, nil
		} else {
			failed = append(failed, err, os.Remove(own))
		}
	}
	return nil, "", fmt.Errorf("making a socket for the program: %w", errors.Join(failed...))
}
