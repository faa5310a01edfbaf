package strict

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// fillMap adds to a map, or makes one.
func (f *filler) fillMap(p *plan, into reflect.Value, depth int) error {
	if into.IsNil() {
		into.Set(reflect.MakeMap(p.typ))
	}
	at, elem := f.keyPlace, f.textPlace
	if p.typ.Key() != stringType {
		at = reflect.New(p.typ.Key()).Elem()
	}
	if p.elem.typ != stringType {
		elem = reflect.New(p.elem.typ).Elem()
	}
	var keys keySet
	base := len(f.members)
	err := f.eachMember(func() error {
		key, hash, err := f.keyColon()
		if err != nil {
			return err
		}
		if keys.add(key, hash, f.members[base:]) >= 0 {
			return errTwice
		}
		f.members = append(f.members, Member{Key: key})
		if p.key == keyOther {
			if err := p.readKey(key, at); err != nil {
				return err
			}
		}
		elem.SetZero()
		unknown := len(f.unknown)
		if err := f.fill(p.elem, elem, depth+1); err != nil {
			return err
		}
		if len(f.unknown) > unknown {
			f.within(keyStep(key), unknown)
		}
		if p.key == keyText {
			at.SetString(key) // only now, since a map in the element may use the place too
		}
		into.SetMapIndex(at, elem)
		return nil
	})
	f.members = cut(f.members, base)
	return err
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

// fillSlice keeps the elements that are there, also those behind the length,
// and fills them once more.
func (f *filler) fillSlice(p *plan, into reflect.Value, depth int) error {
	n, err := f.eachItem(func(i int) error {
		if i >= into.Cap() {
			into.Grow(f.ahead(p.elem))
		}
		if i >= into.Len() {
			into.SetLen(i + 1)
		}
		return f.fillItem(p.elem, into.Index(i), i, depth+1)
	})
	if n == 0 {
		into.Set(p.none)
	} else {
		into.SetLen(n)
	}
	return err
}

// fillArray skips what is too much and zeroes what is missing.
func (f *filler) fillArray(p *plan, into reflect.Value, depth int) error {
	n, err := f.eachItem(func(i int) error {
		if i < into.Len() {
			return f.fillItem(p.elem, into.Index(i), i, depth+1)
		}
		v := f.newValue()
		if err := f.walk(v, depth+1); err != nil {
			return err
		}
		unknown := len(f.unknown)
		f.unknown = v.unknown(p.elem, v, f.unknown)
		f.within(indexStep(i), unknown)
		return nil
	})
	for i := n; i < into.Len(); i++ {
		into.Index(i).SetZero()
	}
	return err
}

// ahead guesses how many elements of a list follow, so that room for them is
// made once.
func (f *filler) ahead(p *plan) int {
	if p.kind > reflect.Float64 && p.kind != reflect.String {
		return 1
	}
	rest := f.data[f.pos:min(f.pos+1<<9, len(f.data))]
	if end := bytes.IndexByte(rest, ']'); end >= 0 {
		rest = rest[:end]
	}
	return 1 + bytes.Count(rest, []byte(","))
}

func (f *filler) fillItem(p *plan, into reflect.Value, i, depth int) error {
	unknown := len(f.unknown)
	err := f.fill(p, into, depth)
	if len(f.unknown) > unknown {
		f.within(indexStep(i), unknown)
	}
	return err
}
