package http1

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAnswer(t *testing.T) {
	ask := func(head string) *Request {
		q, err := ReadRequest(input(head))
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	get := ask("GET / HTTP/1.1\r\nHost: d\r\n\r\n")
	// What all answers of an engine have, with room behind it that is not theirs.
	shared := append(make(Fields, 0, 8), Field{"Api-Version", "1.41"})
	for _, tc := range []struct {
		answer Answer
		want   string
	}{
		{
			Answer{Status: 400},
			"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		},
		{
			Answer{To: get, Status: 403, ContentType: "application/json", Body: []byte(`{"message":"no"}`), Fields: shared,
				Date: time.Date(2026, 11, 25, 11, 0, 0, 0, time.FixedZone("", 3600))},
			"HTTP/1.1 403 Forbidden\r\nApi-Version: 1.41\r\nDate: Wed, 25 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + `{"message":"no"}`,
		},
		{
			Answer{To: get, Status: 403, Close: true},
			"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		},
		{
			Answer{To: ask("HEAD / HTTP/1.1\r\nHost: d\r\n\r\n"), Status: 404, ContentType: "text/plain", Body: []byte("four")},
			"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n",
		},
		{
			Answer{To: ask("GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"), Status: 204, Body: []byte("none")},
			"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		},
		{
			Answer{To: ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), Status: 599, Body: []byte("x")},
			"HTTP/1.0 599 \r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
		},
		{
			Answer{To: ask("GET / HTTP/1.0\r\n\r\n"), Status: 200, Body: []byte("x")},
			"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
		},
		{
			Answer{Status: 100},
			"HTTP/1.1 100 Continue\r\n\r\n",
		},
	} {
		got := string(tc.answer.Append([]byte("before ")))
		if got != "before "+tc.want || shared[:2][1] != (Field{}) {
			t.Errorf("%q, not %q", got, tc.want)
		}
		method := "GET"
		if tc.answer.To != nil {
			method = tc.answer.To.Method
		}
		// It is whole, to us and to net/http.
		r := bufio.NewReader(strings.NewReader(tc.want + "next"))
		a, err := ReadResponse(r, method)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadBody(r, a.Framing, 1000); err != nil || rest(t, r) != "next" || a.Status != tc.answer.Status {
			t.Errorf("%q reads as %+v, %v", tc.want, a, err)
		}
		r = bufio.NewReader(strings.NewReader(tc.want + "next"))
		h, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, h.Body); err != nil || rest(t, r) != "next" || h.StatusCode != tc.answer.Status {
			t.Errorf("%q reads as %+v, %v", tc.want, h, err)
		}
	}
	for status, reason := range reasons {
		if want := http.StatusText(status); reason != want && status != 413 && status != 414 { // net/http has names of RFC 2616
			t.Errorf("%d is %q, in net/http %q", status, reason, want)
		}
	}
}
