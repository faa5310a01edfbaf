package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/test/lab"
)

// firstOfRootless is the first of the numbers on the machine that are the users of a
// rootless engine; no user here has them.
const firstOfRootless = 100_000

// rootlessScript makes namespaces ready for a rootless engine, with its files in
// memory, and becomes it. $1 is a folder of nobody else.
const rootlessScript = `set -e
mount --make-rprivate /
mount -t tmpfs none /run
mount -t tmpfs none "$1"
ip link set lo up
printf '{"deprecated-key-path": "%s/key.json"}' "$1" > "$1/daemon.json"
exec dockerd --rootless --config-file "$1/daemon.json" --data-root "$1/data" --exec-root /run/docker -p /run/docker.pid \
  -H "unix://$1/docker.sock" --iptables=false --bridge=none --storage-driver vfs`

// rootlessEngine starts an engine that is root in a user namespace alone, as
// dockerd-rootless.sh does, and gives a client of it.
func rootlessEngine(t *testing.T) *engine.Client {
	t.Helper()
	lab.Shared(t) // so that it is missing where engines are
	dir, err := os.MkdirTemp("", "rootless")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, firstOfRootless, firstOfRootless); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command("sh", "-c", rootlessScript, "sh", dir)
	cmd.Env = []string{"PATH=" + lab.Path, "HOME=" + dir, "XDG_RUNTIME_DIR=/run/user"}
	cmd.Stdout, cmd.Stderr = &said, &said
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: firstOfRootless, Size: 1 << 16}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, UidMappings: ids, GidMappings: ids,
		Credential: &syscall.Credential{}, Pdeathsig: syscall.SIGKILL}
	started, end, ended := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the engine ends with the thread that started it
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			<-end
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(end)
		<-ended
	})
	socket := filepath.Join(fmt.Sprintf("/proc/%d/root", cmd.Process.Pid), dir, "docker.sock")
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: "unix://" + socket, Source: "the test"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, err = client.Info(t.Context()); err == nil {
			return client
		}
		if time.Since(began) > patience {
			t.Fatalf("no rootless engine: %v\n%s", err, said.String())
		}
	}
}
