package cel

import (
	"reflect"
	"strings"
	"sync"
	"time"
)

// Kind is what a type or a value is.
type Kind uint8

// The kinds. A Dyn type is one that is only known when the expression runs; no
// value is Dyn. Unknown and Error are of values alone.
const (
	Dyn Kind = iota
	Null
	Bool
	Int
	Double
	String
	Timestamp
	Duration
	List
	Map
	Object
	Opaque
	Unknown
	Error

	anything // the type of an element of an empty list: it fits everywhere
	param    // of a signature, to be the same everywhere in a call
)

// Type is the type of an expression. Types without parts are the variables
// below.
type Type struct {
	kind Kind
	name string
	key  *Type // of a map
	elem *Type // of a list or map
	of   reflect.Type

	depth int // of lists and maps inside each other

	once   sync.Once
	fields map[string]*field
}

// The types without parts.
var (
	DynType       = &Type{kind: Dyn, name: "dyn"}
	NullType      = &Type{kind: Null, name: "null"}
	BoolType      = &Type{kind: Bool, name: "bool"}
	IntType       = &Type{kind: Int, name: "int"}
	DoubleType    = &Type{kind: Double, name: "double"}
	StringType    = &Type{kind: String, name: "string"}
	TimestampType = &Type{kind: Timestamp, name: "timestamp"}
	DurationType  = &Type{kind: Duration, name: "duration"}

	anyType = &Type{kind: anything, name: "dyn"}
)

// ListOf is the type of lists of an element type.
func ListOf(elem *Type) *Type { return &Type{kind: List, elem: elem, depth: elem.depth + 1} }

// MapOf is the type of maps.
func MapOf(key, elem *Type) *Type {
	return &Type{kind: Map, key: key, elem: elem, depth: elem.depth + 1}
}

// OpaqueOf is a type of its own by name, for values that have no use but in
// functions that take them: nothing else compares or converts them.
func OpaqueOf(name string) *Type { return &Type{kind: Opaque, name: name} }

// Kind is the type's kind.
func (t *Type) Kind() Kind { return t.kind }

// Elem is the type of the elements of a list or map, else nil.
func (t *Type) Elem() *Type { return t.elem }

// String is the type as CEL writes it, but no longer than somebody would read.
func (t *Type) String() string { return t.shown(maxDepthShown) }

// maxDepthShown is how deep a type is written.
const maxDepthShown = 20

func (t *Type) shown(depth int) string {
	switch {
	case depth == 0:
		return "…"
	case t.kind == List:
		return "list(" + t.elem.shown(depth-1) + ")"
	case t.kind == Map:
		return "map(" + t.key.shown(depth-1) + ", " + t.elem.shown(depth-1) + ")"
	}
	return t.name
}

// is reports whether two types are the same.
func (t *Type) is(o *Type) bool {
	switch {
	case t == o:
		return true
	case t.kind != o.kind:
		return false
	case t.kind == List:
		return t.elem.is(o.elem)
	case t.kind == Map:
		return t.key.is(o.key) && t.elem.is(o.elem)
	case t.kind == Object:
		return t.of == o.of
	}
	return t.name == o.name
}

// fixed reports whether nothing about the type waits for the run.
func (t *Type) fixed() bool {
	switch t.kind {
	case Dyn, anything:
		return false
	case List:
		return t.elem.kind == anything || t.elem.fixed()
	case Map:
		return t.elem.kind == anything || t.key.fixed() && t.elem.fixed()
	}
	return true
}

// bindings are what the parameters of a signature stand for in one call.
type bindings map[string]*Type

// fits reports whether a value of type arg may stand where want is, and notes
// what parameters then stand for.
func (b bindings) fits(want, arg *Type) bool {
	if want.kind == param {
		bound := b[want.name]
		if bound == nil {
			b[want.name] = arg
			return true
		}
		both := join(bound, arg)
		if both.kind == Dyn && bound.kind != Dyn && arg.kind != Dyn {
			return false
		}
		b[want.name] = both
		return true
	}
	switch {
	case want.kind == Dyn || arg.kind == anything:
		return true
	case arg.kind == Dyn: // its parts may be anything
		for _, part := range []*Type{want.key, want.elem} {
			if part != nil {
				b.fits(part, DynType)
			}
		}
		return true
	case want.kind != arg.kind:
		return false
	case want.kind == List:
		return b.fits(want.elem, arg.elem)
	case want.kind == Map:
		return b.fits(want.key, arg.key) && b.fits(want.elem, arg.elem)
	}
	return want.is(arg)
}

// fitAll reports whether a function takes arguments of these types. What cannot
// be compared stays what it is: a function that would lose sight of that does
// not take it.
func (b bindings) fitAll(f *Function, types []*Type) bool {
	for i, want := range f.Args {
		if !b.fits(want, types[i]) {
			return false
		}
	}
	for i, want := range f.Args {
		if types[i].holdsOpaque() && (f.equates || !b.result(want).holdsOpaque()) {
			return false
		}
	}
	return true
}

// holdsOpaque reports whether something in values of the type has no use but in
// functions that take it.
func (t *Type) holdsOpaque() bool {
	return t.kind == Opaque || t.elem != nil && t.elem.holdsOpaque()
}

