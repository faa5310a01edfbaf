package cel

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRefused: a mistake is shown at its place, in words that help.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		text, at string // what stands where the mistake is
		want     string
	}{
		{"", "", "ends early: a value is missing"},
		{"thing.on &&", "", "ends early: a value is missing"},
		{"(thing.on", "", "ends early: ) is missing"},
		{"thing.on)", ")", "the end, or an operator should stand here"},
		{"thing.on thing", "thing", "the end, or an operator should stand here"},
		{"1 +* 2", "* 2", "a value should stand here, not *"},
		{"'abc", "'abc", "the text has no end: close it with '"},
		{`'a\qb'`, `qb'`, "a backslash begins no known escape"},
		{`'\uD800'`, `uD800'`, "stands for no character"},
		{"1 # 2", "# 2", "'#' does not belong"},
		{"9223372036854775808", "9223372036854775808", "the number is not between"},
		{"1e999", "1e999", "the number is too large"},
		{"12abc", "abc", "a letter stands in a number"},
		{"1u", "1u", "numbers without a sign are of no use here: write 1"},
		{"b'x' == b'y'", "b'x'", "bytes are of no use here"},
		{"thing.onn", "onn", "undefined field 'onn'"},
		{"thing.inner.nam == ''", "nam ==", "undefined field 'nam'"},
		{"thong.on", "thong.on", "undeclared reference to 'thong'"},
		{"params.mosd > 1", "params.mosd", "undeclared reference to 'params.mosd'"},
		{"package == 1", "package", "a word that CEL keeps for itself"},
		{"thing.on.x", "thing.on.x", "bool has no fields"},
		{"1 + 'a'", "1 + 'a'", "int + string is not possible"},
		{"-'a'", "-'a'", "-string is not possible"},
		{"!1", "1", "an operand of ! is int, not bool"},
		{"thing.on && 1", "1", "an operand of && is int, not bool"},
		{"1 ? 2 : 3", "1 ?", "the condition before ? is int, not bool"},
		{"true ? 2 : 'a'", "true", "one way it is int, the other way string"},
		{"1 == 'a'", "1 ==", "int and string cannot be compared"},
		{"1 in 2", "1 in", "int in int is not possible"},
		{"thing.words['a']", "thing.words[", "list(string)[string] is not possible"},
		{"thing.words.all(w, w)", "w)", "the condition of all() is string, not bool"},
		{"thing.count.all(w, true)", "thing.count", "all() goes over a list or a map, not int"},
		{"thing.words.all(1, true)", "1,", "the first argument of all() is a name"},
		{"has(thing)", "thing)", "has() asks for a field"},
		{"thing.name.startswith('a')", "startswith", "there is no method startswith()"},
		{"sise(thing.name)", "sise", "there is no function sise()"},
		{"sets.intersect([1], [2])", "sets", "there is no function sets.intersect()"},
		{"thing.count.size()", "thing.count.size()", "int has no method size()"},
		{"size(1)", "size(1)", "size() does not take (int)"},
		{"thing.name.matches('a(b')", "'a(b'", "regexp: missing closing )"},
		{"{1.5: 2}", "1.5", "double cannot be a key"},
		{"thing{on: true}", "{on", "the end, or an operator should stand here"},
		{strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200), strings.Repeat("(", 100) + "1", "the expression is too deep"},
		{"path('/a') == path('/a')", "path", "path and path cannot be compared"},
		{"[path('/a')] == [path('/a')]", "[path", "list(path) and list(path) cannot be compared"},
		{"{1: path('/a')} == {1: path('/a')}", "{1", "map(int, path) and map(int, path) cannot be compared"},
		{"path('/a') in [path('/a')]", "path", "path in list(path) is not possible"},
		{"sets.contains([path('/a')], [])", "sets", "sets.contains() does not take (list(path), list(dyn))"},
		{"[path('/a')].distinct()", "[path", "list(path) has no method distinct()"},
		{"[[path('/a')]].flatten(1)", "[[path", "list(list(path)) has no method flatten(int)"},
		{"[path('/a')] + dyn([1])", "[path", "list(path) + dyn is not possible"},
		{"dyn(path('/a'))", "dyn", "dyn() does not take (path)"},
		{"[free, path('/a')]", "path", "path cannot stand beside dyn"},
		{"{1: path('/a'), 2: free}", "free", "dyn cannot stand beside path"},
		{"thing.on ? path('/a') : free", "thing", "dyn cannot stand beside path"},
		{"thing." + strings.Repeat("a", 5000), "aaa", "undefined field '" + strings.Repeat("a", 100) + "…'"},
		{strings.Repeat("[", 40) + "1" + strings.Repeat("]", 40) + " + 1", "[[", "list(…"},
		{"[1]" + strings.Repeat(".map(x, [x])", 200), "[1].map(", "lists and maps are too deep"},
		{strings.Repeat("1+", 60_000) + "1", "1+1+", "the expression is too long"},
	} {
		_, err := pathEnv().Compile(tc.text)
		wrong, ok := errors.AsType[*SyntaxError](err)
		if !ok {
			t.Errorf("%.50s: %v", tc.text, err)
			continue
		}
		if !strings.Contains(wrong.Msg, tc.want) || !strings.HasPrefix(tc.text[wrong.Offset:], tc.at) || tc.at == "" && wrong.Offset != len(tc.text) {
			t.Errorf("%.50s: at %.50q: %s, want %q at %.50q", tc.text, tc.text[wrong.Offset:], wrong.Msg, tc.want, tc.at)
		}
	}
}

