package strict

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// atOnceAlike checks that Decode gives what Tree, Value.Decode and Unknown give
// together: the value, the unknown keys, or the error.
func atOnceAlike(t interface {
	Helper()
	Fatalf(string, ...any)
}, typ reflect.Type, data string) (refused bool) {
	t.Helper()
	got, want := reflect.New(typ), reflect.New(typ)
	unknown, err := Decode("f", []byte(data), got.Interface())
	v, wantErr := Tree("f", []byte(data))
	if wantErr == nil {
		wantErr = v.Decode(want.Interface())
	}
	if err != nil || wantErr != nil {
		if a, b := errorFields(err), errorFields(wantErr); a != b {
			t.Fatalf("%q\nthe tree says %s\nDecode        %s", data, b, a)
		}
		return true
	}
	if !reflect.DeepEqual(want.Interface(), got.Interface()) {
		t.Fatalf("%q\nthe tree gives %+v\nDecode         %+v", data, want.Elem(), got.Elem())
	}
	if wantUnknown := Unknown(v, typ); !reflect.DeepEqual(wantUnknown, unknown) {
		t.Fatalf("%q\nunknown in the tree: %q\nin Decode:           %q", data, wantUnknown, unknown)
	}
	return false
}

// errorFields writes an error with everything that it has.
func errorFields(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("%T %v", err, err)
	}
	return fmt.Sprintf("%s:%d:%d %s: %s (%s): %v in %q", e.File, e.Line, e.Column, e.Field, e.Msg, e.Hint, e.Err, e.Source)
}

