package rule

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"go.yaml.in/yaml/v3"

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
	params   map[string]any
	// list is the fact that each is, as a chain of names; nil when it is made.
	list []string
	// about is what all findings of the rule share, and plain what those do that
	// say nothing of their own: the title as the end of a sentence.
	about *finding.About
	plain *finding.Detail
	// namesSubject is true when two subjects alike in all that the rule reads
	// still get different words.
	namesSubject bool
	// reads are the facts of a container that the rule reads; readsAll is true
	// when they cannot be told.
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

// userCostLimit bounds what an expression of a user's rule may cost, in CEL's
// units: a simple comparison is one, and thousands of containers are judged.
const userCostLimit = 1_000_000

// expression is one compiled CEL expression.
type expression struct {
	name string
	env  *cel.Env
	// ast is nil for an expression that was compiled beforehand.
	ast  *ast.AST
	cost bool
	// paths are the facts that it reads, each as a chain of names.
	paths [][]string

	plain   func() (cel.Program, error)
	partial func() (cel.Program, error)
}

// compile checks and compiles all expressions once.
func (r *Rule) compile() error {
	r.code.once.Do(func() {
		r.code.plain = &finding.Detail{Message: lowerFirst(r.Title)}
		r.code.about = &finding.About{Rule: r.Name, Title: r.Title, Severity: r.Severity, Why: strings.TrimSpace(r.Why), Section: section(r.Subject), Refs: r.Refs}
		r.code.namesSubject = r.namesSubject()
		if r.ready != nil {
			r.code.err = r.code.restore(r)
		} else {
			r.code.err = r.code.compile(r)
		}
		r.code.reads, r.code.readsAll = r.code.factsRead()
	})
	return r.code.err
}

func (c *code) compile(r *Rule) error {
	env, err := base()
	if err != nil {
		return fmt.Errorf("making the rules' environment: %w", err)
	}
	c.params = r.params(env)
	var vars []cel.EnvOption
	for _, p := range r.Params {
		vars = append(vars, cel.Variable("params."+p.Name, paramType(p.Value)))
	}
	if len(vars) > 0 {
		if env, err = env.Extend(vars...); err != nil {
			return fmt.Errorf("%s: declaring params: %w", r.File, err)
		}
	}
	if c.when, err = r.expression(env, "when", r.When, cel.BoolType); err != nil {
		return err
	}
	if c.each, err = r.expression(env, "each", r.Each, nil); err != nil {
		return err
	}
	if c.each != nil {
		c.list = chainOf(c.each.ast.Expr())
		list := c.each.output()
		if list.Kind() != types.ListKind {
			return r.failAt(r.Each, "each", "each is not a list", "")
		}
		if env, err = env.Extend(cel.Variable("it", list.Parameters()[0])); err != nil {
			return fmt.Errorf("%s: declaring it: %w", r.File, err)
		}
		if r.Element.Text == "" && list.Parameters()[0] != cel.StringType {
			return r.failAt(r.Each, "each", "the elements have no name", "add element: with an expression that names one, for example it.target")
		}
	}
	for _, b := range r.Let {
		e, err := r.expression(env, "let."+b.Name, b.Expression, nil)
		if err != nil {
			return err
		}
		e.name = b.Name
		c.let = append(c.let, e)
		if env, err = env.Extend(cel.Variable(b.Name, e.output())); err != nil {
			return fmt.Errorf("%s: declaring %s: %w", r.File, b.Name, err)
		}
	}
	if c.element, err = r.expression(env, "element", r.Element, cel.StringType); err != nil {
		return err
	}
	if c.pass, err = r.expression(env, "pass", r.Pass, cel.BoolType); err != nil {
		return err
	}
	for _, b := range r.Evidence {
		e, err := r.expression(env, "evidence."+b.Name, b.Expression, nil)
		if err != nil {
			return err
		}
		if !plainData(e.output()) {
			return r.failAt(b.Expression, "evidence."+b.Name, "evidence is text, numbers, or lists and maps of them", "name the field that matters")
		}
		e.name = b.Name
		c.evidence = append(c.evidence, e)
	}
	return nil
}

// params are the parameters' values as variables.
func (r *Rule) params(env *cel.Env) map[string]any {
	values := make(map[string]any, len(r.Params))
	for _, p := range r.Params {
		values["params."+p.Name] = env.CELTypeAdapter().NativeToValue(p.Value)
	}
	return values
}

func plainData(t *cel.Type) bool {
	switch t.Kind() {
	case types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.StringKind, types.TimestampKind, types.DurationKind:
		return true
	case types.ListKind, types.MapKind:
		return !slices.ContainsFunc(t.Parameters(), func(p *cel.Type) bool { return !plainData(p) })
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
		return cel.ListType(cel.StringType)
	case map[string]string:
		return cel.MapType(cel.StringType, cel.StringType)
	}
	return cel.StringType
}

// expression compiles one; want is the type it must have, nil for any. An
// absent expression is nil.
func (r *Rule) expression(env *cel.Env, field string, src Expression, want *cel.Type) (*expression, error) {
	if src.Text == "" {
		return nil, nil
	}
	if at := leadingZero().FindStringIndex(stripStrings(src.Text)); at != nil {
		return nil, r.failAt(src, field, "a number with a leading zero reads as decimal", "compare file modes with mode(…).within('0644')")
	}
	tree, issues := env.Compile(src.Text)
	if issues != nil && issues.Err() != nil {
		return nil, r.celError(env, src, field, issues)
	}
	if want != nil && tree.OutputType() != want {
		return nil, r.failAt(src, field, fmt.Sprintf("the expression is %s, not %s", tree.OutputType(), want), "")
	}
	if msg, hint := trap(tree.NativeRep()); msg != "" {
		return nil, r.failAt(src, field, msg, hint)
	}
	return newExpression(env, tree.NativeRep(), !r.Ours), nil
}

