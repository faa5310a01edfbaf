package inventory

import (
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// evening is when the harbour is listed.
var evening = time.Date(2026, 11, 24, 20, 12, 51, 0, time.UTC)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// harbour is a small host with something of everything.
func harbour() *story {
	s := newStory()
	s.now = at("2026-09-01T00:00:00Z")
	until := func(t string) time.Duration { return at(t).Sub(s.now) }
	digest := func(b box, eight string) box {
		b.digest = "sha256:" + eight + strings.Repeat("a52d17e6", 7)
		return b
	}
	cron := newBox(1, "legacy-cron", "registry.example/local/cron:latest")
	cron.digest = ""
	runner := digest(newBox(2, "ci-runner", "registry.example/build/runner:17.5.2"), "41d0b6f2")
	proxy := digest(newBox(3, "proxy", "registry.example/traefik:3.6.1"), "5aa0c27e")
	metrics := digest(newBox(4, "metrics", "registry.example/tools/hostmetrics:2.3"), "9c41e07a")
	adminer := digest(newBox(5, "adminer", "registry.example/adminer:5.3"), "b7703c19")
	api := digest(newBox(6, "api", "registry.example/shop/api:4.18.2"), "7f13d9b0")
	old := digest(newBox(7, "api", "registry.example/shop/api:4.18.1"), "0f13d9b0")
	search := digest(newBox(8, "search", "registry.example/opensearch:3.3.0"), "0d5be884")
	job := digest(newBox(9, "nightly", "registry.example/restic:0.18.1"), "da71e6b8")
	judged := func(b box, failing int, worst string) {
		s.on(b, 0, trail.Judge, details{"failing": failing, "worst": worst})
	}
	scan := func(b box, when string, findings int, worst string) {
		s.add(trail.Event{Type: trail.Scan, Subject: trail.Subject{Kind: "image", Digest: b.digest}, Detail: details{"findings": findings, "worst": worst}}, until(when))
	}

	s.add(trail.Event{Type: trail.Start, Subject: cron.subject(), Detail: details{"at": "2025-12-17T00:00:00Z"}}, 0)
	s.deploy(cron, 0, "", &trail.Declared{RetireAfter: "2026-10-21", Source: "labels"}, details{"found_later": true})
	judged(cron, 4, "medium")
	s.deploy(runner, until("2026-10-02T08:40:00Z"), "tom", &trail.Declared{Owner: "team-build", Why: "runner for the new pipelines", Intent: "Build jobs", RetireAfter: "2027-01-31"}, details{"privileged": true})
	s.on(runner, time.Second, trail.Start, nil)
	judged(runner, 2, "high")
	s.deploy(old, until("2026-10-20T10:00:00Z"), "ci", &trail.Declared{Owner: "team-shop", Why: "Release 4.18.1"}, nil).on(old, time.Second, trail.Start, nil)
	s.deploy(search, until("2026-11-11T13:20:00Z"), "ana", &trail.Declared{Owner: "team-shop", Why: "3.3 mends a known flaw", Intent: "Product search", RetireAfter: "2027-05-01"},
		details{"project": "shop", "compose_service": "search", "limits": details{"memory": 1 << 30}}).on(search, time.Second, trail.Start, nil)
	s.on(search, 20*time.Second, trail.Healthy, details{"seconds": 19.5})
	judged(search, 1, "medium")
	s.deploy(proxy, until("2026-11-18T07:45:00Z"), "ana", &trail.Declared{Owner: "team-core", Why: "3.6.1 mends two CVEs", Intent: "TLS and routing", RetireAfter: "2027-02-18"}, nil).on(proxy, time.Second, trail.Start, nil)
	s.on(proxy, 0, trail.Judge, details{"failing": 0, "waived": 1, "worst": ""})
	s.deploy(metrics, until("2026-11-23T16:12:08Z"), "tom", &trail.Declared{Owner: "team-core", Why: "try host metrics", Intent: "See what the host is busy with", RetireAfter: "2026-11-24"},
		details{"via": "gate"}).on(metrics, time.Second, trail.Start, nil)
	judged(metrics, 7, "critical")
	scan(metrics, "2026-11-23T16:12:20Z", 3, "high")
	scan(search, "2026-11-24T03:10:00Z", 0, "")
	scan(proxy, "2026-11-24T03:10:00Z", 0, "")
	scan(runner, "2026-11-24T03:10:00Z", 0, "")
	s.on(search, until("2026-11-24T05:00:00Z"), trail.Die, details{"exit_code": 137, "oom": true})
	s.on(search, time.Second, trail.Start, details{"by": "engine"}).on(search, time.Hour, trail.Die, details{"exit_code": 137, "oom": true})
	s.deploy(adminer, until("2026-11-24T09:11:40Z"), "tom", nil, details{"source": "https://git.example/adminer", "revision": "41d0b6f", "version": "5.3", "commit": "9f2c1aa-dirty", "repository": "https://git.example/ops", "run": "https://ci.example/77"}).on(adminer, time.Second, trail.Start, nil)
	judged(adminer, 4, "medium")
	scan(adminer, "2026-11-24T09:11:52Z", 1, "low")
	s.deploy(job, until("2026-11-24T12:00:00Z"), "mei", &trail.Declared{Owner: "team-core", Why: "once", RetireAfter: "2026-11-24T23:00:00Z"}, nil).on(job, time.Second, trail.Start, nil)
	s.on(job, time.Minute, trail.Die, details{"exit_code": 0})
	s.on(old, until("2026-11-24T18:00:00Z"), trail.Die, details{"exit_code": 0}).on(old, time.Second, trail.Remove, nil)
	scan(api, "2026-11-24T18:00:31Z", 0, "")
	s.deploy(api, until("2026-11-24T18:10:02Z"), "ci", &trail.Declared{Owner: "team-shop", Why: "Release 4.18.2: refunds", Intent: "Public API", RetireAfter: "2027-02-22"},
		details{"replaces": old.id, "via": "gate"}).on(api, time.Second, trail.Start, nil)
	judged(api, 0, "")
	return s
}

// terminal is one of so many cells; the colour is for those that have it.
func terminal(columns int, color bool) term.Config {
	return term.Config{Terminal: true, Columns: columns, Color: color, UTF8: true}
}

// table writes a listing as a table.
func tableOf(t testing.TB, l *Listing, c term.Config, verbose bool) string {
	t.Helper()
	var b strings.Builder
	c.Writer = &b
	if err := l.WriteTable(term.New(c), TableOptions{Columns: c.Columns, Verbose: verbose}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
