package term

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"web-1":                     "web-1",
		"größe 名字 🚀 e\u0301":        "größe 名字 🚀 e\u0301",
		"wide\u3000space":           "wide\u3000space",
		`C:\x1b`:                    `C:\x1b`,
		"\x1b[2J":                   `\x1b[2J`,
		"a\nb\tc\rd\x00\x7f":        `a\x0ab\x09c\x0dd\x00\x7f`,
		"\u009b31m":                 `\u009b31m`,
		"\x9b31m":                   `\x9b31m`,
		"a\xffb\xc3":                `a\xffb\xc3`,
		"\ufffd":                    "\ufffd",
		"exe\u202egnp":              `exe\u202egnp`,
		"\u2066a\u2069\u200b\u200d": `\u2066a\u2069\u200b\u200d`,
		"a\u00a0b\u2028":            `a\u00a0b\u2028`,
		"\ufeffx\u00ad":             `\ufeffx\u00ad`,
		"\U000e0041":                `\U000e0041`,
		"\u3164\u115f\ufe0f\u2800":  `\u3164\u115f\ufe0f\u2800`,
		"\ue000":                    `\ue000`,
		"\U0010ffff":                `\U0010ffff`,
		"\xed\xa0\x80":              `\xed\xa0\x80`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if got := Escape(want); got != want {
			t.Errorf("%q: escaped twice %q", want, got)
		}
	}
}

func TestEscapeInASCII(t *testing.T) {
	p := New(Config{})
	for in, want := range map[string]string{
		"web-1 ~": "web-1 ~", "größe": `gr\u00f6\u00dfe`, "🚀": `\U0001f680`, "\ufffd\xff": `\ufffd\xff`, "\x1b": `\x1b`,
	} {
		if got := p.Escape(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzEscape: whatever goes in, what comes out is visible and stays so; ordinary
// text is not touched; the parts of a text are escaped as the whole.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"web", "\x1b]0;x\a", "\u202e", "a\xff\xfe", "名字", "\u009b", "\xc2", `\x1b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !utf8.ValidString(got) {
			t.Errorf("not UTF-8: %q", got)
		}
		for _, r := range got {
			// Written as ranges, independent of the tables that Escape asks.
			switch {
			case r < 0x20, r >= 0x7f && r <= 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202f, r >= 0x2060 && r <= 0x206f,
				r == 0xad, r == 0x61c, r == 0xfeff, r >= 0xe000 && r <= 0xf8ff, r >= 0xfff0 && r <= 0xfffb, r >= 0xe0000:
				t.Errorf("%U in %q", r, got)
			}
			if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
				t.Errorf("%U in %q", r, got)
			}
		}
		if again := Escape(got); again != got {
			t.Errorf("twice: %q, then %q", got, again)
		}
		plain := utf8.ValidString(s)
		for _, r := range s {
			plain = plain && (unicode.In(r, unicode.L, unicode.N, unicode.P) && r < 0x1100 || r == ' ')
		}
		if plain && got != s {
			t.Errorf("ordinary text %q became %q", s, got)
		}
		ascii := New(Config{}).Escape(s)
		for _, r := range ascii {
			if r < ' ' || r > '~' {
				t.Errorf("%U in ASCII %q", r, ascii)
			}
		}
		for i := range s[:min(len(s), 200)] {
			if Escape(s[:i])+Escape(s[i:]) != got {
				t.Errorf("cut at %d: %q", i, s)
			}
		}
	})
}

func TestWidth(t *testing.T) {
	for in, want := range map[string]int{
		"": 0, "web": 3, "名字": 4, "（+2）": 6, "e\u0301": 1, "ｗ": 2, "━⊖╌": 3, "🚀": 2, "é": 1, "한글": 4, "ｶ": 1, "a\u200bb": 2, "\x1b": 0,
		"“”…": 3,
	} {
		if got := Width(in); got != want {
			t.Errorf("%q: %d cells, want %d", in, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tc := range []struct {
		text  string
		cells int
		want  []string
	}{
		{"", 10, []string{""}},
		{"one two", 10, []string{"one two"}},
		{"one two", 7, []string{"one two"}},
		{"one two", 6, []string{"one", "two"}},
		{"a /very/long/path/indeed b", 8, []string{"a", "/very/long/path/indeed", "b"}},
		{"Run plimsoll as root: the audit rules could not be read.", 56, []string{"Run plimsoll as root: the audit rules could not be read."}},
		{"Run plimsoll as root: the audit rules could not be read.", 52, []string{"Run plimsoll as root: the audit rules could not be", "read."}},
		{"in it add  \"x\": true", 30, []string{"in it add  \"x\": true"}},
		{"in it add  \"x\": true", 9, []string{"in it add", "\"x\": true"}},
		{"1\u00a0high, 1\u00a0medium, 1\u00a0low.", 18, []string{"1 high, 1 medium,", "1 low."}},
		{"1\u00a0high, 1\u00a0medium, 1\u00a0low.", 17, []string{"1 high, 1 medium,", "1 low."}},
		{"two\nlines \n here\n", 40, []string{"two lines here"}},
		{"ends in spaces   ", 40, []string{"ends in spaces"}},
		{"  indented", 40, []string{"  indented"}},
		{"内存没有上限", 6, []string{"内存没", "有上限"}},
		{"内存没有，上限", 8, []string{"内存没", "有，上限"}},
		{"内存「没有」上限", 6, []string{"内存", "「没", "有」上", "限"}},
		{"无法判断 dockerd 是否", 9, []string{"无法判断", "dockerd", "是否"}},
		{"请运行，web：内存", 8, []string{"请运行，", "web：内", "存"}},
		{"e\u0301e\u0301 e\u0301", 4, []string{"e\u0301e\u0301 e\u0301"}},
		{"名\u0301字", 2, []string{"名\u0301", "字"}},
	} {
		if diff := cmp.Diff(tc.want, Wrap(tc.text, tc.cells)); diff != "" {
			t.Errorf("%q in %d: %s", tc.text, tc.cells, diff)
		}
	}
}

// FuzzWrap: nothing but spaces is lost or added, no line ends in a space, and
// one that is too long cannot be broken.
func FuzzWrap(f *testing.F) {
	f.Add("one two  three", 5)
	f.Add("内存「没有」上限，web x", 6)
	f.Add("a\u00a0b\nc", 1)
	f.Fuzz(func(t *testing.T, s string, cells int) {
		if !utf8.ValidString(s) {
			return
		}
		lines := Wrap(s, cells)
		squeeze := func(s string) string {
			return strings.NewReplacer(" ", "", "\n", "", "\u00a0", "").Replace(s)
		}
		if got := squeeze(strings.Join(lines, "")); got != squeeze(s) {
			t.Errorf("%q became %q", s, lines)
		}
		for i, line := range lines {
			if strings.Contains(line, "\n") || strings.HasSuffix(line, " ") && !strings.Contains(s, "\u00a0") {
				t.Errorf("line %q", line)
			}
			if Width(line) > cells && len(atoms(line)) > 1 && !strings.Contains(s, "\u00a0") && i > 0 {
				t.Errorf("line %q of %q is longer than %d and could be broken", line, s, cells)
			}
		}
	})
}
