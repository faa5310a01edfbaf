package serve

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// gateTrail is a gate's trail that a test writes.
type gateTrail struct {
	t   *testing.T
	log *trail.Log
	dir string
}

func newGateTrail(t *testing.T) *gateTrail {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gate")
	l, err := trail.Open(trail.Config{Dir: dir, Name: "harbour-1-gate", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &gateTrail{t, l, dir}
}

func (g *gateTrail) add(typ, phase string, asked int64, uid uint32, s trail.Subject) int64 {
	g.t.Helper()
	d := map[string]any{"gate": phase}
	if phase != "asked" {
		d["asked"] = asked
	}
	seq, err := g.log.Append(g.t.Context(), trail.Event{Type: typ, Actor: &trail.Actor{UID: &uid}, Subject: s, Detail: d, Declared: &trail.Declared{Owner: "ops"}})
	if err != nil {
		g.t.Fatal(err)
	}
	return seq
}

const webID = "aaaabbbbccccddddaaaabbbbccccddddaaaabbbbccccddddaaaabbbbccccdddd"

// TestAsked: what happens is put down to who asked the gate for it, once, and what nobody
// asked for to nobody.
func TestAsked(t *testing.T) {
	g := newGateTrail(t)
	a := &Asked{Dir: g.dir, Now: time.Now}
	who := func(typ string, s trail.Subject, at time.Time) int {
		e := &trail.Event{Type: typ, Subject: s, Detail: map[string]any{}}
		if !at.IsZero() {
			e.Detail["at"] = at.UTC().Format(time.RFC3339Nano)
		}
		a.Name(t.Context(), e)
		if e.Actor == nil {
			return -1
		}
		if e.Detail["asked"] == nil {
			t.Errorf("%s has an actor and not the gate's event", typ)
		}
		return int(*e.Actor.UID)
	}
	web := trail.Subject{Kind: "container", ID: webID, Name: "web"}
	typed := func(name string) trail.Subject { return trail.Subject{Kind: "container", Name: name} }
	check := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	check("nobody has asked for anything", who(trail.Start, web, time.Now()), -1)
	deploy := g.add(trail.Deploy, "asked", 0, 1, typed("web"))
	g.add(trail.Deploy, "done", deploy, 1, web)
	g.add(trail.Start, "asked", 0, 2, web)
	check("the deployment", who(trail.Deploy, web, time.Now()), 1)
	check("it is not another's", who(trail.Deploy, web, time.Now()), -1)
	check("the start", who(trail.Start, web, time.Now()), 2)
	check("the engine starts it again by itself", who(trail.Start, web, time.Now()), -1)
	g.add(trail.Stop, "asked", 0, 3, typed("web"))
	check("its kill, by the name as it was typed", who(trail.Kill, web, time.Now()), 3)
	check("its stop", who(trail.Stop, web, time.Now()), 3)
	g.add(trail.Remove, "asked", 0, 4, typed(webID[:12]))
	check("another container", who(trail.Remove, trail.Subject{Kind: "container", ID: "ffff" + webID[4:], Name: "other"}, time.Now()), -1)
	check("its removal, by the beginning of its id", who(trail.Remove, web, time.Now()), 4)
	failed := g.add(trail.Start, "asked", 0, 5, web)
	g.add(trail.Start, "failed", failed, 5, web)
	check("a start that failed", who(trail.Start, web, time.Now()), -1)
	g.add(trail.Pause, "asked", 0, 6, web)
	check("long before it was asked for", who(trail.Pause, web, time.Now().Add(-time.Hour)), -1)
	check("long after", who(trail.Pause, web, time.Now().Add(time.Hour)), -1)
	check("found later, at no known time", who(trail.Pause, web, time.Time{}), 6)
}

// TestAskedWaits: the engine tells of a container before the gate knows its id.
func TestAskedWaits(t *testing.T) {
	g := newGateTrail(t)
	a := &Asked{Dir: g.dir, Now: time.Now}
	deploy := g.add(trail.Deploy, "asked", 0, 7, trail.Subject{Kind: "container"})
	done := make(chan bool)
	go func() {
		defer close(done)
		time.Sleep(300 * time.Millisecond)
		g.add(trail.Deploy, "done", deploy, 7, trail.Subject{Kind: "container", ID: webID})
	}()
	e := &trail.Event{Type: trail.Deploy, Subject: trail.Subject{Kind: "container", ID: webID}}
	a.Name(t.Context(), e)
	<-done
	if e.Actor == nil || *e.Actor.UID != 7 || e.Declared == nil || e.Declared.Owner != "ops" {
		t.Errorf("%+v", e)
	}
}
