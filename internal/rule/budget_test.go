package rule

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/rules"
)

// theirs makes a set of one rule of a user's with the lines given.
func theirs(t *testing.T, lines string) *Set {
	t.Helper()
	head := "schema: plimsoll/rule/1\nrule: sample\nsubject: container\nseverity: low\ntitle: The sample fails\nwhy: Because\n"
	if !strings.Contains(lines, "remedy:") {
		head += "remedy: {run: mend}\n"
	}
	s, err := Load(fstest.MapFS{}, fstest.MapFS{"sample.yaml": {Data: []byte(head + lines)}}, "rules.d")
	if err == nil {
		err = s.Compile()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBudget: all that one rule of a user's does for a subject has one bound, and
// is no verdict beyond it.
func TestBudget(t *testing.T) {
	const (
		work = "lists.range(45000).all(i, i >= 0)" // a good third of it
		text = "lists.range(2000).map(i, 'aaaaaaaaaa').join()"
	)
	for _, tc := range []struct {
		name, rule string
		findings   int // 0 where it costs too much
	}{
		{"pass", "pass: " + work, 1},
		{"pass that costs too much", "pass: lists.range(3000).all(i, lists.range(3000).all(j, i + j >= 0))", 0},
		{"decided before", "pass: container.name != '' || " + work + " && " + work + " && " + work, 1},
		{"two lets", "let: {a: '" + work + "', b: '" + work + "'}\npass: a", 1},
		{"three lets", "let: {a: '" + work + "', b: '" + work + "', c: '" + work + "'}\npass: a", 0},
		{"when, let and pass", "when: " + work + "\nlet: {a: '" + work + "'}\npass: " + work, 0},
		{"when and pass", "when: " + work + "\npass: " + work, 1},
		{"pass and evidence", "pass: '!(" + work + ")'\nevidence: {a: '" + work + "', b: '" + work + "'}", 0},
		{"evidence", "pass: 'false'\nevidence: {a: '" + work + "'}", 1},
		{"elements", "each: lists.range(100)\nelement: string(it)\npass: it >= 0", 100},
		{"too many elements", "each: lists.range(40000)\nelement: string(it)\npass: it >= 0", 0},
		{"what elements do", "each: lists.range(9)\nelement: string(it)\nlet: {a: '" + work + "'}\npass: a", 0},
		{"what few elements do", "each: lists.range(2)\nelement: string(it)\nlet: {a: '" + work + "'}\npass: a", 2},
		{"names of elements", "each: lists.range(99)\nelement: " + text + "\npass: it > 0", 0},
		{"evidence is long", "pass: 'false'\nevidence: {a: \"" + text + "\"}", 1},
		{"evidence is too long", "pass: 'false'\nlet: {a: \"" + text + "\"}\nevidence: {a: \"lists.range(99).map(i, a)\"}", 0},
		{"a message", "pass: 'false'\nevidence: {a: \"" + text + "\"}\nmessage: '" + strings.Repeat("{a}", 5) + "'", 1},
		{"a message that is too long", "pass: 'false'\nevidence: {a: \"" + text + "\"}\nmessage: '" + strings.Repeat("{a}", 99) + "'", 0},
		{"a question that is too long", "manual: '" + strings.Repeat("{a}", 99) + "'\nevidence: {a: \"" + text + "\"}", 0},
		{"a remedy that is too long", "pass: 'false'\nevidence: {a: \"" + text + "\"}\nremedy: {run: '" + strings.Repeat("{a}", 99) + "'}", 0},
		{"a long message of each", "each: lists.range(900)\nelement: string(it)\npass: it < 0\nmessage: '{subject}" + strings.Repeat("a", 2000) + "'", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found := judgeSpec(t, theirs(t, tc.rule), `{"Image":"nginx"}`)
			if over := strings.Contains(found[0].Reason, "rule error: it costs too much: cost limit exceeded"); over != (tc.findings == 0) || len(found) != max(tc.findings, 1) {
				t.Fatalf("%d findings, the first %s: %.200s", len(found), found[0].Status, found[0].Reason)
			}
			if (found[0].Status == finding.Unknown) != (tc.findings == 0) {
				t.Errorf("is %s", found[0].Status)
			}
		})
	}
}

// TestBudgetIsOfOneSubject: what one container costs is not taken from the next.
func TestBudgetIsOfOneSubject(t *testing.T) {
	f := &facts.Facts{}
	for i := range 5 {
		spec, err := workload.FromCreate(fmt.Sprint("c", i), []byte(`{"Image":"a"}`), workload.Surroundings{})
		if err != nil {
			t.Fatal(err)
		}
		f.Containers = append(f.Containers, spec)
	}
	found, err := theirs(t, "pass: container.name != '' && lists.range(60000).all(i, i >= 0)").Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range found {
		if one.Status != finding.Pass {
			t.Errorf("%s is %s: %s", one.Subject.Name, one.Status, one.Reason)
		}
	}
}

// TestOursHaveNoBudget: what we wrote ends.
func TestOursHaveNoBudget(t *testing.T) {
	if f := judgeSpec(t, ruleOf(t, "pass: lists.range(1000).all(i, lists.range(1000).all(j, i + j >= 0))"), `{"Image":"nginx"}`); f[0].Status != finding.Pass {
		t.Errorf("is %s: %s", f[0].Status, f[0].Reason)
	}
}

// TestRulesLikeOursFitTheBudget: who writes rules as we do gets the verdicts that
// we get, of a container that has much of everything, and takes a small part of
// the budget.
func TestRulesLikeOursFitTheBudget(t *testing.T) {
	f := liveFacts(t)
	for i := range 300 {
		f.Containers[0].Env = append(f.Containers[0].Env, fmt.Sprint("SOME_SETTING_OF_THE_PROGRAM_", i))
	}
	ours, err := Load(rules.Files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := Load(nil, rules.Files, "rules.d")
	if err != nil {
		t.Fatal(err)
	}
	want, err := ours.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := theirs.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAlikeElements: findings that are alike are one, among few and among many.
func TestAlikeElements(t *testing.T) {
	for _, n := range []int{3, 15, 16, 17, 18, 500} {
		rule := fmt.Sprintf("each: lists.range(%d).map(i, string(i / 2))\npass: it != '1'", n)
		if found := judgeSpec(t, theirs(t, rule), `{"Image":"nginx"}`); len(found) != (n+1)/2 {
			t.Errorf("%d elements, two of each: %d findings", n, len(found))
		}
	}
}

// TestEvidenceIsJSON: a number that JSON has not does not break a report.
func TestEvidenceIsJSON(t *testing.T) {
	found := judgeSpec(t, theirs(t, "pass: 'false'\nevidence: {a: '[1.0 / 0.0]', b: 0.0 / 0.0, c: '1.5'}\nmessage: '{a} {b} {c}'"), `{"Image":"nginx"}`)
	data, err := json.Marshal(found[0].Evidence)
	if want := `{"a":["+Inf"],"b":"NaN","c":1.5}`; err != nil || string(data) != want {
		t.Errorf("%s, %v, want %s", data, err, want)
	}
	if want := "+Inf NaN 1.5"; found[0].Message != want {
		t.Errorf("says %q, want %q", found[0].Message, want)
	}
}

// TestMapsAreQuoted: neither the keys nor the values of a map reach a shell as
// they are.
func TestMapsAreQuoted(t *testing.T) {
	s := theirs(t, "pass: 'false'\nevidence: {e: \"{'a': '$(reboot)', '`b`': 'c'}\"}\nremedy: {run: 'add {e}'}")
	if got, want := judgeSpec(t, s, `{"Image":"nginx"}`)[0].Remedy.Run, "add '`b`'=c, a='$(reboot)'"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMutantsOfPatterns: replacing parts is not what makes patterns too many.
func TestMutantsOfPatterns(t *testing.T) {
	s := theirs(t, "pass: \""+strings.Repeat("container.name.matches('(aaaaaaa){1000}') || ", 9)+"true\"")
	if mutants, err := s.Rules()[0].Mutants(); err != nil || len(mutants) < 20 {
		t.Errorf("%d mutants, %v", len(mutants), err)
	}
}
