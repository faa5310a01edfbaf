package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// Asked knows who asked for what, from the trail of a gate beside the engine. It belongs to
// one goroutine.
type Asked struct {
	// Dir is the folder of the gate's trail; it need not be there yet.
	Dir string
	Now func() time.Time
	Log func(format string, args ...any)

	next     int64      // the first event that was not read
	requests []*request // the last of them, the oldest first
	lacking  []Lacking  // what was refused since it was given last
	seen     lastChange // of the trail, when it was read
	read     time.Time  // when that was
	said     string     // what the log was told last
}

// request is one that the gate passed on.
type request struct {
	trail.Event
	over bool            // it is known what came of it
	used map[string]bool // types of events that were put down to it
}

const (
	// maxRequests bounds how many are remembered.
	maxRequests = 10_000
	// longestRequest is how long what a request asks for may take to happen: a container
	// may be given minutes to stop.
	longestRequest = 10 * time.Minute
	// skew is how much later than the engine's word for it a request may be recorded.
	skew = 2 * time.Second
	// restReading is how long to wait for what the gate is about to record.
	restReading = 50 * time.Millisecond
	// waitOver bounds the wait for the gate to say what came of a deployment.
	waitOver = 5 * time.Second
	// maxLacking bounds how many images are looked at for refusals that are found at a time, and
	// oldRefusal for how long somebody is expected to try again.
	maxLacking = 32
	oldRefusal = 10 * time.Minute
)

// causes are, by the type of what happens, the types of requests that have it happen.
var causes = map[string][]string{
	trail.Deploy: {trail.Deploy},
	trail.Start:  {trail.Start},
	trail.Stop:   {trail.Stop, trail.Start, trail.Remove}, // a restart is of the type start
	trail.Kill:   {trail.Kill, trail.Stop, trail.Start, trail.Remove},
	trail.Pause:  {trail.Pause},
	trail.Resume: {trail.Resume},
	trail.Rename: {trail.Rename},
	trail.Update: {trail.Update},
	trail.Exec:   {trail.Exec},
	trail.Remove: {trail.Remove},
	trail.Volume: {trail.Volume, trail.Deploy, trail.Remove},
	trail.Tag:    {trail.Tag},
}

// Name gives an event its actor, where the gate knows who asked for what happened, and
// the number of the gate's event. What nobody asked the gate for stays unknown.
func (a *Asked) Name(ctx context.Context, e *trail.Event) {
	if causes[e.Type] == nil || e.Subject.ID == "" && e.Subject.Name == "" {
		return
	}
	began, at := a.Now(), timeIn(e.Detail, "at")
	for {
		// What the engine did before the last reading was asked for before that.
		if at.IsZero() || !at.Before(a.read) {
			a.catchUp()
		}
		r := a.find(e, at)
		switch {
		case r != nil:
			r.used[e.Type] = true
			e.Actor = r.Actor
			if e.Detail == nil {
				e.Detail = map[string]any{}
			}
			e.Detail["asked"], e.Detail["via"] = r.Seq, "gate"
			if e.Type == trail.Deploy && e.Declared == nil {
				e.Declared = r.Declared
			}
			return
		case e.Type != trail.Deploy || !a.underWay() || a.Now().Sub(began) > waitOver || ctx.Err() != nil:
			return
		}
		// The gate learns a container's id no sooner than the engine tells of it.
		select {
		case <-ctx.Done():
		case <-time.After(restReading):
		}
		at = time.Time{}
	}
}

// Lacking gives the images that were refused since it was called last for what is not known
// of them, each once.
func (a *Asked) Lacking() []Lacking {
	a.catchUp()
	list := a.lacking
	a.lacking = nil
	return list
}

// refused takes what the gate refused for want of a verdict. A client can have it refuse as
// often as it likes.
func (a *Asked) refused(e *trail.Event) {
	l := Lacking{Image: cmp.Or(e.Subject.Digest, e.Subject.Image)} // a name may lead elsewhere by now
	if a.Now().Sub(e.Time) > oldRefusal || l.Image == "" {
		return
	}
	objections, _ := e.Detail["objections"].([]any)
	for _, one := range objections {
		one, _ := one.(map[string]any)
		lacks := textIn(one, "lacks")
		l.Verified, l.Scanned = l.Verified || lacks == "verified", l.Scanned || lacks == "scanned"
	}
	if !l.Verified && !l.Scanned {
		return
	}
	for i := range a.lacking {
		if have := &a.lacking[i]; have.Image == l.Image {
			have.Verified, have.Scanned = have.Verified || l.Verified, have.Scanned || l.Scanned
			return
		}
	}
	if len(a.lacking) < maxLacking {
		a.lacking = append(a.lacking, l)
	}
}

