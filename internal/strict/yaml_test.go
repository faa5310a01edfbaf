package strict

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

type ruleFile struct {
	Rule     string         `yaml:"rule"`
	Weight   int            `yaml:"weight"`
	Small    uint8          `yaml:"small"`
	Load     float64        `yaml:"load"`
	On       bool           `yaml:"on"`
	Every    time.Duration  `yaml:"every"`
	Expires  time.Time      `yaml:"expires"`
	Params   map[string]any `yaml:"params"`
	Tests    []*ruleTest    `yaml:"tests"`
	Names    []string       `yaml:"names"`
	Node     yaml.Node      `yaml:"node"`
	Severity severity       `yaml:"severity"`
	Shared   `yaml:",inline"`
	Default  string
	Hidden   string `yaml:"-"`
}

type Shared struct {
	Owner string `yaml:"owner"`
}

type ruleTest struct {
	Run   string            `yaml:"run"`
	Extra map[string]string `yaml:",inline"`
}

// severity decodes itself, as rule titles and the like do.
type severity string

func (s *severity) UnmarshalYAML(n *yaml.Node) error {
	if n.Value != "high" && n.Value != "low" {
		return &Error{Line: n.Line, Column: n.Column, Msg: "no such severity", Hint: "high or low"}
	}
	*s = severity(n.Value)
	return nil
}

