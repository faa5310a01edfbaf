package serve

import (
	"slices"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// TestProbeOfAKnownContainer: a watcher that begins again knows a container's health
// check, and which attributes its labels replace, before it believes events about it; a
// person's command is recorded.
func TestProbeOfAKnownContainer(t *testing.T) {
	f := startFake(t)
	id := ""
	var before time.Time
	f.do(func() {
		c := f.create(1, map[string]string{"signal": "0"})
		c.probe = []string{"CMD-SHELL", "test -e /x"}
		f.start(c)
		id, before = c.id, f.clock
		f.emit("container", "exec_start: /bin/sh -c test -e /x", id, f.attrs(c))
		f.emit("container", "exec_start: cat /etc/passwd", id, f.attrs(c))
		f.emit("container", "kill", id, f.attrs(c))
	})
	m := &memory{}
	known := &Known{EngineID: "ENGINE", Last: before, Containers: []Container{{ID: id, Name: "web", State: Running}}}
	watch(t, f.client, m, func(c *Config) { c.Known = known })
	of := func(kind string) []*trail.Event {
		return slices.DeleteFunc(slices.Clone(m.all()), func(e *trail.Event) bool { return e.Type != kind })
	}
	waitFor(t, "the kill", func() bool { return len(of(trail.Kill)) > 0 })
	execs := of(trail.Exec)
	if len(execs) != 1 || execs[0].Detail["command"] != "cat /etc/passwd" {
		t.Errorf("recorded %v", execs)
	}
	if kill := of(trail.Kill)[0]; kill.Detail["signal"] != nil {
		t.Errorf("the signal is that of a label: %v", kill.Detail)
	}
}
