package cel

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Value is a value of an expression. The zero Value is none.
type Value struct {
	kind Kind
	num  uint64 // of a Bool, Int, Double or Duration, its bits
	text string // of a String or Opaque
	// ref is a time.Time, a list, a mapping, a pointer to an Object's struct, an
	// Opaque's type, the error of an Error, or the indexes of an Unknown.
	ref any
}

// list is the elements of a List.
type list interface {
	len() int
	at(i int) Value
}

// mapping is what a Map holds.
type mapping interface {
	len() int
	get(key Value) (Value, bool)
	keys() []Value // in order
}

// BoolValue and the functions below make values of Go's.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// IntValue is an Int.
func IntValue(n int64) Value { return Value{kind: Int, num: uint64(n)} }

// DoubleValue is a Double.
func DoubleValue(n float64) Value { return Value{kind: Double, num: math.Float64bits(n)} }

// StringValue is a String.
func StringValue(s string) Value { return Value{kind: String, text: s} }

// TimeValue is a Timestamp.
func TimeValue(t time.Time) Value { return Value{kind: Timestamp, ref: t} }

// DurationValue is a Duration.
func DurationValue(d time.Duration) Value { return Value{kind: Duration, num: uint64(d)} }

// OpaqueValue is a value of an opaque type, of which it has what it needs.
func OpaqueValue(t *Type, text string, num uint64) Value {
	return Value{kind: Opaque, text: text, num: num, ref: t}
}

// UnknownValue is what hangs on the unseen facts with these indexes.
func UnknownValue(facts []int) Value { return Value{kind: Unknown, ref: facts} }

// ErrorValue is what cannot be had.
func ErrorValue(err error) Value { return Value{kind: Error, ref: err} }

// failed is an error. Texts in it are written by a precision, such as %.100s: they
// may be as long as memory is.
func failed(format string, args ...any) Value { return ErrorValue(fmt.Errorf(format, args...)) }

func listValue(l list) Value { return Value{kind: List, ref: l} }

func mapValue(m mapping) Value { return Value{kind: Map, ref: m} }

// ValueOf makes a value of a Go value: of those that [TypeOf] has a type for,
// and of what JSON is decoded into.
func ValueOf(v any) Value {
	switch v := v.(type) {
	case nil:
		return Value{kind: Null}
	case bool:
		return BoolValue(v)
	case string:
		return StringValue(v)
	case int64:
		return IntValue(v)
	case float64:
		return DoubleValue(v)
	case []string:
		return textsValue(v)
	}
	_, read := fromGo(reflect.TypeOf(v))
	return read(reflect.ValueOf(v))
}

// Kind is what the value is.
func (v Value) Kind() Kind { return v.kind }

// True reports whether the value is true.
func (v Value) True() bool { return v.kind == Bool && v.num == 1 }

// Text is the text of a String or an Opaque.
func (v Value) Text() string { return v.text }

// Num are the bits of an Opaque.
func (v Value) Num() uint64 { return v.num }

// Int is an Int's number.
func (v Value) Int() int64 { return int64(v.num) }

// Err is the error of an Error, else nil.
func (v Value) Err() error {
	if v.kind == Error {
		return v.ref.(error)
	}
	return nil
}

// Unseen are the unseen facts that an Unknown hangs on, by the indexes that
// the [Scope] gave, in order.
func (v Value) Unseen() []int {
	facts, _ := v.ref.([]int)
	return facts
}

// Elements are those of a List.
func (v Value) Elements() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		l := v.list()
		for i := range l.len() {
			if !yield(i, l.at(i)) {
				return
			}
		}
	}
}

// all are the elements of a list, for who changes it.
func all(l list) values {
	items := make(values, l.len())
	for i := range items {
		items[i] = l.at(i)
	}
	return items
}

// special reports whether a value is no value: what is made of it is neither.
func (v Value) special() bool { return v.kind == Unknown || v.kind == Error }

func (v Value) double() float64         { return math.Float64frombits(v.num) }
func (v Value) time() time.Time         { return v.ref.(time.Time) }
func (v Value) duration() time.Duration { return time.Duration(v.num) }
func (v Value) list() list              { return v.ref.(list) }
func (v Value) mapping() mapping        { return v.ref.(mapping) }

// Native is the value as JSON has it: a time by RFC 3339, a list as []any, and a
// number that JSON has not as text.
func (v Value) Native() any {
	switch v.kind {
	case Bool:
		return v.True()
	case Int:
		return v.Int()
	case Double:
		if d := v.double(); !math.IsNaN(d) && !math.IsInf(d, 0) {
			return d
		}
		return strconv.FormatFloat(v.double(), 'g', -1, 64)
	case String, Opaque:
		return v.text
	case Timestamp:
		return v.time().UTC().Format(time.RFC3339)
	case Duration:
		return v.duration().String()
	case List:
		out := make([]any, v.list().len())
		for i := range out {
			out[i] = v.list().at(i).Native()
		}
		return out
	case Map:
		out := make(map[string]any, v.mapping().len())
		for _, k := range v.mapping().keys() {
			one, _ := v.mapping().get(k)
			out[fmt.Sprint(k.Native())] = one.Native()
		}
		return out
	case Object:
		return v.ref
	}
	return nil
}

// typeName is the kind as CEL names it.
func (v Value) typeName() string {
	switch v.kind {
	case List:
		return "list"
	case Map:
		return "map"
	case Object:
		return "an object"
	case Opaque:
		return "a helper's value"
	}
	for _, t := range []*Type{NullType, BoolType, IntType, DoubleType, StringType, TimestampType, DurationType} {
		if t.kind == v.kind {
			return t.name
		}
	}
	return "nothing"
}

