//go:build soak

package lab

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inMachine says to the tests named TestMachine… that they run on a copy of
// the machine that they may change.
const inMachine = "PLIMSOLL_LAB_TEST_MACHINE"

// enterMachine makes a copy of the machine's files that is written to memory
// only, moves into it and runs its arguments there. Sockets and engines of the
// machine are not in it.
const enterMachine = `set -e
t=$1
mount -t tmpfs tmpfs "$t"
mkdir "$t/upper" "$t/work" "$t/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$t/upper,workdir=$t/work" "$t/root"
for d in proc sys dev; do mount --rbind "/$d" "$t/root/$d"; done
mount -t tmpfs -o mode=755 tmpfs "$t/root/run"
mkdir -p "$t/root/run/lock"
if [ -d /run/systemd/resolve ]; then mkdir -p "$t/root/run/systemd"; cp -r /run/systemd/resolve "$t/root/run/systemd/" 2>/dev/null || true; fi
rm -rf "$t/root/var/lib/plimsoll-lab" "$t/root/var/lib/plimsoll-lab-packages" "$t/root/usr/sbin/policy-rc.d.plimsoll-lab"
cd "$t/root"
pivot_root . .
umount -l .
cd /
shift
exec "$@"
`

// TestOnAMachineWithoutEngine runs the tests named TestMachine… on a copy of
// this machine, with what is installed here but not with the engine's packages.
func TestOnAMachineWithoutEngine(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("apt-get"); err != nil {
		lacking(t, "this is not Debian: there is no apt-get")
	}
	check := noTrace(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tmp := shortTempDir(t)
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", enterMachine, "sh", tmp,
		self, "-test.run", "^TestMachine", "-test.v", "-test.timeout", "40m")
	cmd.Env = append(without(os.Environ(), "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "HOME"),
		"TMPDIR=/tmp", "HOME=/nonexistent", inMachine+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("on the copy:\n%s", out)
	if err != nil {
		t.Errorf("the tests on a copy of the machine failed: %v", err)
	}
	if n := bytes.Count(out, []byte("\n--- PASS: TestMachine")); n != 5 {
		t.Errorf("%d tests passed on the copy, want all 5", n)
	}
	check("installing and removing on a copy")
}

// machine prepares the copy for a test that installs something there.
func machine(t *testing.T) {
	t.Helper()
	if os.Getenv(inMachine) == "" {
		t.Skip("runs on a copy of the machine only, within TestOnAMachineWithoutEngine")
	}
	out, err := exec.Command("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n",
		"docker.io", "containerd", "runc", "iptables", "busybox-static", "tini", "libip6tc2", "libnetfilter-conntrack3", "libnfnetlink0").Output()
	if err != nil && len(out) == 0 {
		return // dpkg knows none of them
	}
	args := []string{"-o", "APT::Get::AutomaticRemove=false", "-y", "purge"}
	for line := range strings.Lines(string(out)) {
		name, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		if state != "not-installed" {
			args = append(args, name)
		}
	}
	if len(args) == 4 {
		return
	}
	cmd := exec.Command("apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("removing the engine's packages from the copy: %v: %s", err, out)
	}
	if _, ok := accounts("/etc/group")["docker"]; ok {
		system(t, "groupdel", "docker")
	}
	// What is not at its place before cannot be missed after.
	if missing := missing(t); !slices.Equal(missing, Packages) {
		t.Fatalf("only %v are missing, want all of %v", missing, Packages)
	}
}

// machineState is all that installing may change: files with their kind, mode,
// owner and content, but for times, logs, and what dpkg and apt rewrite with
// each use.
func machineState(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	ignored := []string{
		"/var/log", "/var/cache/man", "/var/cache/ldconfig", "/var/lib/apt/lists", "/var/cache/apt", "/var/lib/dpkg", "/run/lock",
		"/usr/local", "/usr/share/doc", "/var/cache/debconf",
	}
	for _, root := range []string{"/etc", "/usr", "/var", "/opt", "/srv", "/home", "/root", "/run", "/boot", "/tmp"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			// The rest of /tmp is the machine's, where other tests are at work.
			if slices.Contains(ignored, path) || filepath.Dir(path) == "/tmp" && !telling.MatchString(path) || isOther(path) ||
				filepath.Dir(path) == "/root" && d.IsDir() && !telling.MatchString(path) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return nil
			}
			st := info.Sys().(*syscall.Stat_t)
			line := fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
			switch {
			case info.Mode()&fs.ModeSymlink != 0:
				to, err := os.Readlink(path)
				if err != nil {
					return err
				}
				line += " -> " + to
			case info.Mode().IsRegular() && (strings.HasPrefix(path, "/etc") || strings.HasPrefix(path, "/var/lib") || path == policyFile):
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %x", sha256.Sum256(b))
			case info.Mode().IsRegular():
				line += fmt.Sprintf(" %d bytes", info.Size())
			}
			state[path] = line
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("dpkg", "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		state["dpkg: "+line] = ""
	}
	out, err = exec.Command("apt-mark", "showauto").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		state["auto: "+line] = ""
	}
	return state
}

// unchanged returns a function that fails the test unless the copy is as now.
func unchanged(t *testing.T) func(what string) {
	t.Helper()
	machine(t)
	before := machineState(t)
	engine := noTrace(t)
	return func(what string) {
		t.Helper()
		engine(what)
		if diff := cmp.Diff(before, machineState(t)); diff != "" {
			t.Errorf("%s leaves the machine changed:\n%s", what, diff)
		}
	}
}

// plimsollFor writes a command that stands for plimsoll: it says how it was
// called, asks the engine for its containers with Debian's docker, and exits.
func plimsollFor(t *testing.T, exit int) string {
	t.Helper()
	dir := shortTempDir(t)
	path := filepath.Join(dir, "plimsoll")
	script := fmt.Sprintf("#!/bin/sh\necho \"called: $*\"\nfor last; do :; done\n/usr/bin/docker --host \"$last\" ps --format 'container {{.Names}}' | sort\n"+
		"dpkg-query --show --showformat 'docker.io is ${db:Status-Status}\\n' docker.io\nexit %d\n", exit)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMachineAudit(t *testing.T) {
	check := unchanged(t)
	cmd, out := labProcess(t, "audit", plimsollFor(t, 0), "--rules", "mine")
	if got := code(cmd.Run()); got != 0 {
		t.Errorf("exit code %d, want 0: %s", got, out)
	}
	text := out.String()
	if !strings.HasPrefix(text, "There is no Docker engine on this machine, so this installs Debian's (docker.io, containerd, runc, iptables, busybox-static),") {
		t.Errorf("it does not say first what it will do: %s", text)
	}
	for _, want := range []string{
		"called: --rules mine audit --fail-on never --host unix://" + testBase() + "/", "docker.io is installed", "lab: removing",
		"container builder\ncontainer config\ncontainer db\ncontainer deployer\ncontainer monitor\ncontainer report\ncontainer web\ncontainer worker\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the output lacks %q: %s", want, text)
		}
	}
	check("lab audit")
}

