package rule

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/rules"
)

// Schema names the form of a rule file.
const Schema = "plimsoll/rule/1"

// Rule is one rule as its file says it. It does not change after loading, and
// may be used by several goroutines.
type Rule struct {
	Schema string `yaml:"schema"`
	// Name is the rule's name for ever, and its file's: words and hyphens.
	Name string `yaml:"rule"`
	// Subject is what it looks at: container, daemon or host.
	Subject string `yaml:"subject"`
	// Roles are, of a rule about files, what the files that it looks at are for;
	// none is any.
	Roles    []string         `yaml:"roles"`
	Severity finding.Severity `yaml:"severity"`
	// Title is the state that fails, without its subject and without a full
	// stop: "memory is unlimited".
	Title string `yaml:"title"`
	// Why says what somebody could do.
	Why string `yaml:"why"`
	// Params are the values that a policy may set; their defaults give the types.
	Params Params `yaml:"params"`
	// Let are names for parts, read in order.
	Let Bindings `yaml:"let"`
	// When says whether the rule concerns the subject at all; absent is true.
	When Expression `yaml:"when"`
	// Each is a list; the rule is then judged for each element, named "it".
	Each Expression `yaml:"each"`
	// Element names the element in the finding; absent, it is the element itself.
	Element Expression `yaml:"element"`
	// Pass is true when all is well. A rule has either Pass or Manual.
	Pass Expression `yaml:"pass"`
	// Manual is the question for a person, where no expression can answer.
	Manual string `yaml:"manual"`
	// Evidence are values for the finding, and for {} in Message and Remedy.
	Evidence Bindings `yaml:"evidence"`
	// Message is the state of one subject in a sentence; absent, it is Title.
	Message string         `yaml:"message"`
	Remedy  finding.Remedy `yaml:"remedy"`
	// Fix is what a program can do about it.
	Fix Fix `yaml:"fix"`
	// Refs names the recommendations that the rule answers, by benchmark.
	Refs  map[string][]string `yaml:"refs"`
	Tests []Test              `yaml:"tests"`

	// File is where the rule was read, Ours whether it came with the program.
	File string `yaml:"-"`
	Ours bool   `yaml:"-"`

	doc *strict.Document // nil for one that was packed
	// evidenceReads are the facts that the evidence of a packed rule reads.
	evidenceReads [][]string
	code          code
}

// Test is one input with the verdict that it must get. Exactly one of Run,
// Create, Inspect and Facts is given.
type Test struct {
	// Run is a run line, Create a body of POST /containers/create, Inspect an
	// answer of GET /containers/{id}/json.
	Run     string    `yaml:"run"`
	Create  yaml.Node `yaml:"create"`
	Inspect yaml.Node `yaml:"inspect"`
	// Facts are fields of the subject; what is not named is as the engine's
	// defaults have it.
	Facts yaml.Node `yaml:"facts"`
	// Daemon, Host, Swarm and Image are fields of what surrounds the subject. Given,
	// even as {}, it was seen; absent, it was not.
	Daemon yaml.Node `yaml:"daemon"`
	Host   yaml.Node `yaml:"host"`
	Swarm  yaml.Node `yaml:"swarm"`
	Image  yaml.Node `yaml:"image"`
	// Unseen are paths that shall not have been observed.
	Unseen []string `yaml:"unseen"`
	// Now is the time of observation; absent, it is the beginning of 2026.
	Now time.Time `yaml:"now"`
	// Want is the status; of several elements the gravest counts.
	Want finding.Status `yaml:"want"`
	// Message and Reason, when given, must be equal to the finding's.
	Message string `yaml:"message"`
	Reason  string `yaml:"reason"`

	// Line is where the test stands in its file.
	Line int `yaml:"-"`
}

// Expression is a CEL expression with its place in the file.
type Expression struct {
	Text string
	node *yaml.Node
}

// UnmarshalYAML keeps the place.
func (e *Expression) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return &strict.Error{Line: n.Line, Column: n.Column, Msg: "not an expression", Hint: "write it as text"}
	}
	e.Text, e.node = strings.TrimSpace(n.Value), n
	return nil
}

// Binding is a name for an expression.
type Binding struct {
	Name string
	Expression
}

// Bindings are names for expressions, in the file's order.
type Bindings []Binding

// UnmarshalYAML keeps the order.
func (b *Bindings) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return &strict.Error{Line: n.Line, Column: n.Column, Msg: "not a list of names with expressions", Hint: "write name: expression"}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		one := Binding{Name: n.Content[i].Value}
		if err := one.UnmarshalYAML(n.Content[i+1]); err != nil {
			return err
		}
		*b = append(*b, one)
	}
	return nil
}

