package inventory

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// oracle answers what was deployed at a time by replaying the events up to then, in
// plain Go: it shares no code with the tables. It gives the deployments in the order of
// their first events.
func oracle(events []trail.Event, at time.Time, removedToo bool) []Deployment {
	type life struct {
		Deployment
		first   string // its name before anything else is known
		begin   time.Time
		changes []trail.Event // with the times from which on they hold
		when    []time.Time
		status  time.Time // of the last change of its state
		traits  time.Time
	}
	var lives []*life
	last := map[string]*life{}
	text := func(e *trail.Event, name string) string { s, _ := e.Detail[name].(string); return s }
	early := func(e *trail.Event, name string) time.Time {
		t, err := time.Parse(time.RFC3339Nano, text(e, name))
		if err != nil || t.After(e.Time) {
			return e.Time
		}
		return t
	}
	after := func(a, b time.Time) time.Time {
		if b.After(a) {
			return b
		}
		return a
	}
	for i := range events {
		e := &events[i]
		l := last[e.Subject.ID]
		gone := l != nil && !l.Removed.IsZero()
		switch e.Type {
		case trail.Deploy, trail.Start, trail.Healthy, trail.Sick, trail.Stop, trail.Kill, trail.Die, trail.Pause, trail.Resume, trail.Rename, trail.Update, trail.Judge, trail.Remove, trail.Exec:
		default:
			continue
		}
		if e.Type == trail.Deploy {
			fresh := l == nil || gone
			if fresh {
				l = &life{begin: early(e, "created")}
				l.Container, l.Deployed = e.Subject.ID, l.begin
				l.FoundLater, _ = e.Detail["found_later"].(bool)
				l.status, l.traits = l.begin, l.begin
				l.changes, l.when = append(l.changes, *e), append(l.when, l.begin)
				lives, last[l.Container] = append(lives, l), l
			} else if l.Deployed.IsZero() {
				if made := early(e, "created"); made.Before(l.begin) {
					l.begin = made
				}
				l.Deployed = l.begin
			}
			l.first, l.Image, l.Digest = cmp.Or(l.first, e.Subject.Name), cmp.Or(l.Image, e.Subject.Image), cmp.Or(l.Digest, e.Subject.Digest)
			if e.Actor != nil {
				l.Who = cmp.Or(l.Who, e.Actor.User)
			}
			if d := e.Declared; d != nil {
				l.Owner, l.Why = cmp.Or(l.Owner, d.Owner), cmp.Or(l.Why, d.Why)
				if d.RetireAfter != "soon" {
					l.RetireAfter = cmp.Or(l.RetireAfter, d.RetireAfter)
				}
			}
			continue
		}
		if gone || l == nil && (e.Type == trail.Judge || e.Type == trail.Remove) {
			continue
		}
		if l == nil {
			l = &life{begin: early(e, "at"), first: e.Subject.Name}
			if e.Type == trail.Rename {
				l.first = text(e, "from")
			}
			l.Container, l.Image, l.Digest = e.Subject.ID, e.Subject.Image, e.Subject.Digest
			l.status, l.traits = l.begin, l.begin
			lives, last[l.Container] = append(lives, l), l
		}
		switch e.Type {
		case trail.Remove:
			l.Removed = after(l.begin, early(e, "at"))
			if l.Removed.Before(l.begin) {
				l.Removed = l.begin
			}
		case trail.Rename, trail.Update, trail.Judge:
			l.traits = after(l.traits, e.Time)
			l.changes, l.when = append(l.changes, *e), append(l.when, l.traits)
		case trail.Start, trail.Healthy, trail.Sick, trail.Die, trail.Pause, trail.Resume:
			l.status = after(l.status, early(e, "at"))
			l.changes, l.when = append(l.changes, *e), append(l.when, l.status)
		}
	}
	var all []Deployment
	for _, l := range lives {
		if l.begin.After(at) || !removedToo && !l.Removed.IsZero() && !l.Removed.After(at) {
			continue
		}
		d := l.Deployment
		d.Name, d.State = l.first, Unseen
		for i, e := range l.changes {
			if l.when[i].After(at) {
				continue
			}
			was := d.State
			switch e.Type {
			case trail.Deploy:
				d.State, d.Name = Created, e.Subject.Name
			case trail.Start:
				d.State, d.ExitCode, d.OOM, d.Health, d.HealthyAfterSeconds = Running, nil, false, "", nil
				if text(&e, "by") == "engine" {
					d.Restarts++
				}
				was = ""
			case trail.Healthy:
				seconds, _ := e.Detail["seconds"].(json.Number).Float64()
				d.Health, d.HealthyAfterSeconds = "healthy", &seconds
			case trail.Sick:
				d.Health = "sick"
			case trail.Die:
				code, _ := e.Detail["exit_code"].(json.Number).Int64()
				d.State, d.ExitCode, d.OOM, d.Health = Exited, &code, e.Detail["oom"] == true, ""
			case trail.Pause:
				d.State = Paused
			case trail.Resume:
				d.State = Running
			case trail.Rename:
				d.Name = text(&e, "to")
			case trail.Judge:
				d.Judged = e.Time
				d.Failing, _ = e.Detail["failing"].(json.Number).Int64()
				d.Worst = ""
				if w := finding.Severity(text(&e, "worst")); slices.Contains(finding.Severities, w) {
					d.Worst = w
				}
			}
			if m, ok := e.Detail["limits"].(map[string]any); ok {
				d.Limits, _ = json.Marshal(m)
			}
			switch e.Type {
			case trail.Start, trail.Deploy, trail.Die, trail.Pause, trail.Resume:
				if d.State != was {
					d.Since = l.when[i]
				}
			}
		}
		if l.Removed.After(at) {
			d.Removed = time.Time{}
		}
		if !d.Removed.IsZero() {
			d.State, d.Since = Removed, d.Removed
		}
		var scannedAt time.Time
		for _, e := range events {
			if e.Type != trail.Scan || e.Subject.Digest != d.Digest {
				continue
			}
			if t := early(&e, "at"); !t.After(at) && !t.Before(scannedAt) {
				scannedAt = t
				d.Scanned, d.ScanWorst = t, finding.Severity(text(&e, "worst"))
				d.ScanFindings, _ = e.Detail["findings"].(json.Number).Int64()
			}
		}
		all = append(all, d)
	}
	return all
}
