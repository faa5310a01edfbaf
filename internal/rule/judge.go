package rule

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Judge makes the findings of every rule for every subject in f, in the order
// of rules and subjects. It is an error when a rule cannot be compiled; what
// goes wrong while judging is a finding.
func (s *Set) Judge(f *facts.Facts) ([]finding.Finding, error) {
	for _, r := range s.rules {
		if err := r.compile(); err != nil {
			return nil, err
		}
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
		found = s.judge(found, &view{vars: shared, hidden: hidden, subject: finding.Subject{Kind: kind, Name: f.Host.Name}})
	}
	found = sideBySide(found, len(f.Containers), len(s.rules)*5/4, func(found []finding.Finding, i int) []finding.Finding {
		c := &f.Containers[i]
		vars := map[string]ref.Val{"container": adapt(c), "host": shared["host"], "daemon": shared["daemon"], "now": shared["now"]}
		return s.judge(found, &view{vars: vars, hidden: append(hiddenFacts("container.", c.Unseen), hidden...),
			subject: finding.Subject{Kind: "container", ID: c.ID, Name: containerName(c)}})
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

// batch is how many containers one goroutine judges at once: enough that
// handing over costs nothing beside judging, and few enough that their findings
// are small beside all.
const batch = 8

// sideBySide appends what judge appends for 0 to n-1, in that order, and uses
// all processors to do so. Each is thought to give so many findings.
func sideBySide(found []finding.Finding, n, each int, judge func(found []finding.Finding, i int) []finding.Finding) []finding.Finding {
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

// hiddenFact is an unseen fact as the evaluator needs it.
type hiddenFact struct {
	chain   []string          // names; a position is "[0]"
	open    bool              // the list may be longer than what was seen
	missing []finding.Missing // the fact as it is shown; of a let, all that it lacked
}

func hiddenFacts(prefix string, unseen []workload.Unseen) []hiddenFact {
	list := make([]hiddenFact, 0, len(unseen)+4)
	for _, u := range unseen {
		path, open := strings.CutSuffix(prefix+u.Path, workload.Open)
		chain := splitPath(path)
		if path == "collected" { // rules know it as now
			chain = []string{"now"}
		}
		list = append(list, hiddenFact{chain: chain, open: open, missing: []finding.Missing{{Path: path, Reason: u.Reason}}})
	}
	return list
}

// splitPath makes container.mounts[0].source into its names and positions.
func splitPath(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(path, "[", ".["), func(r rune) bool { return r == '.' })
}

// touches is true when reading chain meets the hidden fact: one is part of the
// other. Expressions do not select positions by name, so a position ends the
// comparison.
func (h hiddenFact) touches(chain []string) bool {
	for i := range min(len(h.chain), len(chain)) {
		if h.chain[i][0] == '[' {
			return true
		}
		if h.chain[i] != chain[i] {
			return false
		}
	}
	return true
}

// below is the hidden fact as seen from the element at position i of a list,
// where it is named "it".
func (h hiddenFact) below(list []string, i int) (hiddenFact, bool) {
	n := len(list)
	if len(h.chain) <= n || !slices.Equal(h.chain[:n], list) {
		return h, false
	}
	if at := h.chain[n]; at != fmt.Sprintf("[%d]", i) && at != "[*]" {
		return h, false
	}
	h.chain = append([]string{"it"}, h.chain[n+1:]...)
	return h, true
}

func (h hiddenFact) pattern() *cel.AttributePatternType {
	p := cel.AttributePattern(h.chain[0])
	for _, q := range h.chain[1:] {
		var i int64
		switch _, err := fmt.Sscanf(q, "[%d]", &i); {
		case err == nil:
			p = p.QualInt(i)
		case q == "[*]":
			p = p.Wildcard()
		default:
			p = p.QualString(q)
		}
	}
	return p
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

// missing is what an unknown value lacked, by path.
func (s *scope) missing(v ref.Val) []finding.Missing {
	unknown, ok := v.(*types.Unknown)
	if !ok {
		return nil
	}
	var list []finding.Missing
	for _, id := range unknown.IDs() {
		trails, _ := unknown.GetAttributeTrails(id)
		for _, trail := range trails {
			chain := []string{trail.Variable()}
			for _, q := range trail.QualifierPath() {
				if name, isName := q.(string); isName {
					chain = append(chain, name)
				} else {
					chain = append(chain, fmt.Sprintf("[%v]", q))
				}
			}
			for _, h := range s.hidden {
				if h.touches(chain) {
					list = append(list, h.missing...)
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b finding.Missing) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(list)
}

// unknown makes f the finding for facts that are missing.
func unknown(f *finding.Finding, missing []finding.Missing) {
	f.Status, f.Missing = finding.Unknown, missing
	var words []string
	for _, m := range missing {
		words = append(words, m.Path+", "+m.Reason)
	}
	if len(words) > 3 {
		words = append(words[:3], fmt.Sprintf("and %d more", len(missing)-3))
	}
	f.Reason = "not observed: " + strings.Join(words, "; ")
}

// broken makes f the finding for a rule that ended in a runtime error.
func broken(f *finding.Finding, err error) {
	f.Status, f.Reason = finding.Unknown, "rule error: "+err.Error()
}

func (s *Set) judge(found []finding.Finding, v *view) []finding.Finding {
	for _, r := range s.rules {
		if r.Subject == v.subject.Kind {
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
	r.judgeOne(s, whole)
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
		r.judgeOne(element, f)
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

// judgeOne evaluates let, pass and evidence for a subject or an element.
func (r *Rule) judgeOne(s *scope, f *finding.Finding) {
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

// explain adds evidence, message and remedy to what fails or needs a person.
func (r *Rule) explain(s *scope, f *finding.Finding) {
	var quoted map[string]any
	if len(r.code.evidence) > 0 {
		f.Evidence, quoted = map[string]any{}, map[string]any{}
	}
	for _, e := range r.code.evidence {
		if v, err := e.eval(s); err == nil && !types.IsUnknown(v) {
			f.Evidence[e.name] = native(v)
			quoted[e.name] = quoteWords(f.Evidence[e.name])
		}
	}
	text := r.Message
	if r.Manual != "" {
		text = r.Manual
	}
	if text != "" {
		f.Message = expand(text, f.Subject.Name, f.Evidence)
	}
	name := sentence(quoteWords(f.Subject.Name))
	fill := func(t string) string { return expand(t, name, quoted) }
	f.Remedy = finding.Remedy{Run: fill(r.Remedy.Run), Update: fill(r.Remedy.Update), Compose: fill(r.Remedy.Compose),
		Dockerfile: fill(r.Remedy.Dockerfile), Daemon: fill(r.Remedy.Daemon), Shell: fill(r.Remedy.Shell)}
}

// finding is what all findings of the rule have in common.
func (r *Rule) finding(subject finding.Subject) finding.Finding {
	return finding.Finding{Rule: r.Name, Title: r.Title, Severity: r.Severity, Subject: subject, Message: r.code.state,
		Why: strings.TrimSpace(r.Why), Section: section(r.Subject), Refs: r.Refs}
}

// section is the part of the report that a kind of subject belongs to.
func section(kind string) string {
	switch kind {
	case "container":
		return "Containers"
	case "daemon":
		return "Daemon"
	}
	return "Host"
}

// lowerFirst makes a title into the end of a sentence. A first word that has
// capitals inside, or is one letter, is a name and stays.
func lowerFirst(title string) string {
	word, _, _ := strings.Cut(title, " ")
	first, size := utf8.DecodeRuneInString(word)
	if len(word) < 2 || strings.IndexFunc(word[size:], unicode.IsUpper) >= 0 {
		return title
	}
	return string(unicode.ToLower(first)) + title[size:]
}
