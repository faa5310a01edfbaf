package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/test/lab"
)

// documented are the mounts that docker-bench-security asks for.
var documented = []string{"/etc", "/lib/systemd/system", "/usr/bin/containerd", "/usr/bin/runc", "/usr/lib/systemd", "/var/lib"}

// TestImage: plimsoll in a container of its own sees of the host and its files what it
// sees on the host, or says what is missing, and leaves its container out.
func TestImage(t *testing.T) {
	e := lab.Shared(t)
	program, err := static(t)()
	if err != nil {
		t.Fatal(err)
	}
	buildImage(t, e, filepath.Join(program, "plimsoll"))
	engineArgs := []string{"--pid", "host", "--userns", "host", "--cap-add", "audit_control", "-v", "/run/docker.sock:/var/run/docker.sock:ro"}
	mounts := []string{}
	for _, p := range documented {
		if _, err := os.Stat(p); err == nil { // the engine makes what is not there
			mounts = append(mounts, "-v", p+":"+p+":ro")
		}
	}
	onHost := filesOf(t, e, exec.Command(filepath.Join(program, "plimsoll"), "audit", "--fail-on", "never", "--format", "json", "--host", e.Host()), "")
	for _, tc := range []struct {
		name    string
		options []string
		root    string
		// missing begins the reason of what is unknown; "" where nothing may be.
		missing string
		// known are rules that must be answered nevertheless.
		known []string
	}{
		{"the documented mounts", append([]string{"--net", "host"}, mounts...), "/", "", []string{"daemon-json-mode", "daemon-json-owner", "docker-socket-mode", "docker-socket-group", "docker-folder-owner", "default-docker-mode"}},
		{"private namespaces", append([]string{"--cgroupns", "private"}, mounts...), "/", "", []string{"daemon-json-mode"}},
		{"the whole host", []string{"-v", "/:/host:ro"}, "/host", "none", nil},
		{"the whole host, found by itself", []string{"-v", "/:/host:ro"}, "/", "none", nil},
		{"no mounts", nil, "/", "", []string{"docker-socket-mode"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"--host", e.Host(), "run", "--rm", "--name", "plimsoll-image"}, engineArgs...)
			args = append(append(args, tc.options...), "plimsoll-image:1", "audit", "--fail-on", "never", "--format", "json", "--root", tc.root)
			inside := filesOf(t, e, exec.Command("docker", args...), "plimsoll-image")
			equal := map[string]bool{}
			for k, f := range inside {
				was, there := onHost[k]
				switch {
				case f.Status == finding.Unknown && f.Subject.Kind == "host": // the kernel tells less to a container
				case f.Status == finding.Unknown && tc.missing == "" && (strings.Contains(f.Reason, "mounted into this container: add -v /") || strings.Contains(f.Reason, "how the engine is configured is not known")):
				case !there && f.Element == "/run/docker.sock": // of two sockets of the lab's engine, the other
				case !there:
					t.Errorf("%s is %s here (%s), and not there on the host", k, f.Status, f.Reason)
				case was.Status != f.Status || was.Message != f.Message:
					t.Errorf("%s is %s here (%s, %s), and on the host %s (%s)", k, f.Status, f.Message, f.Reason, was.Status, was.Message)
				default:
					equal[f.Rule] = true
				}
			}
			for _, rule := range tc.known {
				if !equal[rule] {
					t.Errorf("%s is not answered", rule)
				}
			}
			if tc.missing == "none" && len(inside) != len(onHost) {
				t.Errorf("%d findings, and %d on the host", len(inside), len(onHost))
			}
			t.Logf("%d findings, %d rules as on the host", len(inside), len(equal))
		})
	}
	t.Run("the engine's process is hidden", func(t *testing.T) {
		inside := filesOf(t, e, exec.Command("docker", "--host", e.Host(), "run", "--rm", "--name", "plimsoll-image", "-v", "/run/docker.sock:/var/run/docker.sock", "-v", "/etc:/etc:ro",
			"plimsoll-image:1", "audit", "--fail-on", "never", "--format", "json"), "plimsoll-image")
		for k, f := range inside {
			if f.Subject.Kind == "file" && (f.Status != finding.Unknown || !strings.Contains(f.Reason, "add --pid host")) {
				t.Errorf("%s is %s (%s)", k, f.Status, f.Reason)
			}
		}
	})
}

// buildImage makes plimsoll-image:1 by the project's own Dockerfile, of a whole program and
// its front.
func buildImage(t *testing.T, e *lab.Engine, program string) {
	t.Helper()
	dir := t.TempDir()
	front := filepath.Join(t.TempDir(), "plimsoll")
	buildFront(t, front)
	for from, to := range map[string]string{"../Dockerfile": "Dockerfile", "../.dockerignore": ".dockerignore", program: "bin/plimsoll-images", front: "bin/plimsoll"} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Docker("build", "-q", "-t", "plimsoll-image:1", dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := e.Docker("image", "rm", "plimsoll-image:1"); err != nil {
			t.Error(err)
		}
	})
}

// filesOf runs an audit, and gives what it finds of the host and its files, by rule,
// name and element. Where it
// runs in a container of the engine, it says that it leaves that out, and does.
func filesOf(t *testing.T, e *lab.Engine, cmd *exec.Cmd, container string) map[string]finding.Finding {
	t.Helper()
	var errs strings.Builder
	cmd.Stderr = &errs
	cmd.Env = []string{"PATH=" + lab.Path, "HOME=/nonexistent"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var report finding.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatal(err)
	}
	files := map[string]finding.Finding{}
	for _, f := range report.Findings {
		if f.Subject.Kind == "file" || f.Subject.Kind == "host" {
			files[fmt.Sprintf("%s %s %s", f.Rule, f.Subject.Name, f.Element)] = f
		}
		if f.Subject.Kind == "container" && container != "" && f.Subject.Name == container {
			t.Errorf("%s judges the container that it runs in", f.Rule)
		}
	}
	if said := strings.Contains(errs.String(), "is the one that plimsoll runs in, and is left out"); said != (container != "") {
		t.Errorf("it says that it is left out: %v\n%s", said, errs.String())
	}
	return files
}
