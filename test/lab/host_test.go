package lab

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHost: a host's systemd runs Debian's engine on Debian's socket, and a container in
// it; nothing of that is seen here, and nothing is left.
func TestHost(t *testing.T) {
	needEngine(t)
	before := takeSnapshot(t)
	h, err := boot(t.Context(), "", testBase())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := h.Run(t.Context(), name, args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	if got := run("systemctl", "is-system-running", "--wait"); got != "running" {
		t.Errorf("systemd is %s: %s", got, run("systemctl", "--failed", "--no-legend"))
	}
	if got := run("systemctl", "show", "docker.socket", "--property=Listen", "--value"); got != "/run/docker.sock (Stream)" {
		t.Errorf("docker.socket listens at %q", got)
	}
	if err := h.Busybox(t.Context(), "host:1"); err != nil {
		t.Fatal(err)
	}
	if got := run("docker", "run", "--rm", "host:1", "echo", "here"); got != "here" {
		t.Errorf("the container says %q", got)
	}
	// What is written there is not here, and the kernel's settings can't be written.
	run("sh", "-c", "echo there > /etc/plimsoll-lab-there")
	if _, err := os.Stat("/etc/plimsoll-lab-there"); err == nil {
		t.Error("a file of the host's is this machine's")
	}
	if data, err := os.ReadFile(h.Path("/etc/plimsoll-lab-there")); err != nil || string(data) != "there\n" {
		t.Errorf("the host's file: %q, %v", data, err)
	}
	if _, err := h.Run(t.Context(), "sh", "-c", "cat /proc/sys/kernel/printk > /proc/sys/kernel/printk"); err == nil {
		t.Error("a setting of this machine's kernel can be written there")
	}
	run("sh", "-c", "touch /run/once /tmp/once")
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := run("sh", "-c", "cat /etc/plimsoll-lab-there; ls /run/once /tmp/once 2>/dev/null || echo anew; docker images -q host:1 | wc -l"); got != "there\nanew\n1" {
		t.Errorf("after a reboot there is %q", got)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, takeSnapshot(t)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
}

// TestHostThatFails: where a host does not come up, all of it is taken away too.
func TestHostThatFails(t *testing.T) {
	needEngine(t)
	before := takeSnapshot(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if h, err := boot(ctx, "", testBase()); err == nil {
		h.Close()
		t.Error("a host is there at once")
	}
	if h, err := boot(t.Context(), "/bin/false", testBase()); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("a program that is none: %v", err)
		if h != nil {
			h.Close()
		}
	}
	if diff := cmp.Diff(before, takeSnapshot(t)); diff != "" {
		t.Errorf("left behind:\n%s", diff)
	}
}
