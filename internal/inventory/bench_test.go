package inventory

import (
	"encoding/json"
	"fmt"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// long is a trail of many events that are made as they are read: of each deployment some
// ten, and all but the last are removed.
type long struct{ deployments, present int64 }

const (
	perDeployment = 10  // events
	mixed         = 250 // deployments that are there at the same time
)

func (l *long) Name() string           { return "long+aa+key" }
func (l *long) First() int64           { return 0 }
func (l *long) Size() int64            { return l.deployments * perDeployment }
func (l *long) Again() (Source, error) { return l, nil }

// at is when an event was.
func (l *long) at(seq int64) time.Time { return begun.Add(time.Duration(seq) * 100 * time.Millisecond) }

func (l *long) event(seq int64) []byte {
	group, in := seq/(mixed*perDeployment), seq%(mixed*perDeployment)
	n, step := group*mixed+in%mixed, in/mixed
	c := newBox(int(n), fmt.Sprintf("app-%d", n%500), fmt.Sprintf("shop/app-%d:4.%d", n%50, n%9))
	e := trail.Event{Seq: seq, Time: l.at(seq), Subject: c.subject(), Detail: map[string]any{}}
	e.Type = []string{trail.Deploy, trail.Start, trail.Healthy, trail.Judge, trail.Exec, trail.Judge, trail.Kill, trail.Die, trail.Start, trail.Remove}[step]
	switch step {
	case 0:
		e.Actor = &trail.Actor{User: "ci"}
		e.Declared = &trail.Declared{Owner: "team-shop", Why: "release", RetireAfter: "2027-02-22", Source: "labels"}
		e.Detail["created"] = e.Time.Add(-time.Millisecond).Format(time.RFC3339Nano)
	case 3, 5:
		e.Detail["failing"], e.Detail["worst"] = 3, "medium"
	case 9:
		if n >= l.deployments-l.present {
			e.Type = trail.Stop
		}
	}
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return data
}

func (l *long) Events(from int64) iter.Seq2[trail.Record, error] {
	return func(yield func(trail.Record, error) bool) {
		for seq := from; seq < l.Size(); seq++ {
			if !yield(trail.Record{Seq: seq, Data: l.event(seq)}, nil) {
				return
			}
		}
	}
}

// BenchmarkSync reads a trail of 100,000 events.
func BenchmarkSync(b *testing.B) {
	l := &long{deployments: 10_000, present: 300}
	for b.Loop() {
		db := openAt(b, filepath.Join(b.TempDir(), "inventory.db"))
		if err := db.Sync(b.Context(), l); err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
	b.ReportMetric(float64(l.Size())*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkList asks a database of 1,000,000 events, of 100,000 deployments of which 300
// are there.
func BenchmarkList(b *testing.B) {
	l := &long{deployments: 100_000, present: 300}
	db := synced(b, l)
	now := l.at(l.Size())
	for _, bench := range []struct {
		name string
		f    Filter
		want int
	}{
		{"now", Filter{Now: now}, 300},
		{"overdue", Filter{Now: now, Overdue: true}, 0},
		{"early", Filter{At: l.at(mixed * perDeployment / 2)}, mixed},
		{"half", Filter{At: l.at(l.Size()/2 + mixed*perDeployment/2)}, mixed},
		{"late", Filter{At: l.at(l.Size() - mixed*perDeployment/2)}, 300},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				got, err := db.List(b.Context(), bench.f)
				if err != nil {
					b.Fatal(err)
				}
				if len(got.Deployments) != bench.want {
					b.Fatalf("%d deployments, want %d", len(got.Deployments), bench.want)
				}
			}
		})
	}
}
