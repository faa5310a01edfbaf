package lab

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SSHD is a real ssh server on the loopback, with keys and configuration of its own.
type SSHD struct {
	t    T
	dir  string
	port string
	user string
	cmd  *exec.Cmd
	log  *bytes.Buffer // complete after Stop

	stopped sync.Once
}

// StartSSHD gives every login the environment env ("PATH=... DOCKER_HOST=..."). Users are
// lines of passwd(5) of those that it knows beside the machine's. Everybody may log in with
// the key "known", and nobody with "unknown". It ends with the test.
func StartSSHD(t T, env string, users ...string) *SSHD {
	t.Helper()
	server, libraries, err := Program("openssh-server", "/usr/sbin/sshd")
	if err == nil {
		_, err = exec.LookPath("ssh")
	}
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("this test needs sshd and ssh (Debian's openssh-server and openssh-client)")
	}
	if err != nil {
		t.Fatalf("this test needs sshd and ssh; `make test` provides them: %v", err)
	}
	s := &SSHD{t: t, log: &bytes.Buffer{}}
	s.must(s.start(server, libraries, env, users))
	t.Cleanup(s.Stop)
	for range 200 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+s.port); err == nil {
			conn.Close()
			return s
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.Stop()
	t.Fatalf("sshd does not listen:\n%s", s.log)
	return nil
}

func (s *SSHD) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("starting sshd: %v", err)
	}
}

func (s *SSHD) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	s.must(os.WriteFile(s.At(name), []byte(text), mode))
	s.must(os.Chmod(s.At(name), mode)) // whatever the umask
}

func (s *SSHD) start(server string, libraries []string, env string, users []string) error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	s.user = me.Username
	if s.dir, err = os.MkdirTemp("", "plimsoll-sshd"); err != nil {
		return err
	}
	s.t.Cleanup(func() { os.RemoveAll(s.dir) })
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	// As root, sshd insists on an empty folder that the system's service makes.
	if os.Geteuid() == 0 {
		if err := os.Mkdir("/run/sshd", 0o755); err == nil {
			s.t.Cleanup(func() { os.Remove("/run/sshd") })
		}
	}
	for _, name := range []string{"host", "known", "unknown"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.At(name)).CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
	public, err := os.ReadFile(s.At("known.pub"))
	if err != nil {
		return err
	}
	s.write("authorized", string(public), 0o644)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	s.write("sshd_config", fmt.Sprintf(`
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
`, s.port, s.At("host"), s.At("authorized"), env), 0o600)
	hostKey, err := os.ReadFile(s.At("host.pub"))
	if err != nil {
		return err
	}
	s.write("hosts", "[127.0.0.1]:"+s.port+" "+string(hostKey), 0o600)
	args := []string{server, "-D", "-e", "-f", s.At("sshd_config")}
	if os.Geteuid() == 0 {
		if args, err = s.withUsers(args, users); err != nil {
			return err
		}
	}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = append(os.Environ(), libraries...)
	s.cmd.Stderr = s.log
	return s.cmd.Start()
}

// withUsers are the arguments of a command that finds other users too, and the user "sshd",
// as whom root's sshd runs what comes before the login, also on a machine without one.
func (s *SSHD) withUsers(args, users []string) ([]string, error) {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil, err
	}
	users = append(users, "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin")
	s.write("passwd", strings.Join(users, "\n")+"\n"+string(passwd), 0o644)
	const run = `mount --bind "$1" /etc/passwd && shift && exec "$@"`
	return slices.Concat([]string{"unshare", "--mount", "sh", "-c", run, "sh", s.At("passwd")}, args), nil
}

// Stop ends the server and waits for its sessions, which end with their clients.
func (s *SSHD) Stop() {
	s.stopped.Do(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = s.cmd.Wait()
	})
}

// Log is what the server said, once it is stopped.
func (s *SSHD) Log() string { return s.log.String() }

// At is a file of the server's: a key, or "hosts", which has the server's own.
func (s *SSHD) At(name string) string { return filepath.Join(s.dir, name) }

// Program makes an ssh that shows the given key and knows the hosts of a file.
func (s *SSHD) Program(key, hosts string) string {
	s.t.Helper()
	ssh, err := exec.LookPath("ssh")
	s.must(err)
	name := "ssh-" + key + "-" + hosts
	s.write(name+".conf", fmt.Sprintf(`
IdentityFile %s
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile %s
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
`, s.At(key), s.At(hosts)), 0o600)
	s.write(name, "#!/bin/sh\nexec "+ssh+" -F "+s.At(name)+".conf \"$@\"\n", 0o755)
	return s.At(name)
}

// Address is the server's with a path, for whoever runs the test.
func (s *SSHD) Address(path string) string { return s.AddressOf(s.user, path) }

// AddressOf is the server's for one of its users.
func (s *SSHD) AddressOf(user, path string) string {
	return "ssh://" + user + "@127.0.0.1:" + s.port + path
}
