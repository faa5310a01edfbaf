package caller

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOurselves: what is said of our own process is what we know of it.
func TestOurselves(t *testing.T) {
	both(t, func(t *testing.T, s *Source) {
		l := listen(t)
		client, err := net.Dial("unix", l.path)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		fmt.Fprintln(client, "{}")
		conn := l.accept(t)
		c := of(t, s, conn.UnixConn)
		seen(t, c)
		exe, err := os.Readlink("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		comm, err := os.ReadFile("/proc/self/comm")
		if err != nil {
			t.Fatal(err)
		}
		groups, err := os.Getgroups()
		if err != nil {
			t.Fatal(err)
		}
		if int(c.UID) != os.Geteuid() || int(c.GID) != os.Getegid() || c.PID != os.Getpid() || c.Exe != exe || c.Command+"\n" != string(comm) || !equal(c.Groups, groups) {
			t.Errorf("%+v, but we are %d:%d %v, process %d, %s (%q)", c, os.Geteuid(), os.Getegid(), groups, os.Getpid(), exe, comm)
		}
	})
}

func equal(a []uint32, b []int) bool {
	return slices.EqualFunc(a, b, func(a uint32, b int) bool { return int(a) == b })
}

// TestUsers: another user, with more groups than there is room for at first; root; and
// one without a name.
func TestUsers(t *testing.T) {
	needRoot(t)
	passwd := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(passwd, []byte("root:x:0:0::/:/\nanna:x:4242:4343::/:/\nlater:x:4242:1::/:/\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var many []uint32
	for gid := range uint32(3000) {
		many = append(many, 5000+gid)
	}
	for name, tc := range map[string]struct {
		credential syscall.Credential
		want       string
	}{
		"another":     {syscall.Credential{Uid: 4242, Gid: 4343, Groups: []uint32{7, 4444}}, "anna"},
		"3000 groups": {syscall.Credential{Uid: 4242, Gid: 4343, Groups: many}, "anna"},
		"no groups":   {syscall.Credential{Uid: 4242, Gid: 4343}, "anna"},
		"no name":     {syscall.Credential{Uid: 4299, Gid: 4343}, ""},
		"nobody":      {syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{65534}}, ""}, // who is not unmapped
		"root":        {syscall.Credential{Groups: []uint32{0, 1}}, "root"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, s *Source) {
				s.Passwd = passwd
				c, conn, cmd := listen(t).caller(t, s, func(cmd *exec.Cmd) { cmd.SysProcAttr.Credential = &tc.credential }, "connect", "hold")
				seen(t, c)
				if c.UID != tc.credential.Uid || c.GID != tc.credential.Gid || !slices.Equal(c.Groups, tc.credential.Groups) || c.User != tc.want ||
					c.PID != cmd.Process.Pid || c.Exe != testProgram(t) || c.Command != "caller.test" {
					t.Errorf("%+v, process %d", c, cmd.Process.Pid)
				}
				if int(c.UID) != conn.said.UID || int(c.GID) != conn.said.GID || !equal(c.Groups, conn.said.Groups) || c.PID != conn.said.PID {
					t.Errorf("%+v, and itself it says %+v", c, conn.said)
				}
			})
		})
	}
}

// TestLoginUID: who logged in stays known through a change of user; nobody has to.
func TestLoginUID(t *testing.T) {
	needRoot(t)
	_, err := os.Stat("/proc/self/loginuid")
	need(t, err, "a kernel with audit")
	for name, tc := range map[string]struct {
		steps []string
		uid   uint32
		want  string
	}{
		"nobody":              {[]string{"login 4294967295", "connect", "hold"}, 0, "nobody"},
		"somebody":            {[]string{"login 1000", "connect", "hold"}, 0, "1000"},
		"root":                {[]string{"login 0", "connect", "hold"}, 0, "0"},
		"through su":          {[]string{"login 1000", "become 4242", "connect", "hold"}, 4242, "1000"},
		"who wants to hide":   {[]string{"login 1000", "become 4242", "nologin 4294967295", "nologin 1001", "connect", "hold"}, 4242, "1000"},
		"a service's word":    {[]string{"login 4294967295", "become 4242", "login 1001", "connect", "hold"}, 4242, "1001"}, // as the package says
		"with a large number": {[]string{"login 4294967294", "connect", "hold"}, 0, "4294967294"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := listen(t).caller(t, &Source{}, nil, tc.steps...)
			seen(t, c)
			got := "nobody"
			if c.LoginUID != nil {
				got = fmt.Sprint(*c.LoginUID)
			}
			if got != tc.want || c.UID != tc.uid {
				t.Errorf("user %d, login %s, want %s", c.UID, got, tc.want)
			}
		})
	}
}

