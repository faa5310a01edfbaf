// Package http1 is the wire layer of a proxy for HTTP/1.1: it reads heads
// strictly, passes bodies on as they are, and refuses whatever the reader behind
// the proxy could understand differently. It is made for the socket of a Docker
// engine, where the same connection is used for many requests, for streams that
// live for days, and for what begins as HTTP and goes on as raw bytes.
//
// In the order of use:
//
//   - [ReadRequest] reads a [Request] from a client; [Request.AppendHead] writes
//     its head anew for the engine.
//   - [ReadBody] takes a body into memory, [BodyReader] decodes it as it comes,
//     [CopyBody] passes it on with its framing.
//   - [ReadResponse] reads a [Response], whose Head is passed on verbatim, or,
//     when it was changed, written anew by [Response.AppendHead].
//   - [Answer] is a small response of the proxy's own.
//   - [Tunnel] carries both directions of a connection that has become raw, and [Gone]
//     tells that a peer is gone for good.
//   - [Error] is a refusal, with the status to answer.
//
// A client is not trusted at all: what it sends is either clear to every reader
// or refused. An engine is trusted more (trailers and chunk extensions pass), but
// nothing that it sends can make the proxy lose count of where a message ends. No
// function takes more from its bufio.Reader than the message it reads, none has
// a timeout, and none keeps more in memory than it was told to.
//
// The standards are RFC 9112 (HTTP/1.1) and RFC 9110 (semantics). Of them the
// package leaves out what no client of an engine needs: requests for other
// proxies (absolute-form, CONNECT), HTTP/2, transfer codings but chunked,
// trailers in requests, header fields that are named in Connection. It does not
// know what a path or a query means, and does not open, close or time out a
// connection, except that Tunnel closes both.
package http1

import (
	"errors"
	"strconv"
)

// Bounds on a head. An engine takes 1 MiB (net/http, DefaultMaxHeaderBytes); a
// classic build carries its arguments and labels in the target, and what it knows
// of registries in a field, so the bound is far above what other requests need.
const (
	maxHead   = 256 << 10
	maxFields = 200
)

// Error is a message that must not be passed on. After it nothing can be read
// from the connection any more, since nobody knows where the message ends.
// Whoever answers the sender branches on it.
type Error struct {
	Status int    // to answer: 4xx or 5xx for a request, 502 for what an engine sent
	Msg    string // what is wrong, and what to do
	Err    error  // ErrTooLarge or nil
}

func (e *Error) Error() string { return e.Msg }

// Unwrap gives ErrTooLarge, where it is that.
func (e *Error) Unwrap() error { return e.Err }

// ErrTooLarge says that a body is larger than ReadBody was allowed to take.
// Whoever would look into it branches on this: where the length was announced,
// nothing was taken from the connection yet.
var ErrTooLarge = errors.New("the body is too large")

// WriteError says that the receiver of a body takes no more of it. Whoever passes
// a request on branches on it: the engine may have answered before it had read
// all, and that answer is the one to give.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return "passing the body on: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *WriteError) Unwrap() error { return e.Err }

func bad(msg string) *Error { return &Error{Status: 400, Msg: msg} }

// quote writes what a sender wrote into a message, the first of it.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "…"
	}
	return strconv.QuoteToASCII(s)
}
