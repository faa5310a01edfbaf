package strict

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Decode fills a Go value, given as a pointer, from the document, and refuses
// what [YAML] refuses. A type that decodes itself (yaml.Unmarshaler) may return
// an [*Error]; file and source are filled in.
func (d *Document) Decode(into any) error { return d.DecodeNode(d.Root, "", into) }

// DecodeNode is Decode for a node of the document; path is where the node
// stands, for messages, and may be empty.
func (d *Document) DecodeNode(n *yaml.Node, path string, into any) error {
	t := reflect.TypeOf(into)
	if t == nil || t.Kind() != reflect.Pointer || reflect.ValueOf(into).IsNil() {
		return fmt.Errorf("decoding YAML into %T: it must be a pointer", into)
	}
	var at *steps
	if path != "" {
		at = at.to(path)
	}
	if e := d.know(n, t, at); e != nil {
		return e
	}
	err := decodeYAML(n, into)
	if err == nil {
		return nil
	}
	if e := d.locate(n, t, at); e != nil {
		return e
	}
	return d.wrap(n, at, err)
}

// decodeYAML decodes a node, and turns a panic of yaml/v3 into an error.
func decodeYAML(n *yaml.Node, into any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML reader cannot read this: %v", p)
		}
	}()
	return n.Decode(into)
}

// yamlPart is an element of a mapping or a list beside the type it is read into.
type yamlPart struct {
	key, value *yaml.Node
	typ        reflect.Type // nil for a key that the struct does not know
	step       string
}

// yamlOpen reports whether the parts of n are read into parts of t.
func yamlOpen(n *yaml.Node, t reflect.Type) bool {
	if opaque(t, yamlNames) {
		return false
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return n.Kind == yaml.MappingNode
	case reflect.Slice, reflect.Array:
		return n.Kind == yaml.SequenceNode
	}
	return false
}

// yamlParts gives the parts of n in the order of the text, where n is open to t.
func yamlParts(n *yaml.Node, t reflect.Type) iter.Seq[yamlPart] {
	return func(yield func(yamlPart) bool) {
		if n.Kind == yaml.SequenceNode {
			for i, item := range n.Content {
				if !yield(yamlPart{value: item, typ: t.Elem(), step: indexStep(i)}) {
					return
				}
			}
			return
		}
		for i := 0; i < len(n.Content); i += 2 {
			key := keyOf(n.Content[i])
			p := yamlPart{key: n.Content[i], value: n.Content[i+1], step: keyStep(key)}
			if t.Kind() == reflect.Map {
				p.typ = t.Elem()
			} else {
				known := fieldsOf(t, yamlNames)
				p.typ = known.rest
				if f, ok := known.byKey[key]; ok {
					p.typ = f.typ
				}
			}
			if !yield(p) {
				return
			}
		}
	}
}

// aliased looks through an alias.
func aliased(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// know refuses keys that t has no field for, and what yaml/v3 would take but
// change.
func (d *Document) know(n *yaml.Node, t reflect.Type, at *steps) *Error {
	n, t = aliased(n), target(t)
	if !yamlOpen(n, t) {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!float" && describe(t) == "a whole number" && !opaque(t, yamlNames) {
			return d.Fail(n, at.String(), subject(at)+" must be a whole number, without a point or exponent", "")
		}
		return nil
	}
	for p := range yamlParts(n, t) {
		below := at.to(p.step)
		switch {
		case p.typ == nil:
			key := keyOf(p.key)
			msg := strconv.Quote(key) + " is not a known key"
			if at != nil {
				msg = strconv.Quote(key) + " is not a key of " + at.String()
			}
			return d.Fail(p.key, below.String(), msg, didYouMean(key, fieldsOf(t, yamlNames).known()))
		case p.key == nil && empty(p.value) && !nilable(p.typ):
			return d.Fail(p.value, below.String(), subject(below)+" is empty", "write a value or remove the line")
		}
		if e := d.know(p.value, p.typ, below); e != nil {
			return e
		}
	}
	return nil
}

// empty reports whether a node is a null.
func empty(n *yaml.Node) bool {
	n = aliased(n)
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// nilable reports whether a null has a place of its own in t.
func nilable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return true
	}
	return t == yamlNode
}

// subject names the field in a message.
func subject(at *steps) string {
	if at == nil {
		return "the value"
	}
	return at.String()
}

// locate finds the first part of n that cannot be decoded into its place in t.
// It is asked only after decoding has failed.
func (d *Document) locate(n *yaml.Node, t reflect.Type, at *steps) *Error {
	n, t = aliased(n), target(t)
	if yamlOpen(n, t) {
		for p := range yamlParts(n, t) {
			if e := d.locate(p.value, p.typ, at.to(p.step)); e != nil {
				return e
			}
		}
		return nil
	}
	err := decodeYAML(n, reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	var wrongType *yaml.TypeError
	want := strings.Replace(describe(t), "an object", "a mapping", 1)
	switch {
	case t == timeType:
		want = "a date such as 2027-02-01"
	case t == durationType:
		want = "a duration such as 90s"
	case !errors.As(err, &wrongType) || opaque(t, yamlNames):
		return d.wrap(n, at, err)
	case want == "a whole number" && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int":
		return d.Fail(n, at.String(), subject(at)+" is a number out of range", "")
	}
	return d.Fail(n, at.String(), subject(at)+" must be "+want+", not "+kindOf(n), "")
}

// Types that yaml/v3 reads in a way of its own.
var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
)

// kindOf says in plain words what a node is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

// wrap places an error of a type that decodes itself.
func (d *Document) wrap(n *yaml.Node, at *steps, err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		e := *own
		e.File, e.Source, e.Field = d.file, d.data, join(at.String(), own.Field)
		if e.Line == 0 {
			e.Line, e.Column = n.Line, n.Column
		}
		return &e
	}
	e := d.Fail(n, at.String(), subject(at), "")
	var wrongType *yaml.TypeError
	if errors.As(err, &wrongType) {
		err = errors.New(lineOf().ReplaceAllString(wrongType.Errors[0], ""))
	}
	e.Err = err
	return e
}
