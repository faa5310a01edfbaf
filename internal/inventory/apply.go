package inventory

import (
	"cmp"
	"context"
	"database/sql"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// apply changes what is known by an event.
func (w *writer) apply(ctx context.Context, seq int64, e *trail.Event) error {
	d, recorded := detail(e.Detail), e.Time.UnixNano()
	if e.Type == trail.Scan && e.Subject.Digest != "" {
		w.scans = append(w.scans, e.Subject.Digest, d.when(recorded), seq, d.count("findings"), d.severity("worst"))
		return nil
	}
	if e.Subject.Kind != "container" || e.Subject.ID == "" {
		return nil
	}
	change, ok := changes[e.Type]
	if !ok {
		return nil
	}
	c, err := w.find(ctx, e.Subject.ID)
	if err != nil {
		return err
	}
	switch {
	case e.Type == trail.Deploy && (c == nil || c.facts.removed.Valid):
		c = w.deploy(seq, e)
	case e.Type == trail.Deploy:
		if c.add(e) {
			c.facty = true
			w.touch(c)
		}
		return nil
	case c == nil && e.Type != trail.Judge && e.Type != trail.Remove:
		c = w.meet(seq, e)
	case c == nil || c.facts.removed.Valid:
		// A verdict may come after the end of what it is about.
		return nil
	}
	if change != nil {
		change(c, seq, d, recorded)
	}
	w.touch(c)
	return nil
}

// changes are what the types of events do to a deployment that is there. A type without a
// function tells only that it is.
var changes = map[string]func(c *current, seq int64, d detail, recorded int64){
	trail.Deploy: nil,
	trail.Stop:   nil,
	trail.Kill:   nil,
	trail.Exec:   nil,
	trail.Start: func(c *current, seq int64, d detail, recorded int64) {
		s := c.next(Running, seq, d.when(recorded))
		s.since = s.at // even where the end before it was missed
		s.exitCode, s.oom, s.health, s.healthyMS = sql.NullInt64{}, false, "", sql.NullInt64{}
		if d.text("by") == "engine" {
			s.restarts++
		}
		c.setState(s)
	},
	trail.Healthy: func(c *current, seq int64, d detail, recorded int64) {
		s := c.next(c.state.state, seq, d.when(recorded))
		s.health = "healthy"
		if ms, ok := d.milliseconds("seconds"); ok {
			s.healthyMS = sql.NullInt64{Int64: ms, Valid: true}
		}
		c.setState(s)
	},
	trail.Sick: func(c *current, seq int64, d detail, recorded int64) {
		s := c.next(c.state.state, seq, d.when(recorded))
		s.health = "sick"
		c.setState(s)
	},
	trail.Die: func(c *current, seq int64, d detail, recorded int64) {
		s := c.next(Exited, seq, d.when(recorded))
		code, ok := d.number("exit_code")
		s.exitCode, s.oom, s.health = sql.NullInt64{Int64: code, Valid: ok}, d.flag("oom"), ""
		c.setState(s)
	},
	trail.Pause: func(c *current, seq int64, d detail, recorded int64) {
		c.setState(c.next(Paused, seq, d.when(recorded)))
	},
	trail.Resume: func(c *current, seq int64, d detail, recorded int64) {
		c.setState(c.next(Running, seq, d.when(recorded)))
	},
	trail.Rename: func(c *current, seq int64, d detail, recorded int64) {
		t := c.trait
		t.name = cmp.Or(d.text("to"), t.name)
		c.setTrait(t, seq, recorded)
	},
	trail.Update: func(c *current, seq int64, d detail, recorded int64) {
		t := c.trait
		t.limits = cmp.Or(d.object("limits"), t.limits)
		c.setTrait(t, seq, recorded)
	},
	trail.Judge: func(c *current, seq int64, d detail, recorded int64) {
		t := c.trait
		t.judged = sql.NullInt64{Int64: recorded, Valid: true}
		t.failing, t.waived, t.worst = d.count("failing"), d.count("waived"), d.severity("worst")
		c.setTrait(t, seq, recorded)
	},
	trail.Remove: func(c *current, _ int64, d detail, recorded int64) {
		c.facts.removed = sql.NullInt64{Int64: max(d.when(recorded), c.facts.begin), Valid: true}
		c.facty = true
	},
}

// next is the state that follows, not before the one that it follows.
func (c *current) next(state string, seq, at int64) stateRow {
	s := c.state
	s.at, s.seq = max(at, s.at), seq
	if s.state != state {
		s.state, s.since = state, s.at
	}
	return s
}

func (c *current) setState(s stateRow) {
	c.state = s
	c.states = append(c.states, s)
}

func (c *current) setTrait(t traitRow, seq, at int64) {
	t.at, t.seq = max(at, c.trait.at), seq
	c.trait = t
	c.traits = append(c.traits, t)
}

// meet makes a deployment of a container that nothing was told of before.
func (w *writer) meet(seq int64, e *trail.Event) *current {
	recorded := e.Time.UnixNano()
	c := &current{facty: true}
	c.facts = factsRow{dep: seq, container: e.Subject.ID, name: e.Subject.Name, image: e.Subject.Image, digest: e.Subject.Digest, begin: detail(e.Detail).when(recorded)}
	c.state, c.trait = c.facts.firstState(), c.facts.firstTrait()
	if from := detail(e.Detail).text("from"); e.Type == trail.Rename && from != "" {
		c.facts.name = from
	}
	w.know(c)
	return c
}

// told are the facts that a deploy event has.
func told(seq int64, e *trail.Event) factsRow {
	d, recorded := detail(e.Detail), e.Time.UnixNano()
	f := factsRow{dep: seq, container: e.Subject.ID, name: e.Subject.Name, image: e.Subject.Image, digest: e.Subject.Digest, who: whoever(e.Actor), via: d.text("via"),
		begin: recorded, foundLater: d.flag("found_later"), replaces: d.text("replaces"), privileged: d.flag("privileged"),
		project: d.text("project"), service: cmp.Or(d.text("compose_service"), d.text("swarm_service")),
		source: d.text("source"), revision: d.text("revision"), versionOf: d.text("version"),
		commit: d.text("commit"), repository: d.text("repository"), run: d.text("run")}
	if at, ok := d.time("created", recorded); ok {
		f.begin = at
	}
	f.deployed = sql.NullInt64{Int64: f.begin, Valid: true}
	if d.flag(carried) {
		f.who = cmp.Or(f.who, d.text("who"))
		if d.text("created") == "" {
			f.deployed.Valid = false
			for _, name := range []string{"since", "judged"} {
				if at, ok := d.time(name, recorded); ok {
					f.begin = min(f.begin, at)
				}
			}
		}
	}
	if s := e.Declared; s != nil {
		f.owner, f.why, f.intent, f.retire, f.declared = s.Owner, s.Why, s.Intent, retireDate(s.RetireAfter), s.Source
	}
	return f
}

// deploy makes a deployment of a deploy event.
func (w *writer) deploy(seq int64, e *trail.Event) *current {
	c := &current{facty: true, facts: told(seq, e)}
	c.state, c.trait = c.facts.firstState(), c.facts.firstTrait()
	c.trait.limits = detail(e.Detail).object("limits")
	c.setTrait(c.trait, seq, c.facts.begin)
	if detail(e.Detail).flag(carried) {
		w.carry(c, seq, detail(e.Detail), e.Time.UnixNano())
	} else {
		c.setState(c.next(Created, seq, c.facts.begin))
	}
	w.know(c)
	return c
}

// add takes from a further deploy event what is not known yet: the gate and the watcher
// may both tell of a container. It says whether that is anything.
func (c *current) add(e *trail.Event) bool {
	f := told(c.facts.dep, e)
	changed := false
	from := f.texts()
	for i, to := range c.facts.texts() {
		if *to == "" && *from[i] != "" {
			*to, changed = *from[i], true
		}
	}
	if !c.facts.deployed.Valid && f.deployed.Valid {
		// It was there before anything was told of it.
		c.facts.begin = min(f.begin, c.facts.begin)
		c.facts.deployed.Int64, c.facts.deployed.Valid, changed = c.facts.begin, true, true
	}
	if f.privileged && !c.facts.privileged {
		c.facts.privileged, changed = true, true
	}
	return changed
}