func TestMachineAuditWithEngine(t *testing.T) {
	check := unchanged(t)
	run := func(environ ...string) (int, string) {
		cmd, out := labProcess(t, "audit", plimsollFor(t, 1))
		cmd.Env = append(cmd.Env, environ...)
		got := code(cmd.Run())
		return got, out.String()
	}
	t.Run("a socket that nobody answers at is audited, not replaced", func(t *testing.T) {
		if err := syscall.Mknod("/run/docker.sock", syscall.S_IFSOCK|0o660, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Remove("/run/docker.sock")
		got, out := run()
		if got != 1 || !strings.Contains(out, "called: audit --host unix:///run/docker.sock\n") {
			t.Errorf("exit code %d, output %s", got, out)
		}
	})
	t.Run("DOCKER_HOST", func(t *testing.T) {
		got, out := run("DOCKER_HOST=tcp://192.0.2.1:2376")
		if got != 1 || !strings.Contains(out, "called: audit --host tcp://192.0.2.1:2376\n") {
			t.Errorf("exit code %d, output %s", got, out)
		}
	})
	t.Run("a person without an engine", func(t *testing.T) {
		program := filepath.Join(shortTempDir(t), "lab")
		if err := os.Chmod(filepath.Dir(program), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := copyProgram("/proc/self/exe", program); err != nil {
			t.Fatal(err)
		}
		cmd, out := labProcess(t, "audit", "/bin/true")
		cmd.Path = program
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		if got := code(cmd.Run()); got != unable || !strings.Contains(out.String(), "run this as root, or name an engine with DOCKER_HOST") {
			t.Errorf("exit code %d, output %s", got, out)
		}
		cmd, out = labProcess(t, "audit", "/bin/echo")
		cmd.Path = program
		cmd.Env = append(cmd.Env, "DOCKER_HOST=unix:///x")
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		if got := code(cmd.Run()); got != 0 || !strings.Contains(out.String(), "audit --host unix:///x\n") {
			t.Errorf("with an engine: exit code %d, output %s", got, out)
		}
	})
	check("an audit of an engine that was there")
}

// A package that is only unpacked runs, and goes with nothing left.
func TestMachineUnpack(t *testing.T) {
	const debian, path = "openssh-server", "/usr/sbin/sshd"
	machine(t)
	if state, _ := packageState(debian); state == "installed" {
		system(t, "apt-get", "-y", "purge", debian)
	}
	check := unchanged(t)
	cmd, out := labProcess(t, "install", unpackPrefix+debian)
	if got := code(cmd.Run()); got != 0 {
		t.Fatalf("exit code %d: %s", got, out)
	}
	if state, err := packageState(debian); state != "not-installed" || err != nil {
		t.Errorf("%s is %s, %v", debian, state, err)
	}
	program, environ, err := Program(debian, path)
	if err != nil {
		t.Fatal(err)
	}
	sshd := exec.Command(program, "-?")
	sshd.Env = environ
	if said, _ := sshd.CombinedOutput(); !bytes.Contains(said, []byte("OpenSSH_")) {
		t.Errorf("the unpacked program says %s", said)
	}
	cmd, out = labProcess(t, "install", unpackPrefix+debian)
	if got := code(cmd.Run()); got != 0 || out.Len() != 0 {
		t.Errorf("unpacking what is there: exit code %d, output %s", got, out)
	}
	cmd, out = labProcess(t, "remove")
	if got := code(cmd.Run()); got != 0 {
		t.Errorf("exit code %d: %s", got, out)
	}
	check("unpacking and removing")
}

// An interruption at any moment of installing leaves the machine as it was.
func TestMachineInterrupted(t *testing.T) {
	check := unchanged(t)
	listed := func() bool { _, err := os.Stat("/var/lib/dpkg/info/docker.io.list"); return err == nil }
	tests := []struct {
		name string
		when func(said string) bool
	}{
		{"as it downloads", func(said string) bool {
			lists, _ := filepath.Glob(aptDir + "/cache/archives/partial/*")
			return len(lists) > 0
		}},
		{"as dpkg unpacks", func(string) bool { return listed() }},
		{"as the engine starts", func(string) bool { _, err := os.Stat(testBase()); return err == nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd, _ := labProcess(t, "audit", plimsollFor(t, 0))
			path := filepath.Join(shortTempDir(t), "out")
			out, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := func() string { b, _ := os.ReadFile(path); return string(b) }
			waitFor(t, "the moment", func() bool { return tt.when(said()) })
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
			time.Sleep(100 * time.Millisecond)
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
			if got := code(cmd.Wait()); got != 130 {
				t.Errorf("exit code %d, want 130: %s", got, said())
			}
			check("Ctrl-C " + tt.name)
		})
	}
}

// What a killed lab leaves, the next removal takes, but never a person's data;
// and without a policy of the machine's own none is left.
func TestMachineKilled(t *testing.T) {
	machine(t)
	if err := os.Remove(policyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	check := unchanged(t)
	cmd, out := labProcess(t, "install", "docker.io", "busybox-static")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "dpkg", func() bool { _, err := os.Stat("/var/lib/dpkg/info/docker.io.list"); return err == nil })
	if !isOurPolicy() {
		t.Error("services may be started while dpkg is at work")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if out.Len() == 0 {
		t.Error("the installation said nothing")
	}
	writeFile(t, "/var/lib/docker/volumes/of-a-person", "data")
	t.Cleanup(func() { _ = os.RemoveAll("/var/lib/docker") })
	cmd, out = labProcess(t, "remove")
	if got := code(cmd.Run()); got != 0 || !strings.Contains(out.String(), "/var/lib/docker is left") {
		t.Errorf("exit code %d, output %s", got, out)
	}
	if b, err := os.ReadFile("/var/lib/docker/volumes/of-a-person"); err != nil || string(b) != "data" {
		t.Errorf("a person's data is gone: %q, %v", b, err)
	}
	if err := os.RemoveAll("/var/lib/docker"); err != nil {
		t.Fatal(err)
	}
	check("an installation that was killed, and lab remove")

	if err := os.MkdirAll(recordDir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd, out = labProcess(t, "remove")
	if got := code(cmd.Run()); got != 0 || out.Len() != 0 {
		t.Errorf("removing nothing: exit code %d, output %s", got, out)
	}
	check("removing nothing")
}
