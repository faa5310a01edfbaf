package strict

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// host is a struct with everything that decides into what a key is read.
type host struct {
	Base
	*Extra
	Name     string            `json:"name"`
	Bytes    int64             `json:"bytes,omitempty"`
	Small    uint8             `json:"small"`
	Load     float64           `json:"load"`
	Labels   map[string]string `json:"labels"`
	Mounts   []mount           `json:"mounts"`
	Pair     [2]int            `json:"pair"`
	Next     *host             `json:"next"`
	Anything any               `json:"anything"`
	Raw      json.RawMessage   `json:"raw"`
	When     time.Time         `json:"when"`
	Quoted   int               `json:"quoted,string"`
	Blob     []byte            `json:"blob"`
	Hidden   string            `json:"-"`
	Plain    bool
}

type Base struct {
	Kernel string
	Shared string
}

type Extra struct {
	Shared string
	Swap   *bool `json:"swap"`
}

type mount struct {
	Source string
	RW     bool
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T (%v), want *Error", err, err)
	}
	return e
}

func TestJSONFillsAValue(t *testing.T) {
	data := `{"Kernel":"6.1","swap":false,"name":"web","bytes":9223372036854775807,"small":255,"load":0.5,
		"labels":{"a":"1","A":"2"},"mounts":[{"Source":"/","RW":true},{}],"pair":[1,2],"next":{"name":"db"},
		"anything":{"k":[1,null,"s"]},"raw":{"x":1},"when":"2026-11-24T10:00:00Z","quoted":"7","blob":"aGk=","Plain":true}`
	var got, want host
	if err := JSON("f", []byte(data), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(data), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Labels["A"] != "2" || got.Labels["a"] != "1" {
		t.Errorf("labels that differ in case are two: %v", got.Labels)
	}
}

func TestJSONRefuses(t *testing.T) {
	deep := strings.Repeat("[", 300) + strings.Repeat("]", 300)
	for _, tc := range []struct {
		name, data string
		want       string // the whole message
		field      string
		column     int
		hint       string
	}{
		{"unknown", `{"nam": "x"}`, `f line 1, column 2: "nam" is not a known key`, "nam", 2, `did you mean "name"?`},
		{"unknown below", "{\"next\":\n {\"mounts\": [{}, {\"Sauce\": 1}]}}", `f line 2: "Sauce" is not a key of next.mounts[1]`, "next.mounts[1].Sauce", 19, `did you mean "Source"?`},
		{"unknown, few known", `{"mounts": [{"zz": 1}]}`, `f line 1, column 14: "zz" is not a key of mounts[0]`, "mounts[0].zz", 14, "known here: RW, Source"},
		{"other case", `{"Name": "x"}`, `f line 1, column 2: "Name" is not a known key`, "Name", 2, `did you mean "name"?`},
		{"other case beside", `{"name": "x", "NAME": "y"}`, `f line 1, column 15: "NAME" is not a known key`, "NAME", 15, `did you mean "name"?`},
		{"long s", `{"ſmall": 1}`, `f line 1, column 2: "ſmall" is not a known key`, `["ſmall"]`, 2, `did you mean "small"?`},
		{"long s escaped", `{"\u017fmall": 1}`, `f line 1, column 2: "ſmall" is not a known key`, `["ſmall"]`, 2, `did you mean "small"?`},
		{"twice", `{"name": "x", "name": "y"}`, `f line 1, column 15: "name" is given twice, first in line 1`, "name", 15, "keep one of them"},
		{"twice, one escaped", `{"name": "x", "n\u0061me": "y"}`, `f line 1, column 15: "name" is given twice, first in line 1`, "name", 15, "keep one of them"},
		{"twice in a map", "{\"labels\": {\"a.b\": \"1\",\n\"a.b\": \"2\"}}", `f line 2: "a.b" is given twice, first in line 1`, `labels["a.b"]`, 1, "keep one of them"},
		{"twice after many", `{"anything": {"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"10":1,"9":2}}`, `f line 1, column 76: "9" is given twice, first in line 1`, `anything.9`, 76, "keep one of them"},
		{"folds in any", `{"anything": [{"key": 1, "KEY": 2}]}`, `f line 1, column 26: "KEY" and "key" differ only in case`, "anything[0].KEY", 26, "keep one of them"},
		{"folds in raw", `{"raw": {"a": {"k": 1, "\u212a": 2}}}`, "f line 1, column 24: \"\u212a\" and \"k\" differ only in case", "raw.a[\"\u212a\"]", 24, "keep one of them"},
		{"field hidden from JSON", `{"Hidden": "x"}`, `f line 1, column 2: "Hidden" is not a known key`, "Hidden", 2, ""},
		{"two equal embedded names", `{"Shared": "x"}`, `f line 1, column 2: "Shared" is not a known key`, "Shared", 2, ""},
		{"trailing value", `{} {}`, "f line 1, column 4: something follows after the JSON value", "", 4, "one value is read; remove the rest"},
		{"trailing word", `{}x`, "f line 1, column 3: something follows after the JSON value", "", 3, "one value is read; remove the rest"},
		{"nothing", " \n", "f: there is no JSON in it", "", 0, ""},
		{"mark", "\ufeff{}", "f line 1, column 1: the file starts with a byte order mark", "", 1, "save it as plain UTF-8"},
		{"deep", deep, "f line 1, column 202: more than 200 levels inside each other", strings.Repeat("[0]", 201), 202, ""},
		{"bad UTF-8", "{\"name\": \"a\xffb\"}", "f line 1, column 12: not UTF-8 text", "name", 12, "save it as UTF-8"},
		{"bad UTF-8 outside", "{\xff}", "f line 1, column 2: not UTF-8 text", "", 2, "save it as UTF-8"},
		{"half a pair", `{"name": "\ud800"}`, "f line 1, column 11: half of a surrogate pair is no character", "name", 11, ""},
		{"half a pair first", `{"name": "\udc00\ud800"}`, "f line 1, column 11: half of a surrogate pair is no character", "name", 11, ""},
		{"bad escape", `{"name": "\x41"}`, "f line 1, column 11: a backslash begins no known escape here", "name", 11, `a backslash itself is written \\`},
		{"control", "{\"name\": \"a\tb\"}", "f line 1, column 12: a control character stands in a string", "name", 12, `write it as an escape, such as \n`},
		{"open string", `{"name": "ab`, "f line 1, column 10: the string has no end", "name", 10, `close it with "`},
		{"open object", `{"name": "ab"`, "f line 1, column 14: the JSON ends early: a , or } is missing", "", 14, ""},
		{"quote", `{'name': 1}`, `f line 1, column 2: a key in "quotes" should stand here, not '\''`, "", 2, `JSON quotes with "`},
		{"comment", "{\"small\": 1} // x", "f line 1, column 14: something follows after the JSON value", "", 14, "one value is read; remove the rest"},
		{"comment inside", "{\"small\": /* x */ 1}", "f line 1, column 11: a value should stand here, not '/'", "small", 11, "JSON has no comments"},
		{"comma", `{"small": 1,}`, "f line 1, column 13: a comma stands before }", "", 13, "remove the comma"},
		{"comma in list", `{"pair": [1,]}`, "f line 1, column 13: a comma stands before ]", "pair", 13, "remove the comma"},
		{"word in a list in a list", `{"anything": [[1], [2, 3 x]]}`, "f line 1, column 26: a , or ] should stand here, not 'x'", "anything[1]", 26, ""},
		{"leading zero", `{"small": 0644}`, "f line 1, column 11: a number starts with 0", "small", 11, "JSON numbers are decimal; remove the 0"},
		{"text for a number", `{"next": {"small": "1"}}`, "f line 1, column 20: next.small must be a whole number, not text", "next.small", 20, ""},
		{"number for a text", `{"mounts": [{"Source": 1}]}`, "f line 1, column 24: mounts[0].Source must be text, not a number", "mounts[0].Source", 24, ""},
		{"fraction", `{"bytes": 1.0}`, "f line 1, column 11: bytes must be a whole number, without a point or exponent", "bytes", 11, ""},
		{"too large", `{"small": 256}`, "f line 1, column 11: small is a number out of range", "small", 11, ""},
		{"far too large", `{"load": 1e999}`, "f line 1, column 10: load is a number out of range", "load", 10, ""},
		{"far too large for any", `{"anything": 1e999}`, `f line 1, column 14: anything: json: cannot unmarshal number 1e999 into Go value of type float64`, "anything", 14, ""},
		{"text for a bool", `{"Plain": "yes"}`, "f line 1, column 11: Plain must be true or false, not text", "Plain", 11, ""},
		{"object for a list", `{"mounts": {}}`, "f line 1, column 12: mounts must be a list, not an object", "mounts", 12, ""},
		{"list for an object", `{"labels": []}`, "f line 1, column 12: labels must be an object, not a list", "labels", 12, ""},
		{"one too many", `{"pair": [1, 2, 3]}`, "f line 1, column 17: the list has more than 2 elements", "pair[2]", 17, ""},
		{"list at the root", `[]`, "f line 1, column 1: the value must be an object, not a list", "", 1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got host
			e := asError(t, JSON("f", []byte(tc.data), &got))
			if e.Error() != tc.want {
				t.Errorf("message\n got %s\nwant %s", e.Error(), tc.want)
			}
			if e.Field != tc.field || e.Column != tc.column || e.Hint != tc.hint {
				t.Errorf("field %q column %d hint %q, want %q %d %q", e.Field, e.Column, e.Hint, tc.field, tc.column, tc.hint)
			}
		})
	}
}

