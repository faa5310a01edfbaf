package rules_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/rules"
)

// TestEveryRecommendationHasARule: and no rule names one that there is not.
func TestEveryRecommendationHasARule(t *testing.T) {
	answered := map[string]map[string]bool{}
	for _, r := range load(t) {
		for benchmark, ids := range r.Refs {
			if answered[benchmark] == nil {
				answered[benchmark] = map[string]bool{}
			}
			for _, id := range ids {
				answered[benchmark][id] = true
				if !slices.Contains(rules.Recommendations(benchmark), id) {
					t.Errorf("%s names %s %s, which there is not", r.Name, benchmark, id)
				}
			}
		}
	}
	for benchmark, count := range map[string]int{"cis-1.8": 118, "cis-1.6": 117, "cis-1.13": 106} {
		all := rules.Recommendations(benchmark)
		if len(all) != count {
			t.Errorf("%s has %d recommendations, not %d", benchmark, len(all), count)
		}
		for _, id := range all {
			if !answered[benchmark][id] {
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
	updates, daemons, files, audits := 0, 0, 0, 0
	limit := regexp.MustCompile(`within\('([0-7]{4})'\)`)
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
		if r.Fix.Mode != "" || r.Fix.Owner != "" {
			files++
			if m := limit.FindStringSubmatch(r.Pass.Text); m != nil && m[1] != r.Fix.Mode {
				t.Errorf("%s: the fix leaves %s, and %s passes", r.Name, r.Fix.Mode, m[1])
			}
			if user, group, _ := strings.Cut(r.Fix.Owner, ":"); user != "" && !strings.Contains(r.Pass.Text, "file.uid == 0") || group != "" && !strings.Contains(r.Pass.Text, "file.gid == 0") {
				t.Errorf("%s: the fix gives the file to %s, which the rule does not ask for", r.Name, r.Fix.Owner)
			}
		}
		if r.Fix.Audit != "" {
			audits++
			if !strings.HasPrefix(r.Remedy.Shell, "echo "+r.Fix.Audit+" >> ") {
				t.Errorf("%s: the fix is %s, and the remedy %s", r.Name, r.Fix.Audit, r.Remedy.Shell)
			}
		}
		for _, s := range r.Fix.Daemon {
			daemons++
			if text := strings.ReplaceAll(r.Remedy.Daemon, " ", ""); s.Value != "" && !strings.Contains(text, `"`+s.Name+`":`) || s.Value == "" && !strings.Contains(r.Remedy.Daemon, s.Name) {
				t.Errorf("%s: the fix sets %s to %q, and the remedy is %s", r.Name, s.Name, s.Value, r.Remedy.Daemon)
			}
		}
	}
	if updates < 8 || daemons < 9 || files < 35 || audits < 15 {
		t.Errorf("%d rules update containers, %d change daemon.json, %d files and %d audit rules", updates, daemons, files, audits)
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
