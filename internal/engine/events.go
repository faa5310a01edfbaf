package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"time"
)

// maxEventBytes bounds one event; a container's labels are the largest part.
const maxEventBytes = 4 << 20

// Events gives the engine's events as they happen, one JSON object each, first
// those that it remembers since the given time; the zero time asks for none of
// these. The engine remembers 256. Before the first, nil without an error says that the
// engine has answered, and listens.
//
// The stream has no end of its own. It ends with an error, which is the last
// thing that it gives: ctx's when ctx is done, else an *Error. A caller that
// was cut off begins again with the time of the last event.
func (c *Client) Events(ctx context.Context, since time.Time) iter.Seq2[json.RawMessage, error] {
	return c.events(ctx, since, time.Time{})
}

// Remembered gives the events that the engine remembers, until a time that has passed by
// the engine's own clock, and ends. An error, an *Error or ctx's, is the last thing that it
// gives.
func (c *Client) Remembered(ctx context.Context, until time.Time) iter.Seq2[json.RawMessage, error] {
	return c.events(ctx, time.Unix(1, 0), until)
}

func seconds(at time.Time) string { return fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond()) }

// events ends by itself with a time until which it goes.
func (c *Client) events(ctx context.Context, since, until time.Time) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		r := request{path: "/events", query: url.Values{}}
		if !since.IsZero() {
			r.query.Set("since", seconds(since))
		}
		if !until.IsZero() {
			r.query.Set("until", seconds(until))
		}
		r, err := c.versioned(ctx, r)
		if err != nil {
			yield(nil, err)
			return
		}
		a, err := c.open(ctx, r)
		if err != nil {
			yield(nil, err)
			return
		}
		defer a.close()
		if until.IsZero() {
			a.timer.Stop() // silence is normal from here on
			if !yield(nil, nil) {
				return
			}
		}
		err = eachEvent(a.Body, func(ev json.RawMessage) bool { return yield(ev, nil) })
		if err == io.EOF && until.IsZero() {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case err == nil, err == io.EOF:
			return // the caller has had enough, or all
		case errors.Is(err, ErrTooBig):
			err = &Error{
				Message: fmt.Sprintf("an event of the engine at %s is too big", c.endpoint.Address),
				Err:     fmt.Errorf("%w: plimsoll reads %d MiB at most", ErrTooBig, maxEventBytes>>20),
			}
		case errors.Is(err, errUnlikeJSON):
			err = c.notAnEngine(r, err)
		default:
			err = c.explain(ctx, a.ctx, r, err)
		}
		yield(nil, err)
	}
}

// eachEvent gives every line of r that has something in it, until the caller
// returns false. Every engine ends an event with a newline. The end of r is io.EOF.
func eachEvent(r io.Reader, each func(json.RawMessage) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxEventBytes)
	for lines.Scan() {
		line := bytes.Trim(lines.Bytes(), " \t\r")
		if len(line) == 0 {
			continue
		}
		if !isObject(line) {
			return errUnlikeJSON
		}
		if !each(bytes.Clone(line)) {
			return nil
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return ErrTooBig
	case err != nil:
		return err
	}
	return io.EOF
}
