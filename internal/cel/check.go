package cel

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// run gives the value of a part of an expression.
type run func(f *frame) Value

// checker checks an expression's types and makes it run.
type checker struct {
	env    *Env
	locals []local
	slots  int // the most locals at a time
	paths  [][]string
}

// local is the name of an element in a macro's body. It is the frame's local of
// the same place.
type local struct {
	name string
	typ  *Type
}

func wrong(n *node, format string, args ...any) *SyntaxError {
	return &SyntaxError{Offset: int(n.start), Msg: fmt.Sprintf(format, args...)}
}

// constant is what runs for a value that is known.
func constant(v Value) run { return func(*frame) Value { return v } }

// expr checks a node and those below.
func (c *checker) expr(n *node) (code run, err *SyntaxError) {
	if n.kind == nameNode || n.kind == selectNode || n.kind == callNode && n.name == opIndex {
		return c.selected(n) // which pays for each step
	}
	if code, err = c.operation(n); err != nil {
		return nil, err
	}
	if n.typ.depth > maxNesting {
		return nil, wrong(n, "lists and maps are too deep inside each other")
	}
	return c.paid(code), nil
}

// operation checks a node that does not lead to a fact.
func (c *checker) operation(n *node) (run, *SyntaxError) {
	switch n.kind {
	case literalNode:
		n.typ = literalType(*n.value)
		return constant(*n.value), nil
	case hasNode:
		return c.has(n)
	case listNode:
		return c.list(n)
	case mapNode:
		return c.table(n)
	case macroNode:
		return c.macro(n)
	}
	switch n.name {
	case opAnd, opOr, opNot, opChoice:
		return c.logic(n)
	case opEqual, opOther:
		return c.equality(n)
	}
	return c.call(n)
}

func literalType(v Value) *Type {
	for _, t := range []*Type{NullType, BoolType, IntType, DoubleType, StringType} {
		if t.kind == v.kind {
			return t
		}
	}
	return DynType
}

// want checks a node that must have a type.
func (c *checker) want(n *node, t *Type, where string) (run, *SyntaxError) {
	code, err := c.expr(n)
	if err != nil {
		return nil, err
	}
	if !(bindings{}).fits(t, n.typ) {
		return nil, wrong(n, "%s is %s, not %s", where, n.typ, t)
	}
	return code, nil
}

// namesOf is the names of a pure selection, or nil.
func namesOf(n *node) []string {
	switch n.kind {
	case nameNode:
		return []string{n.name}
	case selectNode:
		if below := namesOf(n.args[0]); below != nil {
			return append(below, n.name)
		}
	}
	return nil
}

func (c *checker) local(name string) int {
	for i := len(c.locals) - 1; i >= 0; i-- {
		if c.locals[i].name == name {
			return i
		}
	}
	return -1
}

// attribute is what names and positions lead to.
type attribute struct {
	typ  *Type
	code run
	// chain leads there from a variable; nil where something else does. Its first
	// named steps are names, before any position.
	chain []string
	named int
}

func (a *attribute) step(name string) {
	if a.chain != nil {
		if a.named == len(a.chain) {
			a.named++
		}
		a.chain = append(a.chain, name)
	}
}

// selected checks a name, a selection or a position. Of several in a row only
// the whole is asked for whether it was seen.
func (c *checker) selected(n *node) (run, *SyntaxError) {
	a, err := c.attribute(n)
	if err != nil {
		return nil, err
	}
	if a.chain == nil {
		return a.code, nil
	}
	c.reads(a)
	return func(f *frame) Value {
		if f.partial {
			if facts := f.scope.Unseen(a.chain); len(facts) > 0 {
				if !f.spend(uint64(1 + len(facts))) {
					return without()
				}
				return UnknownValue(facts)
			}
		}
		return a.code(f)
	}, nil
}

// reads notes what is read.
func (c *checker) reads(a attribute) {
	path := a.chain[:a.named:a.named]
	if !slices.ContainsFunc(c.paths, func(p []string) bool { return slices.Equal(p, path) }) {
		c.paths = append(c.paths, path)
	}
}

func (c *checker) attribute(n *node) (a attribute, err *SyntaxError) {
	switch {
	case n.kind == nameNode:
		if i := c.local(n.name); i >= 0 {
			a = attribute{typ: c.locals[i].typ, code: func(f *frame) Value { return f.locals[i] }}
		} else if t := c.env.variable(n.name); t != nil {
			a = variable(t, n.name, n.name)
		} else {
			return a, c.undeclared(n, n.name)
		}
	case n.kind == selectNode:
		a, err = c.selection(n)
	case n.kind == callNode && n.name == opIndex:
		a, err = c.position(n)
	default:
		a.code, err = c.expr(n)
		a.typ = n.typ
		return a, err
	}
	if err != nil {
		return a, err
	}
	n.typ = a.typ
	a.code = c.paid(a.code)
	return a, nil
}

