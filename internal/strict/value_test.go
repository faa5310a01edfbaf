package strict

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tree(t *testing.T, data string) *Value {
	t.Helper()
	v, err := Tree("inspect.json", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTreeKeepsWhatWasWritten(t *testing.T) {
	v := tree(t, `{"z": null, "a": [], "n": 1.50e+2, "s": "tab\tA", "b": false, "o": {"k": [1, {"deep": "x"}]}}`)
	var keys []string
	for _, m := range v.Members {
		keys = append(keys, m.Key)
	}
	if diff := cmp.Diff([]string{"z", "a", "n", "s", "b", "o"}, keys); diff != "" {
		t.Errorf("order of keys: %s", diff)
	}
	if got := v.Get("absent"); got != nil {
		t.Errorf("absent: %v", got)
	}
	if got := v.Get("z"); got == nil || got.Kind != Null {
		t.Errorf("null: %v", got)
	}
	if got := v.Get("a"); got == nil || got.Kind != Array || len(got.Items) != 0 {
		t.Errorf("empty list: %v", got)
	}
	for key, want := range map[string]string{"n": "1.50e+2", "s": "tab\tA", "b": "false", "z": "null", "a": "[]"} {
		if got := v.Get(key).Text(); got != want {
			t.Errorf("%s: text %q, want %q", key, got, want)
		}
	}
	deep := v.Get("o").Get("k").Items[1].Get("deep")
	if got := deep.Path(); got != "o.k[1].deep" {
		t.Errorf("path %q", got)
	}
	if got := string(deep.Raw()); got != `"x"` {
		t.Errorf("raw %q", got)
	}
	if v.Path() != "" {
		t.Errorf("path of the root %q", v.Path())
	}
}

func TestTreeKeepsKeysThatDifferInCase(t *testing.T) {
	v := tree(t, `{"Labels": {"a": "1", "A": "2"}}`)
	if got := v.Get("Labels").Get("A").Text(); got != "2" {
		t.Errorf("A is %q", got)
	}
	if _, err := Tree("f", []byte(`{"Labels": {"a": "1", "a": "2"}}`)); err == nil {
		t.Error("an equal key was taken twice")
	}
}

// TestTreeOfManyKeys has keys that look alike to hashOf, so many that they are
// not compared one by one to the end, in objects inside each other.
func TestTreeOfManyKeys(t *testing.T) {
	const n = 2*mostScanned + 20
	object := func(value string) string {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(`"k%03dk":%s`, i, value))
		}
		return strings.Join(members, ",")
	}
	v := tree(t, "{"+object("{"+object("[1]")+"}")+"}")
	if len(v.Members) != n {
		t.Fatalf("%d members", len(v.Members))
	}
	for i, m := range v.Members {
		if want := fmt.Sprintf("k%03dk", i); m.Key != want || len(m.Value.Members) != n || m.Value.Members[i].Key != want || m.Value.Members[i].Value.Text() != "[1]" {
			t.Fatalf("member %d is %q: %.100s", i, m.Key, m.Value.Text())
		}
	}
	for _, again := range []int{0, mostScanned - 1, mostScanned, n - 1} {
		key := fmt.Sprintf("k%03dk", again)
		_, err := Tree("f", []byte("{"+object("1")+`,"`+key+`":2}`))
		if e := asError(t, err); e.Field != key || !strings.Contains(e.Msg, "given twice") {
			t.Errorf("got %v in %s", e, e.Field)
		}
	}
}

func TestPositions(t *testing.T) {
	v := tree(t, "{\n  \"é\": [1,\n    \"x\"]\n}")
	line, column := v.Get("é").Position()
	if line != 2 || column != 8 {
		t.Errorf("list at %d:%d", line, column)
	}
	line, column = v.Get("é").Items[1].Position()
	if line != 3 || column != 5 {
		t.Errorf("element at %d:%d", line, column)
	}
}

func TestAbsentValuesMayBeAsked(t *testing.T) {
	var v *Value
	line, column := v.Position()
	into := 7
	if v.Get("x") != nil || v.Text() != "" || v.Raw() != nil || line+column != 0 || v.Path() != "" || v.Decode(&into) != nil || into != 7 {
		t.Error("an absent value says something")
	}
	if e := v.Fail("m", "h"); e.Msg != "m" || e.Line != 0 {
		t.Errorf("got %+v", e)
	}
	if got := Unknown(v, reflect.TypeFor[host]()); got != nil {
		t.Errorf("unknown keys of nothing: %v", got)
	}
}

