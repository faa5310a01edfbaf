package strict

import (
	"encoding/json"
	"sort"
)

// Kind is what a JSON value is.
type Kind uint8

// The kinds of JSON values.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String names the kind as a person would.
func (k Kind) String() string {
	return [...]string{"null", "true or false", "a number", "text", "a list", "an object"}[k]
}

// Value is a part of a JSON text. A nil *Value stands for a part that is absent
// and may be asked like any other: it has no members, no text and no position.
type Value struct {
	Kind    Kind
	Members []Member // of an object, in their order
	Items   []*Value // of a list

	doc        *document
	start, end int // in doc.data
}

// Member is a key of an object and its value.
type Member struct {
	Key   string
	Value *Value

	keyAt int // of the quoted key in the document
}

// Get gives the member with exactly this key, or nil when it is absent. What is
// no object has no members.
func (v *Value) Get(key string) *Value {
	if v == nil {
		return nil
	}
	if i := find(v.Members, key); i >= 0 {
		return v.Members[i].Value
	}
	return nil
}

// find gives the index of the member with the key, or -1.
func find(members []Member, key string) int {
	for i := range members {
		if members[i].Key == key {
			return i
		}
	}
	return -1
}

// Text is the content of a string, a number as it was written, true, false or
// null; of a list or an object it is the JSON text.
func (v *Value) Text() string {
	if v == nil {
		return ""
	}
	if v.Kind == String {
		return unquote(v.Raw())
	}
	return string(v.Raw())
}

// Raw is the JSON text of the value, as it was written. It points into the
// document and must not be changed.
func (v *Value) Raw() json.RawMessage {
	if v == nil {
		return nil
	}
	return v.doc.data[v.start:v.end:v.end]
}

// Span gives where the value is in the text that was read: from the byte start to before
// end. An absent one is nowhere, 0 and 0.
func (v *Value) Span() (start, end int) {
	if v == nil {
		return 0, 0
	}
	return v.start, v.end
}

// Position gives the line and the column, in characters, where the value
// begins, both from 1; 0 and 0 for an absent one.
func (v *Value) Position() (line, column int) {
	if v == nil {
		return 0, 0
	}
	return position(v.doc.data, v.start)
}

// Path gives the way from the root to the value, such as findings[3].rule;
// empty for the root and for an absent value.
func (v *Value) Path() string {
	if v == nil {
		return ""
	}
	e := &Error{}
	v.doc.root.lead(v, e)
	return e.Field
}

// lead puts the steps that lead from v down to target before the field of e.
// The parts of a value stand in the order of the text, so the one that holds
// the target is found by halving.
func (v *Value) lead(target *Value, e *Error) {
	if v == target {
		return
	}
	past := func(n int, start func(int) int) int {
		return sort.Search(n, func(i int) bool { return start(i) > target.start }) - 1
	}
	if i := past(len(v.Members), func(i int) int { return v.Members[i].Value.start }); i >= 0 {
		v.Members[i].Value.lead(target, e)
		e.within(keyStep(v.Members[i].Key))
	}
	if i := past(len(v.Items), func(i int) int { return v.Items[i].start }); i >= 0 {
		v.Items[i].lead(target, e)
		e.within(indexStep(i))
	}
}

// Fail makes an error at the value: what is wrong, and a hint that may be
// empty. An absent value gives an error without a place.
func (v *Value) Fail(msg, hint string) *Error {
	if v == nil {
		return &Error{Msg: msg, Hint: hint}
	}
	e := v.doc.fail(v.start, msg, hint)
	e.Field = v.Path()
	return e
}

// failKey makes an error at a key of the object v.
func (v *Value) failKey(m Member, msg, hint string) *Error {
	e := v.doc.fail(m.keyAt, msg, hint)
	e.Field = join(v.Path(), keyStep(m.Key))
	return e
}
