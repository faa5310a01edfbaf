package strict

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
)

// filler fills Go values straight from the text, which it checks on the way as
// Tree does. Its errors, also those of the parser in it, only say that something
// is wrong: Tree and explain find the place and the words.
type filler struct {
	parser
	// unknown has the keys that were skipped, as paths that begin at the value
	// being filled: whoever fills a part of it puts the step to the part before.
	unknown []string
	// lacks is true when a required key was not there.
	lacks bool
	// chunk holds short texts next to each other, since to make each alone takes
	// a good part of the time. One that is kept keeps its chunk.
	chunk strings.Builder
}

// newFiller is for the part of a document from start to end.
func newFiller(d *document, start, end int) filler {
	return filler{parser: parser{scratch: scratches.Get().(*scratch), doc: d, data: d.data[:end], pos: start}}
}

// whole fills what a pointer points to from the whole text.
func (f *filler) whole(p *plan, pointer reflect.Value) error {
	f.space()
	if err := f.fillAt(p, pointer, 0); err != nil {
		return err
	}
	if err := f.end(); err != nil {
		return err
	}
	f.giveBack()
	return nil
}

// fillAt fills what a pointer points to from the value that comes next.
func (f *filler) fillAt(p *plan, pointer reflect.Value, depth int) error {
	if p.own == ownNothing || !pointer.CanInterface() || p.own == ownText && kindBy[f.peek()] == Null {
		return f.fillByKind(p, pointer.Elem(), depth)
	}
	raw, err := f.skip(depth)
	switch {
	case err != nil:
		return err
	case p.own == ownJSON:
		// The part is checked already: json.Unmarshal would only do it again.
		return pointer.Interface().(json.Unmarshaler).UnmarshalJSON(raw)
	}
	return json.Unmarshal(raw, pointer.Interface())
}

// fill fills a place in a Go value.
func (f *filler) fill(p *plan, into reflect.Value, depth int) error {
	if p.own != ownNothing && p.named {
		return f.fillAt(p, into.Addr(), depth)
	}
	return f.fillByKind(p, into, depth)
}

func (f *filler) fillByKind(p *plan, into reflect.Value, depth int) error {
	if depth > maxDepth {
		return f.tooDeep()
	}
	kind := kindBy[f.peek()]
	if kind == Null && p.kind != reflect.Interface {
		return f.fillNull(p, into)
	}
	switch p.kind {
	case reflect.String:
		if kind == String && p.typ != numberType {
			text, err := f.text()
			if err == nil {
				into.SetString(text)
			}
			return err
		}
	case reflect.Bool:
		if kind == Bool {
			into.SetBool(f.peek() == 't')
			_, err := f.skip(depth)
			return err
		}
	case reflect.Struct:
		if kind == Object {
			return f.fillStruct(p, into, depth)
		}
		// encoding/json must not be asked about such a part alone: it would use the
		// decoder that an embedded struct lends to one without a name.
		return &json.UnmarshalTypeError{Value: kind.String(), Type: p.typ}
	case reflect.Map:
		if kind == Object && p.key != keyNone {
			return f.fillMap(p, into, depth)
		}
	case reflect.Slice:
		if kind == Array {
			return f.fillSlice(p, into, depth)
		}
	case reflect.Array:
		if kind == Array {
			return f.fillArray(p, into, depth)
		}
	case reflect.Pointer:
		if into.IsNil() {
			into.Set(reflect.New(p.elem.typ))
		}
		return f.fillAt(p.elem, into, depth)
	case reflect.Interface:
		if into.IsNil() && p.typ.NumMethod() == 0 {
			free, err := f.free(depth)
			if err == nil && free != nil {
				into.Set(reflect.ValueOf(free))
			}
			return err
		}
	}
	raw, err := f.skip(depth)
	if err != nil {
		return err
	}
	if kind == Number && p.fillNumber(raw, into) {
		return nil
	}
	// What is rare, such as base64, or does not fit.
	return json.Unmarshal(raw, into.Addr().Interface())
}

// fillNull empties what can be nil, and leaves the rest as it is.
func (f *filler) fillNull(p *plan, into reflect.Value) error {
	if err := f.literal(); err != nil {
		return err
	}
	if p.kind == reflect.Pointer || p.kind == reflect.Map || p.kind == reflect.Slice {
		into.SetZero()
	}
	return nil
}

