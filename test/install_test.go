package test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

// site is a host on which the gate is to be installed.
type site struct {
	*lab.Host
	t *testing.T
}

// The programs, built once.
var gatePrograms = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "plimsoll-gate")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir, "../cmd/plimsoll", "../cmd/plimsoll-gate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building: %w: %s", err, out)
	}
	programs := map[string][]byte{}
	for _, name := range []string{"plimsoll", "plimsoll-gate"} {
		if programs[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return programs, nil
})

// newSite boots a host with programs in /usr/local/sbin, an image and two users, of whom
// ana may use the engine and ben may not.
func newSite(t *testing.T, programs ...string) *site {
	t.Helper()
	s := &site{lab.Boot(t), t}
	built, err := gatePrograms()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		s.write("/usr/local/sbin/"+name, string(built[name]), 0o755)
	}
	if err := s.Busybox(t.Context(), "shop/api:1"); err != nil {
		t.Fatal(err)
	}
	s.run("useradd -M -u 4001 -G docker ana && useradd -M -u 4002 ben")
	return s
}

func (s *site) write(path, text string, mode fs.FileMode) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.Path(path)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(path), []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) read(path string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.Path(path))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// try runs a shell's line on the host as root, and gives all that it wrote.
func (s *site) try(line string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := s.Command(ctx, "sh", "-c", line)
	cmd.WaitDelay = time.Second // for what goes on in the background
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (s *site) run(line string) string {
	s.t.Helper()
	out, err := s.try(line)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return out
}

// fails runs what must not succeed, and must say something.
func (s *site) fails(line, says string) {
	s.t.Helper()
	if out, err := s.try(line); err == nil || !strings.Contains(out, says) {
		s.t.Errorf("%s: %v, want a failure with %q\n%s", line, err, says, out)
	}
}

// as runs a shell's line as a user.
func as(user, line string) string {
	return "runuser -u " + user + " -- sh -c '" + line + "'"
}

// held is all that a test may compare of the host's configuration: what tools keep of a
// file before they changed it is left out.
func (s *site) held() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	for _, top := range []string{"/etc", "/run/docker.sock", "/run/systemd/system", "/run/plimsoll-engine", "/usr/lib/systemd", "/usr/lib/tmpfiles.d", "/usr/lib/sysusers.d"} {
		root := s.Path(top)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				if os.IsNotExist(err) && path == root {
					return nil
				}
				return err
			}
			if name := d.Name(); strings.HasSuffix(name, "-") || name == ".pwd.lock" || name == ".updated" {
				return nil
			}
			info, err := os.Lstat(path)
			if err != nil {
				return err
			}
			st := info.Sys().(*syscall.Stat_t)
			text := fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
			switch {
			case info.Mode().IsRegular():
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				text += fmt.Sprintf(" %x", sha256.Sum256(data))
			case info.Mode()&fs.ModeSymlink != 0:
				to, err := os.Readlink(path)
				if err != nil {
					return err
				}
				text += " " + to
			}
			found[top+strings.TrimPrefix(path, root)] = text
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return found
}

