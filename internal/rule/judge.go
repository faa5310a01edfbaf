package rule

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
)

// Judge makes the findings of every rule for every subject in f, in the order
// of their finding.Place and of the subjects in f. It is an error when a rule
// cannot be compiled; what goes wrong while judging is a finding. Findings that
// are alike share their evidence and remedy.
func (s *Set) Judge(f *facts.Facts) ([]finding.Finding, error) {
	if err := s.Compile(); err != nil {
		return nil, err
	}
	env, err := base()
	if err != nil {
		return nil, err
	}
	adapt := env.CELTypeAdapter().NativeToValue
	shared := map[string]ref.Val{"host": adapt(&f.Host), "daemon": adapt(&f.Daemon), "now": adapt(f.Collected)}
	hidden := hiddenFacts("", f.Unseen)
	containers := make([]view, len(f.Containers))
	for i := range containers {
		c := &f.Containers[i]
		containers[i] = view{subject: &finding.Subject{Kind: "container", ID: c.ID, Name: c.DisplayName()},
			container: adapt(c), shared: shared, hidden: append(hiddenFacts("container.", c.Unseen), hidden...)}
	}
	subjects := map[string][]view{"container": containers}
	for _, kind := range []string{"host", "daemon"} {
		subjects[kind] = []view{{subject: &finding.Subject{Kind: kind, Name: f.Host.Name}, shared: shared, hidden: hidden}}
	}
	rules := s.inOrder()
	m := newMemo(rules, f.Containers)
	rest := slices.IndexFunc(hidden, func(h hiddenFact) bool { return len(h.chain) == 1 && h.chain[0] == "containers" })
	gives := func(i int) int {
		r := rules[i]
		switch {
		case r.code.each != nil:
			return -1
		case rest >= 0 && r.Subject == "container":
			return len(subjects[r.Subject]) + 1
		}
		return len(subjects[r.Subject])
	}
	judge := func(found []finding.Finding, i int) []finding.Finding {
		r := rules[i]
		if gives(i) < 0 {
			found = slices.Grow(found, len(subjects[r.Subject])+1) // or more
		}
		if m != nil && m.reads[i] != nil {
			found = m.judge(found, i, r, containers)
		} else {
			for k := range subjects[r.Subject] {
				found = r.judge(found, &subjects[r.Subject][k])
			}
		}
		if rest >= 0 && r.Subject == "container" {
			found = append(found, r.finding(&finding.Subject{Kind: "container", Name: "*"}))
			unknown(&found[len(found)-1], hidden[rest].missing)
		}
		return found
	}
	return inPlace(len(rules), gives, judge), nil
}

// inPlace gives what judge appends for 0 to n-1, in that order. gives is how many
// findings that will be, or -1 where nobody knows before: those are made first,
// so that all others are made where they stay. All processors are used.
func inPlace(n int, gives func(i int) int, judge func(found []finding.Finding, i int) []finding.Finding) []finding.Finding {
	var first, then []int
	for i := range n {
		if gives(i) < 0 {
			first = append(first, i)
		} else {
			then = append(then, i)
		}
	}
	lists := make([][]finding.Finding, n)
	_ = forAll(len(first), func(k int) error {
		lists[first[k]] = judge(nil, first[k])
		return nil
	})
	at := make([]int, n+1)
	for i := range n {
		at[i+1] = at[i] + max(gives(i), len(lists[i]))
	}
	found := make([]finding.Finding, at[n])
	for _, i := range first {
		copy(found[at[i]:], lists[i])
	}
	_ = forAll(len(then), func(k int) error {
		i := then[k]
		if n := len(judge(found[at[i]:at[i]:at[i+1]], i)); n != gives(i) {
			panic(fmt.Sprintf("rule: %d findings, where there is room for %d", n, gives(i)))
		}
		return nil
	})
	return found
}

// view is what is known of one subject.
type view struct {
	subject   *finding.Subject
	container ref.Val            // nil when it is none
	shared    map[string]ref.Val // variables that all subjects have
	hidden    []hiddenFact
}

// scope is what an expression's names mean: the subject's variables, the
// rule's parameters, what let has named, and the element.
type scope struct {
	view   *view
	params map[string]any
	own    []named
	hidden []hiddenFact
}

// named is a value that let has named, or the element. There are few of them
// in a rule, so that a list is less work than a map.
type named struct {
	name  string
	value ref.Val
}

// ResolveName gives a variable's value.
func (s *scope) ResolveName(name string) (any, bool) {
	for i := range s.own {
		if s.own[i].name == name {
			return s.own[i].value, true
		}
	}
	if name == "container" && s.view.container != nil {
		return s.view.container, true
	}
	if v, ok := s.view.shared[name]; ok {
		return v, true
	}
	v, ok := s.params[name]
	return v, ok
}

// Parent makes scope an activation; there is none.
func (s *scope) Parent() cel.Activation { return nil }

