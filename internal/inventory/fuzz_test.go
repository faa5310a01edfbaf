package inventory

import (
	"encoding/json"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// FuzzEvents reads whatever the trail could hold: at once, and one by one, it makes the
// same database, whose listings can be written and read.
func FuzzEvents(f *testing.F) {
	for _, s := range []*story{harbour(), hostileStory(), randomStory(1, 30)} {
		for i := 0; i < len(s.data); i += 7 {
			f.Add(s.data[i], s.data[(i+1)%len(s.data)])
		}
	}
	f.Add([]byte(`{"type":"deploy","subject":{"kind":"container","id":"1"},"detail":{"carried":true,"since":"2014-01-01T00:00:00Z","healthy_after_s":1e11,"exit_code":-9223372036854775808}}`),
		[]byte(`{"time":"2300-01-01T00:00:00Z","type":"remove","subject":{"kind":"container","id":"1"},"detail":{"at":"2013-02-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s := newStory()
		for i, data := range [][]byte{a, b, a} {
			e, err := trail.Decode(data)
			if err != nil {
				return
			}
			// These the trail gives itself.
			e.Seq, e.Time = int64(i), begun.Add(time.Duration(i)*time.Hour)
			stored, err := json.Marshal(e)
			if err != nil {
				return
			}
			s.data, s.events = append(s.data, stored), append(s.events, *e)
		}
		db := openNew(t)
		for i := range s.data {
			if err := db.Sync(t.Context(), s.upTo(i+1)); err != nil {
				t.Fatal(err)
			}
		}
		if d := diff.Diff(dump(t, synced(t, s.all())), dump(t, db)); d != "" {
			t.Errorf("one by one (-at once +one by one):\n%s", d)
		}
		for _, filter := range []Filter{{All: true}, {At: begun.Add(time.Minute)}} {
			l := list(t, db, filter)
			var doc document
			if err := json.Unmarshal([]byte(writtenJSON(t, l)), &doc); err != nil || len(doc.Deployments) != len(l.Deployments) {
				t.Errorf("reading the JSON: %v", err)
			}
			harmless(t, "the table", tableOf(t, l, terminal(200, false), false), "")
			harmless(t, "the blocks", tableOf(t, l, terminal(80, false), true), "")
			checkCSV(t, l)
			checkHTML(t, l)
		}
	})
}
