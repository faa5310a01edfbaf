package cosign

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// creator is who says that an image is signed, in what is signed here.
const creator = "plimsoll"

// annotations are what a signer says of a signature itself, and signs with it: "optional" in a
// payload of simple signing, and the annotations of a statement's subject. cosign puts there
// what its -a gives, as strings.
type annotations struct {
	Creator any `json:"creator,omitempty"`
	// Timestamp is when it was signed, in seconds since 1970 in UTC: a number in simple signing
	// (containers-signature(5)), a string where cosign wrote it.
	Timestamp any `json:"timestamp,omitempty"`
}

// claim is when something was signed by the signer's own word, zero where that does not say so
// in one of the two ways: then annotations of these names are somebody's own.
func claim(said json.RawMessage) time.Time {
	var a struct {
		Timestamp json.RawMessage `json:"timestamp"`
	}
	if len(said) == 0 {
		return time.Time{}
	}
	if _, err := strict.Decode("the annotations", said, &a); err != nil {
		return time.Time{}
	}
	digits := string(a.Timestamp)
	if text := ""; json.Unmarshal(a.Timestamp, &text) == nil {
		digits = text
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || seconds <= 0 || seconds > lastSecond {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// lastSecond is the end of the year 9999, behind which a time cannot be written (RFC 3339).
const lastSecond = 253402300799

// claims puts into a signature when the signer says that it was made, the earliest where that
// is said several times. One from the future would be the newest for as long as it is one.
func (j *judge) claims(found *Signature, said json.RawMessage) *refusal {
	if at := claim(said); !at.IsZero() && (found.Claimed.IsZero() || at.Before(found.Claimed)) {
		found.Claimed = at
	}
	if found.Claimed.After(j.now.Add(early)) {
		return refuse(NotYet, "its signer says that it was made at %s, and here it is %s", found.Claimed.Format(time.RFC3339), j.now.UTC().Format(time.RFC3339))
	}
	return nil
}
