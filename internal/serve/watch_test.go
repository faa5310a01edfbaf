package serve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// mark makes something happen, and waits for it to be recorded: all before it is too.
func (f *fake) mark(m *memory, name string) {
	f.t.Helper()
	f.do(func() {
		f.volumes[name] = true
		f.emit("volume", "create", name, map[string]string{"driver": "local"})
	})
	m.wait(f.t, trail.Volume, name)
}

// TestFlood: of 10,000 events that come at once none is lost, and each is in its place.
func TestFlood(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	f.mark(m, "begin")
	begin := len(m.all())
	var want []string
	f.do(func() {
		for n := range 2500 {
			c := f.create(n, nil)
			f.start(c)
			f.die(c, n%256)
			f.remove(c)
			want = append(want, "deploy "+c.name, "start "+c.name, fmt.Sprintf("die %s exit_code=%d", c.name, n%256), "remove "+c.name)
		}
	})
	f.mark(m, "end")
	got := lines(m.since(begin), "exit_code")
	if diff := cmp.Diff(want, got[:len(got)-1]); diff != "" {
		t.Error(diff)
	}
}

// TestCuts: a stream that is cut every few events loses and doubles nothing, and is not
// called lost.
func TestCuts(t *testing.T) {
	f, m := startFake(t), &memory{}
	f.cut = 3
	watch(t, f.client, m, nil).follows(t)
	var want []string
	for n := range 400 {
		f.do(func() {
			c := f.create(n, nil)
			f.start(c)
			f.die(c, 1)
			if n%2 == 0 {
				f.remove(c)
			}
			want = append(want, "deploy "+c.name, "start "+c.name, "die "+c.name)
			if n%2 == 0 {
				want = append(want, "remove "+c.name)
			}
		})
		if n%3 == 0 { // what happens beyond what an engine remembers is another test's
			m.wait(t, trail.Die, fmt.Sprintf("c%d", n))
		}
	}
	f.mark(m, "end")
	if diff := cmp.Diff(want, lines(about(m.all(), "container"))); diff != "" {
		t.Error(diff)
	}
	if f.streams < 20 { // how often hangs on how fast the watcher is
		t.Errorf("the stream was cut %d times", f.streams)
	}
	if got := about(m.all(), "engine"); len(got) != 1 {
		t.Errorf("the engine: %v", lines(got, "state"))
	}
}

// TestFoundLater: what happened while nobody watched, and is not remembered, is found;
// what stayed as it was is not.
func TestFoundLater(t *testing.T) {
	f, m := startFake(t), &memory{}
	var gone, renamed, stopped, again, same, stays *fakeContainer
	f.do(func() {
		gone, renamed, stopped = f.create(1, nil), f.create(2, nil), f.create(3, nil)
		again, same, stays = f.create(4, nil), f.create(5, nil), f.create(6, nil)
		for _, c := range []*fakeContainer{gone, renamed, stopped, again, same} {
			f.start(c)
		}
		f.images["sha256:"+idOf(1)] = []string{"web:1", "web:2"}
		f.images["sha256:"+idOf(2)] = []string{"old:1"}
		f.volumes["hold"] = true
	})
	w := watch(t, f.client, m, nil)
	w.follows(t)
	f.mark(m, "begin")
	if diff := cmp.Diff([]string{"deploy c1", "start c1", "deploy c2", "start c2", "deploy c3", "start c3", "deploy c4", "start c4", "deploy c5", "start c5", "deploy c6"},
		lines(about(m.all(), "container"))); diff != "" {
		t.Errorf("at first:\n%s", diff)
	}
	for _, e := range about(m.all(), "container", "image") {
		if e.Detail["found_later"] != true {
			t.Errorf("not said to be found: %+v", e)
		}
	}
	w.end()
	n := len(m.all())
	f.do(func() {
		delete(f.containers, gone.id)
		renamed.name = "other"
		stopped.running, stopped.exit, stopped.finished = false, 7, f.clock
		again.started = f.clock
		stays.running, stays.started = true, f.clock
		f.images["sha256:"+idOf(1)] = []string{"web:2"}
		delete(f.images, "sha256:"+idOf(2))
		f.images["sha256:"+idOf(3)] = []string{"new:1"}
		delete(f.volumes, "hold")
		c := f.create(8, map[string]string{"plimsoll.owner": "ops"})
		f.start(c)
		f.from = len(f.log) // it remembers nothing of that
	})
	w = watch(t, f.client, m, nil)
	w.follows(t)
	f.mark(m, "end")
	want := []string{"engine harbour state=connected",
		"load  found_later=true", "tag new:1 found_later=true", "delete web:1 action=untag found_later=true", "delete old:1 action=untag found_later=true", "delete  found_later=true",
		"volume hold action=destroy found_later=true",
		"remove c1 found_later=true", "rename other found_later=true", "die c3 exit_code=7 found_later=true", "die c4 found_later=true", "start c4 found_later=true",
		"start c6 found_later=true", "deploy c8 found_later=true", "start c8 found_later=true", "volume end action=create"}
	if diff := cmp.Diff(want, lines(m.since(n), "state", "action", "exit_code", "found_later")); diff != "" {
		t.Error(diff)
	}
	if d := m.wait(t, trail.Deploy, "c8").Declared; d == nil || d.Owner != "ops" {
		t.Errorf("declared: %+v", d)
	}

	w.end()
	n = len(m.all())
	watch(t, f.client, m, nil).follows(t)
	f.mark(m, "twin")
	if diff := cmp.Diff([]string{"engine harbour", "volume twin"}, lines(m.since(n))); diff != "" {
		t.Errorf("nothing happened, and:\n%s", diff)
	}
}