// pathEnv is ourEnv with a type that cannot be compared.
func pathEnv() *Env {
	path := OpaqueOf("path")
	env := NewEnv(&Function{Name: "path", Args: []*Type{StringType}, Result: path, One: func(a Value) Value { return OpaqueValue(path, a.text, 0) }},
		&Function{Name: "under", Method: true, Args: []*Type{path, StringType}, Result: BoolType, Two: func(a, b Value) Value { return BoolValue(strings.HasPrefix(a.text, b.text)) }})
	for _, name := range []string{"thing", "other"} {
		env = env.With(name, TypeOf(reflect.TypeFor[*thing]()))
	}
	return env.With("params.most", IntType).With("free", DynType)
}

// TestOpaque: what cannot be compared goes wherever it is not.
func TestOpaque(t *testing.T) {
	for _, text := range []string{"thing.words.map(w, path(w)).exists(p, p.under('a'))", "[path('a'), path('b')].reverse()[1].under('a')", "([path('a')] + [path('b')])[1].under('b')",
		"[[path('a')]].flatten().size() == 1", "{1: path('a')}[1].under('a')", "(thing.on ? path('a') : path('b')).under('a')", "[].map(x, path('a')).size() == 0"} {
		p, err := pathEnv().Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if v := p.Eval(scope{}, false, nil); !v.True() {
			t.Errorf("%s: %s %v", text, v.shownValue(), v.Err())
		}
	}
}

// TestNames: whoever misspells a name is told those that are there.
func TestNames(t *testing.T) {
	for text, want := range map[string]string{"thing.onn": "on", "params.mosd": "params.most", "thong": "thing", "'a'.startswith('b')": "startsWith",
		"[1].exist(x, x > 0)": "exists", "thing.words.all(word, wort == '')": "word", "sets.intersect([1], [2])": "sets.intersects"} {
		_, err := ourEnv().Compile(text)
		wrong, ok := errors.AsType[*SyntaxError](err)
		if !ok || !strings.Contains(" "+strings.Join(wrong.Known, " ")+" ", " "+want+" ") {
			t.Errorf("%s: %v knows %v, want %s", text, err, wrong.Known, want)
		}
	}
}

func TestUnseen(t *testing.T) {
	s := scope{[]string{"thing.on", "thing.words", "thing.parts.[1].rank", "other"}}
	for text, want := range map[string][]int{
		"thing.count > 1":      nil,
		"thing.on":             {0},
		"thing.on && other.on": {0, 3},
		"thing.words.exists(w, w == 'a') || thing.on":   {0, 1},
		"thing.on || thing.count == 3":                  nil,
		"thing.words.size() + other.count > 0":          {1, 3},
		"[thing.on, other.on] == [true, true]":          {0, 3},
		"thing.parts[1].rank":                           {2},
		"thing.parts[0].rank":                           nil,
		"thing.parts.exists(p, p.rank == 3)":            {2},
		"[1, 2].all(x, x > 0 && thing.on) && !other.on": {0, 3},
	} {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		v := p.Eval(s, true, nil)
		if diff := cmp.Diff(want, v.Unseen()); diff != "" || (want == nil) == (v.Kind() == Unknown) {
			t.Errorf("%s: %v", text, diff)
		}
		if v := p.Eval(s, false, nil); v.Kind() == Unknown {
			t.Errorf("%s: unknown although all was seen", text)
		}
	}
}

func TestPaths(t *testing.T) {
	for text, want := range map[string]string{
		"thing.on && thing.inner.good && thing.on":        "thing.on thing.inner.good",
		"thing.parts[0].name == thing.table['k']":         "thing.parts thing.table",
		"thing.parts.all(p, p.rank > params.most)":        "thing.parts params.most",
		"[now].exists(thing, thing < now) && other.on":    "now other.on",
		"has(thing.name) || thing.words[thing.count]==''": "thing.name thing.words thing.count",
	} {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, path := range p.Paths() {
			got = append(got, strings.Join(path, "."))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s reads %v, want %s", text, got, want)
		}
	}
}