// eval gives the value, which may be unknown.
func (e *expression) eval(s *scope) (ref.Val, error) {
	var patterns []*cel.AttributePatternType
	for _, h := range s.hidden {
		if slices.ContainsFunc(e.paths, h.touches) {
			patterns = append(patterns, h.pattern())
		}
	}
	if patterns == nil {
		program, err := e.plain()
		if err != nil {
			return nil, err
		}
		v, _, err := program.Eval(s)
		return v, err
	}
	program, err := e.partial()
	if err != nil {
		return nil, err
	}
	vars, err := cel.PartialVars(s, patterns...)
	if err != nil {
		return nil, err
	}
	v, _, err := program.Eval(vars)
	return v, err
}

// broken makes f the finding for a rule that ended in a runtime error.
func broken(f *finding.Finding, err error) {
	f.Status = finding.Unknown
	f.Detail = &finding.Detail{Message: f.Message, Reason: "rule error: " + err.Error()}
}

// judge appends the findings of one rule for one subject. Findings are large,
// so they are filled in where they stay.
func (r *Rule) judge(found []finding.Finding, v *view) []finding.Finding {
	s := &scope{view: v, params: r.code.params, hidden: v.hidden}
	found = append(found, r.finding(v.subject))
	whole := &found[len(found)-1]
	if r.code.when != nil {
		switch applies, err := r.code.when.eval(s); {
		case err != nil:
			broken(whole, err)
			return found
		case types.IsUnknown(applies):
			unknown(whole, s.missing(applies))
			return found
		case applies == types.False:
			whole.Status = finding.NotApplicable
			return found
		}
	}
	if r.code.each != nil {
		return r.judgeEach(found, s)
	}
	r.decide(s, whole)
	return found
}

// judgeEach judges a list: an empty one passes, one that was not seen is
// unknown, and one that may be longer than what was seen is both its elements
// and an unknown rest. The last of found is the finding as it is for the
// subject, and the first of those that take its place.
func (r *Rule) judgeEach(found []finding.Finding, s *scope) []finding.Finding {
	before := len(found) - 1
	whole := &found[before]
	list := r.code.list
	var rest, deeper []hiddenFact
	for _, h := range s.hidden {
		switch {
		case list == nil || !h.touches(list):
		case h.open && len(h.chain) == len(list):
			rest = append(rest, h)
		case len(h.chain) <= len(list):
			unknown(whole, h.missing)
			return found
		default:
			deeper = append(deeper, h)
		}
	}
	at := *s
	if list != nil {
		at.hidden = nil
	}
	value, err := r.code.each.eval(&at)
	if err != nil {
		broken(whole, err)
		return found
	}
	if types.IsUnknown(value) {
		unknown(whole, s.missing(value))
		return found
	}
	found = found[:before]
	i := 0
	for it := value.(traits.Lister).Iterator(); it.HasNext() == types.True; i++ {
		element := &scope{view: s.view, params: s.params, own: []named{{"it", it.Next()}}, hidden: s.hidden}
		if deeper != nil {
			element.hidden = slices.Clone(s.hidden)
			for _, h := range deeper {
				if h, ok := h.below(list, i); ok {
					element.hidden = append(element.hidden, h)
				}
			}
		}
		found = append(found, r.finding(s.view.subject))
		f := &found[len(found)-1]
		f.Element = r.elementName(element, i)
		r.decide(element, f)
		// One port listens for two address families: that is one finding.
		for k := range found[before : len(found)-1] {
			if o := &found[before+k]; o.Element == f.Element && o.Status == f.Status && o.Message == f.Message {
				found = found[:len(found)-1]
				break
			}
		}
	}
	if rest != nil {
		found = append(found, r.finding(s.view.subject))
		unknown(&found[len(found)-1], rest[0].missing)
	}
	if len(found) == before {
		found = append(found, r.finding(s.view.subject))
		found[before].Status = finding.Pass
	}
	return found
}

func (r *Rule) elementName(s *scope, i int) string {
	v := s.own[0].value
	if r.code.element != nil {
		var err error
		if v, err = r.code.element.eval(s); err != nil {
			return fmt.Sprintf("%d", i+1)
		}
	}
	if name, ok := v.(types.String); ok {
		return string(name)
	}
	return fmt.Sprintf("%d", i+1)
}

// decide evaluates let, pass and evidence for a subject or an element.
func (r *Rule) decide(s *scope, f *finding.Finding) {
	for _, let := range r.code.let {
		v, err := let.eval(s)
		if err != nil {
			broken(f, err)
			return
		}
		s.own = append(s.own, named{let.name, v})
		if types.IsUnknown(v) {
			s.hidden = append(slices.Clip(s.hidden), hiddenFact{chain: []string{let.name}, missing: s.missing(v)})
		}
	}
	if r.code.pass == nil {
		f.Status = finding.Manual
		r.explain(s, f)
		return
	}
	switch v, err := r.code.pass.eval(s); {
	case err != nil:
		broken(f, err)
	case types.IsUnknown(v):
		unknown(f, s.missing(v))
	case v == types.True:
		f.Status = finding.Pass
	case v == types.False:
		f.Status = finding.Fail
		r.explain(s, f)
	default:
		broken(f, fmt.Errorf("the result is %s", v.Type().TypeName()))
	}
}
