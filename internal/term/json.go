package term

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeJSON writes the characters of a JSON text that Escape would write out as
// JSON's own escapes, which programs read as the same text; line ends stay. They
// stand in strings only, for all else of JSON is ASCII. Bytes that are not UTF-8
// become U+FFFD, for JSON has no others.
func EscapeJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == '\n' || r != utf8.RuneError && visible(r) {
			out = append(out, text[:size]...)
		} else {
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	return out
}
