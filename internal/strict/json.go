package strict

import (
	"encoding/json"
	"errors"
	"iter"
	"reflect"
	"strconv"
	"strings"
)

// JSON decodes one JSON text into a Go value, given as a pointer. Beyond what
// [Tree] refuses it refuses, at every depth, a key that the value has no field
// for (so also one that is spelt in another case), and two keys that differ
// only in case, by Unicode's folding, wherever it is not known into what they
// are read. In an object that is read into a map such keys are two: a map's
// keys are the writer's own names, of labels for example, and encoding/json
// never folds them. Types that decode themselves are handed their part as it
// is.
//
// A JSON null leaves its place as it was. The error is an [*Error]; it points
// into data.
func JSON(file string, data []byte, into any) error {
	root, err := Tree(file, data)
	if err != nil {
		return err
	}
	if t := reflect.TypeOf(into); t != nil {
		if e := root.check(t); e != nil {
			return e
		}
	}
	return root.Decode(into)
}

// part is a member or an element beside the type it is read into.
type part struct {
	value  *Value
	member Member // empty for the element of a list
	field         // its typ is nil for a key that the struct does not know
}

// open reports whether the parts of v are read into parts of t.
func (v *Value) open(t reflect.Type) bool {
	if opaque(t, jsonNames) {
		return false
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return v.Kind == Object
	case reflect.Slice, reflect.Array:
		return v.Kind == Array
	}
	return false
}

// parts gives the parts of v in the order of the text, where v is open to t.
func (v *Value) parts(t reflect.Type) iter.Seq[part] {
	return func(yield func(part) bool) {
		var known map[string]field
		if t.Kind() == reflect.Struct {
			known = fieldsOf(t, jsonNames).byKey
		}
		for _, m := range v.Members {
			p := part{value: m.Value, member: m, field: known[m.Key]}
			if known == nil {
				p.typ = t.Elem()
			}
			if !yield(p) {
				return
			}
		}
		for _, item := range v.Items {
			if !yield(part{value: item, field: field{typ: t.Elem()}}) {
				return
			}
		}
	}
}

// check refuses what t does not know.
func (v *Value) check(t reflect.Type) *Error {
	t = target(t)
	if opaque(t, jsonNames) {
		return v.checkFolds()
	}
	if !v.open(t) {
		return nil
	}
	if t.Kind() == reflect.Array && len(v.Items) > t.Len() {
		return v.Items[t.Len()].Fail("the list has more than "+strconv.Itoa(t.Len())+" elements", "")
	}
	for p := range v.parts(t) {
		if p.typ == nil {
			msg := strconv.Quote(p.member.Key) + " is not a known key"
			if path := v.Path(); path != "" {
				msg = strconv.Quote(p.member.Key) + " is not a key of " + path
			}
			return v.failKey(p.member, msg, didYouMean(p.member.Key, fieldsOf(t, jsonNames).known()))
		}
		if e := p.value.check(p.typ); e != nil {
			return e
		}
	}
	return nil
}

// checkFolds refuses keys of one object that differ only in case, where it is
// not known into what they are read.
func (v *Value) checkFolds() *Error {
	seen := make(map[string]string, len(v.Members))
	for _, m := range v.Members {
		folded := Fold(m.Key)
		if other, ok := seen[folded]; ok {
			return v.failKey(m, strconv.Quote(m.Key)+" and "+strconv.Quote(other)+" differ only in case", "keep one of them")
		}
		seen[folded] = m.Key
		if e := m.Value.checkFolds(); e != nil {
			return e
		}
	}
	for _, item := range v.Items {
		if e := item.checkFolds(); e != nil {
			return e
		}
	}
	return nil
}

// locate finds the first part of v, in the order of the text, that cannot be
// decoded into its place in t. It is asked only after decoding has failed, for
// encoding/json does not say where.
func (v *Value) locate(t reflect.Type) *Error {
	if t = target(t); v.open(t) {
		for p := range v.parts(t) {
			if p.typ == nil || p.quoted {
				continue
			}
			if e := p.value.locate(p.typ); e != nil {
				return e
			}
		}
		return nil
	}
	err := json.Unmarshal(v.Raw(), reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	subject := v.Path()
	if subject == "" {
		subject = "the value"
	}
	var own *Error
	if errors.As(err, &own) {
		// A type with its own decoder words it, but does not know the place.
		e := v.Fail(subject+": "+own.Msg, own.Hint)
		e.Err = own.Err
		return e
	}
	var wrongType *json.UnmarshalTypeError
	if !errors.As(err, &wrongType) || opaque(t, jsonNames) {
		e := v.Fail(subject, "")
		e.Err = err
		return e
	}
	want := describe(t)
	switch {
	case v.Kind != Number || want != "a number" && want != "a whole number":
		return v.Fail(subject+" must be "+want+", not "+v.Kind.String(), "")
	case want == "a whole number" && strings.ContainsAny(v.Text(), ".eE"):
		return v.Fail(subject+" must be a whole number, without a point or exponent", "")
	}
	return v.Fail(subject+" is a number out of range", "")
}
