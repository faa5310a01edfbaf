package cel

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	reference "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// The reference implementation says what an expression means.

type part struct {
	Name string   `json:"name"`
	Rank int64    `json:"rank"`
	Good bool     `json:"good"`
	Tags []string `json:"tags"`
}

type word string

// thing is a variable with every kind of field that facts have.
type thing struct {
	Name   string            `json:"name"`
	Word   word              `json:"word"`
	Count  int64             `json:"count"`
	Size   float64           `json:"size"`
	On     bool              `json:"on"`
	Words  []string          `json:"words"`
	None   []string          `json:"none"`
	Ranks  []int64           `json:"ranks"`
	Table  map[string]string `json:"table"`
	Parts  []part            `json:"parts"`
	Inner  part              `json:"inner"`
	Since  time.Time         `json:"since"`
	Hidden string            `json:"-"`
}

var sample = thing{
	Name: "größe", Word: "w", Count: 3, Size: 2.5, On: true, Words: []string{"a", "b", "c"}, Ranks: []int64{3, 1, 2, 1},
	Table: map[string]string{"k": "v", "x.y": "z"}, Inner: part{Name: "inner", Tags: []string{"t"}},
	Parts: []part{{Name: "one", Rank: 1, Good: true, Tags: []string{"a", "d"}}, {Name: "two", Rank: 2}, {Name: "three", Rank: 3, Good: true}},
	Since: time.Date(2024, 2, 29, 13, 14, 15, 678e6, time.UTC),
}

func ourEnv() *Env {
	return NewEnv().With("thing", TypeOf(reflect.TypeFor[*thing]())).With("other", TypeOf(reflect.TypeFor[*thing]())).
		With("params.most", IntType).With("params.names", ListOf(StringType)).With("now", TimestampType).With("free", DynType)
}

func theirEnv(t testing.TB) *reference.Env {
	t.Helper()
	env, err := reference.NewEnv(ext.NativeTypes(ext.ParseStructTag("json"), reflect.TypeFor[*thing]()),
		ext.Strings(), ext.Sets(), ext.Lists(),
		reference.Variable("thing", reference.ObjectType("cel.thing")), reference.Variable("other", reference.ObjectType("cel.thing")),
		reference.Variable("params.most", reference.IntType), reference.Variable("params.names", reference.ListType(reference.StringType)),
		reference.Variable("now", reference.TimestampType), reference.Variable("free", reference.DynType))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// scope is the sample's variables, with what is unseen of them.
type scope struct{ unseen []string }

func (s scope) variables() map[string]any {
	return map[string]any{"thing": &sample, "other": &thing{}, "params.most": int64(5), "params.names": []string{"a", "z"},
		"now": time.Unix(1_780_000_000, 0).UTC(), "free": map[string]any{"n": int64(1), "list": []any{"a", int64(2), 2.0, nil, true}, "deep": map[string]any{"k": []any{}}}}
}

func (s scope) Var(name string) (Value, bool) {
	v, ok := s.variables()[name]
	return ValueOf(v), ok
}

func (s scope) Unseen(chain []string) []int {
	var met []int
	for i, path := range s.unseen {
		hidden := strings.Split(path, ".")
		n := min(len(hidden), len(chain))
		if slices.Equal(hidden[:n], chain[:n]) {
			met = append(met, i)
		}
	}
	return met
}

// shown is a value so that equal ones look alike, whoever gave them.
func shown(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var lines []string
		for k, e := range v {
			lines = append(lines, k+": "+shown(e))
		}
		slices.Sort(lines)
		return "{" + strings.Join(lines, ", ") + "}"
	case []any:
		var lines []string
		for _, e := range v {
			lines = append(lines, shown(e))
		}
		return "[" + strings.Join(lines, ", ") + "]"
	case float64:
		if math.IsNaN(v) {
			return "double NaN"
		}
	}
	return fmt.Sprintf("%T %v", v, v)
}

