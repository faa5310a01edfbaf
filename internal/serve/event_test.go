package serve

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// TestImageEvents: each change of images is one event, whichever way the engine says it.
func TestImageEvents(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	n := len(m.all())
	one, two := "sha256:"+idOf(1), "sha256:"+idOf(2)
	step := func(change func()) { f.do(change); f.mark(m, "after "+strconv.Itoa(len(f.log))) }
	tag := func(id, name string) { f.emit("image", "tag", id, map[string]string{"name": name}) }
	step(func() { // docker import: the tag is said first
		f.images[one] = []string{"web:1"}
		tag(one, "web:1")
		f.emit("image", "import", one, map[string]string{"name": one})
	})
	step(func() { tag(one, "web:1") }) // changes nothing
	step(func() {                      // docker load: nobody says the tags
		f.images[two] = []string{"c:3", "a:1", "b:2"}
		f.emit("image", "load", two, map[string]string{"name": two})
	})
	step(func() { // a tag moves
		f.images[one], f.images[two] = nil, append(f.images[two], "web:1")
		tag(two, "web:1")
	})
	step(func() { // docker rmi of two tags, and of a digest
		f.images[two] = []string{"c:3", "web:1"}
		for range 3 {
			f.emit("image", "untag", two, map[string]string{"name": two})
		}
	})
	step(func() { // a tag that is gone before it is looked at
		delete(f.images, two)
		f.emit("image", "untag", two, map[string]string{"name": two})
		f.emit("image", "delete", two, map[string]string{"name": two})
		f.emit("image", "delete", "sha256:"+idOf(3), nil) // an intermediate one
	})
	step(func() { // docker pull: the event has the reference for an id
		f.images["web:7"] = []string{"web:7"}
		f.emit("image", "pull", "web:7", map[string]string{"name": "web"})
		f.emit("image", "pull", "gone:1", map[string]string{"name": "gone"})
		f.emit("image", "save", one, nil)
	})
	want := []string{"tag web:1", "load  action=import", "load a:1 action=load", "tag b:2", "tag c:3", "tag web:1 from=" + one, "delete a:1 action=untag", "delete b:2 action=untag",
		"delete c:3 action=untag", "delete web:1 action=untag", "delete ", "pull web:7", "pull gone:1"}
	if diff := cmp.Diff(want, lines(about(m.since(n), "image"), "action", "from")); diff != "" {
		t.Error(diff)
	}
	if e := m.wait(t, trail.Pull, "web:7"); e.Subject.ID != "web:7" { // the fake's id of it
		t.Errorf("subject: %+v", e.Subject)
	}
}

// TestNetworkEvents: connects that belong to a start or an end are no events, others are
// one each.
func TestNetworkEvents(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	n := len(m.all())
	f.do(func() {
		quay := idOf(100)
		join := func(action string, c *fakeContainer) {
			f.emit("network", action, quay, map[string]string{"container": c.id, "name": "quay", "type": "bridge"})
		}
		f.emit("network", "create", quay, map[string]string{"name": "quay", "type": "bridge"})
		f.emit("network", "create", idOf(101), map[string]string{"name": "bridge", "type": "bridge"}) // of an engine that starts
		c := f.create(1, nil)
		join("connect", c)
		f.start(c)
		join("disconnect", c)
		join("disconnect", c)
		join("connect", c)
		join("disconnect", c)
		f.die(c, 0)
		join("disconnect", c)
		f.emit("network", "destroy", quay, map[string]string{"name": "quay"})
		f.emit("network", "destroy", idOf(102), map[string]string{"name": "never seen"})
	})
	f.mark(m, "end")
	want := []string{"network quay action=create driver=bridge", "network quay action=disconnect container_name=c1", "network quay action=connect container_name=c1",
		"network quay action=disconnect container_name=c1", "network quay action=destroy"}
	if diff := cmp.Diff(want, lines(about(m.since(n), "network"), "action", "container_name", "driver")); diff != "" {
		t.Error(diff)
	}
}

