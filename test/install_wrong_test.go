package test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/systemd"
)

// wrongGate is a program that takes the gate's place and is none: it says that it stands,
// and answers everything with an error of its own.
func wrongGate() {
	if slices.Contains(os.Args, "--check") {
		return
	}
	e := systemd.Env{Getenv: os.Getenv, PID: os.Getpid()}
	l, err := e.Listener()
	if err == nil {
		err = e.Ready()
	}
	if err == nil {
		fmt.Fprintln(os.Stderr, "I am no gate")
		err = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestGateInstallPutsBack: where the gate does not stand in the end, everything is as it
// was, the container too, and the reason is told.
func TestGateInstallPutsBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, "plimsoll")
	s.run("docker run -d --name keep --stop-signal KILL shop/api:1")
	container := s.running("keep")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	s.write("/usr/local/sbin/wrong-gate", string(self), 0o755)
	built, err := gatePrograms()
	if err != nil {
		t.Fatal(err)
	}
	const program = "/usr/local/sbin/plimsoll-gate"
	for _, c := range []struct {
		what     string
		prepare  func()
		says     []string
		tidyLine string
	}{
		{"a policy that is wrong", func() {
			s.write(program, string(built["plimsoll-gate"]), 0o755)
			s.write("/etc/plimsoll/policy.yaml", "schema: plimsoll/policy/1\nmode: maybe\n", 0o644)
		}, []string{"the gate was not installed, and everything is as it was", "maybe"}, "rm -r /etc/plimsoll"},
		{"a policy with a rule that is not there", func() {
			s.write("/etc/plimsoll/policy.yaml", "schema: plimsoll/policy/1\nenforce: {also: [no-such-rule]}\n", 0o644)
		}, []string{"everything is as it was", "no-such-rule"}, "rm -r /etc/plimsoll"},
		{"a program that ends at once", func() {
			s.write(program, "#!/bin/sh\ncase \" $* \" in *' --check '*) exit 0;; esac\necho it is broken\nexit 1\n", 0o755)
		}, []string{"everything is as it was", "systemctl start plimsoll-gate.service", "journalctl -u plimsoll-gate.service"}, "rm " + program},
		{"a program that is no gate", func() { s.run("ln -s wrong-gate " + program) },
			[]string{"everything is as it was", "418", "I am no gate", "journalctl -u plimsoll-gate.service"}, "rm " + program},
		{"a program that is not there for the gate's user", func() {
			s.write(program, "#!/bin/nothing\n", 0o755)
		}, []string{"everything is as it was"}, "rm " + program},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := &site{s.Host, t}
			c.prepare()
			before := s.held()
			out, err := s.try("plimsoll gate install; echo code $?")
			if err != nil || !strings.HasSuffix(out, "code 3") {
				t.Errorf("%v: %s", err, out)
			}
			for _, want := range c.says {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			s.same(before, "after an install that failed")
			if got := s.running("keep"); got != container {
				t.Errorf("the container was %s, and is %s", container, got)
			}
			s.run(as("ana", "docker ps"))
			s.fails("plimsoll gate uninstall", "no gate is installed here")
			s.run(c.tidyLine)
		})
	}
	// systemd still holds the engine's socket.
	s.run("systemctl restart docker.service && docker ps")
}

