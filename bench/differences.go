package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/test/lab"
)

//go:embed differences/host.yaml
var hostFile []byte

//go:embed differences/reasons.yaml
var reasonsFile []byte

// differHost is what is put on the engine.
type differHost struct {
	Images map[string][]string `yaml:"images"` // instructions over busybox
	Before []string            `yaml:"before"` // commands of docker
	// Containers are run lines without docker run -d --name NAME, and After what
	// docker is told of one.
	Containers []struct {
		Name  string   `yaml:"name"`
		Run   string   `yaml:"run"`
		After []string `yaml:"after"`
	} `yaml:"containers"`
}

// differences puts the containers on the engine, has both judge it, and writes the
// page of what differs to file. A difference without a reason, and a reason without
// a difference, are an error after the page is written.
func (b *bench) differences(ctx context.Context, e *lab.Engine, file string) error {
	var h differHost
	var reasons map[string]string
	if err := errors.Join(decodeStrictly(hostFile, &h), decodeStrictly(reasonsFile, &reasons)); err != nil {
		return err
	}
	if err := b.build(); err != nil {
		return err
	}
	b.say("making %d containers", len(h.Containers))
	if err := h.fill(ctx, e); err != nil {
		return err
	}
	b.say("docker-bench-security")
	theirs, err := judgedByPeer(ctx, e, b.peer, filepath.Join(b.dir, "bench.log"))
	if err != nil {
		return err
	}
	b.say("plimsoll")
	ours, err := judgedByUs(b.program("plimsoll"), e)
	if err != nil {
		return err
	}
	text, wrong := differencesPage(&h, theirs, ours, reasons)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}

// decodeStrictly refuses keys that nothing reads.
func decodeStrictly(data []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	return d.Decode(into)
}

// fill makes the images and containers.
func (h *differHost) fill(ctx context.Context, e *lab.Engine) error {
	for name, changes := range h.Images {
		if err := e.Busybox(ctx, name, changes...); err != nil {
			return err
		}
	}
	lines := h.Before
	for _, c := range h.Containers {
		lines = append(append(lines, "run -d --name "+c.Name+" "+c.Run), c.After...)
	}
	place := strings.NewReplacer("SOCKET_FOLDER", filepath.Dir(e.Socket()), "SOCKET", e.Socket())
	for _, line := range lines {
		cmd := exec.CommandContext(ctx, "sh", "-c", "exec docker "+place.Replace(line))
		cmd.Env = []string{"PATH=" + lab.Path, "HOME=/nonexistent", "DOCKER_HOST=" + e.Host()}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("docker %s: %w\n%s", line, err, out)
		}
	}
	time.Sleep(3 * time.Second) // health checks and restarts
	return nil
}

// verdict is what came of one recommendation.
type verdict struct {
	status string // theirs: PASS, WARN, INFO or NOTE; ours: a status
	// on are the subjects that fail, where they are named.
	on []string
}

// judgedByPeer runs docker-bench-security where the engine is, and reads its log.
func judgedByPeer(ctx context.Context, e *lab.Engine, dir, log string) (map[string]verdict, error) {
	cmd := e.Enter(ctx, "sh", "-c", `cd "$1" && exec bash docker-bench-security.sh -b -l "$2"`, "sh", dir, log)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.Host())
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("docker-bench-security: %w\n%s", err, out)
	}
	data, err := os.ReadFile(log + ".json")
	if err != nil {
		return nil, err
	}
	var said struct {
		Tests []struct {
			Results []struct {
				ID, Result string
				Items      []string
			}
		}
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return nil, fmt.Errorf("reading the log of docker-bench-security: %w", err)
	}
	all := map[string]verdict{}
	for _, section := range said.Tests {
		for _, r := range section.Results {
			all[r.ID] = verdict{r.Result, r.Items}
		}
	}
	return all, nil
}

// gravest first.
var statuses = []string{"fail", "unknown", "manual", "pass", "not_applicable"}

// judgedByUs audits by the same benchmark.
func judgedByUs(program string, e *lab.Engine) (map[string]verdict, error) {
	cmd := exec.Command(program, "audit", "--host", e.Host(), "--benchmark", "cis-1.6", "--format", "json", "--fail-on", "never")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("plimsoll audit: %w\n%s", err, stderr.Bytes())
	}
	var report struct {
		Findings []struct {
			Status  string
			Subject struct{ Kind, Name string }
			Refs    map[string][]string
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, err
	}
	all := map[string]verdict{}
	for _, f := range report.Findings {
		for _, id := range f.Refs["cis-1.6"] {
			v, known := all[id]
			if !known || rank(f.Status) < rank(v.status) {
				v.status = f.Status
			}
			if f.Status == "fail" {
				v.on = append(v.on, f.Subject.Name)
			}
			all[id] = v
		}
	}
	return all, nil
}

func rank(status string) int {
	for i, s := range statuses {
		if s == status {
			return i
		}
	}
	return len(statuses)
}
