package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/inventory"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// day is an engine that plimsoll serve watches, but for a while.
type day struct {
	engine         *lab.Second
	program, state string
	serving        *exec.Cmd
	said           bytes.Buffer
}

// serve starts plimsoll serve, and waits until it follows the engine.
func (d *day) serve(t *testing.T) {
	t.Helper()
	before := len(d.events(t, trail.Engine))
	d.serving = exec.Command(filepath.Join(d.program, "plimsoll"), "serve", "--state", d.state, "--host", d.engine.Host())
	d.serving.Stderr = &d.said
	if err := d.serving.Start(); err != nil {
		t.Fatal(err)
	}
	again(t, func() error {
		if len(d.events(t, trail.Engine)) == before {
			return fmt.Errorf("it does not follow the engine")
		}
		return nil
	})
}

// rest ends plimsoll serve as systemd does.
func (d *day) rest(t *testing.T) {
	t.Helper()
	if d.serving == nil {
		return
	}
	if err := d.serving.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := d.serving.Wait(); err != nil {
		t.Errorf("plimsoll serve: %v: %s", err, d.said.String())
	}
	d.serving = nil
}

// plimsoll runs a command about this day.
func (d *day) plimsoll(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(d.program, "plimsoll"), append(args, "--state", d.state)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("plimsoll %v ended with %d: %s%s", args, got, out.String(), errs.String())
	}
	return out.String()
}

// events are those of a type that the trail has, or all.
func (d *day) events(t *testing.T, kind string) []*trail.Event {
	t.Helper()
	if _, err := os.Stat(filepath.Join(d.state, "trail", "checkpoint")); err != nil {
		return nil
	}
	var all []*trail.Event
	for line := range strings.Lines(d.plimsoll(t, 0, "trail", "list", "--format", "json")) {
		e, err := trail.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if kind == "" || e.Type == kind {
			all = append(all, e)
		}
	}
	return all
}

// told waits for an event.
func (d *day) told(t *testing.T, kind, name string, n int) *trail.Event {
	t.Helper()
	var found []*trail.Event
	again(t, func() error {
		found = slices.DeleteFunc(d.events(t, kind), func(e *trail.Event) bool { return e.Subject.Name != name })
		if len(found) < n {
			return fmt.Errorf("%d of %d events %s of %s; plimsoll serve said: %s", len(found), n, kind, name, d.said.String())
		}
		return nil
	})
	return found[n-1]
}

// list asks the inventory, and gives what it has by name.
func (d *day) list(t *testing.T, args ...string) map[string]inventory.Deployment {
	t.Helper()
	var doc struct {
		Deployments []inventory.Deployment `json:"deployments"`
	}
	if err := json.Unmarshal([]byte(d.plimsoll(t, 0, append([]string{"inventory", "--format", "json"}, args...)...)), &doc); err != nil {
		t.Fatal(err)
	}
	by := map[string]inventory.Deployment{}
	for _, one := range doc.Deployments {
		by[one.Name] = one
	}
	return by
}