// same demands that the host is as it was.
func (s *site) same(before map[string]string, when string) {
	s.t.Helper()
	now := s.held()
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if now[path] != before[path] {
			s.t.Errorf("%s: %s was %q, and is %q", when, path, before[path], now[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if _, was := before[path]; !was {
			s.t.Errorf("%s: %s is left", when, path)
		}
	}
}

// running is what of a container changes when it is stopped or started.
func (s *site) running(name string) string {
	s.t.Helper()
	return s.run("docker inspect -f '{{.State.Running}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' " + name)
}

// direct is a client that gets past the gate.
const direct = "docker -H unix:///run/plimsoll-engine/docker.sock"

// TestGateInstall: a gate is put before the engine of a host with a container that goes on
// running, and stands there whatever begins anew; it is let refuse; it is taken away dead,
// and all is as it was.
func TestGateInstall(t *testing.T) {
	t.Parallel()
	s := newSite(t, "plimsoll", "plimsoll-gate")
	s.run("docker run -d --name keep --stop-signal KILL --restart always shop/api:1")
	before, container := s.held(), s.running("keep")
	socket := s.run("stat -c '%F %a %U:%G' /run/docker.sock")
	if got := s.run("readlink -f /var/run/docker.sock"); got != "/run/docker.sock" {
		t.Fatalf("clients go to %s", got)
	}

	// Only told of.
	told := s.run("plimsoll gate install --dry-run")
	for _, want := range []string{"systemctl start plimsoll-gate.socket", "--- /etc/systemd/system/plimsoll-gate.service\n", "CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH\n",
		"--- /etc/systemd/system/docker.socket.d/plimsoll-gate.conf\n", "ListenStream=/run/plimsoll-engine/docker.sock\n", "mode: observe\n"} {
		if !strings.Contains(told, want) {
			t.Errorf("--dry-run does not say %q:\n%s", want, told)
		}
	}
	s.same(before, "after --dry-run")
	s.fails("plimsoll gate enforce --yes", "no gate is installed here")
	s.fails("plimsoll gate uninstall", "no gate is installed here")
	s.fails(as("ana", "plimsoll gate install"), "only root may")

	// A client's stream goes on, too: what is connected stays connected.
	stream := s.Command(t.Context(), "docker", "exec", "-i", "keep", "cat")
	in, err := stream.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var echoed strings.Builder
	stream.Stdout = &echoed
	if err := stream.Start(); err != nil {
		t.Fatal(err)
	}
	s.run("plimsoll gate install")
	if _, err := in.Write([]byte("still here\n")); err != nil {
		t.Error(err)
	}
	in.Close()
	if err := stream.Wait(); err != nil || echoed.String() != "still here\n" {
		t.Errorf("a stream from before: %v, %q", err, echoed.String())
	}
	if got := s.running("keep"); got != container {
		t.Errorf("the container was %s, and is %s", container, got)
	}
	if got := s.run("stat -c '%F %a %U:%G' /run/docker.sock"); got != socket {
		t.Errorf("the socket was %s, and is %s", socket, got)
	}
	s.gateStands()

	// Whatever begins anew, clients meet the gate, and the gate the engine.
	s.run("systemctl kill -s KILL plimsoll-gate.service && docker version && test $(systemctl show -P NRestarts plimsoll-gate.service) = 1")
	s.gateStands()
	if got := s.running("keep"); got != container {
		t.Errorf("the gate was killed, and the container is %s", got)
	}
	// An engine that begins more than three times in a minute is one that systemd gives up.
	const patient = "systemctl reset-failed docker.service && "
	s.run("systemctl daemon-reload && systemctl daemon-reexec && systemctl restart docker.service")
	s.gateStands()
	s.run(patient + "systemctl restart docker.socket docker.service")
	s.gateStands()
	s.run("systemctl stop docker.service 2>/dev/null; docker ps -q") // docker.socket starts it
	s.gateStands()
	s.run(patient + "systemctl stop docker.service plimsoll-gate.service 2>/dev/null; docker ps -q") // and both sockets both
	s.gateStands()
	// Without an engine clients are told so, at once, also by a gate that begins then.
	s.run("systemctl stop docker.socket docker.service && systemctl restart plimsoll-gate.service")
	s.fails("timeout 10 docker ps", "Error response from daemon")
	s.run(patient + "systemctl start docker.service")
	s.gateStands()
	if err := s.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.gateStands()
	s.run("test $(systemctl is-active plimsoll-gate.service) = active") // before anybody came
	if got := s.run("stat -c '%F %a %U:%G' /run/docker.sock"); got != socket {
		t.Errorf("the socket was %s, and after a reboot is %s", socket, got)
	}

	// What it does a second time is nothing.
	installed, gate := s.held(), s.run("systemctl show -P MainPID plimsoll-gate.service")
	s.run("plimsoll gate install")
	s.same(installed, "after a second install")
	if got := s.run("systemctl show -P MainPID plimsoll-gate.service"); got != gate {
		t.Error("a second install began the gate anew")
	}

	s.anew(installed)
	s.enforced()

	// With the gate dead, and not coming back.
	s.run("mv /usr/local/sbin/plimsoll-gate /usr/local/sbin/plimsoll-gate.away; systemctl kill -s KILL plimsoll-gate.service; sleep 0.2")
	s.fails("timeout 2 docker ps", "")
	s.run(direct + " ps") // root gets past it
	container = s.run(direct + " inspect -f '{{.State.Pid}}' keep")
	if out := s.run("plimsoll gate uninstall"); strings.Contains(out, "note:") {
		t.Errorf("uninstall: %s", out)
	}
	s.same(before, "after the uninstall")
	if got := s.run("docker inspect -f '{{.State.Pid}}' keep"); got != container {
		t.Errorf("the container was %s, and is %s", container, got)
	}
	s.run(as("ana", "docker ps"))
	s.run("systemctl restart docker.service && docker ps && test $(stat -c %U:%G:%a /run/docker.sock) = root:docker:660")
	s.run("systemctl restart docker.socket docker.service && docker ps")
	s.run("test $(stat -c %U /var/lib/plimsoll/gate/key) = root && plimsoll trail verify --gate")
	s.fails("getent passwd plimsoll-gate || getent group plimsoll-gate", "")
	s.fails("plimsoll gate uninstall", "no gate is installed here")
	// And once more.
	s.run("mv /usr/local/sbin/plimsoll-gate.away /usr/local/sbin/plimsoll-gate; plimsoll gate install")
	s.gateStands()
	s.run("plimsoll gate uninstall")
	s.same(before, "after the second uninstall")
}

// anew installs once more, with what can't stand: the gate that was there goes on.
func (s *site) anew(installed map[string]string) {
	s.t.Helper()
	gate := s.run("systemctl show -P MainPID plimsoll-gate.service")
	policy := s.read("/etc/plimsoll/policy.yaml")
	s.write("/etc/plimsoll/policy.yaml", "schema: plimsoll/policy/1\nmode: maybe\n", 0o644)
	s.fails("plimsoll gate install", "everything is as it was")
	s.write("/etc/plimsoll/policy.yaml", policy, 0o644)
	s.same(installed, "after another install with a wrong policy")
	if got := s.run("systemctl show -P MainPID plimsoll-gate.service"); got != gate {
		s.t.Error("an install that failed began the gate anew")
	}
	s.run("mkdir /usr/local/lib/other && cp /usr/local/sbin/plimsoll /usr/local/lib/other")
	s.write("/usr/local/lib/other/plimsoll-gate", "#!/bin/sh\ncase \" $* \" in *' --check '*) exit 0;; esac\nexit 1\n", 0o755)
	s.fails("/usr/local/lib/other/plimsoll gate install --policy /etc/plimsoll/other.yaml", "everything is as it was")
	s.same(installed, "after another install with a wrong program")
	s.gateStands()
}

// gateStands demands that those who may get to the engine by the gate, that others get to
// neither, and that who asked is on record.
func (s *site) gateStands() {
	s.t.Helper()
	name := fmt.Sprintf("of-ana-%d", time.Now().UnixNano())
	s.run(as("ana", "docker run --rm --name "+name+" shop/api:1 true"))
	s.fails(as("ben", "docker ps"), "permission denied")
	s.fails(as("ana", direct+" ps"), "permission denied")
	s.run(direct + " ps -q")
	told := s.run("plimsoll trail list --gate --format json --container " + name)
	for _, want := range []string{`"uid":4001`, `"user":"ana"`, `"exe":"/usr/bin/docker"`} {
		if !strings.Contains(strings.ReplaceAll(told, `": `, `":`), want) {
			s.t.Errorf("the gate's trail has no %s:\n%s", want, told)
		}
	}
	if got := s.run("stat -c '%a %U:%G' /run/plimsoll-engine /run/plimsoll-engine/docker.sock"); got != "750 root:plimsoll-gate\n660 root:plimsoll-gate" {
		s.t.Errorf("the engine's socket is %s", got)
	}
}

// enforced has the gate refuse, which it tells of and asks before, and then not any more.
func (s *site) enforced() {
	s.t.Helper()
	// What it must see to tell: a link in a folder of root's, and what the host reaches.
	s.run("mkdir -m 700 /root/of-root && ln -s / /root/of-root/link && mkdir /root/of-root/folder && ip link add host0 type veth peer host1 && ip address add 10.77.0.1/16 dev host0 && ip link set host0 up && ip link set host1 up")
	bad := []string{
		"docker create --privileged shop/api:1",
		"docker create -v /root/of-root/link:/x shop/api:1",
		"docker create -v /run/plimsoll-engine:/x shop/api:1",
		"docker create -v /var/lib/plimsoll/gate:/x shop/api:1",
		"docker network create --subnet 10.77.5.0/24 n1",
	}
	good := []string{
		"docker rm $(docker create shop/api:1)",
		"docker rm $(docker create -v /root/of-root/folder:/x shop/api:1)",
		"docker rm $(docker create -v /srv:/x shop/api:1)",
		"docker network create --subnet 10.78.5.0/24 n2 && docker network rm n2",
	}
	for _, line := range bad[:1] {
		s.run(as("ana", line)) // nothing is refused yet
	}
	policy := s.read("/etc/plimsoll/policy.yaml")
	s.fails("plimsoll gate enforce </dev/null", "standard input is no terminal")
	asked := func(answer string) string {
		return s.run("{ sleep 0.5; echo " + answer + "; sleep 0.5; } | script -qec 'plimsoll gate enforce' /dev/null")
	}
	said := asked("n")
	for _, want := range []string{"ana", "privileged", "would have been refused. Refuse such from now on? [y/N]", "Nothing was changed."} {
		if !strings.Contains(said, want) {
			s.t.Errorf("gate enforce does not say %q:\n%s", want, said)
		}
	}
	if got := s.read("/etc/plimsoll/policy.yaml"); got != policy {
		s.t.Errorf("nothing was to be changed, and the policy is\n%s", got)
	}
	s.run(as("ana", bad[0]))
	if said := asked("y"); !strings.Contains(said, "The gate enforces.") {
		s.t.Errorf("gate enforce: %s", said)
	}
	if got, want := s.read("/etc/plimsoll/policy.yaml"), strings.Replace(policy, "\nmode: observe\n", "\nmode: enforce\n", 1); got != want || got == policy {
		s.t.Errorf("the policy is\n%s", got)
	}
	for _, line := range bad {
		s.fails(as("ana", line), "plimsoll refuses this")
	}
	for _, line := range good {
		s.run(as("ana", line))
	}
	if said := s.run("plimsoll gate enforce --yes"); !strings.Contains(said, "The gate enforces") {
		s.t.Errorf("gate enforce: %s", said)
	}
	// It stays so.
	s.run("systemctl restart plimsoll-gate.service")
	s.fails(as("ana", bad[0]), "plimsoll refuses this")

	// A policy that is wrong is not taken, and its file is put back.
	s.write("/etc/plimsoll/policy.yaml", policy+"nonsense: 1\n", 0o644)
	s.fails("plimsoll gate observe", "nonsense")
	if got := s.read("/etc/plimsoll/policy.yaml"); got != policy+"nonsense: 1\n" {
		s.t.Errorf("the policy is\n%s", got)
	}
	s.fails(as("ana", bad[0]), "plimsoll refuses this")
	s.write("/etc/plimsoll/policy.yaml", strings.Replace(policy, "\nmode: observe\n", "\nmode: enforce\n", 1), 0o644)
	s.run("plimsoll gate observe")
	s.run(as("ana", bad[0]))
	s.run("ip link del host0; rm -r /root/of-root; docker ps -aq --filter status=created | xargs docker rm")
}
