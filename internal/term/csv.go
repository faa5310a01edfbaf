package term

import "strings"

// Inert writes a text out for a cell of a spreadsheet, as Escape does, and keeps the
// spreadsheet from acting on it: what it would take for a formula has a quote before it. Those
// for East Asian languages take the wide signs for the plain ones.
func Inert(s string) string {
	first := strings.TrimLeft(s, " \u3000\u00a0")
	s = Escape(s)
	for _, sign := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(first, sign) {
			return "'" + s
		}
	}
	return s
}