// TestRemembered: what happened while nobody watched and is remembered is recorded as
// it was, and not found as well.
func TestRemembered(t *testing.T) {
	f, m := startFake(t), &memory{}
	var c *fakeContainer
	f.do(func() { c = f.create(1, nil); f.start(c) })
	w := watch(t, f.client, m, nil)
	w.follows(t)
	f.mark(m, "begin")
	w.end()
	n := len(m.all())
	f.do(func() {
		f.emit("container", "exec_start: cat /etc/shadow", c.id, f.attrs(c))
		f.emit("container", "kill", c.id, f.attrs(c, "signal", "9"))
		f.die(c, 137)
		f.start(c)
		short := f.create(2, nil)
		f.remove(short)
	})
	watch(t, f.client, m, nil).follows(t)
	f.mark(m, "end")
	want := []string{"engine harbour", "exec c1", "kill c1", "die c1 exit_code=137", "start c1", "deploy c2", "remove c2", "volume end"}
	got := m.since(n)
	if diff := cmp.Diff(want, lines(got, "exit_code")); diff != "" {
		t.Error(diff)
	}
	if got[1].Detail["found_later"] != true || got[len(got)-1].Detail["found_later"] != nil {
		t.Errorf("found later: %v, %v", got[1].Detail, got[len(got)-1].Detail)
	}
}

// TestEngineBeginsAnew: the end of containers with their engine and the starts by its
// policies are seen; the engine is lost once and met again once, however often it is
// tried; a start by a person is not taken for the engine's.
func TestEngineBeginsAnew(t *testing.T) {
	f, m := startFake(t), &memory{}
	var plain, always *fakeContainer
	watch(t, f.client, m, nil).follows(t)
	f.do(func() {
		plain, always = f.create(1, nil), f.create(2, nil)
		always.policy = "always"
		f.start(plain)
		f.start(always)
	})
	f.mark(m, "begin")
	n := len(m.all())
	f.do(func() { f.down = true })
	waitFor(t, "many tries", func() (many bool) { f.do(func() { many = f.away > 20 }); return many })
	f.do(func() {
		f.down, f.from = false, len(f.log)
		f.die(plain, 137)
		always.running = false
		f.start(always)
		f.clock = f.clock.Add(1e9)
	})
	f.mark(m, "again")
	f.do(func() {
		f.start(plain)
		f.die(always, 0)
		f.start(always) // RestartCount is 0
	})
	f.mark(m, "end")
	want := []string{"engine harbour state=lost", "engine harbour state=again restarted=true", "die c1", "die c2", "start c2 by=engine", "volume again", "start c1", "die c2", "start c2", "volume end"}
	if diff := cmp.Diff(want, lines(m.since(n), "state", "by", "restarted")); diff != "" {
		t.Error(diff)
	}
}

func TestWatchRefuses(t *testing.T) {
	if err := Watch(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "required") {
		t.Errorf("got %v", err)
	}
}
