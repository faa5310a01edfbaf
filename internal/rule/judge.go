package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Judge makes the findings of every rule for every subject in f, in the order
// of their finding.Place and of the subjects in f. It is an error when a rule
// cannot be compiled; what goes wrong while judging is a finding. Findings that
// are alike share their evidence and remedy.
func (s *Set) Judge(f *facts.Facts) ([]finding.Finding, error) {
	if err := s.Compile(); err != nil {
		return nil, err
	}
	shared := []named{{"host", cel.ValueOf(&f.Host)}, {"daemon", cel.ValueOf(&f.Daemon)}, {"swarm", cel.ValueOf(&f.Swarm)}, {"now", cel.ValueOf(f.Collected)}}
	everywhere := (&hiding{known: map[workload.Unseen]hiddenFact{}}).facts(nil, f.Unseen)
	subjects, rest := map[string][]view{}, map[string][]finding.Missing{}
	for _, kind := range single {
		subjects[kind] = []view{{subject: &finding.Subject{Kind: kind, Name: f.Host.Name}, known: shared, hidden: everywhere}}
	}
	rules := s.inOrder()
	if len(f.Contents) == 0 { // no image was looked into, and none was to be
		rules = slices.DeleteFunc(slices.Clone(rules), func(r *Rule) bool { return r.Subject == "contents" })
	}
	for _, of := range f.Listed() {
		if !slices.ContainsFunc(rules, func(r *Rule) bool { return r.Subject == of.Kind }) {
			continue
		}
		inside := &hiding{prefix: of.Kind + ".", known: map[workload.Unseen]hiddenFact{}}
		views := make([]view, of.Len)
		for i := range views {
			x := of.At(i)
			views[i] = view{subject: &finding.Subject{Kind: of.Kind, ID: x.ID, Name: x.Name, Also: x.Also}, known: append([]named{{of.Kind, cel.ValueOf(x.Value)}}, shared...),
				hidden: append(inside.facts(make([]hiddenFact, 0, len(*x.Unseen)+len(everywhere)), *x.Unseen), everywhere...)}
		}
		subjects[of.Kind] = views
		if u, more := f.Rest(of.Path); more {
			rest[of.Kind] = hidden(u.Path, u.Reason).missing
		}
	}
	m := newMemo(rules, f.Containers)
	roles := rolesOf(subjects["file"])
	concerned := func(r *Rule) ([]view, []finding.Missing) {
		if len(r.Roles) == 0 {
			return subjects[r.Subject], rest[r.Subject]
		}
		views := roles.views(r.Roles)
		if len(views) == 0 && rest["file"] == nil {
			return nil, []finding.Missing{{Path: "files", Reason: "none was looked at that is a " + strings.Join(r.Roles, ", or a ")}}
		}
		return views, rest["file"]
	}
	gives := func(i int) int {
		views, more := concerned(rules[i])
		switch {
		case rules[i].code.each != nil:
			return -1
		case more != nil || len(views) == 0:
			return len(views) + 1
		}
		return len(views)
	}
	judge := func(found []finding.Finding, i int) []finding.Finding {
		r := rules[i]
		views, more := concerned(r)
		if gives(i) < 0 {
			found = slices.Grow(found, len(views)+1) // or more
		}
		if m != nil && m.reads[i] != nil {
			found = m.judge(found, i, r, views)
		} else {
			for k := range views {
				found = r.judge(found, &views[k])
			}
		}
		switch {
		case more != nil:
			found = append(found, r.finding(&finding.Subject{Kind: r.Subject, Name: finding.NotListed}))
			unknown(&found[len(found)-1], more)
		case len(views) == 0: // so that every rule is told of
			found = append(found, r.finding(&finding.Subject{Kind: r.Subject}))
			found[len(found)-1].Status = finding.NotApplicable
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
	_ = forAll(len(first), len(first), func(k int) error {
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
	_ = forAll(len(then), at[n]/findingsShare, func(k int) error {
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
	subject *finding.Subject
	known   []named // the variables that all its rules have
	hidden  []hiddenFact
}

// scope is what an expression's names mean: the subject's variables, the
// rule's parameters, what let has named, and the element.
type scope struct {
	view   *view
	params []named
	own    []named
	hidden []hiddenFact
	budget *cel.Budget // nil for a rule of ours
}

// named is a variable. There are few of them in a rule, so that a list is less
// work than a map.
type named struct {
	name  string
	value cel.Value
}

// Var gives a variable's value.
func (s *scope) Var(name string) (cel.Value, bool) {
	for _, list := range [][]named{s.own, s.view.known, s.params} {
		for i := range list {
			if list[i].name == name {
				return list[i].value, true
			}
		}
	}
	return cel.Value{}, false
}

// Unseen gives the places in hidden of what reading the chain meets.
func (s *scope) Unseen(chain []string) []int {
	var met []int
	for i := range s.hidden {
		if s.hidden[i].touches(chain) {
			met = append(met, i)
		}
	}
	return met
}

// eval gives the value, which may be unknown.
func (e *expression) eval(s *scope) cel.Value {
	if !s.budget.Spend(uint64(len(s.hidden) * len(e.program.Paths()))) {
		return cel.ErrorValue(cel.ErrBudget)
	}
	partial := slices.ContainsFunc(s.hidden, func(h hiddenFact) bool { return slices.ContainsFunc(e.program.Paths(), h.touches) })
	return e.program.Eval(s, partial, s.budget)
}

// truth is eval for a condition. What would be neither true nor false is an
// error, so that nothing passes or fails by accident.
func (e *expression) truth(s *scope) cel.Value {
	v := e.eval(s)
	switch v.Kind() {
	case cel.Bool, cel.Error, cel.Unknown:
		return v
	}
	return cel.ErrorValue(fmt.Errorf("%s is neither true nor false", e.program.Type()))
}

// broken makes f the finding for a rule that ended in a runtime error.
func broken(f *finding.Finding, err error) {
	f.Status = finding.Unknown
	f.Detail = &finding.Detail{Message: f.Message, Reason: "rule error: " + err.Error()}
}

// judge appends the findings of one rule for one subject. Where that costs too
// much, it is one that says so. Findings are large, so they are filled in where
// they stay.
func (r *Rule) judge(found []finding.Finding, v *view) []finding.Finding {
	s := &scope{view: v, params: r.code.params, hidden: r.code.met(v.hidden)}
	if !r.Ours {
		s.budget = cel.NewBudget(userBudget)
	}
	before := len(found)
	found = r.judgeIn(s, append(found, r.finding(v.subject)))
	if s.budget.Spent() {
		clear(found[before:])
		found = append(found[:before], r.finding(v.subject))
		broken(&found[before], cel.ErrBudget)
	}
	return found
}

// judgeIn judges in a scope. The last of found is the finding as it is for the
// subject.
func (r *Rule) judgeIn(s *scope, found []finding.Finding) []finding.Finding {
	whole := &found[len(found)-1]
	if len(r.Roles) > 0 {
		if hidden := roleHidden(s.view); hidden != nil {
			unknown(whole, hidden)
			return found
		}
	}
	if r.code.when != nil {
		switch applies := r.code.when.truth(s); {
		case s.without(whole, applies):
			return found
		case !applies.True():
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
	value := r.code.each.eval(&at)
	if s.without(whole, value) {
		return found
	}
	if value.Kind() != cel.List {
		broken(whole, errors.New("each is not a list"))
		return found
	}
	found = found[:before]
	element := &scope{view: s.view, params: s.params, budget: s.budget}
	known := alike{from: before}
	for i, it := range value.Elements() {
		if !s.budget.Spend(elementCost) {
			break
		}
		element.own, element.hidden = append(element.own[:0], named{"it", it}), s.hidden
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
		if known.has(found) {
			found = found[:len(found)-1]
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

// elementCost is what a finding for an element costs beside its expressions: all
// findings are kept.
const elementCost = 20

// alike tells whether a finding is there already: two of an element, status and
// message are one.
type alike struct {
	from  int               // where they begin
	known map[likeness]bool // once there are many
}

type likeness struct {
	element, message string
	status           finding.Status
}

func likenessOf(f *finding.Finding) likeness { return likeness{f.Element, f.Message, f.Status} }

// has reports whether the last of found is there already.
func (a *alike) has(found []finding.Finding) bool {
	last := len(found) - 1
	own := likenessOf(&found[last])
	if a.known == nil && last-a.from < 16 {
		for i := a.from; i < last; i++ {
			if likenessOf(&found[i]) == own {
				return true
			}
		}
		return false
	}
	if a.known == nil {
		a.known = map[likeness]bool{}
		for i := a.from; i < last; i++ {
			a.known[likenessOf(&found[i])] = true
		}
	}
	there := a.known[own]
	a.known[own] = true
	return there
}

func (r *Rule) elementName(s *scope, i int) string {
	v := s.own[0].value
	if r.code.element != nil {
		v = r.code.element.eval(s)
	}
	if v.Kind() == cel.String {
		return v.Text()
	}
	return fmt.Sprintf("%d", i+1)
}

// decide evaluates let, pass and evidence for a subject or an element.
func (r *Rule) decide(s *scope, f *finding.Finding) {
	for _, let := range r.code.let {
		v := let.eval(s)
		if v.Kind() == cel.Error {
			broken(f, v.Err())
			return
		}
		s.own = append(s.own, named{let.name, v})
		if v.Kind() == cel.Unknown {
			s.hidden = append(slices.Clip(s.hidden), hiddenFact{chain: []string{let.name}, missing: s.missing(v)})
		}
	}
	if r.code.pass == nil {
		f.Status = finding.Manual
		r.explain(s, f)
		return
	}
	switch v := r.code.pass.truth(s); {
	case s.without(f, v):
	case v.True():
		f.Status = finding.Pass
	default:
		f.Status = finding.Fail
		r.explain(s, f)
	}
}

// without makes f the finding for a value that is none, and reports whether it
// was none.
func (s *scope) without(f *finding.Finding, v cel.Value) bool {
	switch v.Kind() {
	case cel.Error:
		broken(f, v.Err())
	case cel.Unknown:
		unknown(f, s.missing(v))
	default:
		return false
	}
	return true
}
