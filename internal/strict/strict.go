// Package strict decodes JSON and YAML that somebody else wrote, and refuses
// what two readers could understand differently: a key that is not known, a key
// given twice, a second value after the first, bytes that are not UTF-8. Every
// refusal names the file, the line, the column and the field.
//
// In the order of use:
//
//   - [JSON] fills a Go value and refuses whatever it does not know.
//   - [Decode] fills a Go value, skips what it does not know and lists that. It
//     is for documents that are trusted more but may be newer than this program,
//     such as the engine's. A field of type [Missing] gets what it should have
//     found and did not.
//   - [Tree] parses JSON into [Value], an ordered tree that keeps absent, null
//     and [] apart and numbers as they were written. [Value.Decode] fills a Go
//     value from a part of it; [Unknown] lists what was skipped.
//   - [YAML] is for one document; [YAMLDocuments] for several, each a
//     [Document] that is decoded on its own; [YAMLNode] for the bare node.
//   - [Error] is what all of them return. [Error.Excerpt] shows the place.
//   - [Nearest] finds the word that was probably meant, [Fold] the form in which
//     encoding/json compares keys.
//
// The standards are RFC 8259 (JSON) and YAML 1.2 as go.yaml.in/yaml/v3 reads
// it. Into which field a key goes follows the tags and rules of encoding/json
// and of yaml/v3, except that a key must be spelt exactly: encoding/json also
// takes one that differs in case.
//
// The package does no I/O, puts no bound on the size of what it is given (the
// reader of the bytes does) and does not check what values mean. Its messages
// name keys, never values, so that a secret in a file stays there (a type that
// decodes itself words its own); an excerpt shows the line as it is, and is
// meant for files of the reader's own.
package strict

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on what is read, for any input. They are far above what a person
// writes or an engine says.
const (
	maxDepth = 200    // objects and lists inside each other
	maxKeys  = 10_000 // keys of one YAML mapping; yaml/v3 compares each pair
	maxAlias = 10_000 // YAML nodes that aliases may add to a document
)

// Error is a refusal at a place in a file. Packages that check what a decoded
// value means make their own, so that all complaints about a file look alike.
type Error struct {
	File   string // as the user named it; empty when there is none
	Line   int    // from 1; 0 when the whole file is meant
	Column int    // in characters, from 1; 0 when the whole line is meant
	Field  string // such as findings[3].rule; empty for the whole document
	Msg    string // what is wrong, without file and line
	Hint   string // what to write instead, a phrase; may be empty
	Err    error  // the cause, where another decoder gave one; may be nil

	// Source is the text of the file, for Excerpt; nil gives no excerpt.
	Source []byte
}

// Error gives the place and what is wrong in one line without the hint:
//
//	waivers.yaml line 7: "expires" is in the past: 2026-10-31
//
// The column is given for a file of one line, where the line says nothing.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(printable(e.File))
	if e.Line > 0 {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "line %d", e.Line)
		if e.Column > 0 && e.Source != nil && !bytes.Contains(bytes.TrimSpace(e.Source), []byte("\n")) {
			fmt.Fprintf(&b, ", column %d", e.Column)
		}
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	if e.Err != nil {
		if e.Msg != "" {
			b.WriteString(": ")
		}
		b.WriteString(printable(e.Err.Error()))
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// within puts e below a step of the path (a key, or an index in brackets).
func (e *Error) within(step string) *Error {
	e.Field = join(step, e.Field)
	return e
}

// join puts two parts of a path together.
func join(path, rest string) string {
	if path == "" || rest == "" || rest[0] == '[' {
		return path + rest
	}
	return path + "." + rest
}

// keyStep writes a key as a step of a path: as it is when it is a plain word,
// else quoted and in brackets.
func keyStep(key string) string {
	plain := key != ""
	for _, r := range key {
		plain = plain && (r == '_' || r == '-' || r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)))
	}
	if plain {
		return key
	}
	return "[" + strconv.Quote(key) + "]"
}

// indexStep writes the index of a list element as a step of a path.
func indexStep(i int) string { return "[" + strconv.Itoa(i) + "]" }

// position gives line and column, both from 1, of a byte offset. The column
// counts characters; a byte that is not UTF-8 counts as one.
func position(src []byte, offset int) (line, column int) {
	before := src[:min(offset, len(src))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// excerptWidth is how many characters of a line an excerpt shows at most.
const excerptWidth = 72

// Excerpt gives the line before, the line itself and a caret below the column
// with the hint, as plain text whose lines each end in a line feed; it is empty
// when the source or the place is not known. Characters that a terminal acts on
// are written out, and of a long line the part around the column is shown.
//
//	6 |   owner: ana
//	7 |   expires: 2026-10-31
//	  |            ^ a date after today, for example 2027-02-01
func (e *Error) Excerpt() string {
	lines := bytes.Split(e.Source, []byte("\n"))
	if e.Line < 1 || e.Line > len(lines) || e.Source == nil {
		return ""
	}
	digits := len(strconv.Itoa(e.Line))
	var b strings.Builder
	if e.Line > 1 {
		text, _ := window(lines[e.Line-2], 1)
		b.WriteString(strings.TrimRight(fmt.Sprintf("    %*d | %s", digits, e.Line-1, text), " ") + "\n")
	}
	text, indent := window(lines[e.Line-1], e.Column)
	b.WriteString(strings.TrimRight(fmt.Sprintf("    %*d | %s", digits, e.Line, text), " ") + "\n")
	if e.Column > 0 {
		mark := strings.TrimRight("^ "+printable(e.Hint), " ")
		fmt.Fprintf(&b, "    %*s | %s%s\n", digits, "", strings.Repeat(" ", indent), mark)
	}
	return b.String()
}

// window gives the part of a line around a column, printable, and how many
// cells stand before the column.
func window(line []byte, column int) (text string, indent int) {
	runes := []rune(string(bytes.TrimSuffix(line, []byte("\r"))))
	at := min(max(column-1, 0), len(runes))
	from := 0
	if len(runes) > excerptWidth {
		from = min(max(at-excerptWidth/2, 0), len(runes)-excerptWidth)
	}
	to := min(from+excerptWidth, len(runes))
	before, after := printable(string(runes[from:at])), ""
	if at < to {
		after = printable(string(runes[at:to]))
	}
	if from > 0 {
		before = "..." + before
	}
	if to < len(runes) {
		after += "..."
	}
	for _, r := range before {
		indent += cells(r)
	}
	return before + after, indent
}

// cells is how many cells a printable character takes. It knows the scripts in
// which a person comments a file; a caret that is off by one does no harm.
func cells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul),
		r >= 0x3000 && r <= 0x303f, r >= 0xff01 && r <= 0xff60:
		return 2
	}
	return 1
}

// printable writes out every character that is not visible.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
