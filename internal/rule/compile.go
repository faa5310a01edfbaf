package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// code is a rule's expressions, compiled when the rule is first used.
type code struct {
	once sync.Once
	err  error
	parts
}

// parts is what a compiled rule consists of.
type parts struct {
	let      []*expression
	when     *expression
	each     *expression
	element  *expression
	pass     *expression
	evidence []*expression
	// evidenceLater compiles the evidence of a packed rule; nil for any other.
	evidenceLater func() []*expression
	params        []named
	// list is the fact that each is, as a chain of names; nil when it is made.
	list []string
	// about is what all findings of the rule share, and plain what those do that
	// say nothing of their own: the title as the end of a sentence.
	about *finding.About
	plain *finding.Detail
	// fix is what a program can do, with evidence still to be filled in; or nil.
	fix *finding.Fix
	// namesSubject is true when two subjects alike in all that the rule reads
	// still get different words.
	namesSubject bool
	// paths are the chains of names that the rule reads; reads are those that are
	// facts of a container, readsAll is true when these cannot be told.
	paths    [][]string
	heads    heads // of paths
	reads    []memoFact
	readsAll bool
}

// judged are the expressions that a verdict takes.
func (p *parts) judged() []*expression {
	list := slices.Concat(p.let, []*expression{p.when, p.each, p.element, p.pass})
	return slices.DeleteFunc(list, func(e *expression) bool { return e == nil })
}

// all are the rule's expressions.
func (p *parts) all() []*expression { return append(p.judged(), p.evidence...) }

// userBudget bounds what one rule of a user's may cost for one subject, with all
// its expressions, elements and texts: a simple comparison is ten, and thousands
// of containers are judged. Ours cost what they cost.
const userBudget = 1_000_000

// expression is one compiled CEL expression.
type expression struct {
	name    string
	env     *cel.Env
	program *cel.Program
}

// compile checks and compiles all expressions once.
func (r *Rule) compile() error {
	r.code.once.Do(func() {
		r.code.plain = &finding.Detail{Message: lowerFirst(r.Title)}
		r.code.about = &finding.About{Rule: r.Name, Title: r.Title, Severity: r.Severity, Why: strings.TrimSpace(r.Why), Section: section(r.Subject), Refs: r.Refs}
		r.code.namesSubject = r.namesSubject()
		r.code.fix = r.Fix.given()
		r.code.err = r.code.compile(r)
		for _, e := range r.code.all() {
			r.code.paths = append(r.code.paths, e.program.Paths()...)
		}
		r.code.paths = append(r.code.paths, r.evidenceReads...)
		r.code.heads = headsOf(r.code.paths)
		r.code.reads, r.code.readsAll = r.code.factsRead()
	})
	return r.code.err
}

func (c *code) compile(r *Rule) (err error) {
	in := environment{own: base, shared: base}
	switch {
	case r.doc == nil && r.Ours: // it compiled when it was packed
		in = environment{own: proven, shared: proven}
	case !r.Ours:
		in = environment{own: base.Metered()}
	}
	c.params = make([]named, 0, len(r.Params))
	for _, p := range r.Params {
		v := named{"params." + p.Name, cel.ValueOf(p.Value)}
		c.params = append(c.params, v)
		in.add(v.name, paramType(p.Value))
	}
	if c.when, err = r.expression(in, "when", r.When, cel.BoolType); err != nil {
		return err
	}
	if c.each, err = r.expression(in, "each", r.Each, nil); err != nil {
		return err
	}
	if c.each != nil {
		c.list = c.each.program.Chain()
		list := c.each.program.Type()
		if list.Kind() != cel.List {
			return r.failAt(r.Each, "each", "each is not a list", "")
		}
		in.own = in.own.With("it", list.Elem())
		if r.Ours {
			in.shared = forElement(in.shared, list.Elem())
		}
		if r.Element.Text == "" && list.Elem() != cel.StringType {
			return r.failAt(r.Each, "each", "the elements have no name", "add element: with an expression that names one, for example it.target")
		}
	}
	// An element has its name before anything is made of it.
	if c.element, err = r.expression(in, "element", r.Element, cel.StringType); err != nil {
		return err
	}
	for _, b := range r.Let {
		e, err := r.expression(in, "let."+b.Name, b.Expression, nil)
		if err != nil {
			return err
		}
		e.name = b.Name
		c.let = append(c.let, e)
		in.add(b.Name, e.program.Type())
	}
	if c.pass, err = r.expression(in, "pass", r.Pass, cel.BoolType); err != nil {
		return err
	}
	if r.doc == nil { // it compiled when it was packed, and mostly nothing fails
		c.evidenceLater = sync.OnceValue(func() []*expression {
			var later parts
			if err := later.compileEvidence(r, in); err != nil {
				panic("rule: " + err.Error())
			}
			return later.evidence
		})
		return nil
	}
	return c.compileEvidence(r, in)
}

