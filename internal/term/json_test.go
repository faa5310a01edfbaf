package term

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzEscapeJSON: programs read the same text, and a terminal gets nothing to act on.
func FuzzEscapeJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "a\u202eb\u009b31m\x1b[1m\n", "größe 中 \U000e0041", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := json.Marshal(map[string]string{"k": s})
		if err != nil {
			t.Fatal(err)
		}
		safe := EscapeJSON(text)
		var before, after map[string]string
		if err := json.Unmarshal(text, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(safe, &after); err != nil || before["k"] != after["k"] {
			t.Fatalf("%q became %q: %v", before["k"], after["k"], err)
		}
		if got := string(safe); Escape(got) != got || strings.ContainsAny(got, "\x1b\u202e\u009b") {
			t.Fatalf("%q is left in %q", Escape(got), got)
		}
	})
}
