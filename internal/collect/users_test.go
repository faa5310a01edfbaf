package collect

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

const envOutside = "COLLECT_TEST_OUTSIDE"

// TestSameUsers: in a user namespace of its own a program does not know whose the files
// of an engine outside are; with an engine beside it in there, it does.
func TestSameUsers(t *testing.T) {
	c := &collector{Config: Config{Root: "/"}}
	if outside, err := strconv.Atoi(os.Getenv(envOutside)); err == nil {
		if c.sameUsers(outside) || c.sameUsers(0) || !c.sameUsers(os.Getpid()) {
			t.Errorf("outside %v, hidden %v, beside %v", c.sameUsers(outside), c.sameUsers(0), c.sameUsers(os.Getpid()))
		}
		return
	}
	needRoot(t)
	if !c.sameUsers(os.Getpid()) || !c.sameUsers(0) {
		lacking(t, "this machine is itself in a user namespace")
	}
	one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestSameUsers$")
	cmd.Env = append(os.Environ(), envOutside+"="+strconv.Itoa(os.Getpid()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: one, GidMappings: one}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
