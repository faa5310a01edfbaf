package test

import (
	"fmt"
	"strings"
	"testing"
)

// killer stands for a program that an install runs: instead of the call whose number is
// in /run/kill-at, it kills who called.
const killer = `#!/bin/sh
n=$(($(cat /run/called 2>/dev/null || echo 0) + 1))
echo $n >/run/called
[ "$(cat /run/kill-at 2>/dev/null)" = $n ] && kill -9 $PPID && exit 1
exec /usr/bin/$(basename $0) "$@"
`

// TestGateInstallKilled: an install that is killed wherever it has another program do
// something is taken back by an uninstall, or brought to its end by another install; and
// an uninstall that is killed by another one.
func TestGateInstallKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, "plimsoll", "plimsoll-gate")
	s.run("docker run -d --name keep --stop-signal KILL shop/api:1")
	for _, name := range []string{"systemctl", "systemd-sysusers", "systemd-tmpfiles"} {
		s.write("/usr/local/sbin/"+name, killer, 0o755)
	}
	s.run("ln -s /usr/sbin/userdel /usr/bin/userdel && ln -s /usr/sbin/groupdel /usr/bin/groupdel")
	s.write("/usr/local/sbin/userdel", killer, 0o755)
	before, container := s.held(), s.running("keep")
	// killed runs a command that is killed at a call, and says whether it was.
	killed := func(command string, call int) bool {
		t.Helper()
		s.run(fmt.Sprintf("rm -f /run/called; echo %d >/run/kill-at", call))
		out, err := s.try(command)
		s.run("rm -f /run/kill-at")
		if err == nil {
			return false
		}
		if !strings.Contains(err.Error(), "exit status 137") && !strings.Contains(err.Error(), "signal: killed") {
			t.Fatalf("%s, to be killed before call %d: %v\n%s", command, call, err, out)
		}
		return true
	}
	back := func(what string) {
		t.Helper()
		s.same(before, what)
		if got := s.running("keep"); got != container {
			t.Errorf("%s: the container was %s, and is %s", what, container, got)
		}
		s.run(as("ana", "docker ps"))
	}
	// Before a call is after the one before, and what was written in between.
	for call := 1; ; call += killEach {
		if !killed("plimsoll gate install", call) {
			if call < 9 {
				t.Fatalf("an install has %d calls", call-1)
			}
			break
		}
		if call%2 == 0 {
			s.run("plimsoll gate install")
			s.gateStands()
		}
		if out, err := s.try("plimsoll gate uninstall"); err != nil && !strings.Contains(out, "no gate is installed here") {
			t.Errorf("uninstall: %v\n%s", err, out)
		}
		back(fmt.Sprintf("an install that was killed before call %d", call))
	}
	for call := 1; ; call += killEach {
		if !killed("plimsoll gate uninstall", call) {
			if call < 7 {
				t.Fatalf("an uninstall has %d calls", call-1)
			}
			break
		}
		if call%2 == 0 {
			s.run("plimsoll gate install")
			s.gateStands()
		}
		s.run("plimsoll gate uninstall")
		back(fmt.Sprintf("an uninstall that was killed before call %d", call))
		s.run("plimsoll gate install")
	}
	back("an uninstall that nobody killed")
	s.run("systemctl restart docker.service && docker ps")
}

// TestGateInstallInterrupted: who stops an install by Ctrl-C has everything as it was.
func TestGateInstallInterrupted(t *testing.T) {
	t.Parallel()
	s := newSite(t, "plimsoll", "plimsoll-gate")
	// It takes its time to be ready.
	s.write("/etc/systemd/system/plimsoll-gate.service.d/slow.conf", "[Service]\nExecStartPre=+/bin/sleep 60\n", 0o644)
	before := s.held()
	out, err := s.try("plimsoll gate install & pid=$!; until systemctl is-active plimsoll-gate.socket; do sleep 0.05; done; sleep 0.5; kill -INT $pid; wait $pid")
	if err == nil || !strings.Contains(err.Error(), "exit status 130") || !strings.Contains(out, "putting everything back") || !strings.Contains(out, "everything is as it was") {
		t.Errorf("it was interrupted: %v\n%s", err, out)
	}
	s.same(before, "after an install that was interrupted")
	s.run("docker ps")
	s.run("rm -r /etc/systemd/system/plimsoll-gate.service.d; plimsoll gate install")
	s.gateStands()
}
