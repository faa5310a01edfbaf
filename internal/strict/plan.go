package strict

import (
	"encoding/json"
	"reflect"
	"slices"
	"sync"
)

// plan is what decoding and Unknown know of a Go type.
type plan struct {
	typ    reflect.Type
	kind   reflect.Kind
	own    own
	named  bool // a type without a name uses its own decoder only behind a pointer
	opaque bool // see opaque

	elem   *plan                 // of a pointer, list or map
	none   reflect.Value         // of a slice: one without elements
	key    mapKey                // of a map
	keyMap reflect.Type          // of a map with keyOther: one with the same keys
	fields map[string]*planField // of a struct
	must   []uint64              // of a struct: a bit for each required field
	report int                   // of a struct: the index of its field of type Missing, or -1
	order  []*planField          // the same in the order of the Go fields
}

// own is the decoder that a type, or the pointer to it, brings with it.
type own uint8

const (
	ownNothing own = iota
	ownJSON
	ownText
)

// mapKey says how the keys of a map are read.
type mapKey uint8

const (
	keyNone  mapKey = iota // encoding/json refuses such a map
	keyText                // as they are
	keyOther               // numbers, and types with their own decoder
)

// planField is a field of a struct beside the plan for it.
type planField struct {
	field
	key   string
	place int // in the order of the fields
	plan  *plan
	// required is true for a key that a whole text has; some is true where null
	// stands for nothing there, as no list, map or pointer is meant.
	required, some bool
	box            reflect.Type // for the option "string": a struct with one field of the type
}

var numberType = reflect.TypeFor[json.Number]()

// plans holds the *plan by reflect.Type. A plan is stored when everything that
// it leads to is complete; making holds those that are not stored too, since
// types may contain themselves.
var (
	plans  sync.Map
	making = struct {
		sync.Mutex
		plans map[reflect.Type]*plan
	}{plans: map[reflect.Type]*plan{}}
)

// Prepare makes what decoding into a T needs, for who waits for the text anyway.
func Prepare[T any]() { planOf(reflect.TypeFor[T]()) }

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	making.Lock()
	defer making.Unlock()
	p := makePlan(t)
	plans.Store(t, p)
	return p
}

// makePlan makes the plans for a type and for all types in it.
func makePlan(t reflect.Type) *plan {
	if p, ok := making.plans[t]; ok {
		return p
	}
	p := &plan{typ: t, kind: t.Kind(), report: -1, named: t.Name() != ""}
	making.plans[t] = p
	if pointer := reflect.PointerTo(t); pointer.Implements(jsonDecoder) {
		p.own = ownJSON
	} else if pointer.Implements(textDecoder) {
		p.own = ownText
	}
	p.opaque = p.own != ownNothing || p.kind == reflect.Interface || t == yamlNode
	switch p.kind {
	case reflect.Pointer, reflect.Array:
		p.elem = makePlan(t.Elem())
	case reflect.Slice:
		p.elem, p.none = makePlan(t.Elem()), reflect.MakeSlice(t, 0, 0)
	case reflect.Map:
		p.elem, p.key = makePlan(t.Elem()), mapKeyOf(t.Key())
		if p.key == keyOther {
			p.keyMap = reflect.MapOf(t.Key(), reflect.TypeFor[struct{}]())
		}
	case reflect.Struct:
		p.fields = map[string]*planField{}
		for key, f := range fieldsOf(t, jsonNames).byKey {
			at := &planField{field: f, key: key, plan: makePlan(f.typ)}
			if f.quoted {
				at.box = reflect.StructOf([]reflect.StructField{{Name: "V", Type: f.typ, Tag: `json:",string"`}})
			}
			p.fields[key] = at
			p.order = append(p.order, at)
		}
		slices.SortFunc(p.order, func(a, b *planField) int { return slices.Compare(a.index, b.index) })
		for i, f := range p.order {
			f.place = i
		}
		p.require()
	}
	return p
}

func mapKeyOf(t reflect.Type) mapKey {
	switch k := t.Kind(); {
	case reflect.PointerTo(t).Implements(textDecoder):
		return keyOther
	case k == reflect.String:
		return keyText
	case k >= reflect.Int && k <= reflect.Uintptr:
		return keyOther
	}
	return keyNone
}

// Unknown lists the paths below v, beginning at v, of the keys that a Go value
// of type t has no field for, in the order of the text. It follows json tags,
// embedded structs, maps, lists and pointers. What decodes itself, any and
// json.RawMessage know everything. Where the kinds do not fit (a list where t
// has a struct) nothing is listed: Decode refuses that.
func Unknown(v *Value, t reflect.Type) []string {
	if v == nil || t == nil {
		return nil
	}
	return v.unknown(planOf(t), v, nil)
}

// unknown adds to paths what is unknown in v, a part of root.
func (v *Value) unknown(p *plan, root *Value, paths []string) []string {
	for p.kind == reflect.Pointer {
		p = p.elem
	}
	if p.opaque {
		return paths
	}
	switch p.kind {
	case reflect.Struct:
		for i := range v.Members {
			m := &v.Members[i]
			if f := p.fields[m.Key]; f != nil {
				paths = m.Value.unknown(f.plan, root, paths)
				continue
			}
			e := &Error{}
			root.lead(v, e)
			paths = append(paths, join(e.Field, keyStep(m.Key)))
		}
	case reflect.Map:
		for i := range v.Members {
			paths = v.Members[i].Value.unknown(p.elem, root, paths)
		}
	case reflect.Slice, reflect.Array:
		for _, item := range v.Items {
			paths = item.unknown(p.elem, root, paths)
		}
	}
	return paths
}