// find gives the last request that explains an event, of that time or of any, and does
// not yet explain another of its type.
func (a *Asked) find(e *trail.Event, at time.Time) *request {
	for _, r := range slices.Backward(a.requests) {
		if r.used[e.Type] || r.Subject.Kind != e.Subject.Kind || !slices.Contains(causes[e.Type], r.Type) {
			continue
		}
		if !at.IsZero() && (r.Time.After(at.Add(skew)) || r.Time.Before(at.Add(-longestRequest))) {
			continue
		}
		if e.Type == trail.Deploy {
			if r.over && r.Subject.ID == e.Subject.ID {
				return r
			}
			continue
		}
		if r.Subject.ID != "" {
			if r.Subject.ID == e.Subject.ID {
				return r
			}
			continue
		}
		// The name is as the client typed it: a name, or the beginning of an id.
		if name := r.Subject.Name; name != "" && (name == nameThen(e) || len(name) >= 4 && strings.HasPrefix(e.Subject.ID, name)) {
			return r
		}
	}
	return nil
}

// nameThen is the name that the subject of an event had when that was asked for.
func nameThen(e *trail.Event) string {
	if from, renamed := e.Detail["from"].(string); e.Type == trail.Rename && renamed {
		return from
	}
	return e.Subject.Name
}

// underWay says whether the gate has a deployment of which it is not known what came.
func (a *Asked) underWay() bool {
	now := a.Now()
	return slices.ContainsFunc(a.requests, func(r *request) bool {
		return r.Type == trail.Deploy && !r.over && now.Sub(r.Time) < time.Minute
	})
}

// lastChange is another whenever something was appended to a trail.
type lastChange struct {
	name string
	at   time.Time
}

func (a *Asked) changed() lastChange {
	entries, err := os.ReadDir(filepath.Join(a.Dir, "events"))
	if err != nil || len(entries) == 0 {
		return lastChange{}
	}
	last := entries[len(entries)-1]
	info, err := last.Info()
	if err != nil {
		return lastChange{}
	}
	return lastChange{last.Name(), info.ModTime()}
}

// catchUp reads what the gate has recorded since.
func (a *Asked) catchUp() {
	read, now := a.Now(), a.changed()
	if now == a.seen || now == (lastChange{}) {
		return
	}
	a.seen, a.read = now, read
	v, err := trail.Read(a.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		a.tell(err)
		return
	}
	if v.Size() < a.next {
		a.next, a.requests = 0, nil // it is another trail
	}
	for r, err := range v.Events(a.next) {
		if err != nil {
			a.tell(err)
			break
		}
		a.next = r.Seq + 1
		e, err := r.Event()
		if err != nil {
			a.tell(err)
			continue
		}
		a.take(e)
	}
	if n := len(a.requests) - maxRequests; n > 0 {
		a.requests = slices.Delete(a.requests, 0, n)
	}
}

// take takes one event of the gate's.
func (a *Asked) take(e *trail.Event) {
	phase, _ := e.Detail["gate"].(string)
	if phase == "asked" {
		a.requests = append(a.requests, &request{Event: *e, used: map[string]bool{}})
		return
	}
	if e.Type == "refuse" && phase == "refused" {
		a.refused(e)
	}
	number, _ := e.Detail["asked"].(json.Number)
	asked, err := number.Int64()
	i := slices.IndexFunc(a.requests, func(r *request) bool { return r.Seq == asked })
	if err != nil || i < 0 {
		return
	}
	switch r := a.requests[i]; phase {
	case "failed", "undone", "refused":
		a.requests = slices.Delete(a.requests, i, i+1)
	case "done":
		r.over = true
		if e.Subject.ID != "" {
			r.Subject = e.Subject
		}
	}
}

func (a *Asked) tell(err error) {
	if text := err.Error(); text != a.said && a.Log != nil {
		a.said = text
		a.Log("reading the gate's trail: %v", err)
	}
}