// TestThroughSu: the real su, started in somebody's session.
func TestThroughSu(t *testing.T) {
	needRoot(t)
	_, err := exec.LookPath("su")
	need(t, err, "su")
	l := listen(t)
	script := fmt.Sprintf(`echo 1000 >/proc/self/loginuid; exec su -s /bin/sh -c 'exec %s' nobody -m`, testProgram(t))
	start(t, task{Socket: l.path, Steps: []string{"connect", "hold"}}, func(cmd *exec.Cmd) {
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", script}
		cmd.Env = append(cmd.Env, "PATH=/usr/bin:/bin")
	})
	c := of(t, &Source{}, l.accept(t).UnixConn)
	seen(t, c)
	if c.UID == 0 || c.User != "nobody" || c.LoginUID == nil || *c.LoginUID != 1000 || c.Exe != testProgram(t) {
		t.Errorf("%+v", c)
	}
}

// TestTerminal: the controlling terminal, and none.
func TestTerminal(t *testing.T) {
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	need(t, err, "/dev/ptmx")
	defer ptmx.Close()
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	tty, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	for want, attr := range map[string]syscall.SysProcAttr{
		name: {Setsid: true, Setctty: true}, // of its standard input
		"":   {Setsid: true},
	} {
		c, _, _ := listen(t).caller(t, &Source{}, func(cmd *exec.Cmd) {
			cmd.Stdin = tty
			cmd.SysProcAttr = &attr
		}, "connect", "hold")
		seen(t, c)
		if c.TTY != want {
			t.Errorf("the terminal is %q, want %q", c.TTY, want)
		}
	}
}

// TestNames: whatever a process and its program are called, that is what is told, and
// nothing else is taken from it.
func TestNames(t *testing.T) {
	dir, err := openDir("")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"plain", "two words", "x) R 1 1 (y", "a\nb", "\x1b[31m", "\xff\xfe", " (deleted)", "docker (deleted)", "))))((((", "3 (x) Z 0 0"} {
		path := filepath.Join(dir, name)
		if err := copyFile(testProgram(t), path); err != nil {
			t.Fatal(err)
		}
		c, _, cmd := listen(t).caller(t, &Source{}, func(cmd *exec.Cmd) { cmd.Path = path }, "name "+strconv.QuoteToASCII(name), "connect", "hold")
		seen(t, c)
		if c.Exe != path || c.Command != name[:min(len(name), 15)] || c.PID != cmd.Process.Pid {
			t.Errorf("%q: %+v", name, c)
		}
	}
}

// TestDeletedProgram: the kernel says that a program's file is no more.
func TestDeletedProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "docker")
	if err := copyFile(testProgram(t), path); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	start(t, task{Socket: l.path, Steps: []string{"connect", "hold"}}, func(cmd *exec.Cmd) { cmd.Path = path })
	conn := l.accept(t)
	if c := of(t, &Source{}, conn.UnixConn); c.Exe != path {
		t.Errorf("%q", c.Exe)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c := of(t, &Source{}, conn.UnixConn)
	seen(t, c)
	if c.Exe != path+" (deleted)" {
		t.Errorf("%q", c.Exe)
	}
}

// TestExecAfterConnecting: it is the same process, and Exe is what it has become.
func TestExecAfterConnecting(t *testing.T) {
	_, err := os.Stat("/usr/bin/sleep")
	need(t, err, "sleep")
	both(t, func(t *testing.T, s *Source) {
		l := listen(t)
		cmd := start(t, task{Socket: l.path, Steps: []string{"connect", "exec /usr/bin/sleep"}}, nil)
		conn := l.accept(t)
		before := of(t, s, conn.UnixConn)
		await(t, "its exec", func() bool {
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid))
			return err == nil && exe != testProgram(t)
		})
		c := of(t, s, conn.UnixConn)
		seen(t, c)
		if filepath.Base(c.Exe) == "caller.test" || c.Command != "sleep" || c.PID != cmd.Process.Pid || c.Started != before.Started {
			t.Errorf("%+v, before %+v", c, before)
		}
	})
}

