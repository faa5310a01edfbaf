package inventory

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

func TestTimesInWords(t *testing.T) {
	for when, want := range map[string]string{
		"2026-11-24T20:12:51Z": "0 s ago",
		"2026-11-24T20:12:21Z": "30 s ago",
		"2026-11-24T20:01:00Z": "11 min ago",
		"2026-11-24T09:00:00Z": "11 h ago",
		"2026-11-23T20:12:52Z": "23 h ago",
		"2026-11-23T16:12:00Z": "yesterday",
		"2026-11-23T00:00:00Z": "yesterday",
		"2026-11-22T23:59:59Z": "2 d ago",
		"2026-11-18T00:00:00Z": "6 d ago",
		"2026-11-17T23:59:59Z": "2026-11-17",
		"2025-01-02T00:00:00Z": "2025-01-02",
		"2026-12-24T00:00:00Z": "2026-12-24", // a clock that was wrong
	} {
		if got := past(at(when), evening, time.DateOnly); got != want {
			t.Errorf("%s is %q, want %q", when, got, want)
		}
	}
	if got := past(time.Time{}, evening, time.DateOnly); got != "unknown" {
		t.Errorf("no time is %q", got)
	}
}

func TestRetiring(t *testing.T) {
	west := time.FixedZone("west", -8*3600) // it is 12:12 there
	for _, test := range []struct {
		retire  string
		where   *time.Location
		want    words
		overdue bool
	}{
		{"", time.UTC, words{"none", term.Missing}, false},
		{"soon", time.UTC, words{"none", term.Missing}, false},
		{"2026-11-24", time.UTC, words{"today", term.Late}, true},
		{"2026-11-25", time.UTC, plain("in 1 d"), false},
		{"2026-11-30", time.UTC, plain("in 6 d"), false},
		{"2026-12-01", time.UTC, plain("2026-12-01"), false},
		{"2026-11-23", time.UTC, words{"1 d late", term.Late}, true},
		{"2022-11-23", time.UTC, words{"1,462 d late", term.Late}, true},
		{"2026-11-24", west, words{"today", term.Late}, true},
		{"2026-11-25", west, plain("in 1 d"), false},
		{"2026-11-24T23:00:00Z", time.UTC, plain("in 2 h"), false},
		{"2026-11-24T20:12:51Z", time.UTC, words{"0 s late", term.Late}, true},
		{"2026-11-24T17:00:00Z", time.UTC, words{"3 h late", term.Late}, true},
		{"2026-11-24T01:00:00+09:00", time.UTC, words{"1 d late", term.Late}, true},
		{"2026-11-25T01:00:00Z", west, plain("in 4 h"), false},
		{"2026-11-25T01:00:00Z", time.UTC, plain("in 1 d"), false},
	} {
		d := Deployment{RetireAfter: test.retire}
		now := evening.In(test.where)
		if got := d.retiring(now, time.DateOnly); got != test.want || d.Overdue(now) != test.overdue {
			t.Errorf("%q at %v: %v, overdue %v; want %v, %v", test.retire, now, got, d.Overdue(now), test.want, test.overdue)
		}
		d.Removed = now
		if d.Overdue(now) {
			t.Errorf("%q: what was removed is overdue", test.retire)
		}
	}
}

func TestStatusInWords(t *testing.T) {
	code := func(n int64) *int64 { return &n }
	seconds := 2.5
	for _, test := range []struct {
		d           Deployment
		short, long string
	}{
		{Deployment{State: Created}, "created", "created"},
		{Deployment{State: Running, Since: evening.Add(-28 * time.Hour)}, "running", "running, 28 h"},
		{Deployment{State: Running, Health: "healthy", HealthyAfterSeconds: &seconds}, "running", "running; healthy after 2.5 s"},
		{Deployment{State: Running, Health: "sick"}, "running, sick", "running, sick"},
		{Deployment{State: Paused, Since: evening.AddDate(0, 0, -3)}, "paused", "paused, 3 d"},
		{Deployment{State: Exited}, "exited", "exited"},
		{Deployment{State: Exited, ExitCode: code(0)}, "exited 0", "exited 0"},
		{Deployment{State: Exited, ExitCode: code(137), OOM: true, Restarts: 2}, "out of memory", "exited 137, out of memory; restarted 2 times by the engine"},
		{Deployment{State: Unseen}, "unknown", "unknown"},
	} {
		if short, long := test.d.status(), test.d.stateWords(evening); short != test.short || long != test.long {
			t.Errorf("%+v: %q and %q, want %q and %q", test.d, short, long, test.short, test.long)
		}
	}
}

