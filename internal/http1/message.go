package http1

import (
	"strconv"
	"strings"
)

// Kind is how the end of a body is found: RFC 9112, section 6.3.
type Kind uint8

// The kinds. A request has one of the first three.
const (
	None       Kind = iota // there is no body
	Length                 // it has so many bytes
	Chunked                // its chunks say
	UntilClose             // it ends with the connection
)

// Framing is how the end of a body is found.
type Framing struct {
	Kind   Kind
	Length int64 // of Kind Length
	// engine says that chunks may have extensions and trailers.
	engine bool
}

// Empty says whether there is nothing to read.
func (f Framing) Empty() bool { return f.Kind == None || f.Kind == Length && f.Length == 0 }

// Message is what a request and a response have in common.
type Message struct {
	Minor int // of the version: 1 or 0
	// Fields are as they were sent. Those that the members below are made of are
	// there to be looked at: AppendHead leaves them out and writes the members.
	Fields    Fields
	Framing   Framing
	KeepAlive bool // the sender lets the connection be used again
	// Upgrade are the protocols of that field, where Connection names it too. An
	// Upgrade without it is ignored (RFC 9110, section 7.8) and not passed on: the
	// engine's attach looks at that field alone.
	Upgrade []string
}

// Names of the fields that say how a message is passed on.
const (
	connection       = "Connection"
	contentLength    = "Content-Length"
	expect           = "Expect"
	trailer          = "Trailer"
	transferEncoding = "Transfer-Encoding"
	upgrade          = "Upgrade"
)

// wire is what the fields of a head say about how it is passed on.
type wire struct {
	length  int64
	lengths int // Content-Length fields
	codings int // Transfer-Encoding fields, each "chunked"
	hosts   int
	expects bool // 100-continue
	trailer bool
	close   bool
	keep    bool
	upgrade bool
	other   string // another option in Connection
	offers  []string
}

// read takes in one field.
func (w *wire) read(f Field) *Error {
	switch len(f.Name) {
	case len("Host"):
		if is(f.Name, "Host") {
			w.hosts++
			if _, ok := all(f.Value, hostByte); !ok {
				return bad("Host is " + quote(f.Value) + ", which no host is called")
			}
		}
	case len(expect):
		if is(f.Name, expect) {
			if w.expects || !strings.EqualFold(f.Value, "100-continue") {
				return &Error{Status: 417, Msg: "Expect is " + quote(f.Value) + ": only 100-continue, once, is known"}
			}
			w.expects = true
		}
	case len(upgrade): // and Trailer
		if is(f.Name, upgrade) && !eachElement(f.Value, func(p string) bool {
			w.offers = append(w.offers, p)
			name, version, versioned := strings.Cut(p, "/")
			return isToken(name) && (!versioned || isToken(version))
		}) {
			return bad("Upgrade is " + quote(f.Value) + ", which is not a list of protocols (RFC 9110, section 7.8)")
		}
		w.trailer = w.trailer || is(f.Name, trailer)
	case len(connection):
		if is(f.Name, connection) {
			eachElement(f.Value, w.option)
		}
	case len(contentLength):
		if is(f.Name, contentLength) {
			if w.lengths++; w.lengths > 1 {
				return bad("Content-Length is given twice: give it once (RFC 9112, section 6.3)")
			}
			var err *Error
			w.length, err = parseLength(f.Value)
			return err
		}
	case len(transferEncoding):
		if is(f.Name, transferEncoding) {
			// Mixed case would be legal; nothing that talks to an engine writes it.
			if w.codings++; w.codings > 1 {
				return bad("Transfer-Encoding is given twice: give it once")
			}
			if f.Value != "chunked" {
				return &Error{Status: 501, Msg: "Transfer-Encoding is " + quote(f.Value) + `: only "chunked" is known`}
			}
		}
	}
	return nil
}

// option takes in one element of Connection.
func (w *wire) option(name string) bool {
	switch {
	case strings.EqualFold(name, "close"):
		w.close = true
	case strings.EqualFold(name, "keep-alive"):
		w.keep = true
	case strings.EqualFold(name, upgrade):
		w.upgrade = true
	default:
		w.other = name
	}
	return true
}

// body checks that there is one framing, and gives it; none where the head says
// nothing.
func (w *wire) body(minor int) (Framing, *Error) {
	switch {
	case w.codings > 0 && w.lengths > 0:
		return Framing{}, bad("Content-Length and Transfer-Encoding are both given: give one (RFC 9112, section 6.3)")
	case w.codings > 0 && minor == 0:
		return Framing{}, bad("Transfer-Encoding is given in HTTP/1.0, which has none (RFC 9112, section 6.1)")
	case w.codings > 0:
		return Framing{Kind: Chunked}, nil
	case w.lengths > 0:
		return Framing{Kind: Length, Length: w.length}, nil
	}
	return Framing{}, nil
}

// keepAlive is RFC 9112, section 9.3.
func (w *wire) keepAlive(minor int) bool { return !w.close && (minor == 1 || w.keep) }

// upgrades gives the protocols that count.
func (w *wire) upgrades(minor int) []string {
	if minor == 0 || !w.upgrade {
		return nil // RFC 9110, section 7.8
	}
	return w.offers
}

// owned says whether AppendHead writes the field of this name itself.
func (m *Message) owned(name string) bool {
	switch len(name) {
	case len(expect):
		return is(name, expect)
	case len(upgrade): // and Trailer
		return is(name, upgrade) || is(name, trailer) && m.Framing.Kind != Chunked
	case len(connection):
		return is(name, connection)
	case len(contentLength):
		// Without a body, as in an answer to HEAD, it says what another would have.
		return is(name, contentLength) && m.Framing.Kind != None
	case len(transferEncoding):
		return is(name, transferEncoding) && m.Framing.Kind != None
	}
	return false
}

// appendFields appends the fields, and those that are owned, in net/http's order, as an
// engine does.
func (m *Message) appendFields(b []byte) []byte {
	for _, f := range m.Fields {
		if !m.owned(f.Name) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	if m.Framing.Kind == Length {
		b = append(b, contentLength+": "...)
		b = strconv.AppendInt(b, m.Framing.Length, 10)
		b = append(b, "\r\n"...)
	}
	switch {
	case m.KeepAlive && m.Minor == 0:
		b = appendField(b, connection, "keep-alive")
	case !m.KeepAlive && m.Minor == 1:
		b = appendField(b, connection, "close")
	}
	if len(m.Upgrade) > 0 {
		b = appendField(b, connection, upgrade)
		b = appendField(b, upgrade, strings.Join(m.Upgrade, ", "))
	}
	if m.Framing.Kind == Chunked {
		b = appendField(b, transferEncoding, "chunked")
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}