func TestFailNamesThePlace(t *testing.T) {
	v := tree(t, "{\"a\": [0,\n  {\"b c\": \"x\"}]}")
	e := v.Get("a").Items[1].Get("b c").Fail("is odd", "be even")
	if e.Error() != "inspect.json line 2: is odd" || e.Field != `a[1]["b c"]` || e.Hint != "be even" {
		t.Errorf("got %v in %s", e, e.Field)
	}
	if got, want := e.Excerpt(), "    1 | {\"a\": [0,\n    2 |   {\"b c\": \"x\"}]}\n      |           ^ be even\n"; got != want {
		t.Errorf("excerpt\n%s", got)
	}
}

func TestDecodeIsExactAboutCase(t *testing.T) {
	v := tree(t, `{"x": {"Source": "/a", "source": "/b", "ſource":"/c", "SOUR:CE": 1, "rw": true}}`)
	var m mount
	if err := v.Get("x").Decode(&m); err != nil {
		t.Fatal(err)
	}
	if m != (mount{Source: "/a"}) {
		t.Errorf("got %+v", m)
	}
	var list struct{ X map[string][]mount }
	w := tree(t, `{"X": {"k": [{"rw": true}, {"RW": true, "SOURCE" : "/x"}]}}`)
	if err := w.Decode(&list); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]mount{{}, {RW: true}}, list.X["k"]); diff != "" {
		t.Error(diff)
	}
	if got := string(w.Raw()); !strings.Contains(got, "SOURCE") {
		t.Errorf("the tree was changed: %s", got)
	}
}

func TestDecodeSaysWhere(t *testing.T) {
	v := tree(t, "{\"HostConfig\": {\n\"New\": 1, \"Mounts\": [{\"RW\": 3}]}}")
	var into struct{ Mounts []mount }
	e := asError(t, v.Get("HostConfig").Decode(&into))
	if want := "inspect.json line 2: HostConfig.Mounts[0].RW must be true or false, not a number"; e.Error() != want {
		t.Errorf("got  %s\nwant %s", e, want)
	}
	if e.Field != "HostConfig.Mounts[0].RW" || e.Column != 29 {
		t.Errorf("field %s column %d", e.Field, e.Column)
	}
}

func TestUnknownListsWhatIsSkipped(t *testing.T) {
	v := tree(t, `{"name":"x","Name":1,"new":{"a":1},"next":{"mounts":[{"RW":true},{"Sauce":1,"Source":"/"}],"labels":{"any":"1"}},
		"anything":{"free":1},"raw":{"free":1},"when":{"free":1},"mounts":{"free":1},"odd key":0,"Kernel":"","swap":null}`)
	want := []string{"Name", "new", "next.mounts[1].Sauce", `["odd key"]`}
	if diff := cmp.Diff(want, Unknown(v, reflect.TypeFor[*host]())); diff != "" {
		t.Error(diff)
	}
	if got := Unknown(v.Get("next").Get("mounts").Items[1], reflect.TypeFor[mount]()); !cmp.Equal(got, []string{"Sauce"}) {
		t.Errorf("paths begin at the value: %v", got)
	}
	if got := Unknown(v, reflect.TypeFor[map[string]any]()); got != nil {
		t.Errorf("a map knows every key: %v", got)
	}
}

// TestUnknownOfManyIsNotSlow would not end if each path were searched from the
// start: 50,000 elements, each with an unknown key.
func TestUnknownOfManyIsNotSlow(t *testing.T) {
	const n = 50_000
	v := tree(t, "["+strings.Repeat(`{"u":1},`, n-1)+`{"u":1}]`)
	got := Unknown(v, reflect.TypeFor[[]mount]())
	if len(got) != n || got[n-1] != fmt.Sprintf("[%d].u", n-1) {
		t.Errorf("%d paths, the last %q", len(got), got[len(got)-1])
	}
}

// plainValue is what encoding/json makes of a value, by way of the tree.
func plainValue(v *Value) any {
	switch v.Kind {
	case Null:
		return nil
	case Bool:
		return v.Text() == "true"
	case Number:
		return json.Number(v.Text())
	case String:
		return v.Text()
	case Array:
		list := []any{}
		for _, item := range v.Items {
			list = append(list, plainValue(item))
		}
		return list
	}
	object := map[string]any{}
	for _, m := range v.Members {
		object[m.Key] = plainValue(m.Value)
	}
	return object
}
