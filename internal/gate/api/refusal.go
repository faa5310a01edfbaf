package api

import (
	"strconv"
	"unicode/utf8"
)

// Refusal is why a request is not passed on, in the engine's words where it has
// some, and what to do about it.
type Refusal struct {
	Status  int
	Message string
}

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

func refuse(status int, message string) *Refusal { return &Refusal{Status: status, Message: message} }

// show quotes what the client sent, short enough for a message and with nothing in
// it that a terminal acts on.
func show(text string) string {
	const most = 80
	if len(text) > most {
		cut := most
		for cut > most-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "..."
	}
	return strconv.Quote(text)
}
