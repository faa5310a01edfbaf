package inventory

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// randomStory makes events as they may come: containers that live, are renamed, end and
// come back, are found later, were never told of, and events that concern nobody.
func randomStory(seed uint64, n int) *story {
	r := rand.New(rand.NewPCG(seed, 1))
	s := newStory()
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	gap := func() time.Duration {
		// Often several events have one time.
		return time.Duration(r.IntN(4)) * time.Duration(r.IntN(1e9)) * 10
	}
	earlier := func() string {
		return s.now.Add(-time.Duration(r.Int64N(int64(40 * time.Second)))).Format(time.RFC3339Nano)
	}
	for range n {
		c := newBox(r.IntN(9), pick("web", "db", "cache", "job"), pick("shop/api:4", "registry.example/db:1", "nginx"))
		c.digest = fmt.Sprintf("sha256:%064x", r.IntN(3))
		d := details{}
		if r.IntN(3) == 0 {
			d["at"] = earlier()
		}
		kind := pick(trail.Deploy, trail.Deploy, trail.Start, trail.Start, trail.Healthy, trail.Sick, trail.Stop, trail.Kill, trail.Die, trail.Pause, trail.Resume,
			trail.Rename, trail.Update, trail.Judge, trail.Judge, trail.Remove, trail.Exec, trail.Scan, trail.Network, "word-of-a-newer-version")
		e := trail.Event{Type: kind, Subject: c.subject(), Detail: d}
		switch kind {
		case trail.Deploy:
			if r.IntN(2) == 0 {
				d["created"] = earlier()
			}
			if r.IntN(4) == 0 {
				d["found_later"] = true
			}
			if r.IntN(2) == 0 {
				e.Actor = &trail.Actor{User: pick("ana", "tom")}
			}
			if r.IntN(2) == 0 {
				e.Declared = &trail.Declared{Owner: pick("", "team-shop", "team-core"), Why: pick("", "release"), RetireAfter: pick("", "2026-11-02", "2026-11-01T08:01:00Z", "soon")}
			}
			if r.IntN(3) == 0 {
				d["limits"] = details{"memory": r.IntN(100), "cpus": "1"}
			}
		case trail.Start:
			if r.IntN(3) == 0 {
				d["by"] = "engine"
			}
		case trail.Healthy:
			d["seconds"] = float64(r.IntN(100)) / 8
		case trail.Die:
			d["exit_code"], d["oom"] = r.IntN(256), r.IntN(4) == 0
		case trail.Rename:
			d["from"], d["to"] = c.name, pick("old", "new", "other")
		case trail.Update:
			d["limits"] = details{"memory": r.IntN(100)}
		case trail.Judge:
			d["failing"], d["worst"] = r.IntN(3), pick("", "high", "low", "dreadful")
		case trail.Scan:
			e.Subject = trail.Subject{Kind: "image", Digest: c.digest}
			d["findings"], d["worst"] = r.IntN(9), pick("critical", "info", "")
		}
		s.add(e, gap())
	}
	return s
}
