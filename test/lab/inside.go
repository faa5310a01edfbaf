package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The lab's program runs itself in these inner parts. They are words that no
// user types.
const (
	stageKeep   = "internal-keep"
	stageInside = "internal-inside"
	stageRunc   = "internal-runc"
)

// Internal does the lab's inner work if args (without the program's name) ask
// for it, and reports whether they did. A program that is a Config.Program
// calls it before anything else and ends when it returns true, unsuccessfully
// if there is an error.
func Internal(args []string) (bool, error) {
	if len(args) < 2 {
		return false, nil
	}
	switch args[0] {
	case stageKeep, stageInside, stagePower, stageBoot:
		if !isEngineDir(args[1]) {
			return true, fmt.Errorf("%s is not an engine's folder", args[1])
		}
		switch args[0] {
		case stageKeep:
			return true, keep(args[1], os.Stdin, os.Stdout)
		case stagePower:
			return true, keepPower(args[1])
		case stageBoot:
			return true, bootInside(args[1])
		}
		return true, inside(args[1])
	case stageRunc:
		return true, runc(args[1], args[2:])
	}
	return false, nil
}

// engineDir is what makeDir makes: whatever has this form may be cleared away.
var engineDir = regexp.MustCompile(`^/([^/]+/)*plimsoll-lab[^/]*/[0-9a-f]{8}$`)

func isEngineDir(dir string) bool { return engineDir.MatchString(dir) }

// fixedSettings are the settings of daemon.json that the lab rests on.
var fixedSettings = []string{
	"data-root", "exec-root", "pidfile", "containerd", "deprecated-key-path", "exec-opts", "config-file",
}

// write fills the engine's folder with all that the keeper needs.
func (c Config) write(dir string) error {
	in := filepath.Join(dir, "inside")
	for _, d := range []string{in, filepath.Join(dir, "bin")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return fmt.Errorf("making the engine's folder: %w", err)
		}
	}
	settings := map[string]any{
		"data-root":  filepath.Join(in, "data"),
		"exec-root":  "/run/docker",
		"pidfile":    "/run/docker.pid",
		"containerd": containerdSocket,
		// Otherwise it would be written to the machine's /etc/docker.
		"deprecated-key-path": filepath.Join(in, "key.json"),
		// With systemd's driver the containers would be placed outside the cgroup
		// that the lab clears away.
		"exec-opts": []string{"native.cgroupdriver=cgroupfs"},
	}
	if c.Programs["dockerd"] != "" {
		delete(settings, "deprecated-key-path") // which newer engines neither have nor write
	}
	maps.Copy(settings, c.Settings)
	hosts := []any{"unix://" + filepath.Join(dir, "docker.sock"), "unix:///run/docker.sock"}
	switch more := c.Settings["hosts"].(type) {
	case nil:
	case []any:
		hosts = append(hosts, more...)
	default:
		return fmt.Errorf("the setting \"hosts\" is a %T: give a list", more)
	}
	settings["hosts"] = hosts
	if err := writeState(dir, "daemon.json", settings); err != nil {
		return err
	}
	if c.OnDisk {
		if err := writeState(dir, onDisk, true); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "containerd.toml"), []byte(containerdConfig(in)), 0o644); err != nil {
		return fmt.Errorf("writing containerd's settings: %w", err)
	}
	program := c.Program
	if program == "" {
		program = "/proc/self/exe"
	}
	// A copy, because `go run` removes the original when it is interrupted.
	if err := copyProgram(program, filepath.Join(dir, "lab")); err != nil {
		return err
	}
	for name, path := range c.Programs {
		if err := os.Symlink(path, filepath.Join(dir, "bin", name)); err != nil {
			return fmt.Errorf("taking the engine's own %s: %w", name, err)
		}
	}
	if c.Programs["runc"] != "" { // an engine with a new one leaves out what the machine lacks
		return nil
	}
	return writeRunc(dir)
}

func copyProgram(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("reading the lab's program: %w", err)
	}
	defer src.Close()
	// A process that another goroutine starts meanwhile would hold the copy open for
	// writing until it is another program, and so long it cannot be run (execve(2),
	// ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("copying the lab's program: %w", err)
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("copying the lab's program: %w", err)
	}
	return nil
}

const containerdSocket = "/run/containerd/containerd.sock"

// containerdConfig is containerd's config.toml. The cri plugin is off because
// nobody here speaks to it; the opt plugin would make /opt/containerd.
func containerdConfig(in string) string {
	return fmt.Sprintf(`version = 2
root = %q
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = %q
[plugins."io.containerd.internal.v1.opt"]
path = %q
`, filepath.Join(in, "containerd"), containerdSocket, filepath.Join(in, "opt"))
}