// TestProbesAreNoExecs: what is as the health check in all is left out; what differs in
// its command, user, input, terminal or privileges is not.
func TestProbesAreNoExecs(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	var want []string
	f.do(func() {
		f.execs = map[string]map[string]any{}
		c := f.create(1, nil)
		c.probe = []string{"CMD-SHELL", "test -e /x"}
		f.start(c)
		for i, tc := range []struct {
			command string
			open    bool
			process map[string]any
			exec    bool
		}{
			{"/bin/sh -c test -e /x", false, nil, false},
			{"/bin/sh -c test -e /x", false, map[string]any{"tty": false, "privileged": false, "user": ""}, false},
			{"/bin/sh -c test -e /y", false, map[string]any{"user": ""}, true},
			{"/bin/sh -c test -e /x", true, map[string]any{}, true},
			{"/bin/sh -c test -e /x", false, map[string]any{"tty": true}, true},
			{"/bin/sh -c test -e /x", false, map[string]any{"privileged": true}, true},
			{"/bin/sh -c test -e /x", false, map[string]any{"user": "root"}, true},
		} {
			id := idOf(500 + i)
			if tc.process != nil {
				f.execs["/exec/"+id+"/json"] = map[string]any{"ID": id, "OpenStdin": tc.open, "ProcessConfig": tc.process}
			}
			f.emit("container", "exec_create: "+tc.command, c.id, f.attrs(c, "execID", id))
			f.emit("container", "exec_start: "+tc.command, c.id, f.attrs(c, "execID", id))
			f.emit("container", "exec_die", c.id, f.attrs(c, "execID", id, "exitCode", "0"))
			if tc.exec {
				line := "exec c1 command=" + tc.command
				if user := tc.process["user"]; user == "root" {
					line += " user=root"
				}
				if tc.process["privileged"] == true {
					line += " privileged=true"
				}
				want = append(want, line)
			}
		}
	})
	f.mark(m, "end")
	got := about(m.all(), "container")[2:]
	if diff := cmp.Diff(want, lines(got, "command", "user", "privileged")); diff != "" {
		t.Error(diff)
	}
}

// TestOOMBehind: that the kernel was out of memory is told of an end whose event came first,
// and of no other.
func TestOOMBehind(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	var c *fakeContainer
	for n, oom := range []bool{true, false} {
		f.do(func() { c = f.create(n+1, nil); f.start(c) })
		m.wait(t, trail.Start, c.name)
		f.do(func() { f.die(c, 137) })
		if oom {
			time.Sleep(quick.settle / 5)
			f.do(func() { f.emit("container", "oom", c.id, f.attrs(c)) })
		}
		m.wait(t, trail.Die, c.name)
	}
	f.mark(m, "end")
	var ends []*trail.Event
	for _, e := range m.all() {
		if e.Type == trail.Die {
			ends = append(ends, e)
		}
	}
	if diff := cmp.Diff([]string{"die c1 exit_code=137 oom=true", "die c2 exit_code=137"}, lines(ends, "exit_code", "oom")); diff != "" {
		t.Error(diff)
	}
}

// TestHealth: the first time that a check passes or fails is an event, with the time since
// the start, and so is each change.
func TestHealth(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	f.do(func() {
		c := f.create(1, nil)
		say := func(is string) { f.emit("container", "health_status: "+is, c.id, f.attrs(c)) }
		say("healthy") // not before it runs
		f.start(c)
		say("starting")
		f.clock = f.clock.Add(2 * time.Second)
		say("healthy")
		say("healthy")
		say("unhealthy")
		say("healthy")
		f.die(c, 0)
		f.start(c)
		say("unhealthy")
	})
	f.mark(m, "end")
	want := []string{"deploy c1", "start c1", "healthy c1", "sick c1", "healthy c1", "die c1", "start c1", "sick c1"}
	got := about(m.all(), "container")
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Fatal(diff)
	}
	if s := fmt.Sprint(got[2].Detail["seconds"]); s != "2.002" && s != "2.001" {
		t.Errorf("healthy after %s seconds", s)
	}
}

