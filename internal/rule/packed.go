package rule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// PackedFile is the name of the file beside our rules that holds what judging
// needs of them. To read YAML takes ten times as long.
const PackedFile = "packed.json"

// packedSchema names the form of PackedFile.
const packedSchema = "plimsoll/packed-rules/1"

// packedRules is PackedFile.
type packedRules struct {
	Schema string       `json:"schema"`
	Rules  []packedRule `json:"rules"`
}

// packedRule is what judging needs of a rule: no tests.
type packedRule struct {
	File     string              `json:"file"`
	Name     string              `json:"rule"`
	Subject  string              `json:"subject"`
	Severity finding.Severity    `json:"severity"`
	Title    string              `json:"title"`
	Why      string              `json:"why"`
	Params   []packedParam       `json:"params,omitempty"`
	Let      []packedBinding     `json:"let,omitempty"`
	When     string              `json:"when,omitempty"`
	Each     string              `json:"each,omitempty"`
	Element  string              `json:"element,omitempty"`
	Pass     string              `json:"pass,omitempty"`
	Manual   string              `json:"manual,omitempty"`
	Evidence []packedBinding     `json:"evidence,omitempty"`
	Message  string              `json:"message,omitempty"`
	Remedy   finding.Remedy      `json:"remedy"`
	Refs     map[string][]string `json:"refs,omitempty"`
}

// packedBinding is a name for an expression.
type packedBinding struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// packedParam is a parameter with its value in the field of its type, since a
// JSON number does not say which it is.
type packedParam struct {
	Name  string            `json:"name"`
	Bool  *bool             `json:"bool,omitempty"`
	Int   *int64            `json:"int,omitempty"`
	Float *float64          `json:"float,omitempty"`
	Text  *string           `json:"text,omitempty"`
	List  []string          `json:"list,omitempty"`
	Table map[string]string `json:"table,omitempty"`
}

// Pack makes the text of PackedFile for a tree of our rules, as [Load] takes
// it, all of which compile. The same rules give the same bytes.
func Pack(ours fs.FS) ([]byte, error) {
	s, err := Load(ours, nil, "")
	if err != nil {
		return nil, err
	}
	if err := s.Compile(); err != nil {
		return nil, err
	}
	// A line each, so that a change to one rule is a change of one line.
	var text bytes.Buffer
	fmt.Fprintf(&text, "{\"schema\": %q, \"rules\": [", packedSchema)
	for i, r := range s.rules {
		line, err := json.Marshal(r.packed())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.File, err)
		}
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteByte('\n')
		text.Write(line)
	}
	text.WriteString("\n]}\n")
	return text.Bytes(), nil
}

func (r *Rule) packed() packedRule {
	one := packedRule{File: r.File, Name: r.Name, Subject: r.Subject, Severity: r.Severity, Title: r.Title, Why: r.Why,
		Let: packBindings(r.Let), When: r.When.Text, Each: r.Each.Text, Element: r.Element.Text, Pass: r.Pass.Text, Manual: r.Manual,
		Evidence: packBindings(r.Evidence), Message: r.Message, Remedy: r.Remedy, Refs: r.Refs}
	for _, p := range r.Params {
		param := packedParam{Name: p.Name}
		switch v := p.Value.(type) {
		case bool:
			param.Bool = &v
		case int64:
			param.Int = &v
		case float64:
			param.Float = &v
		case string:
			param.Text = &v
		case []string:
			param.List = v
		case map[string]string:
			param.Table = v
		}
		one.Params = append(one.Params, param)
	}
	return one
}

func packBindings(list Bindings) []packedBinding {
	var packed []packedBinding
	for _, b := range list {
		packed = append(packed, packedBinding{b.Name, b.Text})
	}
	return packed
}

func unpackBindings(packed []packedBinding) Bindings {
	var list Bindings
	for _, b := range packed {
		list = append(list, Binding{b.Name, Expression{Text: b.Text}})
	}
	return list
}

// readPacked reads our rules from PackedFile.
func (s *Set) readPacked(ours fs.FS) error {
	text, err := fs.ReadFile(ours, PackedFile)
	if err != nil {
		return fmt.Errorf("reading packed rules: %w", err)
	}
	var all packedRules
	if _, err := strict.Decode(PackedFile, text, &all); err != nil {
		return fmt.Errorf("reading packed rules: %w", err)
	}
	if all.Schema != packedSchema {
		return fmt.Errorf("reading %s: its schema is %q, not %s", PackedFile, all.Schema, packedSchema)
	}
	for i := range all.Rules {
		s.rules = append(s.rules, all.Rules[i].rule())
	}
	return nil
}

// rule is the rule to be judged by.
func (c *packedRule) rule() *Rule {
	text := func(t string) Expression { return Expression{Text: t} }
	r := &Rule{Schema: Schema, Name: c.Name, Subject: c.Subject, Severity: c.Severity, Title: c.Title, Why: c.Why,
		Let: unpackBindings(c.Let), When: text(c.When), Each: text(c.Each), Element: text(c.Element), Pass: text(c.Pass), Manual: c.Manual,
		Evidence: unpackBindings(c.Evidence), Message: c.Message, Remedy: c.Remedy, Refs: c.Refs, File: c.File, Ours: true}
	for _, p := range c.Params {
		r.Params = append(r.Params, Param{Name: p.Name, Value: p.value()})
	}
	return r
}

func (p *packedParam) value() any {
	switch {
	case p.Bool != nil:
		return *p.Bool
	case p.Int != nil:
		return *p.Int
	case p.Float != nil:
		return *p.Float
	case p.Text != nil:
		return *p.Text
	case p.Table != nil:
		return p.Table
	}
	return append([]string{}, p.List...)
}
