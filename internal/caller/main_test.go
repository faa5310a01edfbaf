package caller

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// taskEnv makes the test binary a process that connects, or that looks at who does.
const taskEnv = "PLIMSOLL_TEST_CALLER"

// task is what such a process does: its steps, one after the other.
type task struct {
	Socket string
	Steps  []string
	Source struct {
		Proc, Passwd string
		ByNumber     bool
	}
}

func init() {
	if os.Getenv(taskEnv) != "" {
		// The kernel lets only the first thread write its loginuid.
		runtime.LockOSThread()
	}
}

// program makes a copy of the test binary that every user may execute, once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := openDir("")
	if err != nil {
		return "", err
	}
	programDir = dir
	path := filepath.Join(dir, "caller.test")
	return path, copyFile("/proc/self/exe", path)
})

var programDir string // to be removed

func TestMain(m *testing.M) {
	if text := os.Getenv(taskEnv); text != "" {
		var t task
		err := json.Unmarshal([]byte(text), &t)
		if err == nil {
			err = t.run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if programDir != "" {
		os.RemoveAll(programDir)
	}
	os.Exit(code)
}

// testProgram is the path of that copy.
func testProgram(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// openDir makes a folder that every user may enter, unlike t.TempDir.
func openDir(base string) (string, error) {
	dir, err := os.MkdirTemp(base, "plimsoll-caller")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

func (t *task) run() error {
	var conn *net.UnixConn
	for i, step := range t.Steps {
		verb, rest, _ := strings.Cut(step, " ")
		var err error
		switch verb {
		case "setuid": // and remain what it is
			var id int
			if id, err = strconv.Atoi(rest); err == nil {
				err = errors.Join(syscall.Setuid(id), writeLine(conn))
			}
		case "login": // as pam_loginuid does
			err = os.WriteFile("/proc/self/loginuid", []byte(rest), 0)
		case "nologin": // and it must not be allowed to
			if err = os.WriteFile("/proc/self/loginuid", []byte(rest), 0); err == nil {
				err = fmt.Errorf("loginuid %s could be written", rest)
			} else {
				err = nil
			}
		case "name":
			var name string
			if name, err = strconv.Unquote(rest); err == nil {
				bytes := append([]byte(name), 0)
				err = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&bytes[0])), 0, 0, 0)
			}
		case "become": // as su does: the rest is for the program that it executes
			t.Steps = t.Steps[i+1:]
			err = t.become(rest)
		case "join":
			err = os.WriteFile(filepath.Join(rest, "cgroup.procs"), []byte("0"), 0)
		case "proc":
			err = mountProc(t.Source.Proc, rest)
		case "connect":
			conn, err = t.connect()
		case "exec": // keeps the connection
			if err = keepOnExec(conn); err == nil {
				err = unix.Exec(rest, []string{filepath.Base(rest), "60"}, nil)
			}
		case "hand": // to a child that lives on
			err = hand(conn)
		case "thread": // ends the first thread; another holds the connection
			go hold(conn)
			unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
		case "hold":
			hold(conn)
		case "inherit": // the connection is file 3
			var c net.Conn
			if c, err = net.FileConn(os.NewFile(3, "connection")); err == nil {
				conn = c.(*net.UnixConn)
				err = writeLine(conn)
			}
		case "spawn": // one that connects
			err = t.child("connect", "hold").Start()
		case "wait": // for the end of the parent
			io.Copy(io.Discard, os.Stdin)
		case "reuse":
			err = t.reuse(rest)
		case "judge":
			err = t.judge(rest)
		default:
			err = fmt.Errorf("no such step")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return nil
}

func (t *task) become(text string) error {
	id, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(id), syscall.Setuid(id)); err != nil {
		return err
	}
	return unix.Exec(os.Args[0], os.Args, t.environ())
}

// child is a process with other steps.
func (t *task) child(steps ...string) *exec.Cmd {
	work := *t
	work.Steps = steps
	cmd := exec.Command(os.Args[0])
	cmd.Env = work.environ()
	cmd.Stderr = os.Stderr
	return cmd
}

// environ is what the environment of a process with this task needs.
func (t *task) environ() []string {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and flags
	}
	return []string{taskEnv + "=" + string(text), "GORACE=atexit_sleep_ms=0"}
}

func mountProc(dir, options string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", dir, "proc", 0, options)
}

// report is what a process that connects knows of itself.
type report struct {
	PID, UID, GID int
	Groups        []int
}

func (t *task) connect() (*net.UnixConn, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: t.Socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	r := report{PID: os.Getpid(), UID: os.Geteuid(), GID: os.Getegid()}
	if r.Groups, err = os.Getgroups(); err != nil {
		return nil, err
	}
	return conn, json.NewEncoder(conn).Encode(r)
}

// writeLine tells that something was done.
func writeLine(conn *net.UnixConn) error {
	_, err := conn.Write([]byte("{}\n"))
	return err
}

// hold waits until the other side closes.
func hold(conn *net.UnixConn) {
	io.Copy(io.Discard, conn)
	os.Exit(0)
}

func keepOnExec(conn *net.UnixConn) error {
	f, err := conn.File()
	if err != nil {
		return err
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFD, 0)
	return err
}

func hand(conn *net.UnixConn) error {
	f, err := conn.File()
	if err != nil {
		return err
	}
	cmd := (&task{}).child("inherit", "hold")
	cmd.ExtraFiles = []*os.File{f}
	return cmd.Start()
}

// judge prints who makes each of n connections to the listener in file 3.
func (t *task) judge(n string) error {
	count, err := strconv.Atoi(n)
	if err != nil {
		return err
	}
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	s := t.source()
	for range count {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			return err
		}
		c, err := s.Of(conn.(*net.UnixConn))
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(c); err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

func (t *task) source() *Source {
	return &Source{Proc: t.Source.Proc, Passwd: t.Source.Passwd, byNumber: t.Source.ByNumber}
}

// need ends a test that lacks a real part: a failure under CI, else a skip.
func need(t testing.TB, err error, what string) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("this test needs %s: %v", what, err)
	default:
		t.Skipf("this test needs %s: %v", what, err)
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		need(t, os.ErrPermission, "root")
	}
}