func variable(t *Type, name string, chain ...string) attribute {
	return attribute{typ: t, chain: chain, named: len(chain), code: func(f *frame) Value {
		v, ok := f.scope.Var(name)
		if !ok {
			return failed("there is no %.100s here", name)
		}
		return v
	}}
}

// selection checks a.b, which may be a variable with a dot in its name.
func (c *checker) selection(n *node) (attribute, *SyntaxError) {
	root := n.args[0]
	if root.kind != nameNode || c.local(root.name) >= 0 || c.env.variable(root.name) != nil {
		return c.field(n)
	}
	name := root.name + "." + n.name
	t := c.env.variable(name)
	if t == nil {
		return attribute{}, c.undeclared(root, name)
	}
	return variable(t, name, root.name, n.name), nil
}

// undeclared is for a name that is not known, of which whole is what may stand
// there with a dot.
func (c *checker) undeclared(n *node, whole string) *SyntaxError {
	known := c.env.variables()
	for _, l := range c.locals {
		known = append(known, l.name)
	}
	word := n.name
	if slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, word+".") }) {
		word = whole
	}
	return &SyntaxError{Offset: int(n.from), Msg: "undeclared reference to '" + brief(word) + "'", Word: word, Known: known}
}

// field checks a.b.
func (c *checker) field(n *node) (attribute, *SyntaxError) {
	a, err := c.attribute(n.args[0])
	if err != nil {
		return a, err
	}
	return c.fieldOf(a, n)
}

// fieldOf is the field that n selects of a.
func (c *checker) fieldOf(a attribute, n *node) (attribute, *SyntaxError) {
	below, name := a.code, n.name
	switch a.typ.kind {
	case Object:
		f := a.typ.fieldsOf()[name]
		if f == nil {
			known := make([]string, 0, len(a.typ.fieldsOf()))
			for k := range a.typ.fieldsOf() {
				known = append(known, k)
			}
			slices.Sort(known)
			return a, &SyntaxError{Offset: int(n.end) - len(name), Msg: "undefined field '" + brief(name) + "'", Word: name, Known: known}
		}
		of := reflect.PointerTo(a.typ.of)
		a.typ, a.code = f.typ, func(fr *frame) Value {
			v := below(fr)
			if v.kind != Object || reflect.TypeOf(v.ref) != of {
				return noField(v, name)
			}
			return f.read(reflect.ValueOf(v.ref).Elem().Field(f.index))
		}
	case Map, Dyn, anything:
		if a.typ.kind == Map {
			if !(bindings{}).fits(a.typ.key, StringType) {
				return a, wrong(n, "the keys of %s are no names", a.typ)
			}
			a.typ = a.typ.elem
		}
		key := StringValue(name)
		a.code = func(f *frame) Value {
			v := below(f)
			switch v.kind {
			case Map:
				return member(v, key)
			case Object:
				if f := v.fieldNamed(name); f.IsValid() {
					_, read := fromGo(f.Type())
					return read(f)
				}
			}
			return noField(v, name)
		}
	default:
		return a, wrong(n, "%s has no fields", a.typ)
	}
	a.step(name)
	return a, nil
}

// fieldNamed is the field of an Object's struct, if it has it.
func (v Value) fieldNamed(name string) reflect.Value {
	s := reflect.ValueOf(v.ref).Elem()
	if f := objectOf(s.Type()).fieldsOf()[name]; f != nil {
		return s.Field(f.index)
	}
	return reflect.Value{}
}

func noField(v Value, name string) Value {
	if v.special() {
		return v
	}
	return failed("no such key: %.100s", name)
}

func member(v, key Value) Value {
	if one, ok := v.mapping().get(key); ok {
		return one
	}
	text, ok := key.written()
	if !ok {
		text = key.typeName()
	}
	return failed("no such key: %.100s", text)
}

// position checks a[b].
func (c *checker) position(n *node) (attribute, *SyntaxError) {
	at := n.args[1]
	var a attribute
	var err *SyntaxError
	// A key may have dots in it, which the path of an unseen fact does not tell
	// from steps: the whole map is asked for.
	if at.kind == literalNode && at.value.kind == Int {
		a, err = c.attribute(n.args[0])
	} else {
		a.code, err = c.expr(n.args[0])
		a.typ = n.args[0].typ
	}
	if err != nil {
		return a, err
	}
	index, err := c.expr(at)
	if err != nil {
		return a, err
	}
	fits := true
	switch a.typ.kind {
	case List:
		fits = bindings{}.fits(IntType, at.typ)
		a.typ = a.typ.elem
	case Map:
		fits = bindings{}.fits(a.typ.key, at.typ)
		a.typ = a.typ.elem
	default:
		fits = a.typ.kind == Dyn || a.typ.kind == anything
	}
	if !fits {
		return a, wrong(n, "%s[%s] is not possible", n.args[0].typ, at.typ)
	}
	if a.chain != nil {
		named := a.named
		a.step(fmt.Sprintf("[%d]", at.value.Int()))
		a.named = named
	}
	below := a.code
	a.code = func(f *frame) Value {
		v, i := below(f), index(f)
		if v.special() || i.special() {
			return without(v, i)
		}
		return element(v, i)
	}
	return a, nil
}

