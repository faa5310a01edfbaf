package strict

import "reflect"

// Missing is the type of a field for what decoding JSON did not find: a struct that
// has such a field, which is no key itself (`json:"-"`), gets there the paths of
// the keys that the text should have. Those are the fields with the tag
// `strict:"required"`, in it and in the structs below, but not in lists and maps.
// null counts as missing, but for a list, a map or a pointer.
type Missing []string

var missingType = reflect.TypeFor[Missing]()

// require finds out what a text for the struct of p must have.
func (p *plan) require() {
	for i := range p.typ.NumField() {
		if p.typ.Field(i).Type == missingType {
			p.report = i
		}
	}
	for _, f := range p.order {
		if p.typ.FieldByIndex(f.index).Tag.Get("strict") != "required" {
			continue
		}
		if p.must == nil {
			p.must = make([]uint64, 1+len(p.order)/64)
		}
		p.must[f.place/64] |= 1 << (f.place % 64)
		f.required = true
		f.some = f.typ.Kind() != reflect.Slice && f.typ.Kind() != reflect.Map && f.typ.Kind() != reflect.Pointer
	}
}

// lacks is true when one of the fields that must be filled is not.
func (p *plan) lacks(filled []uint64) bool {
	for i, must := range p.must {
		if filled[i]&must != must {
			return true
		}
	}
	return false
}

// report tells what a pointer points to, which was filled from v, what v lacks.
func (v *Value) report(p *plan, place reflect.Value) {
	place.Elem().Field(p.report).Set(reflect.ValueOf(Missing(v.missing(p, "", nil))))
}

// missing adds to paths what v, which is at path, lacks.
func (v *Value) missing(p *plan, path string, paths []string) []string {
	for p.kind == reflect.Pointer {
		p = p.elem
	}
	for _, f := range p.order {
		part, at := v.Get(f.key), join(path, keyStep(f.key))
		switch {
		case part != nil && part.Kind != Null:
			paths = part.missing(f.plan, at, paths)
		case f.required && (part == nil || f.some):
			paths = append(paths, at)
		}
	}
	return paths
}
