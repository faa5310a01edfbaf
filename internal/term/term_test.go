package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// colourful is a terminal that shows everything.
func colourful(columns int) Config {
	return Config{Writer: &bytes.Buffer{}, Terminal: true, Columns: columns, Color: true, UTF8: true}
}

func TestDetectReadsTheEnvironment(t *testing.T) {
	for _, tc := range []struct {
		env         string
		noColor     bool
		color, utf8 bool
	}{
		{"LANG=en_US.UTF-8", false, true, true},
		{"LANG=en_US.utf8", false, true, true},
		{"LANG=C", false, true, false},
		{"", false, true, false},
		{"LANG=de_DE.ISO-8859-1", false, true, false},
		{"LC_ALL=C LANG=en_US.UTF-8", false, true, false},
		{"LC_ALL=C.UTF-8 LANG=C", false, true, true},
		{"LC_CTYPE=C LANG=en_US.UTF-8", false, true, false},
		{"LC_ALL=en_US.UTF-8 LC_CTYPE=C", false, true, true},
		{"TERM=dumb LANG=en_US.UTF-8", false, false, false},
		{"TERM=xterm LANG=en_US.UTF-8", false, true, true},
		{"NO_COLOR=1 LANG=en_US.UTF-8", false, false, true},
		{"NO_COLOR=0 LANG=en_US.UTF-8", false, false, true},
		{"NO_COLOR= LANG=en_US.UTF-8", false, true, true},
		{"LANG=en_US.UTF-8", true, false, true},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(tc.env) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		c := Detect(&bytes.Buffer{}, func(name string) string { return env[name] }, tc.noColor)
		if c.Color != tc.color || c.UTF8 != tc.utf8 {
			t.Errorf("%q, %v: colour %v, UTF-8 %v", tc.env, tc.noColor, c.Color, c.UTF8)
		}
	}
}

func TestPrinterWritesThrough(t *testing.T) {
	var b bytes.Buffer
	p := New(Config{Writer: &b})
	fmt.Fprintf(p, "%s\n", p.Escape("é\x1b"))
	if got := b.String(); got != "\\u00e9\\x1b\n" {
		t.Errorf("got %q", got)
	}
}

// TestStyles is the table of the specification: sign, style, sign in ASCII.
func TestStyles(t *testing.T) {
	for _, tc := range []struct {
		style             Style
		glyph, sgr, ascii string
	}{
		{Critical, "C", "1;97;41", "C"},
		{High, "H", "1;31", "H"},
		{Medium, "M", "33", "M"},
		{Low, "L", "36", "L"},
		{Info, "I", "2", "I"},
		{Pass, "✓", "32", "+"},
		{Waived, "~", "35", "~"},
		{Unknown, "?", "33", "?"},
		{Manual, "»", "36", ">"},
		{NotApplicable, "-", "2", "-"},
		{Allow, "✓", "32", "+"},
		{Change, "~", "36", "~"},
		{Deny, "✗", "1;31", "x"},
		{Plain, "", "", ""},
		{Bold, "", "1", ""},
		{Faint, "", "2", ""},
		{Missing, "", "33", ""},
		{Late, "", "31", ""},
	} {
		painted := func(text string) string {
			if tc.sgr == "" {
				return text
			}
			return "\x1b[" + tc.sgr + "m" + text + "\x1b[0m"
		}
		cells := func(sign string) string {
			if sign == "" {
				return "   "
			}
			return " " + sign + " "
		}
		c := colourful(80)
		if got, want := New(c).Paint(tc.style, "text"), painted("text"); got != want {
			t.Errorf("%d: painted %q, want %q", tc.style, got, want)
		}
		if got := New(c).Paint(tc.style, ""); got != "" {
			t.Errorf("%d: nothing painted as %q", tc.style, got)
		}
		want := cells(tc.glyph)
		if tc.glyph != "" {
			want = painted(want)
		}
		if got := New(c).Glyph(tc.style); got != want {
			t.Errorf("%d: glyph %q, want %q", tc.style, got, want)
		}
		c.Color = false
		if got := New(c).Glyph(tc.style); got != cells(tc.glyph) {
			t.Errorf("%d: glyph without colour %q", tc.style, got)
		}
		c.UTF8 = false
		if got := New(c).Glyph(tc.style); got != cells(tc.ascii) {
			t.Errorf("%d: glyph in ASCII %q", tc.style, got)
		}
	}
}

func TestColourNeedsATerminal(t *testing.T) {
	c := colourful(80)
	if got := New(c).Paint(Bold, "x"); got != "\x1b[1mx\x1b[0m" {
		t.Errorf("on a terminal %q", got)
	}
	c.Terminal = false
	if got := New(c).Paint(Bold, "x"); got != "x" {
		t.Errorf("in a pipe %q", got)
	}
}

func TestLoadLine(t *testing.T) {
	c := colourful(80)
	c.Color = false
	for _, tc := range []struct {
		score, mark, cells int
		want               string
	}{
		{83, 80, 51, "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━⊖━─────────"},
		{94, 80, 51, "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━⊖━━━━━━────"},
		{76, 80, 51, "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╌╌⊖──────────"},
		{58, 80, 51, "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌⊖──────────"},
		{83, 80, 26, "━━━━━━━━━━━━━━━━━━━━⊖─────"},
		{80, 80, 51, "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━⊖──────────"},
		{79, 80, 51, "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╌⊖──────────"},
		{0, 80, 26, "╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌⊖─────"},
		{100, 80, 26, "━━━━━━━━━━━━━━━━━━━━⊖━━━━━"},
		{100, 100, 26, "━━━━━━━━━━━━━━━━━━━━━━━━━⊖"},
		{0, 0, 26, "⊖─────────────────────────"},
		{0, 1, 26, "⊖─────────────────────────"},
	} {
		if got := New(c).LoadLine(tc.score, tc.mark, tc.cells); got != tc.want {
			t.Errorf("%d of %d\n got %s\nwant %s", tc.score, tc.mark, got, tc.want)
		}
	}
	c.UTF8 = false
	if got, want := New(c).LoadLine(76, 80, 26), "===================.O-----"; got != want {
		t.Errorf("in ASCII %s, want %s", got, want)
	}
	got := New(colourful(80)).LoadLine(50, 60, 11)
	if want := "\x1b[36m━━━━━\x1b[0m\x1b[31m╌\x1b[0m\x1b[1m⊖\x1b[0m\x1b[2m────\x1b[0m"; got != want {
		t.Errorf("painted %q, want %q", got, want)
	}
	for score := range 101 {
		for mark := range 101 {
			for _, cells := range []int{26, 51} {
				line := New(c).LoadLine(score, mark, cells)
				if len(line) != cells || strings.Count(line, "O") != 1 {
					t.Fatalf("%d of %d in %d cells: %s", score, mark, cells, line)
				}
				if mark > 5 && (score < mark) != strings.Contains(line, ".") {
					t.Fatalf("%d of %d in %d cells: %s", score, mark, cells, line)
				}
			}
		}
	}
}