func names(of map[string]inventory.Deployment) string {
	var all []string
	for name := range of {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (d *day) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.engine.Docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// TestDay: a day on a real engine, of which the trail and the inventory answer who, what,
// when, why, whose, for how long, how long it took, and what there was at another time.
func TestDay(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	d := &day{engine: lab.Beside(t, e, "day", "", "--bridge=none"), program: build(t), state: filepath.Join(t.TempDir(), "state")}
	for _, version := range []string{"1", "2"} {
		if err := e.Busybox(t.Context(), "shop/api:"+version, `LABEL org.opencontainers.image.revision="commit-`+version+`"`); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(t.TempDir(), "images.tar")
	docker(t, e, "save", "-o", image, "shop/api:1", "shop/api:2")
	t.Cleanup(func() { d.rest(t) })
	d.serve(t)
	d.docker(t, "load", "-i", image)

	// Deploy, and one that nobody owns.
	web := []string{"run", "-d", "--network", "none", "--stop-timeout", "1", "--name", "web", "-l", "plimsoll.owner=team-shop", "-l", "plimsoll.intent=the shop",
		"--health-cmd", "true", "--health-interval", "300ms"}
	first := d.docker(t, append(web, "-l", "plimsoll.why=release 1", "-l", "plimsoll.retire-after=2026-01-31", "shop/api:1", "sleep", "86400")...)
	d.docker(t, "run", "-d", "--network", "none", "--privileged", "--name", "orphan", "shop/api:1", "sleep", "86400")
	d.docker(t, "run", "-d", "--network", "none", "--stop-timeout", "1", "--name", "keeper", "--restart", "always", "-l", "plimsoll.owner=team-core", "-l", "plimsoll.retire-after=90d", "shop/api:1", "sleep", "86400")
	d.told(t, trail.Healthy, "web", 1)
	d.told(t, trail.Judge, "orphan", 1)
	d.told(t, trail.Judge, "keeper", 1)
	morning := time.Now()
	time.Sleep(20 * time.Millisecond)

	// Exec, an end for want of memory, removal, and an update.
	d.docker(t, "exec", "web", "sh", "-c", "echo --password=hunter2 >/dev/null")
	if _, err := d.engine.Docker("run", "--network", "none", "--name", "hungry", "-m", "8m", "--memory-swap", "8m", "shop/api:1", "sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"); err == nil {
		t.Error("nothing was hungry")
	}
	d.docker(t, "rm", "-f", "orphan")
	d.docker(t, "rm", "-f", "web")
	next := d.docker(t, append(web, "-l", "plimsoll.why=release 2", "shop/api:2", "sleep", "86400")...)
	d.told(t, trail.Healthy, "web", 2)
	d.told(t, trail.Remove, "orphan", 1)

	// The watcher is away, and comes back.
	d.rest(t)
	d.docker(t, "run", "-d", "--network", "none", "--stop-timeout", "1", "--name", "night", "shop/api:2", "sleep", "86400")
	d.docker(t, "rm", "hungry")
	d.serve(t)
	d.told(t, trail.Deploy, "night", 1)
	d.told(t, trail.Remove, "hungry", 1)
	d.told(t, trail.Judge, "night", 1)

	// The engine is restarted.
	d.engine.Restart(t)
	if again := d.told(t, trail.Start, "keeper", 2); again.Detail["by"] != "engine" {
		t.Errorf("keeper was started by %v", again.Detail)
	}
	d.told(t, trail.Die, "web", 2)
	d.told(t, trail.Die, "night", 1)
	d.rest(t)

	now := d.list(t)
	if got := names(now); got != "keeper night web" {
		t.Errorf("deployed are %s", got)
	}
	w := now["web"]
	if w.Container != next || w.Replaces != first || w.Owner != "team-shop" || w.Why != "release 2" || w.Intent != "the shop" || w.Revision != "commit-2" || w.Image != "shop/api:2" ||
		w.Digest != d.docker(t, "inspect", "-f", "{{.Image}}", "web") || w.State != inventory.Exited || w.HealthyAfterSeconds == nil || w.Worst == "" || w.FoundLater || w.Who != "" {
		t.Errorf("web is %+v", w)
	}
	if k := now["keeper"]; k.State != inventory.Running || k.Restarts != 1 || !strings.HasPrefix(k.RetireAfter, time.Now().AddDate(0, 0, 90).UTC().Format("2006-01-")) && len(k.RetireAfter) < 10 {
		t.Errorf("keeper is %+v", k)
	}
	if n := now["night"]; !n.FoundLater && d.told(t, trail.Deploy, "night", 1).Detail["found_later"] != true || n.Deployed.Before(morning) {
		t.Errorf("night is %+v", n)
	}
	if got := names(d.list(t, "--unowned")); got != "night" {
		t.Errorf("nobody owns %s", got)
	}

	// As it was in the morning.
	then := d.list(t, "--at", morning.Format(time.RFC3339Nano))
	if got := names(then); got != "keeper orphan web" {
		t.Errorf("in the morning there were %s", got)
	}
	if w := then["web"]; w.Container != first || w.State != inventory.Running || w.Why != "release 1" || w.Revision != "commit-1" || w.Health != "healthy" {
		t.Errorf("in the morning web was %+v", w)
	}
	if o := then["orphan"]; !o.Privileged || o.Worst != "critical" || o.Owner != "" {
		t.Errorf("in the morning orphan was %+v", o)
	}
	if got := names(d.list(t, "--at", morning.Format(time.RFC3339Nano), "--overdue")); got != "web" {
		t.Errorf("in the morning %s was overdue", got)
	}
	if h := d.list(t, "--all")["hungry"]; !h.OOM || h.ExitCode == nil || *h.ExitCode != 137 || h.State != inventory.Removed {
		code := int64(-1)
		if h.ExitCode != nil {
			code = *h.ExitCode
		}
		t.Errorf("hungry ended with %d: %+v", code, h)
	}

	// The story of web, to the last event.
	var story []string
	for _, e := range d.events(t, "") {
		if e.Subject.Kind == "container" && e.Subject.Name == "web" && e.Type != trail.Judge && e.Type != trail.Healthy {
			story = append(story, e.Type)
		}
		if text := fmt.Sprint(e.Detail); strings.Contains(text, "hunter2") {
			t.Errorf("the trail has a password: %s", text)
		}
	}
	want := []string{"deploy", "start", "exec", "kill", "die", "remove", "deploy", "start", "kill", "kill", "die", "stop"}
	if diff := cmp.Diff(want, story); diff != "" {
		t.Errorf("the story of web (-want +got):\n%s", diff)
	}

	// Nobody changed it; elsewhere that shows too.
	d.plimsoll(t, 0, "trail", "verify", "--deep")
	bundle := filepath.Join(t.TempDir(), "trail.tar")
	d.plimsoll(t, 0, "trail", "export", "-o", bundle)
	d.plimsoll(t, 0, "trail", "verify", bundle, "--deep", "--key", filepath.Join(d.state, "trail", "key.pub"))

	// The inventory is of the trail alone.
	before := d.plimsoll(t, 0, "inventory", "--format", "csv", "--all")
	if err := os.Remove(filepath.Join(d.state, "inventory.db")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, d.plimsoll(t, 0, "inventory", "--format", "csv", "--all")); diff != "" {
		t.Errorf("made anew the inventory is another:\n%s", diff)
	}
}
