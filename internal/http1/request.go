package http1

import (
	"bufio"
	"io"
	"strings"
)

// Request is the head of a request.
type Request struct {
	Message
	Method string
	Target string // as sent, in origin-form: RFC 9112, section 3.2.1
	Path   string // the part of Target before the "?", still escaped
	// RawQuery is the part behind it.
	RawQuery string
	// ExpectContinue says that the sender waits with the body until it is asked
	// for it: RFC 9110, section 10.1.1.
	ExpectContinue bool
}

// ReadRequest takes one request head off r. Whatever two readers could understand
// differently is an [*Error]. The end of the input before the first byte is
// io.EOF, later io.ErrUnexpectedEOF.
func ReadRequest(r *bufio.Reader) (*Request, error) {
	if err := begin(r); err != nil {
		return nil, err
	}
	head, err := readHead(r)
	if err != nil {
		return nil, err
	}
	q, bad := parseRequest(head)
	if bad != nil {
		return nil, bad
	}
	return q, nil
}

// begin waits for the first byte of a request. One empty line before it is left
// out (RFC 9112, section 2.2). What begins as no request can is refused at once:
// it might wait for an answer before it ever sends an end of line.
func begin(r *bufio.Reader) error {
	for range 2 {
		b, err := r.Peek(1)
		switch {
		case err == io.EOF:
			return io.EOF
		case err != nil:
			return readingHead(err)
		case class[b[0]]&tokenByte != 0:
			return nil
		case b[0] == 0x16:
			return bad("this is TLS, and here is plain HTTP: connect without TLS")
		case b[0] != '\r':
			return bad("a request begins with its method, not with " + quote(string(b)))
		}
		b, err = r.Peek(2)
		if err != nil {
			return readingHead(err)
		}
		if b[1] != '\n' {
			return badByte('\r', "the first line")
		}
		drop(r, 2)
	}
	return bad("more than one empty line stands before the request (RFC 9112, section 2.2)")
}

func parseRequest(head string) (*Request, *Error) {
	line, rest, err := splitHead(head)
	if err != nil {
		return nil, err
	}
	q := &Request{}
	if err := q.parseLine(line); err != nil {
		return nil, err
	}
	if q.Fields, err = parseFields(rest); err != nil {
		return nil, err
	}
	var w wire
	for i := range q.Fields {
		if err := w.read(q.Fields[i]); err != nil {
			return nil, err
		}
	}
	switch {
	case w.hosts > 1:
		return nil, bad("Host is given twice: give it once (RFC 9112, section 3.2)")
	case w.hosts == 0 && q.Minor == 1:
		return nil, bad("Host is missing: give it, empty if need be (RFC 9112, section 3.2)")
	case is(w.other, "HTTP2-Settings"):
		return nil, bad("an upgrade to HTTP/2 is not passed on: let the client speak HTTP/1.1 alone")
	case w.other != "":
		return nil, bad("Connection names " + quote(w.other) + ": only close, keep-alive and upgrade may be in it, so that no field is lost on the way")
	case w.trailer:
		return nil, bad("Trailer is given: fields behind the body are not passed on")
	}
	if q.Framing, err = w.body(q.Minor); err != nil {
		return nil, err
	}
	q.KeepAlive = w.keepAlive(q.Minor)
	q.Upgrade = w.upgrades(q.Minor)
	// In HTTP/1.0 it must be ignored: RFC 9110, section 10.1.1. Without a body it
	// means nothing.
	q.ExpectContinue = w.expects && q.Minor == 1 && !q.Framing.Empty()
	return q, nil
}

// parseLine parses a request line: RFC 9112, section 3.
func (q *Request) parseLine(line string) *Error {
	method, rest, one := strings.Cut(line, " ")
	target, version, two := strings.Cut(rest, " ")
	switch {
	case !isToken(method):
		return bad("the method " + quote(method) + " has a byte that no method may have")
	case !one || !two:
		return bad("the first line must be a method, a path and HTTP/1.1, with one space between them, not " + quote(line))
	case method == "PRI" && version == "HTTP/2.0":
		return &Error{Status: 505, Msg: "HTTP/2 is not passed on: let the client speak HTTP/1.1"}
	case version == "HTTP/1.1":
		q.Minor = 1
	case version == "HTTP/1.0":
	case len(version) == len("HTTP/1.1") && strings.HasPrefix(version, "HTTP/") && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]):
		return &Error{Status: 505, Msg: quote(version) + " is not known: let the client speak HTTP/1.1"}
	default:
		return bad("the first line must be a method, a path and HTTP/1.1, with one space between them; it ends in " + quote(version))
	}
	if method == "CONNECT" {
		return &Error{Status: 501, Msg: "CONNECT is not known here: send the request itself"}
	}
	if target == "" || target[0] != '/' {
		return bad("the target " + quote(target) + " must be a path, beginning with /; is this taken for a proxy?")
	}
	if i, ok := all(target, targetByte); !ok {
		return bad("the target has the byte " + quote(target[i:i+1]) + ", which must be escaped in it (RFC 9112, section 3.2)")
	}
	q.Method, q.Target = method, target
	q.Path, q.RawQuery, _ = strings.Cut(target, "?")
	for rest := q.Path; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return nil
		}
		if rest = rest[i+1:]; len(rest) < 2 || !isHex(rest[0]) || !isHex(rest[1]) {
			return bad("a % in the path is not followed by two hexadecimal digits: escape it as %25 (RFC 3986, section 2.1)")
		}
	}
}

// AppendHead appends the head as it is sent on: Method and Target, the Fields in
// their order, and then what Framing, KeepAlive, Upgrade and ExpectContinue say.
// Neither Method nor Target may be set to what ReadRequest would refuse.
func (q *Request) AppendHead(b []byte) []byte {
	b = append(b, q.Method...)
	b = append(b, ' ')
	b = append(b, q.Target...)
	b = append(b, " HTTP/1."...)
	b = append(b, '0'+byte(q.Minor), '\r', '\n')
	b = q.appendFields(b)
	if q.ExpectContinue {
		b = appendField(b, expect, "100-continue")
	}
	return append(b, "\r\n"...)
}
