package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Host is a machine of its own, as far as can be told from inside: a systemd of its own
// as process 1, in namespaces and cgroups of its own, with this machine's files, of which
// it sees no later change, and Debian's units of docker.io. What is written there is in
// memory, and outlives a reboot but for /run and /tmp. It reaches no network.
//
// Two processes share the work: the host's power, in a mount namespace that has its files,
// and its child, which becomes systemd in the other namespaces. When that has rebooted,
// the power starts another one.
type Host struct {
	dir   string
	power int // its process
	pid   int // of the host's process 1, as counted here
	ended chan struct{}
	close sync.Once
	err   error
}

// What the lab's program runs as: a Host's power, and what becomes its systemd.
const (
	stagePower = "internal-power"
	stageBoot  = "internal-boot"
)

// pidFile has the number of the host's process 1.
const pidFile = "pid"

const systemd = "/lib/systemd/systemd"

// Boot gives a test a Host, and ends it with the test. Where there is no lab it does as
// Private.
func Boot(t T) *Host {
	t.Helper()
	program := os.Getenv(envLab)
	if program == "" {
		give(t, errNoLab)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	h, err := boot(ctx, program, Base)
	if err != nil {
		t.Fatalf("a host: %v", err)
		return nil
	}
	t.Cleanup(func() {
		t.Helper()
		if err := h.Close(); err != nil {
			t.Fatalf("ending the host: %v", err)
		}
	})
	return h
}

// boot makes a Host in a folder below base, and returns when its engine runs.
func boot(ctx context.Context, program, base string) (*Host, error) {
	program = orText(program, "/proc/self/exe")
	if _, err := os.Stat(systemd); err != nil {
		return nil, fmt.Errorf("looking for systemd (Debian's package systemd): %w", err)
	}
	if err := sweep(ctx, base); err != nil {
		return nil, err
	}
	dir, lock, err := makeDir(base)
	if err != nil {
		return nil, err
	}
	h := &Host{dir: dir, ended: make(chan struct{})}
	if err := h.launch(program, lock); err != nil {
		close(h.ended)
		return nil, errors.Join(err, h.Close())
	}
	if err := h.up(ctx, 0); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// up waits until the engine runs on a systemd that is not the one before.
func (h *Host) up(ctx context.Context, before int) error {
	for {
		pid := readState[int](h.dir, pidFile)
		if h.pid = pid; pid > 0 && pid != before {
			if _, err := h.Run(ctx, "systemctl", "is-active", "docker.service"); err == nil {
				return nil
			}
		}
		select {
		case <-h.ended:
			return fmt.Errorf("the host's systemd ended: %s", tail(filepath.Join(h.dir, "boot.log")))
		case <-ctx.Done():
			units, _ := h.Run(context.WithoutCancel(ctx), "systemctl", "list-jobs", "--no-legend")
			return fmt.Errorf("waiting for the host's engine: %w: %s", context.Cause(ctx), units)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// Reboot has the host's systemd end all that runs, and returns when the engine runs again.
func (h *Host) Reboot(ctx context.Context) error {
	before := h.pid
	if _, err := h.Run(ctx, "systemctl", "reboot"); err != nil {
		return err
	}
	return h.up(ctx, before)
}

// launch starts the host's first process. A goroutine stays with it: the kernel ends it
// with the thread that started it. The lock is let go when both have ended.
func (h *Host) launch(program string, lock *os.File) error {
	hs, err := readHierarchies()
	if err != nil {
		lock.Close()
		return err
	}
	was := observe()
	if err = writeState(h.dir, "before.json", was); err == nil {
		was.Controllers, err = createCgroups(hs, cgroupName(h.dir))
		err = errors.Join(err, writeState(h.dir, "before.json", was))
	}
	if err == nil {
		err = copyProgram(program, filepath.Join(h.dir, "lab"))
	}
	var log *os.File
	if err == nil {
		log, err = os.Create(filepath.Join(h.dir, "boot.log"))
	}
	if err != nil {
		lock.Close()
		return err
	}
	cmd := exec.Command(filepath.Join(h.dir, "lab"), stagePower, h.dir)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + Path}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: unix.CLONE_NEWNS}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer lock.Close()
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it is killed
			close(h.ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting the host: %w", err)
	}
	h.power = cmd.Process.Pid
	return nil
}

// Path is where a file of the host is found from outside, to read and to write.
func (h *Host) Path(path string) string { return fmt.Sprintf("/proc/%d/root%s", h.pid, path) }

// Command prepares a command that runs on the host, as root, with a plain environment.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	in := append([]string{"-t", fmt.Sprint(h.pid), "-m", "-p", "-u", "-i", "-n", "-C", "--", name}, args...)
	cmd := exec.CommandContext(ctx, "nsenter", in...)
	cmd.Env = []string{"PATH=" + Path, "HOME=/root", "LANG=C.UTF-8"}
	return cmd
}

// Run runs a command on the host and gives what it wrote to standard output. The error of
// one that failed holds all that it wrote.
func (h *Host) Run(ctx context.Context, name string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := h.Command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// Close ends the host, as a power cut would, and removes all of it. It may be called
// again.
func (h *Host) Close() error {
	h.close.Do(func() {
		if h.power > 0 {
			_ = unix.Kill(h.power, unix.SIGKILL) // it may have ended; systemd ends with it
		}
		<-h.ended
		ctx, cancel := context.WithTimeout(context.Background(), clearTime)
		defer cancel()
		h.err = clearDir(ctx, h.dir)
	})
	return h.err
}

// keepPower makes the files of a host, and then starts its systemd, again and again as
// that reboots. It returns when that has ended otherwise.
func keepPower(dir string) error {
	runtime.LockOSThread() // the child ends with the thread that started it
	root, err := hostRoot(dir)
	if err != nil {
		return err
	}
	if err := furnish(root); err != nil {
		return fmt.Errorf("furnishing the host: %w", err)
	}
	for {
		cmd := exec.Command(filepath.Join(dir, "lab"), stageBoot, dir)
		cmd.Dir, cmd.Env = "/", []string{"PATH=" + Path}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL,
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("starting the host: %w", err)
		}
		if err := writeState(dir, pidFile, cmd.Process.Pid); err != nil {
			return err
		}
		err := cmd.Wait()
		// So ends what asks for a reboot within a pid namespace (reboot(2)).
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGHUP {
			return fmt.Errorf("the host's systemd ended: %w", err)
		}
	}
}

// hostRoot mounts the files of a host that outlive its reboots, and gives the folder.
func hostRoot(dir string) (string, error) {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", err
	}
	in := filepath.Join(dir, "inside")
	root := filepath.Join(in, "root")
	err := os.Mkdir(in, 0o755)
	if err == nil {
		err = mount("tmpfs", in, "tmpfs", 0, "mode=755")
	}
	for _, sub := range []string{"upper", "work", "root"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(in, sub), 0o755)
		}
	}
	if err == nil {
		err = mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", in, in))
	}
	// The engine's own overlays do not lie on another one.
	for _, path := range []string{"/var/lib/docker", "/var/lib/containerd", "/var/log"} {
		if err == nil {
			err = mountAt(root, "tmpfs", path, 0, "mode=755")
		}
	}
	return root, err
}

