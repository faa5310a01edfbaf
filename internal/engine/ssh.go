package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// dialSSH runs the system's ssh, and on the other side docker's own bridge
// from its standard streams to the engine (`docker system dial-stdio`, in every
// docker client since 18.09). ssh gets one end of a socket pair as its standard
// input and output, so that the other end is an ordinary connection.
//
// The process belongs to the connection: Close ends it. If plimsoll dies, the
// socket closes and ssh ends by itself.
func dialSSH(ctx context.Context, program string, addr address) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket pair for ssh: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ssh"), os.NewFile(uintptr(fds[1]), "ssh")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close() // FileConn has made its own copy
	if err != nil {
		return nil, fmt.Errorf("making a connection for ssh: %w", err)
	}
	c := &sshConn{Conn: conn, done: make(chan struct{})}
	c.cmd = exec.Command(program, sshArgs(addr)...)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, &c.stderr
	// A group of its own keeps the terminal's Ctrl-C for us: ssh would die first,
	// and the engine would seem to have gone.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A shared master connection that ssh leaves behind (ControlPersist) holds
	// our end of its standard error; it must not hold us up.
	c.cmd.WaitDelay = time.Second
	if err := c.cmd.Start(); err != nil {
		conn.Close()
		return nil, &sshError{program: program, start: err}
	}
	go func() {
		c.exit = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// sshArgs is ssh's command line. Nothing in it can be asked for on the terminal
// (BatchMode): several connections open at once, and would ask at once.
func sshArgs(addr address) []string {
	args := []string{"-T", "-o", "BatchMode=yes", "-o", fmt.Sprintf("ConnectTimeout=%d", int(connectTimeout.Seconds()))}
	if addr.user != "" {
		args = append(args, "-l", addr.user)
	}
	if addr.port != "" {
		args = append(args, "-p", addr.port)
	}
	remote := "docker system dial-stdio"
	if addr.path != "" {
		// The remote side is a shell; in single quotes only the quote itself counts.
		remote = "docker --host 'unix://" + strings.ReplaceAll(addr.path, "'", `'\''`) + "' system dial-stdio"
	}
	return append(args, "--", addr.host, remote)
}

// sshConn is one ssh process, seen as a connection to the engine.
type sshConn struct {
	net.Conn
	cmd    *exec.Cmd
	stderr tail          // written by cmd's own goroutine; read only after done
	exit   error         // set before done is closed
	done   chan struct{} // closed when the process has been waited for
	close  sync.Once
}

// Read gives the reason of ssh's end in place of a bare end of file: a name
// that is not found, a key that is refused, a missing docker command.
func (c *sshConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.reason(err)
}

// Write does the same in place of a broken pipe: ssh may end before it is asked anything.
func (c *sshConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.reason(err)
}

// reason is why ssh ended, where an error says that it did.
func (c *sshConn) reason(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	// ssh has closed its end, so it is about to exit, if nothing keeps it. The
	// pause is for the one that lingers; its words are then missing.
	select {
	case <-c.done:
	case <-time.After(2 * time.Second):
		return err
	}
	var code *exec.ExitError
	if errors.As(c.exit, &code) {
		return &sshError{program: c.cmd.Path, code: code.ExitCode(), stderr: c.stderr.String()}
	}
	return err
}

// CloseWrite tells the engine that no more comes: ssh passes the end of its input on, and
// so does dial-stdio.
func (c *sshConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// NetConn is the socket that ssh has the other end of, to be looked at only.
func (c *sshConn) NetConn() net.Conn { return c.Conn }

// Close ends the process and waits for it.
func (c *sshConn) Close() error {
	var err error
	c.close.Do(func() {
		err = c.Conn.Close()
		// It has nothing left to carry. Killing one that has just exited is
		// refused, and that is all right.
		_ = c.cmd.Process.Kill()
		<-c.done
	})
	return err
}

// sshError is an ssh that could not be started (start), or that ended with a
// code of its own (255) or of the remote command (any other).
type sshError struct {
	program string
	start   error
	code    int
	stderr  string
}

func (e *sshError) Error() string {
	if e.start != nil {
		return e.start.Error()
	}
	if said := printable(e.stderr, 300); said != "" {
		return said
	}
	return fmt.Sprintf("%s ended with exit code %d and said nothing", e.program, e.code)
}

func (e *sshError) Unwrap() error { return e.start }

// tail keeps the end of what is written to it: a server's banner comes first,
// the reason of a failure last.
type tail struct{ b []byte }

const tailBytes = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// String is the last line with something in it.
func (t *tail) String() string {
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
