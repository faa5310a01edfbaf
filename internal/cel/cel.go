package cel

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// Env is what an expression may name: variables, and functions beside CEL's.
type Env struct {
	parent    *Env
	name      string
	typ       *Type
	functions map[string][]*Function
	// patterns is what is left for the patterns of metered expressions, nil where
	// none is metered.
	patterns *Budget
	proven   bool
}

// NewEnv is an environment with CEL's functions and those given, and without
// variables.
func NewEnv(functions ...*Function) *Env {
	e := &Env{functions: map[string][]*Function{}}
	for _, f := range functions {
		e.functions[f.Name] = append(e.functions[f.Name], f)
	}
	return e
}

// With is the environment with one variable more. The name may have a dot in it,
// such as params.most.
func (e *Env) With(name string, t *Type) *Env {
	return &Env{parent: e, name: name, typ: t, patterns: e.patterns, proven: e.proven}
}

// Proven is the environment for expressions that were compiled in it before: the
// patterns written in them are compiled when they are first needed. A wrong one then
// panics.
func (e *Env) Proven() *Env { return &Env{parent: e, patterns: e.patterns, proven: true} }

// variable is the type of a variable, or nil.
func (e *Env) variable(name string) *Type {
	for ; e != nil; e = e.parent {
		if e.name == name && e.typ != nil {
			return e.typ
		}
	}
	return nil
}

// variables are the names of all variables.
func (e *Env) variables() []string {
	var names []string
	for ; e != nil; e = e.parent {
		if e.typ != nil {
			names = append(names, e.name)
		}
	}
	return names
}

// named are the functions and methods of a name.
func (e *Env) named(name string) []*Function {
	if own := e.own()[name]; own != nil {
		return own
	}
	return library()[name]
}

// own are the functions that are not CEL's.
func (e *Env) own() map[string][]*Function {
	for e.parent != nil {
		e = e.parent
	}
	return e.functions
}

// callable are the names of functions, methods and macros that can be written.
func (e *Env) callable() []string {
	list := slices.Collect(maps.Keys(macros))
	for _, functions := range []map[string][]*Function{e.own(), library()} {
		for name := range functions {
			if isLetter(name[0]) && name != opIn {
				list = append(list, name)
			}
		}
	}
	slices.Sort(list)
	return list
}

// Function is a function or method by one signature; several may have a name.
// One of One, Two and More is set, for as many arguments as Args has; the
// target of a method is the first. They get values of these types and give a
// value of the type Result, or an Error.
type Function struct {
	Name   string
	Method bool
	Args   []*Type
	Result *Type
	One    func(a Value) Value
	Two    func(a, b Value) Value
	More   func(args []Value) Value
	// dynamic functions are only for arguments of which one is dyn.
	dynamic bool
	// equates is true of functions that compare what they are given, or make
	// something that can be compared.
	equates bool
	// cost is what a call takes beyond looking at its arguments once, as far as a
	// budget of most goes; nil is nothing.
	cost func(args []Value, most uint64) uint64
	// framed is in the place of One, Two and More where a call pays as it goes.
	framed func(f *frame, args []Value) Value
}

// Scope is what an expression is evaluated in. It need not be safe for several
// goroutines.
type Scope interface {
	// Var is the value of a variable, not ok where there is none.
	Var(name string) (v Value, ok bool)
	// Unseen gives, by indexes of its own in rising order, the facts that were
	// not observed and are a part of what the chain of names leads to, or that it
	// is a part of. A position in a list is written [0].
	Unseen(chain []string) []int
}

// Program is a compiled expression. It may be used by several goroutines.
type Program struct {
	text  string
	root  *node
	paths [][]string
	chain []string
	run   run
	slots int
}

// Compile parses and checks an expression. The error is a [*SyntaxError].
func (e *Env) Compile(text string) (*Program, error) {
	root, wrong := parse(text)
	if wrong != nil {
		return nil, wrong
	}
	c := &checker{env: e}
	code, wrong := c.expr(root)
	if wrong != nil {
		return nil, wrong
	}
	p := &Program{text: text, root: root, paths: c.paths, run: code, slots: c.slots}
	if names := namesOf(root); names != nil {
		p.chain = names
	}
	return p, nil
}

// Type is the type of the values that the program gives.
func (p *Program) Type() *Type { return p.root.typ }

// Paths are the facts that the program reads: each a variable and the names
// selected of it, in the order in which they are read.
func (p *Program) Paths() [][]string { return p.paths }

// Chain is what the program selects, where it does nothing else; else nil.
func (p *Program) Chain() []string { return p.chain }

// frame is one evaluation.
type frame struct {
	scope   Scope
	partial bool
	budget  *Budget
	locals  []Value
}

// Eval gives the program's value in a scope, which is asked for what is unseen
// where partial is true. The budget, which may be nil, is for programs of a
// metered environment: once it is spent, they give [ErrBudget].
func (p *Program) Eval(s Scope, partial bool, budget *Budget) Value {
	if budget.Spent() {
		return ErrorValue(ErrBudget)
	}
	f := frames.Get().(*frame)
	*f = frame{scope: s, partial: partial, budget: budget, locals: f.locals[:0]}
	f.locals = append(f.locals, make([]Value, p.slots)...)
	v := p.run(f)
	if budget.Spent() { // what decided it may have come before
		v = ErrorValue(ErrBudget)
	}
	f.scope, f.budget = nil, nil
	clear(f.locals)
	frames.Put(f)
	return v
}

// frames are evaluations that are over, for those to come: there are many, and
// most are short.
var frames = sync.Pool{New: func() any { return new(frame) }}

// Part is a part of an expression.
type Part struct {
	program *Program
	node    *node
}

// Parts calls visit with the program's parts from the top down. What it gives
// is whether to go on below.
func (p *Program) Parts(visit func(Part) bool) {
	var walk func(n *node)
	walk = func(n *node) {
		if visit(Part{p, n}) {
			for _, below := range n.args {
				walk(below)
			}
		}
	}
	walk(p.root)
}

// Text is the part as it is written.
func (p Part) Text() string { return p.program.text[p.node.start:p.node.end] }

// Offset is where the part begins.
func (p Part) Offset() int { return int(p.node.start) }

// Type is the part's type.
func (p Part) Type() *Type { return p.node.typ }

// Literal reports whether the part is a number, a text or the like.
func (p Part) Literal() bool { return p.node.kind == literalNode }

// Macro reports whether the part has a body for each element of a list.
func (p Part) Macro() bool { return p.node.kind == macroNode }

// Has reports whether the part is has(…).
func (p Part) Has() bool { return p.node.kind == hasNode }

// OrdersTexts reports whether the part compares by <, <=, > or >= what is a text
// on either side.
func (p Part) OrdersTexts() bool {
	return p.node.kind == callNode && strings.Contains("< <= > >=", p.node.name) && len(p.node.args) == 2 && !p.node.method &&
		slices.ContainsFunc(p.node.args, func(n *node) bool { return n.typ.kind == String })
}

// Replace is the program's text with another in the place of the part.
func (p Part) Replace(by string) string {
	return p.program.text[:p.node.start] + by + p.program.text[p.node.end:]
}
