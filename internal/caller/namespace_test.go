package caller

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUserNamespace: whatever a process calls itself in a namespace of its own, it is
// who it is in ours.
func TestUserNamespace(t *testing.T) {
	needRoot(t)
	for name, tc := range map[string]struct {
		attr   syscall.SysProcAttr
		uid    uint32
		inside int
	}{
		"root of its own": {syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: 4242, Size: 10}}, GidMappings: []syscall.SysProcIDMap{{HostID: 4242, Size: 10}},
			Credential: &syscall.Credential{Uid: 0, Gid: 0}}, 4242, 0},
		"a user of its own": {syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: 4242, Size: 10}}, GidMappings: []syscall.SysProcIDMap{{HostID: 4242, Size: 10}},
			Credential: &syscall.Credential{Uid: 7, Gid: 7}}, 4249, 7},
		"nobody of its own": {syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}, 0, 65534}, // root, without a mapping
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, s *Source) {
				c, conn, cmd := listen(t).caller(t, s, func(cmd *exec.Cmd) { cmd.SysProcAttr = &tc.attr }, "connect", "hold")
				seen(t, c)
				if c.UID != tc.uid || c.GID != tc.uid || c.PID != cmd.Process.Pid || conn.said.UID != tc.inside {
					t.Errorf("%+v, and itself it says %+v", c, conn.said)
				}
			})
		})
	}
}

// TestPIDNamespace: a process in a namespace of its own has a number in ours.
func TestPIDNamespace(t *testing.T) {
	needRoot(t)
	both(t, func(t *testing.T, s *Source) {
		c, conn, cmd := listen(t).caller(t, s, func(cmd *exec.Cmd) { cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID }, "connect", "hold")
		seen(t, c)
		if c.PID != cmd.Process.Pid || conn.said.PID != 1 || c.Exe != testProgram(t) {
			t.Errorf("%+v, and itself it says %+v", c, conn.said)
		}
	})
}

// judge starts a process that looks at who connects to l, elsewhere than the test.
type judge struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func (l *listener) judge(t *testing.T, work task, setup func(*exec.Cmd)) *judge {
	t.Helper()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	work.Socket = l.path
	var j judge
	j.cmd = start(t, work, func(cmd *exec.Cmd) {
		cmd.ExtraFiles = []*os.File{f}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		j.out = bufio.NewScanner(out)
		if setup != nil {
			setup(cmd)
		}
	})
	return &j
}

// says is who the judge takes the next one for.
func (j *judge) says(t *testing.T) *Caller {
	t.Helper()
	if !j.out.Scan() {
		t.Fatalf("the judge ended: %v", j.out.Err())
	}
	c := &Caller{}
	if err := json.Unmarshal(j.out.Bytes(), c); err != nil {
		t.Fatalf("%q: %v", j.out.Text(), err)
	}
	return c
}

// dial connects from the test itself.
func (l *listener) dial(t testing.TB) {
	t.Helper()
	conn, err := net.Dial("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintln(conn, "{}")
}

// remapped is a user namespace that has but a few of our users.
func remapped(cmd *exec.Cmd) {
	cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 4242, Size: 10}, {ContainerID: 65534, HostID: 9999, Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 4242, Size: 10}}
	cmd.SysProcAttr.Credential = &syscall.Credential{}
}

// TestUnmapped: seen from a namespace that has but a few users, somebody else is nobody
// of them, and is told apart; whoever is there is known.
func TestUnmapped(t *testing.T) {
	needRoot(t)
	l := listen(t)
	j := l.judge(t, task{Steps: []string{"judge 5"}}, remapped)

	l.dial(t) // as root of the first namespace
	if c := j.says(t); !c.Unmapped || c.UID != 65534 || c.GID != 65534 || c.User != "" || len(c.Groups) != 0 {
		t.Errorf("root from outside is %+v", c)
	}
	connect := func(uid, gid uint32, groups ...uint32) *Caller {
		start(t, task{Socket: l.path, Steps: []string{"connect", "hold"}}, func(cmd *exec.Cmd) {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}
		})
		return j.says(t)
	}
	if c := connect(4242, 4243, 4244, 5000); c.Unmapped || c.UID != 0 || c.GID != 1 || len(c.Groups) != 1 || c.Groups[0] != 2 || c.User != "root" {
		t.Errorf("root from inside is %+v", c)
	}
	if c := connect(4243, 5000); !c.Unmapped || c.UID != 1 || c.GID != 65534 {
		t.Errorf("with a group from outside it is %+v", c)
	}
	// This one is mapped, but to the number that stands for all others.
	if c := connect(9999, 4242); !c.Unmapped || c.UID != 65534 {
		t.Errorf("nobody from inside is %+v", c)
	}
	if c := connect(4244, 4242); c.Unmapped || c.UID != 2 {
		t.Errorf("an ordinary one is %+v", c)
	}
}

