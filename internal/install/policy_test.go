package install

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/strict"
)

func TestWithMode(t *testing.T) {
	for _, c := range []struct{ what, in, want string }{
		{"ours", PolicyText, strings.Replace(PolicyText, "mode: observe", "mode: enforce", 1)},
		{"a comment behind", "schema: s\nmode:   observe   # for now\nreads: {}\n", "schema: s\nmode:   enforce   # for now\nreads: {}\n"},
		{"quotes", "mode: 'observe' # x\nschema: s\n", "mode: enforce # x\nschema: s\n"},
		{"double quotes", "mode: \"observe\"\nschema: s\n", "mode: enforce\nschema: s\n"},
		{"as it is", "schema: s\nmode: enforce\n", "schema: s\nmode: enforce\n"},
		{"in braces", "{schema: s, mode: observe, reads: {}}\n", "{schema: s, mode: enforce, reads: {}}\n"},
		{"on the next line", "schema: s\nmode:\n  observe\n", "schema: s\nmode:\n  enforce\n"},
		{"no mode", "# é\nschema: s\nreads: {}\n", "# é\nmode: enforce\nschema: s\nreads: {}\n"},
		{"no mode, and deep", "  schema: s\n  reads: {}\n", "  mode: enforce\n  schema: s\n  reads: {}\n"},
		{"no mode, and no end of line", "schema: s", "mode: enforce\nschema: s"},
		{"the mode of something else", "schema: s\ngrants: [{mode: observe}]\n", "mode: enforce\nschema: s\ngrants: [{mode: observe}]\n"},
		{"behind what is not ASCII", "{\"ключ\": 1, schema: s, mode: observe}", "{\"ключ\": 1, schema: s, mode: enforce}"},
		{"other line ends", "schema: s\r\nmode: observe\r\n", "schema: s\r\nmode: enforce\r\n"},
	} {
		got, err := WithMode("p.yaml", []byte(c.in), "enforce")
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.what, err, got, c.want)
		}
	}
}

func TestWithModeRefuses(t *testing.T) {
	for _, c := range []struct{ what, in, want string }{
		{"nothing", "", "there is no YAML in it"},
		{"a list", "- mode: observe\n", "it holds no keys"},
		{"no YAML", "mode: [", "p.yaml"},
		{"twice", "mode: observe\nmode: observe\n", "twice"},
		{"a list of modes", "schema: s\nmode: [observe]\n", "it is not written as one word"},
		{"an alias", "schema: &m observe\nmode: *m\n", "it is not written as one word"},
		{"an escape", "schema: s\nmode: \"obs\\u0065rve\"\n", "it is not written as one word"},
		{"no value", "schema: s\nmode:\n", "it is not written as one word"},
		{"no mode in braces", "{schema: s}\n", "it is not there"},
		{"neither mode nor schema", "reads: {}\n", "it is not there"},
	} {
		got, err := WithMode("p.yaml", []byte(c.in), "enforce")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q\n%s", c.what, err, c.want, got)
		}
		f := new(Failure)
		if errors.As(err, &f) && f.Hint != "Write the line  mode: enforce  into it" {
			t.Errorf("%s: the hint is %q", c.what, f.Hint)
		}
	}
}

// FuzzWithMode: where the mode can be changed, it is changed, all other keys stay, and
// changing it back and forth comes to the same.
func FuzzWithMode(f *testing.F) {
	for _, seed := range []string{PolicyText, "schema: s\nmode: 'observe' # x\n", "{schema: s, mode: observe}", "schema: s\ngrants: [{mode: x}]\n", "  schema: s\n  a: &a [1]\n  b: *a\n",
		"schema: s\r\nmode: >-\r\n  observe\r\n", "? mode\n: observe\nschema: s\n", "mode: !!str observe\n", "\"mode\": observe\n", "--- {mode: observe}\n...\n", "schema: |\n  x\nmode: é\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := WithMode("p", data, "enforce")
		if err != nil {
			return
		}
		before, after := keys(t, data), keys(t, out)
		if after["mode"] != "enforce" {
			t.Fatalf("the mode is %v\n%q\n%q", after["mode"], data, out)
		}
		delete(before, "mode")
		delete(after, "mode")
		if fmt.Sprintf("%#v", before) != fmt.Sprintf("%#v", after) { // NaN is not itself
			t.Fatalf("%v became %v\n%q\n%q", before, after, data, out)
		}
		back, err := WithMode("p", out, "observe")
		if err != nil {
			t.Fatalf("back: %v\n%q\n%q", err, data, out)
		}
		again, err := WithMode("p", back, "enforce")
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("again: %v\n%q\n%q", err, out, again)
		}
	})
}

func keys(t *testing.T, data []byte) map[string]any {
	t.Helper()
	root, err := strict.YAMLNode("p", data)
	var all map[string]any
	if err == nil {
		err = root.Decode(&all)
	}
	if err != nil {
		// What yaml can't put into a map, such as keys that are numbers, says nothing here.
		t.Skip(err)
	}
	return all
}
