package strict

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
)

// Decode fills into, a pointer, as encoding/json does, with two differences: a
// key goes only into the field that is spelt exactly so, and an error is an
// [*Error] with the place. Keys that into does not know are skipped; [Unknown]
// lists them. An absent value leaves into as it is. After an error into is
// filled in part. Nothing in into points into the document.
func (v *Value) Decode(into any) error {
	t, place := reflect.TypeOf(into), reflect.ValueOf(into)
	if t == nil || t.Kind() != reflect.Pointer || place.IsNil() {
		return &json.InvalidUnmarshalError{Type: t}
	}
	if v == nil {
		return nil
	}
	err := planOf(t.Elem()).fillAt(v, place)
	if err == nil {
		return nil
	}
	if e := v.locate(t); e != nil {
		return e
	}
	// No part is wrong by itself, so that the way in is: a map's key, or a field
	// with the option "string". encoding/json names those, but might take an
	// unknown key for a known one.
	if Unknown(v, t) == nil {
		if named := json.Unmarshal(v.Raw(), reflect.New(t.Elem()).Interface()); named != nil {
			err = named
		}
	}
	e := v.Fail(v.Path(), "")
	e.Err = err
	return e
}

// fillAt fills what a pointer points to. The errors of it and of all below only
// say that something is wrong: Decode looks for the place and the words.
func (p *plan) fillAt(v *Value, pointer reflect.Value) error {
	switch {
	case p.own == ownNothing || !pointer.CanInterface():
	case p.own == ownJSON:
		// The tree has read the part already: json.Unmarshal would only check it.
		return pointer.Interface().(json.Unmarshaler).UnmarshalJSON(v.Raw())
	case v.Kind != Null:
		return json.Unmarshal(v.Raw(), pointer.Interface())
	}
	return p.fillByKind(v, pointer.Elem())
}

// fill fills a place in a Go value.
func (p *plan) fill(v *Value, into reflect.Value) error {
	if p.own != ownNothing && p.named {
		return p.fillAt(v, into.Addr())
	}
	return p.fillByKind(v, into)
}

func (p *plan) fillByKind(v *Value, into reflect.Value) error {
	switch k := p.kind; {
	case v.Kind == Null && k != reflect.Interface:
		if k == reflect.Pointer || k == reflect.Map || k == reflect.Slice {
			into.SetZero()
		}
		return nil
	case k == reflect.String && v.Kind == String && p.typ != numberType:
		into.SetString(v.Text())
		return nil
	case k == reflect.Bool && v.Kind == Bool:
		into.SetBool(v.doc.data[v.start] == 't')
		return nil
	case v.Kind == Number && p.fillNumber(v, into):
		return nil
	case k == reflect.Pointer:
		if into.IsNil() {
			into.Set(reflect.New(p.elem.typ))
		}
		return p.elem.fillAt(v, into)
	case k == reflect.Struct && v.Kind == Object:
		return p.fillStruct(v, into)
	case k == reflect.Struct:
		// encoding/json must not be asked about such a part alone: it would use the
		// decoder that an embedded struct lends to one without a name.
		return &json.UnmarshalTypeError{Value: v.Kind.String(), Type: p.typ}
	case k == reflect.Map && v.Kind == Object && p.key != keyNone:
		return p.fillMap(v, into)
	case k == reflect.Slice && v.Kind == Array:
		return p.fillSlice(v, into)
	case k == reflect.Array && v.Kind == Array:
		return p.fillArray(v, into)
	case k == reflect.Interface && v.Kind != Null && into.IsNil() && p.typ.NumMethod() == 0:
		if free, ok := v.free(); ok {
			into.Set(reflect.ValueOf(free))
			return nil
		}
	}
	// What is rare, such as base64, or does not fit.
	return json.Unmarshal(v.Raw(), into.Addr().Interface())
}

