package strict

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// decodesAlike reads documents one after the other into the same value, so that
// later ones meet what earlier ones left, and checks that encoding/json makes
// the same of them. One that is refused ends it, for then a value is half full.
func decodesAlike(t interface {
	Helper()
	Fatalf(string, ...any)
}, documents ...string) (refused bool) {
	t.Helper()
	var got, want rich
	for i, data := range documents {
		v, err := Tree("f", []byte(data))
		if err != nil {
			return true
		}
		if misspells(v) {
			return false // encoding/json takes such a key
		}
		gotErr, wantErr := v.Decode(&got), json.Unmarshal([]byte(data), &want)
		if (gotErr != nil) != (wantErr != nil) {
			t.Fatalf("%q\nencoding/json says %v\nand we %v", documents[:i+1], wantErr, gotErr)
		}
		if gotErr != nil {
			var e *Error
			if !errors.As(gotErr, &e) || e.Line == 0 || e.Msg == "" && e.Err == nil {
				t.Fatalf("%q is refused without a place or a reason: %v", documents[:i+1], gotErr)
			}
			// Where no part is wrong by itself, the words are those of encoding/json.
			if e.Msg == "" && Unknown(v, reflect.TypeFor[rich]()) == nil && e.Err.Error() != wantErr.Error() {
				t.Fatalf("%q\nencoding/json says %v\nand we %v", documents[:i+1], wantErr, e.Err)
			}
			return true
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%q\nencoding/json reads %+v\nand we             %+v", documents[:i+1], want, got)
		}
	}
	return false
}

// richKeys are the keys of rich and of the structs in it, by their folded form.
var richKeys = func() map[string]string {
	keys, seen := map[string]string{}, map[reflect.Type]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			for key, f := range fieldsOf(t, jsonNames).byKey {
				keys[Fold(key)] = key
				walk(f.typ)
			}
		}
	}
	walk(reflect.TypeFor[rich]())
	return keys
}()

// misspells reports whether a key differs only in case from one of rich.
func misspells(v *Value) bool {
	for _, m := range v.Members {
		if known := richKeys[Fold(m.Key)]; known != "" && known != m.Key || misspells(m.Value) {
			return true
		}
	}
	for _, item := range v.Items {
		if misspells(item) {
			return true
		}
	}
	return false
}

func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	taken, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var documents []string
		for range rapid.IntRange(1, 3).Draw(t, "documents") {
			documents = append(documents, richDocument(t, reflect.TypeFor[rich](), 4))
		}
		if decodesAlike(t, documents...) {
			refused++
		} else {
			taken++
		}
	})
	if taken == 0 || refused == 0 {
		t.Errorf("%d documents taken, %d refused: one side was never seen", taken, refused)
	}
}

// FuzzDecode: what encoding/json takes is taken and read alike, whatever the
// value held before; what it refuses is refused.
func FuzzDecode(f *testing.F) {
	g := rapid.Custom(func(t *rapid.T) string { return richDocument(t, reflect.TypeFor[rich](), 3) })
	for seed := range 30 {
		f.Add(g.Example(seed), g.Example(seed+1000))
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		decodesAlike(t, first, second)
		decodesAlike(t, second, first, second)
	})
}

// TestDecodeOfEachField gives every field of rich a part of every kind, alone:
// in one struct the first error would hide the others.
func TestDecodeOfEachField(t *testing.T) {
	parts := strings.Fields(`null true 1 300 -1 1.5 1e999 "" "a" "a-b" "1" "300" "true" "null" "\"q\"" "aGk=" "::1" "2026-11-24T00:00:00Z"
		[] [1] [null] ["a"] [1,2,3,4] [[]] [{}] [{"Path":"/","RW":true},{"Tags":["x"]}] {} {"a":1} {"a":null} {"a":"b"} {"1":"b"} {"300":true}
		{"a-b":1} {"::1":"x"} {"Path":"/p"} {"a":{"Path":"/p"}} {"a":{"b":1}} {"Inside":"i"} {"Inside":1} {"Extra":1} {"More":1} 13 [13] {"a":13}`)
	fits := map[string]bool{}
	for _, key := range fieldsOf(reflect.TypeFor[rich](), jsonNames).known() {
		for _, part := range parts {
			for _, again := range []string{part, "null", "[]", `{"b":null}`, `["x"]`, "1"} {
				if !decodesAlike(t, `{"`+key+`":`+part+`}`, `{"`+key+`":`+again+`}`) {
					fits[key] = true
				}
			}
		}
		if !fits[key] && key != "Never" {
			t.Errorf("nothing fits %s", key)
		}
	}
}

// TestDecodeOfAQuotedList: the option "string" means nothing for a list. A
// literal tag like this is not let through by linters.
func TestDecodeOfAQuotedList(t *testing.T) {
	typ := reflect.StructOf([]reflect.StructField{{Name: "V", Type: reflect.TypeFor[[]int](), Tag: `json:",string"`}})
	got, want := reflect.New(typ).Interface(), reflect.New(typ).Interface()
	if err := json.Unmarshal([]byte(`{"V":[1,2]}`), want); err != nil {
		t.Fatal(err)
	}
	if err := tree(t, `{"V":[1,2]}`).Decode(got); err != nil || !reflect.DeepEqual(want, got) {
		t.Errorf("encoding/json reads %+v, and we %+v, %v", want, got, err)
	}
	if e := asError(t, tree(t, `{"V":[1,"2"]}`).Decode(got)); e.Field != "V[1]" {
		t.Errorf("got %v in %s", e, e.Field)
	}
}

// TestDecodedStandsAlone: what was decoded shares no memory with the document,
// nor with what a parser leaves to the next, also when many parse at once.
func TestDecodedStandsAlone(t *testing.T) {
	documents := []string{
		`{"Str":"plain","Num":1.5,"Map":{"key":"value","k\u0065z":"\u0061"},"AnyMap":{"key":[1,"x",{"key":true}]},"Raw":{"key": 1},"Blob":"aGk=","Lists":[["a"],[]]}`,
		`{"Str":"PLAIN","Num":2.5,"Map":{"kez":"VALUE","KEY":"b"},"AnyMap":{"kEy":[2,"y",{"kEy":false}]},"Raw":{"kEy": 2},"Blob":"SEk=","Lists":[["b"],["c"]]}`,
		`{"Structs":{"a":{"Path":"/a","Tags":["x","y"]}},"ByOwn":{"key":{"x":1}},"Parts":[{"Path":"/p"},{"Tags":["z"]}],"When":"2026-11-24T00:00:00Z"}`,
		`{"Parts":[{"Path":"/p","Map":{"key":`, // is refused halfway
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				text := documents[(i+n)%len(documents)]
				var got, want rich
				if json.Unmarshal([]byte(text), &want) != nil {
					if _, err := Tree("f", []byte(text)); err == nil {
						t.Errorf("%s is taken", text)
					}
					continue
				}
				data := []byte(text)
				v, err := Tree("f", data)
				if err == nil {
					err = v.Decode(&got)
				}
				var once rich
				_, onceErr := Decode("f", data, &once)
				clear(data)
				if err != nil || !reflect.DeepEqual(want, got) {
					t.Errorf("%s\nencoding/json reads %+v\nand we             %+v, %v", text, want, got, err)
				}
				if onceErr != nil || !reflect.DeepEqual(want, once) {
					t.Errorf("%s\nencoding/json reads %+v\nand we at once     %+v, %v", text, want, once, onceErr)
				}
			}
		})
	}
	wg.Wait()
}
