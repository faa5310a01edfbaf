package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/trail"
)

func bySeq(list []Deployment) []Deployment {
	slices.SortFunc(list, func(a, b Deployment) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// TestAtLikeAReplay asks at the time of each event, and between, and compares with a
// plain replay.
func TestAtLikeAReplay(t *testing.T) {
	for seed := range uint64(3) {
		s := randomStory(seed, 120)
		db := synced(t, s.all())
		for i := range s.events {
			for _, at := range []time.Time{s.events[i].Time, s.events[i].Time.Add(-3 * time.Second)} {
				for _, all := range []bool{false, true} {
					got := bySeq(list(t, db, Filter{At: at, All: all}).Deployments)
					want := oracle(s.events, at, all)
					if d := diff.Diff(want, got, cmpopts.IgnoreUnexported(Deployment{}), cmpopts.EquateEmpty()); d != "" {
						t.Fatalf("seed %d, event %d at %v, all %v (-want +got):\n%s", seed, i, at, all, d)
					}
				}
			}
		}
		// Now is after all that happened.
		got := bySeq(list(t, db, Filter{}).Deployments)
		if d := diff.Diff(oracle(s.events, s.now.AddDate(1, 0, 0), false), got, cmpopts.IgnoreUnexported(Deployment{}), cmpopts.EquateEmpty()); d != "" || len(got) == 0 {
			t.Fatalf("seed %d, now, %d deployments (-want +got):\n%s", seed, len(got), d)
		}
	}
}

// TestRebuiltIsIncremental syncs in parts that end anywhere, some of them cut off by a
// context that ends in the midst of them, and compares with a database made at once.
func TestRebuiltIsIncremental(t *testing.T) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := randomStory(seed, 1500)
		path := filepath.Join(t.TempDir(), "inventory.db")
		for size, cuts := 0, 0; size < len(s.events); {
			size = min(size+r.IntN(300), len(s.events))
			db := openAt(t, path)
			db.batch = 70
			ctx, cancel := context.WithCancel(t.Context())
			src := &cutOff{part: s.upTo(size), after: -1, cancel: cancel}
			if cuts < 10 && r.IntN(2) == 0 {
				src.after = r.IntN(300)
				cuts++
			}
			err := db.Sync(ctx, src)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			cancel()
			if err != nil {
				size = int(positionOf(t, db))
			}
			if seed == 0 {
				// What it answers is right wherever it stopped.
				at := positionOf(t, db)
				if got, want := dump(t, db), dump(t, synced(t, s.upTo(int(at)))); got != want {
					t.Fatalf("at event %d the database is not as one made anew:\n%s", at, diff.Diff(want, got))
				}
			}
			db.Close()
		}
		db := openAt(t, path)
		if err := db.Sync(t.Context(), s.all()); err != nil {
			t.Fatal(err)
		}
		anew := synced(t, s.all())
		if d := diff.Diff(dump(t, anew), dump(t, db)); d != "" {
			t.Fatalf("seed %d (-anew +in parts):\n%s", seed, d)
		}
		for _, f := range []Filter{{}, {All: true}, {At: s.events[len(s.events)/2].Time}} {
			if a, b := written(t, list(t, anew, f)), written(t, list(t, db, f)); a != b {
				t.Errorf("seed %d: what is written of %+v differs:\n%s", seed, f, diff.Diff(a, b))
			}
		}
	}
}

