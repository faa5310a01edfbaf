package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// The test program takes a socket as a service does, and says over it what came of it.
const asService = "PLIMSOLL_TEST_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(asService) == "" {
		os.Exit(m.Run())
	}
	pid := os.Getpid()
	if os.Getenv(asService) == "child" {
		pid++ // as if what was handed over were meant for another
	}
	e := Env{Getenv: func(name string) string {
		if name == "LISTEN_PID" {
			return strconv.Itoa(os.Getpid())
		}
		return os.Getenv(name)
	}, PID: pid}
	l, err := e.Listener()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if err := e.Ready(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c, err := l.Accept()
	if err == nil {
		_, err = c.Write([]byte("served"))
	}
	if err = errors.Join(err, c.Close(), l.Close()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// service runs the test program as a service with n times the socket, and gives what it
// said.
func service(t *testing.T, how string, socket *net.UnixListener, n int, notify string) *exec.Cmd {
	t.Helper()
	f, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{asService + "=" + how, "LISTEN_FDS=" + strconv.Itoa(n), "NOTIFY_SOCKET=" + notify}
	for range n {
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	return cmd
}

func listen(t *testing.T) (*net.UnixListener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

// TestService: a service serves on the socket that it was handed, and says that it is
// ready, by a path and by an abstract name; its end leaves the socket in place.
func TestService(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@plimsoll-" + strconv.Itoa(os.Getpid())} {
		notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer notify.Close()
		socket, path := listen(t)
		cmd := service(t, "service", socket, 1, name)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := make([]byte, 64)
		n, err := notify.Read(said)
		if err != nil || string(said[:n]) != "READY=1" {
			t.Fatalf("it told systemd %q: %v", said[:n], err)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		n, err = c.Read(said)
		if err != nil || string(said[:n]) != "served" {
			t.Fatalf("it served %q: %v", said[:n], err)
		}
		c.Close()
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the socket went with the service: %v", err)
		}
	}
}

// TestNotHandedOver: what is meant for another process, none, and more than one are not
// taken.
func TestNotHandedOver(t *testing.T) {
	socket, _ := listen(t)
	for _, c := range []struct {
		how  string
		n    int
		want string
	}{
		{"child", 1, ErrNoSocket.Error()},
		{"service", 0, ErrNoSocket.Error()},
		{"service", 2, "systemd has handed over 2 sockets, not one"},
	} {
		out, err := service(t, c.how, socket, c.n, "").CombinedOutput()
		if err == nil || string(out) != c.want+"\n" {
			t.Errorf("%s with %d: %v, %s", c.how, c.n, err, out)
		}
	}
	none := Env{Getenv: func(string) string { return "" }, PID: 1}
	if _, err := none.Listener(); !errors.Is(err, ErrNoSocket) {
		t.Errorf("without systemd: %v", err)
	}
	if err := none.Ready(); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	gone := Env{Getenv: func(string) string { return "/nonexistent/notify" }}
	if err := gone.Ready(); err == nil {
		t.Error("nobody listens, and it was told")
	}
}
