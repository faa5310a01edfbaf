package test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// document is a facts document as a tree that keys can be taken out of, and the rules
// that it is judged by.
type document struct {
	set    *rule.Set
	tree   map[string]any
	before judged
}

// key is the way to a value in a document: names and positions.
type key []any

func (k key) String() string {
	var b strings.Builder
	for _, step := range k {
		switch step := step.(type) {
		case string:
			fmt.Fprintf(&b, ".%s", step)
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		}
	}
	return strings.TrimPrefix(b.String(), ".")
}

// newDocument is facts with some of their containers, and what they are judged
// to be.
func newDocument(t *testing.T, set *rule.Set, f *facts.Facts, containers ...workload.Spec) *document {
	t.Helper()
	some := *f
	some.Containers = containers
	data, err := facts.Encode(&some)
	if err != nil {
		t.Fatal(err)
	}
	d := &document{set: set}
	if err := json.Unmarshal(data, &d.tree); err != nil {
		t.Fatal(err)
	}
	if d.before, err = judgeDocument(set, data); err != nil {
		t.Fatal(err)
	}
	return d
}

// rulesAbout are our rules about subjects of a kind.
func rulesAbout(t *testing.T, kind string) *rule.Set {
	t.Helper()
	set, err := ourRules(t).Select(rule.Selection{Subjects: []string{kind}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// judged are the findings of a document, and where each subject is in it among its
// kind: its name may be what was hidden.
type judged struct {
	found []finding.Finding
	place map[finding.Subject]int
}

func judgeDocument(set *rule.Set, data []byte) (judged, error) {
	f, err := facts.Decode("facts.json", data)
	if err != nil {
		return judged{}, err
	}
	place := map[finding.Subject]int{}
	for _, of := range f.Listed() {
		for i := range of.Len {
			x := of.At(i)
			place[finding.Subject{Kind: of.Kind, ID: x.ID, Name: x.Name, Also: x.Also}] = i
		}
	}
	found, err := set.Judge(f)
	return judged{found, place}, err
}

// keys are all keys that a document of type t has below at, at every depth.
// The entries of a map are no keys: whoever takes a label away has changed what
// the document says, and hidden nothing.
func keys(v any, t reflect.Type, at key) []key {
	var found []key
	switch v := v.(type) {
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return nil
		}
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("json")
			if below, is := v[name]; is {
				k := append(slices.Clone(at), name)
				found = append(append(found, k), keys(below, t.Field(i).Type, k)...)
			}
		}
	case []any:
		for i, e := range v {
			found = append(found, keys(e, t.Elem(), append(slices.Clone(at), i))...)
		}
	}
	return found
}

// value is what a key leads to, and whether it is there.
func (d *document) value(k key) (any, bool) {
	var v any = d.tree
	for _, step := range k {
		switch in := v.(type) {
		case map[string]any:
			name, isName := step.(string)
			below, is := in[name]
			if !isName || !is {
				return nil, false
			}
			v = below
		case []any:
			i, ok := step.(int)
			if !ok || i >= len(in) {
				return nil, false
			}
			v = in[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// without judges the document without a key, or with null for its value, and
// says what became better by that, or went away.
func (d *document) without(k key, null bool) ([]string, error) {
	parent, _ := d.value(k[:len(k)-1])
	in, name := parent.(map[string]any), k[len(k)-1].(string)
	kept := in[name]
	if delete(in, name); null {
		in[name] = nil
	}
	data, err := json.Marshal(d.tree)
	in[name] = kept
	if err != nil {
		return nil, err
	}
	after, err := judgeDocument(d.set, data)
	if err != nil {
		// A document that is refused claims nothing. Only what says how to read
		// the rest may be missed so.
		if slices.Contains([]string{"schema", "unseen"}, k[0].(string)) {
			return nil, nil
		}
		return nil, err
	}
	return better(d.before, after), nil
}

// bad are the statuses that hiding a fact may not take away.
var bad = []finding.Status{finding.Fail, finding.Waived, finding.Unknown, finding.Manual}

// better compares what one document was judged to be with what it was judged to
// be when a fact of it was hidden.
func better(before, after judged) []string {
	type place struct {
		rule string
		at   int
	}
	group := func(j judged) map[place][]finding.Finding {
		of := map[place][]finding.Finding{}
		for _, x := range j.found {
			at, known := j.place[*x.Subject]
			if !known {
				at = -1 // there is one of it, or none
			}
			of[place{x.Rule, at}] = append(of[place{x.Rule, at}], x)
		}
		return of
	}
	is := func(element string, statuses ...finding.Status) func(finding.Finding) bool {
		return func(x finding.Finding) bool { return x.Element == element && slices.Contains(statuses, x.Status) }
	}
	count := func(list []finding.Finding, statuses ...finding.Status) int {
		n := 0
		for _, x := range list {
			if slices.Contains(statuses, x.Status) {
				n++
			}
		}
		return n
	}
	// Of a list that was hidden nobody knows what is on it: one finding is about all.
	notListed := map[string]bool{}
	for _, x := range after.found {
		if x.Subject.Name == finding.NotListed && x.Status == finding.Unknown {
			notListed[x.Rule] = true
		}
	}
	var wrong []string
	now := group(after)
	for p, was := range group(before) {
		are := now[p]
		say := func(format string, args ...any) {
			wrong = append(wrong, p.rule+": "+fmt.Sprintf(format, args...))
		}
		// A whole list that is unknown stands for its elements; and an element
		// whose own name is hidden is counted instead.
		whole := slices.ContainsFunc(are, is("", finding.Unknown))
		if len(are) == 0 && notListed[p.rule] {
			continue
		}
		if len(are) == 0 {
			say("has no finding any more")
		}
		for _, x := range was {
			if slices.Contains(bad, x.Status) && !whole && !slices.ContainsFunc(are, is(x.Element, bad...)) && count(are, bad...) < count(was, bad...) {
				say("%q was %s and is gone", x.Element, x.Status)
			}
		}
		for _, x := range are {
			switch {
			case x.Status == finding.Pass && slices.ContainsFunc(was, is(x.Element, finding.Pass)):
			case x.Status == finding.Pass && count(are, finding.Pass) <= count(was, finding.Pass) && !slices.ContainsFunc(was, is(x.Element, bad...)):
			case x.Status == finding.Pass && count(was, finding.Pass) == len(was) && len(was) > 0: // two that were one
			case x.Status == finding.NotApplicable && count(was, finding.NotApplicable) > 0:
			case !slices.Contains(bad, x.Status):
				say("%q became %s", x.Element, x.Status)
			}
		}
	}
	return wrong
}

// everyTime are what differs between any two containers: hiding these is tried
// with the plain ones only.
var everyTime = []string{"id", "name", "live.created", "live.started", "live.pid", "live.processes"}

// testHidingAFact: whatever single fact is taken out of the document, nothing
// that failed, was unknown or asked a person passes, does not apply or is gone.
// All keys of the plain containers are tried, of every other container those by
// which it differs from the plain one, those of the engine and the host over
// many containers, and some more by chance.
func testHidingAFact(t *testing.T, w *world) {
	set := ourRules(t)
	byName := map[string]workload.Spec{}
	for _, c := range w.facts.Containers {
		byName[c.Name] = c
	}
	container := reflect.TypeFor[workload.Spec]()
	first := key{"containers", 0}
	type task struct {
		name string
		doc  *document
		keys []key
	}
	// What a container's own facts decide is about it alone.
	about, bare := rulesAbout(t, "container"), *w.facts
	bare.Files, bare.Images = nil, nil
	var tasks []task
	docs := map[string]*document{}
	tried := 0
	for i := range w.table.Rows {
		r := &w.table.Rows[i]
		doc := newDocument(t, about, &bare, byName[r.Name])
		docs[r.Name] = doc
		spec, _ := doc.value(first)
		all := keys(spec, container, first)
		if doc != docs[r.plain()] {
			plain := docs[r.plain()]
			all = slices.DeleteFunc(all, func(k key) bool {
				path := strings.TrimPrefix(k.String(), "containers[0].")
				mine, _ := doc.value(k)
				its, both := plain.value(k)
				return slices.ContainsFunc(everyTime, func(e string) bool { return strings.HasPrefix(path, e) }) || both && reflect.DeepEqual(mine, its)
			})
		}
		tried += len(all)
		tasks = append(tasks, task{r.Name, doc, all})
	}
	many, failures := manyContainers(t, set, w)
	whole := func(name string, doc *document, wanted func(k key) bool) {
		tasks = append(tasks, task{name, doc, slices.DeleteFunc(keys(doc.tree, reflect.TypeFor[facts.Facts](), nil), func(k key) bool {
			// Without a whole list: testHiddenContainers. What is hidden with all others of its
			// kind has no finding of its own, but the kind has one that is unknown.
			return !wanted(k) || len(k) == 1 && slices.Contains([]string{"containers", "images"}, k[0].(string))
		})})
	}
	var listed []string
	for _, of := range w.facts.Listed() {
		listed = append(listed, of.Path)
		if of.Kind != "container" {
			whole(of.Path, newDocument(t, rulesAbout(t, of.Kind), w.facts), func(k key) bool { return k[0] == of.Path })
		}
	}
	whole("many containers", many, func(k key) bool { return !slices.Contains(listed, k[0].(string)) })
	if failures < 30 || tried < 500 {
		t.Errorf("%d failures and %d keys are too few to mean anything", failures, tried)
	}

	var wg sync.WaitGroup
	next := make(chan task)
	for range 2 {
		wg.Go(func() {
			for job := range next {
				for _, k := range job.keys {
					wrong, err := job.doc.without(k, false)
					if err != nil {
						t.Errorf("%s without %s: %v", job.name, k, err)
					}
					for _, text := range wrong {
						t.Errorf("%s without %s: %s", job.name, k, text)
					}
				}
			}
		})
	}
	for _, job := range tasks {
		next <- job
	}
	close(next)
	wg.Wait()

	// And any key of any container, a thousand of them, some as null.
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			name := rapid.SampledFrom(w.table.Rows).Draw(rt, "row").Name
			doc := docs[name]
			spec, _ := doc.value(first)
			k := rapid.SampledFrom(keys(spec, container, first)).Draw(rt, "key")
			wrong, err := doc.without(k, rapid.Bool().Draw(rt, "as null"))
			if err != nil {
				rt.Fatalf("%s without %s: %v", name, k, err)
			}
			if len(wrong) > 0 {
				rt.Fatalf("%s without %s: %s", name, k, strings.Join(wrong, "; "))
			}
		}
	})
}

// manyContainers is a document of the containers that run, and of those whose
// verdicts rest on what the engine and the host are, and how much fails in it.
func manyContainers(t *testing.T, set *rule.Set, w *world) (*document, int) {
	t.Helper()
	chosen := []string{"memory-above-host", "memory-swap-unlimited", "cpu-quota-above-host", "kernel-memory", "apparmor-asked", "selinux-asked",
		"oom-kill-disabled", "image-old", "relabelled", "volume-of-socket"}
	for _, r := range w.table.Rows {
		if r.Start {
			chosen = append(chosen, r.Name)
		}
	}
	var some []workload.Spec
	for _, c := range w.facts.Containers {
		if slices.Contains(chosen, c.Name) {
			some = append(some, c)
		}
	}
	if len(some) < 20 {
		t.Fatalf("%d containers", len(some))
	}
	d := newDocument(t, set, w.facts, some...)
	failures := 0
	for _, x := range d.before.found {
		if x.Status == finding.Fail {
			failures++
		}
	}
	return d, failures
}

// inOrder places subjects in the order in which they come.
func inOrder(found []finding.Finding) judged {
	j := judged{found, map[finding.Subject]int{}}
	for _, x := range found {
		if _, known := j.place[*x.Subject]; !known {
			j.place[*x.Subject] = len(j.place)
		}
	}
	return j
}

// TestBetter: what the comparison is for is noticed, and what may happen is
// not.
func TestBetter(t *testing.T) {
	one := func(name, element string, status finding.Status) finding.Finding {
		return finding.Finding{About: &finding.About{Rule: "r"}, Detail: &finding.Detail{}, Subject: &finding.Subject{Kind: "container", Name: name}, Element: element, Status: status}
	}
	for _, tc := range []struct {
		name          string
		before, after []finding.Finding
		want          int
	}{
		{"a failure passes", []finding.Finding{one("a", "", finding.Fail)}, []finding.Finding{one("a", "", finding.Pass)}, 2},
		{"a failure does not apply", []finding.Finding{one("a", "", finding.Fail)}, []finding.Finding{one("a", "", finding.NotApplicable)}, 2},
		{"a failure is gone", []finding.Finding{one("a", "", finding.Fail)}, nil, 2},
		{"an unknown passes", []finding.Finding{one("a", "", finding.Unknown)}, []finding.Finding{one("a", "", finding.Pass)}, 2},
		{"a pass does not apply", []finding.Finding{one("a", "", finding.Pass)}, []finding.Finding{one("a", "", finding.NotApplicable)}, 1},
		{"one of two elements is gone", []finding.Finding{one("a", "x", finding.Fail), one("a", "y", finding.Fail)}, []finding.Finding{one("a", "x", finding.Unknown)}, 1},
		{"one of two elements passes", []finding.Finding{one("a", "x", finding.Fail), one("a", "y", finding.Pass)},
			[]finding.Finding{one("a", "x", finding.Pass), one("a", "y", finding.Pass)}, 2},
		{"a failure becomes unknown", []finding.Finding{one("a", "", finding.Fail)}, []finding.Finding{one("a", "", finding.Unknown)}, 0},
		{"a pass becomes unknown", []finding.Finding{one("a", "", finding.Pass)}, []finding.Finding{one("a", "", finding.Unknown)}, 0},
		{"a list becomes unknown", []finding.Finding{one("a", "x", finding.Fail), one("a", "y", finding.Fail)}, []finding.Finding{one("a", "", finding.Unknown)}, 0},
		{"an element loses its name", []finding.Finding{one("a", "x", finding.Fail), one("a", "y", finding.Pass)},
			[]finding.Finding{one("a", "1", finding.Fail), one("a", "y", finding.Pass)}, 0},
		{"a subject loses its name", []finding.Finding{one("a", "", finding.Fail), one("b", "", finding.Pass)},
			[]finding.Finding{one("0123", "", finding.Fail), one("b", "", finding.Pass)}, 0},
		{"a list is hidden", []finding.Finding{one("a", "", finding.Fail), one("b", "", finding.Fail)}, []finding.Finding{one(finding.NotListed, "", finding.Unknown)}, 0},
		{"a list of which the rest is hidden", []finding.Finding{one("a", "", finding.Fail), one("b", "", finding.Fail)},
			[]finding.Finding{one("a", "", finding.Pass), one(finding.NotListed, "", finding.Unknown)}, 2},
		{"nothing happens", []finding.Finding{one("a", "x", finding.Fail), one("a", "y", finding.NotApplicable)},
			[]finding.Finding{one("a", "x", finding.Fail), one("a", "y", finding.NotApplicable)}, 0},
	} {
		if got := better(inOrder(tc.before), inOrder(tc.after)); len(got) != tc.want {
			t.Errorf("%s: %q, want %d", tc.name, got, tc.want)
		}
	}
}