// values is a list that an expression made.
type values []Value

func (l values) len() int       { return len(l) }
func (l values) at(i int) Value { return l[i] }

// texts is a list of texts. It is used by its pointer, which is where it is
// already in a struct.
type texts []string

func (l *texts) len() int       { return len(*l) }
func (l *texts) at(i int) Value { return StringValue((*l)[i]) }

func textsValue(l []string) Value { return listValue((*texts)(&l)) }

// goSlice is any other Go slice.
type goSlice struct {
	slice reflect.Value
	read  func(reflect.Value) Value
}

func (l *goSlice) len() int       { return l.slice.Len() }
func (l *goSlice) at(i int) Value { return l.read(l.slice.Index(i)) }

// goMap is a Go map by text.
type goMap struct {
	table reflect.Value
	read  func(reflect.Value) Value
}

func (m *goMap) len() int { return m.table.Len() }

func (m *goMap) get(key Value) (Value, bool) {
	if key.kind != String {
		return Value{}, false
	}
	v := m.table.MapIndex(reflect.ValueOf(key.text).Convert(m.table.Type().Key()))
	if !v.IsValid() {
		return Value{}, false
	}
	return m.read(v), true
}

func (m *goMap) keys() []Value {
	names := make([]string, 0, m.table.Len())
	for _, k := range m.table.MapKeys() {
		names = append(names, k.String())
	}
	slices.Sort(names)
	return all((*texts)(&names))
}

// entries is a map that an expression made. Keys are texts, numbers or truths;
// a number is one key whichever type it has.
type entries map[any]entry

type entry struct{ key, value Value }

// keyOf is what stands for a key in entries; not ok for what cannot be one.
func keyOf(v Value) (key any, ok bool) {
	switch v.kind {
	case Bool:
		return v.True(), true
	case Int:
		return v.Int(), true
	case Double:
		if n, whole := wholeNumber(v.double()); whole {
			return n, true
		}
	case String:
		return v.text, true
	}
	return nil, false
}

func wholeNumber(d float64) (int64, bool) {
	if d != math.Trunc(d) || d < -1<<63 || d >= 1<<63 {
		return 0, false
	}
	return int64(d), true
}

func (m entries) len() int { return len(m) }

func (m entries) get(key Value) (Value, bool) {
	k, ok := keyOf(key)
	if !ok {
		return Value{}, false
	}
	e, ok := m[k]
	return e.value, ok
}

func (m entries) keys() []Value {
	out := make([]Value, 0, len(m))
	for e := range maps.Values(m) {
		out = append(out, e.key)
	}
	slices.SortFunc(out, func(a, b Value) int {
		if a.kind == b.kind {
			order, _ := compare(a, b)
			return order
		}
		return int(a.kind) - int(b.kind)
	})
	return out
}

// equal compares as CEL does: numbers by their value whatever their type, and
// values of different types are different.
func equal(a, b Value) bool {
	if a.kind != b.kind {
		order, ok := compare(a, b)
		return ok && order == 0
	}
	switch a.kind {
	case Null:
		return true
	case Bool, Int, Duration:
		return a.num == b.num
	case Double:
		return a.double() == b.double()
	case String:
		return a.text == b.text
	case Timestamp:
		return a.time().Equal(b.time())
	case List:
		x, y := a.list(), b.list()
		if x.len() != y.len() {
			return false
		}
		for i := range x.len() {
			if !equal(x.at(i), y.at(i)) {
				return false
			}
		}
		return true
	case Map:
		x, y := a.mapping(), b.mapping()
		if x.len() != y.len() {
			return false
		}
		for _, k := range x.keys() {
			one, _ := x.get(k)
			if other, ok := y.get(k); !ok || !equal(one, other) {
				return false
			}
		}
		return true
	case Object:
		return reflect.DeepEqual(a.ref, b.ref)
	}
	return false
}

// compare orders two values; not ok for those without an order, such as a
// number that is none.
func compare(a, b Value) (order int, ok bool) {
	switch {
	case a.kind == Int && b.kind == Int:
		return compareOrdered(a.Int(), b.Int()), true
	case a.kind == Double && b.kind == Int:
		return compareNumbers(a.double(), b.Int())
	case a.kind == Int && b.kind == Double:
		order, ok = compareNumbers(b.double(), a.Int())
		return -order, ok
	case a.kind != b.kind:
		return 0, false
	}
	switch a.kind {
	case Bool:
		return compareOrdered(a.num, b.num), true
	case Double:
		x, y := a.double(), b.double()
		return compareOrdered(x, y), x == x && y == y
	case String:
		return strings.Compare(a.text, b.text), true
	case Timestamp:
		return a.time().Compare(b.time()), true
	case Duration:
		return compareOrdered(a.duration(), b.duration()), true
	}
	return 0, false
}

// compareNumbers compares as the reference does, which is as doubles: what a
// double cannot hold of a whole number does not count.
func compareNumbers(d float64, n int64) (order int, ok bool) {
	return compareOrdered(d, float64(n)), d == d
}

func compareOrdered[T int64 | uint64 | float64 | time.Duration](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// written is a value that string() can write, as it writes it.
func (v Value) written() (string, bool) {
	switch v.kind {
	case Bool:
		return strconv.FormatBool(v.True()), true
	case Int:
		return strconv.FormatInt(v.Int(), 10), true
	case Double:
		return fmt.Sprintf("%g", v.double()), true
	case String:
		return v.text, true
	case Timestamp:
		return v.time().Format(time.RFC3339Nano), true
	case Duration:
		return strconv.FormatFloat(v.duration().Seconds(), 'f', -1, 64) + "s", true
	}
	return "", false
}