// daemonEnv is the environment of dockerd, and so of containerd and runc. The
// engine's own bin comes first: a runc there stands for the machine's.
func daemonEnv(dir string) []string {
	in := filepath.Join(dir, "inside")
	return []string{"PATH=" + filepath.Join(dir, "bin") + ":" + Path, "HOME=" + in, "TMPDIR=" + filepath.Join(in, "tmp")}
}

// inside turns this process into dockerd, within cgroups and namespaces of its
// own. It returns only if that was not possible.
func inside(dir string) error {
	// Namespaces belong to a thread; this one execs, and then it is the process.
	runtime.LockOSThread()
	hs, err := readHierarchies()
	if err != nil {
		return err
	}
	if err := joinCgroups(hs, cgroupName(dir)); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	if err := mountInside(hs, dir); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := startContainerd(dir); err != nil {
		return err
	}
	dockerd := filepath.Join(dir, "bin", "dockerd")
	if _, err := os.Stat(dockerd); err != nil {
		if dockerd, err = lookPath("dockerd"); err != nil {
			return err
		}
	}
	args := []string{"dockerd", "--config-file", filepath.Join(dir, "daemon.json")}
	return fmt.Errorf("running dockerd: %w", unix.Exec(dockerd, args, daemonEnv(dir)))
}

// onDisk is the state file of an engine whose data are not in memory.
const onDisk = "on-disk.json"

// mountInside gives the engine folders that vanish with it: its data, and /run,
// where dockerd, containerd, its shims and iptables leave files under fixed
// names.
func mountInside(hs []hierarchy, dir string) error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	in := filepath.Join(dir, "inside")
	if readState[bool](dir, onDisk) {
		if err := os.Chmod(in, 0o711); err != nil {
			return fmt.Errorf("making the engine's folder: %w", err)
		}
	} else if err := mount("tmpfs", in, "tmpfs", 0, "mode=711"); err != nil {
		return err
	}
	if err := mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	if err := remountCgroups(hs); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(in, "tmp"), 0o700); err != nil {
		return fmt.Errorf("making the engine's folder: %w", err)
	}
	var settings struct {
		Remap string `json:"userns-remap"`
	}
	b, err := os.ReadFile(filepath.Join(dir, "daemon.json"))
	if err == nil {
		err = json.Unmarshal(b, &settings)
	}
	if err != nil {
		return fmt.Errorf("reading the engine's settings: %w", err)
	}
	if settings.Remap == "" {
		return hideInit(in)
	}
	for _, path := range []string{"/etc/subuid", "/etc/subgid"} {
		if err := addRange(path, filepath.Join(in, filepath.Base(path)), settings.Remap); err != nil {
			return err
		}
	}
	return nil
}

// hideInit shows the engine process 1 in the root cgroup, since dockerd takes
// the machine for a container if it is elsewhere, and seen from the engine's
// cgroup namespace it is. Where containers have user namespaces it must not:
// the kernel gives those a new /proc only if all of the old one can be seen.
func hideInit(in string) error {
	path := filepath.Join(in, "init-cgroup")
	if err := os.WriteFile(path, []byte("0::/\n"), 0o444); err != nil {
		return fmt.Errorf("writing the cgroup of process 1: %w", err)
	}
	return mount(path, "/proc/1/cgroup", "", unix.MS_BIND, "")
}

// addRange shows the engine path with a range of subordinate ids for the user
// of remap, "USER[:GROUP]"; dockerd looks for the user's name in both files.
// The machine's file stays as it is.
func addRange(path, copied, remap string) error {
	name, _, _ := strings.Cut(remap, ":")
	had, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("userns-remap needs %s: %w", path, err)
	}
	text := fmt.Appendf(had, "%s:100000:65536\n", name)
	if err := os.WriteFile(copied, text, 0o644); err != nil {
		return fmt.Errorf("writing subordinate ids: %w", err)
	}
	return mount(copied, path, "", unix.MS_BIND, "")
}

// loopbackUp switches on the namespace's 127.0.0.1.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("switching on the loopback interface: %w", err)
	}
	defer unix.Close(s)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("switching on the loopback interface: %w", err)
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("switching on the loopback interface: %w", err)
	}
	return nil
}

// startContainerd starts containerd beside dockerd and waits for its socket:
// one that dockerd started itself would not outlive a restart of dockerd.
func startContainerd(dir string) error {
	containerd, err := lookPath("containerd")
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "containerd.log"))
	if err != nil {
		return fmt.Errorf("making containerd's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(containerd, "--config", filepath.Join(dir, "containerd.toml"))
	cmd.Env, cmd.Stdout, cmd.Stderr = daemonEnv(dir), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting containerd: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", containerdSocket)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("containerd ended while it started: %w", errors.Join(err))
		case <-ctx.Done():
			return fmt.Errorf("waiting for containerd: %w", err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}
