package rules_test

import (
	"fmt"
	"regexp"
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
var sections = map[string]map[int]int{
	"cis-1.8":  {1: 3, 2: 19, 3: 24, 4: 12, 5: 32, 6: 2, 7: 9},
	"cis-1.6":  {1: 3, 2: 18, 3: 24, 4: 12, 5: 32, 6: 2, 7: 9},
	"cis-1.13": {1: 15, 2: 24, 3: 20, 4: 11, 5: 31, 6: 5},
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

// TestEverySwarmRecommendationHasARule: also those that the first benchmark has
// beside the daemon's.
func TestEverySwarmRecommendationHasARule(t *testing.T) {
	answered := map[string][]string{}
	for _, r := range load(t) {
		for benchmark, ids := range r.Refs {
			answered[benchmark] = append(answered[benchmark], ids...)
		}
	}
	want := map[string][]string{"cis-1.8": {"5.1"}, "cis-1.6": {"5.1"}}
	for n := 1; n <= 9; n++ {
		id := fmt.Sprintf("7.%d", n)
		want["cis-1.8"], want["cis-1.6"] = append(want["cis-1.8"], id), append(want["cis-1.6"], id)
	}
	for n := 1; n <= 24; n++ {
		want["cis-1.13"] = append(want["cis-1.13"], fmt.Sprintf("2.%d", n))
	}
	for benchmark, ids := range want {
		for _, id := range ids {
			if !slices.Contains(answered[benchmark], id) {
				t.Errorf("no rule answers %s %s", benchmark, id)
			}
		}
	}
}

// TestSecretsAreNamedAlike: what is a secret in a container's environment is one in
// a service's.
func TestSecretsAreNamedAlike(t *testing.T) {
	patterns := regexp.MustCompile(`r'[^']*'`)
	type meaning struct {
		params   map[string]any
		patterns []string
	}
	meanings := map[string]meaning{}
	for _, r := range load(t) {
		m := meaning{params: map[string]any{}}
		for _, p := range r.Params {
			m.params[p.Name] = p.Value
		}
		for _, l := range r.Let {
			m.patterns = append(m.patterns, patterns.FindAllString(l.Text, -1)...)
		}
		meanings[r.Name] = m
	}
	of := meanings["secret-in-environment"]
	if len(of.params) != 3 || len(of.patterns) < 4 {
		t.Fatalf("got %v", of)
	}
	if diff := cmp.Diff(of, meanings["service-secret-in-environment"], cmp.AllowUnexported(meaning{})); diff != "" {
		t.Errorf("(-container +service)\n%s", diff)
	}
}

func TestReferencesExist(t *testing.T) {
	for _, r := range load(t) {
		for benchmark, ids := range r.Refs {
			for _, id := range ids {
				section, number, _ := strings.Cut(id, ".")
				s, errS := strconv.Atoi(section)
				n, errN := strconv.Atoi(number)
				if errS != nil || errN != nil || n < 1 || n > sections[benchmark][s] {
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

// TestFixIsTheRemedy: what a script does to a container is what the remedy tells a
// person to do.
func TestFixIsTheRemedy(t *testing.T) {
	updates, daemons := 0, 0
	for _, r := range load(t) {
		if len(r.Fix.Update) > 0 {
			updates++
			command := "docker update"
			for _, s := range r.Fix.Update {
				command += " --" + s.Name + " " + s.Value
			}
			if command += " {subject}"; command != r.Remedy.Update {
				t.Errorf("%s: the fix is %s, and the remedy %s", r.Name, command, r.Remedy.Update)
			}
		}
		for _, s := range r.Fix.Daemon {
			daemons++
			if text := strings.ReplaceAll(r.Remedy.Daemon, " ", ""); s.Value != "" && !strings.Contains(text, `"`+s.Name+`":`) || s.Value == "" && !strings.HasPrefix(r.Remedy.Daemon, "take  "+s.Name+"  out of ") {
				t.Errorf("%s: the fix sets %s to %q, and the remedy is %s", r.Name, s.Name, s.Value, r.Remedy.Daemon)
			}
		}
	}
	if updates < 8 || daemons < 9 {
		t.Errorf("%d rules update containers, and %d change daemon.json", updates, daemons)
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
