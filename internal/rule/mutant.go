package rule

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// Mutant is a rule with one part of its condition replaced by true or false.
type Mutant struct {
	Rule *Rule
	// Part is the text that was replaced, By what stands in its place.
	Part string
	By   bool
}

// Mutants are the rule with each boolean part of pass replaced by true and by
// false. Parts inside a macro's body are left alone: they are judged once an
// element, and a single value in their place proves little.
func (r *Rule) Mutants() ([]Mutant, error) {
	if err := r.compile(); err != nil || r.code.pass == nil {
		return nil, err
	}
	pass := r.code.pass
	var parts []int64
	tree := pass.ast
	var visit func(e ast.Expr)
	visit = func(e ast.Expr) {
		if tree.GetType(e.ID()) != nil && tree.GetType(e.ID()).Kind() == types.BoolKind && e.Kind() != ast.LiteralKind {
			parts = append(parts, e.ID())
		}
		if e.Kind() != ast.CallKind {
			return
		}
		if e.AsCall().IsMemberFunction() {
			visit(e.AsCall().Target())
		}
		for _, a := range e.AsCall().Args() {
			visit(a)
		}
	}
	visit(tree.Expr())
	var mutants []Mutant
	for _, id := range parts {
		for _, by := range []bool{true, false} {
			m, err := r.mutate(id, by)
			if err != nil {
				return nil, err
			}
			mutants = append(mutants, m)
		}
	}
	return mutants, nil
}

func (r *Rule) mutate(id int64, by bool) (Mutant, error) {
	pass := r.code.pass
	changed := ast.Copy(pass.ast)
	m := Mutant{By: by}
	factory := ast.NewExprFactory()
	ast.PostOrderVisit(changed.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id {
			if text, err := cel.ExprToString(e, changed.SourceInfo()); err == nil {
				m.Part = text
			}
			e.SetKindCase(factory.NewLiteral(id, types.Bool(by)))
		}
	}))
	changed.SourceInfo().ClearMacroCall(id)
	text, err := cel.ExprToString(changed.Expr(), changed.SourceInfo())
	if err != nil {
		return m, fmt.Errorf("%s: replacing a part of pass: %w", r.File, err)
	}
	compiled, issues := pass.env.Compile(text)
	if issues != nil && issues.Err() != nil {
		return m, fmt.Errorf("%s: replacing a part of pass: %w", r.File, issues.Err())
	}
	m.Rule = r.with(newExpression(pass.env, compiled.NativeRep(), pass.cost))
	return m, nil
}

// with is the rule, compiled, with another condition.
func (r *Rule) with(pass *expression) *Rule {
	other := &Rule{Schema: r.Schema, Name: r.Name, Subject: r.Subject, Severity: r.Severity, Title: r.Title, Why: r.Why, Params: r.Params,
		Let: r.Let, When: r.When, Each: r.Each, Element: r.Element, Pass: r.Pass, Evidence: r.Evidence, Message: r.Message, Remedy: r.Remedy,
		Refs: r.Refs, Tests: r.Tests, File: r.File, Ours: r.Ours, doc: r.doc}
	other.code.once.Do(func() {})
	other.code.parts = r.code.parts
	other.code.pass = pass
	return other
}

// Only is a set of this one rule.
func (r *Rule) Only() *Set { return &Set{rules: []*Rule{r}} }