func TestDecodeAtOnceAgreesWithTheTree(t *testing.T) {
	taken, refused, spoilt := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		data := richDocument(t, reflect.TypeFor[rich](), 4)
		if atOnceAlike(t, reflect.TypeFor[rich](), data) {
			refused++
		} else {
			taken++
		}
		atOnceAlike(t, reflect.TypeFor[any](), data)
		// One byte more or less is mostly an error of syntax, somewhere.
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		more := rapid.SampledFrom([]string{"", ",", "}", "]", `"`, `\`, "0", ":", "[", "{", "\xff", "\x00", "x"}).Draw(t, "more")
		if atOnceAlike(t, reflect.TypeFor[rich](), data[:at]+more+data[at+1:]) {
			spoilt++
		}
	})
	if taken == 0 || refused == 0 || spoilt == 0 {
		t.Errorf("%d documents taken, %d refused, %d spoilt: one side was never seen", taken, refused, spoilt)
	}
}

// FuzzDecodeAtOnce: one reading gives what three steps over a tree give, be it
// a value or an error.
func FuzzDecodeAtOnce(f *testing.F) {
	g := rapid.Custom(func(t *rapid.T) string { return richDocument(t, reflect.TypeFor[rich](), 3) })
	for seed := range 30 {
		f.Add(g.Example(seed))
	}
	for _, seed := range jsonSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		atOnceAlike(t, reflect.TypeFor[rich](), data)
		atOnceAlike(t, reflect.TypeFor[any](), data)
		atOnceAlike(t, reflect.TypeFor[map[string]sparse](), data)
	})
}

// sparse has little that is known, so that most is skipped.
type sparse struct {
	A    *sparse
	List []sparse `json:"l"`
}

func TestDecodeAtOnceListsWhatIsSkipped(t *testing.T) {
	data := `{"new":{"x":1},"Next":{"Parts":[{"RW":true},{"Sauce":1,"Path":"/"}],"odd key":0,"PMap":{"a.b":{"New":[]}}},
		"Any":{"free":1},"Raw":{"free":1},"Own":{"free":1},"Both":{"free":1},"Pairs":[{},{"y":1},{"z":{"deep":1},"Tags":3},4],"N\u0065xt2":0}`
	var into rich
	got, err := Decode("f", []byte(data), &into)
	want := []string{"new", "Next.Parts[1].Sauce", `Next["odd key"]`, `Next.PMap["a.b"].New`, "Pairs[1].y", "Pairs[2].z", "Next2"}
	if err != nil || !reflect.DeepEqual(want, got) {
		t.Errorf("got  %q, %v\nwant %q", got, err, want)
	}
	atOnceAlike(t, reflect.TypeFor[rich](), data)
}

// TestDecodeAtOnceRefusesKeysGivenTwice at every kind of place, however written.
func TestDecodeAtOnceRefusesKeysGivenTwice(t *testing.T) {
	var fields []reflect.StructField
	var members []string
	for i := range 300 {
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[int]()})
		members = append(members, fmt.Sprintf(`"F%d":1`, i))
	}
	wide := reflect.StructOf(fields)
	all := strings.Join(members, ",")
	var many []string
	for i := range 2 * mostScanned {
		many = append(many, fmt.Sprintf(`"k%d":1`, i))
	}
	for _, tc := range []struct {
		typ   reflect.Type
		write string // %s is where the key stands again
		again string
	}{
		{reflect.TypeFor[rich](), `{"Str":"a","I":1%s}`, `,"Str":"b"`},
		{reflect.TypeFor[rich](), `{"Str":"a","I":1%s}`, `,"S\u0074r":"b"`},
		{reflect.TypeFor[rich](), `{"Kernel":"a","Path":"b"%s}`, `,"Kernel":"c"`},
		{reflect.TypeFor[rich](), `{"new":1,"I":1%s}`, `,"new":2`},
		{reflect.TypeFor[rich](), `{"new":[{"a":1%s}]}`, `,"a":2`},
		{reflect.TypeFor[rich](), `{"Map":{"a":"1"%s}}`, `,"\u0061":"2"`},
		{reflect.TypeFor[rich](), `{"Deep":{"a":{"b":1},"c":{"b":2}%s}}`, `,"a":{"b":3}`},
		{reflect.TypeFor[rich](), `{"ByInt":{"1":"x"%s}}`, `,"1":"y"`},
		{reflect.TypeFor[rich](), `{"Any":[{"a":1%s}]}`, `,"a":1`},
		{reflect.TypeFor[rich](), `{"Raw":{"a":1%s}}`, `,"a":1`},
		{reflect.TypeFor[rich](), `{"Own":{"a":1%s}}`, `,"a":1`},
		{reflect.TypeFor[rich](), `{"Pairs":[{},{},{"a":1%s}]}`, `,"a":1`},
		{wide, "{" + all + "%s}", `,"F299":1`},
		{wide, "{" + all + "%s}", `,"F3":1`},
		{wide, "{" + strings.Join(many, ",") + "%s}", `,"k200":1`},
		{reflect.TypeFor[map[string]int](), "{" + strings.Join(many, ",") + "%s}", `,"k200":1`},
		{reflect.TypeFor[any](), "{" + strings.Join(many, ",") + "%s}", `,"k200":1`},
	} {
		if data := fmt.Sprintf(tc.write, ""); atOnceAlike(t, tc.typ, data) {
			t.Errorf("%.60q is refused", data)
		}
		data := fmt.Sprintf(tc.write, tc.again)
		_, err := Decode("f", []byte(data), reflect.New(tc.typ).Interface())
		if err == nil || !strings.Contains(err.Error(), "is given twice") {
			t.Errorf("%.60q: %v", data, err)
		}
		atOnceAlike(t, tc.typ, data)
	}
}

func TestDecodeAtOnceBoundsTheDepth(t *testing.T) {
	for _, nest := range []struct{ before, in, out, after string }{
		{"", `{"Next":`, `}`, "null"}, {"", `{"Next":`, `}`, "{}"}, {"", `{"Next":`, `}`, `{"Str":""}`}, {"", `{"Next":`, `}`, `{"new":1}`},
		{"", `{"new":`, `}`, "1"}, {`{"Any":`, "[", "]", ""}, {`{"Any":`, `{"a":`, "}", "1"}, {`{"Own":`, "[", "]", ""}, {`{"Raw":`, "[", "]", "1"},
	} {
		taken := 0
		for n := maxDepth - 3; n < maxDepth+3; n++ {
			data := nest.before + strings.Repeat(nest.in, n) + nest.after + strings.Repeat(nest.out, n)
			if nest.before != "" {
				data += "}"
			}
			if !atOnceAlike(t, reflect.TypeFor[rich](), data) {
				taken++
			}
		}
		if taken == 0 || taken == 6 {
			t.Errorf("%s%s: %d of 6 are taken", nest.before, nest.in, taken)
		}
	}
}

func TestDecodeAtOnceWantsAPointer(t *testing.T) {
	for _, into := range []any{nil, rich{}, (*rich)(nil)} {
		if _, err := Decode("f", []byte(`{}`), into); err == nil {
			t.Errorf("%T is taken", into)
		}
	}
}

// TestAllPlain gives every byte to every place of eight.
func TestAllPlain(t *testing.T) {
	for _, rest := range []byte{' ', '!', '#', '[', ']', 0x7f} {
		for i := range 8 {
			for c := range 256 {
				eight := []byte(strings.Repeat(string(rest), 8))
				eight[i] = byte(c)
				if got := allPlain(binary.LittleEndian.Uint64(eight)); got != plain[c] {
					t.Errorf("%q: %v", eight, got)
				}
			}
		}
	}
}