// TestParts: a part in its place is replaced, and the rest stays as it was.
func TestParts(t *testing.T) {
	p, err := ourEnv().Compile("!(thing.on || thing.count > 1) && true == thing.words.all(w, w != '')")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	p.Parts(func(part Part) bool {
		if part.Type().Kind() == Bool && !part.Literal() {
			got = append(got, part.Replace("true"))
		}
		return !part.Macro()
	})
	want := []string{
		"true",
		"true && true == thing.words.all(w, w != '')",
		"!(true) && true == thing.words.all(w, w != '')",
		"!(true || thing.count > 1) && true == thing.words.all(w, w != '')",
		"!(thing.on || true) && true == thing.words.all(w, w != '')",
		"!(thing.on || thing.count > 1) && true",
		"!(thing.on || thing.count > 1) && true == true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestUnseenByDetours: no way around leads to a fact that was not seen.
func TestUnseenByDetours(t *testing.T) {
	for text, hidden := range map[string]string{
		"thing.parts[0].rank == 1":                      "thing.parts.[0]",
		"thing.parts[params.most - 5].rank == 1":        "thing.parts.[0].rank",
		"thing.parts.map(p, p.rank)[1] == 2":            "thing.parts.[1].rank",
		"thing.table['k'] == 'v'":                       "thing.table",
		"thing.table[thing.name + ''] == 'v'":           "thing.table.k",
		"'k' in thing.table":                            "thing.table.k",
		"has(thing.table.k)":                            "thing.table",
		"size(thing.parts) == 3":                        "thing.parts.[0].name",
		"[thing].exists(x, x.on)":                       "thing.on",
		"(other.on ? other : thing).name == ''":         "thing.name",
		"dyn(thing).name == ''":                         "thing.name",
		"thing == other":                                "thing.name",
		"thing.parts.all(thing, thing.good)":            "thing.parts",
		"{'a': thing.on}.a":                             "thing.on",
		"thing.words.sortBy(w, thing.on)[0] == 'a'":     "thing.on",
		"thing.on ? true : true":                        "thing.on",
		"lists.range(2).map(i, thing.parts[i])[0].good": "thing.parts.[0].good",
	} {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if v := p.Eval(scope{[]string{hidden}}, true, nil); v.Kind() != Unknown {
			t.Errorf("%s without %s gives %s", text, hidden, v.shownValue())
		}
		if v := p.Eval(scope{[]string{"free"}}, true, nil); v.Kind() != Bool && v.Kind() != Error {
			t.Errorf("%s with all that it reads gives %s", text, v.shownValue())
		}
	}
}

// TestDynParts: what is only known when it runs is not taken for what stands
// beside it.
func TestDynParts(t *testing.T) {
	for _, text := range []string{"([now] + dyn([1]))[1].getFullYear()", "([[1]] + dyn([1]))[1].size()", "([thing.inner] + dyn([thing]))[1].rank",
		"([1] + dyn(['a']))[1] + 1", "(['a'] + dyn([1]))[1] + 'b'", "([1] + dyn(['a'])).map(x, x + 1)"} {
		p, err := ourEnv().Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if v := p.Eval(scope{}, false, nil); v.Kind() != Error {
			t.Errorf("%s gives %s", text, v.shownValue())
		}
	}
	p, err := ourEnv().Compile("([1] + dyn([2]))[1] + 1")
	if err != nil || p.Eval(scope{}, false, nil).Int() != 3 {
		t.Errorf("the ordinary thing: %v", err)
	}
}

// TestLongAndNested: what is written in a line is compiled in no time.
func TestLongAndNested(t *testing.T) {
	nested := "thing.name"
	for range 40 {
		nested = "dyn(has(" + nested + ")).a"
	}
	for _, text := range []string{nested, "[1]" + strings.Repeat(".map(x, [x])", 98), "free" + strings.Repeat(".b", 40_000)} {
		if _, err := ourEnv().Compile(text); err != nil {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}

// TestProven: a pattern in an expression that was compiled before is looked at when it
// is needed, and means the same; elsewhere a wrong one is refused at once.
func TestProven(t *testing.T) {
	env := NewEnv().With("params.names", ListOf(StringType))
	if _, err := env.Compile(`params.names[0].matches('(')`); err == nil {
		t.Error("a wrong pattern compiles")
	}
	for _, e := range []*Env{env, env.Proven(), env.Proven().With("t", StringType)} {
		p, err := e.Compile(`params.names.map(s, s.matches('^a+$'))`)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Eval(scope{}, false, nil).Native(); !reflect.DeepEqual(got, []any{true, false}) {
			t.Errorf("got %v", got)
		}
	}
}