func TestVerdict(t *testing.T) {
	judged := evening
	for _, test := range []struct {
		d           Deployment
		style       term.Style
		text, badge string
	}{
		{Deployment{Judged: judged, Failing: 7, Worst: finding.Critical}, term.Critical, "critical, 7 failing", "critical"},
		{Deployment{Judged: judged, Failing: 1, Worst: finding.Info}, term.Info, "info, 1 failing", "info"},
		{Deployment{Judged: judged, Failing: 1}, term.Unknown, "1 failing", "unknown"},
		{Deployment{}, term.Unknown, "not judged", "unknown"},
		{Deployment{Judged: judged, Waived: 2}, term.Waived, "2 waived", "waived"},
		{Deployment{Judged: judged}, term.Pass, "nothing failing", "pass"},
	} {
		style, _, text := test.d.verdict()
		badge, word := test.d.badge()
		if style != test.style || text != test.text || badge != test.badge || word == "" {
			t.Errorf("%+v: %v %q %s", test.d, style, text, badge)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1204: "1,204", 1234567: "1,234,567", -12: "-12", -1204: "-1,204"} {
		if got := number(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
	for d, want := range map[time.Duration]string{day: "a day", 30 * day: "30 days", 36 * time.Hour: "36 h"} {
		if got := length(d); got != want {
			t.Errorf("%v is %q", d, got)
		}
	}
}

// TestDetail reads what may be there instead of what should be.
func TestDetail(t *testing.T) {
	e, err := trail.Decode([]byte(`{"seq":1,"time":"2026-11-24T20:12:51Z","type":"x","subject":{"kind":"container"},"detail":{
		"n":7,"minus":-3,"half":0.5,"huge":1e300,"text":"7","true":true,"null":null,"object":{"b":1,"a":"<&>"},"empty":{},"list":[1],
		"early":"2026-11-24T20:12:50.5Z","late":"2026-11-24T20:12:52Z","zero":"0001-01-01T00:00:00Z","far":"9999-01-01T00:00:00Z","grave":"high","odd":"dreadful"}}`))
	if err != nil {
		t.Fatal(err)
	}
	d, now := detail(e.Detail), e.Time.UnixNano()
	for _, name := range []string{"huge", "text", "true", "null", "object", "list", "missing"} {
		if n, ok := d.number(name); ok || d.count(name) != 0 {
			t.Errorf("%s is the number %d", name, n)
		}
		if ms, ok := d.milliseconds(name); ok {
			t.Errorf("%s are %d ms", name, ms)
		}
	}
	n, ok := d.number("minus")
	ms, isTime := d.milliseconds("half")
	if n != -3 || !ok || d.count("minus") != 0 || d.count("n") != 7 || ms != 500 || !isTime {
		t.Errorf("numbers: %d %v %d %d %d", n, ok, d.count("minus"), d.count("n"), ms)
	}
	if at, ok := d.time("early", now); !ok || at != now-int64(500*time.Millisecond) {
		t.Errorf("early is %d, %v", at, ok)
	}
	for _, name := range []string{"late", "zero", "far", "text", "n", "missing"} {
		if at, ok := d.time(name, now); ok {
			t.Errorf("%s is the time %d", name, at)
		}
	}
	if d.object("object") != `{"a":"<&>","b":1}` || d.object("empty") != "" || d.object("list") != "" {
		t.Errorf("objects: %q %q %q", d.object("object"), d.object("empty"), d.object("list"))
	}
	if d.severity("grave") != "high" || d.severity("odd") != "" || d.severity("n") != "" {
		t.Error("severities")
	}
	if d.text("n") != "" || d.flag("n") || !d.flag("true") || d.text("text") != "7" {
		t.Error("texts and flags")
	}
}

func TestWhoever(t *testing.T) {
	uid, login := uint32(0), uint32(1000)
	for want, a := range map[string]*trail.Actor{
		"":                nil,
		"tom":             {User: "tom", UID: &uid},
		"CN=ci":           {CertSubject: "CN=ci"},
		"uid 1000":        {UID: &uid, LoginUID: &login},
		"uid 0":           {UID: &uid},
		"container 4f0c1": {Container: "4f0c1"},
	} {
		if got := whoever(a); got != want {
			t.Errorf("%+v is %q, want %q", a, got, want)
		}
	}
}

func TestImages(t *testing.T) {
	id := "sha256:9c41e07a" + "52d17e6a52d17e6a52d17e6a52d17e6a52d17e6a52d17e6a52d17e6a"
	for _, test := range []struct{ image, without, want string }{
		{"nginx:1", "docker.io", "nginx:1"},
		{"nginx:1", "", "nginx:1"},
		{"docker.io/library/nginx:1", "docker.io", "nginx:1"},
		{"registry.example/shop/api:4", "registry.example", "shop/api:4"},
		{"registry.example/shop/api:4", "", "registry.example/shop/api:4"},
		{"localhost:5000/api@" + id, "localhost:5000", "api"},
		{"shop/api", "registry.example", "shop/api"},
		{id, "", ""},
		{id[7:], "", ""},
		{"", "", ""},
	} {
		d := Deployment{Image: test.image}
		if got := imageName(&d, test.without); got != test.want {
			t.Errorf("%q without %q is %q, want %q", test.image, test.without, got, test.want)
		}
	}
	for want, images := range map[string][]string{
		"registry.example": {"registry.example/a", "registry.example/b", id},
		"docker.io":        {"a", "docker.io/b", "shop/c"},
		"":                 {"registry.example/a", "b"},
	} {
		var list []Deployment
		for _, image := range images {
			list = append(list, Deployment{Image: image})
		}
		if got := defaultRegistry(list); got != want {
			t.Errorf("%v have %q in common, want %q", images, got, want)
		}
	}
	for want, d := range map[string]Deployment{"9c41e07a": {Image: id}, "11112222": {Image: "nginx", Digest: "sha256:11112222333344"}, "": {Image: "nginx"}, "12": {Digest: "12"}} {
		if got := shortDigest(&d); got != want {
			t.Errorf("%+v has the digest %q", d, got)
		}
	}
}

// TestJSONReadsBack decodes what WriteJSON writes into the struct that documents it.
func TestJSONReadsBack(t *testing.T) {
	l := list(t, synced(t, harbour().all()), Filter{Now: evening, All: true})
	var doc document
	if err := json.Unmarshal([]byte(writtenJSON(t, l)), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Schema != Schema || len(doc.Deployments) != len(l.Deployments) || doc.Summary != l.Summary || doc.Events != l.Events || !doc.Time.Equal(evening) || doc.At {
		t.Errorf("%+v", doc)
	}
}
