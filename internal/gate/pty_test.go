package gate

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a command on a terminal of its own.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	read   sync.WaitGroup

	mu   sync.Mutex
	said bytes.Buffer
}

// onTerminal runs a line on a terminal of 24 rows and 80 columns.
func (s *side) onTerminal(ctx context.Context, line string) *terminal {
	s.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer slave.Close()
	p := &terminal{t: s.t, master: master, cmd: s.command(ctx, line)}
	p.resize(24, 80)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p.read.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				return // EIO once nobody has the other end
			}
			p.mu.Lock()
			p.said.Write(b[:n])
			p.mu.Unlock()
		}
	})
	return p
}

func (p *terminal) resize(rows, columns uint16) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		p.t.Error(err)
	}
}

func (p *terminal) types(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Error(err)
	}
}

// expect waits until a text was said.
func (p *terminal) expect(text string) {
	p.t.Helper()
	eventually(p.t, func() bool { return strings.Contains(p.text(), text) }, func() string { return fmt.Sprintf("%q in %q", text, p.text()) })
}

func (p *terminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// end waits for the command's end, and gives its exit code and all that was said.
func (p *terminal) end() outcome {
	err := p.cmd.Wait()
	p.read.Wait()
	p.master.Close()
	return outcome{Code: code(err), Out: strings.ReplaceAll(p.text(), "\r\n", "\n")}
}

// eventually waits until something is so; what says what did not come about.
func eventually(t *testing.T, is func() bool, what func() string) {
	t.Helper()
	for end := time.Now().Add(patient); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("it does not come to: %s", what())
			return
		}
	}
}
