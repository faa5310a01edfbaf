package cel

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
)

// TestCost: what would take too long, or too much memory, ends; and what is large
// but bounded does not.
func TestCost(t *testing.T) {
	twice := func(n int) string { return "[1]" + strings.Repeat(".map(x, [x, x])", n) }
	long := func(n int) string { return fmt.Sprintf("lists.range(%d).map(i, 'a').join()", n) }
	for text, costly := range map[string]bool{
		"lists.range(300).all(x, x >= 0)":                                                               false,
		"lists.range(3000).all(x, lists.range(3000).all(y, x + y >= 0))":                                true,
		"false || lists.range(3000).all(x, lists.range(3000).all(y, x + y >= 0))":                       true,
		"lists.range(30000).all(x, x < 0) || lists.range(100000).size() > 0 || true":                    true, // what decides it was not reached
		"lists.range(3000).all(x, true" + strings.Repeat(" && true", 100) + ")":                         true,
		"lists.range(300).all(x, true" + strings.Repeat(" && true", 20) + ")":                           false,
		"lists.range(3000).all(x, " + strings.Repeat("!", 61) + "false && [x][0] == x)":                 false,
		"lists.range(3000).all(x, " + strings.Repeat("false ? false : ", 40) + "true)":                  true,
		"lists.range(3000).all(x, thing.name != ''" + strings.Repeat(" && thing.name != ''", 20) + ")":  true,
		"lists.range(300).all(x, thing.name != '' && thing.words.size() == 3)":                          false,
		"'a'.replace('a', 'aaaaaaaaaa')" + strings.Repeat(".replace('a', 'aaaaaaaaaa')", 20):            true,
		"'aaaaaaaaaa'.replace('a', 'aaaaaaaaaa') == ''":                                                 false,
		"[" + long(3000) + "].all(s, s.replace('a', s) == '')":                                          true,
		"[" + long(3000) + "].all(s, s.replace('a', s, 2) != '')":                                       false,
		"[" + long(3000) + "].all(s, s.replace('', s) == '')":                                           true,
		"[" + long(3000) + "].all(s, s.split('').join(s) == '')":                                        true,
		"[" + long(3000) + "].all(s, s.split('').join(',') != '')":                                      false,
		"[" + long(9000) + "].all(s, lists.range(100).all(i, s.split('').size() > 0))":                  true,
		"[" + long(9000) + "].all(s, lists.range(9).all(i, s.split('b').size() > 0))":                   false,
		"[" + long(9000) + "].all(s, lists.range(200).all(i, [s] == [s]))":                              true,
		"[" + long(9000) + ".split('b')].all(l, lists.range(200).all(i, l == l))":                       true, // one element, but a long one
		"[" + long(9000) + "].all(s, lists.range(200).all(i, {s: 1}[s] == 1))":                          true,
		"[{'a': 1, 'b': 2}].all(m, lists.range(200).all(i, m['a'] == 1))":                               false,
		"[" + long(9000) + "].all(s, lists.range(9000).sortBy(i, i % 2 == 0 ? s : s + 'b').size() > 0)": true,
		"lists.range(2000).sortBy(i, -i)[0] == 1999":                                                    false,
		"lists.range(9000).map(i, -i).sort()[0] == 0":                                                   true,
		"lists.range(900).map(i, -i).sort()[0] == -899":                                                 false,
		"[" + long(9000) + "].all(s, s.indexOf(s + 'b') == -1)":                                         true,
		"[" + long(900) + "].all(s, s.indexOf('b') == -1 && s.lastIndexOf('b') == -1)":                  false,
		twice(60) + " == " + twice(60):                                                                  true,
		twice(5) + " == " + twice(5):                                                                    false,
		twice(60):                                                                                       true, // who shows it would walk through it
		twice(60) + ".flatten(60).size() > 0":                                                           true,
		twice(5) + ".flatten(9).size() > 0":                                                             false,
		"lists.range(16777216).size() > 0":                                                              true,
		"lists.range(5000).map(b, b).map(b, b).size() > 0":                                              false,
		"[lists.range(20000)].all(r, [r.map(b, b), r.map(b, b), r.filter(b, true)].size() > 0)":         true,
		"lists.range(20000).distinct().size() > 0":                                                      true,
		"lists.range(100).distinct().size() == 100":                                                     false,
		"sets.contains(lists.range(20000), lists.range(20000))":                                         true,
		"sets.contains(lists.range(99), [1, 2])":                                                        false,
		"[lists.range(200)].all(r, sets.contains([r, r, r], [r, r, r]))":                                false,
		"lists.range(3000).all(i, i in lists.range(200))":                                               true,
		"lists.range(300).all(i, thing == thing)":                                                       false,
		"lists.range(3000).all(i, thing == thing)":                                                      true, // of which each has all its fields
		"lists.range(3000).all(i, [thing] != [other] && dyn(thing) in [dyn(1), dyn(thing)])":            true,
		"[{'a': 1}].all(m, lists.range(300).all(i, m.all(k, k == 'a')))":                                false,
		"[{0: 1" + many(500, ", %d: 1") + "}].all(m, lists.range(100).all(i, m.exists(k, true)))":       true,
		"lists.range(300).all(i, now.getHours('America/New_York') >= 0)":                                false,
		"lists.range(400).all(i, now.getHours('America/New_York') >= 0)":                                true,
		"lists.range(400).all(i, now.getHours('Nowhere' + string(i)) >= 0 || true)":                     true,
		"lists.range(400).all(i, now.getHours('+02:00') >= 0)":                                          false,
		"lists.range(3000).map(i, 'a').join().matches('" + strings.Repeat("(a{0,100})*", 20) + "c')":    true,
		"lists.range(999).map(i, 'a').join().matches('^a+$')":                                           false,
		"lists.range(999).exists(i, 'a'.matches('(a{0,1000})*' + 'c'))":                                 true,
		"lists.range(999).all(i, 'a'.matches('(' + 'a){900}') || true)":                                 true,
		"'a'.matches('(?i)' + lists.range(50).map(i, r'\\pL').join())":                                  true,
		"'a'.matches('(?i)' + lists.range(50).map(i, r'[B-\\x{1e942}]').join())":                        true,
		"lists.range(99).all(i, 'a'.matches('(?i)^[a-z]+' + '$'))":                                      false,
	} {
		text = strings.ReplaceAll(text, "\\\\", "\\")
		p, err := ourEnv().Metered().Compile(text)
		if err != nil {
			t.Fatalf("%.80s: %v", text, err)
		}
		budget := NewBudget(100_000)
		v := p.Eval(scope{}, false, budget)
		if got := errors.Is(v.Err(), ErrBudget); got != costly || got != budget.Spent() || !got && v.Kind() == Error {
			t.Errorf("%.80s: %v, %d are left", text, v.Err(), budget.left)
		}
	}
}

