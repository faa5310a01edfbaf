package engine

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

var (
	// ErrNotFound is the engine's word that the container, image, exec or
	// network asked for is not there. A collector branches on it: what was
	// removed between the list and the inspect is left out, and said so.
	ErrNotFound = errors.New("not found")

	// ErrTooBig is an answer beyond this package's bounds. A collector
	// branches on it for a single subject, whose facts are then unseen while
	// all others are still judged.
	ErrTooBig = errors.New("the answer is too big")
)

// Error is a call, or the way to an engine, that failed. A collector reads
// Status: with one, the engine is there and refused this single call; without,
// there is nothing more to be had from it.
type Error struct {
	// Message is one sentence without a full stop that says what happened and
	// names the endpoint or the request.
	Message string
	// Status is the HTTP status of the engine's refusal, 0 if there was none.
	Status int
	// Err is the cause in the system's or the engine's own words, or nil. It
	// never holds control characters that the engine sent.
	Err error

	hint string
}

// Error is the message, and the cause after a colon.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says what to do next, in sentences and, indented by two spaces, lines to
// type. It is empty if there is nothing to advise.
func (e *Error) Hint() string { return e.hint }

// printable makes text from an engine or from ssh safe to put in an error:
// on one line, of at most limit runes, with control and formatting characters
// (escape sequences, bidirectional overrides) shown as escapes.
func printable(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.Join(strings.Fields(s), " ") {
		if n == limit {
			b.WriteString("…")
			break
		}
		n++
		switch {
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
