package http1

import "time"

// Answer is a small response of the proxy's own. Its zero value but for Status is
// an empty one, after which the connection is closed.
type Answer struct {
	// To is the request that is answered, whose body was read; nil where none could
	// be read, or its body was not.
	To          *Request
	Status      int
	Fields      Fields // besides those below
	ContentType string
	Body        []byte
	Close       bool      // the connection, even where To would keep it
	Date        time.Time // of the field Date, which is left out without it
}

// Append appends the response with its body, which an answer to HEAD, and one whose
// status has none, are without.
func (a Answer) Append(b []byte) []byte {
	r := Response{Message: Message{Minor: 1, Fields: a.Fields[:len(a.Fields):len(a.Fields)]}, Status: a.Status, Reason: reasons[a.Status]}
	body := a.Body
	if a.To != nil {
		r.Minor = a.To.Minor
		r.KeepAlive = a.To.KeepAlive && !a.Close
	}
	if !a.Date.IsZero() {
		r.Fields.Add("Date", a.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")) // RFC 9110, section 5.6.7
	}
	switch {
	case a.Status < 200:
		// The last response, which is to follow, says what becomes of the connection.
		r.KeepAlive, body = r.Minor == 1, nil
	case a.Status == 204 || a.Status == 304:
		body = nil
	default:
		r.Framing = Framing{Kind: Length, Length: int64(len(body))}
		if a.ContentType != "" {
			r.Fields.Add("Content-Type", a.ContentType)
		}
		if a.To != nil && a.To.Method == "HEAD" {
			body = nil
		}
	}
	return append(r.AppendHead(b), body...)
}

// reasons are the phrases of what a proxy answers by itself: RFC 9110, section 15,
// and RFC 6585, section 5.
var reasons = map[int]string{
	100: "Continue",
	200: "OK",
	204: "No Content",
	400: "Bad Request",
	401: "Unauthorized",
	403: "Forbidden",
	404: "Not Found",
	405: "Method Not Allowed",
	408: "Request Timeout",
	409: "Conflict",
	411: "Length Required",
	413: "Content Too Large",
	414: "URI Too Long",
	415: "Unsupported Media Type",
	417: "Expectation Failed",
	429: "Too Many Requests",
	431: "Request Header Fields Too Large",
	500: "Internal Server Error",
	501: "Not Implemented",
	502: "Bad Gateway",
	503: "Service Unavailable",
	504: "Gateway Timeout",
	505: "HTTP Version Not Supported",
	507: "Insufficient Storage",
}
