package strict

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var jsonSeeds = []string{
	`{}`, `[]`, `null`, `"x"`, `-0.5e-3`, `{"a":[1,2,{"b":null}],"A":1}`, `{"HostConfig":{"Binds":["/:/h"]},"HoſtConfig":null}`,
	`{"a":1,"a":2}`, `"\ud83d\ude00\ud800"`, "\"\xff\"", `{"k":1,"\u212a":2}`, `[1,]`, `01`, `{} x`, `1e999`, "\ufeff{}",
	`{"Source":"/","RW":true,"mounts":[{"Source":1}],"labels":{"a":"","A":""},"quoted":"1","when":"2026-11-24T00:00:00Z"}`,
}

// FuzzTree: what is accepted is what encoding/json accepts, less the refusals
// of this package, and the tree holds exactly what encoding/json reads.
func FuzzTree(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Tree("f", data)
		if err != nil {
			e := asError(t, err)
			if json.Valid(data) && utf8.Valid(data) {
				for _, ours := range []string{"is given twice", "half of a surrogate pair", "levels inside each other"} {
					if strings.Contains(e.Msg, ours) {
						return
					}
				}
				t.Errorf("valid JSON refused: %v", err)
			}
			if utf8.Valid(data) && (e.Line < 0 || e.Line > 1+strings.Count(string(data), "\n")) {
				t.Errorf("line %d of a shorter text", e.Line)
			}
			return
		}
		var want any
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatalf("accepted, but encoding/json says %v", err)
		}
		if got := plainValue(v); !reflect.DeepEqual(want, got) {
			t.Errorf("encoding/json reads %#v, the tree holds %#v", want, got)
		}
		if len(data) > 1000 {
			return // what follows takes the square of the length
		}
		// Every part is found again by its path, and its text is JSON of its own.
		var walk func(part *Value)
		walk = func(part *Value) {
			if !json.Valid(part.Raw()) {
				t.Errorf("raw %q", part.Raw())
			}
			if line, column := part.Position(); line < 1 || column < 1 {
				t.Errorf("position %d:%d", line, column)
			}
			for _, m := range part.Members {
				if got, want := m.Value.Path(), join(part.Path(), keyStep(m.Key)); got != want {
					t.Errorf("path %q, want %q", got, want)
				}
				walk(m.Value)
			}
			for i, item := range part.Items {
				if got, want := item.Path(), join(part.Path(), indexStep(i)); got != want {
					t.Errorf("path %q, want %q", got, want)
				}
				walk(item)
			}
		}
		walk(v)
	})
}

// FuzzJSON: what is accepted is read as encoding/json reads it, into any and
// into a struct, and no object of unknown use has two keys that fold together.
func FuzzJSON(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want any
		if err := JSON("f", data, &got); err == nil {
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatalf("accepted, but encoding/json says %v", err)
			}
			if !reflect.DeepEqual(want, got) {
				t.Errorf("encoding/json reads %#v, we %#v", want, got)
			}
			distinct(t, got)
		}
		var gotHost, wantHost host
		if err := JSON("f", data, &gotHost); err == nil {
			d := json.NewDecoder(strings.NewReader(string(data)))
			d.DisallowUnknownFields()
			if err := d.Decode(&wantHost); err != nil {
				t.Fatalf("accepted, but encoding/json says %v", err)
			}
			if !reflect.DeepEqual(wantHost, gotHost) {
				t.Errorf("encoding/json reads %+v, we %+v", wantHost, gotHost)
			}
			if v, err := Tree("f", data); err != nil || Unknown(v, reflect.TypeFor[host]()) != nil {
				t.Errorf("accepted with unknown keys, or %v", err)
			}
		}
	})
}

// distinct checks, by another way than fold, that no keys differ only in case.
func distinct(t *testing.T, v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			distinct(t, e)
		}
	case map[string]any:
		for a, e := range v {
			for b := range v {
				if a != b && strings.EqualFold(a, b) {
					t.Errorf("%q and %q in one object", a, b)
				}
			}
			distinct(t, e)
		}
	}
}

// FuzzYAML: what is accepted means the same after it was written and read
// again; what is refused has its place in the file.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{
		"a: 1\nb: [x, ~, {c: d}]\n", "a: &x [1]\nb: *x\n", "a: &x {b: *x}", "<<: {a: 1}", "a: 1\na: 2", "--- a\n--- b\n", "\ta: 1",
		"? [a]\n: 1", "!!binary YQ==: 1", "a: !foo 1", "a: |\n  text\n\tx\n", "1: a\n\"1\": b", "a: 2026-11-24", "a: .nan", "# only", "a: 'it''s'\n",
		"- - - x\n- {a: b, c: [1.5, 0o17, 0x1f, yes]}", "a: \"\\u00e9\\x07\"", "k: >-\n  folded\n  text\n\n  more\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got any
		if err := YAML("f", data, &got); err != nil {
			e := asError(t, err)
			if e.File != "f" || e.Line < 0 || e.Line > 1+strings.Count(string(data), "\n") {
				t.Errorf("place %s:%d", e.File, e.Line)
			}
			_ = e.Excerpt()
			return
		}
		text, err := yaml.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var again any
		if err := YAML("g", text, &again); err != nil {
			t.Fatalf("written as %q: %v", text, err)
		}
		if !same(got, again) {
			t.Errorf("%#v\nwritten as %q\nread as %#v", got, text, again)
		}
	})
}

// same compares what YAML was read as. yaml/v3 writes 8.0 as 8, so that a number
// may come back as another Go type.
func same(a, b any) bool {
	a, b = textKeys(a), textKeys(b)
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		for k := range a {
			_, has := b[k]
			ok = ok && has && same(a[k], b[k])
		}
		return ok && len(a) == len(b)
	case []any:
		b, ok := b.([]any)
		ok = ok && len(a) == len(b)
		for i := 0; ok && i < len(a); i++ {
			ok = same(a[i], b[i])
		}
		return ok
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	case float64:
		switch b := b.(type) {
		case float64:
			return a == b || math.IsNaN(a) && math.IsNaN(b)
		case int:
			return a == float64(b)
		case uint64:
			return a == float64(b)
		}
		return false
	}
	return reflect.DeepEqual(a, b)
}

// textKeys writes the keys of a map with keys of any kind as text.
func textKeys(v any) any {
	m, ok := v.(map[any]any)
	if !ok {
		return v
	}
	texts := make(map[string]any, len(m))
	for k, e := range m {
		texts[fmt.Sprint(k)] = e
	}
	return texts
}
