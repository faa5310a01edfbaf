package lab

import (
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// Listen listens on a loopback address of the engine's network namespace, for as long as the
// test runs: where the engine finds a registry, say.
func (e *Engine) Listen(t T) net.Listener {
	t.Helper()
	open := func(name string) int {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("opening %s: %v", name, err)
		}
		return fd
	}
	runtime.LockOSThread()
	own, other := open("/proc/thread-self/ns/net"), open(fmt.Sprintf("/proc/%d/ns/net", e.Pid))
	defer unix.Close(own)
	defer unix.Close(other)
	if err := unix.Setns(other, unix.CLONE_NEWNET); err != nil {
		t.Fatalf("entering the engine's network: %v", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if back := unix.Setns(own, unix.CLONE_NEWNET); back != nil {
		t.Fatalf("leaving the engine's network: %v", back) // with the thread locked, so that nothing else runs on it
	}
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatalf("listening in the engine's network: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
