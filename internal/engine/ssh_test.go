package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/test/lab"
)

// loginEnv is the environment in which docker's client is found and told where
// the engine is.
func loginEnv(t *testing.T, socket string) string {
	t.Helper()
	docker, err := exec.LookPath("docker")
	need(t, err == nil, "docker's command line client")
	return "PATH=" + filepath.Dir(docker) + ":/usr/bin:/bin DOCKER_HOST=unix://" + socket
}

func TestSSH(t *testing.T) {
	f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info") {
			conn, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			buf.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
			buf.Flush()
			conn.Close()
			return
		}
		io.WriteString(w, `[{"Id":"a"}]`)
	})
	s := lab.StartSSHD(t, loginEnv(t, f.socket))
	program := s.Program("known", "hosts")

	c := clientOf(t, Config{Endpoint: Endpoint{Address: s.Address("")}, SSH: program})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			got, err := c.ContainerList(t.Context())
			if err != nil || len(got) != 1 || string(got[0]) != `{"Id":"a"}` {
				t.Errorf("got %s (%v)", got, err)
			}
		})
	}
	wg.Wait()
	_, err := c.Info(t.Context())
	wantError(t, err, "went away in the middle", "run plimsoll again")
	if got, err := c.ContainerList(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("after a broken answer: %s (%v)", got, err)
	}

	// Close ends the ssh processes.
	if len(running(t, program)) == 0 {
		t.Error("no ssh is running for a connection that is kept")
	}
	c.Close()
	left := running(t, program)
	for range 200 {
		if len(left) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
		left = running(t, program)
	}
	if len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

// running are the command lines of processes that mention program.
func running(t *testing.T, program string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte(program)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// At most sshConns logins at once, however many calls.
func TestSSHConnections(t *testing.T) {
	var inside atomic.Int32
	full := make(chan struct{})
	f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		// Nobody leaves before as many are in as may be.
		if inside.Add(1) == sshConns {
			close(full)
		}
		select {
		case <-full:
		case <-r.Context().Done():
		}
		io.WriteString(w, `[]`)
	})
	s := lab.StartSSHD(t, loginEnv(t, f.socket))
	c := clientOf(t, Config{Endpoint: Endpoint{Address: s.Address("")}, SSH: s.Program("known", "hosts")})
	var wg sync.WaitGroup
	for range 4 * sshConns {
		wg.Go(func() {
			if _, err := c.ContainerList(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c.Close() // the sessions hold the server's log
	s.Stop()
	if n := strings.Count(s.Log(), "Accepted publickey"); n != sshConns {
		t.Errorf("%d logins for %d calls, want %d", n, 4*sshConns, sshConns)
	}
}

// The socket on the other side can be named, also one that a shell would trip
// over.
func TestSSHPath(t *testing.T) {
	f := &fake{t: t, socket: socketPath(t), version: version2010}
	f.socket = filepath.Join(filepath.Dir(f.socket), "it's $(id) & a socket")
	f.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		io.WriteString(w, map[string]string{"/_ping": "OK", "/version": version2010}[r.URL.Path])
	}))
	s := lab.StartSSHD(t, loginEnv(t, "/nowhere"))
	addr, err := parseAddress(s.Address(strings.ReplaceAll(f.socket, " ", "%20")))
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, Config{Endpoint: Endpoint{Address: addr.String()}, SSH: s.Program("known", "hosts")})
	if got, err := c.API(t.Context()); err != nil || got != "1.41" {
		t.Errorf("got %q (%v)", got, err)
	}
}