func newExpression(env *cel.Env, checked *ast.AST, cost bool) *expression {
	e := &expression{env: env, ast: checked, cost: cost, paths: factPaths(checked)}
	e.plan(func() (*ast.AST, error) { return checked, nil })
	return e
}

// output is the type of what an expression that was compiled here gives.
func (e *expression) output() *cel.Type { return e.ast.GetType(e.ast.Expr().ID()) }

// plan sets the programs, which are made when they are first run.
func (e *expression) plan(tree func() (*ast.AST, error)) {
	program := func(options ...cel.EvalOption) func() (cel.Program, error) {
		return sync.OnceValues(func() (cel.Program, error) {
			checked, err := tree()
			if err != nil {
				return nil, err
			}
			opts := []cel.ProgramOption{cel.EvalOptions(append(options, cel.OptOptimize)...)}
			if e.cost {
				opts = append(opts, cel.CostLimit(userCostLimit))
			}
			return e.env.PlanProgram(checked, opts...)
		})
	}
	e.plain, e.partial = program(), program(cel.OptPartialEval)
}

var (
	leadingZero = lazy(`(^|[^0-9A-Za-z_.])0[0-9]`)
	quoted      = lazy(`'(\\.|[^'\\])*'|"(\\.|[^"\\])*"`)
	undefined   = lazy(`undefined field '([^']*)'`)
	undeclared  = lazy(`undeclared reference to '([^']*)'`)
)

func stripStrings(text string) string { return quoted().ReplaceAllString(text, "''") }

// celError turns CEL's first complaint into an error at its place in the file.
func (r *Rule) celError(env *cel.Env, src Expression, field string, issues *cel.Issues) error {
	first := issues.Errors()[0]
	hint := ""
	if m := undefined().FindStringSubmatch(first.Message); m != nil {
		hint = suggest(m[1], fieldNames())
	} else if m := undeclared().FindStringSubmatch(first.Message); m != nil {
		var names []string
		for _, v := range env.Variables() {
			names = append(names, v.Name())
		}
		hint = suggest(m[1], names)
	}
	failure := r.failAt(src, field, first.Message, hint)
	if at, ok := failure.(*strict.Error); ok {
		switch style := src.node.Style; {
		case style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
			// The text begins on the line below the mark, and folding moves columns.
			at.Line, at.Column = at.Line+first.Location.Line(), 0
		case style == 0 && first.Location.Line() == 1:
			at.Column += first.Location.Column()
		}
	}
	return failure
}

// trap refuses what CEL accepts and people misread: has(), which is false for
// 0 and "", and order between texts, by which '1.10' is less than '1.9'.
func trap(tree *ast.AST) (msg, hint string) {
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case msg != "":
		case e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly():
			msg, hint = "has() is false for 0, false and empty text", "compare the value; what was not observed is unknown by itself"
		case e.Kind() == ast.CallKind && slices.Contains(orders, e.AsCall().FunctionName()):
			if args := e.AsCall().Args(); len(args) == 2 && tree.GetType(args[0].ID()).Kind() == types.StringKind {
				msg, hint = "texts are ordered letter by letter, so that '1.10' is less than '1.9'", "compare versions with version(…).lt(…)"
			}
		}
	}))
	return msg, hint
}

var orders = []string{operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals}

// factPaths are the chains of names that an expression selects from a
// variable: container.resources.memory_bytes.
func factPaths(tree *ast.AST) [][]string {
	var paths [][]string
	local := map[string]int{}
	var visit func(e ast.Expr)
	add := func(e ast.Expr) bool {
		chain := chainOf(e)
		if len(chain) == 0 || local[chain[0]] > 0 {
			return len(chain) > 0
		}
		paths = append(paths, chain)
		return true
	}
	visit = func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			add(e)
		case ast.SelectKind:
			if !add(e) {
				visit(e.AsSelect().Operand())
			}
		case ast.CallKind:
			if e.AsCall().IsMemberFunction() {
				visit(e.AsCall().Target())
			}
			for _, a := range e.AsCall().Args() {
				visit(a)
			}
		case ast.ListKind:
			for _, x := range e.AsList().Elements() {
				visit(x)
			}
		case ast.MapKind:
			for _, x := range e.AsMap().Entries() {
				visit(x.AsMapEntry().Key())
				visit(x.AsMapEntry().Value())
			}
		case ast.ComprehensionKind:
			c := e.AsComprehension()
			visit(c.IterRange())
			visit(c.AccuInit())
			names := []string{c.IterVar(), c.IterVar2(), c.AccuVar()}
			for _, n := range names {
				local[n]++
			}
			visit(c.LoopCondition())
			visit(c.LoopStep())
			visit(c.Result())
			for _, n := range names {
				local[n]--
			}
		}
	}
	visit(tree.Expr())
	return paths
}

// chainOf is the names of a pure selection from a variable, or nil.
func chainOf(e ast.Expr) []string {
	switch e.Kind() {
	case ast.IdentKind:
		return strings.Split(strings.TrimPrefix(e.AsIdent(), "."), ".")
	case ast.SelectKind:
		if below := chainOf(e.AsSelect().Operand()); below != nil {
			return append(below, e.AsSelect().FieldName())
		}
	}
	return nil
}

// native is a value as JSON has it.
func native(v ref.Val) any {
	switch x := v.(type) {
	case types.Bool:
		return bool(x)
	case types.Int:
		return int64(x)
	case types.Uint:
		return uint64(x)
	case types.Double:
		return float64(x)
	case types.String:
		return string(x)
	}
	return composite(v)
}
