package strict

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestErrorText(t *testing.T) {
	source := []byte("a: 1\nb: 2\n")
	for _, tc := range []struct {
		err  Error
		want string
	}{
		{Error{File: "waivers.yaml", Line: 7, Column: 12, Msg: `"expires" is in the past: 2026-10-31`, Hint: "h"}, `waivers.yaml line 7: "expires" is in the past: 2026-10-31`},
		{Error{File: "a.yaml", Line: 2, Column: 4, Msg: "m", Source: source}, "a.yaml line 2: m"},
		{Error{File: "a.json", Line: 1, Column: 4, Msg: "m", Source: []byte("{}\n")}, "a.json line 1, column 4: m"},
		{Error{File: "a.json", Msg: "m"}, "a.json: m"},
		{Error{Line: 3, Msg: "m"}, "line 3: m"},
		{Error{Msg: "m"}, "m"},
		{Error{Msg: "m", Err: io.EOF}, "m: EOF"},
		{Error{Err: io.EOF}, "EOF"},
		{Error{File: "a\x1b[2J", Msg: "m", Err: errors.New("x\u202ey\n")}, `a\x1b[2J: m: x\u202ey\n`},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	if e := (&Error{Err: io.EOF}); !errors.Is(e, io.EOF) {
		t.Error("the cause is not found")
	}
}

func TestExcerpt(t *testing.T) {
	waivers := "- rule: x\n  owner: ana\n  expires: 2026-10-31\n"
	long := strings.Repeat("a", 500) + "!" + strings.Repeat("b", 500)
	for _, tc := range []struct {
		name   string
		source string
		err    Error
		want   string
	}{
		{"two lines and a caret", waivers, Error{Line: 3, Column: 12, Hint: "a date after today"},
			"    2 |   owner: ana\n    3 |   expires: 2026-10-31\n      |            ^ a date after today\n"},
		{"first line, no hint", waivers, Error{Line: 1, Column: 3}, "    1 | - rule: x\n      |   ^\n"},
		{"no column", waivers, Error{Line: 2, Hint: "h"}, "    1 | - rule: x\n    2 |   owner: ana\n"},
		{"numbers of two digits", strings.Repeat("x\n", 9) + "yy\n", Error{Line: 10, Column: 2}, "     9 | x\n    10 | yy\n       |  ^\n"},
		{"an empty line before", "\nx", Error{Line: 2, Column: 1}, "    1 |\n    2 | x\n      | ^\n"},
		{"past the end of the line", "ab", Error{Line: 1, Column: 9}, "    1 | ab\n      |   ^\n"},
		{"what a terminal acts on", "a\x1b\u202e\tb\r\n", Error{Line: 1, Column: 5}, "    1 | a\\x1b\\u202e\\tb\n      |              ^\n"},
		{"wide characters", "名: é\u0301x", Error{Line: 1, Column: 6}, "    1 | 名: é\u0301x\n      |      ^\n"},
		{"not UTF-8", "\xffx", Error{Line: 1, Column: 2}, "    1 | \ufffdx\n      |  ^\n"},
		{"a long line", long, Error{Line: 1, Column: 501, Hint: "h"},
			"    1 | ..." + strings.Repeat("a", 36) + "!" + strings.Repeat("b", 35) + "...\n      | " + strings.Repeat(" ", 39) + "^ h\n"},
		{"a line that is not there", "x", Error{Line: 2, Column: 1}, ""},
		{"no line", "x", Error{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.err.Source = []byte(tc.source)
			if diff := cmp.Diff(tc.want, tc.err.Excerpt()); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := (&Error{Line: 1, Column: 1}).Excerpt(); got != "" {
		t.Errorf("without a source: %q", got)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"rule", "subject", "severity", "title", "pass", "cap_add", "memory-unlimited", "expires", "id"}
	for word, want := range map[string]string{
		"ruel": "rule", "Rule": "rule", "severety": "severity", "tilte": "title", "pas": "pass", "CAP-ADD": "cap_add",
		"memory-unlimitd": "memory-unlimited", "expiry": "expires", "rule": "rule", "idd": "id",
		"subjects": "subject", "": "", "xyz": "", "privileged": "", "pt": "",
		strings.Repeat("rule", 20): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := Nearest("abd", []string{"abc", "abe"}); got != "abc" {
		t.Errorf("of two equally close: %q", got)
	}
	if got := Nearest("x", []string{"y"}); got != "" {
		t.Errorf("nothing in common, but %q", got)
	}
}
