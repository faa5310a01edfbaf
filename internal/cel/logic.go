package cel

import (
	"slices"
	"strings"
)

// logic checks the operators that do not need all of their operands.
func (c *checker) logic(n *node) (run, *SyntaxError) {
	codes := make([]run, len(n.args))
	for i, a := range n.args {
		var err *SyntaxError
		if i == 0 || n.name != opChoice {
			codes[i], err = c.want(a, BoolType, operandOf(n.name))
		} else {
			codes[i], err = c.expr(a)
		}
		if err != nil {
			return nil, err
		}
	}
	n.typ = BoolType
	switch n.name {
	case opAnd:
		return both(codes[0], codes[1], BoolValue(true)), nil
	case opOr:
		return both(codes[0], codes[1], BoolValue(false)), nil
	case opNot:
		return func(f *frame) Value {
			v := codes[0](f)
			switch {
			case v.kind == Bool:
				return BoolValue(v.num == 0)
			case v.special():
				return v
			}
			return noOverload(opNot, v)
		}, nil
	}
	yes, no := n.args[1], n.args[2]
	if err := loses(n, yes.typ, no.typ); err != nil {
		return nil, err
	}
	n.typ = join(yes.typ, no.typ)
	if n.typ.kind == Dyn && yes.typ.kind != Dyn && no.typ.kind != Dyn {
		return nil, wrong(n, "one way it is %s, the other way %s", yes.typ, no.typ)
	}
	return func(f *frame) Value {
		v := codes[0](f)
		switch {
		case v.True():
			return codes[1](f)
		case v.kind == Bool:
			return codes[2](f)
		case v.special():
			return v
		}
		return noOverload(opChoice, v)
	}, nil
}

func operandOf(op string) string {
	if op == opChoice {
		return "the condition before ?"
	}
	return "an operand of " + op
}

// both is a && b, where neutral is true, or a || b, where it is false: the
// other truth decides, and where none does, what is unknown counts more than
// what went wrong.
func both(a, b run, neutral Value) run {
	return func(f *frame) Value {
		x := a(f)
		if x.kind == Bool && x.num != neutral.num {
			return x
		}
		y := b(f)
		if y.kind == Bool && (x.kind == Bool || y.num != neutral.num) {
			return y
		}
		return undecided(x, y)
	}
}

// undecided is what two operands give of which neither decides and one is no
// truth.
func undecided(x, y Value) Value {
	switch {
	case x.kind == Unknown && y.kind == Unknown:
		return UnknownValue(union(x.Unseen(), y.Unseen()))
	case x.kind == Unknown:
		return x
	case y.kind == Unknown:
		return y
	case x.kind == Error:
		return x
	case y.kind == Error && x.kind == Bool:
		return y
	}
	return noOverload("&& or ||", x, y)
}

