// Package waiver reads files of accepted failures, and applies them to findings.
//
// A file is reviewed like code, so each [Waiver] says which rule may fail for which
// subject, why, who answers for it, and until when:
//
//	schema: plimsoll/waivers/1
//	waivers:
//	  - rule: port-every-interface
//	    subject: proxy            # a name or a pattern (*, ?, [a-z]), or an id
//	    element: "443:443/tcp"        # optional: one mount, port or the like alone
//	    reason: it is the front door
//	    owner: ana
//	    expires: 2027-02-01       # the last day on which it counts
//
// In the order of use: [Read] makes a [File], [File.CheckRules], [File.CheckTwice]
// and [File.CheckDays] refuse what is written for nothing, [File.Apply] marks the
// findings, and [Add] writes one more into the text of a file. One that has expired
// changes nothing but what the finding says; one that fits nothing is given back as
// stale. The package does no I/O and has no clock.
package waiver

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Schema names the form of a file.
const Schema = "plimsoll/waivers/1"

// Day is how dates are written.
const Day = time.DateOnly

// File is the waivers of one file, in its order. It does not change.
type File struct {
	Name    string
	Waivers []*Waiver

	doc *strict.Document
}

// Waiver is one accepted failure.
type Waiver struct {
	Rule string `yaml:"rule" json:"rule"`
	// Subject is a pattern of names of subjects, as path.Match has it but that a
	// star means slashes too, or an id or its beginning of at least 12 digits.
	Subject string `yaml:"subject" json:"subject"`
	// Element is a pattern of elements; "" is the subject with all of them.
	Element string `yaml:"element,omitempty" json:"element,omitempty"`
	Reason  string `yaml:"reason" json:"reason"`
	Owner   string `yaml:"owner" json:"owner"`
	// Expires is the last day on which it counts, as 2006-01-02, in UTC.
	Expires string `yaml:"expires" json:"expires"`

	// Line is where it begins in its file.
	Line int `yaml:"-" json:"line"`

	node *yaml.Node
}

// document is a file as YAML has it.
type document struct {
	Schema  string    `yaml:"schema"`
	Waivers []*Waiver `yaml:"waivers"`
}

// Read reads a file. What is missing, empty, given twice or no date or pattern is
// a [*strict.Error] with its line.
func Read(name string, data []byte) (*File, error) {
	docs, err := strict.YAMLDocuments(name, data)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, &strict.Error{File: name, Msg: fmt.Sprintf("it holds %d documents, not one", len(docs)), Hint: "begin with  schema: " + Schema}
	}
	f := &File{Name: name, doc: docs[0]}
	var d document
	if err := f.doc.Decode(&d); err != nil {
		return nil, err
	}
	if d.Schema != Schema {
		return nil, f.failIn(f.doc.Root, "schema", fmt.Sprintf("is not %s: %.100q", Schema, d.Schema), "write schema: "+Schema)
	}
	f.Waivers = d.Waivers
	for i, n := range valueOf(f.doc.Root, "waivers").Content {
		w := f.Waivers[i]
		if w == nil {
			return nil, f.doc.Fail(n, "", "a waiver is empty", "say rule, subject, reason, owner and expires")
		}
		w.node, w.Line = n, n.Line
		if field, problem, hint := w.Wrong(); field != "" {
			return nil, f.fail(w, field, problem, hint)
		}
	}
	return f, nil
}

// Wrong names the first field in which a waiver does not say what it must, with
// what is wrong and what to write instead, or gives "".
func (w *Waiver) Wrong() (field, problem, hint string) {
	for _, field := range []struct{ name, text, hint string }{
		{"rule", w.Rule, "name the rule, as  plimsoll rules list  has it"},
		{"subject", w.Subject, `name what may fail, or a pattern such as "web-*"`},
		{"reason", w.Reason, "say why it may fail"},
		{"owner", w.Owner, "say who answers for it"},
		{"expires", w.Expires, "a date such as 2027-02-01"},
	} {
		switch {
		case strings.TrimSpace(field.text) == "":
			return field.name, "is missing", field.hint
		case !utf8.ValidString(field.text):
			return field.name, "is not UTF-8 text", "write it in UTF-8"
		}
	}
	for _, pattern := range []struct{ name, text string }{{"subject", w.Subject}, {"element", w.Element}} {
		if strings.TrimSpace(pattern.text) != pattern.text {
			return pattern.name, fmt.Sprintf("has spaces around it: %.100q", pattern.text), "leave them out"
		}
		if _, err := path.Match(pattern.text, ""); err != nil {
			return pattern.name, fmt.Sprintf("is no pattern: %.100q", pattern.text), "[a-z] is one of some characters; a \\ before [ means the character itself"
		}
	}
	if _, err := time.Parse(Day, w.Expires); err != nil {
		return "expires", fmt.Sprintf("is no date: %.100q", w.Expires), "a date such as 2027-02-01"
	}
	return "", "", ""
}

// CheckRules refuses waivers for rules that are not among those known: a misspelt
// one would accept nothing. The error is a [*strict.Error], as for CheckDays.
func (f *File) CheckRules(known []string) error {
	rules := map[string]bool{}
	for _, name := range known {
		rules[name] = true
	}
	for _, w := range f.Waivers {
		if rules[w.Rule] {
			continue
		}
		hint := "see  plimsoll rules list; rules of your own need  --rules DIR"
		if near := strict.Nearest(w.Rule, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return f.fail(w, "rule", fmt.Sprintf("names no rule: %.100q", w.Rule), hint)
	}
	return nil
}

// About is the file with those of its waivers alone whose rule is one of those meant.
func (f *File) About(meant func(rule string) bool) *File {
	out := &File{Name: f.Name, doc: f.doc}
	for _, w := range f.Waivers {
		if meant(w.Rule) {
			out.Waivers = append(out.Waivers, w)
		}
	}
	return out
}

// CheckTwice refuses a waiver for what one before it is for: which of them counts
// would hang on their days.
func (f *File) CheckTwice() error {
	type what struct{ rule, subject, element string }
	lines := map[what]int{}
	for _, w := range f.Waivers {
		own := what{w.Rule, w.Subject, w.Element}
		if line, twice := lines[own]; twice {
			return f.fail(w, "rule", fmt.Sprintf("is waived in line %d too", line), "leave one of them out")
		}
		lines[own] = w.Line
	}
	return nil
}

// CheckDays refuses waivers whose day is over at the time now. A file that was
// right when it was written comes to that, so judging goes on with it, and says so.
func (f *File) CheckDays(now time.Time) error {
	for _, w := range f.Waivers {
		if w.Expired(now) {
			return f.fail(w, "expires", "is in the past: "+w.Expires, "a date after today, for example "+now.UTC().AddDate(0, 3, 0).Format(Day))
		}
	}
	return nil
}

// Expired reports whether the waiver's last day is over.
func (w *Waiver) Expired(now time.Time) bool { return now.UTC().Format(Day) > w.Expires }

func (f *File) fail(w *Waiver, field, msg, hint string) error {
	return f.failIn(w.node, field, msg, hint)
}

// failIn is an error at a field of a mapping, or at the mapping where it lacks it.
func (f *File) failIn(n *yaml.Node, field, msg, hint string) error {
	at := valueOf(n, field)
	if at.Kind == 0 {
		at = n
	}
	return f.doc.Fail(at, field, fmt.Sprintf("%q %s", field, msg), hint)
}

// valueOf is the value of a key of a mapping, or an empty node.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return &yaml.Node{}
}