// free gives what encoding/json makes of a part for an empty interface, unless
// a number is out of range.
func (v *Value) free() (any, bool) {
	switch v.Kind {
	case Null:
		return nil, true
	case Bool:
		return v.doc.data[v.start] == 't', true
	case Number:
		n, err := strconv.ParseFloat(string(v.Raw()), 64)
		return n, err == nil
	case String:
		return v.Text(), true
	case Array:
		list := make([]any, len(v.Items))
		for i, item := range v.Items {
			var ok bool
			if list[i], ok = item.free(); !ok {
				return nil, false
			}
		}
		return list, true
	}
	object := make(map[string]any, len(v.Members))
	for _, m := range v.Members {
		var ok bool
		if object[m.Key], ok = m.Value.free(); !ok {
			return nil, false
		}
	}
	return object, true
}

// fillNumber reports whether the number fits into a place for numbers.
func (p *plan) fillNumber(v *Value, into reflect.Value) bool {
	switch raw := v.Raw(); {
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

// fillSlice keeps the elements that are there, also those behind the length,
// and fills them once more.
func (p *plan) fillSlice(v *Value, into reflect.Value) error {
	n := len(v.Items)
	if n == 0 {
		into.Set(p.none)
		return nil
	}
	if n > into.Cap() {
		into.SetLen(into.Cap())
		into.Grow(n - into.Len())
	}
	into.SetLen(n)
	for i, item := range v.Items {
		if err := p.elem.fill(item, into.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// fillArray skips what is too much and zeroes what is missing.
func (p *plan) fillArray(v *Value, into reflect.Value) error {
	for i := range into.Len() {
		if i >= len(v.Items) {
			into.Index(i).SetZero()
		} else if err := p.elem.fill(v.Items[i], into.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) fillStruct(v *Value, into reflect.Value) error {
	for i := range v.Members {
		m := &v.Members[i]
		f := p.fields[m.Key]
		if f == nil {
			continue
		}
		at, err := f.in(into)
		switch {
		case err != nil:
		case f.box != nil:
			err = f.fillQuoted(m.Value, at)
		default:
			err = f.plan.fill(m.Value, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// in gives the place of a field, through embedded structs.
func (f *planField) in(into reflect.Value) (reflect.Value, error) {
	last := len(f.index) - 1
	for _, i := range f.index[:last] {
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
	return into.Field(f.index[last]), nil
}

// fillQuoted fills a field with the option "string": encoding/json reads the
// part into a struct that has only such a field.
func (f *planField) fillQuoted(v *Value, into reflect.Value) error {
	box := reflect.New(f.box)
	box.Elem().Field(0).Set(into)
	data := append([]byte(`{"V":`), v.Raw()...)
	err := json.Unmarshal(append(data, '}'), box.Interface())
	into.Set(box.Elem().Field(0))
	return err
}

// fillMap adds to a map, or makes one.
func (p *plan) fillMap(v *Value, into reflect.Value) error {
	if into.IsNil() {
		into.Set(reflect.MakeMapWithSize(p.typ, len(v.Members)))
	}
	key, elem := reflect.New(p.typ.Key()).Elem(), reflect.New(p.elem.typ).Elem()
	for i := range v.Members {
		m := &v.Members[i]
		if p.key == keyText {
			key.SetString(m.Key)
		} else if err := p.readKey(m.Key, key); err != nil {
			return err
		}
		elem.SetZero()
		if err := p.elem.fill(m.Value, elem); err != nil {
			return err
		}
		into.SetMapIndex(key, elem)
	}
	return nil
}

// readKey reads a key that is no mere text: encoding/json reads it as the only
// key of a map.
func (p *plan) readKey(text string, into reflect.Value) error {
	quoted, err := json.Marshal(text)
	if err != nil {
		return err
	}
	one := reflect.New(p.keyMap)
	if err := json.Unmarshal([]byte("{"+string(quoted)+":{}}"), one.Interface()); err != nil {
		return err
	}
	for keys := one.Elem().MapRange(); keys.Next(); {
		into.SetIterKey(keys)
	}
	return nil
}
