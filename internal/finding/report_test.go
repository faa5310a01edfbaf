package finding

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func one(rule string, severity Severity, status Status, subject string) Finding {
	return Finding{About: &About{Rule: rule, Severity: severity}, Detail: &Detail{}, Status: status, Subject: &Subject{Kind: "container", Name: subject}}
}

func TestScore(t *testing.T) {
	for _, tc := range []struct {
		name     string
		findings []Finding
		score    int
	}{
		{"nothing was judged", nil, 100},
		{"all pass", []Finding{one("a", High, Pass, "x"), one("b", Low, Pass, "x")}, 100},
		{"a high rule loses its whole weight for one of two subjects", []Finding{one("a", High, Fail, "x"), one("a", High, Pass, "y"), one("b", High, Pass, "x")}, 50},
		{"a medium rule loses the failing share", []Finding{one("a", Medium, Fail, "x"), one("a", Medium, Pass, "y"), one("b", Medium, Pass, "x")}, 75},
		{"unknown loses half", []Finding{one("a", Medium, Unknown, "x"), one("b", Medium, Pass, "x")}, 75},
		{"unknown of a high rule loses half of its share", []Finding{one("a", High, Unknown, "x"), one("a", High, Pass, "y")}, 75},
		{"waived and manual lose nothing", []Finding{one("a", High, Waived, "x"), one("b", High, Manual, "x"), one("c", High, Pass, "x")}, 100},
		{"not applicable does not count", []Finding{one("a", Medium, Fail, "x"), one("a", Medium, NotApplicable, "y"), one("b", Medium, Pass, "x")}, 50},
		{"info weighs nothing", []Finding{one("a", Info, Fail, "x"), one("b", Low, Pass, "x")}, 100},
		{"a critical failure keeps it under the mark", append(passes(40), one("a", Critical, Fail, "x")), 79},
		{"a waived critical one does not", append(passes(40), one("a", Critical, Waived, "x")), 100},
		{"two elements of one subject are one subject", []Finding{one("a", Medium, Fail, "x"), one("a", Medium, Fail, "x"), one("a", Medium, Pass, "y"), one("b", Medium, Pass, "x")}, 75},
	} {
		r := Report{Findings: tc.findings}
		r.Finish(80)
		if r.Summary.Score != tc.score {
			t.Errorf("%s: %d, want %d", tc.name, r.Summary.Score, tc.score)
		}
	}
}

func passes(n int) []Finding {
	var list []Finding
	for i := range n {
		list = append(list, one("p"+string(rune('A'+i)), High, Pass, "x"))
	}
	return list
}

// TestGain: the gain of a finding is what the score rises by when its rule holds.
func TestGain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Finding {
			return one(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "rule"), Medium,
				rapid.SampledFrom([]Status{Pass, Fail, Unknown, Waived, Manual, NotApplicable}).Draw(t, "status"),
				rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "subject"))
		}), 1, 20).Draw(t, "findings")
		severity := map[string]Severity{"a": Critical, "b": High, "c": Medium, "d": Low}
		for i := range findings {
			findings[i].Severity = severity[findings[i].Rule]
		}
		r := Report{Findings: slices.Clone(findings)}
		r.Finish(80)
		if r.Summary.Score < 0 || r.Summary.Score > 100 {
			t.Fatalf("score %d", r.Summary.Score)
		}
		for _, f := range r.Findings {
			if f.Status != Fail {
				if f.Gain != 0 {
					t.Fatalf("a %s has the gain %d", f.Status, f.Gain)
				}
				continue
			}
			mended := slices.Clone(findings)
			for i := range mended {
				if mended[i].Rule == f.Rule && mended[i].Status != NotApplicable {
					mended[i].Status = Pass
				}
			}
			m := Report{Findings: mended}
			m.Finish(80)
			if got := m.Summary.Score - r.Summary.Score; got != int(f.Gain) {
				t.Fatalf("mending %s brings %d, its gain says %d", f.Rule, got, f.Gain)
			}
		}
	})
}

func TestSort(t *testing.T) {
	withRef := func(rule string, refs map[string][]string) Finding {
		return Finding{About: &About{Rule: rule, Severity: Low, Refs: refs}}
	}
	list := []Finding{
		withRef("none", nil),
		withRef("ten", map[string][]string{"cis-1.8": {"5.10"}, "cis-1.13": {"5.9"}}),
		withRef("nine", map[string][]string{"cis-1.8": {"5.9"}, "cis-1.6": {"5.9"}}),
		withRef("old", map[string][]string{"cis-1.13": {"5.1"}}),
	}
	for benchmark, want := range map[string]string{"": "old nine ten none", "cis-1.13": "old ten nine none", "cis-1.6": "nine none old ten"} {
		got := slices.Clone(list)
		Sort(got, benchmark)
		var names []string
		for _, f := range got {
			names = append(names, f.Rule)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("by %q: %v, want %s", benchmark, names, want)
		}
	}
	if b, id := list[1].NewestRef(); b != "cis-1.8" || id != "5.10" {
		t.Errorf("newest of 1.8 and 1.13: %s %s", b, id)
	}
}

func TestJSONHasNoNull(t *testing.T) {
	r := Report{}
	r.Findings = []Finding{one("a", Low, Pass, "x")}
	r.Finish(80)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "null") {
		t.Errorf("null in %s", data)
	}
}

func TestSeverity(t *testing.T) {
	if s, err := ParseSeverity("high"); err != nil || !s.AtLeast(Medium) || s.AtLeast(Critical) {
		t.Errorf("high: %v %v", s, err)
	}
	if _, err := ParseSeverity("hgih"); err == nil {
		t.Error("hgih is taken for a severity")
	}
}
