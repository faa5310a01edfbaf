package rule

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"sync"

	"cel.dev/cel-go/common/ast"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// CompiledFile is the name of the file beside our rules that holds them
// compiled. To read YAML and to check CEL takes most of a short run's time, and
// gives the same each time.
const CompiledFile = "compiled.json"

// compiledSchema names the form of CompiledFile.
const compiledSchema = "plimsoll/compiled-rules/2"

// compiledRules is CompiledFile.
type compiledRules struct {
	Schema string         `json:"schema"`
	Rules  []compiledRule `json:"rules"`
}

// compiledRule is what judging needs of a rule: no tests, and no expression as
// text.
type compiledRule struct {
	File string `json:"file"`
	// SHA256 is that of the file. A rule whose file is another is read anew.
	SHA256   string               `json:"sha256"`
	Name     string               `json:"rule"`
	Subject  string               `json:"subject"`
	Severity finding.Severity     `json:"severity"`
	Title    string               `json:"title"`
	Why      string               `json:"why"`
	Params   []compiledParam      `json:"params,omitempty"`
	Let      []compiledExpression `json:"let,omitempty"`
	When     *compiledExpression  `json:"when,omitempty"`
	Each     *compiledExpression  `json:"each,omitempty"`
	List     []string             `json:"list,omitempty"`
	Element  *compiledExpression  `json:"element,omitempty"`
	Pass     *compiledExpression  `json:"pass,omitempty"`
	Manual   string               `json:"manual,omitempty"`
	Evidence []compiledExpression `json:"evidence,omitempty"`
	Message  string               `json:"message,omitempty"`
	Remedy   finding.Remedy       `json:"remedy"`
	Refs     map[string][]string  `json:"refs,omitempty"`
}

// compiledExpression is an expression after parsing and checking.
type compiledExpression struct {
	Name  string     `json:"name,omitempty"`
	Paths [][]string `json:"paths,omitempty"`
	// Tree is the checked expression as appendTree writes it, in base64.
	Tree string `json:"tree"`
}

// compiledParam is a parameter with its value in the field of its type, since
// a JSON number does not say which it is.
type compiledParam struct {
	Name  string            `json:"name"`
	Bool  *bool             `json:"bool,omitempty"`
	Int   *int64            `json:"int,omitempty"`
	Float *float64          `json:"float,omitempty"`
	Text  *string           `json:"text,omitempty"`
	List  []string          `json:"list,omitempty"`
	Table map[string]string `json:"table,omitempty"`
}

// Compiled makes the text of CompiledFile for a tree of our rules, as [Load]
// takes it. The same rules give the same bytes.
func Compiled(ours fs.FS) ([]byte, error) {
	s, err := Load(ours, nil, "")
	if err != nil {
		return nil, err
	}
	if err := s.Compile(); err != nil {
		return nil, err
	}
	// A line each, so that a change to one rule is a change of one line.
	var text bytes.Buffer
	fmt.Fprintf(&text, "{\"schema\": %q, \"rules\": [", compiledSchema)
	for i, r := range s.rules {
		data, err := fs.ReadFile(ours, r.File)
		if err != nil {
			return nil, err
		}
		one, err := r.compiled(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.File, err)
		}
		line, err := json.Marshal(one)
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

func (r *Rule) compiled(file []byte) (compiledRule, error) {
	c := &r.code
	one := compiledRule{File: r.File, SHA256: digest(file), Name: r.Name, Subject: r.Subject, Severity: r.Severity, Title: r.Title, Why: r.Why,
		List: c.list, Manual: r.Manual, Message: r.Message, Remedy: r.Remedy, Refs: r.Refs}
	for _, p := range r.Params {
		param := compiledParam{Name: p.Name}
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
	for _, part := range []struct {
		from *expression
		to   **compiledExpression
	}{{c.when, &one.When}, {c.each, &one.Each}, {c.element, &one.Element}, {c.pass, &one.Pass}} {
		if part.from == nil {
			continue
		}
		e, err := part.from.compiled()
		if err != nil {
			return one, err
		}
		*part.to = &e
	}
	for _, part := range []struct {
		from []*expression
		to   *[]compiledExpression
	}{{c.let, &one.Let}, {c.evidence, &one.Evidence}} {
		for _, from := range part.from {
			e, err := from.compiled()
			if err != nil {
				return one, err
			}
			*part.to = append(*part.to, e)
		}
	}
	return one, nil
}

func (e *expression) compiled() (compiledExpression, error) {
	tree, err := appendTree(e.ast)
	return compiledExpression{Name: e.name, Paths: e.paths, Tree: base64.StdEncoding.EncodeToString(tree)}, err
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// readCompiled reads our rules: those whose file is as it was when it was
// compiled from CompiledFile, the others from their own.
func (s *Set) readCompiled(ours fs.FS) error {
	text, err := fs.ReadFile(ours, CompiledFile)
	if err != nil {
		return fmt.Errorf("reading compiled rules: %w", err)
	}
	var all compiledRules
	if _, err := strict.Decode(CompiledFile, text, &all); err != nil {
		return fmt.Errorf("reading compiled rules: %w", err)
	}
	if all.Schema != compiledSchema {
		return fmt.Errorf("reading %s: its schema is %q, not %s", CompiledFile, all.Schema, compiledSchema)
	}
	known := make(map[string]*compiledRule, len(all.Rules))
	for i := range all.Rules {
		known[all.Rules[i].File] = &all.Rules[i]
	}
	return s.readFiles(ours, "", func(file string, data []byte) ([]*Rule, error) {
		if c := known[file]; c != nil && c.SHA256 == digest(data) {
			return []*Rule{c.rule()}, nil
		}
		return parse(file, data, true)
	})
}

// rule is the rule to be judged by.
func (c *compiledRule) rule() *Rule {
	r := &Rule{Schema: Schema, Name: c.Name, Subject: c.Subject, Severity: c.Severity, Title: c.Title, Why: c.Why, Manual: c.Manual,
		Message: c.Message, Remedy: c.Remedy, Refs: c.Refs, File: c.File, Ours: true, ready: c}
	for _, p := range c.Params {
		r.Params = append(r.Params, Param{Name: p.Name, Value: p.value()})
	}
	return r
}

func (p *compiledParam) value() any {
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

// restore sets the parts of a rule that was compiled beforehand.
func (c *code) restore(r *Rule) error {
	env, err := base()
	if err != nil {
		return fmt.Errorf("making the rules' environment: %w", err)
	}
	one := func(e *compiledExpression) *expression {
		if e == nil {
			return nil
		}
		out := &expression{name: e.Name, env: env, paths: e.Paths}
		out.plan(sync.OnceValues(e.tree))
		return out
	}
	several := func(list []compiledExpression) []*expression {
		out := make([]*expression, len(list))
		for i := range list {
			out[i] = one(&list[i])
		}
		return out
	}
	f := r.ready
	c.params, c.list = r.params(env), f.List
	c.when, c.each, c.element, c.pass = one(f.When), one(f.Each), one(f.Element), one(f.Pass)
	c.let, c.evidence = several(f.Let), several(f.Evidence)
	return nil
}

func (e *compiledExpression) tree() (*ast.AST, error) {
	text, err := base64.StdEncoding.DecodeString(e.Tree)
	if err != nil {
		return nil, fmt.Errorf("reading a compiled expression: %w", err)
	}
	return readTree(string(text))
}
