package term

import (
	"io"
	"testing"
)

// TestTable: columns are as wide as what is in them, wide characters and escapes counted, and
// no line ends in spaces.
func TestTable(t *testing.T) {
	rows := [][]Cell{{{"one", Pass}, {"", Plain}, {"x", Bold}}, {{"長い", Plain}, {"a\x1b[2J", Plain}}, {}}
	p := New(Config{Writer: io.Discard, UTF8: true})
	if got, want := p.Table([]string{"A", "BB", "C"}, rows), " A     BB        C\n one             x\n 長い  a\\x1b[2J\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p = New(Config{Writer: io.Discard, UTF8: true, Color: true, Terminal: true})
	if got, want := p.Table([]string{"A", "B"}, [][]Cell{{{"one", Pass}, {"x", Plain}}}), " \x1b[2mA\x1b[0m    \x1b[2mB\x1b[0m\n \x1b[32mone\x1b[0m  x\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