// many is a text with the numbers from 1 to n in it.
func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i+1)
	}
	return b.String()
}

// TestBudgetIsShared: several evaluations have one budget, and after it there is
// nothing.
func TestBudgetIsShared(t *testing.T) {
	p, err := ourEnv().Metered().Compile("lists.range(100).all(i, i >= 0)")
	if err != nil {
		t.Fatal(err)
	}
	budget := NewBudget(5000)
	rounds := 0
	for ; rounds < 100 && p.Eval(scope{}, false, budget).True(); rounds++ {
	}
	if rounds == 0 || rounds > 50 || !budget.Spent() || budget.Spend(0) {
		t.Errorf("%d evaluations, %v", rounds, budget)
	}
	if v := p.Eval(scope{}, false, nil); !v.True() {
		t.Errorf("without a budget: %v", v.Err())
	}
}

// TestMeteredAlike: who pays gets what others get.
func TestMeteredAlike(t *testing.T) {
	for _, text := range expressions {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		m, err := ourEnv().Metered().Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, unseen := range [][]string{nil, {"thing.on", "thing.words", "other.count"}} {
			s := scope{unseen}
			if a, b := p.Eval(s, unseen != nil, nil).shownValue(), m.Eval(s, unseen != nil, NewBudget(1_000_000)).shownValue(); a != b {
				t.Errorf("%s: %s, and metered %s", text, a, b)
			}
		}
	}
}