// Param is a value that a policy may set.
type Param struct {
	Name  string
	Value any // bool, int64, float64, string, []string, or map[string]string
	node  *yaml.Node
}

// Params are a rule's parameters in the file's order.
type Params []Param

// UnmarshalYAML reads the defaults.
func (p *Params) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return &strict.Error{Line: n.Line, Column: n.Column, Msg: "not a list of names with defaults", Hint: "write name: default"}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, node := n.Content[i].Value, n.Content[i+1]
		value, err := paramValue(node)
		if err != nil {
			return &strict.Error{Line: node.Line, Column: node.Column, Field: name, Msg: err.Error(), Hint: "use true or false, a number, a text, a list of texts, or names with texts"}
		}
		*p = append(*p, Param{Name: name, Value: value, node: node})
	}
	return nil
}

func paramValue(n *yaml.Node) (any, error) {
	var err error
	switch {
	case n.Kind == yaml.SequenceNode:
		list := []string{}
		err = n.Decode(&list)
		return list, err
	case n.Kind == yaml.MappingNode:
		table := map[string]string{}
		err = n.Decode(&table)
		return table, err
	case n.Tag == "!!bool":
		var v bool
		err = n.Decode(&v)
		return v, err
	case n.Tag == "!!int":
		var v int64
		err = n.Decode(&v)
		return v, err
	case n.Tag == "!!float":
		var v float64
		err = n.Decode(&v)
		return v, err
	case n.Tag == "!!str":
		return n.Value, nil
	}
	return nil, fmt.Errorf("a parameter without a default")
}

// parse reads the rules of one file. Ours hold one document a file, named as
// the file is.
func parse(file string, data []byte, ours bool) ([]*Rule, error) {
	docs, err := strict.YAMLDocuments(file, data)
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 || ours && len(docs) > 1 {
		return nil, fmt.Errorf("%s: holds %d rules, not one", file, len(docs))
	}
	var rules []*Rule
	for _, doc := range docs {
		r := &Rule{File: file, Ours: ours, doc: doc}
		if err := doc.Decode(r); err != nil {
			return nil, err
		}
		r.placeTests()
		if err := r.check(); err != nil {
			return nil, err
		}
		if stem := strings.TrimSuffix(path.Base(file), ".yaml"); ours && stem != r.Name {
			return nil, r.fail("rule", fmt.Sprintf("the rule is called %q and its file %q", r.Name, stem), "give both one name")
		}
		rules = append(rules, r)
	}
	return rules, nil
}

