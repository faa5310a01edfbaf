package cel

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// grower makes expressions of a type.
type grower struct {
	*rapid.T
	locals []string // names of elements, each of them a text
}

func (g *grower) pick(label string, of ...string) string {
	return rapid.SampledFrom(of).Draw(g.T, label)
}

func (g *grower) n() int { return rapid.IntRange(0, 99).Draw(g.T, "n") }

// grow makes an expression that is probably of the type.
func (g *grower) grow(typ string, depth int) string {
	if g.n() < 4 { // now and then of another
		typ = g.pick("typ", "bool", "int", "double", "string", "list(string)", "list(int)", "map", "timestamp", "duration", "dyn")
	}
	if depth <= 0 || g.n() < 15 {
		return g.leaf(typ)
	}
	below := func(typ string) string { return g.grow(typ, depth-1) }
	b, i, s, l, n := func() string { return below("bool") }, func() string { return below("int") }, func() string { return below("string") }, func() string { return below("list(string)") }, func() string { return below("list(int)") }
	if g.n() < 8 {
		return "(" + b() + " ? " + below(typ) + " : " + below(typ) + ")"
	}
	switch typ {
	case "bool":
		return g.truth(below)
	case "int":
		return g.pick("int", "("+i()+" "+g.pick("op", "+", "-", "*", "/", "%")+" "+i()+")", "-"+g.leaf("int"), "size("+s()+")", l()+".size()", n()+"["+i()+"]",
			s()+".indexOf("+s()+")", s()+".indexOf("+s()+", "+i()+")", s()+".lastIndexOf("+s()+")", s()+".lastIndexOf("+s()+", "+i()+")", "int("+below("double")+")", "int("+s()+")",
			below("timestamp")+"."+g.pick("get", "getHours", "getFullYear", "getMonth", "getDayOfWeek", "getDayOfYear")+"()", below("duration")+"."+g.pick("get", "getHours", "getMinutes", "getSeconds", "getMilliseconds")+"()", "thing.parts["+g.pick("at", "0", "1", "2", "7", "-1")+"].rank") // the reference takes a position that is unknown for nothing
	case "double":
		return g.pick("double", "("+below("double")+" "+g.pick("op", "+", "-", "*", "/")+" "+below("double")+")", "double("+i()+")", "double("+s()+")", "-"+g.leaf("double"))
	case "string":
		return g.pick("string", "("+s()+" + "+s()+")", "string("+below(g.pick("of", "int", "bool", "double", "string", "duration", "timestamp"))+")", s()+".replace("+s()+", "+s()+")", s()+".replace("+s()+", "+s()+", "+i()+")", s()+".substring("+i()+")", s()+".substring("+i()+", "+i()+")",
			s()+".charAt("+i()+")", s()+"."+g.pick("m", "lowerAscii", "upperAscii", "trim", "reverse")+"()", l()+".join("+s()+")", l()+"["+i()+"]", below("map")+"["+s()+"]")
	case "list(string)":
		return g.pick("list", "["+s()+", "+s()+"]", "("+l()+" + "+l()+")", "("+l()+" + dyn("+n()+"))", s()+".split("+s()+")", s()+".split("+s()+", "+i()+")", l()+"."+g.pick("m", "sort", "distinct", "reverse")+"()", l()+".slice("+i()+", "+i()+")",
			g.macro(l(), "filter", "bool", depth), g.macro(l(), "map", "string", depth), g.macro(below("map"), "map", "string", depth), "["+l()+", "+l()+"].flatten()", g.macro(l(), "sortBy", "int", depth))
	case "list(int)":
		return g.pick("numbers", "["+i()+", "+i()+"]", "lists.range("+g.pick("range", "3", "-1", "size(thing.words)")+")", g.macro(l(), "map", "int", depth), n()+".sort()", "thing.parts.map(p, p.rank)")
	case "map":
		return "{" + s() + ": " + s() + ", " + g.pick("key", "'a'", "'k'") + ": " + s() + "}"
	case "timestamp":
		return g.pick("time", "("+below("timestamp")+" "+g.pick("op", "+", "-")+" "+below("duration")+")", "timestamp("+i()+")", "timestamp("+s()+")")
	case "duration":
		return g.pick("span", "("+below("duration")+" "+g.pick("op", "+", "-")+" "+below("duration")+")", "("+below("timestamp")+" - "+below("timestamp")+")", "duration("+s()+")")
	}
	return g.pick("dyn", "dyn("+below(g.pick("of", "int", "string", "bool", "double", "list(string)"))+")", "["+i()+", "+s()+"]["+i()+"]", "free.list["+i()+"]")
}