// TestPatterns: a pattern that is too big is refused where it stands, before
// anybody makes its program, and so are too many; others are not.
func TestPatterns(t *testing.T) {
	for pattern, small := range map[string]bool{
		"^[a-z0-9._-]+$":                          true,
		"(?i)passwords?($|_|[0-9])":               true,
		"(a{0,100}){0,9}":                         true,
		"(?i)^[а-яё]+[À-ÿ]*$":                     true,
		`(?i)\pL+`:                                true,
		"(" + strings.Repeat("a", 99) + "){1000}": false,
		"(?:(?:(?:" + strings.Repeat("a", 20) + "){0,9}){0,10}){0,10}": false,
		`(?i)` + strings.Repeat(`\pL`, 100):                            false,
		`(?i)` + strings.Repeat(`[B-\x{1e942}]`, 9):                    false,
	} {
		text := "thing.name.matches(r'" + pattern + "')"
		_, err := ourEnv().Metered().Compile(text)
		wrong, _ := errors.AsType[*SyntaxError](err)
		if small != (err == nil) || !small && (wrong.Msg != "the pattern is too big" || text[wrong.Offset:wrong.Offset+2] != "r'") {
			t.Errorf("%.50s: %v", pattern, err)
		}
	}
	p, err := ourEnv().Metered().Compile("thing.name.matches('(' + 'aaaaaaaaaa){800}')")
	if err != nil {
		t.Fatal(err)
	}
	if v := p.Eval(scope{}, false, NewBudget(1_000_000)); v.Kind() != Bool {
		t.Errorf("a large pattern that is made: %v", v.Err())
	}
	if p, err = ourEnv().Metered().Compile("thing.name.matches('(' + 'aaaaaaaaaaaaaaaa){900}')"); err != nil {
		t.Fatal(err)
	}
	if v := p.Eval(scope{}, false, NewBudget(1_000_000)); v.Err() == nil || v.Err().Error() != tooBig {
		t.Errorf("one that is too large: %v", v.Err())
	}
	env := ourEnv().Metered()
	compile := func(count int) error {
		_, err := env.Compile(strings.Repeat("thing.name.matches('(aaaaaaa){1000}') || ", count) + "true")
		return err
	}
	if err := compile(5); err != nil {
		t.Error(err)
	}
	if compile(99) == nil {
		t.Error("a hundred large patterns are taken")
	}
}

// TestStepsOf: the steps of a pattern are known before its program is made.
func TestStepsOf(t *testing.T) {
	for _, pattern := range []string{"", "abc", "a|b|cd", "(a)", "a*b+c?", "a{3}", "a{3,}", "(ab?){2,70}", "[a-z]{0,9}$", "^(?:x|(y{5})*)z", "(?i)straße", "(a{0,9}){0,9}"} {
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if got, real := stepsOf(parsed), uint64(len(program.Inst)); got+2 < real || got > 2*real+2 {
			t.Errorf("%s: %d, and %d in truth", pattern, got, real)
		}
	}
}

// TestErrorsAreShort: a text in an error is as long as somebody would read.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("a", 10_000)
	for _, text := range []string{"{'x': 1}['" + long + "']", "dyn({'x': 1})." + long, "int('" + long + "')", "double('" + long + "')", "bool('" + long + "')", "timestamp('" + long + "')",
		"duration('" + long + "')", "now.getHours('" + long + "')", "now.getHours(':" + long + "')", "'a'.matches('(' + '" + long + "')", "{'x': 1}[dyn(['" + long + "'])]"} {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Fatalf("%.50s: %v", text, err)
		}
		if v := p.Eval(scope{}, false, nil); v.Err() == nil || len(v.Err().Error()) > 250 {
			t.Errorf("%.50s: %.500v", text, v.Err())
		}
	}
}

// TestMachineHasNoZone: a verdict is the same on all machines.
func TestMachineHasNoZone(t *testing.T) {
	for text, fits := range map[string]bool{"now.getHours('Local') >= 0": false, "now.getHours('UTC') >= 0": true} {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if v := p.Eval(scope{}, false, nil); v.True() != fits {
			t.Errorf("%s: %v", text, v.Err())
		}
	}
}

// TestNative: what JSON has no number for is text.
func TestNative(t *testing.T) {
	for text, want := range map[string]any{"1.5": 1.5, "0.0 / 0.0": "NaN", "1.0 / 0.0": "+Inf", "-1.0 / 0.0": "-Inf"} {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Eval(scope{}, false, nil).Native(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestCheckName: a name that no expression could use is refused.
func TestCheckName(t *testing.T) {
	for _, name := range []string{"in", "for", "true", "false", "null", "if", "as", "lists", "sets"} {
		if CheckName(name) == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, name := range []string{"inside", "list", "a", "size", "forge"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
}

// TestOrdersTexts: letter by letter is told from number by number.
func TestOrdersTexts(t *testing.T) {
	for text, want := range map[string]bool{"'a' < 'b'": true, "dyn('a') < 'b'": true, "'b' > dyn('a')": true, "free < free": false, "1 < 2": false, "'a' == 'b'": false} {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		var parts []Part
		p.Parts(func(part Part) bool { parts = append(parts, part); return true })
		if got := slices.ContainsFunc(parts, Part.OrdersTexts); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
