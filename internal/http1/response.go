package http1

import (
	"bufio"
	"errors"
	"strings"
)

// Response is the head of a response.
type Response struct {
	Message
	Status int
	Reason string
	Head   []byte // as it was sent, with the empty line
}

// ReadResponse takes the head of a response to a request with this method off r.
// One with a status of 1xx but 101 is not the last. The end of the input before
// the first byte is io.EOF; what is malformed is an [*Error]. It does not know
// CONNECT, which ReadRequest refuses.
func ReadResponse(r *bufio.Reader, method string) (*Response, error) {
	head, err := readHead(r)
	malformed, _ := errors.AsType[*Error](err)
	switch {
	case err == nil:
		var a *Response
		if a, malformed = parseResponse(head, method); malformed == nil {
			return a, nil
		}
	case malformed == nil:
		return nil, err
	}
	return nil, malformedAnswer(malformed)
}

func malformedAnswer(err *Error) *Error {
	return &Error{Status: 502, Msg: "the engine's answer is malformed: " + err.Msg}
}

func parseResponse(head, method string) (*Response, *Error) {
	line, rest, err := splitHead(head)
	if err != nil {
		return nil, err
	}
	a := &Response{}
	if err := a.parseLine(line); err != nil {
		return nil, err
	}
	if a.Fields, err = parseFields(rest); err != nil {
		return nil, err
	}
	var w wire
	for i := range a.Fields {
		if is(a.Fields[i].Name, expect) || is(a.Fields[i].Name, "Host") {
			continue // these mean nothing here
		}
		if err := w.read(a.Fields[i]); err != nil {
			return nil, err
		}
	}
	if a.Framing, err = w.body(a.Minor); err != nil {
		return nil, err
	}
	a.KeepAlive = w.keepAlive(a.Minor)
	a.Upgrade = w.upgrades(a.Minor)
	// RFC 9112, section 6.3.
	switch {
	case method == "HEAD" || a.Status == 304:
		a.Framing = Framing{} // what is announced is not sent
	case a.Status < 200 || a.Status == 204:
		if !a.Framing.Empty() {
			return nil, bad("it announces a body, which its status cannot have")
		}
		a.Framing = Framing{}
	case a.Framing.Kind == None:
		a.Framing.Kind = UntilClose
		a.KeepAlive = false
	}
	a.Framing.engine = true
	a.Head = []byte(head)
	return a, nil
}

// parseLine parses a status line: RFC 9112, section 4.
func (a *Response) parseLine(line string) *Error {
	const before = len("HTTP/1.1 ")
	switch {
	case strings.HasPrefix(line, "HTTP/1.1 "):
		a.Minor = 1
	case strings.HasPrefix(line, "HTTP/1.0 "):
	default:
		return bad("it begins with " + quote(line) + ", not with HTTP/1.1")
	}
	status, reason, _ := strings.Cut(line[before:], " ")
	if len(status) != 3 || status[0] == '0' || !isDigit(status[0]) || !isDigit(status[1]) || !isDigit(status[2]) {
		return bad("its status is " + quote(status) + ", not a number of three digits")
	}
	if i, ok := all(reason, valueByte); !ok {
		return badByte(reason[i], "its first line")
	}
	a.Status = 100*int(status[0]-'0') + 10*int(status[1]-'0') + int(status[2]-'0')
	a.Reason = reason
	return nil
}

// AppendHead appends the head of a response that was changed: the status line, the
// Fields in their order, and then what Framing, KeepAlive and Upgrade say. One
// that was not changed is passed on as its Head.
func (a *Response) AppendHead(b []byte) []byte {
	b = append(b, "HTTP/1."...)
	b = append(b, '0'+byte(a.Minor), ' ', '0'+byte(a.Status/100), '0'+byte(a.Status/10%10), '0'+byte(a.Status%10), ' ')
	b = append(b, a.Reason...)
	b = append(b, "\r\n"...)
	b = a.appendFields(b)
	return append(b, "\r\n"...)
}
