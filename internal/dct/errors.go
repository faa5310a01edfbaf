package dct

import (
	"fmt"
	"time"
)

// The steps that may refuse, in the order in which they are taken.
const (
	StepState      = "state"         // what is remembered cannot be read or written
	StepServer     = "server"        // the server does not answer as it should
	StepNoData     = "no-trust-data" // the server knows nothing of the name
	StepTooLarge   = "too-large"     // a document has more bytes or parts than it may
	StepMalformed  = "malformed"     // a document is not what it should be
	StepRoot       = "root"          // the root is not the one that is trusted
	StepRotation   = "rotation"      // a newer root is not signed by the one before
	StepTimestamp  = "timestamp"     // the timestamp is not signed by its keys
	StepExpired    = "expired"       // a document is out of date
	StepRollback   = "rollback"      // a document is older than one that was seen
	StepSnapshot   = "snapshot"      // the snapshot is not the one that the timestamp names, or not signed
	StepTargets    = "targets"       // the list of tags is not the one that the snapshot names, or not signed
	StepDelegation = "delegation"    // so is a list that others may write
	StepNoTag      = "no-such-tag"   // nobody who counts has signed the tag
	StepDigest     = "wrong-digest"  // another image was signed
)

// Error is why an image does not verify. Whoever decides over it tells the step, and whether
// there are no signatures at all (StepNoData) or wrong ones.
type Error struct {
	// Step is one of those above.
	Step string
	// GUN is the name of the repository, and Role the document that is meant, "" for none.
	GUN, Role string
	// Msg says what is wrong, and Hint what to do, which may be "".
	Msg, Hint string
	// Err is the cause, nil where there is no other.
	Err error
}

// Error is one line without the hint.
func (e *Error) Error() string {
	text := "content trust of " + e.GUN + ": "
	if e.Role != "" {
		text += e.Role + ": "
	}
	text += e.Msg
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// fail makes an error without a name, which the client fills in.
func fail(step, role, format string, args ...any) *Error {
	return &Error{Step: step, Role: role, Msg: fmt.Sprintf(format, args...)}
}

// date is a time as messages have it.
func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
