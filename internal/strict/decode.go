package strict

import (
	"encoding/json"
	"reflect"
)

// Decode fills into, a pointer, from one JSON text, and lists the paths of the
// keys that it does not know: what [Tree], [Value.Decode] and [Unknown] give
// together, for less, since it reads the text once and makes no tree. The error
// is the one that they give, and into is then filled in part. A field of type
// [Missing] in into gets the keys that should be there and are not.
func Decode(file string, data []byte, into any) (unknown []string, err error) {
	p, place, err := planFor(into)
	if err != nil {
		return nil, err
	}
	f := newFiller(&document{file: file, data: data}, 0, len(data))
	err = f.whole(p, place)
	if err == nil && f.lacks && p.report >= 0 {
		// Rare, so that a tree may find out which.
		root, err := Tree(file, data)
		if err != nil {
			return nil, err
		}
		root.report(p, place)
	}
	switch {
	case err == nil && len(f.unknown) == 0:
		return nil, nil
	case err == nil:
		return f.unknown, nil
	}
	// A tree says what is wrong with the text, or into which part of it nothing
	// fits.
	root, syntax := Tree(file, data)
	if syntax != nil {
		return nil, syntax
	}
	return nil, root.explain(place.Type(), err)
}

// Decode fills into, a pointer, as encoding/json does, with two differences: a
// key goes only into the field that is spelt exactly so, and an error is an
// [*Error] with the place. Keys that into does not know are skipped; [Unknown]
// lists them. An absent value leaves into as it is. After an error into is
// filled in part. Nothing in into points into the document.
func (v *Value) Decode(into any) error {
	p, place, err := planFor(into)
	if err != nil || v == nil {
		return err
	}
	f := newFiller(v.doc, v.start, v.end)
	if err = f.fillAt(p, place, 0); err != nil {
		return v.explain(place.Type(), err)
	}
	f.giveBack()
	if f.lacks && p.report >= 0 {
		v.report(p, place)
	}
	return nil
}

// planFor gives the plan for what a pointer points to.
func planFor(into any) (*plan, reflect.Value, error) {
	t, place := reflect.TypeOf(into), reflect.ValueOf(into)
	if t == nil || t.Kind() != reflect.Pointer || place.IsNil() {
		return nil, place, &json.InvalidUnmarshalError{Type: t}
	}
	return planOf(t.Elem()), place, nil
}

// explain finds the place and the words for an error that filling a t gave.
func (v *Value) explain(t reflect.Type, err error) error {
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
