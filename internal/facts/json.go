package facts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Encode writes the document, indented, with a newline at its end. Lists and
// maps that hold nothing are written as empty, never as null, because null
// reads as unseen; what is unseen is left out.
func Encode(f *Facts) ([]byte, error) {
	doc := *f
	doc.Unseen = slices.Clone(f.Unseen)
	for _, of := range f.Listed() {
		for i := range of.Len {
			for _, u := range *of.At(i).Unseen {
				doc.Unseen = append(doc.Unseen, workload.Unseen{Path: fmt.Sprintf("%s[%d].%s", of.Path, i, u.Path), Reason: u.Reason})
			}
		}
	}
	slices.SortStableFunc(doc.Unseen, func(a, b workload.Unseen) int { return strings.Compare(a.Path, b.Path) })
	hidden := map[string]bool{}
	for _, u := range doc.Unseen {
		hidden[u.Path] = true
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(visible(reflect.ValueOf(doc), "", hidden)); err != nil {
		return nil, fmt.Errorf("encoding facts: %w", err)
	}
	return term.EscapeJSON(out.Bytes()), nil
}

// object is a JSON object in the order of a struct's fields.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		key, err := marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := marshal(m.value)
		if err != nil {
			return nil, err
		}
		out.Write(key)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

var timeType = reflect.TypeFor[time.Time]()

// visible is v without the paths hidden, ready to be marshalled.
func visible(v reflect.Value, path string, hidden map[string]bool) any {
	switch {
	case v.Type() == timeType:
		return v.Interface()
	case v.Kind() == reflect.Struct:
		var o object
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("json")
			at := child(path, name)
			if name == "-" || hidden[at] || at == contentsKey && v.Field(i).Len() == 0 {
				continue
			}
			o = append(o, member{name, visible(v.Field(i), at, hidden)})
		}
		return o
	case v.Kind() == reflect.Slice:
		list := make([]any, v.Len())
		for i := range v.Len() {
			list[i] = visible(v.Index(i), fmt.Sprintf("%s[%d]", path, i), hidden)
		}
		return list
	case v.Kind() == reflect.Map && v.IsNil():
		return struct{}{}
	}
	return v.Interface()
}

func child(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Decode reads a document that Encode wrote, or that a person made of one. An
// unknown key, a key given twice, or anything after the document is an error
// with its line and field; so is a document without "unseen", and an entry there
// that names no fact, for both would hide what is hidden. An entry for every
// container ("containers[*].tty"), or for a whole one, becomes one for each fact.
// Any other key that is missing or null is unseen.
func Decode(file string, data []byte) (*Facts, error) {
	tree, err := strict.Tree(file, data)
	if err != nil {
		return nil, err
	}
	f := &Facts{}
	if err := tree.Decode(f); err != nil {
		return nil, err
	}
	if unknown := strict.Unknown(tree, reflect.TypeFor[Facts]()); len(unknown) > 0 {
		return nil, fmt.Errorf("%s: %q is not a fact that this version of plimsoll knows", file, unknown[0])
	}
	if f.Schema != Schema {
		return nil, fmt.Errorf("%s: schema is %q, and this version of plimsoll reads %q", file, f.Schema, Schema)
	}
	if list := tree.Get("unseen"); list == nil || list.Kind == strict.Null {
		return nil, fmt.Errorf("%s: it does not say what is unseen: add \"unseen\", a list of what was not observed or []", file)
	}
	known := namer{fields: map[reflect.Type]map[string]int{}}
	for i, u := range f.Unseen {
		if u.Path == "" || u.Reason == "" {
			return nil, fmt.Errorf("%s: unseen[%d]: write the path of a fact, such as \"daemon.seccomp\" or \"containers[3].mounts\", and a reason", file, i)
		}
		if hint, ok := known.names(f, u.Path); !ok {
			return nil, tree.Get("unseen").Items[i].Get("path").Fail(fmt.Sprintf("unseen[%d]: %q names no fact", i, u.Path), hint)
		}
	}
	f.Unseen = f.spread(f.Unseen)
	said := map[string]bool{}
	for _, u := range f.Unseen {
		said[u.Path] = true
	}
	for _, path := range absent(tree, reflect.TypeFor[Facts](), "") {
		if path == "unseen" {
			continue
		}
		if !said[path] {
			f.Unseen = append(f.Unseen, workload.Unseen{Path: path, Reason: "the facts do not say it"})
		}
	}
	f.share()
	return f, nil
}

// absent lists the paths of t's fields that the tree lacks or has as null.
func absent(v *strict.Value, t reflect.Type, path string) []string {
	var missing []string
	switch {
	case t == timeType:
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("json")
			if name == "-" {
				continue
			}
			at := child(path, name)
			field := v.Get(name)
			if at == contentsKey && field == nil {
				continue
			}
			if field == nil || field.Kind == strict.Null {
				missing = append(missing, at)
				continue
			}
			missing = append(missing, absent(field, t.Field(i).Type, at)...)
		}
	case t.Kind() == reflect.Slice:
		for i, e := range v.Items {
			at := fmt.Sprintf("%s[%d]", path, i)
			if e.Kind == strict.Null && t.Elem().Kind() != reflect.Struct {
				missing = append(missing, at)
				continue
			}
			missing = append(missing, absent(e, t.Elem(), at)...)
		}
	case t.Kind() == reflect.Map:
		// A key may have dots in it, which a path cannot say: the map is unseen.
		if slices.ContainsFunc(v.Members, func(m strict.Member) bool { return m.Value.Kind == strict.Null }) {
			missing = append(missing, path)
		}
	}
	return missing
}

// share gives each subject the part of Unseen that is about it.
func (f *Facts) share() {
	listed := f.Listed()
	var rest []workload.Unseen
	for _, u := range f.Unseen {
		list, i, below := splitPosition(u.Path)
		at := slices.IndexFunc(listed, func(s Subjects) bool { return s.Path == list })
		if at < 0 || below == "" || i >= listed[at].Len {
			rest = append(rest, u)
			continue
		}
		own := listed[at].At(i).Unseen
		*own = append(*own, workload.Unseen{Path: below, Reason: u.Reason})
	}
	f.Unseen = rest
}

// splitPosition splits "containers[3].mounts" into containers, 3 and "mounts". A
// path of another form has no list.
func splitPosition(path string) (list string, i int, below string) {
	list, rest, found := strings.Cut(path, "[")
	index, below, closed := strings.Cut(rest, "].")
	i, err := strconv.Atoi(index)
	if !found || !closed || err != nil || i < 0 || strings.Contains(list, ".") {
		return "", 0, ""
	}
	return list, i, below
}
