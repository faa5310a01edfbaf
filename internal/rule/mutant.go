package rule

import (
	"fmt"
	"strconv"

	"github.com/plimsoll/plimsoll/internal/cel"
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
	var parts []cel.Part
	r.code.pass.program.Parts(func(p cel.Part) bool {
		if p.Type() != nil && p.Type().Kind() == cel.Bool && !p.Literal() {
			parts = append(parts, p)
		}
		return !p.Macro()
	})
	var mutants []Mutant
	for _, part := range parts {
		for _, by := range []bool{true, false} {
			env := r.code.pass.env
			if !r.Ours {
				env = env.Metered() // with a bound of its own on patterns
			}
			pass, err := r.expression(environment{own: env}, "pass", Expression{Text: part.Replace(strconv.FormatBool(by)), node: r.Pass.node}, cel.BoolType)
			if err != nil {
				return nil, fmt.Errorf("%s: replacing a part of pass: %w", r.File, err)
			}
			mutants = append(mutants, Mutant{Rule: r.with(pass), Part: part.Text(), By: by})
		}
	}
	return mutants, nil
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