func (v Value) shownValue() string {
	switch v.kind {
	case Error:
		return "an error"
	case Unknown:
		return "unknown"
	case Timestamp:
		return v.time().UTC().Format(time.RFC3339Nano)
	case Double:
		return shown(v.double())
	case Object:
		return "object " + fmt.Sprint(reflect.ValueOf(v.ref).Elem().Interface())
	case List:
		var lines []string
		for _, e := range v.Elements() {
			lines = append(lines, e.shownValue())
		}
		return "[" + strings.Join(lines, ", ") + "]"
	case Map:
		var lines []string
		for _, k := range v.mapping().keys() {
			e, _ := v.mapping().get(k)
			lines = append(lines, k.shownValue()+": "+e.shownValue())
		}
		slices.Sort(lines)
		return "{" + strings.Join(lines, ", ") + "}"
	}
	return shown(v.Native())
}

func shownTheirs(v ref.Val) string {
	switch v := v.(type) {
	case *types.Err:
		return "an error"
	case *types.Unknown:
		return "unknown"
	case types.Timestamp:
		return v.Time.UTC().Format(time.RFC3339Nano)
	case types.Duration:
		return shown(v.Duration.String())
	case types.Null:
		return shown(nil)
	}
	if l, ok := v.(interface {
		Get(ref.Val) ref.Val
		Size() ref.Val
	}); ok {
		if v.Type() == types.ListType {
			var lines []string
			for i := range int(l.Size().(types.Int)) {
				lines = append(lines, shownTheirs(l.Get(types.Int(i))))
			}
			return "[" + strings.Join(lines, ", ") + "]"
		}
		if v.Type() == types.MapType {
			var lines []string
			for it := v.(traits.Iterable).Iterator(); it.HasNext() == types.True; {
				k := it.Next()
				lines = append(lines, shownTheirs(k)+": "+shownTheirs(l.Get(k)))
			}
			slices.Sort(lines)
			return "{" + strings.Join(lines, ", ") + "}"
		}
	}
	switch x := v.Value().(type) {
	case *thing:
		return "object " + fmt.Sprint(*x)
	case thing, part:
		return "object " + fmt.Sprint(x)
	case *part:
		return "object " + fmt.Sprint(*x)
	}
	return shown(v.Value())
}

// agree holds an expression that we take to what the reference makes of it:
// its type and its value, with everything seen and without what unseen names.
// It reports whether we take it.
func agree(t errorer, env *reference.Env, text string, unseen ...string) bool {
	t.Helper()
	ours, err := ourEnv().Compile(text)
	if err != nil {
		return false
	}
	theirs, issues := env.Compile(text)
	if issues != nil && issues.Err() != nil {
		// What is only known when it runs is taken more freely here.
		free := false
		ours.Parts(func(p Part) bool {
			free = free || p.Type() != nil && strings.Contains(p.Type().String(), "dyn")
			return true
		})
		if !free {
			t.Errorf("%s: taken here, and refused there: %v", text, issues.Err())
		}
		return true
	}
	if a, b := ours.Type().String(), typeThere(theirs.OutputType()); a != b && !strings.Contains(a+b, "dyn") {
		t.Errorf("%s: is %s here and %s there", text, a, b)
	}
	for _, hide := range [][]string{nil, unseen} {
		got := ours.Eval(scope{hide}, len(hide) > 0, nil)
		want := evalThere(t, env, theirs, hide)
		switch {
		case got.kind == Unknown && strings.Contains(want, "<nil> <nil>"):
			continue // the reference gives nothing for a position that is unknown
		case got.kind == Unknown && (want == "an error" || want == refusedThere):
			continue // of several operands that have no value, it picks another
		case want == refusedThere && (got.kind == Error || lazy.MatchString(text)):
			continue // the reference does not begin what it may not come to
		case got.kind == Error && overText.MatchString(got.Err().Error()):
			continue // the reference takes an empty text for an empty list
		case got.kind == Error && strings.Contains(got.Err().Error(), "the zone of a machine"):
			continue // by which a verdict would hang on the machine
		case got.kind == Error && strings.Contains(got.Err().Error(), "unsupported key"):
			continue // a map as a key of a map, which the specification forbids
		}
		if a, b := got.shownValue(), want; a != b && !(strings.Contains(text, "free") && inAnyOrder(a, b)) {
			t.Errorf("%s, without %q: gives %s (%v) here and %s there", text, hide, a, got.Err(), b)
		}
	}
	return true
}

