package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Document is one YAML document of a file, checked for everything but its
// meaning: see [YAMLDocuments].
type Document struct {
	Root *yaml.Node // the value; never a DocumentNode

	file string
	data []byte
}

// YAML decodes a file that holds one YAML document into a Go value, given as a
// pointer. Beyond what [YAMLDocuments] refuses it refuses a second document, a
// key that the value has no field for, and what yaml/v3 takes silently: a
// fraction for a whole number, and an empty element in a list, which it leaves
// out. A file without any document leaves the value as it was. The error is an
// [*Error]; it points into data.
func YAML(file string, data []byte, into any) error {
	docs, err := YAMLDocuments(file, data)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return nil
	}
	if err := single(docs); err != nil {
		return err
	}
	return docs[0].Decode(into)
}

// YAMLNode gives the value of a file that holds exactly one YAML document, or
// an [*Error].
func YAMLNode(file string, data []byte) (*yaml.Node, error) {
	docs, err := YAMLDocuments(file, data)
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, &Error{File: file, Msg: "there is no YAML in it", Source: data}
	}
	if err := single(docs); err != nil {
		return nil, err
	}
	return docs[0].Root, nil
}

// single refuses a second document.
func single(docs []*Document) error {
	if len(docs) < 2 {
		return nil
	}
	return docs[1].Fail(docs[1].Root, "", "a second document begins here; the file may hold one", "remove the line ---")
}

// YAMLDocuments parses the documents of a file, which may be none. It refuses
// bytes that are not UTF-8; line ends other than LF and CRLF; a key that is given twice, is not a plain value or
// is empty; the merge key <<; tags other than those of plain values; an alias
// inside what it stands for; more than 200 levels, 10,000 keys in one mapping,
// or aliases that stand for more than 10,000 values in all. Keys
// that some reader may take for one are equal: 1, "1", 0x1 and 1.0. The error is an [*Error].
func YAMLDocuments(file string, data []byte) ([]*Document, error) {
	if !utf8.Valid(data) {
		at := 0
		for r, size := utf8.DecodeRune(data); r != utf8.RuneError || size != 1; r, size = utf8.DecodeRune(data[at:]) {
			at += size
		}
		d := document{file: file, data: data}
		return nil, d.fail(at, "not UTF-8 text", "save it as UTF-8")
	}
	if at := oddBreak(data); at >= 0 {
		d := document{file: file, data: data}
		return nil, d.fail(at, "a line ends in an unusual way here", "end lines with a line feed; elsewhere write the character as an escape in double quotes")
	}
	var docs []*Document
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		node, err := parseYAML(decoder)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, syntaxError(file, data, err)
		}
		d := &Document{Root: node.Content[0], file: file, data: data}
		c := yamlChecker{doc: d, sizes: map[*yaml.Node]int{}}
		if _, e := c.check(d.Root, nil, 0); e != nil {
			return nil, e
		}
		docs = append(docs, d)
	}
}

// oddBreak finds a character at which some YAML readers end a line and others
// do not (YAML 1.1 against 1.2, section 5.4), or -1: a carriage return alone,
// U+0085, U+2028 and U+2029.
func oddBreak(data []byte) int {
	for i, r := range string(data) {
		switch {
		case r == '\r' && (i+1 == len(data) || data[i+1] != '\n'), r == 0x85, r == 0x2028, r == 0x2029:
			return i
		}
	}
	return -1
}

// parseYAML reads the next document. yaml/v3 panics on some malformed comments.
func parseYAML(decoder *yaml.Decoder) (node *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML reader cannot read this: %v", p)
		}
	}()
	node = new(yaml.Node)
	if err := decoder.Decode(node); err != nil {
		return nil, err
	}
	return node, nil
}

