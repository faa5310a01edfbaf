package strict

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// rich has a field of every kind that encoding/json treats in its own way. No
// two names in it differ only in case.
type rich struct {
	RichBase
	*RichExtra
	richInner
	*richHidden // encoding/json cannot make one
	richTagged  `json:"tagged"`

	Flag    bool
	I       int
	I8      int8 `json:"i8"`
	I64     int64
	U       uint
	U8      uint8
	U64     uint64
	F32     float32
	F64     float64
	Str     string
	Label   richText
	Num     json.Number
	Empty   struct{}
	PBool   *bool
	PPInt   **int
	PStr    *string
	Next    *rich
	Ints    []int
	Lists   [][]string
	Parts   []RichBase
	PParts  []*RichBase
	PList   *[]string
	Pair    [2]int8
	Pairs   [2]RichBase
	Blob    []byte
	Octets  []richOctet
	Fixed   [3]byte
	Map     map[string]string
	Deep    map[string]map[string]int
	Structs map[richText]RichBase
	PMap    map[string]*RichBase
	ByInt   map[int8]string
	ByUint  map[uint16]bool
	ByText  map[richKey]int
	ByAddr  map[netip.Addr]string
	ByBool  map[bool]int // encoding/json refuses an object here
	Any     any
	AnyMap  map[string]any
	Anys    []any
	Raw     json.RawMessage
	PRaw    *json.RawMessage
	Raws    []json.RawMessage
	When    time.Time
	PWhen   *time.Time
	IP      net.IP
	Addr    netip.Addr
	Own     richOwn
	POwn    *richOwn
	Owns    []richOwn
	ByOwn   map[string]richOwn
	Both    struct {
		time.Time // its decoder is not asked: the struct has no name
		Extra     int
	}
	PBoth *struct {
		time.Time
		More int
	}
	Iface  fmt.Stringer
	Func   func()
	Secret string      `json:"-"`
	QInt   int         `json:"qint,string"`
	QU8    *uint8      `json:",string"`
	QBool  bool        `json:",string"`
	QF     float64     `json:",string"`
	QStr   string      `json:",string"`
	QNum   json.Number `json:",string"`
}

type (
	RichBase struct {
		Path string
		RW   bool
		Tags []string
	}
	RichExtra struct {
		Swap *int
		RichBase2
	}
	RichBase2  struct{ Below string }
	richInner  struct{ Kernel string }
	richHidden struct{ Never int }
	richTagged struct{ Inside string }
	richText   string
	richOctet  uint8
	richKey    struct{ a, b string }
	richOwn    struct{ text string }
)

// UnmarshalText wants two parts with a hyphen between.
func (k *richKey) UnmarshalText(text []byte) error {
	a, b, ok := strings.Cut(string(text), "-")
	if !ok {
		return fmt.Errorf("%q has no hyphen", text)
	}
	*k = richKey{a, b}
	return nil
}

// UnmarshalJSON keeps what it gets, and so whether it is asked, and refuses 13.
func (o *richOwn) UnmarshalJSON(data []byte) error {
	if string(data) == "13" {
		return fmt.Errorf("13 is refused")
	}
	o.text += string(data) + ";"
	return nil
}

// richDocument draws a JSON text for a type: mostly one that fits.
func richDocument(t *rapid.T, typ reflect.Type, depth int) string {
	luck := rapid.IntRange(0, 59).Draw(t, "luck")
	switch {
	case luck == 0:
		return anyDocument(t, depth)
	case luck < 4:
		return "null"
	}
	object := func(n int, key func(i int) (string, reflect.Type)) string {
		var members []string
		seen := map[string]bool{}
		for i := range n {
			k, below := key(i)
			var plain string
			if err := json.Unmarshal([]byte(k), &plain); err != nil {
				t.Fatal(err)
			}
			if !seen[plain] {
				members = append(members, space(t)+k+space(t)+":"+space(t)+richDocument(t, below, depth-1))
			}
			seen[plain] = true
		}
		return "{" + strings.Join(members, ",") + space(t) + "}"
	}
	few := 0
	if depth > 0 {
		few = rapid.IntRange(0, 3).Draw(t, "parts")
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return richDocument(t, typ.Elem(), depth)
	case reflect.Bool:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint64:
		return rapid.SampledFrom([]string{"0", "1", "7", "13", "100", "127", "128", "255", "9223372036854775807", "18446744073709551615", "-1", "-0", "-128", "1.0", "1e2"}).Draw(t, "whole")
	case reflect.Float32, reflect.Float64:
		return rapid.SampledFrom([]string{"0", "-0", "0.1", "1e30", "1e39", "-2.5E-3", "1e999"}).Draw(t, "float")
	case reflect.String:
		return textDocument(t)
	case reflect.Slice, reflect.Array:
		if typ.Elem().Kind() == reflect.Uint8 && luck%2 == 0 {
			return rapid.SampledFrom([]string{`""`, `"aGk="`, `"aGk\u003d"`, `"%"`, `"10.0.0.1"`}).Draw(t, "bytes")
		}
		var items []string
		for range few {
			items = append(items, space(t)+richDocument(t, typ.Elem(), depth-1)+space(t))
		}
		return "[" + strings.Join(items, ",") + "]"
	case reflect.Map:
		return object(few, func(int) (string, reflect.Type) { return textDocument(t), typ.Elem() })
	case reflect.Struct:
		fields := fieldsOf(typ, jsonNames)
		if typ.PkgPath() == "time" || typ.PkgPath() == "net/netip" || len(fields.byKey) == 0 {
			return rapid.SampledFrom([]string{`"2026-11-24T00:00:00Z"`, `"::1"`, `{}`, `""`, `"x"`}).Draw(t, "own")
		}
		if typ == reflect.TypeFor[rich]() && depth > 0 {
			few = rapid.IntRange(0, 12).Draw(t, "fields")
		}
		return object(few, func(int) (string, reflect.Type) {
			k := rapid.SampledFrom(append(fields.known(), "new", "")).Draw(t, "key")
			f := fields.byKey[k]
			if f.typ == nil {
				f.typ = reflect.TypeFor[any]()
			}
			if f.quoted && luck%3 > 0 {
				return strconv.Quote(k), reflect.TypeFor[string]()
			}
			return strconv.Quote(k), f.typ
		})
	}
	return anyDocument(t, depth)
}

// textDocument draws a JSON string that may be any of the things that types
// with an own decoder, quoted fields and map keys look for.
func textDocument(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		`""`, `"a"`, `"A"`, `"a-b"`, `"\u0061-b"`, `"1"`, `"-1"`, `"300"`, `"true"`, `"false"`, `"null"`, `"1.5"`, `"\"q\""`, `"\"\u0031\""`,
		`"10.0.0.1"`, `"2026-11-24T00:00:00Z"`, `"é\ud83d\ude00\n"`, `"<\/>"`, `"nul"`, `"-"`, `" 1"`, `"0x10"`, `"\u2028"`,
	}).Draw(t, "text")
}

func anyDocument(t *rapid.T, depth int) string {
	kinds := []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[float64](), reflect.TypeFor[string](),
		reflect.TypeFor[[]any](), reflect.TypeFor[map[string]any](), reflect.TypeFor[[]string](), reflect.TypeFor[map[string]string](),
	}
	if depth <= 0 {
		kinds = kinds[:4]
	}
	return richDocument(t, rapid.SampledFrom(kinds).Draw(t, "kind"), depth-1)
}

func space(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", "", "", " ", "\n\t"}).Draw(t, "space")
}
