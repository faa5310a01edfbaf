package serve

import (
	"encoding/json"
	"hash/maphash"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/redact"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// event is one of the engine.
type event struct {
	kind   string // container, image, …
	action string // without what comes behind a colon
	about  string // that
	id     string
	attrs  map[string]string
	at     time.Time
	mark   uint64 // tells it from every other
	size   int
}

// markSeed is of this process, so that nobody can make an event that is taken for
// another.
var markSeed = maphash.MakeSeed()

func readEvent(raw json.RawMessage) (*event, error) {
	var body struct {
		Type, Action string
		Actor        struct {
			ID         string
			Attributes map[string]string
		}
		TimeNano int64 `json:"timeNano"`
	}
	if _, err := strict.Decode("the engine's event", raw, &body); err != nil {
		return nil, err
	}
	action, about, _ := strings.Cut(body.Action, ": ")
	return &event{kind: body.Type, action: action, about: about, id: body.Actor.ID, attrs: body.Actor.Attributes,
		at: time.Unix(0, body.TimeNano).UTC(), mark: maphash.Bytes(markSeed, raw), size: len(raw)}, nil
}

const (
	// maxText bounds a text of others in an event.
	maxText = declare.MaxText
	// maxName bounds names and ids.
	maxName = 256
)

// text is a text of others as an event may hold it.
func text(s string) string {
	out, _, _ := redact.Text(s)
	return trail.Clip(out, maxText)
}

// detail is what an event says beside its subject. Empty values are left out.
type detail map[string]any

func (d detail) put(name, value string) {
	if value != "" {
		d[name] = value
	}
}

// flag says something that is true only sometimes.
func (d detail) flag(name string, is bool) {
	if is {
		d[name] = true
	}
}

// when says at what time something happened by the engine's clock.
func (d detail) when(name string, at time.Time) {
	if !at.IsZero() {
		d[name] = stamp(at)
	}
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// seenMarks is how many events are known again; an engine remembers 256.
const seenMarks = 1024

// seen are the last events that were handled.
type seen struct {
	marks map[uint64]bool
	order []uint64 // a ring once it is full
	next  int
}

func (s *seen) has(mark uint64) bool { return s.marks[mark] }

func (s *seen) add(mark uint64) {
	if s.marks == nil {
		s.marks = map[uint64]bool{}
	}
	if s.marks[mark] {
		return
	}
	s.marks[mark] = true
	if len(s.order) < seenMarks {
		s.order = append(s.order, mark)
		return
	}
	delete(s.marks, s.order[s.next])
	s.order[s.next] = mark
	s.next = (s.next + 1) % seenMarks
}
