package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// begun is when the stories of the tests begin.
var begun = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)

// story makes the events of a trail, one after the other.
type story struct {
	name   string
	now    time.Time
	first  int64
	events []trail.Event
	data   [][]byte
	fault  int64 // the number of an event that cannot be read, if not 0
}

func newStory() *story { return &story{name: "harbour-1+aa+key", now: begun} }

// on appends an event about a container some time after the one before.
func (s *story) on(c box, after time.Duration, kind string, detail map[string]any) *story {
	return s.add(trail.Event{Type: kind, Subject: c.subject(), Detail: detail}, after)
}

func (s *story) add(e trail.Event, after time.Duration) *story {
	s.now = s.now.Add(after)
	e.Seq, e.Time = int64(len(s.events)), s.now
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	// What the trail gives back is what it stored, with numbers as json.Number.
	stored, err := trail.Decode(data)
	if err != nil {
		panic(err)
	}
	s.events, s.data = append(s.events, *stored), append(s.data, data)
	return s
}

// box is a container of a story.
type box struct{ id, name, image, digest string }

func (b box) subject() trail.Subject {
	return trail.Subject{Kind: "container", ID: b.id, Name: b.name, Image: b.image, Digest: b.digest}
}

func newBox(n int, name, image string) box {
	return box{fmt.Sprintf("%064x", n+1), name, image, "sha256:" + strings.Repeat(fmt.Sprintf("%08x", 0x9c41e000+n), 8)}
}

// deploy appends a deploy event of a user; "" is not known.
func (s *story) deploy(c box, after time.Duration, who string, d *trail.Declared, detail map[string]any) *story {
	e := trail.Event{Type: trail.Deploy, Subject: c.subject(), Declared: d, Detail: detail}
	if who != "" {
		e.Actor = &trail.Actor{User: who}
	}
	return s.add(e, after)
}

type details = map[string]any

// part is a story as a Source, up to an event.
type part struct {
	*story
	size int64
	// later is what Again gives; nil is the same.
	later *part
}

func (s *story) all() *part          { return &part{story: s, size: int64(len(s.events))} }
func (s *story) upTo(size int) *part { return &part{story: s, size: int64(size)} }
func (p *part) Name() string         { return p.name }
func (p *part) First() int64         { return p.first }
func (p *part) Size() int64          { return p.size }
func (p *part) Again() (Source, error) {
	if p.later != nil {
		return p.later, nil
	}
	return p, nil
}

var errFault = errors.New("the disk has a fault")

func (p *part) Events(from int64) iter.Seq2[trail.Record, error] {
	return func(yield func(trail.Record, error) bool) {
		for i := max(from, p.first); i < p.size; i++ {
			if p.fault != 0 && i == p.fault {
				yield(trail.Record{}, errFault)
				return
			}
			if !yield(trail.Record{Seq: i, Data: p.data[i]}, nil) {
				return
			}
		}
	}
}

func openAt(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openNew(t testing.TB) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "inventory.db"))
}

// synced is a database that has read all of a source.
func synced(t testing.TB, src Source) *DB {
	t.Helper()
	db := openNew(t)
	if err := db.Sync(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	return db
}

func list(t testing.TB, db *DB, f Filter) *Listing {
	t.Helper()
	if f.Now.IsZero() {
		f.Now = begun.AddDate(0, 0, 30)
	}
	l, err := db.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// names lists the deployments of a listing.
func names(l *Listing) string {
	var all []string
	for _, d := range l.Deployments {
		all = append(all, d.Name)
	}
	return strings.Join(all, " ")
}

// dump is all that a database holds, as text.
func dump(t testing.TB, db *DB) string {
	t.Helper()
	var b strings.Builder
	for _, table := range []string{"meta", "deployments", "states", "traits", "scans"} {
		rows, err := db.sql.Query("SELECT * FROM " + table + " ORDER BY 1, 2, 3")
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s", table)
			for i, v := range values {
				fmt.Fprintf(&b, " %s=%q", columns[i], fmt.Sprint(v))
			}
			b.WriteString("\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