// TestOtherUserSince: a process that has become another user stays who it was; found by
// its number, it could be another one.
func TestOtherUserSince(t *testing.T) {
	needRoot(t)
	both(t, func(t *testing.T, s *Source) {
		l := listen(t)
		cmd := start(t, task{Socket: l.path, Steps: []string{"connect", "setuid 4242", "hold"}}, nil)
		conn := l.accept(t)
		conn.read(t)
		c := of(t, s, conn.UnixConn)
		if s.byNumber || !hasPeerPidfd(t) {
			unseen(t, c, "another user or group")
		} else {
			seen(t, c)
		}
		if c.UID != 0 || c.User != "root" || c.PID != cmd.Process.Pid {
			t.Errorf("%+v", c)
		}
	})
}

// TestHandedOn: a connection stays its maker's, also when it is gone.
func TestHandedOn(t *testing.T) {
	needRoot(t)
	both(t, func(t *testing.T, s *Source) {
		t.Run("by one that lives", func(t *testing.T) {
			l := listen(t)
			cmd := start(t, task{Socket: l.path, Steps: []string{"become 4242", "connect", "hand", "hold"}}, nil)
			conn := l.accept(t)
			conn.read(t) // of the child
			c := of(t, s, conn.UnixConn)
			seen(t, c)
			if c.UID != 4242 || c.PID != cmd.Process.Pid {
				t.Errorf("%+v", c)
			}
		})
		t.Run("by one that has ended", func(t *testing.T) {
			l := listen(t)
			cmd := start(t, task{Socket: l.path, Steps: []string{"become 4242", "connect", "hand"}}, nil)
			conn := l.accept(t)
			conn.read(t) // of the child
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			c := of(t, s, conn.UnixConn)
			unseen(t, c, errEnded.Error())
			if c.UID != 4242 || c.GID != 4242 || c.PID != cmd.Process.Pid {
				t.Errorf("%+v", c)
			}
		})
	})
}

// TestEnded: of a process that has ended, waited for or not, or whose first thread has,
// the kernel's own record remains.
func TestEnded(t *testing.T) {
	needRoot(t)
	both(t, func(t *testing.T, s *Source) {
		for name, tc := range map[string]struct {
			steps []string
			wait  bool
		}{
			"waited for":       {[]string{"become 4242", "connect"}, true},
			"a zombie":         {[]string{"become 4242", "connect"}, false},
			"its first thread": {[]string{"become 4242", "connect", "thread"}, false},
		} {
			t.Run(name, func(t *testing.T) {
				l := listen(t)
				cmd := start(t, task{Socket: l.path, Steps: tc.steps}, nil)
				conn := l.accept(t)
				if tc.wait {
					if err := cmd.Wait(); err != nil {
						t.Fatal(err)
					}
				} else {
					await(t, "its end", func() bool {
						data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
						if err != nil {
							t.Fatal(err)
						}
						st, err := parseStat(data)
						return err == nil && st.state == 'Z'
					})
				}
				c := of(t, s, conn.UnixConn)
				unseen(t, c, errEnded.Error())
				if c.UID != 4242 || c.GID != 4242 || c.PID != cmd.Process.Pid || len(c.Groups) != 0 {
					t.Errorf("%+v", c)
				}
			})
		}
	})
}

// TestNoCredentials: an error, only where the kernel has nothing to say.
func TestNoCredentials(t *testing.T) {
	s := &Source{}
	unconnected, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer unconnected.Close()
	if c, err := s.Of(unconnected); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("without a connection: %+v, %v", c, err)
	}
	l := listen(t)
	c, conn, _ := l.caller(t, s, nil, "connect", "hold")
	seen(t, c)
	conn.Close()
	if c, err := s.Of(conn.UnixConn); err == nil {
		t.Errorf("of a closed connection: %+v", c)
	}
	if c, err := s.Of(&net.UnixConn{}); err == nil {
		t.Errorf("of none: %+v", c)
	}
}

// TestLeaksNothing: whatever comes of a look, no file stays open; and many may look at
// once.
func TestLeaksNothing(t *testing.T) {
	both(t, func(t *testing.T, s *Source) {
		l := listen(t)
		lives, liveConn, _ := l.caller(t, s, nil, "connect", "hold")
		seen(t, lives)
		cmd := start(t, task{Socket: l.path, Steps: []string{"connect"}}, nil)
		deadConn := l.accept(t)
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		before := openFiles(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					if c, err := s.Of(liveConn.UnixConn); err != nil || !c.Seen || c.Exe != lives.Exe || c.PID != lives.PID {
						t.Errorf("%+v, %v", c, err)
					}
					if c, err := s.Of(deadConn.UnixConn); err != nil || c.Seen {
						t.Errorf("%+v, %v", c, err)
					}
				}
			})
		}
		wg.Wait()
		if after := openFiles(t); after != before {
			t.Errorf("%d files are open, and were %d", after, before)
		}
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
