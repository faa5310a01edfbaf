package engine

import (
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

// decodeList reads one JSON array of objects to the end of r. null is an empty
// list, as Go's encoder writes one that was never made.
func decodeList(r io.Reader) ([]json.RawMessage, error) {
	dec := json.NewDecoder(r)
	first, err := dec.Token()
	if err != nil {
		return nil, listFault(err)
	}
	items := []json.RawMessage{}
	if first == json.Delim('[') {
		for dec.More() {
			if len(items) == maxElements {
				return nil, &listError{ErrTooBig}
			}
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return nil, listFault(err)
			}
			if err := checkObject(raw); err != nil {
				return nil, &listError{fmt.Errorf("element %d of the list: %w", len(items), err)}
			}
			items = append(items, raw)
		}
		if _, err := dec.Token(); err != nil {
			return nil, listFault(err)
		}
	} else if first != nil {
		return nil, &listError{errUnlikeJSON}
	}
	// Reading to the end lets the connection serve the next call, and finds
	// what an engine never sends: something behind the list.
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errUnlikeJSON
		}
		return nil, listFault(err)
	}
	return items, nil
}

// listFault tells wrong JSON from a broken connection.
func listFault(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, errUnlikeJSON) {
		return &listError{errUnlikeJSON}
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
