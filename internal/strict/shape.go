package strict

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// names says whose tags and rules a Go type is read by.
type names uint8

const (
	jsonNames names = iota
	yamlNames
)

// field is a place for a key in a struct.
type field struct {
	typ    reflect.Type
	index  []int // json: the way to it through embedded structs
	quoted bool  // json's option "string", where the type has that
}

// fields are the keys that a struct knows.
type fields struct {
	byKey map[string]field
	rest  reflect.Type // of the values of other keys (yaml: inline map), or nil
}

// known are the keys, sorted.
func (f *fields) known() []string { return slices.Sorted(maps.Keys(f.byKey)) }

type typeNames struct {
	t reflect.Type
	n names
}

// cache holds *fields by typeNames; the types of a program are few.
var cache sync.Map

// fieldsOf gives the keys of a struct type.
func fieldsOf(t reflect.Type, n names) *fields {
	if f, ok := cache.Load(typeNames{t, n}); ok {
		return f.(*fields)
	}
	f := &fields{byKey: map[string]field{}}
	if n == jsonNames {
		f.addJSON(t)
	} else {
		f.addYAML(t)
	}
	actual, _ := cache.LoadOrStore(typeNames{t, n}, f)
	return actual.(*fields)
}

// addJSON adds the fields of t as encoding/json finds them: level by level of
// embedded structs; on one level a name from a tag wins over one from the Go
// field, two of the same rank hide each other, and a shallower level hides all
// deeper ones. A struct that one level embeds twice hides its own names, and is
// looked into once.
func (f *fields) addJSON(t reflect.Type) {
	type candidate struct {
		field
		tagged bool
	}
	type embedded struct {
		typ   reflect.Type
		index []int
	}
	if f.addFlat(t) {
		return
	}
	taken := map[string]bool{}
	visited := map[reflect.Type]bool{}
	times := map[reflect.Type]int{t: 1}
	for level := []embedded{{typ: t}}; len(level) > 0; {
		var next []embedded
		nextTimes := map[reflect.Type]int{}
		found := map[string][]candidate{}
		for _, e := range level {
			if visited[e.typ] {
				continue
			}
			visited[e.typ] = true
			for i := range e.typ.NumField() {
				sf := e.typ.Field(i)
				inner := sf.Type
				if sf.Anonymous && inner.Kind() == reflect.Pointer {
					inner = inner.Elem()
				}
				tag := sf.Tag.Get("json")
				if tag == "-" || !sf.IsExported() && !(sf.Anonymous && inner.Kind() == reflect.Struct) {
					continue
				}
				name, options, _ := strings.Cut(tag, ",")
				if !validName(name) {
					name = ""
				}
				index := append(slices.Clone(e.index), i)
				if sf.Anonymous && name == "" && inner.Kind() == reflect.Struct {
					next = append(next, embedded{inner, index})
					nextTimes[inner]++
					continue
				}
				c := candidate{field{typ: sf.Type, index: index}, name != ""}
				c.quoted = quotable(sf.Type) && slices.Contains(strings.Split(options, ","), "string")
				if name == "" {
					name = sf.Name
				}
				found[name] = append(found[name], c)
				if times[e.typ] > 1 {
					found[name] = append(found[name], c)
				}
			}
		}
		for name, cs := range found {
			if taken[name] {
				continue
			}
			taken[name] = true
			if tagged := slices.DeleteFunc(slices.Clone(cs), func(c candidate) bool { return !c.tagged }); len(tagged) > 0 {
				cs = tagged
			}
			if len(cs) == 1 {
				f.byKey[name] = cs[0].field
			}
		}
		level, times = next, nextTimes
	}
}

// addFlat is addJSON for a struct that embeds none and has each name once, as
// most do. It reports whether t is one.
func (f *fields) addFlat(t reflect.Type) bool {
	byKey := make(map[string]field, t.NumField())
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		if tag == "-" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			name = sf.Name
		}
		if _, twice := byKey[name]; twice || sf.Anonymous || options != "" || !validName(name) {
			return false
		}
		byKey[name] = field{typ: sf.Type, index: []int{i}}
	}
	f.byKey = byKey
	return true
}

// quotable reports whether the option "string" means something for a type.
func quotable(t reflect.Type) bool {
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Float64 || t.Kind() == reflect.String
}

// validName reports whether encoding/json takes the name of a tag.
func validName(name string) bool {
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return name != ""
}

// addYAML adds the fields of t as yaml/v3 finds them: the lower-case Go name
// without a tag, and structs and maps with the option inline merged in.
func (f *fields) addYAML(t reflect.Type) {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("yaml")
		if tag == "-" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if slices.Contains(strings.Split(options, ","), "inline") {
			if inner := target(sf.Type); inner.Kind() == reflect.Map {
				f.rest = inner.Elem()
			} else {
				f.addYAML(inner)
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		f.byKey[name] = field{typ: sf.Type}
	}
}

// target looks through pointers.
func target(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

var (
	jsonDecoder = reflect.TypeFor[json.Unmarshaler]()
	yamlDecoder = reflect.TypeFor[yaml.Unmarshaler]()
	textDecoder = reflect.TypeFor[encoding.TextUnmarshaler]()
	yamlNode    = reflect.TypeFor[yaml.Node]()
)

// opaque reports whether a type decodes itself or takes anything, so that its
// fields say nothing about the keys it knows.
func opaque(t reflect.Type, n names) bool {
	p := reflect.PointerTo(t)
	if n == jsonNames && p.Implements(jsonDecoder) || n == yamlNames && p.Implements(yamlDecoder) {
		return true
	}
	return t.Kind() == reflect.Interface || t == yamlNode || p.Implements(textDecoder)
}

// describe says in plain words what a Go type wants.
func describe(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(textDecoder) {
		return "text"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "text in base64"
		}
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number"
}

// Fold gives one form to all keys that encoding/json takes for the same field:
// the smallest of the characters that Unicode's simple folding joins. It is for
// whoever passes a text on to a decoder that does not compare exactly.
func Fold(key string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, key)
}
