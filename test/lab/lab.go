// Package lab starts private Docker engines to test against, and takes them
// away again without a trace.
//
// Start makes an Engine: Debian's dockerd and a containerd of its own, in
// their own network, mount and cgroup namespaces, with all their data in
// memory. Shared gives a test the engine that `lab run -- go test ./...`
// started for the whole run; Private gives it one of its own, and Boot a Host, on which
// systemd runs. Demo fills an
// engine with eight sample containers. Install and Remove bring Debian's
// packages and take them away. Run, Test, RunDemo and Audit are what the lab
// command does; Internal must be called first by any program that calls Start with
// itself as Config.Program.
//
// Three processes share the work, so that an engine goes away whatever ends:
//
//   - the starter, which called Start;
//   - the keeper, its child in a session of its own, which no terminal reaches.
//     When the starter ends, in whatever way, the keeper reads the end of its
//     standard input and clears everything away;
//   - dockerd, a child of the keeper and killed with it, and containerd, a
//     child of dockerd and killed with it. Whatever they start stays in one
//     cgroup per hierarchy, so nothing that a container does escapes.
//
// Should starter and keeper both be killed, the next Start, or Sweep, removes
// what they left.
//
// There is no PID namespace: process ids that the engine tells are the
// machine's, as with any ordinary engine. The engine reaches no network, and
// its 127.0.0.1 is not the machine's; Enter and nsenter get there.
//
// The lab needs root, and knows Debian's docker.io (tried with 20.10.24).
// Standards followed: cgroups(7), mount_namespaces(7), runc's command line as
// containerd uses it.
package lab

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Base is the folder below which every engine has one of its own. It is not
// in /run, which the engine sees empty, nor in /tmp, where another user could
// be there first.
const Base = "/var/lib/plimsoll-lab"

// Path is where the lab and its engines look for programs.
const Path = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"

// needed are the programs an engine is made of, with the Debian package of each.
var needed = map[string]string{
	"dockerd":    "docker.io",
	"docker":     "docker.io",
	"containerd": "containerd",
	"runc":       "runc",
	"iptables":   "iptables",
}

// Config says what engine Start makes. The zero value is an engine as Debian
// configures it.
type Config struct {
	// Program is the executable that does the lab's inner work: the lab command,
	// or any other that calls Internal first. Empty means the running one.
	Program string
	// Settings are daemon.json's, by its own names ("icc": false), over the
	// lab's. "userns-remap" may name nobody:nogroup; the range for it is
	// then there in the engine's /etc/subuid and /etc/subgid. "hosts" are beside the
	// lab's own sockets. The engine's folders and cgroup driver cannot be changed.
	Settings map[string]any
	// Programs are executables, by their names, that stand for the machine's: dockerd,
	// docker-proxy and runc of another version.
	Programs map[string]string
	// OnDisk has the engine keep its data on the disk below Base, as people's engines do,
	// and not in memory: what it makes durable then takes its time.
	OnDisk bool

	base string // instead of Base, for the lab's own tests
}

// An Engine is a running private Docker engine. Its methods may be called from
// several goroutines.
type Engine struct {
	// Pid is dockerd's process id; its /proc/PID/ns holds the namespaces.
	Pid int
	dir string

	close  sync.Once
	err    error
	keeper *exec.Cmd
	stdin  io.Closer
	first  chan string // the keeper's first line: whether the engine is up
	rest   chan string // what it says after that, once it has ended
}

// Start makes an engine and returns when it answers. When ctx ends before
// that, what was begun is taken away again and ctx's error returned. It needs
// root and the packages that Install brings; without them the error says so.
func Start(ctx context.Context, c Config) (*Engine, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	base := orText(c.base, Base)
	if err := sweep(ctx, base); err != nil {
		return nil, err
	}
	dir, lock, err := makeDir(base)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	e := &Engine{dir: dir}
	if err := c.write(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := e.startKeeper(lock); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	select {
	case line := <-e.first:
		if _, err := fmt.Sscanf(line, "ready %d", &e.Pid); err == nil {
			return e, nil
		}
		err := keeperError(line)
		if err == nil {
			err = errors.New("its keeper ended without a word")
		}
		return nil, errors.Join(fmt.Errorf("starting the engine: %w", err), e.Close())
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("starting the engine: %w", context.Cause(ctx)), e.Close())
	}
}

// keeperError is what the keeper said went wrong, or nil if it said nothing.
func keeperError(said string) error {
	if said = strings.TrimPrefix(strings.TrimSpace(said), "error "); said == "" {
		return nil
	}
	return errors.New(said)
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (c Config) check() error {
	if os.Geteuid() != 0 {
		return errors.New("a private engine needs root: run this as root")
	}
	for name, pkg := range needed {
		if _, err := lookPath(name); err != nil {
			return fmt.Errorf("%s is not installed: run `lab install`, or install Debian's package %s", name, pkg)
		}
	}
	for _, k := range fixedSettings {
		if _, ok := c.Settings[k]; ok {
			return fmt.Errorf("the setting %q is the lab's own: leave it out", k)
		}
	}
	return nil
}

// lookPath finds a program of the engine in Path, whatever the caller's PATH is.
func lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(Path) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("looking for %s: %w", name, fs.ErrNotExist)
}

