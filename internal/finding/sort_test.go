package finding

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// some draws findings of a few rules, subjects and elements, each told from its
// equals by its message.
func some(t *rapid.T) []Finding {
	n := rapid.IntRange(0, 60).Draw(t, "n")
	list := make([]Finding, n)
	for i := range list {
		rule := rapid.IntRange(0, 4).Draw(t, "rule")
		list[i] = Finding{
			About:   &About{Rule: fmt.Sprint("rule-", rule), Severity: Severities[rule]},
			Status:  rapid.SampledFrom([]Status{Pass, Fail, Unknown, Manual, NotApplicable}).Draw(t, "status"),
			Subject: &Subject{Kind: "container", Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), ID: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "id")},
			Element: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "element"),
			Detail:  &Detail{Message: fmt.Sprint(i)},
		}
		if rule > 1 {
			list[i].Refs = map[string][]string{"cis-1.8": {fmt.Sprintf("5.%d", 12-rule)}}
		}
	}
	return list
}

// TestSortAgrees: moving each finding once gives what sorting all of them by
// every part of the order does, and findings that are alike keep their order.
func TestSortAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got := some(t)
		want := slices.Clone(got)
		slices.SortStableFunc(want, func(a, b Finding) int {
			return cmp.Or(compareIDs(a.Ref(""), b.Ref("")), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject.Name, b.Subject.Name),
				cmp.Compare(a.Subject.ID, b.Subject.ID), cmp.Compare(a.Element, b.Element))
		})
		Sort(got, "")
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestTallyAgrees: counting neighbours gives what sets of subjects do.
func TestTallyAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := some(t)
		type sets struct{ all, failed, unknown map[Subject]bool }
		bySet := map[string]sets{}
		for _, f := range list {
			if f.Status == NotApplicable {
				continue
			}
			s, known := bySet[f.Rule]
			if !known {
				s = sets{map[Subject]bool{}, map[Subject]bool{}, map[Subject]bool{}}
				bySet[f.Rule] = s
			}
			s.all[*f.Subject] = true
			switch f.Status {
			case Fail:
				s.failed[*f.Subject] = true
			case Unknown:
				s.unknown[*f.Subject] = true
			}
		}
		want := map[string]ruleTally{}
		for name, s := range bySet {
			for subject := range s.failed {
				delete(s.unknown, subject)
			}
			want[name] = ruleTally{name, list[slices.IndexFunc(list, func(f Finding) bool { return f.Rule == name })].Severity, len(s.all), len(s.failed), len(s.unknown)}
		}
		Sort(list, "")
		got := map[string]ruleTally{}
		for _, r := range tally(list) {
			got[r.rule] = *r
		}
		if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(ruleTally{})); diff != "" {
			t.Fatal(diff)
		}
	})
}
