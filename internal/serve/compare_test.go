package serve

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/engine"
)

// lookWith is a look at the container c1.
func lookWith(change func(*look)) *look {
	l := &look{ID: idOf(1), Name: "c1", Image: "sha256:" + idOf(9), Created: stamp(fakeStart)}
	l.Config.Image = "web:1"
	l.State.StartedAt, l.State.FinishedAt = "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"
	if change != nil {
		change(l)
	}
	return l
}

// running makes a look at one that runs since so many seconds after the beginning.
func runningSince(s int) func(*look) {
	return func(l *look) { l.State.Running, l.State.StartedAt = true, at(s) }
}

func both(a, b func(*look)) func(*look) {
	return func(l *look) { a(l); b(l) }
}

// TestCompare: from what is known and what is seen come the events that lie between, and
// none when nothing does; after them there is no difference any more.
func TestCompare(t *testing.T) {
	ran := container{id: idOf(1), name: "c1", running: true, ran: true, started: fakeStart.Add(5 * time.Second)}
	ended := ran
	ended.running = false
	paused := ran
	paused.paused = true
	sick := ran
	sick.health = unhealthy
	health := func(is string) func(*look) {
		return func(l *look) { l.State.Health = &struct{ Status string }{is} }
	}
	end := func(l *look) {
		l.State.Running, l.State.ExitCode, l.State.FinishedAt = false, 3, at(20)
	}
	for _, tc := range []struct {
		name string
		was  container
		is   func(*look)
		want []string
	}{
		{"made and not started", container{id: idOf(1), name: "c1"}, nil, nil},
		{"started", container{id: idOf(1), name: "c1"}, runningSince(5), []string{"start c1 at=" + at(5)}},
		{"started and ended", container{id: idOf(1), name: "c1"}, both(runningSince(5), end), []string{"start c1 at=" + at(5), "die c1 at=" + at(20) + " exit_code=3"}},
		{"runs on", ran, runningSince(5), nil},
		{"ended", ran, both(runningSince(5), end), []string{"die c1 at=" + at(20) + " exit_code=3"}},
		{"ended by lack of memory", ran, both(both(runningSince(5), end), func(l *look) { l.State.OOMKilled = true }), []string{"die c1 at=" + at(20) + " exit_code=3 oom=true"}},
		{"about to be restarted", ran, both(runningSince(5), func(l *look) { l.State.Restarting, l.State.FinishedAt = true, at(20) }), []string{"die c1 at=" + at(20) + " exit_code=0"}},
		{"restarted", ran, runningSince(9), []string{"die c1", "start c1 at=" + at(9)}},
		{"restarted by the engine", ran, both(runningSince(9), func(l *look) { l.RestartCount = 2 }), []string{"die c1", "start c1 at=" + at(9) + " by=engine"}},
		{"restarted and ended", ran, both(runningSince(9), end), []string{"die c1", "start c1 at=" + at(9), "die c1 at=" + at(20) + " exit_code=3"}},
		{"ended long ago", ended, both(runningSince(5), end), nil},
		{"never ended", ended, runningSince(5), []string{"start c1 at=" + at(5)}},
		{"paused", ran, both(runningSince(5), func(l *look) { l.State.Paused = true }), []string{"pause c1"}},
		{"still paused", paused, both(runningSince(5), func(l *look) { l.State.Paused = true }), nil},
		{"resumed", paused, runningSince(5), []string{"resume c1"}},
		{"sound", ran, both(runningSince(5), health("healthy")), []string{"healthy c1"}},
		{"mended", sick, both(runningSince(5), health("healthy")), []string{"healthy c1"}},
		{"still sick", sick, both(runningSince(5), health("unhealthy")), nil},
		{"nobody knows yet", sick, both(runningSince(5), health("starting")), nil},
		{"fell sick", ran, both(runningSince(5), health("unhealthy")), []string{"sick c1"}},
		{"renamed", ran, both(runningSince(5), func(l *look) { l.Name = "c2" }), []string{"rename c2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := &memory{}
			w := &watcher{Config: Config{Record: m.record, pace: quick}, picture: newPicture(), judge: &judge{}, scan: &chore[Scanned]{}, verify: &chore[Vouched]{}}
			c := tc.was
			w.picture.containers[c.id] = &c
			l := lookWith(tc.is)
			if c.differs(l) != (len(tc.want) > 0) {
				t.Errorf("differs: %v", c.differs(l))
			}
			for range 2 { // the second time there is nothing to say
				if err := w.compare(t.Context(), &c, l); err != nil {
					t.Fatal(err)
				}
			}
			want := tc.want
			if want == nil {
				want = []string{}
			}
			if diff := cmp.Diff(want, lines(m.all(), "at", "exit_code", "oom", "by")); diff != "" {
				t.Error(diff)
			}
			if c.differs(l) {
				t.Error("it differs still")
			}
			for _, e := range m.all() {
				if e.Detail["found_later"] != true {
					t.Errorf("not said to be found: %v", e)
				}
			}
		})
	}
}