// element is v[at].
func element(v, at Value) Value {
	switch v.kind {
	case Map:
		return member(v, at)
	case Object:
		if f := v.fieldNamed(at.text); at.kind == String && f.IsValid() {
			_, read := fromGo(f.Type())
			return read(f)
		}
	case List:
		i := at.Int()
		if at.kind == Double {
			whole, ok := wholeNumber(at.double())
			if !ok {
				return failed("%v is no position in a list", at.double())
			}
			i = whole
		} else if at.kind != Int {
			return noOverload(opIndex, v, at)
		}
		if i < 0 || i >= int64(v.list().len()) {
			return failed("index out of bounds: %d", i)
		}
		return v.list().at(int(i))
	}
	return noOverload(opIndex, v, at)
}

// has checks has(a.b): whether a map has the key, or a field is not empty.
func (c *checker) has(n *node) (run, *SyntaxError) {
	of := n.args[0]
	a, err := c.attribute(of.args[0])
	if err != nil {
		return nil, err
	}
	whole, err := c.fieldOf(a, of) // the field is there
	if err != nil {
		return nil, err
	}
	of.typ = whole.typ
	if whole.chain != nil {
		c.reads(whole)
	}
	n.typ = BoolType
	name := of.name
	return func(f *frame) Value {
		if f.partial && whole.chain != nil {
			if facts := f.scope.Unseen(whole.chain); len(facts) > 0 {
				return UnknownValue(facts)
			}
		}
		v := a.code(f)
		switch v.kind {
		case List: // which is asked for a position
		case Map:
			_, ok := v.mapping().get(StringValue(name))
			return BoolValue(ok)
		case Object:
			if f := v.fieldNamed(name); f.IsValid() {
				return BoolValue(!f.IsZero())
			}
		case Error, Unknown:
		default:
			return BoolValue(false)
		}
		return noField(v, name)
	}, nil
}

// loses is an error where values of two types stand beside each other, and nobody
// could tell afterwards that one of them cannot be compared.
func loses(n *node, a, b *Type) *SyntaxError {
	if (a.holdsOpaque() || b.holdsOpaque()) && !join(a, b).holdsOpaque() {
		return wrong(n, "%s cannot stand beside %s", b, a)
	}
	return nil
}

func (c *checker) list(n *node) (run, *SyntaxError) {
	elem := anyType
	codes := make([]run, len(n.args))
	fixed := true
	for i, a := range n.args {
		var err *SyntaxError
		if codes[i], err = c.expr(a); err != nil {
			return nil, err
		}
		if err := loses(a, elem, a.typ); err != nil {
			return nil, err
		}
		elem = join(elem, a.typ)
		fixed = fixed && a.kind == literalNode
	}
	n.typ = ListOf(elem)
	make := func(f *frame) Value {
		items := make(values, len(codes))
		for i, code := range codes {
			items[i] = code(f)
		}
		if slices.ContainsFunc(items, Value.special) {
			return without(items...)
		}
		return listValue(items)
	}
	if fixed {
		return constant(make(&frame{})), nil
	}
	return make, nil
}

func (c *checker) table(n *node) (run, *SyntaxError) {
	key, elem := anyType, anyType
	codes := make([]run, len(n.args))
	for i, a := range n.args {
		var err *SyntaxError
		if codes[i], err = c.expr(a); err != nil {
			return nil, err
		}
		switch {
		case i%2 == 1:
			if err := loses(a, elem, a.typ); err != nil {
				return nil, err
			}
			elem = join(elem, a.typ)
		case !slices.Contains([]Kind{Dyn, anything, Bool, Int, String}, a.typ.kind):
			return nil, wrong(a, "%s cannot be a key", a.typ)
		default:
			key = join(key, a.typ)
		}
	}
	n.typ = MapOf(key, elem)
	return func(f *frame) Value {
		items := make(values, len(codes))
		for i, code := range codes {
			items[i] = code(f)
		}
		if slices.ContainsFunc(items, Value.special) {
			return without(items...)
		}
		made := make(entries, len(codes)/2)
		for i := 0; i < len(items); i += 2 {
			k, v := items[i], items[i+1]
			at, ok := keyOf(k)
			if !ok || k.kind == Double {
				return failed("unsupported key type: %s", k.typeName())
			}
			made[at] = entry{k, v}
		}
		return mapValue(made)
	}, nil
}
