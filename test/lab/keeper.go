package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// clearTime is how long ending an engine may take on a busy machine.
const clearTime = time.Minute

// before is what an engine can change outside its namespaces, as it was. It is
// written to the engine's folder before the engine starts, so that whoever
// clears up can put it back.
type before struct {
	Files       map[string]string // kernel settings: path → content
	Controllers []string          // cgroup controllers that were switched on
	AppArmor    bool              // AppArmor runs here and had no docker-default profile
}

// keyLimits are the two settings that dockerd raises at its start if they are
// below what many containers need (moby: daemon/keys.go).
var keyLimits = []string{"/proc/sys/kernel/keys/root_maxkeys", "/proc/sys/kernel/keys/root_maxbytes"}

// appArmorProfiles lists the kernel's profiles, one a line with its mode.
const (
	appArmorProfiles = "/sys/kernel/security/apparmor/profiles"
	appArmorRemove   = "/sys/kernel/security/apparmor/.remove"
	dockerProfile    = "docker-default"
)

// keep is the keeper: it starts the engine of dir, says "ready PID" or "error
// …" on out, and clears everything away when in ends or SIGTERM comes. The
// file descriptor 3, inherited from the starter, holds the folder's lock.
func keep(dir string, in io.Reader, out io.Writer) error {
	// The kernel ends dockerd when the thread that started it ends.
	runtime.LockOSThread()
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	unix.CloseOnExec(3)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()

	if err := launch(ctx, dir, out); err != nil {
		if ctx.Err() == nil {
			fmt.Fprintf(out, "error %s\n", oneLine(err))
		}
	}
	<-ctx.Done()
	clear, cancel := context.WithTimeout(context.Background(), clearTime)
	defer cancel()
	if err := clearDir(clear, dir); err != nil {
		fmt.Fprintf(out, "error %s\n", oneLine(err))
		return err
	}
	return nil
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// launch makes the cgroups, starts dockerd and waits until it answers.
func launch(ctx context.Context, dir string, out io.Writer) error {
	hs, err := readHierarchies()
	if err != nil {
		return err
	}
	was := observe()
	// Written twice: without the controllers first, so that a kill in between
	// loses none of the rest.
	if err := writeState(dir, "before.json", was); err != nil {
		return err
	}
	was.Controllers, err = createCgroups(hs, cgroupName(dir))
	if err := errors.Join(err, writeState(dir, "before.json", was)); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "dockerd.log"))
	if err != nil {
		return fmt.Errorf("making dockerd's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(dir, "lab"), stageInside, dir)
	cmd.Dir, cmd.Env = "/", daemonEnv(dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the engine: %w", err)
	}
	ended := make(chan int, 1)
	go reap(cmd.Process.Pid, ended)
	if err := awaitEngine(ctx, filepath.Join(dir, "docker.sock"), ended); err != nil {
		return fmt.Errorf("%w; dockerd.log ends with: %s; containerd.log ends with: %s",
			err, tail(filepath.Join(dir, "dockerd.log")), tail(filepath.Join(dir, "containerd.log")))
	}
	fmt.Fprintf(out, "ready %d\n", cmd.Process.Pid)
	return nil
}

// reap collects every child and orphan that ends, and reports pid's end.
func reap(pid int, ended chan<- int) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil: // none left; orphans may still come
			time.Sleep(50 * time.Millisecond)
		case got == pid:
			ended <- pid
		}
	}
}

// awaitEngine waits until the engine answers on its socket, or ends. An engine
// that does neither is waited for as long as ctx lasts: its starter decides.
func awaitEngine(ctx context.Context, socket string, ended <-chan int) error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
		if err != nil {
			return fmt.Errorf("asking the engine: %w", err)
		}
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ended:
			return errors.New("the engine ended while it started")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// tail returns the last lines of a log, on one line.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " | ")
}

// cgroupName is the name of an engine's cgroup at the top of each hierarchy:
// "plimsoll-lab-ID".
func cgroupName(dir string) string {
	return filepath.Base(filepath.Dir(dir)) + "-" + filepath.Base(dir)
}

// observe looks at what the engine may change outside its namespaces.
func observe() before {
	was := before{Files: map[string]string{}}
	for _, path := range keyLimits {
		if b, err := os.ReadFile(path); err == nil {
			was.Files[path] = string(b)
		}
	}
	if b, err := os.ReadFile(appArmorProfiles); err == nil {
		was.AppArmor = !hasProfile(string(b))
	}
	return was
}

func hasProfile(profiles string) bool {
	for line := range strings.Lines(profiles) {
		if strings.HasPrefix(line, dockerProfile+" ") {
			return true
		}
	}
	return false
}

// restore puts back what the engine changed outside its namespaces.
func (was before) restore(hs []hierarchy) error {
	disableControllers(hs, was.Controllers)
	var errs []error
	for path, content := range was.Files {
		now, err := os.ReadFile(path)
		if err == nil && string(now) != content {
			err = os.WriteFile(path, []byte(content), 0)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("putting back %s: %w", path, err))
		}
	}
	if was.AppArmor {
		if b, err := os.ReadFile(appArmorProfiles); err == nil && hasProfile(string(b)) {
			if err := os.WriteFile(appArmorRemove, []byte(dockerProfile), 0); err != nil {
				errs = append(errs, fmt.Errorf("unloading the AppArmor profile %s: %w", dockerProfile, err))
			}
		}
	}
	return errors.Join(errs...)
}

// clearDir ends whatever runs for the engine of dir, and removes all of it,
// the folder last. With the last process the kernel takes the namespaces: the
// mounts, interfaces and packet-filter rules in them. It may be called again
// after having been cut short at any point.
func clearDir(ctx context.Context, dir string) error {
	hs, err := readHierarchies()
	if err != nil {
		return err
	}
	if err := emptyCgroups(ctx, hs, cgroupName(dir)); err != nil {
		return err
	}
	if err := readState[before](dir, "before.json").restore(hs); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the engine's folder: %w", err)
	}
	_ = os.Remove(filepath.Dir(dir)) // stays if another engine lives there
	return nil
}
