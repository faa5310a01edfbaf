package cel

import (
	"slices"
	"strings"
)

// call checks the call of a function, a method or an operator.
func (c *checker) call(n *node) (run, *SyntaxError) {
	name, method, args := n.name, n.method, n.args
	if method {
		if full := c.qualified(n); full != "" {
			name, method, args = full, false, args[1:]
		}
	}
	known := c.env.named(name)
	if known == nil {
		return nil, c.noFunction(n, name, method)
	}
	codes := make([]run, len(args))
	types := make([]*Type, len(args))
	for i, a := range args {
		var err *SyntaxError
		if codes[i], err = c.expr(a); err != nil {
			return nil, err
		}
		types[i] = a.typ
	}
	var fit []*Function
	var result *Type
	for _, f := range known {
		if f.Method != method || len(f.Args) != len(args) || f.dynamic && !slices.ContainsFunc(types, isDyn) {
			continue
		}
		b := bindings{}
		if !b.fitAll(f, types) {
			continue
		}
		fit = append(fit, f)
		switch one := b.result(f.Result); {
		case result == nil:
			result = one
		case result.is(one):
		case result.kind == List && one.kind == List:
			result = ListOf(DynType)
		default:
			result = DynType
		}
	}
	if fit == nil {
		return nil, wrong(n, "%s", unfit(name, method, types))
	}
	n.typ = result
	if name == "matches" && args[1].kind == literalNode {
		return c.matchesLiteral(args[1], codes[0])
	}
	return invoke(name, fit, codes, types), nil
}

func isDyn(t *Type) bool { return t.kind == Dyn || t.kind == anything }

// qualified is the whole name of a function such as sets.intersects, or "".
func (c *checker) qualified(n *node) string {
	names := namesOf(n.args[0])
	if len(names) != 1 || c.local(names[0]) >= 0 || c.env.variable(names[0]) != nil {
		return ""
	}
	for known := range library() {
		if strings.HasPrefix(known, names[0]+".") {
			return names[0] + "." + n.name
		}
	}
	return ""
}

func (c *checker) noFunction(n *node, name string, method bool) *SyntaxError {
	e := wrong(n, "there is no function %s()", brief(name))
	if method {
		e.Msg, e.Offset = "there is no method "+brief(name)+"()", int(n.args[0].to)+1
	}
	e.Word, e.Known = name, c.env.callable()
	return e
}

func unfit(name string, method bool, types []*Type) string {
	kinds := make([]string, len(types))
	for i, t := range types {
		kinds[i] = t.String()
	}
	switch {
	case isLetter(name[0]) && name != opIn && method:
		return kinds[0] + " has no method " + name + "(" + strings.Join(kinds[1:], ", ") + ")"
	case isLetter(name[0]) && name != opIn:
		return name + "() does not take (" + strings.Join(kinds, ", ") + ")"
	case len(kinds) == 2:
		return kinds[0] + " " + name + " " + kinds[1] + " is not possible"
	}
	return name[:1] + kinds[0] + " is not possible"
}

// without is what comes of values of which one is none: what all the unknown
// ones lack, or else the first error. Where all are values, the budget is spent.
func without(values ...Value) Value {
	out := ErrorValue(ErrBudget)
	for i := len(values) - 1; i >= 0; i-- {
		switch v := values[i]; {
		case v.kind == Unknown && out.kind == Unknown:
			out = UnknownValue(union(v.Unseen(), out.Unseen()))
		case v.kind == Unknown, v.kind == Error && out.kind != Unknown:
			out = v
		}
	}
	return out
}

// invoke makes the call of a function. Where types are only known when it runs,
// that picks the function, of those that might fit.
func invoke(name string, fit []*Function, codes []run, types []*Type) run {
	f := fit[0]
	if len(fit) > 1 || slices.ContainsFunc(types, func(t *Type) bool { return !t.fixed() }) {
		return picked(name, fit, codes)
	}
	switch {
	case f.One != nil:
		a := codes[0]
		return func(fr *frame) Value {
			x := a(fr)
			if x.special() || fr.pays(f) && !fr.spend(f.cost([]Value{x}, fr.budget.left)) {
				return without(x)
			}
			return f.One(x)
		}
	case f.Two != nil:
		a, b := codes[0], codes[1]
		return func(fr *frame) Value {
			x, y := a(fr), b(fr)
			if x.special() || y.special() || fr.pays(f) && !fr.spend(f.cost([]Value{x, y}, fr.budget.left)) {
				return without(x, y)
			}
			return f.Two(x, y)
		}
	}
	return picked(name, fit, codes)
}

// pays reports whether a call is to be paid by what its function does.
func (f *frame) pays(fn *Function) bool { return f.budget != nil && fn.cost != nil }

// picked calls the first function that takes the values.
func picked(name string, fit []*Function, codes []run) run {
	return func(fr *frame) Value {
		args := make([]Value, len(codes))
		for i, code := range codes {
			args[i] = code(fr)
		}
		if slices.ContainsFunc(args, Value.special) {
			return without(args...)
		}
		for _, f := range fit {
			if !f.takes(args) {
				continue
			}
			if fr.pays(f) && !fr.spend(f.cost(args, fr.budget.left)) {
				return without()
			}
			return f.apply(fr, args)
		}
		return noOverload(name, args...)
	}
}

// takes reports whether the values are of the kinds that the function is for.
func (f *Function) takes(args []Value) bool {
	for i, want := range f.Args {
		if want.kind != Dyn && want.kind != param && want.kind != args[i].kind {
			return false
		}
		if want.kind == Opaque && want != args[i].ref {
			return false
		}
	}
	return true
}

func (f *Function) apply(fr *frame, args []Value) Value {
	switch {
	case f.framed != nil:
		return f.framed(fr, args)
	case f.One != nil:
		return f.One(args[0])
	case f.Two != nil:
		return f.Two(args[0], args[1])
	}
	return f.More(args)
}
