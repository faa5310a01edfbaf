package engine

import (
	"errors"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// maxDepth bounds nesting; the engine's own answers need less than 12.
const maxDepth = 100

// errUnlikeJSON is an answer that is whole but not the JSON asked for.
var errUnlikeJSON = errors.New("the answer is not JSON of the right kind")

// checkObject tells whether body is one JSON object (RFC 8259) within bounds.
// It takes what encoding/json takes, in one pass over the text: every answer is
// read here before it is read for what it says.
func checkObject(body []byte) error {
	at := skipSpace(body, 0)
	if at == len(body) || body[at] != '{' {
		return errUnlikeJSON
	}
	at, err := skipValue(body, at, maxDepth)
	if err != nil {
		return err
	}
	if skipSpace(body, at) != len(body) {
		return errUnlikeJSON
	}
	return nil
}

func skipSpace(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\t' || b[at] == '\r') {
		at++
	}
	return at
}

// skipValue gives the end of the JSON value that begins at a place. More than
// levels of arrays and objects in one another are ErrTooBig.
func skipValue(b []byte, at, levels int) (int, error) {
	if at == len(b) {
		return at, errUnlikeJSON
	}
	switch c := b[at]; {
	case c == '"':
		return skipString(b, at)
	case c == '{' || c == '[':
		if levels == 0 {
			return at, ErrTooBig
		}
		return skipParts(b, at, levels-1)
	case c == '-' || '0' <= c && c <= '9':
		return skipNumber(b, at)
	case c == 'n':
		return skipWord(b, at, "null")
	case c == 't':
		return skipWord(b, at, "true")
	case c == 'f':
		return skipWord(b, at, "false")
	}
	return at, errUnlikeJSON
}

func skipWord(b []byte, at int, word string) (int, error) {
	end := at + len(word)
	if end > len(b) || string(b[at:end]) != word {
		return at, errUnlikeJSON
	}
	return end, nil
}

// skipParts gives the end of an array or object.
func skipParts(b []byte, at, levels int) (int, error) {
	object, end := b[at] == '{', b[at]+2 // ] and } are two after [ and {
	if at = skipSpace(b, at+1); at < len(b) && b[at] == end {
		return at + 1, nil
	}
	for {
		var err error
		if object {
			if at, err = skipKey(b, at); err != nil {
				return at, err
			}
		}
		if at, err = skipValue(b, at, levels); err != nil {
			return at, err
		}
		if at = skipSpace(b, at); at == len(b) {
			return at, errUnlikeJSON
		}
		switch b[at] {
		case end:
			return at + 1, nil
		case ',':
			at = skipSpace(b, at+1)
		default:
			return at, errUnlikeJSON
		}
	}
}

// skipKey gives the beginning of the value that follows a key.
func skipKey(b []byte, at int) (int, error) {
	if at == len(b) || b[at] != '"' {
		return at, errUnlikeJSON
	}
	at, err := skipString(b, at)
	if err != nil {
		return at, err
	}
	if at = skipSpace(b, at); at == len(b) || b[at] != ':' {
		return at, errUnlikeJSON
	}
	return skipSpace(b, at+1), nil
}

func skipString(b []byte, at int) (int, error) {
	for at++; ; at++ {
		if at += strict.Plain(b[at:]); at == len(b) {
			return at, errUnlikeJSON
		}
		switch c := b[at]; {
		case c == '"':
			return at + 1, nil
		case c < ' ':
			return at, errUnlikeJSON
		case c != '\\': // not ASCII
			continue
		}
		if at++; at == len(b) || !isEscape(b[at:]) {
			return at, errUnlikeJSON
		}
	}
}

// isEscape tells whether b begins with what may follow a backslash.
func isEscape(b []byte) bool {
	switch b[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		if len(b) < 5 {
			return false
		}
		for _, c := range b[1:5] {
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
		return true
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func skipNumber(b []byte, at int) (int, error) {
	if b[at] == '-' {
		at++
	}
	switch {
	case at < len(b) && b[at] == '0':
		at++
	case at < len(b) && isDigit(b[at]):
		at = skipDigits(b, at)
	default:
		return at, errUnlikeJSON
	}
	if at < len(b) && b[at] == '.' {
		if at++; at == len(b) || !isDigit(b[at]) {
			return at, errUnlikeJSON
		}
		at = skipDigits(b, at)
	}
	if at < len(b) && b[at]|0x20 == 'e' {
		if at++; at < len(b) && (b[at] == '+' || b[at] == '-') {
			at++
		}
		if at == len(b) || !isDigit(b[at]) {
			return at, errUnlikeJSON
		}
		at = skipDigits(b, at)
	}
	return at, nil
}

func skipDigits(b []byte, at int) int {
	for at < len(b) && isDigit(b[at]) {
		at++
	}
	return at
}
