package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// listError is what came from the engine whole, and is not a list of objects.
// Errors of the connection are never one.
type listError struct{ err error }

func (e *listError) Error() string { return e.err.Error() }
func (e *listError) Unwrap() error { return e.err }

var errUnlikeList = &listError{errUnlikeJSON}

// decodeList reads one JSON array of objects to the end of r. null is an empty
// list, as Go's encoder writes one that was never made.
func decodeList(r io.Reader) ([]json.RawMessage, error) {
	l := lister{r: bufio.NewReaderSize(r, readBytes)}
	items := []json.RawMessage{}
	first, err := l.next()
	switch {
	case err != nil:
		return nil, broken(err)
	case first == 'n':
		for _, want := range []byte("ull") {
			if c, err := l.r.ReadByte(); err != nil || c != want {
				return nil, wrong(err)
			}
		}
	case first != '[':
		return nil, errUnlikeList
	default:
		if items, err = l.items(items); err != nil {
			return nil, err
		}
	}
	// Reading to the end lets the connection serve the next call, and finds
	// what an engine never sends: something behind the list.
	if _, err := l.next(); !errors.Is(err, io.EOF) {
		return nil, wrong(err)
	}
	return items, nil
}

// broken is the error of reading, where the end comes too early.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// wrong is the error of reading or, where there is none, of what was read.
func wrong(err error) error {
	if err != nil {
		return broken(err)
	}
	return errUnlikeList
}

// maxDepth bounds nesting; the engine's own answers need less than 12.
const maxDepth = 100

// lister reads a list. text has the element that is being read.
type lister struct {
	r    *bufio.Reader
	text []byte
}

// next is the next byte that is not space.
func (l *lister) next() (byte, error) {
	for {
		c, err := l.r.ReadByte()
		if err != nil || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, err
		}
	}
}

// items reads what is behind the list's opening bracket, up to the closing one.
func (l *lister) items(items []json.RawMessage) ([]json.RawMessage, error) {
	for {
		c, err := l.next()
		switch {
		case err != nil:
			return nil, broken(err)
		case c == ']' && len(items) == 0:
			return items, nil
		case len(items) == maxElements:
			return nil, &listError{ErrTooBig}
		case c != '{':
			err = errUnlikeJSON
		default:
			if err = l.object(); err != nil && !errors.Is(err, ErrTooBig) {
				return nil, broken(err)
			}
		}
		if err != nil {
			return nil, &listError{fmt.Errorf("element %d of the list: %w", len(items), err)}
		}
		items = append(items, bytes.Clone(l.text))
		switch c, err = l.next(); {
		case err == nil && c == ']':
			return items, nil
		case err != nil || c != ',':
			return nil, wrong(err)
		}
	}
}

// object reads to the end of the object whose first brace was read. It looks at
// brackets and quotes alone: whoever decodes the element sees whether the rest is
// right.
func (l *lister) object() error {
	l.text = append(l.text[:0], '{')
	depth, quoted, escaped := 1, false, false
	for {
		if _, err := l.r.Peek(1); err != nil {
			return err
		}
		ready, _ := l.r.Peek(l.r.Buffered())
		for i, c := range ready {
			switch {
			case escaped:
				escaped = false
			case quoted && c == '\\':
				escaped = true
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '{' || c == '[':
				if depth++; depth > maxDepth {
					return ErrTooBig
				}
			case c == '}' || c == ']':
				if depth--; depth == 0 {
					l.text = append(l.text, ready[:i+1]...)
					_, err := l.r.Discard(i + 1)
					return err
				}
			}
		}
		l.text = append(l.text, ready...)
		if _, err := l.r.Discard(len(ready)); err != nil {
			return err
		}
	}
}
