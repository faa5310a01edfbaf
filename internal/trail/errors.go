package trail

import (
	"errors"
	"fmt"
)

// ErrBroken says that what is on disk is not known any more: the Log must be closed and
// opened again. Whoever runs for long branches on it.
var ErrBroken = errors.New("the trail must be opened again")

// ErrLocked says that another process writes this trail.
var ErrLocked = errors.New("another process writes this trail")

// FullError says that the disk is full and the event was not recorded. It may be tried
// again.
type FullError struct {
	Dir string
	Err error
}

func (e *FullError) Error() string {
	return "the disk of " + e.Dir + " is full: nothing but stop, kill, die and remove is recorded until there is room"
}

func (e *FullError) Unwrap() error { return e.Err }

// CorruptError says that a file of a trail is not what plimsoll wrote.
type CorruptError struct {
	File string // in the trail's folder
	// Event is the first event that is concerned, or -1.
	Event int64
	What  string
}

func (e *CorruptError) Error() string { return e.File + ": " + e.What }

func corrupt(file string, event int64, format string, args ...any) *CorruptError {
	return &CorruptError{File: file, Event: event, What: fmt.Sprintf(format, args...)}
}
