package rule

import (
	"slices"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/plimsoll/plimsoll/rules"
)

// treesOfOurs are all expressions of our rules as they are written.
func treesOfOurs(t testing.TB) []string {
	t.Helper()
	set, err := Load(rules.Files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Compile(); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, r := range set.rules {
		for _, e := range r.code.all() {
			text, err := appendTree(e.ast)
			if err != nil {
				t.Fatalf("%s: %v", r.Name, err)
			}
			texts = append(texts, string(text))
		}
	}
	return texts
}

// compileCEL checks an expression over a few variables.
func compileCEL(t testing.TB, text string) *ast.AST {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("n", cel.IntType), cel.Variable("words", cel.ListType(cel.StringType)), cel.Variable("table", cel.MapType(cel.StringType, cel.DynType)))
	if err != nil {
		t.Fatal(err)
	}
	checked, issues := env.Compile(text)
	if issues != nil && issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	return checked.NativeRep()
}

// TestTree: an expression that was written and read again is the same for CEL.
func TestTree(t *testing.T) {
	env, err := cel.NewEnv()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"n + -7 == 35 && !(n > 100)": "true",
		"n == 42 ? 1u + 2u : 0u":     "3",
		"2.5 * -1e10":                "-25000000000",
		"'é' + 'x'":                  "éx",
		"words.exists(w, w.startsWith('a')) || false":          "true",
		"words.map(w, w.size())[1]":                            "3",
		"{'a': 1, 'b': n}['b']":                                "42",
		"table.a[0]":                                           "one",
		"has(table.z) || has(table.a)":                         "true",
		"type(n) == int && type(null) == null_type":            "true",
		"9223372036854775807 > n && -9223372036854775808 <  n": "true",
	} {
		written, err := appendTree(compileCEL(t, text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		read, err := readTree(string(written))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		program, err := env.PlanProgram(read)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, _, err := program.Eval(map[string]any{"n": 42, "words": []string{"abc", "xyz"}, "table": map[string]any{"a": []any{"one"}}})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if s := sentence(native(got)); s != want {
			t.Errorf("%s gives %s, want %s", text, s, want)
		}
	}
	// What our rules have no use for is refused where it is written.
	for _, text := range []string{"b'bytes' == b'x'", "[?optional.none(), 1].size() == 1"} {
		env, err := cel.NewEnv(cel.OptionalTypes())
		if err != nil {
			t.Fatal(err)
		}
		checked, issues := env.Compile(text)
		if issues != nil && issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		if _, err := appendTree(checked.NativeRep()); err == nil {
			t.Errorf("%s was written", text)
		}
	}
}

// TestTreeCutShort: no beginning of an expression is one.
func TestTreeCutShort(t *testing.T) {
	for _, text := range treesOfOurs(t) {
		for n := range len(text) {
			if _, err := readTree(text[:n]); err == nil {
				t.Fatalf("the first %d bytes of %q were read", n, text)
			}
		}
		if _, err := readTree(text + "\x00"); err == nil {
			t.Fatalf("%q was read with a byte behind it", text)
		}
	}
}

// What was read is written in one way, and read again.
func FuzzReadTree(f *testing.F) {
	texts := treesOfOurs(f)
	slices.Sort(texts)
	for _, text := range slices.Compact(texts) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := readTree(text)
		if err != nil {
			return
		}
		again, err := appendTree(read)
		if err != nil {
			return
		}
		second, err := readTree(string(again))
		if err != nil {
			t.Fatalf("%q was written as %q, which is refused: %v", text, again, err)
		}
		third, err := appendTree(second)
		if err != nil || string(third) != string(again) {
			t.Errorf("%q became %q (%v)", again, third, err)
		}
	})
}