func TestJSONBoundsAreNotTooTight(t *testing.T) {
	var got any
	deep := strings.Repeat("[", 201) + strings.Repeat("]", 201)
	if err := JSON("f", []byte(deep), &got); err != nil {
		t.Errorf("201 lists, 200 levels below the first: %v", err)
	}
	if err := JSON("f", []byte(`"\ud83d\ude00 é \u00e9 \\ud800"`), &got); err != nil || got != "😀 é é \\ud800" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestJSONLeavesTypesThatDecodeThemselves(t *testing.T) {
	var got struct{ When time.Time }
	e := asError(t, JSON("f", []byte("{\n\"When\": \"soon\"}"), &got))
	if e.Line != 2 || e.Field != "When" {
		t.Errorf("line %d, field %q", e.Line, e.Field)
	}
	var cause *time.ParseError
	if !errors.As(e, &cause) {
		t.Errorf("the cause is lost: %v", e)
	}
	var quoted struct {
		N int `json:",string"`
	}
	e = asError(t, JSON("f", []byte(`{"N": 5}`), &quoted))
	if e.Line != 1 || e.Err == nil {
		t.Errorf("got %+v", e)
	}
}

func TestJSONWantsAPointer(t *testing.T) {
	var invalid *json.InvalidUnmarshalError
	for _, into := range []any{nil, host{}} {
		if err := JSON("f", []byte(`{}`), into); !errors.As(err, &invalid) {
			t.Errorf("%T: got %v", into, err)
		}
	}
	if err := JSON("f", []byte(`{}`), (*host)(nil)); err == nil {
		t.Error("a nil pointer was taken")
	}
}

// TestFieldsAgreeWithEncodingJSON asks encoding/json which keys it writes.
func TestFieldsAgreeWithEncodingJSON(t *testing.T) {
	type inner struct{ A, B, C int }
	type Deep struct {
		inner
		D int
	}
	type Tagged struct {
		X int `json:"C"`
	}
	type pointer struct{ P int }
	type left struct{ Deep }
	type right struct{ Deep }
	for _, v := range []any{
		host{Extra: &Extra{}}, mount{}, Base{}, inner{}, Deep{},
		struct {
			inner
			Deep
			A string
		}{},
		struct {
			inner
			Tagged
		}{},
		struct { // Deep is there twice, and hides D, but not the names in inner
			left
			right
		}{},
		struct {
			inner `json:"named"`
			E     int `json:"a/b"`
			G     int `json:"a b"`
		}{},
		struct {
			json.Number
			Deep
			pointer
			h int
		}{},
		// encoding/json does not take a name with such a quote. A literal tag like
		// this is not let through by linters.
		reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Q", Type: reflect.TypeFor[int](), Tag: `json:"a'b"`}})).Elem().Interface(),
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var written map[string]json.RawMessage
		if err := json.Unmarshal(text, &written); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if _, ok := v.(host); ok {
			written["bytes"] = nil // omitempty
		}
		known := map[string]json.RawMessage{}
		for _, k := range fieldsOf(reflect.TypeOf(v), jsonNames).known() {
			known[k] = written[k]
		}
		if diff := cmp.Diff(written, known); diff != "" {
			t.Errorf("%T (encoding/json -, ours +)\n%s", v, diff)
		}
	}
}

// TestFoldLikeEncodingJSON asks encoding/json which keys it takes for a field, for
// every letter that has another case.
func TestFoldLikeEncodingJSON(t *testing.T) {
	taken := func(field, key string) bool {
		typ := reflect.StructOf([]reflect.StructField{{Name: "F", Type: reflect.TypeFor[int](), Tag: reflect.StructTag(`json:"` + field + `"`)}})
		into := reflect.New(typ)
		text, err := json.Marshal(map[string]int{key: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into.Interface()); err != nil {
			t.Fatal(err)
		}
		return into.Elem().Field(0).Int() == 1
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		other := unicode.SimpleFold(r)
		if other == r || !unicode.IsLetter(r) {
			continue
		}
		for _, key := range []string{"x" + string(other), "x" + string(r+1), "x" + string(r) + "x"} {
			if field := "x" + string(r); utf8.ValidString(key) && taken(field, key) != (Fold(field) == Fold(key)) {
				t.Errorf("%q for %q: %t, folded %q and %q", key, field, taken(field, key), Fold(key), Fold(field))
			}
		}
	}
	for _, key := range []string{"HoſtConfig", "HOSTCONFIG", "hostconfig", "HostConfig", "HostConfi", "Host-Config", "", "Networ\u212aMode"} {
		for _, field := range []string{"HostConfig", "NetworkMode"} {
			if taken(field, key) != (Fold(field) == Fold(key)) {
				t.Errorf("%q for %q: %t", key, field, taken(field, key))
			}
		}
	}
}
