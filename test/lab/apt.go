package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// apt runs apt-get with lists and downloads of its own, which go with it, and
// without the hooks that other packages have put into the machine's apt: those
// would ask questions, restart services or commit changes to /etc.
type apt struct {
	dir     string
	environ []string
}

// aptConfig is read after the machine's own configuration (apt.conf(5)).
const aptConfig = `Dir::State::Lists "%[1]s/lists";
Dir::Cache "%[1]s/cache";
#clear DPkg::Pre-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AutomaticRemove "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
DPkg::Lock::Timeout "300";
DPkg::Options:: "--force-confdef";
DPkg::Options:: "--force-confold";
DPkg::Use-Pty "false";
`

// aptDir is apt's folder while it works, under the record's lock. It is not
// below the record's, since apt's downloads run as a user of their own.
const aptDir = "/var/lib/plimsoll-lab-apt"

func newApt(w World) (*apt, error) {
	// One may be left of a lab that was killed, with an apt-get that goes on.
	err := awaitDpkg(5 * time.Minute)
	if err != nil {
		return nil, err
	}
	if err = os.RemoveAll(aptDir); err == nil {
		err = os.Mkdir(aptDir, 0o755)
	}
	a := &apt{dir: aptDir, environ: append(without(w.Environ, "PATH", "LC_ALL"),
		"PATH="+Path, "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")}
	for _, d := range []string{"lists", "cache", "cache/archives"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(aptDir, d), 0o755)
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(aptDir, "apt.conf"), fmt.Appendf(nil, aptConfig, aptDir), 0o644)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a folder for downloads: %w", err), os.RemoveAll(aptDir))
	}
	return a, nil
}

func (a *apt) close() { _ = os.RemoveAll(a.dir) }