// union is the indexes of both, in order.
func union(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// noOverload is a call with values that the function is not for.
func noOverload(name string, args ...Value) Value {
	kinds := make([]string, len(args))
	for i, a := range args {
		kinds[i] = a.typeName()
	}
	return failed("no such overload: %s of %s", name, strings.Join(kinds, " and "))
}

// equality checks == and !=.
func (c *checker) equality(n *node) (run, *SyntaxError) {
	a, err := c.expr(n.args[0])
	if err != nil {
		return nil, err
	}
	b, err := c.expr(n.args[1])
	if err != nil {
		return nil, err
	}
	x, y := n.args[0].typ, n.args[1].typ
	if !comparable(x, y) {
		return nil, wrong(n, "%s and %s cannot be compared", x, y)
	}
	n.typ = BoolType
	want := n.name == opEqual
	return func(f *frame) Value {
		x, y := a(f), b(f)
		if x.special() || y.special() || f.budget != nil && !f.spend(x.weightToCompare(f.budget.left)) {
			return without(x, y)
		}
		return BoolValue(equal(x, y) == want)
	}, nil
}

// comparable reports whether == makes sense: for two of one type, and for null
// beside what may be null.
func comparable(x, y *Type) bool {
	mayBeNull := func(t *Type) bool { return t.kind == Object || t.kind == Timestamp || t.kind == Duration }
	switch {
	case x.holdsOpaque() || y.holdsOpaque():
		return false
	case x.kind == Null && mayBeNull(y), y.kind == Null && mayBeNull(x):
		return true
	}
	both := join(x, y)
	return both.kind != Dyn || x.kind == Dyn || y.kind == Dyn
}

// macro checks what has a body for each element.
func (c *checker) macro(n *node) (run, *SyntaxError) {
	over, err := c.expr(n.args[0])
	if err != nil {
		return nil, err
	}
	elem := DynType
	switch t := n.args[0].typ; t.kind {
	case Dyn, anything:
	case List:
		elem = t.elem
	case Map:
		elem = t.key
		if n.name == "sortBy" {
			return nil, wrong(n.args[0], "sortBy() is for lists, not %s", t)
		}
	default:
		return nil, wrong(n.args[0], "%s() goes over a list or a map, not %s", n.name, t)
	}
	slot := len(c.locals)
	c.locals = append(c.locals, local{n.args[1].name, elem})
	c.slots = max(c.slots, len(c.locals))
	bodies := make([]run, len(n.args)-2)
	for i, b := range n.args[2:] {
		condition := n.name != "sortBy" && (n.name != "map" || len(bodies) == 2 && i == 0)
		if condition {
			bodies[i], err = c.want(b, BoolType, "the condition of "+n.name+"()")
		} else {
			bodies[i], err = c.expr(b)
		}
		if err != nil {
			return nil, err
		}
	}
	c.locals = c.locals[:slot]
	last := n.args[len(n.args)-1].typ
	n.typ = BoolType
	var each loop
	switch n.name {
	case "all":
		each = decided(BoolValue(true))
	case "exists":
		each = decided(BoolValue(false))
	case "exists_one":
		each = one
	case "filter":
		n.typ, each = ListOf(elem), filtered
	case "map":
		n.typ, each = ListOf(last), mapped
	case "sortBy":
		if !slices.Contains(ordered, last.kind) && last.kind != Dyn && last.kind != anything {
			return nil, wrong(n, "%s has no order", last)
		}
		n.typ, each = n.args[0].typ, sortedBy
	}
	return func(f *frame) Value {
		v := over(f)
		switch v.kind {
		case List:
			return each(f, v.list(), func(f *frame, i int) { f.locals[slot] = v.list().at(i) }, bodies)
		case Map:
			if n.name == "sortBy" {
				return noOverload(n.name, v)
			}
			if !f.spend(sortingCost(1, v.mapping().len())) {
				return without()
			}
			keys := values(v.mapping().keys())
			return each(f, keys, func(f *frame, i int) { f.locals[slot] = keys[i] }, bodies)
		}
		if v.special() {
			return v
		}
		return noOverload(n.name, v)
	}, nil
}

// loop runs the bodies of a macro for each element; enter makes one the local.
type loop func(f *frame, l list, enter func(f *frame, i int), bodies []run) Value

// round begins with an element, and reports whether there is one.
func (f *frame) round(l list, i int, enter func(f *frame, i int)) bool {
	if i == l.len() || !f.spend(1) {
		return false
	}
	enter(f, i)
	return true
}

// decided is all(), where neutral is true, or exists().
func decided(neutral Value) loop {
	return func(f *frame, l list, enter func(f *frame, i int), bodies []run) Value {
		sofar := neutral
		for i := 0; f.round(l, i, enter); i++ {
			v := bodies[0](f)
			if v.kind != Bool {
				sofar = undecided(sofar, v)
			} else if v.num != neutral.num {
				return v
			}
		}
		return sofar
	}
}

// gathering is what a macro makes that looks at all elements. lost is what came
// of those that have no value.
type gathering struct{ lost Value }

// value reports whether v is one.
func (g *gathering) value(v Value) bool {
	if v.special() {
		g.lost = without(g.lost, v)
	}
	return !v.special()
}

// holds reports whether the condition of a macro is true of an element.
func (g *gathering) holds(macro string, v Value) bool {
	if v.kind != Bool && !v.special() {
		v = noOverload(macro, v)
	}
	return g.value(v) && v.True()
}

// or is made, where nothing was lost.
func (g *gathering) or(made Value) Value {
	if g.lost.special() {
		return g.lost
	}
	return made
}

// one is exists_one().
func one(f *frame, l list, enter func(f *frame, i int), bodies []run) Value {
	var g gathering
	n := 0
	for i := 0; f.round(l, i, enter); i++ {
		if g.holds("exists_one", bodies[0](f)) {
			n++
		}
	}
	return g.or(BoolValue(n == 1))
}

func filtered(f *frame, l list, enter func(f *frame, i int), bodies []run) Value {
	var g gathering
	var kept values
	for i := 0; f.round(l, i, enter); i++ {
		if g.holds("filter", bodies[0](f)) {
			kept = append(kept, l.at(i))
		}
	}
	return g.or(listValue(kept))
}

// mapped is map(), with or without a condition.
func mapped(f *frame, l list, enter func(f *frame, i int), bodies []run) Value {
	if !f.spend(uint64(l.len())) {
		return without()
	}
	var g gathering
	made := make(values, 0, l.len())
	for i := 0; f.round(l, i, enter); i++ {
		if len(bodies) == 2 && !g.holds("map", bodies[0](f)) {
			continue
		}
		if v := bodies[len(bodies)-1](f); g.value(v) {
			made = append(made, v)
		}
	}
	return g.or(listValue(made))
}

func sortedBy(f *frame, l list, enter func(f *frame, i int), bodies []run) Value {
	if !f.spend(uint64(l.len())) {
		return without()
	}
	var g gathering
	keyed := make([]entry, 0, l.len())
	weight := uint64(0)
	for i := 0; f.round(l, i, enter); i++ {
		if v := bodies[0](f); g.value(v) {
			keyed = append(keyed, entry{v, l.at(i)})
			if f.budget != nil {
				weight += v.weight(f.budget.left)
			}
		}
	}
	if !f.spend(sortingCost(weight, len(keyed))) {
		return without()
	}
	return g.or(sorted(keyed))
}
