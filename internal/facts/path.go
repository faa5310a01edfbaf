package facts

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// namer finds out whether paths, as workload.Unseen has them, name facts.
type namer struct {
	fields map[reflect.Type]map[string]int // the index of a struct's fields, by their names in JSON
}

// names tells whether a path names a fact, or else gives a hint, which may be
// empty. A position must be there in a list that was seen; of one that was not,
// nobody knows how long it is. Below a map, any name will do.
func (n namer) names(f *Facts, path string) (hint string, ok bool) {
	v, rest := reflect.ValueOf(f).Elem(), "."+path
	for rest != "" {
		switch kind := v.Kind(); {
		case kind == reflect.Struct && v.Type() != timeType && rest[0] == '.':
			v, rest, hint = n.field(v, rest, path)
		case (kind == reflect.Slice || kind == reflect.Map) && rest == workload.Open:
			return "", true
		case kind == reflect.Slice && rest[0] == '.': // every element is meant
			v = reflect.Zero(v.Type().Elem())
		case kind == reflect.Slice && rest[0] == '[':
			v, rest, hint = element(v, rest, path)
		case kind == reflect.Map && len(rest) > 1 && rest[0] == '.':
			return "", true
		default:
			return fmt.Sprintf("there is nothing below %q", strings.TrimSuffix(path, rest)), false
		}
		if !v.IsValid() {
			return hint, false
		}
	}
	return "", true
}

// field steps into the field of a struct that rest begins with. What it gives is
// not valid where there is none, and then there may be a hint.
func (n namer) field(v reflect.Value, rest, path string) (at reflect.Value, below, hint string) {
	name := rest[1:]
	if end := strings.IndexAny(name, ".["); end >= 0 {
		name = name[:end]
	}
	below = rest[1+len(name):]
	known := n.fieldsOf(v.Type())
	if i, ok := known[name]; ok {
		return v.Field(i), below, ""
	}
	if near := strict.Nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
		hint = fmt.Sprintf("did you mean %q?", strings.TrimSuffix(path, name+below)+near+below)
	}
	return at, below, hint
}

// element is field for the position in a list that rest begins with.
func element(v reflect.Value, rest, path string) (at reflect.Value, below, hint string) {
	position, below, closed := strings.Cut(rest[1:], "]")
	number, err := strconv.ParseUint(position, 10, 31)
	switch {
	case !closed || err != nil && position != "*":
		return at, below, "a position is a number in brackets, or [*] for every element"
	case position == "*" || v.IsNil():
		return reflect.Zero(v.Type().Elem()), below, ""
	case int(number) >= v.Len():
		return at, below, fmt.Sprintf("%s has %d elements, and they are counted from 0", strings.TrimSuffix(path, rest), v.Len())
	}
	return v.Index(int(number)), below, ""
}

// fieldsOf are the names of a struct's fields, with their indexes.
func (n namer) fieldsOf(t reflect.Type) map[string]int {
	if known, ok := n.fields[t]; ok {
		return known
	}
	known := map[string]int{}
	for i := range t.NumField() {
		known[t.Field(i).Tag.Get("json")] = i
	}
	delete(known, "-")
	if t == reflect.TypeFor[Facts]() { // these two are about the document
		delete(known, "schema")
		delete(known, "unseen")
	}
	n.fields[t] = known
	return known
}

// spread puts in the place of an entry that is about several subjects of a kind, or
// about a whole one, an entry for each fact of each.
func (f *Facts) spread(list []workload.Unseen) []workload.Unseen {
	listed := f.Listed()
	out := make([]workload.Unseen, 0, len(list))
	for _, u := range list {
		at := slices.IndexFunc(listed, func(s Subjects) bool {
			rest, found := strings.CutPrefix(u.Path, s.Path)
			return found && rest != "" && rest != workload.Open && s.Len > 0
		})
		if at < 0 {
			out = append(out, u)
			continue
		}
		of := listed[at]
		rest := u.Path[len(of.Path):]
		position, below := "*", rest
		if rest[0] == '[' {
			position, below, _ = strings.Cut(rest[1:], "]")
		}
		if position != "*" && below != "" {
			out = append(out, u)
			continue
		}
		paths := []string{below}
		if below == "" {
			paths = wholeSubject(reflect.TypeOf(of.At(0).Value).Elem())
		}
		for i := range of.Len {
			if number, err := strconv.Atoi(position); err == nil && number != i {
				continue
			}
			for _, p := range paths {
				out = append(out, workload.Unseen{Path: fmt.Sprintf("%s[%d]%s", of.Path, i, p), Reason: u.Reason})
			}
		}
	}
	return out
}

// wholeSubject are the paths of all that there is to know of one.
func wholeSubject(t reflect.Type) []string {
	var paths []string
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("json"); name != "-" {
			paths = append(paths, "."+name)
		}
	}
	return paths
}
