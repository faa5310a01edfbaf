package serve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// TestDiskFull: an event that finds the disk full is tried again, and what happens
// meanwhile waits, in order.
func TestDiskFull(t *testing.T) {
	f, m := startFake(t), &memory{}
	var refused atomic.Int64
	m.before = func(e *trail.Event) error {
		if e.Type == trail.Start && refused.Add(1)%5 != 0 {
			return fmt.Errorf("appending: %w", &trail.FullError{Dir: "/var/lib/plimsoll", Err: unix.ENOSPC})
		}
		return nil
	}
	watch(t, f.client, m, nil).follows(t)
	var want []string
	f.do(func() {
		for n := range 10 {
			c := f.create(n, nil)
			f.start(c)
			f.die(c, 0)
			want = append(want, "deploy "+c.name, "start "+c.name, "die "+c.name)
		}
	})
	f.mark(m, "end")
	if diff := cmp.Diff(want, lines(about(m.all(), "container"))); diff != "" {
		t.Error(diff)
	}
	if refused.Load() != 50 {
		t.Errorf("%d tries", refused.Load())
	}
}

// TestOverflow: what the queue has no room for is found when there is room again.
func TestOverflow(t *testing.T) {
	f, m := startFake(t), &memory{}
	var full atomic.Bool
	held := make(chan struct{}, 1)
	m.before = func(*trail.Event) error {
		if full.Load() {
			select {
			case held <- struct{}{}:
			default:
			}
			return &trail.FullError{Err: unix.ENOSPC}
		}
		return nil
	}
	watch(t, f.client, m, func(c *Config) { c.pace.queue = 8 }).follows(t)
	f.mark(m, "begin")
	n := len(m.all())
	full.Store(true)
	f.do(func() { f.create(1, nil) })
	<-held
	var last *fakeContainer
	f.do(func() {
		for n := 2; n < 40; n++ {
			last = f.create(n, nil)
			f.start(last)
			if n%2 == 0 {
				f.die(last, 0)
				f.remove(last)
			}
		}
	})
	full.Store(false)
	m.wait(t, trail.Start, last.name)
	f.mark(m, "end")
	want := map[string]bool{"c1": true}
	for i := 3; i < 40; i += 2 {
		want[fmt.Sprintf("c%d", i)] = true
	}
	have, found := map[string]bool{}, 0
	for _, e := range about(m.since(n), "container") {
		switch e.Type {
		case trail.Deploy:
			if have[e.Subject.Name] {
				t.Errorf("%s twice", e.Subject.Name)
			}
			have[e.Subject.Name] = true
		case trail.Remove:
			delete(have, e.Subject.Name)
		}
		if e.Detail["found_later"] == true {
			found++
		}
	}
	if diff := cmp.Diff(want, have); diff != "" || found == 0 {
		t.Errorf("%d found later:\n%s", found, diff)
	}
}

// TestBrokenTrail ends the watcher, and only that does.
func TestBrokenTrail(t *testing.T) {
	f, m := startFake(t), &memory{}
	m.before = func(e *trail.Event) error {
		if e.Type == trail.Deploy {
			return fmt.Errorf("%w: %w", trail.ErrBroken, errTest)
		}
		return nil
	}
	w := watch(t, f.client, m, nil)
	w.follows(t)
	f.do(func() { f.create(1, nil) })
	err := <-w.ended
	w.ended <- err
	if !errors.Is(err, trail.ErrBroken) {
		t.Errorf("ended with %v", err)
	}
	other := watch(t, f.client, &memory{}, nil)
	if err := other.end(); !errors.Is(err, context.Canceled) {
		t.Errorf("the twin ended with %v", err)
	}
}

// TestTooLarge: what an event is too large for is left out, and said so.
func TestTooLarge(t *testing.T) {
	f, m := startFake(t), &memory{}
	m.before = func(e *trail.Event) error {
		if e.Declared != nil {
			return &trail.TooLargeError{Type: e.Type, Bytes: 70000}
		}
		return nil
	}
	watch(t, f.client, m, nil).follows(t)
	f.do(func() { f.create(1, map[string]string{"plimsoll.owner": "ops"}) })
	if d := m.wait(t, trail.Deploy, "c1").Detail; fmt.Sprint(d["too_large"]) != "70000" || d["at"] == nil {
		t.Errorf("detail: %v", d)
	}
	f.do(func() { f.create(2, nil) })
	if d := m.wait(t, trail.Deploy, "c2").Detail; d["too_large"] != nil || d["created"] == nil {
		t.Errorf("the twin's detail: %v", d)
	}
}