func mountAt(root, kind, path string, flags uintptr, options string) error {
	at := filepath.Join(root, path)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	return mount(kind, at, kind, flags, options)
}

// bootInside turns this process, the first of its pid namespace, into a host's systemd. It
// returns only if that was not possible.
func bootInside(dir string) error {
	runtime.LockOSThread()
	hs, err := readHierarchies()
	if err != nil {
		return err
	}
	for _, h := range hs {
		// Nought is the process that writes it, whatever its number is here (cgroups(7)).
		if err := os.WriteFile(filepath.Join(h.Mount, cgroupName(dir), "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("entering the host's cgroup: %w", err)
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a cgroup namespace: %w", err)
	}
	root := filepath.Join(dir, "inside", "root")
	if err := mountHost(hs, root); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := enterRoot(root); err != nil {
		return err
	}
	// The variable has systemd leave to others what is a machine's alone (systemd(1)).
	return fmt.Errorf("running systemd: %w", unix.Exec(systemd, []string{systemd}, []string{"container=plimsoll-lab", "PATH=" + Path}))
}

// mountHost mounts what a host has anew at each boot.
func mountHost(hs []hierarchy, root string) error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := remountCgroups(hs); err != nil {
		return err
	}
	for _, m := range []struct {
		kind, path, options string
		flags               uintptr
	}{
		{"proc", "/proc", "", 0},
		{"sysfs", "/sys", "", unix.MS_RDONLY},
		{"tmpfs", "/dev", "mode=755", 0},
		{"tmpfs", "/run", "mode=755", unix.MS_NOSUID | unix.MS_NODEV},
		{"tmpfs", "/tmp", "mode=1777", 0},
	} {
		if err := mountAt(root, m.kind, m.path, m.flags, m.options); err != nil {
			return err
		}
	}
	if err := mount("/sys/fs/cgroup", filepath.Join(root, "sys/fs/cgroup"), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	// The kernel's settings are this machine's, but for those of the network.
	for _, m := range []struct {
		path  string
		flags uintptr
	}{{"proc/sys", unix.MS_RDONLY}, {"proc/sys/net", 0}} {
		at := filepath.Join(root, m.path)
		if err := mount(at, at, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		if err := mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|m.flags, ""); err != nil {
			return err
		}
	}
	return mountDevices(root)
}

// mountDevices shows the host the devices that every container has too.
func mountDevices(root string) error {
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		path := filepath.Join(root, "dev", name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			return err
		}
		if err := mount("/dev/"+name, path, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for _, m := range []struct{ kind, name, options string }{{"devpts", "pts", "newinstance,ptmxmode=0666,mode=620"}, {"tmpfs", "shm", "mode=1777"}} {
		path := filepath.Join(root, "dev", m.name)
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		if err := mount(m.kind, path, m.kind, 0, m.options); err != nil {
			return err
		}
	}
	return errors.Join(os.Symlink("pts/ptmx", filepath.Join(root, "dev/ptmx")), os.Symlink("/proc/self/fd", filepath.Join(root, "dev/fd")))
}

// hostTarget is all that a host starts.
const hostTarget = `[Unit]
Requires=basic.target
After=basic.target
Wants=docker.service docker.socket
`

// masked are units that would look after this machine's devices and settings.
var masked = []string{"systemd-sysctl.service", "systemd-modules-load.service", "systemd-remount-fs.service", "systemd-udevd.service", "systemd-random-seed.service",
	"systemd-update-utmp.service", "systemd-binfmt.service", "systemd-pstore.service", "systemd-timesyncd.service", "dev-hugepages.mount", "dev-mqueue.mount",
	"proc-sys-fs-binfmt_misc.automount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount"}

// furnish gives the host's configuration: Debian's own, without what was added here.
func furnish(root string) error {
	own := filepath.Join(root, "etc/systemd/system")
	for _, gone := range []string{own, filepath.Join(root, "etc/docker"), filepath.Join(root, "etc/default/docker")} {
		if err := os.RemoveAll(gone); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(own, 0o755); err != nil {
		return err
	}
	for _, unit := range masked {
		if err := os.Symlink("/dev/null", filepath.Join(own, unit)); err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile(filepath.Join(own, "default.target"), []byte(hostTarget), 0o644),
		os.WriteFile(filepath.Join(root, "etc/fstab"), nil, 0o644))
}

// enterRoot makes a folder the root of all that follows (pivot_root(2)).
func enterRoot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("entering the host's files: %w", err)
	}
	// What was the root lies above the new one.
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving this machine's files: %w", err)
	}
	return os.Chdir("/")
}