// TestFromOutside: who has no number in our pid namespace, or another one in the /proc
// that we were given, is not looked up; with a /proc of our own, who has one is seen.
func TestFromOutside(t *testing.T) {
	needRoot(t)
	for name, tc := range map[string]struct {
		proc    bool // of its own
		outside bool // the caller
		why     string
	}{
		"a caller outside":    {true, true, "pid namespace outside"},
		"a caller inside":     {true, false, ""},
		"the proc of another": {false, false, "of another pid namespace"},
		"both":                {false, true, "pid namespace outside"},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			work := task{Steps: []string{"judge 1"}}
			if tc.proc {
				work.Source.Proc = t.TempDir()
				work.Steps = append([]string{"proc"}, work.Steps...)
			}
			if !tc.outside {
				work.Steps = append(work.Steps[:len(work.Steps)-1], "spawn", "judge 1")
			}
			j := l.judge(t, work, func(cmd *exec.Cmd) { cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS })
			if tc.outside {
				l.dial(t)
			}
			c := j.says(t)
			if tc.why == "" {
				seen(t, c)
			} else {
				unseen(t, c, tc.why)
			}
			if c.UID != 0 || (c.PID != 0) == tc.outside {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestWithoutPrivilege: a user who may see little says what it was that could not be
// seen, and who it is all the same.
func TestWithoutPrivilege(t *testing.T) {
	needRoot(t)
	const hides = "process: %s hides it: mount that without hidepid=, or with this program's group as gid="
	for name, tc := range map[string]struct {
		proc string // options of a mount of its own
		uid  uint32 // of the caller
		ok   bool
		want string
	}{
		"another's":          {"", 0, true, "exe: reading the link exe: permission denied: give this program CAP_SYS_PTRACE"},
		"its own":            {"", 4242, true, ""},
		"not accessible":     {"hidepid=noaccess", 4243, false, hides},
		"invisible":          {"hidepid=invisible", 4243, false, hides},
		"only if traceable":  {"hidepid=ptraceable", 4243, false, hides},
		"hidden, but not to": {"hidepid=invisible,gid=4242", 4243, true, "exe: reading the link exe: permission denied: give this program CAP_SYS_PTRACE"},
		"hidden, but its":    {"hidepid=invisible", 4242, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			work := task{Steps: []string{"become 4242", "judge 1"}}
			if tc.proc != "" {
				dir, err := openDir("")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.Remove(dir) })
				work.Source.Proc = dir
				work.Steps = append([]string{"proc " + tc.proc}, work.Steps...)
			}
			for _, work.Source.ByNumber = range []bool{false, true} {
				j := l.judge(t, work, func(cmd *exec.Cmd) { cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNS })
				cmd := start(t, task{Socket: l.path, Steps: []string{"connect", "hold"}}, func(cmd *exec.Cmd) {
					cmd.SysProcAttr.Credential = &syscall.Credential{Uid: tc.uid, Gid: tc.uid}
				})
				c := j.says(t)
				got := ""
				for _, u := range c.Unseen {
					got += u.Field + ": " + u.Reason
				}
				if want := strings.Replace(tc.want, "%s", work.Source.Proc, 1); got != want || c.Seen != tc.ok || c.UID != tc.uid || c.PID != cmd.Process.Pid || tc.ok != (c.Command == "caller.test") {
					t.Errorf("unseen is %q, of %+v", got, c)
				}
			}
		})
	}
}

// TestReused: the number of a process that connected is given to another before anybody
// looks.
func TestReused(t *testing.T) {
	needRoot(t)
	for name, tc := range map[string]struct {
		byNumber bool
		uid      int    // of who gets the number
		why      string // it is not seen; "" is that it is
	}{
		"by the kernel's pidfd": {false, 0, errEnded.Error()},
		"by number":             {true, 4242, "another user or group"},
		// What a kernel before 6.5 cannot tell, as the package says.
		"by number, to the same user": {true, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if !hasPeerPidfd(t) && !tc.byNumber {
				tc.why = "" // as below
			}
			l := listen(t)
			work := task{Steps: []string{"proc", "reuse " + strconv.Itoa(tc.uid)}}
			work.Source.Proc, work.Source.ByNumber = t.TempDir(), tc.byNumber
			j := l.judge(t, work, func(cmd *exec.Cmd) { cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS })
			c := j.says(t)
			if tc.why == "" {
				seen(t, c)
			} else {
				unseen(t, c, tc.why)
			}
			if c.UID != 0 || c.PID == 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// hasPeerPidfd says whether the kernel is one since 6.5. Before, a Source goes by number
// whatever it is told.
func hasPeerPidfd(t *testing.T) bool {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	fd, err := unix.GetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// reuse has a child connect and end, gives its number to another of a user, and then
// looks at who connected. It is in a pid namespace of its own.
func (t *task) reuse(user string) error {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	first := t.child("connect")
	if err := first.Run(); err != nil {
		return err
	}
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	// The next number in a pid namespace is the one behind this (proc_sys_kernel(5)). A
	// thread of ours may get it, so it is tried again.
	var second *exec.Cmd
	for range 100 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(first.Process.Pid-1)), 0); err != nil {
			return err
		}
		second = t.child("wait")
		if user != "0" {
			second = t.child("become "+user, "wait")
		}
		pipe, err := second.StdinPipe()
		if err != nil {
			return err
		}
		if err := second.Start(); err != nil {
			return err
		}
		if second.Process.Pid == first.Process.Pid {
			break
		}
		pipe.Close()
		second.Wait()
	}
	if second.Process.Pid != first.Process.Pid {
		return fmt.Errorf("the number %d was given to nobody", first.Process.Pid)
	}
	defer second.Process.Kill()
	for { // until it has become that user
		var st unix.Stat_t
		if err := unix.Stat(fmt.Sprintf("%s/%d", t.Source.Proc, second.Process.Pid), &st); err != nil {
			return err
		}
		if strconv.Itoa(int(st.Uid)) == user && strconv.Itoa(int(st.Gid)) == user {
			break
		}
		time.Sleep(time.Millisecond)
	}
	c, err := t.source().Of(conn.(*net.UnixConn))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}