// lineOf finds the line in a message of yaml/v3.
var lineOf = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`) })

// syntaxError places an error of the YAML parser, which knows the line, and not
// always that.
func syntaxError(file string, data []byte, err error) *Error {
	text := err.Error()
	head := lineOf().FindStringSubmatch(text)
	e := &Error{File: file, Msg: "not valid YAML: " + printable(text[len(head[0]):]), Source: data}
	e.Line, _ = strconv.Atoi(head[1])
	switch {
	case strings.Contains(text, "control characters"):
		d := document{file: file, data: data}
		return d.fail(bytes.IndexFunc(data, forbidden), "a control character stands in the text", "remove it, or write it as an escape in double quotes")
	case e.Line > 0 && strings.Contains(text, "did not find expected"):
		e.Line++ // the grammar, unlike the scanner, counts lines from 0
	case e.Line == 0 && !strings.Contains(text, "unknown anchor"):
		e.Line = 1 // yaml/v3 names every line but the first
	}
	lines := strings.Split(string(data), "\n")
	// A tab is the usual cause, and the parser's words do not say so.
	for n := max(e.Line-1, 1); n <= min(e.Line+1, len(lines)); n++ {
		indent := lines[n-1][:len(lines[n-1])-len(strings.TrimLeft(lines[n-1], " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			e.Line, e.Column = n, tab+1
			e.Msg, e.Hint = "a tab stands in the indentation", "indent with spaces"
			return e
		}
	}
	e.Line = min(e.Line, len(lines))
	return e
}

// forbidden reports whether YAML allows a character only as an escape (YAML 1.2,
// section 5.1).
func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r <= 0x9f || r == 0xfffe || r == 0xffff
}

// steps is the way to a node, from the end.
type steps struct {
	last   string
	before *steps
}

func (s *steps) to(step string) *steps { return &steps{step, s} }

func (s *steps) String() string {
	e := &Error{}
	for ; s != nil; s = s.before {
		e.within(s.last)
	}
	return e.Field
}

// Fail makes an error at a node of the document: the path of the field, or "",
// what is wrong, and a hint, or "".
func (d *Document) Fail(n *yaml.Node, field, msg, hint string) *Error {
	line := min(n.Line, 1+bytes.Count(d.data, []byte("\n"))) // an empty value at the end lies behind it
	return &Error{File: d.file, Line: line, Column: n.Column, Field: field, Msg: msg, Hint: hint, Source: d.data}
}

// At is the place of a field, by the names of keys and positions in lists that lead there, or
// of the last one above it that is there.
func (d *Document) At(steps ...any) *yaml.Node {
	n := d.Root
	for _, step := range steps {
		var next *yaml.Node
		switch step := step.(type) {
		case string:
			for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					next = n.Content[i+1]
				}
			}
		case int:
			if n.Kind == yaml.SequenceNode && step < len(n.Content) {
				next = n.Content[step]
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// FailAt makes an error at the field that the steps lead to: what is wrong, behind the
// field's path, and a hint, or "".
func (d *Document) FailAt(msg, hint string, steps ...any) *Error {
	var field strings.Builder
	for _, step := range steps {
		switch step := step.(type) {
		case string:
			if field.Len() > 0 {
				field.WriteByte('.')
			}
			field.WriteString(step)
		case int:
			fmt.Fprintf(&field, "[%d]", step)
		}
	}
	return d.Fail(d.At(steps...), field.String(), field.String()+" "+msg, hint)
}

// yamlChecker refuses what is wrong in a document whatever it is decoded into.
type yamlChecker struct {
	doc    *Document
	sizes  map[*yaml.Node]int // of checked nodes, aliases followed; 0 while under check
	copies int                // nodes that aliases stand for
}

// check gives the number of nodes that n stands for.
func (c *yamlChecker) check(n *yaml.Node, at *steps, depth int) (int, *Error) {
	if depth > maxDepth {
		return 0, c.doc.Fail(n, at.String(), "more than "+strconv.Itoa(maxDepth)+" levels inside each other", "")
	}
	if n.Kind == yaml.AliasNode {
		size := c.sizes[n.Alias]
		if size == 0 {
			return 0, c.doc.Fail(n, at.String(), "*"+printable(n.Value)+" stands inside the value that it repeats", "write the value out")
		}
		if c.copies += size; c.copies > maxAlias {
			return 0, c.doc.Fail(n, at.String(), "the aliases repeat too much", "write the values out")
		}
		return size, nil
	}
	if n.Style&yaml.TaggedStyle != 0 && !slices.Contains(plainTags, n.ShortTag()) {
		return 0, c.doc.Fail(n, at.String(), "the tag "+printable(n.Tag)+" is not read here", "remove the tag")
	}
	c.sizes[n] = 0
	size := 1
	switch n.Kind {
	case yaml.MappingNode:
		if err := c.keys(n, at); err != nil {
			return 0, err
		}
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Kind == yaml.ScalarNode {
				// A key may carry an anchor for a later alias.
				c.sizes[n.Content[i]] = 1
			}
			child, err := c.check(n.Content[i+1], at.to(keyStep(keyOf(n.Content[i]))), depth+1)
			if err != nil {
				return 0, err
			}
			size += 1 + child
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			child, err := c.check(item, at.to(indexStep(i)), depth+1)
			if err != nil {
				return 0, err
			}
			size += child
		}
	}
	c.sizes[n] = size
	return size, nil
}

// plainTags may be written; each other one changes how a value is read.
var plainTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map", "!!timestamp"}

// keyOf is the text of a key, through an alias.
func keyOf(key *yaml.Node) string {
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	return key.Value
}

// keys checks the keys of a mapping.
func (c *yamlChecker) keys(n *yaml.Node, at *steps) *Error {
	if len(n.Content)/2 > maxKeys {
		return c.doc.Fail(n, at.String(), "more than "+strconv.Itoa(maxKeys)+" keys in one mapping", "")
	}
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		plain := key
		if key.Kind == yaml.AliasNode {
			plain = key.Alias
		}
		if plain.Kind != yaml.ScalarNode || plain.ShortTag() == "!!null" {
			return c.doc.Fail(key, at.String(), "a key must be a word", "quote it if it is meant to be a text")
		}
		if plain.Style&yaml.TaggedStyle != 0 && !slices.Contains(plainTags, plain.ShortTag()) {
			return c.doc.Fail(key, at.String(), "the tag "+printable(plain.Tag)+" is not read here", "remove the tag")
		}
		if plain.ShortTag() == "!!merge" {
			return c.doc.Fail(key, at.String(), "the merge key << is not read here", "write the keys out")
		}
		forms := []string{plain.Value, resolved(plain)}
		before := first[forms[0]]
		if before == nil {
			before = first[forms[1]]
		}
		if before != nil {
			return c.doc.Fail(key, at.to(keyStep(plain.Value)).String(),
				strconv.Quote(plain.Value)+" is given twice, first in line "+strconv.Itoa(before.Line), "keep one of them")
		}
		first[forms[0]], first[forms[1]] = key, key
	}
	return nil
}

// resolved writes a key as the value that yaml/v3 takes it for, so that 1, 0x1
// and 1.0 are one.
func resolved(key *yaml.Node) string {
	if key.ShortTag() == "!!str" {
		return key.Value
	}
	var v any
	if err := decodeYAML(key, &v); err != nil {
		return key.Value
	}
	return fmt.Sprint(v)
}