// TestGateInstallRefused: where the gate can't be put before the engine, or should not be,
// nothing is changed, and what to do is told. Beside each is what can be done.
func TestGateInstallRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, "plimsoll", "plimsoll-gate")
	dropIn := func(unit, text string) func() {
		return func() {
			s.write("/etc/systemd/system/"+unit+".d/test.conf", text, 0o644)
			s.run("systemctl daemon-reload; systemctl stop docker.socket docker.service; systemctl start docker.service")
		}
	}
	for _, c := range []struct {
		what    string
		prepare func()
		install string
		says    []string
		undo    string
	}{
		{"a stopped engine", func() { s.run("systemctl stop docker.socket docker.service") }, "plimsoll gate install",
			[]string{"the engine is inactive", "systemctl start docker"}, "systemctl start docker.socket docker.service"},
		{"an engine that makes its socket", dropIn("docker.service", "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H unix:///var/run/docker.sock --containerd=/run/containerd/containerd.sock\n"), "plimsoll gate install",
			[]string{"the engine makes its socket itself", "-H fd://", "By hand"}, "rm -r /etc/systemd/system/docker.service.d"},
		{"two sockets", dropIn("docker.socket", "[Socket]\nListenStream=/run/other.sock\n"), "plimsoll gate install",
			[]string{"docker.socket listens at", "/run/other.sock", "systemctl edit docker.socket"}, "rm -r /etc/systemd/system/docker.socket.d; rm /run/other.sock"},
		{"a program that others may change", func() { s.run("chmod 775 /usr/local/sbin/plimsoll-gate") }, "plimsoll gate install",
			[]string{"/usr/local/sbin/plimsoll-gate can be changed by others than root", "install -o root"}, "chmod 755 /usr/local/sbin/plimsoll-gate"},
		{"a program in a folder that others may change", func() { s.run("mkdir /opt/all && cp /usr/local/sbin/plimsoll* /opt/all && chmod 777 /opt/all") }, "/opt/all/plimsoll gate install",
			[]string{"/opt/all can be changed by others than root"}, "rm -r /opt/all"},
		{"a state that no unit can have", func() {}, "plimsoll gate install --state /srv/plimsoll", []string{"below /var/lib"}, "true"},
		{"another who listens", func() {
			s.run("mv /run/docker.sock /run/engines.sock; systemd-run -q --unit=other.service /usr/local/sbin/plimsoll-gate --upstream unix:///run/engines.sock --listen unix:///run/docker.sock --state /tmp/other; until docker ps; do sleep 0.1; done")
		}, "plimsoll gate install", []string{", not systemd, that listens on /run/docker.sock", "look first what took its place"}, "systemctl stop other.service; rm /run/engines.sock"},
		{"an access control list", func() {
			// For uid 4001, as acl(5) has it: version 2, then tag, permissions and id of each.
			acl := "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x06\x00\xa1\x0f\x00\x00" + "\x04\x00\x06\x00\xff\xff\xff\xff" + "\x10\x00\x06\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
			if err := unix.Setxattr(s.Path("/run/docker.sock"), "system.posix_acl_access", []byte(acl), 0); err != nil {
				t.Fatal(err)
			}
		}, "plimsoll gate install", []string{"/run/docker.sock has an access control list", "setfacl -b /run/docker.sock"}, "true"},
		{"no systemd", func() { s.run("mv /run/systemd/system /run/systemd/system.away") }, "plimsoll gate install",
			[]string{"this host is not run by systemd", "By hand"}, "mv /run/systemd/system.away /run/systemd/system"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := &site{s.Host, t}
			c.prepare()
			before := s.held()
			out, err := s.try(c.install + "; echo code $?")
			if err != nil || !strings.HasSuffix(out, "code 3") {
				t.Errorf("%v: %s", err, out)
			}
			for _, want := range c.says {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			s.same(before, "after an install that was refused")
			s.run(c.undo + "; systemctl daemon-reload; systemctl stop docker.socket docker.service; systemctl start docker.socket docker.service; docker ps")
		})
	}
	// The ordinary thing, with a note about another door.
	s.write("/etc/systemd/system/docker.service.d/test.conf", "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// -H unix:///run/second.sock --containerd=/run/containerd/containerd.sock\n", 0o644)
	s.run("systemctl daemon-reload; systemctl restart docker.service")
	if out := s.run("plimsoll gate install"); !strings.Contains(out, "the engine listens at unix:///run/second.sock too: what comes in there does not pass the gate") {
		t.Errorf("install does not tell of the other door:\n%s", out)
	}
	s.gateStands()
}