var (
	ruleName     = lazy(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	benchmarkKey = lazy(`^[a-z]+-[0-9]+(\.[0-9]+)*$`)
)

// check refuses what the YAML decoder cannot: values that are not what they
// must be.
func (r *Rule) check() error {
	switch {
	case r.Schema != Schema:
		return r.fail("schema", fmt.Sprintf("schema is %.100q", r.Schema), "write schema: "+Schema)
	case !ruleName().MatchString(r.Name):
		return r.fail("rule", fmt.Sprintf("%.100q is not a rule's name", r.Name), "use small letters, digits and hyphens")
	case !slices.Contains(Subjects, r.Subject):
		return r.fail("subject", fmt.Sprintf("%.100q is not a subject", r.Subject), "use one of "+strings.Join(Subjects, ", "))
	case r.Subject != "file" && len(r.Roles) > 0:
		return r.fail("roles", "only files have roles, and the subject is "+r.Subject, "leave it out")
	case slices.Contains(r.Roles, ""):
		return r.fail("roles", "a role has no name", "see the roles of files in  plimsoll facts")
	case !slices.Contains(finding.Severities, r.Severity):
		return r.fail("severity", fmt.Sprintf("%.100q is not a severity", r.Severity), "use critical, high, medium, low or info")
	case strings.TrimSpace(r.Title) == "" || strings.HasSuffix(r.Title, "."):
		return r.fail("title", "a title is the failing state, without a full stop", `for example "Memory is unlimited"`)
	case strings.TrimSpace(r.Why) == "":
		return r.fail("why", "why is missing", "say what somebody could do")
	case (r.Pass.Text == "") == (r.Manual == ""):
		return r.fail("pass", "a rule has either pass or manual", "")
	case r.Remedy == (finding.Remedy{}):
		return r.fail("remedy", "remedy is missing", "say how to mend it")
	}
	for name, ids := range r.Refs {
		if !benchmarkKey().MatchString(name) || len(ids) == 0 {
			return r.fail("refs", fmt.Sprintf("%.100q with %d ids is not a benchmark with its recommendations", name, len(ids)), `for example cis-1.8: ["5.11"]`)
		}
		known := rules.Recommendations(name) // none of a benchmark of somebody's own
		for _, id := range ids {
			if len(known) > 0 && !slices.Contains(known, id) {
				return r.fail("refs", fmt.Sprintf("%s has no recommendation %.100q", name, id), suggest(id, known))
			}
		}
	}
	if err := r.checkNames(); err != nil {
		return err
	}
	if err := r.checkFix(); err != nil {
		return err
	}
	return r.checkPlaceholders()
}

// maxNames bounds how many params, and how many names in let and in evidence, a
// rule has: each is looked for among all.
const maxNames = 200

// checkNames refuses names that no expression could use, and too many.
func (r *Rule) checkNames() error {
	for _, list := range []struct {
		field string
		names int
	}{{"params", len(r.Params)}, {"let", len(r.Let)}, {"evidence", len(r.Evidence)}} {
		if list.names > maxNames {
			return r.fail(list.field, fmt.Sprintf("%d names are too many", list.names), fmt.Sprintf("make do with %d", maxNames))
		}
	}
	for i, b := range slices.Concat(r.Let, r.Evidence) {
		// Evidence has no names that an expression could mean.
		if !isIdentifier(b.Name) || b.Name == "subject" || i < len(r.Let) && slices.Contains(reserved, b.Name) {
			return r.failAt(b.Expression, "", fmt.Sprintf("%.100q cannot be a name here", b.Name), "use small letters, digits and underscores")
		}
		if err := cel.CheckName(b.Name); err != nil {
			return r.failAt(b.Expression, b.Name, fmt.Sprintf("%q cannot be a name here: %v", b.Name, err), "use another name")
		}
	}
	for _, p := range r.Params {
		if !isIdentifier(p.Name) {
			return r.doc.Fail(p.node, "params", fmt.Sprintf("%.100q cannot be a name here", p.Name), "use small letters, digits and underscores")
		}
	}
	return nil
}

// placeTests notes the line of each test.
func (r *Rule) placeTests() {
	for i := 0; i+1 < len(r.doc.Root.Content); i += 2 {
		if r.doc.Root.Content[i].Value != "tests" {
			continue
		}
		for j, n := range r.doc.Root.Content[i+1].Content {
			if j < len(r.Tests) {
				r.Tests[j].Line = n.Line
			}
		}
	}
}

// checkPlaceholders refuses {name} without evidence of that name.
func (r *Rule) checkPlaceholders() error {
	known := []string{"subject"}
	for _, e := range r.Evidence {
		known = append(known, e.Name)
	}
	texts := [][2]string{{"message", r.Message}, {"manual", r.Manual}}
	for i, text := range remedyTexts(&r.Remedy) {
		texts = append(texts, [2]string{"remedy." + remedyNames[i], *text})
	}
	var err error
	for i, t := range slices.Concat(texts, r.Fix.texts()) {
		known := known[min(i/len(texts), 1):] // a fix knows its subject
		fillIn(t[1], func(name string) string {
			if err == nil && !slices.Contains(known, name) {
				err = r.fail(t[0], fmt.Sprintf("{%.100s} is not in evidence", name), suggest(name, known))
			}
			return ""
		})
	}
	return err
}

func suggest(word string, known []string) string {
	if near := strict.Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// fail is an error at a field of the rule ("refs", "remedy.run"), or at the
// nearest mapping that lacks it.
func (r *Rule) fail(field, msg, hint string) error {
	if r.doc == nil {
		return &strict.Error{File: r.File, Field: field, Msg: msg, Hint: hint}
	}
	at, within := r.doc.Root, r.doc.Root
	for _, key := range strings.Split(field, ".") {
		i := slices.IndexFunc(within.Content, func(c *yaml.Node) bool { return c.Value == key })
		if within.Kind != yaml.MappingNode || i < 0 || i+1 >= len(within.Content) {
			break
		}
		at, within = within.Content[i], within.Content[i+1]
	}
	return r.doc.Fail(at, field, msg, hint)
}

// failAt is an error in an expression.
func (r *Rule) failAt(e Expression, field, msg, hint string) error {
	if r.doc == nil {
		return r.fail(field, msg, hint)
	}
	return r.doc.Fail(e.node, field, msg, hint)
}
