package rules_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/rules"
)

// aboutContainers are the recommendations of each benchmark about running
// containers: all of section 5, and of section 4 the image's user and health
// check, which a running container shows. The last number of section 5 is the
// benchmark's own.
var aboutContainers = map[string]int{"cis-1.8": 32, "cis-1.6": 32, "cis-1.13": 31}

// sections are the highest recommendation of each section that a rule may name.
var sections = map[string]map[string]int{
	"cis-1.8":  {"1.1": 18, "1.2": 2, "2": 19, "3": 24, "4": 12, "5": 32, "6": 2, "7": 9},
	"cis-1.6":  {"1.1": 18, "1.2": 2, "2": 18, "3": 24, "4": 12, "5": 32, "6": 2, "7": 9},
	"cis-1.13": {"1": 15, "2": 24, "3": 20, "4": 11, "5": 31, "6": 5},
}

func TestEveryRecommendationHasARule(t *testing.T) {
	answered := map[string][]string{}
	for _, r := range load(t) {
		for benchmark, ids := range r.Refs {
			answered[benchmark] = append(answered[benchmark], ids...)
		}
	}
	for benchmark, last := range aboutContainers {
		want := []string{"4.1", "4.6"}
		for n := 1; n <= last; n++ {
			want = append(want, fmt.Sprintf("5.%d", n))
		}
		for _, id := range want {
			if !slices.Contains(answered[benchmark], id) {
				t.Errorf("no rule answers %s %s", benchmark, id)
			}
		}
	}
}

func TestReferencesExist(t *testing.T) {
	for _, r := range load(t) {
		for benchmark, ids := range r.Refs {
			for _, id := range ids {
				dot := max(0, strings.LastIndexByte(id, '.'))
				n, err := strconv.Atoi(strings.TrimPrefix(id[dot:], "."))
				if err != nil || n < 1 || n > sections[benchmark][id[:dot]] {
					t.Errorf("%s names %s %s, which there is not", r.Name, benchmark, id)
				}
			}
		}
	}
}

// TestWording holds titles and remedies to the style that reports rely on.
func TestWording(t *testing.T) {
	blamed := []string{"ensure", "danger", "warning", "insecure", "failed to", "!"}
	for _, r := range load(t) {
		for field, text := range map[string]string{"title": r.Title, "why": r.Why, "message": r.Message, "manual": r.Manual, "remedy.run": r.Remedy.Run} {
			for _, word := range blamed {
				if strings.Contains(strings.ToLower(text), word) {
					t.Errorf("%s: %s has %q: %s", r.Name, field, word, text)
				}
			}
		}
		if r.Subject == "container" && r.Remedy.Run == "" {
			t.Errorf("%s has no remedy for a run line", r.Name)
		}
		if r.Manual != "" && !strings.HasSuffix(strings.TrimSpace(r.Manual), "?") {
			t.Errorf("%s: the question has no question mark: %s", r.Name, r.Manual)
		}
		if strings.HasSuffix(strings.TrimSpace(r.Message), ".") {
			t.Errorf("%s: the message ends with a full stop: %s", r.Name, r.Message)
		}
	}
}

// TestPackedIsFresh: packed.go is what the rules give now.
func TestPackedIsFresh(t *testing.T) {
	want, err := rule.Pack(rules.Files)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, rules.Packed); diff != "" {
		t.Errorf("packed.go is old. Run  go generate ./rules\n%s", diff)
	}
}

func load(t *testing.T) []*rule.Rule {
	t.Helper()
	set, err := rule.Load(rules.Files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return set.Rules()
}
