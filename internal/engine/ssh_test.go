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
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/test/lab"
)

// sshd is a real server on the loopback, with keys and configuration of its
// own, and an ssh program that knows both.
type sshd struct {
	dir  string
	port string
	user string
	cmd  *exec.Cmd
	log  *bytes.Buffer // complete after stop

	stopped sync.Once
}

// startSSHD gives every login the environment env ("PATH=... DOCKER_HOST=...").
func startSSHD(t *testing.T, env string) *sshd {
	t.Helper()
	server, libraries, err := lab.Program("openssh-server", "/usr/sbin/sshd")
	need(t, err == nil, "sshd (Debian's openssh-server)")
	_, err = exec.LookPath("ssh")
	need(t, err == nil, "ssh (Debian's openssh-client)")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &sshd{dir: filepath.Dir(socketPath(t)), user: me.Username, log: &bytes.Buffer{}}
	// As root, sshd insists on an empty folder that the system's service makes.
	if os.Geteuid() == 0 {
		if err := os.Mkdir("/run/sshd", 0o755); err == nil {
			t.Cleanup(func() { os.Remove("/run/sshd") })
		}
	}
	for _, name := range []string{"host", "known", "unknown"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.at(name)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	public, err := os.ReadFile(s.at("known.pub"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.at("authorized"), string(public))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	writeFile(t, s.at("sshd_config"), fmt.Sprintf(`
ListenAddress 127.0.0.1:%s
HostKey %s
AuthorizedKeysFile %s
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv %s
`, s.port, s.at("host"), s.at("authorized"), env))
	hostKey, err := os.ReadFile(s.at("host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.at("hosts"), "[127.0.0.1]:"+s.port+" "+string(hostKey))
	s.cmd = exec.Command(server, "-D", "-e", "-f", s.at("sshd_config"))
	if os.Geteuid() == 0 {
		s.cmd = s.withUser(t, s.cmd.Args)
	}
	s.cmd.Env = append(os.Environ(), libraries...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("sshd said:\n%s", s.log)
		}
	})
	for range 200 {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err == nil {
			conn.Close()
			return s
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("sshd does not listen")
	return nil
}

// withUser is a command that finds the user "sshd", as whom root's sshd runs
// what comes before the login, also on a machine without one.
func (s *sshd) withUser(t *testing.T, args []string) *exec.Cmd {
	t.Helper()
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.at("passwd"), "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"+string(passwd))
	if err := os.Chmod(s.at("passwd"), 0o644); err != nil {
		t.Fatal(err)
	}
	const run = `mount --bind "$1" /etc/passwd && shift && exec "$@"`
	return exec.Command("unshare", slices.Concat([]string{"--mount", "sh", "-c", run, "sh", s.at("passwd")}, args)...)
}

// stop ends the server and waits for its sessions, which end with their clients.
func (s *sshd) stop() {
	s.stopped.Do(func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait()
	})
}

func (s *sshd) at(name string) string { return filepath.Join(s.dir, name) }

// program is an ssh that shows the given key and knows the hosts of a file.
func (s *sshd) program(t *testing.T, key, hosts string) string {
	t.Helper()
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	name := s.at("ssh-" + key + "-" + hosts)
	writeFile(t, name+".conf", fmt.Sprintf(`
IdentityFile %s
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile %s
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
`, s.at(key), s.at(hosts)))
	writeFile(t, name, "#!/bin/sh\nexec "+ssh+" -F "+name+".conf \"$@\"\n")
	if err := os.Chmod(name, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func (s *sshd) address(path string) string {
	return "ssh://" + s.user + "@127.0.0.1:" + s.port + path
}

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
	s := startSSHD(t, loginEnv(t, f.socket))
	program := s.program(t, "known", "hosts")

	c := clientOf(t, Config{Endpoint: Endpoint{Address: s.address("")}, SSH: program})
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
	s := startSSHD(t, loginEnv(t, f.socket))
	c := clientOf(t, Config{Endpoint: Endpoint{Address: s.address("")}, SSH: s.program(t, "known", "hosts")})
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
	s.stop()
	if n := strings.Count(s.log.String(), "Accepted publickey"); n != sshConns {
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
	s := startSSHD(t, loginEnv(t, "/nowhere"))
	addr, err := parseAddress(s.address(strings.ReplaceAll(f.socket, " ", "%20")))
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, Config{Endpoint: Endpoint{Address: addr.String()}, SSH: s.program(t, "known", "hosts")})
	if got, err := c.API(t.Context()); err != nil || got != "1.41" {
		t.Errorf("got %q (%v)", got, err)
	}
}

func TestSSHFails(t *testing.T) {
	s := startSSHD(t, loginEnv(t, "/nowhere/docker.sock"))
	bare := startSSHD(t, "PATH=/nowhere")
	writeFile(t, s.at("none"), "")
	closed := startSSHD(t, "PATH=/nowhere")
	closed.stop()
	for _, tc := range []struct {
		name, address, program, message, hint string
	}{
		{"no docker there", bare.address(""), bare.program(t, "known", "hosts"), "there is no docker command on 127.0.0.1", "Install docker's client there"},
		{"no engine there", s.address(""), s.program(t, "known", "hosts"), "/nowhere/docker.sock", "The login works, but docker's bridge"},
		{"an unknown host key", s.address(""), s.program(t, "known", "none"), "Host key verification failed.", "the host's key known"},
		{"an unknown user key", s.address(""), s.program(t, "unknown", "hosts"), "Permission denied (publickey).", "the key must be in the agent"},
		{"no server", closed.address(""), closed.program(t, "known", "hosts"), "Connection refused", "ssh could not log in"},
		{"no ssh", s.address(""), "no-such-ssh", "executable file not found", "sudo apt-get install openssh-client"},
		{"no ssh at a path", s.address(""), "/nowhere/ssh", "no such file", "sudo apt-get install openssh-client"},
		{"an ssh that may not run", s.address(""), s.at("none"), "permission denied", "could not be started"},
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