// TestEngineThatIsAwayAtFirst is waited for, and nothing is recorded of that.
func TestEngineThatIsAwayAtFirst(t *testing.T) {
	f, m := startFake(t), &memory{}
	f.do(func() { f.down = true })
	w := watch(t, f.client, m, nil)
	waitFor(t, "many tries", func() (many bool) { f.do(func() { many = f.away > 10 }); return many })
	if got := lines(m.all()); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
	f.do(func() { f.down = false })
	w.follows(t)
	if diff := cmp.Diff([]string{"engine harbour state=connected engine_id=ENGINE version=20.10.24"}, lines(m.all(), "state", "engine_id", "version")); diff != "" {
		t.Error(diff)
	}
}

// TestVolumesOfASilentPlugin: volumes that a list warns to lack are not taken for gone.
func TestVolumesOfASilentPlugin(t *testing.T) {
	for _, some := range []bool{false, true} {
		m := &memory{}
		w := &watcher{Config: Config{Record: m.record, pace: quick}, picture: newPicture()}
		w.picture.volumes["hold"] = true
		l := &lists{volumes: map[string]bool{"other": true}, someVolumes: some}
		if err := w.compareOthers(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		want := []string{"volume other action=create", "volume hold action=destroy"}
		if some {
			want = want[:1]
		}
		if diff := cmp.Diff(want, lines(m.all(), "action")); diff != "" {
			t.Errorf("a warning: %v\n%s", some, diff)
		}
	}
}

func TestAnswered(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bool
	}{{&engine.Error{Status: 500}, true}, {engine.ErrTooBig, true}, {&engine.Error{}, false}, {errTest, false}} {
		if answered(tc.err) != tc.want {
			t.Errorf("%v: %v", tc.err, answered(tc.err))
		}
	}
	if away("doing", nil) != nil {
		t.Error("no error is one")
	}
}

// TestMissedMuch: an engine that did more than it remembers while it could not be reached
// did not begin anew: a start that its policy could have made is not called its own.
func TestMissedMuch(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	var c *fakeContainer
	f.do(func() {
		c = f.create(1, nil)
		c.policy = "always"
		f.start(c)
	})
	f.mark(m, "begin")
	n := len(m.all())
	f.do(func() { f.down = true })
	waitFor(t, "losing it", func() bool { return len(m.all()) > n })
	f.do(func() {
		f.down = false
		f.die(c, 0)
		f.start(c)
		for range remembered {
			f.emit("container", "top", c.id, f.attrs(c))
		}
	})
	waitFor(t, "the start", func() bool { return len(m.since(n)) >= 4 })
	want := []string{"engine harbour state=lost", "engine harbour state=again", "die c1 found_later=true", "start c1 found_later=true"}
	if diff := cmp.Diff(want, lines(m.since(n), "state", "by", "found_later", "restarted")); diff != "" {
		t.Error(diff)
	}
}

// TestGoneStaysGone: what the engine still remembers of a container that a watcher before
// this one found to be gone makes none of it.
func TestGoneStaysGone(t *testing.T) {
	f, m := startFake(t), &memory{}
	w := watch(t, f.client, m, nil)
	w.follows(t)
	var c *fakeContainer
	f.do(func() { c = f.create(1, nil); f.start(c) })
	f.mark(m, "made")
	w.end()
	f.do(func() { delete(f.containers, c.id) })
	w = watch(t, f.client, m, nil)
	w.follows(t)
	w.end()
	f.do(func() {
		f.emit("container", "kill", c.id, f.attrs(c))
		f.emit("container", "destroy", c.id, f.attrs(c))
	})
	watch(t, f.client, m, nil).follows(t)
	f.mark(m, "end")
	if diff := cmp.Diff([]string{"deploy c1", "start c1", "remove c1 found_later=true"}, lines(about(m.all(), "container"), "found_later")); diff != "" {
		t.Error(diff)
	}
}

// TestSaidTwice: an event that comes late and says what was found is not recorded again.
func TestSaidTwice(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	f.do(func() {
		c := f.create(1, nil)
		f.start(c)
		f.emit("container", "create", c.id, f.attrs(c))
		f.emit("container", "start", c.id, f.attrs(c))
		f.emit("container", "rename", c.id, f.attrs(c))
		f.emit("container", "pause", c.id, f.attrs(c))
		f.emit("container", "pause", c.id, f.attrs(c))
		f.emit("container", "unpause", c.id, f.attrs(c))
		f.emit("container", "unpause", c.id, f.attrs(c))
		f.die(c, 1)
		f.die(c, 1)
		f.remove(c)
		f.remove(c)
		f.emit("container", "start", c.id, f.attrs(c))
	})
	f.mark(m, "end")
	if diff := cmp.Diff([]string{"deploy c1", "start c1", "pause c1", "resume c1", "die c1", "remove c1"}, lines(about(m.all(), "container"))); diff != "" {
		t.Error(diff)
	}
}