func (c *parts) compileEvidence(r *Rule, in environment) error {
	for _, b := range r.Evidence {
		e, err := r.expression(in, "evidence."+b.Name, b.Expression, nil)
		if err != nil {
			return err
		}
		if !plainData(e.program.Type()) {
			return r.failAt(b.Expression, "evidence."+b.Name, "evidence is text, numbers, or lists and maps of them", "name the field that matters")
		}
		e.name = b.Name
		c.evidence = append(c.evidence, e)
	}
	return nil
}

// environment is what a rule's expressions may name. What all of ours have, with
// the element of a list, is shared: a third of our expressions is in several
// rules, and is compiled once.
type environment struct {
	own    *cel.Env
	shared *cel.Env // nil for a user's rule
	names  []string // that only own has
}

func (e *environment) add(name string, t *cel.Type) {
	e.own, e.names = e.own.With(name, t), append(e.names, name)
}

// compiled are the programs of shared environments, elements these for lists.
var (
	compiled sync.Map // *cel.Program by inEnv
	elements sync.Map // *cel.Env by ofElement
)

type inEnv struct {
	env  *cel.Env
	text string
}

type ofElement struct {
	env *cel.Env
	typ *cel.Type
}

func forElement(outer *cel.Env, t *cel.Type) *cel.Env {
	key := ofElement{outer, t}
	env, ok := elements.Load(key)
	if !ok {
		env, _ = elements.LoadOrStore(key, outer.With("it", t))
	}
	return env.(*cel.Env)
}

// compile gives the program of an expression, and where it was compiled.
func (e *environment) compile(text string) (*cel.Program, *cel.Env, error) {
	if e.shared != nil && !slices.ContainsFunc(e.names, func(name string) bool { return strings.Contains(text, name) }) {
		if p, ok := compiled.Load(inEnv{e.shared, text}); ok {
			return p.(*cel.Program), e.shared, nil
		}
		if p, err := e.shared.Compile(text); err == nil {
			compiled.Store(inEnv{e.shared, text}, p)
			return p, e.shared, nil
		}
	}
	p, err := e.own.Compile(text)
	return p, e.own, err
}

func plainData(t *cel.Type) bool {
	switch t.Kind() {
	case cel.Bool, cel.Int, cel.Double, cel.String, cel.Timestamp, cel.Duration:
		return true
	case cel.List, cel.Map:
		return plainData(t.Elem())
	}
	return false
}

func paramType(v any) *cel.Type {
	switch v.(type) {
	case bool:
		return cel.BoolType
	case int64:
		return cel.IntType
	case float64:
		return cel.DoubleType
	case []string:
		return cel.ListOf(cel.StringType)
	case map[string]string:
		return cel.MapOf(cel.StringType, cel.StringType)
	}
	return cel.StringType
}

// expression compiles one; want is the type it must have, nil for any. An
// absent expression is nil.
func (r *Rule) expression(in environment, field string, src Expression, want *cel.Type) (*expression, error) {
	if src.Text == "" {
		return nil, nil
	}
	program, env, err := in.compile(src.Text)
	if err != nil {
		return nil, r.celError(src, field, err)
	}
	if typ := program.Type(); want != nil && typ.Kind() != want.Kind() {
		return nil, r.failAt(src, field, fmt.Sprintf("the expression is %s, not %s", typ, want), "")
	}
	if at, msg, hint := trap(program); msg != "" {
		return nil, r.failIn(src, at, field, msg, hint)
	}
	return &expression{env: env, program: program}, nil
}

// celError turns what is wrong with an expression into an error at its place
// in the file.
func (r *Rule) celError(src Expression, field string, err error) error {
	wrong, ok := errors.AsType[*cel.SyntaxError](err)
	if !ok {
		return r.failAt(src, field, err.Error(), "")
	}
	return r.failIn(src, wrong.Offset, field, wrong.Msg, suggest(wrong.Word, wrong.Known))
}

// failIn is an error at an offset in an expression.
func (r *Rule) failIn(src Expression, offset int, field, msg, hint string) error {
	failure := r.failAt(src, field, msg, hint)
	at, ok := failure.(*strict.Error)
	if !ok || src.node == nil || !strings.HasPrefix(src.node.Value, src.Text) {
		return failure
	}
	at.Line, at.Column = strict.PlaceIn(at.Source, src.node, src.Text[:offset])
	return failure
}

// trap refuses what CEL accepts and people misread: has(), which is false for
// 0 and "", order between texts, by which '1.10' is less than '1.9', and 0644,
// which is not octal.
func trap(program *cel.Program) (offset int, msg, hint string) {
	program.Parts(func(p cel.Part) bool {
		if msg != "" {
			return false
		}
		offset = p.Offset()
		text := ""
		if p.Literal() {
			text = strings.TrimLeft(p.Text(), "- \t\n")
		}
		switch {
		case p.Has():
			msg, hint = "has() is false for 0, false and empty text", "compare the value; what was not observed is unknown by itself"
		case p.OrdersTexts():
			msg, hint = "texts are ordered letter by letter, so that '1.10' is less than '1.9'", "compare versions with version(…).lt(…)"
		case len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9':
			msg, hint = "a number with a leading zero reads as decimal", "compare file modes with mode(…).within('0644')"
		}
		return msg == ""
	})
	return offset, msg, hint
}
