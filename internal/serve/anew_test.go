package serve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestRealEngineBeginsAnew: an engine is killed and started, then stopped and started,
// with live containers. What died with it is dead, what it starts by itself is started by
// it, and nothing else changes.
func TestRealEngineBeginsAnew(t *testing.T) {
	e := lab.Private(t, nil)
	s := lab.Beside(t, e, "serve-anew", "", "--bridge=none", "--shutdown-timeout=1")
	d := func(args ...string) string { t.Helper(); return docker(t, s.Docker, args...) }
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "web.tar")
	docker(t, e.Docker, "save", "-o", archive, "web:1")
	m := &memory{}
	watch(t, realClient(t, s.Host()), m, nil).follows(t)
	d("load", "-i", archive)
	d("run", "-d", "--name", "plain", "--stop-signal", "KILL", "web:1")
	d("run", "-d", "--name", "always", "--stop-signal", "KILL", "--restart", "always", "web:1")
	d("create", "--name", "idle", "--restart", "always", "web:1")
	m.wait(t, trail.Deploy, "idle")
	for _, kill := range []bool{true, false} {
		d("start", "plain")
		waitFor(t, "the start", func() bool { return m.known(t).state("plain") == Running && m.known(t).state("always") == Running })
		n := len(m.all())
		signal := os.Interrupt
		if kill {
			signal = os.Kill
		}
		s.End(signal)
		waitFor(t, "losing it", func() bool { return len(about(m.since(n), "engine")) > 0 })
		s.Start(t)
		d("volume", "create", fmt.Sprintf("mark-%v", kill))
		m.wait(t, trail.Volume, fmt.Sprintf("mark-%v", kill))
		waitFor(t, "what is there", func() bool { return m.known(t).state("plain") == Exited && m.known(t).state("always") == Running })
		engines := lines(about(m.since(n), "engine"), "state", "restarted")
		name := about(m.all(), "engine")[0].Subject.Name
		if diff := cmp.Diff([]string{"engine " + name + " state=lost", "engine " + name + " state=again restarted=true"}, engines); diff != "" {
			t.Errorf("killed %v:\n%s", kill, diff)
		}
		count := map[string]int{}
		for _, line := range lines(about(m.since(n), "container"), "by") {
			count[line]++
		}
		for _, typ := range []string{"kill", "stop"} { // an engine that was killed may not get to these
			delete(count, typ+" plain")
			delete(count, typ+" always")
		}
		if diff := cmp.Diff(map[string]int{"die plain": 1, "die always": 1, "start always by=engine": 1}, count); diff != "" {
			t.Errorf("killed %v:\n%s", kill, diff)
		}
	}
}

// state is that of the container with a name.
func (k *Known) state(name string) string {
	for _, c := range k.Containers {
		if c.Name == name {
			return c.State
		}
	}
	return ""
}

// TestRealFoundLater: what happened on an engine while nobody watched is there
// afterwards, be it remembered or not.
func TestRealFoundLater(t *testing.T) {
	e := lab.Private(t, nil)
	d := func(args ...string) string { t.Helper(); return docker(t, e.Docker, args...) }
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	d("run", "-d", "--name", "kept", "--restart", "always", "web:1")
	d("run", "-d", "--name", "ended", "web:1")
	d("run", "-d", "--name", "gone", "web:1")
	d("create", "--name", "idle", "web:1")
	m := &memory{}
	w := watch(t, realClient(t, e.Host()), m, nil)
	w.follows(t)
	w.end()
	want := []string{"engine state=connected", "load  found_later=true", "tag web:1 found_later=true", "deploy kept restart=always found_later=true", "start kept found_later=true",
		"deploy ended restart=no found_later=true", "start ended found_later=true", "deploy gone restart=no found_later=true", "start gone found_later=true", "deploy idle restart=no found_later=true"}
	if diff := cmp.Diff(want, realLines(m.all())); diff != "" {
		t.Errorf("at first:\n%s", diff)
	}
	n := len(m.all())
	d("rm", "-f", "gone")
	d("kill", "ended")
	d("rename", "idle", "other")
	d("run", "-d", "--name", "fresh", "--label", "plimsoll.owner=ops", "web:1")
	d("network", "create", "quay")
	many := []string{"update", "--restart", "always"}
	for range remembered + 10 {
		many = append(many, "kept")
	}
	d(many...)
	w = watch(t, realClient(t, e.Host()), m, nil)
	w.follows(t)
	k := m.known(t)
	for name, state := range map[string]string{"kept": Running, "ended": Exited, "other": Created, "fresh": Running, "gone": ""} {
		if k.state(name) != state {
			t.Errorf("%s is %q, want %q", name, k.state(name), state)
		}
	}
	for _, e := range m.since(n) {
		if e.Type != trail.Engine && e.Detail["found_later"] != true {
			t.Errorf("not said to be found: %s %s %v", e.Type, e.Subject.Name, e.Detail)
		}
	}
	if fresh := m.wait(t, trail.Deploy, "fresh"); fresh.Declared == nil || fresh.Declared.Owner != "ops" {
		t.Errorf("declared: %+v", fresh.Declared)
	}
}