// TestReplaces: a container with the name of one that went lately tells which that was.
func TestReplaces(t *testing.T) {
	f, m := startFake(t), &memory{}
	watch(t, f.client, m, nil).follows(t)
	f.do(func() {
		named := func(n int, name string) *fakeContainer {
			c := &fakeContainer{id: idOf(n), name: name}
			f.containers[c.id] = c
			f.emit("container", "create", c.id, f.attrs(c))
			return c
		}
		web := named(1, "web")
		f.remove(web)
		next := named(2, "web")
		next.name = "web-old"
		f.emit("container", "rename", next.id, f.attrs(next, "oldName", "/web"))
		last := named(3, "web")
		f.remove(last)
		f.clock = f.clock.Add(time.Hour)
		named(4, "web")
		named(5, "other")
	})
	f.mark(m, "end")
	var got []string
	for _, e := range m.all() {
		if e.Type == trail.Deploy {
			got = append(got, e.Subject.ID[63:]+" replaces "+textIn(e.Detail, "replaces"))
		}
	}
	if diff := cmp.Diff([]string{"1 replaces ", "2 replaces " + idOf(1), "3 replaces " + idOf(2), "4 replaces ", "5 replaces "}, got); diff != "" {
		t.Error(diff)
	}
}

// TestStreamIsBounded: what waits has a bound in number and in bytes; beyond it all is
// thrown away until what waited is taken, which is said.
func TestStreamIsBounded(t *testing.T) {
	put := func(s *stream, n, size int) {
		for range n {
			s.put(&event{size: size})
		}
	}
	take := func(s *stream) (n int, gap bool) {
		for {
			e, gap, _ := s.next()
			if e == nil {
				return n, gap
			}
			n++
		}
	}
	for _, tc := range []struct {
		name          string
		events, size  int
		want          int
		gap           bool
		limit, onward int
	}{
		{"few", 10, 100, 10, false, 10, 1},
		{"many", 11, 100, 10, true, 10, 1},
		{"large", 5, maxQueueBytes / 4, 4, true, 10, 1},
		{"one that is larger than all", 1, 2 * maxQueueBytes, 1, false, 10, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &stream{limit: tc.limit, wake: make(chan struct{}, 1)}
			put(s, tc.events, tc.size)
			if n, gap := take(s); n != tc.want || gap != tc.gap {
				t.Errorf("%d events, a gap: %v", n, gap)
			}
			put(s, tc.onward, 1)
			if n, gap := take(s); n != tc.onward || gap || s.bytes != 0 {
				t.Errorf("afterwards %d events, a gap: %v, %d bytes", n, gap, s.bytes)
			}
		})
	}
	s := &stream{limit: 1, wake: make(chan struct{}, 1)}
	put(s, 2, 1)
	_, _, _ = s.next()
	_, gap, _ := s.next()
	s.reopen(gap)
	put(s, 1, 1)
	if n, gap := take(s); n != 0 || !gap {
		t.Errorf("a gap that was put back: %d events, %v", n, gap)
	}
}

// TestJudgeTakesInParts: what is wanted often is wanted once, and not all at a time.
func TestJudgeTakesInParts(t *testing.T) {
	j := beginJudging(context.Background(), Config{})
	j.want("nobody judges")
	j.close()
	if got := j.take(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	j = &judge{wake: make(chan struct{}, 1), asked: map[string]bool{}}
	j.Judge = (&verdicts{}).judge
	for range 2 {
		for n := range maxJudged + 1 {
			j.want(strconv.Itoa(n))
		}
	}
	first, second, third := j.take(), j.take(), j.take()
	if len(first) != maxJudged || first[0] != "0" || len(second) != 1 || len(third) != 0 {
		t.Errorf("%d, %d and %d", len(first), len(second), len(third))
	}
	j.want("0")
	if got := j.take(); len(got) != 1 {
		t.Errorf("wanted again: %v", got)
	}
}

func TestNamesForgetTheOldest(t *testing.T) {
	n := newNames(3)
	for i := range 5 {
		n.add(strconv.Itoa(i))
		n.add(strconv.Itoa(i))
	}
	if n.have["1"] || !n.have["2"] || !n.have["4"] || len(n.have) != 3 {
		t.Errorf("has %v", n.have)
	}
}

func TestEngineTime(t *testing.T) {
	for said, want := range map[string]string{"0001-01-01T00:00:00Z": "", "": "", "yesterday": "", "2026-11-27T18:00:00.5+01:00": "2026-11-27T17:00:00.5Z"} {
		d := detail{}
		d.when("at", engineTime(said))
		if got := textIn(d, "at"); got != want {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
		if back := timeIn(d, "at"); !back.Equal(engineTime(said)) {
			t.Errorf("%q is %v again", said, back)
		}
	}
}