// result is a signature's result with the parameters replaced.
func (b bindings) result(t *Type) *Type {
	switch t.kind {
	case param:
		if bound := b[t.name]; bound != nil {
			return bound
		}
		return DynType
	case List:
		return ListOf(b.result(t.elem))
	case Map:
		return MapOf(b.result(t.key), b.result(t.elem))
	}
	return t
}

// join is the type of a value that may be of either type.
func join(a, b *Type) *Type {
	switch {
	case a.kind == anything:
		return b
	case b.kind == anything || a.is(b):
		return a
	case a.kind == List && b.kind == List:
		if elem := join(a.elem, b.elem); elem.kind != Dyn || a.elem.kind == Dyn || b.elem.kind == Dyn {
			return ListOf(elem)
		}
	case a.kind == Map && b.kind == Map:
		key, elem := join(a.key, b.key), join(a.elem, b.elem)
		if (key.kind != Dyn || a.key.kind == Dyn || b.key.kind == Dyn) && (elem.kind != Dyn || a.elem.kind == Dyn || b.elem.kind == Dyn) {
			return MapOf(key, elem)
		}
	}
	return DynType
}

// field is one field of a struct.
type field struct {
	index int
	typ   *Type
	read  func(reflect.Value) Value
}

// fieldsOf are an Object's fields by their JSON names.
func (t *Type) fieldsOf() map[string]*field {
	t.once.Do(func() {
		t.fields = make(map[string]*field, t.of.NumField())
		for i := range t.of.NumField() {
			f := t.of.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				name = f.Name
			}
			if name != "-" && f.IsExported() {
				typ, read := fromGo(f.Type)
				t.fields[name] = &field{index: i, typ: typ, read: read}
			}
		}
	})
	return t.fields
}

var (
	objects  sync.Map // *Type of a struct by its reflect.Type
	timeType = reflect.TypeFor[time.Time]()
	spanType = reflect.TypeFor[time.Duration]()
)

// TypeOf is the type of Go values of type t: of structs, and what they hold. It
// panics for what facts do not consist of, such as a channel.
func TypeOf(t reflect.Type) *Type {
	typ, _ := fromGo(t)
	return typ
}

// fromGo gives the type for a Go type, and what makes values of it.
func fromGo(t reflect.Type) (*Type, func(reflect.Value) Value) {
	switch {
	case t == timeType:
		return TimestampType, func(v reflect.Value) Value { return TimeValue(v.Interface().(time.Time)) }
	case t == spanType:
		return DurationType, func(v reflect.Value) Value { return DurationValue(time.Duration(v.Int())) }
	}
	switch t.Kind() {
	case reflect.Bool:
		return BoolType, func(v reflect.Value) Value { return BoolValue(v.Bool()) }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return IntType, func(v reflect.Value) Value { return IntValue(v.Int()) }
	case reflect.Float32, reflect.Float64:
		return DoubleType, func(v reflect.Value) Value { return DoubleValue(v.Float()) }
	case reflect.String:
		return StringType, func(v reflect.Value) Value { return StringValue(v.String()) }
	case reflect.Interface:
		return DynType, func(v reflect.Value) Value { return ValueOf(v.Interface()) }
	case reflect.Slice:
		return sliceOf(t)
	case reflect.Map:
		return mapOf(t)
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct && t.Elem() != timeType {
			return objectOf(t.Elem()), pointerValue
		}
	case reflect.Struct:
		return objectOf(t), structValue
	}
	panic("cel: no type for " + t.String())
}

func objectOf(t reflect.Type) *Type {
	typ, known := objects.Load(t)
	if !known {
		typ, _ = objects.LoadOrStore(t, &Type{kind: Object, name: t.String(), of: t})
	}
	return typ.(*Type)
}

func sliceOf(t reflect.Type) (*Type, func(reflect.Value) Value) {
	elem, read := fromGo(t.Elem())
	if t == reflect.TypeFor[[]string]() {
		return ListOf(elem), func(v reflect.Value) Value {
			if v.CanAddr() {
				return listValue((*texts)(v.Addr().Interface().(*[]string)))
			}
			return textsValue(v.Interface().([]string))
		}
	}
	return ListOf(elem), func(v reflect.Value) Value { return listValue(&goSlice{v, read}) }
}

func mapOf(t reflect.Type) (*Type, func(reflect.Value) Value) {
	key, _ := fromGo(t.Key())
	elem, read := fromGo(t.Elem())
	if key != StringType {
		panic("cel: no type for " + t.String())
	}
	return MapOf(key, elem), func(v reflect.Value) Value { return mapValue(&goMap{v, read}) }
}

func pointerValue(v reflect.Value) Value {
	if v.IsNil() {
		return Value{kind: Null}
	}
	return Value{kind: Object, ref: v.Interface()}
}

func structValue(v reflect.Value) Value {
	if !v.CanAddr() { // as in a map
		own := reflect.New(v.Type())
		own.Elem().Set(v)
		return pointerValue(own)
	}
	return pointerValue(v.Addr())
}