func (g *grower) truth(below func(string) string) string {
	typ := g.pick("of", "int", "double", "string", "bool", "timestamp", "duration")
	any := g.pick("of", "int", "double", "string", "bool", "list(string)", "map", "dyn", "list(int)")
	return g.pick("bool", "("+below("bool")+" && "+below("bool")+")", "("+below("bool")+" || "+below("bool")+")", "!"+below("bool"),
		"("+below(typ)+" "+g.pick("op", "<", "<=", ">", ">=")+" "+below(typ)+")", "("+below(any)+" "+g.pick("op", "==", "!=")+" "+below(any)+")",
		"("+below("string")+" in "+below("list(string)")+")", "("+below("int")+" in "+below("list(int)")+")", "("+below("string")+" in "+below("map")+")", below("string")+"."+g.pick("m", "contains", "startsWith", "endsWith")+"("+below("string")+")",
		g.macro(below("list(string)"), g.pick("macro", "all", "exists", "exists_one"), "bool", 2), "sets."+g.pick("set", "contains", "equivalent", "intersects")+"("+below("list(string)")+", "+below("list(string)")+")",
		"("+below("dyn")+" "+g.pick("op", "<", "==", "!=", ">=")+" "+below("dyn")+")", "thing.parts.exists(p, p.rank == "+below("int")+" || p.good)")
}

// macro goes over a list of texts.
func (g *grower) macro(over, name, body string, depth int) string {
	element := fmt.Sprintf("e%d", len(g.locals))
	g.locals = append(g.locals, element)
	defer func() { g.locals = g.locals[:len(g.locals)-1] }()
	return over + "." + name + "(" + element + ", " + g.grow(body, depth-2) + ")"
}

func (g *grower) leaf(typ string) string {
	switch typ {
	case "bool":
		return g.pick("leaf", "true", "false", "thing.on", "other.on", "thing.inner.good")
	case "int":
		return g.pick("leaf", "0", "1", "2", "-1", "7", "9223372036854775807", "thing.count", "other.count", "params.most", "size(thing.words)")
	case "double":
		return g.pick("leaf", "0.0", "1.5", "-2.0", "1e300", "thing.size", "other.size")
	case "string":
		return g.pick("leaf", append([]string{"''", "'a'", "'b'", "'größe'", "'12'", "'1h'", "thing.name", "thing.word", "thing.inner.name", "thing.table['k']", "thing.table.k", "'2024-01-01T00:00:00Z'"}, g.locals...)...)
	case "list(string)":
		return g.pick("leaf", "thing.words", "other.words", "[]", "['a', 'b']", "params.names", "thing.inner.tags")
	case "list(int)":
		return g.pick("leaf", "thing.ranks", "[]", "[1, 2]", "other.ranks")
	case "map":
		return g.pick("leaf", "thing.table", "{'a': 'b'}", "{}", "other.table")
	case "timestamp":
		return g.pick("leaf", "now", "thing.since", "timestamp('2020-01-01T00:00:00Z')")
	case "duration":
		return g.pick("leaf", "duration('1h')", "duration('-90s')", "duration('2562047h')")
	}
	return g.pick("leaf", "free", "free.n", "free.list", "free.none", "free.deep.k", "dyn(1)", "null")
}

// TestRandomLikeTheReference: so are expressions that nobody thought of, with
// facts unseen that nobody thought of.
func TestRandomLikeTheReference(t *testing.T) { randomLikeTheReference(t) }

func randomLikeTheReference(t *testing.T) {
	t.Helper()
	env := theirEnv(t)
	taken, all := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		g := &grower{T: rt}
		text := g.grow(g.pick("typ", "bool", "bool", "int", "string", "list(string)", "list(int)", "dyn", "duration", "double"), 4)
		unseen := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"thing.on", "thing.words", "thing.name", "thing.table.k", "thing.table", "thing.inner.name", "thing.count", "other.on", "other", "now", "thing.parts", "free.n"}), 1, 3, rapid.ID).Draw(rt, "unseen")
		all++
		if len(text) < 3000 && agree(rt, env, text, unseen...) {
			taken++
		}
	})
	if taken < all/3 {
		t.Errorf("%d of %d expressions were taken", taken, all)
	}
}

// FuzzLikeTheReference: whatever is taken means what it means there.
func FuzzLikeTheReference(f *testing.F) {
	env := theirEnv(f)
	for _, text := range expressions {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 500 || strings.Contains(text, "lists.range") { // which may make a list that takes long
			return
		}
		agree(t, env, text, "thing.on", "thing.words")
	})
}