func TestYAMLFillsAValue(t *testing.T) {
	data := `
# a comment
rule: &name memory-unlimited
weight: 0x10
small: 255
load: 1
on: true
every: 90s
expires: 2027-02-01
params: {sockets: [/run/docker.sock], empty: ~}
tests:
  - run: docker run nginx
    want: fail
    empty:
  -
names: [*name, "two", 3]
node: {any: thing}
severity: high
owner: ana
default: yes
`
	var got ruleFile
	if err := YAML("rule.yaml", []byte(data), &got); err != nil {
		t.Fatal(err)
	}
	if got.Node.Kind != yaml.MappingNode || len(got.Node.Content) != 2 || got.Node.Line != 17 {
		t.Errorf("node %v in line %d", got.Node.Kind, got.Node.Line)
	}
	got.Node = yaml.Node{}
	want := ruleFile{
		Rule: "memory-unlimited", Weight: 16, Small: 255, Load: 1, On: true, Every: 90 * time.Second,
		Expires: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC),
		Params:  map[string]any{"sockets": []any{"/run/docker.sock"}, "empty": nil},
		Tests:   []*ruleTest{{Run: "docker run nginx", Extra: map[string]string{"want": "fail", "empty": ""}}, nil},
		Names:   []string{"memory-unlimited", "two", "3"}, Severity: "high", Shared: Shared{"ana"}, Default: "yes",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestYAMLRefuses(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("params:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&bomb, "  a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	var many strings.Builder
	for i := range maxKeys + 1 {
		fmt.Fprintf(&many, "  k%d: 1\n", i)
	}
	for _, tc := range []struct {
		name, data, want, field string
		column                  int
		hint                    string
	}{
		{"unknown key", "rule: x\nwieght: 3", `r.yaml line 2: "wieght" is not a known key`, "wieght", 1, `did you mean "weight"?`},
		{"key in another case", "Rule: x\n\n", `r.yaml line 1, column 1: "Rule" is not a known key`, "Rule", 1, `did you mean "rule"?`},
		{"key of an inline struct", "rule: x\nowners: ana", `r.yaml line 2: "owners" is not a known key`, "owners", 1, `did you mean "owner"?`},
		{"hidden field", "rule: x\nhidden: y", `r.yaml line 2: "hidden" is not a known key`, "hidden", 1, ""},
		{"twice", "rule: x\nweight: 1\nrule: y", `r.yaml line 3: "rule" is given twice, first in line 1`, "rule", 1, "keep one of them"},
		{"twice below", "params:\n  a.b: {c: 1, 'c': 2}", `r.yaml line 2: "c" is given twice, first in line 2`, `params["a.b"].c`, 15, "keep one of them"},
		{"twice as number and text", "params:\n  1: a\n  \"1\": b", `r.yaml line 3: "1" is given twice, first in line 2`, `params.1`, 3, "keep one of them"},
		{"twice as two numbers", "params:\n  0x10: a\n  16: b", `r.yaml line 3: "16" is given twice, first in line 2`, `params.16`, 3, "keep one of them"},
		{"twice as number and quoted number", "params:\n  \"0x10\": a\n  0x10: b", `r.yaml line 3: "0x10" is given twice, first in line 2`, `params.0x10`, 3, "keep one of them"},
		{"twice as two truths", "params: {true: a, True: b}\n\n#", `r.yaml line 1: "True" is given twice, first in line 1`, `params.True`, 19, "keep one of them"},
		{"twice by an alias", "rule: &k owner\n*k : a\nowner: b", `r.yaml line 3: "owner" is given twice, first in line 2`, "owner", 1, "keep one of them"},
		{"two documents", "rule: x\n---\nrule: y\n", "r.yaml line 3: a second document begins here; the file may hold one", "", 1, "remove the line ---"},
		{"second document empty", "rule: x\n---\n", "r.yaml line 3: a second document begins here; the file may hold one", "", 1, "remove the line ---"},
		{"second document at the end", "rule: x\n---", "r.yaml line 2: a second document begins here; the file may hold one", "", 1, "remove the line ---"},
		{"bomb", bomb.String(), "r.yaml line 5: the aliases repeat too much", "params.a3[7]", 47, "write the values out"},
		{"alias of itself", "params: &p\n  a: [*p]", "r.yaml line 2: *p stands inside the value that it repeats", "params.a[0]", 7, "write the value out"},
		{"alias of nothing", "rule: x\nowner: *p", "r.yaml: not valid YAML: unknown anchor 'p' referenced", "", 0, ""},
		{"merge", "params: {a: &m {x: 1}}\ntests:\n  - <<: *m", "r.yaml line 3: the merge key << is not read here", "tests[0]", 5, "write the keys out"},
		{"key that is a list", "params:\n  [a]: 1", "r.yaml line 2: a key must be a word", "params", 3, "quote it if it is meant to be a text"},
		{"empty key", "params:\n  ~: 1", "r.yaml line 2: a key must be a word", "params", 3, "quote it if it is meant to be a text"},
		{"tag", "rule: x\nparams: {a: !!binary YQ==}", "r.yaml line 2: the tag !!binary is not read here", "params.a", 13, "remove the tag"},
		{"tag of one's own", "rule: x\nparams: !mine {a: 1}", "r.yaml line 2: the tag !mine is not read here", "params", 9, "remove the tag"},
		{"tag on a key", "params: {!!binary YQ==: 1}\n\n#", "r.yaml line 1: the tag !!binary is not read here", "params", 10, "remove the tag"},
		{"tab", "tests:\n\t- run: x", "r.yaml line 2: a tab stands in the indentation", "", 1, "indent with spaces"},
		{"tab after spaces", "params:\n  a: 1\n  \tb: 2", "r.yaml line 3: a tab stands in the indentation", "", 3, "indent with spaces"},
		{"syntax", "rule: x\nweight: [1\n", "r.yaml line 2: not valid YAML: did not find expected ',' or ']'", "", 0, ""},
		{"syntax on the first line", "rule: [x", "r.yaml line 1: not valid YAML: did not find expected ',' or ']'", "", 0, ""},
		{"control character", "rule: x\nowner: a\x01b", "r.yaml line 2: a control character stands in the text", "", 9, "remove it, or write it as an escape in double quotes"},
		{"colon in a text", "rule: x\nowner: a: b", "r.yaml line 2: not valid YAML: mapping values are not allowed in this context", "", 0, ""},
		{"bad UTF-8", "rule: x\nowner: a\xe9", "r.yaml line 2: not UTF-8 text", "", 9, "save it as UTF-8"},
		{"carriage return alone", "rule: x\nowner: a\rb", "r.yaml line 2: a line ends in an unusual way here", "", 9, "end lines with a line feed; elsewhere write the character as an escape in double quotes"},
		{"carriage return at the end", "rule: x\n\r", "r.yaml line 2, column 1: a line ends in an unusual way here", "", 1, "end lines with a line feed; elsewhere write the character as an escape in double quotes"},
		{"line separator", "rule: x\nowner: a\u2028b", "r.yaml line 2: a line ends in an unusual way here", "", 9, "end lines with a line feed; elsewhere write the character as an escape in double quotes"},
		{"UTF-16", "\xff\xfer\x00", "r.yaml line 1, column 1: not UTF-8 text", "", 1, "save it as UTF-8"},
		{"deep", "params: {a: " + strings.Repeat("[", 250) + strings.Repeat("]", 250) + "}", "r.yaml line 1, column 212: more than 200 levels inside each other", "params.a" + strings.Repeat("[0]", 199), 212, ""},
		{"many keys", "params:\n" + many.String(), "r.yaml line 2: more than 10000 keys in one mapping", "params", 3, ""},
		{"text for a number", "rule: x\nweight: heavy", "r.yaml line 2: weight must be a whole number, not text", "weight", 9, ""},
		{"fraction", "rule: x\nweight: 1.5", "r.yaml line 2: weight must be a whole number, without a point or exponent", "weight", 9, ""},
		{"exponent", "rule: x\nweight: 1e3", "r.yaml line 2: weight must be a whole number, without a point or exponent", "weight", 9, ""},
		{"too large", "rule: x\nsmall: 256", "r.yaml line 2: small is a number out of range", "small", 8, ""},
		{"negative", "rule: x\nsmall: -1", "r.yaml line 2: small is a number out of range", "small", 8, ""},
		{"list for a text", "rule: [x]\n\n#", "r.yaml line 1: rule must be text, not a list", "rule", 7, ""},
		{"mapping for a list", "rule: x\ntests: {run: y}", "r.yaml line 2: tests must be a list, not a mapping", "tests", 8, ""},
		{"text for a mapping", "rule: x\ntests: [x]", "r.yaml line 2: tests[0] must be a mapping, not text", "tests[0]", 9, ""},
		{"date", "rule: x\nexpires: soon", "r.yaml line 2: expires must be a date such as 2027-02-01, not text", "expires", 10, ""},
		{"duration", "rule: x\nevery: 5", "r.yaml line 2: every must be a duration such as 90s, not a number", "every", 8, ""},
		{"bool", "rule: x\non: perhaps", "r.yaml line 2: on must be true or false, not text", "on", 5, ""},
		{"empty element", "rule: x\nnames: [a, , b]", "r.yaml line 2: not valid YAML: did not find expected node content", "", 0, ""},
		{"null element", "rule: x\nnames: [a, ~, b]", "r.yaml line 2: names[1] is empty", "names[1]", 12, "write a value or remove the line"},
		{"null element in lines", "names:\n  - a\n  -\n  - b", "r.yaml line 3: names[1] is empty", "names[1]", 4, "write a value or remove the line"},
		{"own decoder", "rule: x\nseverity: loud", "r.yaml line 2: no such severity", "severity", 11, "high or low"},
		{"scalar document", "just text\n\n#", "r.yaml line 1: the value must be a mapping, not text", "", 1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got ruleFile
			e := asError(t, YAML("r.yaml", []byte(tc.data), &got))
			if e.Error() != tc.want {
				t.Errorf("message\n got %s\nwant %s", e, tc.want)
			}
			if e.Field != tc.field || e.Column != tc.column || e.Hint != tc.hint {
				t.Errorf("field %q column %d hint %q, want %q %d %q", e.Field, e.Column, e.Hint, tc.field, tc.column, tc.hint)
			}
		})
	}
}

func TestYAMLTakesOrdinaryUses(t *testing.T) {
	var keys strings.Builder
	for i := range maxKeys {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	for name, data := range map[string]string{
		"nothing": "", "a comment": "# nothing yet\n", "an empty document": "---\n", "the end mark": "a: 1\n...\n",
		"aliases": "a: &a [1, 2]\nb: *a\nc: [*a, *a]\n", "tags of plain values": "a: !!str 1\nb: !!int 2\n",
		"tabs in text": "a: |\n  x\n  \ty\nb:\tz\n", "keys that differ in case": "a: 1\nA: 2\n", "<< in quotes": "\"<<\": 1\n",
		"many keys": keys.String(), "a byte order mark": "\ufeffa: 1\n",
		"lines of Windows": "a: 1\r\nb: |\r\n  x\r\n", "an escaped line separator": `a: "\L\r"`,
	} {
		var got any
		if err := YAML("f", []byte(data), &got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	kept := ruleFile{Rule: "kept"}
	if err := YAML("f", []byte("# only a comment"), &kept); err != nil || kept.Rule != "kept" {
		t.Errorf("an empty file changed the value: %+v, %v", kept, err)
	}
}

func TestYAMLNode(t *testing.T) {
	n, err := YAMLNode("f", []byte("# c\na: 1\n"))
	if err != nil || n.Kind != yaml.MappingNode || n.Line != 2 {
		t.Errorf("node %+v, %v", n, err)
	}
	for data, want := range map[string]string{
		"# c":          "f: there is no YAML in it",
		"a: 1\n---\nb": "f line 3: a second document begins here; the file may hold one",
		"a: 1\na: 2":   `f line 2: "a" is given twice, first in line 1`,
	} {
		if _, err := YAMLNode("f", []byte(data)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestYAMLDocuments(t *testing.T) {
	docs, err := YAMLDocuments("f", []byte("rule: a\n---\nrule: b\ntests: [{run: x}]\n---\nruel: c\n"))
	if err != nil || len(docs) != 3 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	var got ruleFile
	if err := docs[1].Decode(&got); err != nil || got.Rule != "b" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := docs[2].Decode(&got); err == nil || err.Error() != `f line 6: "ruel" is not a known key` {
		t.Errorf("got %v", err)
	}
	e := docs[1].Fail(docs[1].Root, "tests", "m", "h")
	if e.Error() != "f line 3: m" || !strings.HasPrefix(e.Excerpt(), "    2 | ---\n    3 | rule: b\n") {
		t.Errorf("%v\n%s", e, e.Excerpt())
	}
	var part struct {
		Run int `yaml:"run"`
	}
	err = docs[1].DecodeNode(docs[1].Root.Content[3].Content[0], "tests[0]", &part)
	if e := asError(t, err); e.Error() != "f line 4: tests[0].run must be a whole number, not text" || e.Field != "tests[0].run" {
		t.Errorf("got %v in %s", e, e.Field)
	}
	if _, err := YAMLDocuments("f", []byte("a: 1\n---\n\tb: [\n")); err == nil {
		t.Error("a broken second document was taken")
	}
}

func TestDecodeNodeWantsAPointer(t *testing.T) {
	docs, err := YAMLDocuments("f", []byte("a: 1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, into := range []any{nil, ruleFile{}, (*ruleFile)(nil)} {
		var e *Error
		if err := docs[0].Decode(into); err == nil || errors.As(err, &e) {
			t.Errorf("%T: got %v", into, err)
		}
	}
}

// failing decodes itself with yaml/v3's own errors, or without a place.
type failing struct{ N int }

func (f *failing) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		type plain failing
		return n.Decode((*plain)(f))
	}
	return errors.New("no \x1b mapping")
}

func TestErrorsOfOwnDecodersArePlaced(t *testing.T) {
	for data, want := range map[string]string{
		"a:\n  n: x":     "f line 2: a: cannot unmarshal !!str `x` into int",
		"\na: text\n\n#": `f line 2: a: no \x1b mapping`,
	} {
		var into struct{ A failing }
		e := asError(t, YAML("f", []byte(data), &into))
		if e.Error() != want || e.Field != "a" {
			t.Errorf("got %q in %s, want %q", e, e.Field, want)
		}
	}
}
