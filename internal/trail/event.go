package trail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxEvent bounds the bytes of an event; an entry bundle has 16 bits for a length
// (C2SP tlog-tiles).
const maxEvent = 1<<16 - 1

// Event is something that happened. Its fields are stored in this order.
type Event struct {
	// Seq is its number from 0, and Time when it was recorded, never before that of the
	// event before it. Append gives both.
	Seq  int64     `json:"seq"`
	Time time.Time `json:"time"`
	// Type is what happened: one of the constants, or a word of a newer version.
	Type string `json:"type"`
	// Actor is who did it, where that is known.
	Actor   *Actor  `json:"actor,omitempty"`
	Subject Subject `json:"subject"`
	// Declared is what was said about a deployment.
	Declared *Declared `json:"declared,omitempty"`
	// Detail is what else there is to say, by names that belong to the type.
	Detail map[string]any `json:"detail,omitempty"`
}

// The types of events.
const (
	Deploy  = "deploy"  // a container was made
	Start   = "start"   // it runs
	Healthy = "healthy" // its health check passed for the first time since its start
	Sick    = "sick"    // its health check failed
	Stop    = "stop"    // it was asked to end
	Kill    = "kill"    // it was sent a signal
	Die     = "die"     // it ended
	Pause   = "pause"
	Resume  = "resume"
	Rename  = "rename"
	Update  = "update" // its limits were changed
	Exec    = "exec"
	Remove  = "remove"
	Pull    = "pull"
	Load    = "load" // an image came from an archive, or was built or committed here
	Tag     = "tag"
	Delete  = "delete" // an image, or a tag of it
	Volume  = "volume"
	Network = "network"
	Task    = "task"    // a node of a swarm was given a container, or it was taken away
	Judge   = "judge"   // what the rules say of a container became otherwise
	Scan    = "scan"    // an image was scanned for known flaws and secrets
	Vouch   = "verify"  // it was looked who signed an image
	Trust   = "trust"   // the policy of trust got a key, or one was revoked in it
	Move    = "move"    // a tag of a registry leads to another image than it did
	Engine  = "engine"  // the engine was met, lost or met again
	Prune   = "prune"   // events of this trail were thrown away
	Clock   = "clock"   // the host's clock was set back
	Recover = "recover" // what was torn by a crash was cut off
)

// alwaysRecorded are the types that the reserve is for: nobody shall be kept from
// stopping a container by a full disk.
var alwaysRecorded = map[string]bool{Stop: true, Kill: true, Remove: true, Die: true, Clock: true}

// Actor is who did something. What is not known is absent.
type Actor struct {
	UID         *uint32 `json:"uid,omitempty"`
	User        string  `json:"user,omitempty"`
	LoginUID    *uint32 `json:"login_uid,omitempty"` // before su and sudo (proc(5))
	PID         int     `json:"pid,omitempty"`
	Exe         string  `json:"exe,omitempty"`
	Container   string  `json:"container,omitempty"` // that the caller itself runs in
	TTY         string  `json:"tty,omitempty"`
	CertSubject string  `json:"cert_subject,omitempty"`
}

// Subject is what an event is about.
type Subject struct {
	Kind   string `json:"kind"` // container, image, volume, network, service, engine, trail, key
	ID     string `json:"id,omitempty"`
	Name   string `json:"name,omitempty"`
	Image  string `json:"image,omitempty"`  // as it was asked for
	Digest string `json:"digest,omitempty"` // sha256:HEX, the image's id or its manifest's digest
}

// Declared is what somebody says about what they deploy.
type Declared struct {
	Owner       string `json:"owner,omitempty"`
	Why         string `json:"why,omitempty"`
	Intent      string `json:"intent,omitempty"`
	RetireAfter string `json:"retire_after,omitempty"` // a date, RFC 3339
	Source      string `json:"source,omitempty"`       // where it was said: labels, deploy
}

// TooLargeError says that an event is larger than the trail can hold.
type TooLargeError struct {
	Type  string
	Bytes int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the %s event has %d bytes, and %d is the most that the trail holds", e.Type, e.Bytes, maxEvent)
}

// Clip cuts a text of others, for an event, to so many bytes, between two characters.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most - len("…")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// appendHead appends how the bytes of an event begin. Append encodes all the rest, which
// does not depend on it.
func appendHead(b []byte, seq int64, at time.Time) []byte {
	b = strconv.AppendInt(append(b, `{"seq":`...), seq, 10)
	b = append(b, `,"time":"`...)
	b = at.AppendFormat(b, time.RFC3339Nano)
	return append(b, `",`...)
}

// maxHead is the most that it can need.
const maxHead = len(`{"seq":9223372036854775807,"time":"2006-01-02T15:04:05.999999999Z",`)

// rest encodes an event from its type on.
func rest(e Event) ([]byte, error) {
	if e.Type == "" || e.Subject.Kind == "" {
		return nil, errors.New("an event has a type and a kind of subject")
	}
	e.Seq, e.Time = 0, time.Time{}
	all, err := encode(&e)
	if err != nil {
		return nil, err
	}
	if !plain(e.Detail) || bytes.Contains(all, []byte(`\ufffd`)) {
		// Fields of a struct have another order than the keys that they are read as. Bytes
		// that are no UTF-8 were replaced, and the replacement itself is written as it is.
		var again Event
		if err := decode(all, &again); err != nil {
			return nil, err
		}
		if all, err = encode(&again); err != nil {
			return nil, err
		}
	}
	part := all[len(`{"seq":0,"time":"0001-01-01T00:00:00Z",`):]
	if n := len(part) + maxHead; n > maxEvent {
		return nil, &TooLargeError{Type: e.Type, Bytes: n}
	}
	return part, nil
}

// plain says whether a detail is written again as it is written first.
func plain(v any) bool {
	switch v := v.(type) {
	case nil, string, bool, int, int64, float64, []string:
		return true
	case map[string]any:
		for _, of := range v {
			if !plain(of) {
				return false
			}
		}
		return true
	}
	return false
}

func encode(e *Event) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encoding a %s event: %w", e.Type, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func decode(data []byte, e *Event) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // an int64 is more than a float64 holds
	if err := d.Decode(e); err != nil {
		return fmt.Errorf("not an event: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("not an event: something comes after it")
	}
	return nil
}

// Decode reads an event from its stored bytes. Fields of newer versions are left out.
func Decode(data []byte) (*Event, error) {
	e := new(Event)
	if err := decode(data, e); err != nil {
		return nil, err
	}
	return e, nil
}

// canonical says why stored bytes are not what this version would store for the event
// that they say; "" is that they are.
func canonical(data []byte, seq int64) string {
	e, err := Decode(data)
	if err != nil {
		return err.Error()
	}
	if e.Seq != seq {
		return fmt.Sprintf("it says that it is event %d", e.Seq)
	}
	again, err := encode(e)
	if err != nil {
		return err.Error()
	}
	if !bytes.Equal(again, data) {
		at := 0
		for at < min(len(again), len(data)) && again[at] == data[at] {
			at++
		}
		return fmt.Sprintf("from byte %d on it is not written as plimsoll writes it: %q", at, strings.ToValidUTF8(string(data[at:min(at+20, len(data))]), "?"))
	}
	return ""
}
