package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// command is a program as the script's own exec would run it.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	path := args[0]
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(dir, args[0])); err == nil && info.Mode().IsRegular() {
			path = filepath.Join(dir, args[0])
			break
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TERM", "LANG", "LC_ALL", "NO_COLOR", "DOCKER_HOST", "WORK", "TMPDIR", "GOCOVERDIR"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// split connects a command to what scripts know as stdout and stderr.
func split(ts *testscript.TestScript, cmd *exec.Cmd) *exec.Cmd {
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	return cmd
}

// cmdInterrupted sends SIGINT when the fake engine is asked for its containers,
// which it then does not answer.
func cmdInterrupted(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "interrupted CODE PROGRAM ARG...")
	cmd := split(ts, command(ts, args[1:]))
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ts.Value(fakeKey{}).(*fake).asked:
	case err := <-ended:
		ts.Fatalf("it ended before it asked the engine: %v", err)
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	demand(ts, <-ended, number(ts, args[0]))
}

// cmdNobody runs a program as a user who may do nothing. It is linked to where
// that user can get at it.
func cmdNobody(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "nobody CODE PROGRAM ARG...")
	cmd := split(ts, command(ts, args[1:]))
	dir, err := os.MkdirTemp("", "plimsoll")
	ts.Check(err)
	defer os.RemoveAll(dir)
	ts.Check(os.Chmod(dir, 0o755))
	program := filepath.Join(dir, args[1])
	ts.Check(os.Link(cmd.Path, program))
	cmd.Path, cmd.Dir = program, dir
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	demand(ts, cmd.Run(), number(ts, args[0]))
}

// cmdWithin bounds the peak of the memory that a run has in use. The kernel
// counts in what the test itself had when it started the program, so the true
// figure may be lower, never higher.
func cmdWithin(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 3, "within MIB CODE PROGRAM ARG...")
	out, err := os.Create(ts.MkAbs("out"))
	ts.Check(err)
	defer out.Close()
	cmd := split(ts, command(ts, args[2:]))
	cmd.Stdout = out
	demand(ts, cmd.Run(), number(ts, args[1]))
	// Maxrss is in KiB (getrusage(2)).
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
	ts.Logf("peak: %d MiB, processor time: %v", peak, cmd.ProcessState.UserTime())
	if limit := int64(number(ts, args[0])); peak > limit {
		ts.Fatalf("%d MiB were in use, and %d are allowed", peak, limit)
	}
}

// cmdOn runs a program on a pseudo-terminal, as a person would see it: both
// streams on one screen. What it shows becomes stdout, with ESC written as ^[.
// As soon as a fake engine's progress is on the screen, it goes on answering.
func cmdOn(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 3, "on COLUMNS CODE PROGRAM ARG...")
	person, terminal, err := openTerminal(number(ts, args[0]))
	ts.Check(err)
	defer person.Close()
	cmd := command(ts, args[2:])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	terminal.Close()
	ts.Check(err)
	var screen bytes.Buffer
	chunk := make([]byte, 32<<10)
	for {
		n, err := person.Read(chunk)
		screen.Write(chunk[:n])
		if bytes.Contains(screen.Bytes(), []byte("so far")) {
			ts.Value(fakeKey{}).(*fake).release()
		}
		if err != nil {
			break // EIO: nobody has the other side open any more
		}
	}
	text := strings.ReplaceAll(screen.String(), "\r\n", "\n")
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(text, "\x1b", "^["))
	demand(ts, cmd.Wait(), number(ts, args[1]))
}

// openTerminal opens a pseudo-terminal (pts(4)): the side of the person, and
// the side of the program.
func openTerminal(columns int) (person, program *os.File, err error) {
	if person, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	conn, err := person.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var n int
	controlErr := conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err != nil {
			return
		}
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err != nil {
			return
		}
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)})
	})
	if err == nil {
		err = controlErr
	}
	if err == nil {
		program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		person.Close()
		return nil, nil, fmt.Errorf("setting up the pseudo-terminal: %w", err)
	}
	return person, program, nil
}
