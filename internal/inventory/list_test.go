package inventory

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/trail"
)

func TestFilters(t *testing.T) {
	db := synced(t, harbour().all())
	for _, test := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "metrics ci-runner adminer legacy-cron search nightly proxy api"},
		{Filter{All: true}, "metrics ci-runner adminer legacy-cron search nightly proxy api api"},
		{Filter{Overdue: true}, "metrics legacy-cron"},
		{Filter{Unowned: true}, "adminer legacy-cron"},
		{Filter{Overdue: true, Unowned: true}, "legacy-cron"},
		{Filter{Unscanned: 30 * day}, "legacy-cron nightly"},
		{Filter{Unscanned: 20 * time.Hour}, "metrics legacy-cron nightly"},
		{Filter{Unscanned: time.Minute, Owner: "team-shop"}, "search api"},
		{Filter{Owner: "team-shop"}, "search api"},
		{Filter{Owner: "team-shop", All: true}, "search api api"},
		{Filter{Owner: "team"}, ""},
		{Filter{Image: "shop/api"}, "api"},
		{Filter{Image: "registry.example/"}, "metrics ci-runner adminer legacy-cron search nightly proxy api"},
		{Filter{Image: "*"}, "metrics ci-runner adminer legacy-cron search nightly proxy api"},
		{Filter{Image: "shop/*"}, "api"},
		{Filter{Image: "shop/ap?"}, "api"},
		{Filter{Image: "*/api:4.18.[0-9]"}, "api"},
		{Filter{Image: "registry.example/*/*:latest"}, "legacy-cron"},
		{Filter{Image: "api*"}, ""},
		{Filter{Image: "sha256:9c41"}, "metrics"},
		{Filter{Image: "sha256:c41"}, ""},
		{Filter{At: at("2026-11-10T00:00:00Z")}, "ci-runner legacy-cron api"},
		{Filter{At: at("2026-10-19T00:00:00Z"), All: true}, "ci-runner legacy-cron"},
		{Filter{At: at("2026-01-01T00:00:00Z")}, "legacy-cron"}, // found later
		{Filter{At: at("2025-01-01T00:00:00Z")}, ""},
		{Filter{At: at("1969-01-01T00:00:00Z")}, ""},
		{Filter{At: at("2999-01-01T00:00:00Z")}, "metrics ci-runner adminer legacy-cron search nightly proxy api"},
		{Filter{At: at("2026-11-24T18:00:00Z"), Overdue: true}, "metrics legacy-cron"},
		{Filter{At: at("2026-11-23T18:00:00Z"), Overdue: true}, "legacy-cron"},
		{Filter{At: at("2026-10-10T00:00:00Z"), Overdue: true}, ""},
	} {
		test.f.Now = evening
		if got := names(list(t, db, test.f)); got != test.want {
			t.Errorf("%+v gives %q, want %q", test.f, got, test.want)
		}
	}
	for want, f := range map[string]Filter{"what time": {}, "no pattern": {Now: evening, Image: "a[b"}} {
		if _, err := db.List(t.Context(), f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// TestThen asks about one container all through its life.
func TestThen(t *testing.T) {
	s := newStory()
	web := newBox(1, "web", "nginx:1")
	code := int64(3)
	s.deploy(web, 0, "ana", &trail.Declared{Owner: "team-shop"}, details{"limits": details{"memory": 1}})
	s.on(web, time.Hour, trail.Start, nil)
	s.on(web, time.Hour, trail.Judge, details{"failing": 2, "worst": "high"})
	s.on(web, time.Hour, trail.Rename, details{"from": "web", "to": "shop"})
	s.on(web, time.Hour, trail.Update, details{"limits": details{"memory": 2}})
	s.on(web, time.Hour, trail.Judge, details{"failing": 0, "worst": ""})
	s.on(web, time.Hour, trail.Die, details{"exit_code": 3})
	s.on(web, time.Hour, trail.Remove, nil)
	db := synced(t, s.all())
	type then struct {
		Name, State, Limits string
		Worst               finding.Severity
		Exit                *int64
	}
	for i, want := range []then{
		{"web", Created, `{"memory":1}`, "", nil},
		{"web", Running, `{"memory":1}`, "", nil},
		{"web", Running, `{"memory":1}`, "high", nil},
		{"shop", Running, `{"memory":1}`, "high", nil},
		{"shop", Running, `{"memory":2}`, "high", nil},
		{"shop", Running, `{"memory":2}`, "", nil},
		{"shop", Exited, `{"memory":2}`, "", &code},
	} {
		l := list(t, db, Filter{At: begun.Add(time.Duration(i)*time.Hour + time.Minute)})
		if len(l.Deployments) != 1 {
			t.Fatalf("hour %d: %d deployments", i, len(l.Deployments))
		}
		d := l.Deployments[0]
		got := then{d.Name, d.State, string(d.Limits), d.Worst, d.ExitCode}
		if diff := diff.Diff(want, got); diff != "" || d.Owner != "team-shop" || d.Who != "ana" {
			t.Errorf("hour %d: %+v\n%s", i, d, diff)
		}
	}
	for _, hour := range []int{-1, 7, 100} {
		if l := list(t, db, Filter{At: begun.Add(time.Duration(hour) * time.Hour)}); len(l.Deployments) != 0 {
			t.Errorf("hour %d: %+v", hour, l.Deployments)
		}
	}
}

// TestFoundLater: a watcher that was away does not make a container younger, and what is
// said to be from tomorrow is not believed.
func TestFoundLater(t *testing.T) {
	s := newStory()
	web, db := newBox(1, "web", "nginx:1"), newBox(2, "db", "postgres:1")
	stamp := func(d time.Duration) string { return begun.Add(d).Format(time.RFC3339Nano) }
	s.deploy(web, 10*time.Hour, "", nil, details{"created": stamp(time.Hour), "found_later": true})
	s.on(web, 0, trail.Start, details{"at": stamp(2 * time.Hour)})
	s.deploy(db, 0, "", nil, details{"created": stamp(11 * time.Hour), "found_later": true})
	s.on(db, 0, trail.Start, details{"at": stamp(12 * time.Hour)})
	for hour, want := range map[int]string{0: "", 1: "web created", 2: "web running", 9: "web running", 10: "db running web running"} {
		var got []string
		for _, d := range list(t, synced(t, s.all()), Filter{At: begun.Add(time.Duration(hour) * time.Hour)}).Deployments {
			got = append(got, d.Name+" "+d.State)
			if !d.FoundLater {
				t.Errorf("%s was found later", d.Name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("hour %d: %q, want %q", hour, got, want)
		}
	}
}

func TestOrder(t *testing.T) {
	judged := begun
	all := []Deployment{
		{Name: "critical", Judged: judged, Failing: 1, Worst: finding.Critical},
		{Name: "high-more", Judged: judged, Failing: 9, Worst: finding.High},
		{Name: "high", Judged: judged, Failing: 2, Worst: finding.High},
		{Name: "info", Judged: judged, Failing: 50, Worst: finding.Info},
		{Name: "not-judged"},
		{Name: "waived-more", Judged: judged, Waived: 2},
		{Name: "waived", Judged: judged, Waived: 1},
		{Name: "clear-a", Judged: judged},
		{Name: "clear-b", Judged: judged, Container: "1"},
		{Name: "clear-b", Judged: judged, Container: "2"},
		{Name: "gone", Judged: judged, Failing: 99, Worst: finding.Critical, Removed: begun},
	}
	mixed := make([]Deployment, 0, len(all))
	for i := range all {
		mixed = append(mixed, all[(i*7+3)%len(all)])
	}
	order(mixed)
	if d := diff.Diff(all, mixed, cmpopts.IgnoreUnexported(Deployment{})); d != "" {
		t.Error(d)
	}
}

// TestRealTrail reads a trail that the trail's own writer made, while it goes on.
func TestRealTrail(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	now := begun
	log, err := trail.Open(trail.Config{Dir: dir, Name: "harbour-1", Now: func() time.Time { now = now.Add(time.Second); return now }, SegmentBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	db := openNew(t)
	var stale Source
	for i, e := range randomStory(11, 400).events {
		if _, err := log.Append(t.Context(), trail.Event{Type: e.Type, Actor: e.Actor, Subject: e.Subject, Declared: e.Declared, Detail: e.Detail}); err != nil {
			t.Fatal(err)
		}
		if i%100 != 99 {
			continue
		}
		src, err := Trail(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Sync(t.Context(), src); err != nil {
			t.Fatal(err)
		}
		if l := list(t, db, Filter{Now: now}); l.Events != src.Size() || l.Trail != src.Name() || len(l.Deployments) == 0 || hostOf(l.Trail) != "harbour-1" {
			t.Fatalf("after %d events: %d of %q, %d deployments", i+1, l.Events, l.Trail, len(l.Deployments))
		}
		if stale == nil {
			stale = src
		}
	}
	// Another process that looked at the trail before reads what is there now.
	before := dump(t, db)
	if err := db.Sync(t.Context(), stale); err != nil || dump(t, db) != before {
		t.Errorf("an old view changed the database, %v", err)
	}
	src, err := Trail(dir)
	if err != nil {
		t.Fatal(err)
	}
	if dump(t, synced(t, src)) != before {
		t.Error("made anew it is not the same")
	}
	if _, err := Trail(filepath.Join(dir, "no")); err == nil {
		t.Error("a trail that is not there was read")
	}
}

func TestCancelled(t *testing.T) {
	s := randomStory(1, 100)
	db := synced(t, s.upTo(50))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Sync(ctx, s.all()); !errors.Is(err, context.Canceled) {
		t.Errorf("Sync says %v", err)
	}
	if _, err := db.List(ctx, Filter{Now: begun}); !errors.Is(err, context.Canceled) {
		t.Errorf("List says %v", err)
	}
	if err := db.Sync(t.Context(), s.all()); err != nil || positionOf(t, db) != 100 {
		t.Errorf("after that: %v", err)
	}
}
