package rule

import (
	"fmt"
	"runtime"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Judge makes the findings of every rule for every subject in f, in the order
// of subjects and rules. It is an error when a rule cannot be compiled; what
// goes wrong while judging is a finding. Findings that are alike share their
// evidence and remedy.
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
	var found []finding.Finding
	for _, kind := range []string{"host", "daemon"} {
		found = s.judge(found, &view{vars: shared, hidden: hidden, subject: finding.Subject{Kind: kind, Name: f.Host.Name}}, nil)
	}
	var plan *memoPlan
	if len(f.Containers) > 1 {
		plan = planMemo(s.rules)
	}
	found = sideBySide(found, len(f.Containers), len(s.rules)*5/4, func() judgeOne {
		var m *memo
		if plan != nil {
			m = newMemo(plan)
		}
		return func(found []finding.Finding, i int) []finding.Finding {
			c := &f.Containers[i]
			vars := map[string]ref.Val{"container": adapt(c), "host": shared["host"], "daemon": shared["daemon"], "now": shared["now"]}
			if m != nil {
				m.look(c)
			}
			return s.judge(found, &view{vars: vars, hidden: append(hiddenFacts("container.", c.Unseen), hidden...),
				subject: finding.Subject{Kind: "container", ID: c.ID, Name: containerName(c)}}, m)
		}
	})
	if at := slices.IndexFunc(hidden, func(h hiddenFact) bool { return len(h.chain) == 1 && h.chain[0] == "containers" }); at >= 0 {
		for _, r := range s.rules {
			if r.Subject == "container" {
				found = append(found, r.finding(finding.Subject{Kind: "container", Name: "*"}))
				unknown(&found[len(found)-1], hidden[at].missing)
			}
		}
	}
	return found, nil
}

// judgeOne appends the findings for the i-th container.
type judgeOne func(found []finding.Finding, i int) []finding.Finding

// batch is how many containers one goroutine judges at once: enough that
// handing over costs nothing beside judging, and few enough that their findings
// are small beside all.
const batch = 8

// sideBySide appends what is found for 0 to n-1, in that order, and uses all
// processors to do so; begin makes the judge of each of its goroutines. Each
// container is thought to give so many findings.
func sideBySide(found []finding.Finding, n, each int, begin func() judgeOne) []finding.Finding {
	workers := min(runtime.GOMAXPROCS(0), (n+batch-1)/batch)
	// Each worker takes every workers-th batch. It has at most one that waits
	// and one that it is at, so that there is always a list to be had.
	done := make([]chan []finding.Finding, workers)
	lists := make(chan []finding.Finding, 2*workers)
	for w := range workers {
		lists <- nil
		lists <- nil
		done[w] = make(chan []finding.Finding, 1)
		go func() {
			judge := begin()
			for from := w * batch; from < n; from += workers * batch {
				to := min(from+batch, n)
				some := slices.Grow((<-lists)[:0], (to-from)*each)
				for i := from; i < to; i++ {
					some = judge(some, i)
				}
				done[w] <- some
			}
		}()
	}
	for from := 0; from < n; from += batch {
		some := <-done[from/batch%workers]
		// append would grow what is the program's largest list by a quarter more
		// than it needs. What the first containers gave tells what the others will.
		if cap(found)-len(found) < len(some) && from > n/16 {
			found = slices.Grow(found, (len(found)/from+1)*(n-from)+len(some))
		}
		found = append(found, some...)
		lists <- some
	}
	return found
}

// containerName is what a container is called in a report: one that has no
// name yet goes by its image.
func containerName(c *workload.Spec) string {
	switch {
	case c.Name != "":
		return c.Name
	case c.ID != "":
		return c.ID[:min(12, len(c.ID))]
	}
	return c.Image.Ref
}

// view is what is known of one subject.
type view struct {
	subject finding.Subject
	vars    map[string]ref.Val
	hidden  []hiddenFact
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
	if v, ok := s.view.vars[name]; ok {
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
	f.Status, f.Reason = finding.Unknown, "rule error: "+err.Error()
}

// judge appends the findings of all rules for a subject. m, which has looked at
// it, may be nil.
func (s *Set) judge(found []finding.Finding, v *view, m *memo) []finding.Finding {
	for i, r := range s.rules {
		switch {
		case r.Subject != v.subject.Kind:
		case m != nil:
			found = m.judge(found, i, r, v)
		default:
			found = r.judge(found, v)
		}
	}
	return found
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