// get runs apt-get apart from the terminal and returns its output. The end of
// ctx ends it, and so does the end of this process. A step that must not be cut
// short gets a ctx that does not end: it goes on even if this process is
// killed, which is why its output goes to a file.
func (a *apt) get(ctx context.Context, args ...string) (string, error) {
	log, err := os.CreateTemp(a.dir, "log-")
	if err != nil {
		return "", fmt.Errorf("making apt's log: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "/usr/bin/apt-get", slices.Concat([]string{"-q", "-c", filepath.Join(a.dir, "apt.conf")}, args)...)
	cmd.Env, cmd.Dir = a.environ, "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = apart()
	if ctx.Done() != nil {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	out, rerr := os.ReadFile(log.Name())
	if rerr != nil {
		return "", fmt.Errorf("reading apt's log: %w", rerr)
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("running apt-get %s: %w", args[0], context.Cause(ctx))
	}
	if err != nil {
		return "", fmt.Errorf("running apt-get %s: %w: %s", args[0], err, aptErrors(string(out)))
	}
	return string(out), nil
}

// aptErrors picks apt's own error lines, or else the last lines.
func aptErrors(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var bad []string
	for _, l := range lines {
		if strings.HasPrefix(l, "E: ") || strings.HasPrefix(l, "Err:") {
			bad = append(bad, l)
		}
	}
	if len(bad) == 0 {
		bad = lines
	}
	return strings.Join(bad[max(0, len(bad)-5):], " | ")
}

// plan fetches the package lists and returns all packages that installing
// names would add. It refuses what Remove could not undo.
func (a *apt) plan(ctx context.Context, names []string) ([]string, error) {
	if _, err := a.get(ctx, "update"); err != nil || len(names) == 0 {
		return nil, err
	}
	out, err := a.get(ctx, slices.Concat([]string{"--simulate", "install"}, names)...)
	if err != nil {
		return nil, err
	}
	s := parseSimulation(out)
	if changed := slices.Concat(s.upgraded, s.removed); len(changed) > 0 {
		return nil, fmt.Errorf("installing %s would also change %s, which could not be undone: "+
			"bring the machine up to date with `apt-get update && apt-get upgrade` first, or install the packages yourself",
			strings.Join(names, ", "), strings.Join(changed, ", "))
	}
	return s.added, nil
}

func (a *apt) download(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	_, err := a.get(ctx, slices.Concat([]string{"--download-only", "install"}, names)...)
	return err
}

func (a *apt) install(names []string) error {
	_, err := a.get(context.Background(), slices.Concat([]string{"--no-download", "install"}, names)...)
	return err
}

// remove removes packages, and the configuration of those in purge. It refuses
// if others have come to need them.
func (a *apt) remove(names, purge []string) error {
	ctx := context.Background()
	out, err := a.get(ctx, slices.Concat([]string{"--simulate", "remove"}, names)...)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(parseSimulation(out).removed, func(n string) bool { return slices.Contains(names, n) })
	if len(others) > 0 {
		return fmt.Errorf("%s needs packages that the lab installed: remove it first, then run `lab remove`", strings.Join(others, ", "))
	}
	if _, err := a.get(ctx, slices.Concat([]string{"remove"}, names)...); err != nil {
		return err
	}
	// docker.io leaves a script there that deletes an engine's data when the
	// package is purged. Whose data that is, the lab cannot know.
	if err := os.Remove("/var/lib/docker/nuke-graph-directory.sh"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keeping the data in /var/lib/docker: %w", err)
	}
	// Those without configuration are gone, and apt knows them no longer.
	var rest []string
	for _, n := range purge {
		s, err := packageState(n)
		if err != nil {
			return err
		}
		if s == "config-files" {
			rest = append(rest, n)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	_, err = a.get(ctx, slices.Concat([]string{"purge"}, rest)...)
	return err
}

// simulation is what apt-get --simulate says it would do.
type simulation struct{ added, upgraded, removed []string }

// parseSimulation reads lines such as "Inst NAME [OLD] (NEW …)", where [OLD]
// is there only for an upgrade, and "Remv NAME [OLD]" or "Purg NAME [OLD]".
func parseSimulation(out string) simulation {
	var s simulation
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch name := fields[1]; fields[0] {
		case "Inst":
			if len(fields) > 2 && strings.HasPrefix(fields[2], "[") {
				s.upgraded = append(s.upgraded, name)
			} else {
				s.added = append(s.added, name)
			}
		case "Remv", "Purg":
			s.removed = append(s.removed, name)
		}
	}
	return s
}

// packageState is dpkg's word for how far a package is installed
// (dpkg-query(1), db:Status-Status), "not-installed" for one that dpkg does not
// know.
func packageState(name string) (string, error) {
	cmd := exec.Command("/usr/bin/dpkg-query", "--show", "--showformat", `${db:Status-Status}\n`, name)
	cmd.SysProcAttr = apart()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && len(out) == 0 {
		return "not-installed", nil
	}
	if err != nil {
		return "", fmt.Errorf("asking dpkg for %s: %w", name, err)
	}
	state, _, _ := strings.Cut(string(out), "\n")
	return state, nil
}

// settle ends what an installation that was cut short by a power cut has left:
// packages that must be configured before they can be removed.
func settle(names []string) error {
	for _, n := range names {
		s, err := packageState(n)
		if err != nil {
			return err
		}
		if !slices.Contains([]string{"installed", "config-files", "not-installed"}, s) {
			return quiet("dpkg", "--configure", "-a")
		}
	}
	return nil
}

// awaitDpkg waits until no process installs or removes packages: an apt-get
// whose lab was killed goes on to its end.
func awaitDpkg(patience time.Duration) error {
	const path = "/var/lib/dpkg/lock-frontend"
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking whether dpkg is busy: %w", err)
	}
	defer f.Close()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
			return fmt.Errorf("looking whether dpkg is busy: %w", err)
		}
		if lock.Type == unix.F_UNLCK {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %d installs or removes packages: run `lab remove` when it has ended", lock.Pid)
		}
	}
}

// apart puts a command into a session of its own: a terminal's Ctrl-C is for
// the lab, which then ends the command in its own way or lets it finish.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// quiet runs a command of the system and tells what it wrote only if it failed.
func quiet(name string, args ...string) error {
	var out bytes.Buffer
	path, err := lookPath(name)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=" + Path, "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = apart()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}

// policyFile decides whether packages may start and stop services while they
// are installed (invoke-rc.d(8)).
const (
	policyFile = "/usr/sbin/policy-rc.d"
	policyKept = policyFile + ".plimsoll-lab" // the machine's own, while ours is there
	policyText = "#!/bin/sh\n# plimsoll-lab: temporary\ncase \"$2\" in stop) exit 0 ;; esac\nexit 101\n"
)

// withPolicy runs do while no service may be started.
func withPolicy(do func() error) (err error) {
	if err := setPolicy(); err != nil {
		return errors.Join(err, restorePolicy())
	}
	defer func() { err = errors.Join(err, restorePolicy()) }()
	return do()
}

// setPolicy puts our policy in place of the machine's, which is kept as it is.
// There is no moment without one of the two.
func setPolicy() error {
	if !isOurPolicy() {
		if err := os.Link(policyFile, policyKept); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keeping the machine's %s: %w", policyFile, err)
		}
	}
	next := policyKept + "-new"
	if err := os.WriteFile(next, []byte(policyText), 0o755); err != nil {
		return fmt.Errorf("keeping services from starting: %w", err)
	}
	if err := os.Rename(next, policyFile); err != nil {
		return fmt.Errorf("keeping services from starting: %w", err)
	}
	return nil
}

// restorePolicy undoes setPolicy, however far that came, by this or an earlier
// process.
func restorePolicy() error {
	_ = os.Remove(policyKept + "-new")
	var err error
	if _, kept := os.Lstat(policyKept); kept == nil {
		err = os.Rename(policyKept, policyFile)
		// Two links to one file: rename(2) then does nothing.
		_ = os.Remove(policyKept)
	} else if isOurPolicy() {
		err = os.Remove(policyFile)
	}
	if err != nil {
		return fmt.Errorf("putting back %s: %w", policyFile, err)
	}
	return nil
}

func isOurPolicy() bool {
	b, err := os.ReadFile(policyFile)
	return err == nil && string(b) == policyText
}
