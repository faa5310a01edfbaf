package inventory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// one is the only deployment of a listing.
func one(t *testing.T, s *story, f Filter) Deployment {
	t.Helper()
	l := list(t, synced(t, s.all()), f)
	if len(l.Deployments) != 1 {
		t.Fatalf("%d deployments: %s", len(l.Deployments), names(l))
	}
	return l.Deployments[0]
}

// TestTwoTell: the gate and the watcher may both tell of a container. What one does not
// know comes from the other, and what both know from the first.
func TestTwoTell(t *testing.T) {
	web := newBox(1, "web", "nginx:1")
	created := details{"created": begun.Add(-time.Second).Format(time.RFC3339Nano), "project": "shop", "privileged": true}
	gate := &trail.Declared{Owner: "team-shop", Why: "release", Source: "deploy"}
	labels := &trail.Declared{Owner: "team-core", Intent: "front door", RetireAfter: "2027-01-01", Source: "labels"}
	s := newStory()
	s.deploy(web, 0, "ana", gate, details{"via": "gate"}).deploy(web, time.Second, "", labels, created).on(web, time.Second, trail.Start, nil)
	d := one(t, s, Filter{})
	if d.Who != "ana" || d.Owner != "team-shop" || d.Why != "release" || d.Intent != "front door" || d.RetireAfter != "2027-01-01" || d.Declared != "deploy" || d.Project != "shop" || !d.Privileged || d.Via != "gate" {
		t.Errorf("got %+v", d)
	}
	if !d.Deployed.Equal(begun) || d.State != Running {
		t.Errorf("deployed %v, %s", d.Deployed, d.State)
	}
	// The twin: alone, each is what it says.
	s = newStory()
	s.deploy(web, 0, "", labels, created)
	if d := one(t, s, Filter{}); d.Who != "" || d.Owner != "team-core" || d.Why != "" || !d.Deployed.Equal(begun.Add(-time.Second)) || d.State != Created {
		t.Errorf("the watcher alone: %+v", d)
	}
}

// TestComesBack: a container id that is deployed again is a deployment of its own.
func TestComesBack(t *testing.T) {
	web := newBox(1, "web", "nginx:1")
	s := newStory()
	s.deploy(web, 0, "ana", &trail.Declared{Owner: "team-shop"}, nil).on(web, time.Hour, trail.Remove, nil)
	s.on(web, time.Second, trail.Judge, details{"failing": 3, "worst": "high"}).on(web, time.Second, trail.Die, details{"exit_code": 1}).on(web, time.Second, trail.Remove, nil)
	db := synced(t, s.all())
	if l := list(t, db, Filter{}); len(l.Deployments) != 0 {
		t.Errorf("what was removed is there: %s", names(l))
	}
	gone := one(t, s, Filter{All: true})
	if gone.State != Removed || !gone.Removed.Equal(begun.Add(time.Hour)) || gone.Failing != 0 || !gone.Judged.IsZero() || gone.ExitCode != nil {
		t.Errorf("what came after its end changed it: %+v", gone)
	}
	s.deploy(web, time.Hour, "tom", nil, nil)
	if d := one(t, s, Filter{}); d.Who != "tom" || d.Owner != "" || d.State != Created {
		t.Errorf("the second: %+v", d)
	}
	if l := list(t, synced(t, s.all()), Filter{All: true}); names(l) != "web web" || l.Summary.Deployments != 1 || l.Summary.Removed != 1 {
		t.Errorf("both: %s, %+v", names(l), l.Summary)
	}
}

// TestNotAContainer: events that are about something else make no deployment; those that
// prove that a container is there do.
func TestNotAContainer(t *testing.T) {
	web := newBox(1, "web", "nginx:1")
	s := newStory()
	for _, kind := range []string{"image", "volume", "network", "service", "engine", "trail"} {
		s.add(trail.Event{Type: trail.Deploy, Subject: trail.Subject{Kind: kind, ID: "1", Name: "x"}}, 1)
	}
	for _, typ := range []string{trail.Judge, trail.Remove, trail.Pull, trail.Load, trail.Tag, trail.Delete, trail.Volume, trail.Network, trail.Task, trail.Engine, trail.Prune, trail.Clock, trail.Recover, "refuse", "scan"} {
		s.on(web, 1, typ, details{"failing": 1, "worst": "high", "at": begun.Format(time.RFC3339)})
	}
	s.add(trail.Event{Type: trail.Deploy, Subject: trail.Subject{Kind: "container", Name: "without an id"}}, 1)
	if l := list(t, synced(t, s.all()), Filter{All: true}); len(l.Deployments) != 0 || l.Events != int64(len(s.events)) {
		t.Errorf("%s of %d events", names(l), l.Events)
	}
	for _, typ := range []string{trail.Start, trail.Healthy, trail.Sick, trail.Stop, trail.Kill, trail.Die, trail.Pause, trail.Resume, trail.Rename, trail.Update, trail.Exec} {
		s := newStory()
		s.on(web, 1, typ, nil)
		if d := one(t, s, Filter{}); d.Name != "web" || !d.Deployed.IsZero() || d.Who != "" {
			t.Errorf("%s: %+v", typ, d)
		}
	}
}