// TestGateUnit: the gate's unit is one that systemd finds nothing amiss in, and the gate
// has in it what the unit leaves to it, and no more. The program may be plimsoll itself.
func TestGateUnit(t *testing.T) {
	t.Parallel()
	s := newSite(t, "plimsoll")
	s.run("plimsoll gate install")
	s.gateStands()
	if out := s.run("systemd-analyze verify plimsoll-gate.service plimsoll-gate.socket docker.socket 2>&1 | grep -i plimsoll || true"); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	// What is exposed at most, of 100: less than all of Debian's own long-running services.
	t.Log(s.run("systemd-analyze security --threshold=20 plimsoll-gate.service | tail -1"))
	s.fails("systemd-analyze security --threshold=20 docker.service", "")
	const pid = "$(systemctl show -P MainPID plimsoll-gate.service)"
	status := s.run("cat /proc/" + pid + "/status")
	for _, want := range []string{"CapInh:\t0000000000080004", "CapEff:\t0000000000080004", "CapBnd:\t0000000000080004", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want+"\n") {
			t.Errorf("the gate's process has not %q:\n%s", want, status)
		}
	}
	if own, host := s.run("readlink /proc/"+pid+"/ns/net"), s.run("readlink /proc/1/ns/net"); own == host {
		t.Errorf("the gate is in the host's network %s", own)
	}
	inside := "nsenter -t " + pid + " -m -- "
	for _, path := range []string{"/etc/x", "/root/x", "/home/x", "/tmp/x", "/run/x", "/var/lib/plimsoll/x", "/proc/sys/net/ipv4/ip_forward"} {
		s.fails(inside+"sh -c 'echo 1 > "+path+"'", "Read-only file system")
	}
	s.run(inside + "sh -c 'touch /var/lib/plimsoll/gate/x && rm /var/lib/plimsoll/gate/x'")
	// What a container may be given is seen as it is.
	s.run("mkdir -p /usr/lib/modules && touch /tmp/seen /root/seen /home/seen /dev/shm/seen /usr/lib/modules/seen")
	s.run(inside + "ls /tmp/seen /root/seen /home/seen /dev/shm/seen /usr/lib/modules/seen")
	// What root does with the trail is the gate's in the end.
	s.run("systemctl stop plimsoll-gate.service && chown -R root:root /var/lib/plimsoll/gate/events && ln -s /root /var/lib/plimsoll/gate/link")
	s.gateStands()
	s.run("test $(stat -c %U /root) = root && rm /var/lib/plimsoll/gate/link")
	s.byHand()
	// Where somebody has taken the drop-in away, systemd has let go of the engine's socket;
	// the engine is not cut off all the same.
	s.run("rm /etc/systemd/system/docker.socket.d/plimsoll-gate.conf && systemctl daemon-reload")
	s.gateStands()
	if out := s.run("plimsoll gate uninstall"); !strings.Contains(out, "note: systemd does not hold the engine's socket any more") {
		t.Errorf("uninstall: %s", out)
	}
	s.run("docker ps")
	s.run("systemctl restart docker.socket docker.service && docker ps")
	s.run("plimsoll gate install && plimsoll gate uninstall")
}

// byHand takes the gate away as docs/gate.md says for where the record is lost.
func (s *site) byHand() {
	s.t.Helper()
	data, err := os.ReadFile("../docs/gate.md")
	if err != nil {
		s.t.Fatal(err)
	}
	_, text, found := strings.Cut(string(data), "If the record is lost, what the uninstall does is this:\n\n")
	lines, _, ends := strings.Cut(text, "\n\n")
	if !found || !ends {
		s.t.Fatal("docs/gate.md does not say how the gate is taken away by hand")
	}
	s.run("rm /var/lib/plimsoll/gate-install.json")
	s.fails("plimsoll gate install", "docker.socket is moved already")
	for line := range strings.Lines(lines) {
		s.run(line)
	}
	s.run(as("ana", "docker ps"))
	s.run("systemctl restart docker.service && docker ps && test $(stat -c %U:%G:%a /run/docker.sock) = root:docker:660")
	s.run("plimsoll gate install")
	s.gateStands()
}
