package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plimsoll/plimsoll/internal/finding"
)

func asJSON(t testing.TB, r finding.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestJSONShape: findings written one by one look as if written at once.
func TestJSONShape(t *testing.T) {
	empty := finding.Report{}
	empty.Finish(80)
	one := report(80, memory.finding(finding.Fail, "web"))
	for name, r := range map[string]finding.Report{"none": empty, "one": one, "small": small(), "fleet": fleet(), "blind": blind()} {
		want, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want)+"\n", asJSON(t, r)); d != "" {
			t.Errorf("%s (-at once +one by one)\n%s", name, d)
		}
	}
}

// TestJSONContract holds the names of the keys, which other programs read.
func TestJSONContract(t *testing.T) {
	r := small()
	r.Benchmark = "cis-1.8"
	r.Reach = []finding.Reach{{Subject: "web", Text: "the data of db"}}
	got := asJSON(t, r)
	for _, want := range []string{
		"{\n  \"schema\": \"plimsoll/report/1\",\n", `"started": "2026-11-24T20:38:51Z"`, `"duration_ms": 0`, `"engine_version": "29.1.0"`, `"api_version": "1.52"`,
		`"benchmark": "cis-1.8"`, `"subject": "web",` + "\n", `"not_applicable": 9`, `"by_severity": {`, `"score": 95`, `"mark": 80`, `"rule": "memory-unlimited"`,
		`"evidence": {}`, `"refs": {}`, `"gain": `, `"section": "Containers"`, `"update": "docker update --memory 512m --memory-swap 512m web"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in the report", want)
		}
	}
	// By id in the benchmark, by numbers: 1.1.3 before 2.16 before 5.11.
	last := -1
	for _, id := range []string{`"1.1.2"`, `"1.1.3"`, `"2.16"`, `"3.18"`, `"5.11"`} {
		at := strings.Index(got, id)
		if at < last {
			t.Errorf("%s comes too early", id)
		}
		last = at
	}
}

// TestJSONRepeats: two runs differ in their times alone.
func TestJSONRepeats(t *testing.T) {
	a, b := fleet(), fleet()
	b.Started, b.DurationMS = b.Started.Add(time.Hour), 77
	if asJSON(t, a) == asJSON(t, b) {
		t.Error("the times are not written")
	}
	b.Started, b.DurationMS = a.Started, a.DurationMS
	for range 5 {
		if asJSON(t, a) != asJSON(t, b) {
			t.Fatal("equal reports differ")
		}
	}
}

// TestAnyJSON: what is written is harmless on a terminal, and reads as the
// report that it was made of.
func TestAnyJSON(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := anyReport(rt)
		got := asJSON(t, r)
		if bad := unsafe(got, true); bad != "" {
			rt.Fatalf("%q in %s", bad, got)
		}
		direct, err := json.Marshal(r)
		if err != nil {
			rt.Fatal(err)
		}
		var want, have any
		if err := json.Unmarshal(direct, &want); err != nil {
			rt.Fatal(err)
		}
		if err := json.Unmarshal([]byte(got), &have); err != nil {
			rt.Fatalf("%v in %s", err, got)
		}
		if d := cmp.Diff(want, have); d != "" {
			rt.Errorf("(-report +written)\n%s", d)
		}
		var back finding.Report
		if err := json.Unmarshal([]byte(got), &back); err != nil {
			rt.Fatal(err)
		}
		if fmt.Sprint(back.Summary) != fmt.Sprint(r.Summary) || len(back.Findings) != len(r.Findings) {
			rt.Errorf("read back as %v with %d findings", back.Summary, len(back.Findings))
		}
	})
}

// TestJSONRefuses: evidence that JSON cannot say is an error that names it.
func TestJSONRefuses(t *testing.T) {
	f := memory.finding(finding.Fail, "web")
	f.Evidence = map[string]any{"f": func() {}}
	err := JSON(&bytes.Buffer{}, report(80, f))
	if err == nil || !strings.HasPrefix(err.Error(), "encoding the finding of memory-unlimited for web: ") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkJSON writes a report of 50 containers.
func BenchmarkJSON(b *testing.B) {
	r := fleet()
	b.ReportAllocs()
	for b.Loop() {
		asJSON(b, r)
	}
}