// TestScanned: a scan is of an image, and so of all containers of it, also of those that
// come later.
func TestScanned(t *testing.T) {
	web, api, db := newBox(1, "web", "a"), newBox(2, "api", "b"), newBox(3, "db", "c")
	api.digest = web.digest
	s := newStory()
	scan := func(digest string, after time.Duration, findings int, worst string) {
		s.add(trail.Event{Type: trail.Scan, Subject: trail.Subject{Kind: "image", Digest: digest}, Detail: details{"findings": findings, "worst": worst}}, after)
	}
	s.deploy(web, 0, "", nil, nil).deploy(db, 0, "", nil, nil)
	scan(web.digest, time.Hour, 4, "high")
	s.deploy(api, time.Hour, "", nil, nil)
	scan(web.digest, time.Hour, 1, "low")
	base := synced(t, s.all())
	for hours, want := range map[int]string{0: "db - web -", 1: "db - web 1 4 high", 2: "api 1 4 high db - web 1 4 high", 3: "api 3 1 low db - web 3 1 low"} {
		var got []string
		for _, d := range list(t, base, Filter{At: begun.Add(time.Duration(hours) * time.Hour)}).Deployments {
			text := "-"
			if !d.Scanned.IsZero() {
				text = fmt.Sprintf("%d %d %s", d.Scanned.Sub(begun)/time.Hour, d.ScanFindings, d.ScanWorst)
			}
			got = append(got, d.Name, text)
			if d.Worst != "" || d.Failing != 0 {
				t.Errorf("a scan became a verdict of the rules: %+v", d)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("hour %d: %s, want %s", hours, strings.Join(got, " "), want)
		}
	}
}

// TestRestarts counts starts by the engine, and those alone.
func TestRestarts(t *testing.T) {
	web := newBox(1, "web", "a")
	s := newStory()
	s.deploy(web, 0, "", nil, nil).on(web, time.Second, trail.Start, nil).on(web, time.Second, trail.Healthy, details{"seconds": 1.25})
	s.on(web, time.Second, trail.Die, details{"exit_code": 1, "oom": true}).on(web, time.Second, trail.Start, details{"by": "engine"})
	if d := one(t, s, Filter{}); d.Restarts != 1 || d.State != Running || d.ExitCode != nil || d.OOM || d.HealthyAfterSeconds != nil || d.Health != "" {
		t.Errorf("after a restart: %+v", d)
	}
	s.on(web, time.Second, trail.Die, details{"exit_code": 0}).on(web, time.Second, trail.Start, nil).on(web, time.Second, trail.Sick, nil)
	if d := one(t, s, Filter{}); d.Restarts != 1 || d.Health != "sick" || !d.Since.Equal(begun.Add(6*time.Second)) {
		t.Errorf("after a start by somebody: %+v", d)
	}
	// A start whose end was missed begins anew all the same.
	s.on(web, time.Second, trail.Start, nil)
	if d := one(t, s, Filter{}); !d.Since.Equal(begun.Add(8 * time.Second)) {
		t.Errorf("since %v", d.Since)
	}
}

// TestVerdictOfThen holds a verdict against words that no severity has.
func TestVerdictOfThen(t *testing.T) {
	web := newBox(1, "web", "a")
	s := newStory()
	s.deploy(web, 0, "", nil, nil).on(web, time.Second, trail.Judge, details{"failing": 2, "worst": "dreadful", "waived": 1})
	if d := one(t, s, Filter{}); d.Worst != "" || d.Failing != 2 || d.Waived != 1 || d.gravity() != len(finding.Severities) {
		t.Errorf("got %+v", d)
	}
	s.on(web, time.Second, trail.Judge, details{"failing": 1, "worst": "low"})
	if d := one(t, s, Filter{}); d.Worst != finding.Low || d.Waived != 0 || d.gravity() != finding.Low.Rank() {
		t.Errorf("got %+v", d)
	}
}

// TestColumns holds the rows in Go against the tables.
func TestColumns(t *testing.T) {
	db := synced(t, harbour().all())
	for table, want := range map[string]int{"deployments": len(new(factsRow).fields()), "states": len(new(stateRow).fields()), "traits": len(new(traitRow).fields()), "scans": scanColumns} {
		var n int
		if err := db.sql.QueryRow("SELECT count(*) FROM pragma_table_info(?)", table).Scan(&n); err != nil || n != want {
			t.Errorf("%s has %d columns, want %d, %v", table, n, want, err)
		}
	}
	if a, b := len(new(factsRow).values()), len(new(factsRow).fields()); a != b {
		t.Errorf("%d values for %d fields", a, b)
	}
}

// TestPlan: what is there is found without reading what was removed.
func TestPlan(t *testing.T) {
	db := synced(t, harbour().all())
	plan := func(query string) string {
		rows, err := db.sql.Query("EXPLAIN QUERY PLAN "+query, latest)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var b strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var text string
			if err := rows.Scan(&id, &parent, &unused, &text); err != nil {
				t.Fatal(err)
			}
			b.WriteString(text + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	got := plan(asItWas + present)
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "SCAN") && !strings.Contains(line, "CONSTANT") || strings.Contains(line, "AUTOMATIC") {
			t.Errorf("it reads a whole table: %s in\n%s", line, got)
		}
	}
	for _, index := range []string{"INDEX present", "INDEX gone"} {
		if !strings.Contains(got, index) {
			t.Errorf("no %s in\n%s", index, got)
		}
	}
	if all := plan(asItWas + ever); !strings.Contains(all, "SCAN d") {
		t.Errorf("of all that ever was it reads only a part:\n%s", all)
	}
}
