package fix

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is not asked for stays, to the byte.
func TestSetKey(t *testing.T) {
	for _, test := range []struct{ name, text, key, value, want string }{
		{"a new file", "", "icc", "false", "{\n  \"icc\": false\n}\n"},
		{"spaces", " \n\t", "icc", "false", "{\n  \"icc\": false\n}\n"},
		{"an empty object", "{}", "icc", "false", "{\n  \"icc\": false\n}"},
		{"the last of several", "{\n\t\"b\" : 1.0,\n\t\"a\": [ ]\n}\n", "icc", "false", "{\n\t\"b\" : 1.0,\n\t\"a\": [ ],\n\t\"icc\": false\n}\n"},
		{"on one line", `{"a": "x,{\"}", "b":null}`, "icc", "false", `{"a": "x,{\"}", "b":null, "icc": false}`},
		{"in place", "{\"a\":1,  \"icc\" :  true , \"b\":2}", "icc", "false", "{\"a\":1,  \"icc\" :  false , \"b\":2}"},
		{"an object in place", `{"icc":{"x":[1,"]}"]},"b":2}`, "icc", "[]", `{"icc":[],"b":2}`},
		{"out of the middle", "{\n  \"a\": 1,\n  \"icc\": true,\n  \"b\": 2\n}\n", "icc", "", "{\n  \"a\": 1,\n  \"b\": 2\n}\n"},
		{"out of the beginning", "{\n  \"icc\": true,\n  \"b\": 2\n}\n", "icc", "", "{\n  \"b\": 2\n}\n"},
		{"out of the end", "{\n  \"a\": 1,\n  \"icc\": true\n}\n", "icc", "", "{\n  \"a\": 1\n}\n"},
		{"the only one out", `{ "icc": true }`, "icc", "", `{  }`},
		{"what is not there out", `{"a":1}`, "icc", "", `{"a":1}`},
		{"a byte order mark", "\xef\xbb\xbf{\"a\":1}", "icc", "false", "\xef\xbb\xbf{\"a\":1,\"icc\": false}"},
		{"a key in escapes", `{"i\u0063\"c":1,"a\\":2}`, "icc", "false", `{"i\u0063\"c":1,"a\\":2,"icc": false}`},
		{"a key that is one in escapes", `{"ic\u0063":1}`, "icc", "false", `{"ic\u0063":false}`},
	} {
		got, err := setKey([]byte(test.text), test.key, test.value)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	for _, text := range []string{"[]", "{", `{"a":1,"a":2}`, "{} {}", "null"} {
		if got, err := setKey([]byte(text), "icc", "false"); err == nil {
			t.Errorf("%s became %s", text, got)
		}
	}
}

// FuzzSetKey: the key has the value, and every other key the text that it had.
func FuzzSetKey(f *testing.F) {
	for _, text := range []string{"", "{}", `{"icc":true,"b":{"icc":1}}`, "{\n \"a\" : [\"}\"],\n\"icc\":null}", `{"a\"":1}`, "\xef\xbb\xbf{}"} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, set bool) {
		value := ""
		if set {
			value = `{"x":"y"}`
		}
		got, err := setKey(text, "icc", value)
		if err != nil {
			return
		}
		read := func(text []byte) map[string]json.RawMessage {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
			all := map[string]json.RawMessage{}
			if len(bytes.TrimSpace(text)) == 0 {
				return all
			}
			if err := json.Unmarshal(text, &all); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return all
		}
		want := read(text)
		delete(want, "icc")
		if set {
			want["icc"] = json.RawMessage(value)
		}
		if diff := cmp.Diff(want, read(got)); diff != "" {
			t.Errorf("%q became %q:\n%s", text, got, diff)
		}
		again, err := setKey(got, "icc", value)
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q became %q, and then %q (%v)", text, got, again, err)
		}
	})
}
