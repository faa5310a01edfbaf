package engine

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestUnreachableSocket(t *testing.T) {
	// A socket whose listener has gone leaves its file behind.
	dead := socketPath(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	file := filepath.Join(t.TempDir(), "docker.sock")
	writeFile(t, file, "")
	for _, tc := range []struct{ name, path, source, cause, hint string }{
		{"no socket", dead + "2", "the default", "no such file or directory", "where docker looks when it is told nothing else"},
		{"no socket, named", dead + "2", "DOCKER_HOST", "no such file or directory", "That address comes from DOCKER_HOST. Start it"},
		{"nobody listens", dead, "--host", "connection refused", "nothing listens on it: the engine has stopped"},
		{"a file", file, "--host", "connection refused", "It is no socket. That address comes from --host."},
		{"a folder", filepath.Dir(file), "DOCKER_HOST", "connection refused", "It is no socket. That address comes from DOCKER_HOST."},
		{"a path under a file", file + "/x", "--host", "not a directory", "It may not be a socket."},
		{"a path too long for a socket", "/" + strings.Repeat("a", 120), "--host", "invalid argument", "It may not be a socket."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := clientOf(t, Config{Endpoint: Endpoint{Address: "unix://" + tc.path, Source: tc.source}})
			_, err := c.Info(t.Context())
			e := wantError(t, err, "the engine can't be reached at unix://"+tc.path, tc.hint)
			if !strings.Contains(e.Error(), tc.cause) || e.Status != 0 {
				t.Errorf("got %q with status %d, want %q and none", e, e.Status, tc.cause)
			}
		})
	}
}

func TestUnreachableTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for _, tc := range []struct{ name, address, hint string }{
		{"closed port", "tcp://" + closed, "nothing listens on that port"},
		{"unknown name", "tcp://no-such-harbour.invalid:2376", "The name of the host is not known here. That address comes from --host."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := clientOf(t, Config{Endpoint: Endpoint{Address: tc.address, Source: "--host"}})
			_, err := c.Info(t.Context())
			wantError(t, err, "the engine can't be reached at "+tc.address, tc.hint)
		})
	}
}

// A listener that is no HTTP server, or that closes at once.
func TestNotHTTP(t *testing.T) {
	for _, tc := range []struct{ name, says, message, hint string }{
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", "is not a Docker engine", "Something else listens there"},
		{"closes at once", "", "broke the connection off", "If it expects TLS, set DOCKER_TLS_VERIFY=1"},
		{"escapes", "\x1b[31m\r\n\r\n", "is not a Docker engine", "Something else listens there"},
		{"a head without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxHeaderBytes+10<<10), "is not a Docker engine", "Something else"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					// Reading the request first keeps the kernel from a reset.
					conn.Read(make([]byte, 4<<10))
					conn.Write([]byte(tc.says))
					conn.Close()
				}
			}()
			t.Cleanup(func() { l.Close(); <-ended })
			c := clientOf(t, Config{Endpoint: Endpoint{Address: "tcp://" + l.Addr().String(), Source: "--host"}})
			_, err = c.Info(t.Context())
			e := wantError(t, err, tc.message, tc.hint)
			if strings.Contains(e.Error(), "\x1b") {
				t.Errorf("an escape sequence is in %q", e)
			}
		})
	}
}