// written is a listing in all formats for programs.
func written(t *testing.T, l *Listing) string {
	t.Helper()
	var b strings.Builder
	if err := errors.Join(l.WriteJSON(&b), l.WriteCSV(&b), l.WriteHTML(&b)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func positionOf(t *testing.T, db *DB) int64 {
	t.Helper()
	p, err := where(t.Context(), db.sql)
	if err != nil {
		t.Fatal(err)
	}
	return p.position
}

// cutOff is a Source that cancels a context after some events.
type cutOff struct {
	*part
	after  int
	cancel func()
}

func (c *cutOff) Events(from int64) iter.Seq2[trail.Record, error] {
	return func(yield func(trail.Record, error) bool) {
		for r, err := range c.part.Events(from) {
			if c.after--; c.after == -1 {
				c.cancel()
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func TestSyncReadsOnlyWhatIsNew(t *testing.T) {
	s := randomStory(1, 300)
	db := synced(t, s.upTo(200))
	read := &counting{part: s.all()}
	if err := db.Sync(t.Context(), read); err != nil {
		t.Fatal(err)
	}
	if want := int64(199); len(read.from) == 0 || slices.Min(read.from) != want { // and one to compare
		t.Errorf("events were read from %v on, want from %d", read.from, want)
	}
	if err := db.Sync(t.Context(), s.all()); err != nil || positionOf(t, db) != 300 {
		t.Errorf("nothing new: position %d, %v", positionOf(t, db), err)
	}
}

type counting struct {
	*part
	from []int64
}

func (c *counting) Events(from int64) iter.Seq2[trail.Record, error] {
	c.from = append(c.from, from)
	return c.part.Events(from)
}

// TestMadeAnew changes the trail behind a database in each way that makes it useless.
func TestMadeAnew(t *testing.T) {
	old := randomStory(1, 300)
	otherName := randomStory(1, 300)
	otherName.name = "harbour-2+bb+key"
	otherPast := randomStory(2, 300)
	pruned := randomStory(1, 300)
	pruned.first = 120
	for name, src := range map[string]*part{
		"other trail":            otherName.all(),
		"other past, same size":  otherPast.all(),
		"other past, more":       randomStory(2, 400).all(),
		"less than was read":     old.upTo(150),
		"pruned":                 pruned.all(),
		"less than read, nested": {story: old, size: 100, later: old.upTo(120)},
		"nothing":                old.upTo(0),
	} {
		t.Run(name, func(t *testing.T) {
			db := synced(t, old.all())
			before := dump(t, db)
			if err := db.Sync(t.Context(), src); err != nil {
				t.Fatal(err)
			}
			if src.later != nil {
				src = src.later
			}
			got := dump(t, db)
			if d := diff.Diff(dump(t, synced(t, src)), got); d != "" || got == before {
				t.Errorf("not as one made anew:\n%s", d)
			}
		})
	}
	t.Run("another version", func(t *testing.T) {
		db := synced(t, old.all())
		want := dump(t, db)
		if _, err := db.sql.Exec("PRAGMA user_version = 77; DROP TABLE states; CREATE TABLE foreign_to_us (a); DELETE FROM deployments"); err != nil {
			t.Fatal(err)
		}
		if err := db.Sync(t.Context(), old.all()); err != nil {
			t.Fatal(err)
		}
		if d := diff.Diff(want, dump(t, db)); d != "" {
			t.Error(d)
		}
	})
	t.Run("pruned since an old view", func(t *testing.T) {
		db := synced(t, pruned.all())
		want := dump(t, db)
		if err := db.Sync(t.Context(), &part{story: old, size: 300, later: pruned.all()}); err != nil {
			t.Fatal(err)
		}
		if d := diff.Diff(want, dump(t, db)); d != "" {
			t.Error(d)
		}
	})
	t.Run("ahead of an old view only", func(t *testing.T) {
		db := synced(t, old.all())
		mark := "UPDATE deployments SET why = 'kept'"
		if _, err := db.sql.Exec(mark); err != nil {
			t.Fatal(err)
		}
		// Another process has synced since this view was made; the trail has it all.
		if err := db.Sync(t.Context(), &part{story: old, size: 100, later: old.all()}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(dump(t, db), `why="kept"`) || positionOf(t, db) != 300 {
			t.Error("the database was made anew for nothing")
		}
	})
}

func TestFaultOfTheTrail(t *testing.T) {
	s := randomStory(3, 300)
	s.fault = 250
	db := openNew(t)
	if err := db.Sync(t.Context(), s.all()); !errors.Is(err, errFault) {
		t.Fatalf("got %v", err)
	}
	if _, err := db.List(t.Context(), Filter{Now: begun}); err == nil || !strings.Contains(err.Error(), "nothing was read into it yet") {
		t.Errorf("a database that was never synced says %v", err)
	}
	s.fault = 0
	if err := db.Sync(t.Context(), s.all()); err != nil || dump(t, db) != dump(t, synced(t, s.all())) {
		t.Errorf("after the fault: %v", err)
	}
	s.data = append(s.data, []byte("no event"))
	s.events = append(s.events, trail.Event{})
	if err := db.Sync(t.Context(), s.all()); err == nil || !strings.Contains(err.Error(), "event 300") {
		t.Errorf("an event that is none: %v", err)
	}
}

// TestPruneCarries prunes a trail before whose cut the deployments were carried.
func TestPruneCarries(t *testing.T) {
	for seed := range uint64(12) {
		s := randomStory(seed, 200)
		s.now = s.now.Add(time.Hour)
		f := Filter{Now: s.now.Add(time.Hour)}
		before := list(t, synced(t, s.all()), f)
		cut := int64(len(s.events))
		for _, d := range before.Deployments {
			s.add(Carried(d), 0)
		}
		same := list(t, synced(t, s.all()), f)
		if d := diff.Diff(before.Deployments, same.Deployments, cmpopts.IgnoreUnexported(Deployment{})); d != "" {
			t.Fatalf("seed %d: what is carried changed what is known:\n%s", seed, d)
		}
		s.first = cut
		after := list(t, synced(t, s.all()), f)
		if d := diff.Diff(before.Deployments, after.Deployments, cmpopts.IgnoreUnexported(Deployment{})); d != "" || len(after.Deployments) == 0 {
			t.Fatalf("seed %d: after the prune (-before +after):\n%s", seed, d)
		}
	}
	// Without that, they are there, and nobody knows whose they are.
	s := newStory()
	web := newBox(1, "web", "nginx")
	s.deploy(web, 0, "ana", &trail.Declared{Owner: "team-shop"}, nil).on(web, 1, trail.Start, nil).on(web, time.Hour, trail.Pause, nil)
	s.first = 2
	got := list(t, synced(t, s.all()), Filter{}).Deployments
	if len(got) != 1 || got[0].Name != "web" || got[0].Owner != "" || !got[0].Deployed.IsZero() || got[0].State != Paused {
		t.Errorf("got %+v", got)
	}
}

func ExampleCarried() {
	e := Carried(Deployment{Container: "4f0c", Name: "web", Owner: "team-shop", State: Running})
	fmt.Println(e.Type, e.Subject.Name, e.Declared.Owner, e.Detail)
	// Output: deploy web team-shop map[carried:true state:running]
}
