package inventory

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/plimsoll/plimsoll/internal/term"
)

// Schema names the JSON of a listing.
const Schema = "plimsoll/inventory/1"

// document is what WriteJSON writes. Times are RFC 3339 in UTC; what is not known or not
// given is absent.
type document struct {
	Schema string `json:"schema"`
	// Time is what all is told for, and At says that it was asked for.
	Time time.Time `json:"time"`
	At   bool      `json:"at,omitempty"`
	// Trail is the key of the trail, Events the number of its events that were read, and
	// First the first that was still there.
	Trail       string       `json:"trail"`
	First       int64        `json:"first_event,omitempty"`
	Events      int64        `json:"events"`
	Summary     Summary      `json:"summary"`
	Deployments []Deployment `json:"deployments"`
}

// WriteJSON writes a listing for programs (schema plimsoll/inventory/1, RFC 8259): in
// the order of the listing, characters that a terminal would act on as escapes.
func (l *Listing) WriteJSON(w io.Writer) error {
	doc := document{Schema: Schema, Time: l.Time.UTC(), At: !l.Filter.At.IsZero(), Trail: l.Trail, First: l.First, Events: l.Events,
		Summary: l.Summary, Deployments: append([]Deployment{}, l.Deployments...)}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the inventory: %w", err)
	}
	if _, err := w.Write(append(term.EscapeJSON(text), '\n')); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}