func TestSSHFails(t *testing.T) {
	s := lab.StartSSHD(t, loginEnv(t, "/nowhere/docker.sock"))
	bare := lab.StartSSHD(t, "PATH=/nowhere")
	writeFile(t, s.At("none"), "")
	closed := lab.StartSSHD(t, "PATH=/nowhere")
	closed.Stop()
	for _, tc := range []struct {
		name, address, program, message, hint string
	}{
		{"no docker there", bare.Address(""), bare.Program("known", "hosts"), "there is no docker command on 127.0.0.1", "Install docker's client there"},
		{"no engine there", s.Address(""), s.Program("known", "hosts"), "/nowhere/docker.sock", "The login works, but docker's bridge"},
		{"an unknown host key", s.Address(""), s.Program("known", "none"), "Host key verification failed.", "the host's key known"},
		{"an unknown user key", s.Address(""), s.Program("unknown", "hosts"), "Permission denied (publickey).", "the key must be in the agent"},
		{"no server", closed.Address(""), closed.Program("known", "hosts"), "Connection refused", "ssh could not log in"},
		{"no ssh", s.Address(""), "no-such-ssh", "executable file not found", "sudo apt-get install openssh-client"},
		{"no ssh at a path", s.Address(""), "/nowhere/ssh", "no such file", "sudo apt-get install openssh-client"},
		{"an ssh that may not run", s.Address(""), s.At("none"), "permission denied", "could not be started"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := clientOf(t, Config{Endpoint: Endpoint{Address: tc.address}, SSH: tc.program})
			_, err := c.Info(t.Context())
			e := wantError(t, err, tc.message, tc.hint)
			var ssh *sshError
			if !errors.As(err, &ssh) || e.Status != 0 {
				t.Errorf("got %#v", err)
			}
		})
	}
}

// TestSSHEndsFirst: an ssh that has ended says why, whether it is read from or written to.
func TestSSHEndsFirst(t *testing.T) {
	program := filepath.Join(t.TempDir(), "ssh")
	writeFile(t, program, "#!/bin/sh\necho no way there >&2\nexit 255\n")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, use := range map[string]func(net.Conn) error{
		"read":  func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"write": func(c net.Conn) error { _, err := c.Write([]byte("x")); return err },
	} {
		c, err := dialSSH(t.Context(), program, address{scheme: "ssh", host: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		<-c.(*sshConn).done
		err = use(c)
		var ssh *sshError
		if !errors.As(err, &ssh) || ssh.code != 255 || ssh.Error() != "no way there" {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}
}

func TestSSHArgs(t *testing.T) {
	lead := []string{"-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"}
	for _, tc := range []struct {
		address string
		want    []string
	}{
		{"ssh://harbour-1", []string{"--", "harbour-1", "docker system dial-stdio"}},
		{"ssh://mei@harbour-1:2222", []string{"-l", "mei", "-p", "2222", "--", "harbour-1", "docker system dial-stdio"}},
		{"ssh://[::1]:22", []string{"-p", "22", "--", "::1", "docker system dial-stdio"}},
		{"ssh://harbour-1/run/it's.sock", []string{"--", "harbour-1", `docker --host 'unix:///run/it'\''s.sock' system dial-stdio`}},
	} {
		a, err := parseAddress(tc.address)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append(lead[:len(lead):len(lead)], tc.want...), sshArgs(a)); diff != "" {
			t.Errorf("%s: %s", tc.address, diff)
		}
	}
}

// The end of what ssh said is kept, however much came before.
func TestTail(t *testing.T) {
	var got tail
	for range 100 {
		fmt.Fprintf(&got, "%s\n", strings.Repeat("banner ", 100))
	}
	io.WriteString(&got, "\x1b[31mPermission denied (publickey).\r\n\n")
	if got.String() != "\x1b[31mPermission denied (publickey)." || len(got.b) > tailBytes {
		t.Errorf("got %q of %d bytes", got.String(), len(got.b))
	}
	if e := (&sshError{stderr: got.String()}); e.Error() != `\x1b[31mPermission denied (publickey).` {
		t.Errorf("got %q", e)
	}
	if e := (&sshError{program: "ssh", code: 255}); e.Error() != "ssh ended with exit code 255 and said nothing" {
		t.Errorf("got %q", e)
	}
}