// makeDir makes an engine's folder below base and locks it. The lock is on the
// folder itself and says that somebody lives there; Sweep takes what is not
// locked. A sweep in between may remove a new folder before it is locked:
// then another is made.
func makeDir(base string) (string, *os.File, error) {
	for {
		if err := os.MkdirAll(base, 0o755); err != nil {
			return "", nil, fmt.Errorf("making the lab's folder: %w", err)
		}
		id := make([]byte, 4)
		_, _ = rand.Read(id) // never fails
		dir := filepath.Join(base, hex.EncodeToString(id))
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("making the engine's folder: %w", err)
		}
		lock, err := lockDir(dir)
		if err == nil {
			return dir, lock, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errInUse) {
			return "", nil, err
		}
	}
}

// errInUse tells Sweep and makeDir that somebody holds an engine's folder.
var errInUse = errors.New("in use")

// lockDir locks an engine's folder, without waiting. It lasts until the last
// copy of the returned file is closed, in this or any other process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the engine's folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, errInUse)
	}
	mine, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	there, err := os.Stat(dir)
	if err != nil || !os.SameFile(mine, there) {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, fs.ErrNotExist)
	}
	return f, nil
}

func (e *Engine) startKeeper(lock *os.File) error {
	told, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making the keeper's pipe: %w", err)
	}
	defer tell.Close()
	log, err := os.Create(filepath.Join(e.dir, "keeper.log"))
	if err != nil {
		told.Close()
		return fmt.Errorf("making the keeper's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(e.dir, "lab"), stageKeep, e.dir)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + Path}
	cmd.Stdout, cmd.Stderr = tell, log
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = apart()
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		told.Close()
		return fmt.Errorf("starting the engine's keeper: %w", err)
	}
	e.keeper, e.stdin = cmd, stdin
	e.first, e.rest = make(chan string, 1), make(chan string, 1)
	go func() {
		defer told.Close()
		r := bufio.NewReader(told)
		line, _ := r.ReadString('\n')
		e.first <- line
		rest, _ := io.ReadAll(r)
		e.rest <- strings.TrimSpace(string(rest))
	}()
	return nil
}

// Host is the engine's address for DOCKER_HOST: a unix socket that can be
// reached from outside its namespaces.
func (e *Engine) Host() string { return "unix://" + e.Socket() }

// Socket is the path of the engine's socket. Inside its own /run the engine
// has another one, /run/docker.sock, for containers to mount.
func (e *Engine) Socket() string { return filepath.Join(e.dir, "docker.sock") }

// Docker runs Debian's docker command against the engine and returns what it
// wrote to standard output. It ends the command after a minute. The error of a
// command that failed holds what it wrote to standard error.
func (e *Engine) Docker(args ...string) (string, error) {
	return e.docker(context.Background(), nil, args...)
}

func (e *Engine) docker(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	docker, err := lookPath("docker")
	if err != nil {
		return "", err
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, docker, args...)
	// No configuration of the caller's may change what is sent.
	cmd.Env = []string{"PATH=" + Path, "HOME=/nonexistent", "DOCKER_HOST=" + e.Host(), "DOCKER_CONFIG=/nonexistent"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	cmd.SysProcAttr = apart()
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		return out.String(), fmt.Errorf("docker %s: %w", strings.Join(args, " "), context.Cause(ctx))
	}
	if err != nil {
		return out.String(), fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// Enter prepares a command that runs in the engine's network and mount
// namespaces: there are its 127.0.0.1, its bridges, its packet filter and the
// containers' merged folders. It ends when ctx does.
func (e *Engine) Enter(ctx context.Context, name string, args ...string) *exec.Cmd {
	in := []string{"-t", fmt.Sprint(e.Pid), "-n", "-m", "--", name}
	return exec.CommandContext(ctx, "nsenter", append(in, args...)...)
}

// Close ends the engine and all its containers, and removes everything that
// came with it. It returns an error if something is left, and may be called
// again.
func (e *Engine) Close() error {
	e.close.Do(func() {
		e.stdin.Close()
		rest := <-e.rest
		err := e.keeper.Wait()
		if _, serr := os.Stat(e.dir); errors.Is(serr, fs.ErrNotExist) {
			return
		}
		// The keeper was killed, or did not manage. Whatever it was, all that is
		// left is what Sweep would find.
		ctx, cancel := context.WithTimeout(context.Background(), clearTime)
		defer cancel()
		if cleared := clearDir(ctx, e.dir); cleared != nil {
			e.err = errors.Join(fmt.Errorf("ending the engine: %w", cleared), err, keeperError(rest))
		}
	})
	return e.err
}

// Sweep removes what engines left whose starter and keeper were both killed.
// Engines that somebody keeps are left alone.
func Sweep(ctx context.Context) error {
	return sweep(ctx, Base)
}

func sweep(ctx context.Context, base string) error {
	entries, err := os.ReadDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for engines left behind: %w", err)
	}
	for _, d := range entries {
		dir := filepath.Join(base, d.Name())
		if !d.IsDir() || !isEngineDir(dir) {
			continue
		}
		lock, err := lockDir(dir)
		if errors.Is(err, errInUse) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = clearDir(ctx, dir)
		lock.Close()
		if err != nil {
			return fmt.Errorf("removing an engine left behind: %w", err)
		}
	}
	_ = os.Remove(base) // stays if somebody lives there
	return nil
}

// readState reads a file that the lab wrote into an engine's folder. One that
// is absent or cut short (its writer was killed) reads as the zero value.
func readState[T any](dir, name string) T {
	var v T
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || json.Unmarshal(b, &v) != nil {
		return *new(T)
	}
	return v
}

func writeState(dir, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		return fmt.Errorf("writing the engine's settings: %w", err)
	}
	return nil
}
