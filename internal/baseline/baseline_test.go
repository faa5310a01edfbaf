package baseline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// one is a finding of a rule for a container, given as "name" or "name element".
func one(rule, subject string, status finding.Status) finding.Finding {
	name, element, _ := strings.Cut(subject, " ")
	return finding.Finding{About: &finding.About{Rule: rule, Title: "It is so", Severity: finding.High}, Detail: &finding.Detail{Message: "it is so here"},
		Subject: &finding.Subject{Kind: "container", ID: "id of " + name, Name: name}, Element: element, Status: status}
}

var started = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// earlier is what Read makes of a report with the findings.
func earlier(t *testing.T, findings ...finding.Finding) *Earlier {
	t.Helper()
	r := finding.Report{Started: started, Findings: findings}
	r.Finish(80)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Read("base.json", data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestApply(t *testing.T) {
	base := []finding.Finding{one("a", "web", finding.Fail), one("b", "web /x", finding.Fail), one("a", "db", finding.Pass)}
	for name, test := range map[string]struct {
		now          []finding.Finding
		known        int
		fresh        int
		mended, gone string
		rules        []string // that were judged; nil is a, b and c
	}{
		"the same":             {now: base, known: 2},
		"a new rule":           {now: append(base[:3:3], one("c", "web", finding.Fail)), known: 2, fresh: 1},
		"a new subject":        {now: append(base[:3:3], one("a", "cache", finding.Fail)), known: 2, fresh: 1},
		"a new element":        {now: append(base[:3:3], one("b", "web /y", finding.Fail)), known: 2, fresh: 1},
		"what passed fails":    {now: []finding.Finding{one("a", "web", finding.Fail), one("b", "web /x", finding.Fail), one("a", "db", finding.Fail)}, known: 2, fresh: 1},
		"mended":               {now: []finding.Finding{one("a", "web", finding.Pass), one("b", "web /x", finding.Fail)}, known: 1, mended: "a web"},
		"an element mended":    {now: []finding.Finding{one("a", "web", finding.Fail), one("b", "web", finding.Pass)}, known: 1, mended: "b web /x"},
		"both":                 {now: []finding.Finding{one("a", "web", finding.NotApplicable), one("b", "web", finding.Pass)}, mended: "a web, b web /x"},
		"a rule is not judged": {now: []finding.Finding{one("a", "web", finding.Fail)}, known: 1, rules: []string{"a"}},
		"unknown now":          {now: []finding.Finding{one("a", "web", finding.Unknown), one("b", "web", finding.Unknown)}},
		"the rest is unknown":  {now: []finding.Finding{one("a", "db", finding.Pass), one("a", "*", finding.Unknown), one("b", "*", finding.Unknown)}},
		"waived now":           {now: []finding.Finding{one("a", "web", finding.Waived), one("b", "web /x", finding.Fail)}, known: 1},
		"the subject is gone":  {now: []finding.Finding{one("a", "db", finding.Pass), one("b", "db", finding.Pass)}, gone: "a web, b web /x"},
		"nothing is left":      {gone: "a web, b web /x"},
		"two of one":           {now: append(base[:2:2], one("b", "web /x", finding.Fail)), known: 2, fresh: 1},
	} {
		if test.rules == nil {
			test.rules = []string{"a", "b", "c"}
		}
		r := finding.Report{Started: started.AddDate(0, 0, 1), Findings: test.now}
		for i := range r.Findings { // each deployment has another id
			r.Findings[i].Subject = &finding.Subject{Kind: "container", ID: "other", Name: r.Findings[i].Subject.Name}
			r.Findings[i].Known = false
		}
		r.Finish(80)
		failing := r.Summary.Fail
		earlier(t, one("a", "web", finding.Fail), one("b", "web /x", finding.Fail), one("a", "db", finding.Pass), one("a", "old", finding.Unknown)).Apply(&r, test.rules)
		b := r.Baseline
		if b.Known != test.known || b.New != test.fresh || words(b.Mended) != test.mended || words(b.Gone) != test.gone {
			t.Errorf("%s: %d known, %d new, mended %q, gone %q", name, b.Known, b.New, words(b.Mended), words(b.Gone))
		}
		known := 0
		for _, f := range r.Findings {
			if f.Known {
				known++
				if f.Status != finding.Fail {
					t.Errorf("%s: what is %s is known", name, f.Status)
				}
			}
		}
		if known != b.Known || r.Summary.Fail != failing || b.File != "base.json" || !b.Started.Equal(started) {
			t.Errorf("%s: %d findings are known, of %d that fail: %+v", name, known, r.Summary.Fail, b)
		}
	}
}

func words(list []finding.Past) string {
	var out []string
	for _, p := range list {
		out = append(out, strings.TrimSpace(p.Rule+" "+p.Subject.Name+" "+p.Element))
	}
	return strings.Join(out, ", ")
}

func TestPast(t *testing.T) {
	r := finding.Report{Findings: []finding.Finding{one("b", "web", finding.Pass)}}
	earlier(t, one("b", "web /x", finding.Fail)).Apply(&r, []string{"b"})
	want := []finding.Past{{Rule: "b", Title: "It is so", Severity: finding.High, Subject: finding.Subject{Kind: "container", ID: "id of web", Name: "web"}, Element: "/x", Message: "it is so here"}}
	if diff := cmp.Diff(want, r.Baseline.Mended); diff != "" {
		t.Error(diff)
	}
}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		`{"schema":"plimsoll/report/1","findings":[]}`:                    "b: the report does not say when it was made",
		`{"schema":"plimsoll/report/1","started":"2026-11-20T08:00:00Z"}`: "b: the report does not say when it was made, or what was found",
		`{}`:                                    `b: it is no report of plimsoll: its schema is ""`,
		`{"schema":"plimsoll/facts/1"}`:         `b: it is no report of plimsoll: its schema is "plimsoll/facts/1"`,
		`[`:                                     "b line 1",
		``:                                      "b",
		"{\"schema\":\n\"a\",\"schema\":\"b\"}": "b line 2",
		`{"schema":"plimsoll/report/1","started":"2026-11-20T08:00:00Z","findings":[{"rule":"a","severity":"grave","status":"fail"}]}`: "b: finding 1 has no rule or no severity",
		`{"schema":"plimsoll/report/1","started":"2026-11-20T08:00:00Z","findings":[{"severity":"high","status":"fail"}]}`:             "b: finding 1 has no rule or no severity",
		`{"schema":"plimsoll/report/1","findings":[{"rule":"a","severity":"high","status":"fails"}]}`:                                  `b line 1, column`,
		`{"schema":"plimsoll/report/1","findings":{}}`:                                                                                 `b line 1, column`,
	} {
		if _, err := Read("b", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := Read("b", []byte(`{"schema":"plimsoll/report/1","started":"2026-11-20T08:00:00Z","later":1,"findings":[{"rule":"a","severity":"high","status":"pass","more":{}}]}`)); err != nil {
		t.Errorf("a report of a later version: %v", err)
	}
}

// A report compared with itself has nothing new, nothing mended and nothing gone.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema":"plimsoll/report/1","started":"2026-11-20T08:00:00Z","findings":[{"rule":"a","severity":"high","status":"fail","subject":{"kind":"container","id":"","name":"web"},"element":"/x","message":"m","evidence":{},"remedy":{},"refs":{}}]}`))
	f.Add([]byte(`{"schema":"plimsoll/report/1","started":"2026-11-20T08:00:00Z","findings":[{"rule":"a","severity":"low","status":"unknown","subject":{"name":"*"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Read("b", data)
		if err != nil {
			return
		}
		var r finding.Report
		if err := json.Unmarshal(data, &r); err != nil {
			return
		}
		var judged []string
		for _, f := range r.Findings {
			judged = append(judged, f.Rule)
		}
		e.Apply(&r, judged)
		if b := r.Baseline; b.New > 0 || len(b.Mended)+len(b.Gone) > 0 {
			t.Errorf("%+v", b)
		}
	})
}

// TestImagesOfSeveralNames: an image that failed is known under whatever tag comes
// first now, and another with its old name is not it.
func TestImagesOfSeveralNames(t *testing.T) {
	image := func(id, name string) finding.Finding {
		f := one("a", name, finding.Fail)
		f.Subject = &finding.Subject{Kind: "image", ID: "sha256:" + id, Name: name}
		return f
	}
	for name, test := range map[string]struct {
		now          []finding.Finding
		known, fresh int
	}{
		"the same":         {[]finding.Finding{image("1", "app:1")}, 1, 0},
		"another tag":      {[]finding.Finding{image("1", "aaa:1")}, 1, 0},
		"no tag any more":  {[]finding.Finding{image("1", "sha256:1")}, 1, 0},
		"another of it":    {[]finding.Finding{image("2", "app:1")}, 1, 0},
		"both":             {[]finding.Finding{image("1", "sha256:1"), image("2", "app:1")}, 1, 1},
		"one with no past": {[]finding.Finding{image("2", "new:1")}, 0, 1},
	} {
		r := finding.Report{Started: started.AddDate(0, 0, 1), Findings: test.now}
		r.Finish(80)
		earlier(t, image("1", "app:1")).Apply(&r, []string{"a"})
		if b := r.Baseline; b.Known != test.known || b.New != test.fresh {
			t.Errorf("%s: %d known, %d new", name, b.Known, b.New)
		}
	}
}
