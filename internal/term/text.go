package term

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Escape writes out every character that a terminal would act on or that
// nobody would see: control characters as \x1b; those that turn the direction
// of text, have no width or no meaning yet, and spaces that are not the plain
// or the wide one, as \u202e or \U000e0041; bytes that are not UTF-8 as \xff.
// What comes out is one line of visible characters.
//
// A backslash stays as it is, so the result is for reading and cannot be turned
// back; escaping twice is the same as once.
func Escape(s string) string { return escape(s, visible) }

// visible reports whether a character may be printed as it is.
func visible(r rune) bool {
	if r >= ' ' && r <= '~' {
		return true
	}
	// Not all that is invisible is of a category that says so: fillers and the
	// selectors of variants are letters and marks (Unicode, Default_Ignorable).
	if unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || r == '\u2800' {
		return false
	}
	return unicode.IsPrint(r) || r == '\u3000'
}

func escape(s string, keep func(rune) bool) string {
	clean := true
	for _, r := range s {
		// A byte that is not UTF-8 looks like this too; it is told apart below.
		clean = clean && r != utf8.RuneError && keep(r)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case keep(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// Width is how many cells a text takes: characters that are East Asian Wide or
// Fullwidth (Unicode, annex 11) two, combining marks and what is not printable
// none, all others one. Those of ambiguous width count as one. The text must
// not be painted yet.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += cells(r)
	}
	return n
}

func cells(r rune) int {
	switch {
	case r >= ' ' && r <= '~':
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc):
		return 0
	case wide(r):
		return 2
	}
	return 1
}

func wide(r rune) bool {
	kind := width.LookupRune(r).Kind()
	return kind == width.EastAsianWide || kind == width.EastAsianFullwidth
}

// Where a line may not break in Chinese text.
const (
	neverFirst = "，。：；！？」）、"
	neverLast  = "「（"
)

// Wrap breaks a text into lines of at most so many cells: at spaces, and beside
// wide characters, but not before closing punctuation nor after an opening one.
// A space that does not break (U+00A0) is printed as a plain one. A word that is
// longer than a line is not broken but runs over, so that a command or a path
// can be copied. A line feed counts as a space. The result has at least one
// line; none ends in a space.
func Wrap(s string, cells int) []string {
	var lines []string
	var line strings.Builder
	used := 0
	for _, a := range atoms(s) {
		gap, n := len(a.gap), Width(a.text)
		if line.Len() > 0 && used+gap+n > cells {
			lines = append(lines, line.String())
			line.Reset()
			used, gap = 0, 0
		}
		line.WriteString(a.gap[:gap] + strings.ReplaceAll(a.text, "\u00a0", " "))
		used += gap + n
	}
	return append(lines, line.String())
}

// atom is a part of a text that no line end divides, and the spaces before it.
type atom struct{ gap, text string }

func atoms(s string) []atom {
	var all []atom
	var gap, text strings.Builder
	end := func() {
		if text.Len() > 0 {
			all = append(all, atom{gap.String(), text.String()})
			gap.Reset()
			text.Reset()
		}
	}
	last := ' '
	for _, r := range s {
		switch {
		case r == ' ' || r == '\n':
			end()
			// A line feed beside spaces is one space, not two.
			if r == ' ' && last != '\n' || r == '\n' && gap.Len() == 0 {
				gap.WriteByte(' ')
			}
		case text.Len() > 0 && mayBreak(last, r):
			end()
			text.WriteRune(r)
		default:
			text.WriteRune(r)
		}
		last = r
	}
	end()
	return all
}

// mayBreak reports whether a line may end between two characters that no space
// divides.
func mayBreak(a, b rune) bool {
	if strings.ContainsRune(neverLast, a) || strings.ContainsRune(neverFirst, b) || cells(b) == 0 {
		return false
	}
	return a != '\u00a0' && b != '\u00a0' && (wide(a) || wide(b))
}