// A tcp engine under a prefix, as some proxies publish them.
func TestPrefix(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/a/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Write([]byte("OK"))
	})
	mux.HandleFunc("/a/version", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(version2010)) })
	mux.HandleFunc("/a/v1.41/info", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"ID":"x"}`)) })
	server := &http.Server{Handler: mux}
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-ended })
	c := clientOf(t, Config{Endpoint: Endpoint{Address: "tcp://" + l.Addr().String() + "/a"}})
	raw, err := c.Info(t.Context())
	if err != nil || string(raw) != `{"ID":"x"}` {
		t.Errorf("got %s (%v)", raw, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no address":       {},
		"negative timeout": {Endpoint: Endpoint{Address: "unix:///a"}, Timeout: -1},
		"TLS on a socket":  {Endpoint: Endpoint{Address: "unix:///a", TLS: &TLS{}}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
	c, err := New(Config{Endpoint: Endpoint{Address: "unix:///a", Source: "--host"}})
	if err != nil || c.Endpoint().Source != "--host" || c.timeout != DefaultTimeout {
		t.Errorf("got %+v (%v)", c, err)
	}
}

// asNobody runs the test binary as a client of the socket, as another user.
func asNobody(t *testing.T, socket string, groups ...uint32) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(filepath.Dir(socketPath(t)), "probe")
	if err := os.WriteFile(bin, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin)
	cmd.Dir = "/"
	cmd.Env = []string{probeEnv + "=unix://" + socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, Groups: groups}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// The kernel's own refusal of another user, and what that user is told.
func TestPermission(t *testing.T) {
	need(t, os.Geteuid() == 0, "root, to become another user")
	const group = 63877 // nobody's
	f := startFake(t, nil)
	if err := os.Chown(f.socket, 0, group); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		mode    os.FileMode
		folder  os.FileMode
		groups  []uint32
		want    string
		without string
	}{
		{"in the group", 0o660, 0o755, []uint32{group}, "reached\n", "can't"},
		{"open to all", 0o666, 0o755, nil, "reached\n", "can't"},
		{"not in the group", 0o660, 0o755, nil,
			"The socket belongs to the group 63877, and nobody is not in it. Run it with sudo", "usermod"},
		{"closed to the group", 0o600, 0o755, []uint32{group}, "The socket's mode is 0600, so not even its group 63877", "usermod"},
		{"a closed folder", 0o660, 0o700, []uint32{group}, "The folder of the socket is closed to nobody", "usermod"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.Chmod(f.socket, tc.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Dir(f.socket), tc.folder); err != nil {
				t.Fatal(err)
			}
			got := asNobody(t, f.socket, tc.groups...)
			if !strings.Contains(got, tc.want) || strings.Contains(got, tc.without) {
				t.Errorf("got %q, want %q in it and not %q", got, tc.want, tc.without)
			}
			if tc.want != "reached\n" && !strings.Contains(got, "can't be reached at unix://"+f.socket+": connect: permission denied") {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestPermissionHints(t *testing.T) {
	base := socketAccess{path: "/run/docker.sock", mode: 0o660, group: "docker", named: true, user: "mei"}
	for _, tc := range []struct {
		name string
		with func(*socketAccess)
		want []string
		not  string
	}{
		{"not in the group", func(*socketAccess) {},
			[]string{"belongs to the group docker, and mei is not in it", "sudo plimsoll audit", "sudo usermod -aG docker mei", "can become root"}, "Log in again,"},
		{"a group without a name", func(a *socketAccess) { a.group, a.named = "63877", false }, []string{"the group 63877, and mei is not in it"}, "usermod"},
		{"joined since", func(a *socketAccess) { a.member = true },
			[]string{"mei is in the group docker", "has not logged in since", "sg docker 'plimsoll audit'"}, "usermod"},
		{"in the group all the same", func(a *socketAccess) { a.member, a.current = true, true },
			[]string{"something else forbids it"}, "usermod"},
		{"group may not write", func(a *socketAccess) { a.mode = 0o640 }, []string{"mode is 0640"}, "usermod"},
		{"root", func(a *socketAccess) { a.root, a.user = true, "root" }, []string{"Even root is refused"}, "sudo"},
		{"unseen", func(a *socketAccess) { a.stat = os.ErrPermission }, []string{"folder of the socket is closed to mei"}, "usermod"},
	} {
		a := base
		tc.with(&a)
		hint := a.hint("plimsoll audit")
		for _, w := range tc.want {
			if !strings.Contains(hint, w) {
				t.Errorf("%s: got %q, want %q in it", tc.name, hint, w)
			}
		}
		if strings.Contains(hint, tc.not) {
			t.Errorf("%s: got %q, with %q in it", tc.name, hint, tc.not)
		}
	}
}

// TestHostIsKept: the command to repeat names the engine that was named, and no
// more where it was the default.
func TestHostIsKept(t *testing.T) {
	for _, tc := range []struct{ address, source, want string }{
		{"unix:///srv/engine.sock", "--host", "plimsoll audit --host unix:///srv/engine.sock"},
		{"unix:///srv/engine.sock", "DOCKER_HOST", "plimsoll audit --host unix:///srv/engine.sock"},
		{"unix:///srv/my engine's.sock", "--host", `plimsoll audit --host 'unix:///srv/my engine'\''s.sock'`},
		{"unix:///var/run/docker.sock", "the default", "plimsoll audit"},
	} {
		c := clientOf(t, Config{Endpoint: Endpoint{Address: tc.address, Source: tc.source}})
		again := "plimsoll audit" + c.hostFlag()
		if again != tc.want {
			t.Errorf("%s from %s: %s, want %s", tc.address, tc.source, again, tc.want)
		}
		for _, a := range []socketAccess{{user: "mei", stat: os.ErrPermission}, {user: "mei", group: "docker", mode: 0o660}} {
			if hint := a.hint(again); !strings.Contains(hint, "sudo "+again+"\n") {
				t.Errorf("the hint is %q", hint)
			}
		}
	}
}