// listener is a socket that every user may connect to.
type listener struct {
	*net.UnixListener
	path string
}

func listen(t testing.TB) *listener {
	t.Helper()
	dir, err := openDir("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	return &listener{l, path}
}

// start starts a process with a task. It ends with the test.
func start(t testing.TB, work task, setup func(*exec.Cmd)) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(testProgram(t))
	cmd.Env = work.environ()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if setup != nil {
		setup(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %v: %v", work.Steps, err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// accepted is a connection and what its maker said of itself.
type accepted struct {
	*net.UnixConn
	said report
}

func (l *listener) accept(t testing.TB) accepted {
	t.Helper()
	if err := l.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a := accepted{UnixConn: conn}
	a.read(t)
	return a
}

// read waits for the next line of whoever holds the connection.
func (a *accepted) read(t testing.TB) {
	t.Helper()
	if err := a.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var line []byte
	for one := make([]byte, 1); ; {
		if _, err := a.Read(one); err != nil {
			t.Fatalf("reading what the process says: %v", err)
		}
		if line = append(line, one[0]); one[0] == '\n' {
			break
		}
	}
	if err := json.Unmarshal(line, &a.said); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
}

// caller is who a process is that does steps, of which one is to connect.
func (l *listener) caller(t testing.TB, s *Source, setup func(*exec.Cmd), steps ...string) (*Caller, accepted, *exec.Cmd) {
	t.Helper()
	cmd := start(t, task{Socket: l.path, Steps: steps}, setup)
	conn := l.accept(t)
	return of(t, s, conn.UnixConn), conn, cmd
}

func of(t testing.TB, s *Source, conn *net.UnixConn) *Caller {
	t.Helper()
	c, err := s.Of(conn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seen fails unless everything about a caller is known.
func seen(t testing.TB, c *Caller) {
	t.Helper()
	missed := c.Unseen
	if all, err := allCgroups("/proc"); err == nil && !all { // these tests run in a container
		missed = slices.DeleteFunc(slices.Clone(missed), func(u Unseen) bool { return u.Field == "container" && strings.Contains(u.Reason, "--cgroupns") })
	}
	if !c.Seen || len(missed) != 0 || c.Unmapped || c.Started == 0 {
		t.Errorf("not all is seen: %+v", c)
	}
}

// unseen fails unless the process was not seen, for a reason, and nothing is said of it.
func unseen(t testing.TB, c *Caller, reason string) {
	t.Helper()
	i := slices.IndexFunc(c.Unseen, func(u Unseen) bool { return u.Field == "process" && strings.Contains(u.Reason, reason) })
	if c.Seen || i < 0 || c.Started != 0 || c.LoginUID != nil || c.Exe+c.Command+c.Container+c.TTY != "" {
		t.Errorf("%+v, but it should not be seen: %s", c, reason)
	}
}

// await waits until something holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}

// both runs a test with the two ways to pin a process.
func both(t *testing.T, test func(t *testing.T, s *Source)) {
	t.Run("by the kernel's pidfd", func(t *testing.T) { test(t, &Source{}) })
	t.Run("by number", func(t *testing.T) { test(t, &Source{byNumber: true}) })
}