// fillNumber reports whether the number fits into a place for numbers.
func (p *plan) fillNumber(raw []byte, into reflect.Value) bool {
	switch {
	case into.CanInt():
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || into.OverflowInt(n) {
			return false
		}
		into.SetInt(n)
	case into.CanUint():
		n, err := strconv.ParseUint(string(raw), 10, 64)
		if err != nil || into.OverflowUint(n) {
			return false
		}
		into.SetUint(n)
	case into.CanFloat():
		n, err := strconv.ParseFloat(string(raw), p.typ.Bits())
		if err != nil || into.OverflowFloat(n) {
			return false
		}
		into.SetFloat(n)
	default:
		return false
	}
	return true
}

func (f *filler) fillStruct(p *plan, into reflect.Value, depth int) error {
	var few [4]uint64
	filled := few[:] // a bit for each field
	if n := 1 + len(p.order)/64; n > len(few) {
		filled = make([]uint64, n)
	}
	var skipped keySet
	base, outside, next := len(f.members), len(f.unknown), 0
	for more := f.begin('}'); more; {
		at, err := f.field(p, next, &skipped, base)
		switch {
		case err != nil:
			return err
		case at == nil:
			_, err = f.skip(depth + 1)
		case filled[at.place/64]&(1<<(at.place%64)) != 0:
			return errTwice
		default:
			filled[at.place/64] |= 1 << (at.place % 64)
			next = at.place + 1
			f.lacks = f.lacks || at.some && f.peek() == 'n'
			err = f.fillField(at, into, depth+1)
		}
		if err != nil {
			return err
		}
		var wrong *Error
		if more, wrong = f.more('}'); wrong != nil {
			return wrong
		}
	}
	f.members = cut(f.members, base)
	f.lacks = f.lacks || p.lacks(filled)
	if p.opaque {
		f.unknown = f.unknown[:outside] // it knows everything: see Unknown
	}
	return nil
}

// field walks over a key and its colon, and gives the field for it, or nil for
// one that is not known. It looks first for the next field, for most texts have
// the keys in that order. Keys that are not known are in skipped, and on the
// stack from base on.
func (f *filler) field(p *plan, next int, skipped *keySet, base int) (*planField, error) {
	if next < len(p.order) && f.is(p.order[next].key) {
		if err := f.colon(); err != nil {
			return nil, err
		}
		return p.order[next], nil
	}
	key, hash, err := f.keyColon()
	if err != nil {
		return nil, err
	}
	if at := p.fields[key]; at != nil {
		return at, nil
	}
	if skipped.add(key, hash, f.members[base:]) >= 0 {
		return nil, errTwice
	}
	f.members = append(f.members, Member{Key: key})
	f.unknown = append(f.unknown, keyStep(key))
	return nil, nil
}

// is walks over the key, if it is this one and written without escapes.
func (f *filler) is(key string) bool {
	end := f.pos + 1 + len(key)
	if end >= len(f.data) || f.data[f.pos] != '"' || f.data[end] != '"' || string(f.data[f.pos+1:end]) != key {
		return false
	}
	f.pos = end + 1
	return true
}

// within puts a step before the paths from the index on.
func (f *filler) within(step string, from int) {
	for i, path := range f.unknown[from:] {
		f.unknown[from+i] = join(step, path)
	}
}

func (f *filler) fillField(at *planField, into reflect.Value, depth int) error {
	place, err := at.in(into)
	if err != nil {
		return err
	}
	if at.box != nil {
		raw, err := f.skip(depth)
		if err != nil {
			return err
		}
		return at.fillQuoted(raw, place)
	}
	unknown := len(f.unknown)
	err = f.fill(at.plan, place, depth)
	if len(f.unknown) > unknown {
		f.within(keyStep(at.key), unknown)
	}
	return err
}

// in gives the place of a field, through embedded structs.
func (at *planField) in(into reflect.Value) (reflect.Value, error) {
	last := len(at.index) - 1
	for _, i := range at.index[:last] {
		into = into.Field(i)
		if into.Kind() != reflect.Pointer {
			continue
		}
		if into.IsNil() {
			if !into.CanSet() {
				return into, errors.New("an embedded pointer to a struct that is not exported cannot be set")
			}
			into.Set(reflect.New(into.Type().Elem()))
		}
		into = into.Elem()
	}
	return into.Field(at.index[last]), nil
}

// fillQuoted fills a field with the option "string": encoding/json reads the
// part into a struct that has only such a field.
func (at *planField) fillQuoted(raw []byte, into reflect.Value) error {
	box := reflect.New(at.box)
	box.Elem().Field(0).Set(into)
	data := append([]byte(`{"V":`), raw...)
	err := json.Unmarshal(append(data, '}'), box.Interface())
	into.Set(box.Elem().Field(0))
	return err
}
