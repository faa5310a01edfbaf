package api

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// shape is what a body's type says of the keys of one object.
type shape struct {
	keys   map[string]shapeKey
	folded map[string]string // the key as the engine compares it → as it is spelt
	also   map[string]string // another spelling that an everyday client has → the key
}

type shapeKey struct {
	typ         reflect.Type
	since, last Version
	unread      bool // clients send it, and no engine of these versions reads it
}

// shapes holds the *shape by reflect.Type of structs.
var shapes sync.Map

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{keys: map[string]shapeKey{}, folded: map[string]string{}, also: map[string]string{}}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || f.Anonymous || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		k := shapeKey{typ: f.Type, since: Oldest, last: Newest}
		tag := f.Tag.Get("api")
		if from, to, ranged := strings.Cut(tag, "-"); ranged {
			if n, err := strconv.Atoi(from); err == nil {
				k.since = Version(n)
			}
			if n, err := strconv.Atoi(to); err == nil {
				k.last = Version(n)
			}
		}
		k.unread = tag == "unread"
		s.keys[name], s.folded[strict.Fold(name)] = k, name
		if also := f.Tag.Get("also"); also != "" {
			s.also[also] = name
		}
	}
	actual, _ := shapes.LoadOrStore(t, s)
	return actual.(*shape)
}

var decodesItself = reflect.TypeFor[json.Unmarshaler]()

// inside gives the type of the parts of a list, map or struct, through pointers. ok
// is false for what has no keys of the API in it.
func inside(t reflect.Type) (_ reflect.Type, ok bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(decodesItself) {
		return t, false
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice:
		return t, true
	}
	return t, false
}
