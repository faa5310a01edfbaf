package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// detail reads what an event says by name. What is not there, or not of the kind that it
// should be, is zero.
type detail map[string]any

func decode(data []byte) (*trail.Event, error) { return trail.Decode(data) }

func (d detail) text(name string) string {
	s, _ := d[name].(string)
	return s
}

// flag reads a boolean.
func (d detail) flag(name string) bool {
	b, _ := d[name].(bool)
	return b
}

// number reads an integer.
func (d detail) number(name string) (int64, bool) {
	n, ok := d[name].(json.Number)
	if !ok {
		return 0, false
	}
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	f, err := n.Float64()
	if err != nil || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// count is a number that is not negative.
func (d detail) count(name string) int64 {
	n, _ := d.number(name)
	return max(n, 0)
}

// milliseconds reads a number of seconds.
func (d detail) milliseconds(name string) (int64, bool) {
	n, ok := d[name].(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	if err != nil || !(f >= 0 && f < 1e12) {
		return 0, false
	}
	return int64(math.Round(f * 1000)), true
}

// earliest is before any engine: who says that a container is older does not know.
var earliest = time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// time reads when something was. What is after the event's own time cannot be.
func (d detail) time(name string, recorded int64) (int64, bool) {
	t, err := time.Parse(time.RFC3339, d.text(name))
	if err != nil || t.Year() > 2200 {
		return 0, false
	}
	ns := t.UnixNano()
	return ns, ns >= earliest && ns <= recorded
}

// when is when something was: as the engine said, else when it was recorded.
func (d detail) when(recorded int64) int64 {
	if at, ok := d.time("at", recorded); ok {
		return at
	}
	return recorded
}

// severity reads a severity; another word is none.
func (d detail) severity(name string) string {
	s, err := finding.ParseSeverity(d.text(name))
	if err != nil {
		return ""
	}
	return string(s)
}

// object reads an object as JSON whose keys are sorted.
func (d detail) object(name string) string {
	m, ok := d[name].(map[string]any)
	if !ok || len(m) == 0 {
		return ""
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// retireDate is what may be read as one, or nothing.
func retireDate(s string) string {
	d := Deployment{RetireAfter: s}
	if _, ok := d.retire(time.UTC); !ok {
		return ""
	}
	return s
}

// whoever is what an actor is called.
func whoever(a *trail.Actor) string {
	switch {
	case a == nil:
		return ""
	case a.User != "":
		return a.User
	case a.CertSubject != "":
		return a.CertSubject
	case a.LoginUID != nil:
		return fmt.Sprintf("uid %d", *a.LoginUID)
	case a.UID != nil:
		return fmt.Sprintf("uid %d", *a.UID)
	case a.Container != "":
		return "container " + a.Container
	}
	return ""
}