// TestHostileText: names, labels and commands that hold anything are recorded within
// bounds, and what comes after them is too.
func TestHostileText(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	long := strings.Repeat("\x00\x1b[31m\u202e\xff", 4000)
	f.do(func() {
		c := f.create(1, map[string]string{"plimsoll.owner": long, "plimsoll.why": long, "plimsoll.intent": long, "plimsoll.retire-after": long, "com.docker.compose.project": long,
			"org.opencontainers.image.source": "https://user:hunter2secret@git.example.com/x"})
		f.emit("container", "exec_start: echo "+long, c.id, f.attrs(c))
		f.emit("container", "exec_start", c.id, f.attrs(c))
		f.emit("container", "exec_start: mysql --password=hunter2secret", c.id, f.attrs(c))
		f.emit("container", "kill", "", nil)
		f.emit("image", "tag", "sha256:"+idOf(4), map[string]string{"name": long})
		f.emit("volume", "create", long, nil)
		f.emit("network", "create", idOf(5), nil)
		f.emit("service", "create", "x", map[string]string{"name": long, "image.new": long})
		f.emit("", "", "", nil)
		f.log = append(f.log, `{"Type":"container","Type":"image"}`, `{"Type":7}`, `{}`)
	})
	f.mark(m, "end")
	for _, e := range m.all() {
		raw := fmt.Sprintf("%+v %+v %+v", e.Subject, e.Declared, e.Detail)
		if len(raw) > 12*maxText || strings.Contains(raw, "hunter2secret") {
			t.Errorf("%d bytes: %.300q", len(raw), raw)
		}
	}
	want := []string{"deploy c1", "exec c1", "exec c1", "exec c1"}
	if diff := cmp.Diff(want, lines(about(m.all(), "container"))); diff != "" {
		t.Error(diff)
	}
}

// TestLabelsAreNotAttributes: a label cannot speak for the engine, and where there is no
// such label the engine is believed.
func TestLabelsAreNotAttributes(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	f.do(func() {
		for n, labels := range []map[string]string{{"exitCode": "0", "signal": "0"}, nil} {
			c := f.create(n, labels)
			f.start(c)
			f.emit("container", "kill", c.id, f.attrs(c, "signal", "9"))
			f.die(c, 42)
		}
	})
	f.mark(m, "end")
	want := []string{"deploy c0", "start c0", "kill c0", "die c0 exit_code=42", "deploy c1", "start c1", "kill c1 signal=9", "die c1 exit_code=42"}
	if diff := cmp.Diff(want, lines(about(m.all(), "container"), "signal", "exit_code")); diff != "" {
		t.Error(diff)
	}
}

// TestRefusedLooks: one answer that is refused holds nothing up.
func TestRefusedLooks(t *testing.T) {
	f, m := startFake(t), &memory{}
	f.do(func() {
		f.create(1, nil)
		f.create(2, nil)
		f.refuse["/containers/"+idOf(1)+"/json"] = 500
	})
	watch(t, f.client, m, nil).follows(t)
	f.mark(m, "end")
	if diff := cmp.Diff([]string{"deploy c2"}, lines(about(m.all(), "container"))); diff != "" {
		t.Error(diff)
	}
}

// TestStartedByEngine: where the engine speaks of a later start already, what came before
// tells who started a container.
func TestStartedByEngine(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	f.do(func() {
		for n, policy := range []string{"always", "", "always", "on-failure"} {
			c := f.create(n, nil)
			c.policy = policy
			f.start(c)
			f.die(c, 1)
			if n == 2 {
				f.emit("container", "stop", c.id, f.attrs(c))
			}
			f.start(c)
			f.die(c, 1)
			c.restarts = 2
			f.start(c)
			if n == 3 { // a client starts it, which sets the count back
				f.die(c, 1)
				f.emit("container", "stop", c.id, f.attrs(c))
				c.restarts = 0
				f.start(c)
			}
		}
	})
	f.mark(m, "end")
	got := map[string]string{}
	for _, e := range m.all() {
		if e.Type == trail.Start {
			by := "?"
			if e.Detail["by"] == "engine" {
				by = "e"
			}
			got[e.Subject.Name] += by
		}
	}
	if diff := cmp.Diff(map[string]string{"c0": "?ee", "c1": "??e", "c2": "??e", "c3": "?ee?"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestClockSetBack: an engine whose clock was set back is followed all the same.
func TestClockSetBack(t *testing.T) {
	f, m := startFake(t), &memory{}
	w := watch(t, f.client, m, nil)
	w.follows(t)
	f.mark(m, "begin")
	f.do(func() { f.clock = f.clock.Add(-1e13) })
	f.do(func() { f.start(f.create(1, nil)) })
	m.wait(t, trail.Start, "c1")
	w.end()
	watch(t, f.client, m, nil).follows(t)
	f.do(func() { f.start(f.create(2, nil)) })
	m.wait(t, trail.Start, "c2")
	if got := lines(about(m.all(), "container")); len(got) != 4 {
		t.Errorf("got %v", got)
	}
}