// refusedThere is for what the reference takes and then makes no program of: a key
// of a kind that no map has. It is an error here when it is come to.
const refusedThere = "an error before it begins"

// lazy has a part that is not always come to.
var lazy = regexp.MustCompile(`\?|&&|\|\||all|exists|filter|map|sortBy`)

// overText is the error of a macro that goes over a text.
var overText = regexp.MustCompile(`^no such overload: (all|exists|exists_one|filter|map|sortBy) of string$`)

// inAnyOrder compares what was made of a map, whose keys the reference gives in
// any order.
func inAnyOrder(a, b string) bool {
	x, y := []byte(a), []byte(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

func typeThere(typ *reference.Type) string {
	text := typ.String()
	for from, to := range map[string]string{"google.protobuf.Timestamp": "timestamp", "google.protobuf.Duration": "duration", "null_type": "null"} {
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}

func evalThere(t errorer, env *reference.Env, theirs *reference.Ast, hide []string) string {
	t.Helper()
	program, err := env.Program(theirs, reference.EvalOptions(reference.OptPartialEval))
	if err != nil {
		return refusedThere
	}
	var patterns []*reference.AttributePatternType
	for _, path := range hide {
		names := strings.Split(path, ".")
		p := reference.AttributePattern(names[0])
		for _, n := range names[1:] {
			p = p.QualString(n)
		}
		patterns = append(patterns, p)
	}
	vars, err := reference.PartialVars(scope{}.variables(), patterns...)
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := program.Eval(vars)
	if err != nil {
		return "an error"
	}
	return shownTheirs(v)
}

// TestLikeTheReference: each expression is taken, and means what it means there.
func TestLikeTheReference(t *testing.T) {
	env := theirEnv(t)
	for _, text := range expressions {
		if !agree(t, env, text, "thing.on", "thing.words", "other.count") {
			_, err := ourEnv().Compile(text)
			t.Errorf("%s: refused: %v", text, err)
		}
	}
}

var expressions = strings.Split(strings.TrimSpace(`
1
-1
--1
- 1
-9223372036854775808
9223372036854775807
0x1F + 0xff
1.5e3
.5 + 1E-2
'a' + "b" + r'c\d' + '''e'f''' + """h"i"""
'\a\b\f\n\r\t\v\\\'\"\`+"`"+`\?\x41\u00e9\U0001F600\101'
'größe'.size()
size('größe') + size([1, 2]) + size({'a': 1})
null
null == free.n
true && !false || false
!!true
!thing.on
1 + 2 * 3 - 4 / 3 % 5
-thing.count - -3
-(thing.count + 1)
(1 + 2) * 3
7 / 2
-7 / 2
-7 % 3
7.0 / 2.0
1.0 / 0.0
1 / 0
1 % 0
9223372036854775807 + 1
-9223372036854775808 - 1
9223372036854775807 * 2
-9223372036854775808 / -1
-(-9223372036854775808)
thing.count == 3 ? 'three' : 'other'
thing.on ? thing.count : 0
1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3
dyn(1) < 2.5 && 2.5 > dyn(1) && dyn(1.0) <= 1
dyn(9007199254740993) < 9007199254740992.0
'a' < 'b' && 'B' < 'a'
false < true
1 == 1 && 'a' != 'b' && 1.0 == 1.0
dyn(1) == dyn(1.0)
dyn(1) == 'a'
[1, 2] == [1, 2] && {'a': 1} == {'a': 1} && [] == []
[1, 'a', 2.0, true, null]
{'a': 1, 'b': 'c'}
{1: 'a', true: 'b', 'c': 'd'}
{'a': 1, 'a': 2}
{1: 'a'}[1] + {true: 'b'}[true]
[1, 2, 3][1]
[1, 2, 3][3]
[1, 2, 3][-1]
[1, 2, 3,]
{'a': 1,}
{'a': 1}['b']
{'a': 1}.a
{'a': 1}.b
thing.name
thing.word == 'w'
thing.inner.tags[0]
thing.parts[1].name
thing.parts[7].name
thing.parts[0].tags[1] + thing.parts[0].name
thing.table['k'] + thing.table['x.y']
thing.table.k
thing.table['none']
thing.size * 2.0
thing.since
thing.since.getFullYear() * 10000 + thing.since.getMonth() * 100 + thing.since.getDate()
thing.since.getDayOfMonth() + thing.since.getDayOfYear() + thing.since.getDayOfWeek()
thing.since.getHours() + thing.since.getMinutes() + thing.since.getSeconds() + thing.since.getMilliseconds()
thing.since.getHours('Europe/Berlin') + thing.since.getHours('+05:30') + thing.since.getMinutes('-05:30') + thing.since.getHours('02:00')
thing.since.getHours('Nowhere/None')
now - thing.since
now - duration('1h') < now
now + duration('1h') > now && duration('1h') + now > now
duration('1h') + duration('30m') - duration('15s')
duration('90m').getHours() + duration('90m').getMinutes() + duration('1s').getSeconds() + duration('1500ms').getMilliseconds()
(now - thing.since).getHours() / 24
duration('1d')
duration('-1.5h')
timestamp('2020-01-01T00:00:00Z')
timestamp('2020-01-01T00:00:00.5+02:00')
timestamp('2020-01-01')
timestamp(0) < now
timestamp('9999-12-31T23:59:59Z') + duration('1s')
timestamp('0001-01-01T00:00:00Z') - duration('1s')
int('12') + int(2.9) + int(-2.9) + int(thing.since) + int(3)
int('x')
int(1e30)
double('1.5') + double(2) + double(2.5)
double('x')
string(1) + string(1.5) + string(true) + string('a') + string(now) + string(duration('1h1.5s')) + string(1e100) + string(2.0)
bool('true') && !bool('False') && bool('t')
bool('yes')
int(thing.size)
'a' in thing.words
'x' in thing.words
1 in [1, 2]
'k' in thing.table
'a' in {'a': 1}
1 in [1.0, 2.0].map(x, dyn(x))
!(thing.name in params.names)
params.most + 1
params.names == ['a', 'z']
thing.words.all(w, w.size() == 1)
thing.words.exists(w, w == 'b')
thing.words.exists_one(w, w == 'b')
thing.words.filter(w, w != 'b')
thing.words.map(w, w + w)
thing.words.map(w, w != 'b', w + w)
thing.parts.filter(p, p.good).map(p, p.name)
thing.parts.exists(p, p.rank > 2 && p.good)
thing.parts.all(p, thing.parts.exists(q, q.rank >= p.rank))
thing.parts.map(p, thing.parts.map(p, p.name).size() + p.rank)
thing.parts[0]
thing.parts.filter(p, p.good)
thing.table.all(k, k != '')
thing.table.map(k, thing.table[k]).sort()
[].all(x, x > 1)
[].exists(x, x > 1)
[].map(x, x)
thing.none.all(n, false)
thing.none.exists(n, true)
size(thing.none) == 0
[1, 2, 3].all(x, 6 / x > 1)
[0, 1].all(x, 1 / x > 5)
[0, 1].exists(x, 1 / x == 1)
[0, 1].filter(x, 1 / x == 1)
[0, 1].map(x, 1 / x)
[0, 1].exists_one(x, 1 / x == 1)
[1, 0].all(x, 1 / x == 2)
1 / 0 == 1 || true
true || 1 / 0 == 1
1 / 0 == 1 && false
false && 1 / 0 == 1
1 / 0 == 1 && true
1 / 0 == 1 ? true : false
thing.on || thing.count > 1
thing.on && thing.count > 1
thing.on && thing.count > 5
thing.on ? 1 : 2
thing.on == true
thing.words.exists(w, thing.on)
thing.words.size() == 3 || other.count == 0
thing.on || 1 / 0 == 1
1 / 0 == 1 || thing.on
thing.on && 1 / 0 == 1
[1, 2].all(x, thing.on || x > 1)
[1, 2].exists(x, thing.on && x > 1)
[1, 2].filter(x, thing.on)
[1, 2].map(x, thing.on)
[thing.on, true]
{'a': thing.on}
string(thing.on)
thing.inner.name.size() + other.count
'hello'.contains('ell') && 'hello'.startsWith('he') && 'hello'.endsWith('lo')
'hello'.matches('^h.*o$') && matches('hello', 'l+') && !'hello'.matches('x')
thing.name.matches(thing.name)
'a'.matches('(' + '')
'größe'.charAt(2) + 'a'.charAt(1)
'a'.charAt(2)
'größe'.indexOf('ö') + 'größe'.indexOf('e', 3) + 'abc'.indexOf('x') + 'abc'.indexOf('')
'abc'.indexOf('a', 9)
'abcabc'.lastIndexOf('b') + 'abcabc'.lastIndexOf('b', 3) + 'abc'.lastIndexOf('x') + 'abc'.lastIndexOf('')
'abc'.lastIndexOf('a', 9)
'AbC'.lowerAscii() + 'AbC'.upperAscii() + 'ÄÖ'.lowerAscii()
'  a '.trim() + 'abc'.reverse()
'a,b,c'.split(',') + 'a,b,c'.split(',', 2) + 'a,b'.split(',', 0) + 'a,b'.split(',', -1)
['a', 'b'].join() + ['a', 'b'].join('-')
thing.words.join(', ')
'größe'.substring(2) + 'größe'.substring(1, 3)
'abc'.substring(4)
'abc'.substring(2, 1)
'aXbXc'.replace('X', '-') + 'aXbXc'.replace('X', '-', 1) + 'aXb'.replace('X', '', 0) + 'ab'.replace('', '-')
sets.contains([1, 2, 3], [2, 3]) && sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects(thing.words, ['c'])
sets.intersects(thing.words, [])
sets.contains(thing.words, thing.none)
lists.range(3)
lists.range(0)
[1, 2, 3, 4].slice(1, 3)
[1, 2].slice(1, 3)
[[1, 2], [3]].flatten()
[[1, [2]], [3]].flatten(2)
[3, 1, 2].sort()
['b', 'a'].sort()
[1, 1, 2].distinct()
[1, 2].reverse()
thing.parts.sortBy(p, -p.rank).map(p, p.name)
thing.words.sortBy(w, w == 'b')
free.n + 1
free.list[0] == 'a' && free.list[1] == 2 && free.list[3] == null
free.list
free.deep.k.all(x, x)
free.none
free.list.map(x, dyn(x) == dyn(2))
free.n.size()
free.n == 1 ? 'one' : 'other'
free.n > 0 || free.none
free.list[free.n]
dyn([1, 2]).exists(x, x == 2)
dyn('a') + 'b'
dyn(1) + 1
dyn(1) + 'a'
dyn({'a': 1}).a
dyn(thing).name
dyn(1) < dyn(2.5)
has(thing.name) && !has(other.name)
has(dyn(1).a) || has(free.n.x)
has(dyn(thing).nope)
dyn(thing)['name']
dyn({'b': 1, 'a': 2}).sortBy(x, x)
bool('T') && !bool('F')
'abc'.indexOf('', -1)
'abc'.lastIndexOf('', -1)
now.getHours('5:30') + now.getHours('-1:00')
now.getHours('-00:30') + now.getMinutes('-00:30')
now.getHours('+25:99')
now.getHours('00:-30')
has(dyn([]).a)
has(free.list.a)
timestamp(dyn(1)) == timestamp(1)
1.0 / 0.0
timestamp('2024-01-01T00:00:00,5Z')
timestamp('2024-01-01T1:00:00Z')
string(timestamp('2024-01-01T00:00:00.100+02:00'))
string(([1] + [2])[1])
([1] + dyn(['a']))[1]
(dyn(['a']) + [1])[0] + 'b'
has(free.n) && !has(free.none)
thing.since == thing.since && duration('60s') == duration('1m')
thing.inner == thing.inner
thing.inner == other.inner
  thing.count // a comment
`), "\n")

// errorer is a test, or one round of a random one.
type errorer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}
