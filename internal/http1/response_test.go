package http1

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestRefusedResponses has for each malformed answer its ordinary twin.
func TestRefusedResponses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tc := range []struct{ name, refused, words, ordinary string }{
		{"LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "line feed", ok + "Content-Length: 0\r\n\r\n"},
		{"LF everywhere", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "line feed", ok + "Content-Length: 0\r\n\r\n"},
		{"CR", "HTTP/1.1 200 O\rK\r\n\r\n", "carriage return", ok + "\r\n"},
		{"an empty line before", "\r\n" + ok + "\r\n", "begins with", ok + "\r\n"},
		{"not HTTP", "SSH-2.0-OpenSSH\r\n\r\n", "SSH-2.0", ok + "\r\n"},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/2.0", "HTTP/1.0 200 OK\r\n\r\n"},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", "three digits", ok + "\r\n"},
		{"two digits", "HTTP/1.1 20 OK\r\n\r\n", "three digits", "HTTP/1.1 200 \r\n\r\n"},
		{"a sign", "HTTP/1.1 +20 OK\r\n\r\n", "three digits", "HTTP/1.1 200\r\n\r\n"},
		{"a zero", "HTTP/1.1 020 OK\r\n\r\n", "three digits", "HTTP/1.1 999 OK\r\n\r\n"},
		{"control characters", "HTTP/1.1 200 \x1b[2J\r\n\r\n", "control", "HTTP/1.1 200 \xc3\xbc\r\n\r\n"},
		{"both framings", ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both", ok + "Transfer-Encoding: chunked\r\n\r\n"},
		{"both framings, to HEAD too", ok + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "both", ok + "Content-Length: 1\r\n\r\n"},
		{"two lengths", ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "twice", ok + "Content-Length: 1\r\n\r\n"},
		{"another coding", ok + "Transfer-Encoding: gzip\r\n\r\n", "gzip", ok + "Content-Encoding: gzip\r\n\r\n"},
		{"a coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"},
		{"204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n", "cannot have", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"},
		{"101 with a body", "HTTP/1.1 101 UPGRADED\r\nTransfer-Encoding: chunked\r\n\r\n", "cannot have", "HTTP/1.1 101 UPGRADED\r\nHost: ?/\r\nExpect: much\r\n\r\n"},
		{"a fold", ok + "X: y\r\n z\r\n\r\n", "continued", ok + "X: y\r\nz: \r\n\r\n"},
		{"a long head", ok + "X: " + strings.Repeat("y", maxHead) + "\r\n\r\n", "256 KiB", ok + "X: " + strings.Repeat("y", maxHead/2) + "\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				if _, err := ReadResponse(input(tc.ordinary), method); err != nil {
					t.Errorf("%.60q is refused: %v", tc.ordinary, err)
				}
				for _, size := range []int{16, 1 << 20} {
					_, err := ReadResponse(bufio.NewReaderSize(strings.NewReader(tc.refused), size), method)
					if method == "HEAD" && tc.words == "cannot have" && err == nil {
						continue // it has none anyway
					}
					refused(t, err, 502, tc.words)
					refused(t, err, 502, "the engine's answer is malformed")
				}
			}
		})
	}
}

// TestResponses has what engines answer, where it ends, and that it is passed on
// verbatim.
func TestResponses(t *testing.T) {
	for _, tc := range []struct {
		in, method string
		want       Response
		body       string // what is read of "12345"
	}{
		{
			in: "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: 2\r\n\r\n", method: "GET", body: "12",
			want: Response{Status: 200, Reason: "OK", Message: Message{Minor: 1, KeepAlive: true, Framing: Framing{Kind: Length, Length: 2},
				Fields: Fields{{"Api-Version", "1.41"}, {"Server", "Docker/20.10.24 (linux)"}, {"Content-Length", "2"}}}},
		},
		{
			in: "HTTP/1.1 200 OK\r\ncontent-length:\t2 \r\n\r\n", method: "HEAD",
			want: Response{Status: 200, Reason: "OK", Message: Message{Minor: 1, KeepAlive: true, Fields: Fields{{"content-length", "2"}}}},
		},
		{
			in: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nConnection: Keep-Alive, X\r\n\r\n", method: "GET",
			want: Response{Status: 304, Reason: "Not Modified", Message: Message{Minor: 1, KeepAlive: true, Fields: Fields{{"Content-Length", "2"}, {"Connection", "Keep-Alive, X"}}}},
		},
		{
			in: "HTTP/1.1 204 No Content\r\n\r\n", method: "POST",
			want: Response{Status: 204, Reason: "No Content", Message: Message{Minor: 1, KeepAlive: true, Fields: Fields{}}},
		},
		{
			in: "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", method: "POST",
			want: Response{Status: 101, Reason: "UPGRADED", Message: Message{Minor: 1, KeepAlive: true, Upgrade: []string{"tcp"},
				Fields: Fields{{"Content-Type", "application/vnd.docker.raw-stream"}, {"Connection", "Upgrade"}, {"Upgrade", "tcp"}}}},
		},
		{ // an attach without an upgrade
			in: "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n", method: "POST", body: "12345",
			want: Response{Status: 200, Reason: "OK", Message: Message{Minor: 1, Framing: Framing{Kind: UntilClose}, Fields: Fields{{"Content-Type", "application/vnd.docker.raw-stream"}}}},
		},
		{
			in: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", method: "GET",
			want: Response{Status: 200, Reason: "OK", Message: Message{KeepAlive: true, Framing: Framing{Kind: Length}, Fields: Fields{{"Connection", "keep-alive"}, {"Content-Length", "0"}}}},
		},
		{
			in: "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", method: "GET", body: "12345",
			want: Response{Status: 400, Reason: "Bad Request", Message: Message{Minor: 1, Framing: Framing{Kind: UntilClose}, Fields: Fields{{"Connection", "close"}}}},
		},
	} {
		r := input(tc.in + "12345")
		got, err := ReadResponse(r, tc.method)
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		tc.want.Head = []byte(tc.in)
		if diff := cmp.Diff(&tc.want, got, cmpopts.IgnoreUnexported(Framing{})); diff != "" {
			t.Errorf("%q:\n%s", tc.in, diff)
		}
		body, err := ReadBody(r, got.Framing, 100)
		if left := rest(t, r); err != nil || string(body) != tc.body || string(body)+left != "12345" {
			t.Errorf("%q: the body is %q, %v, and %q left", tc.in, body, err, left)
		}
	}
}

// TestResponseChanged: another body has its length, and what is announced to HEAD
// stays.
func TestResponseChanged(t *testing.T) {
	a, err := ReadResponse(input("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\nServer: x\r\n\r\n"), "POST")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(a.AppendHead(nil)); got != "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nTrailer: X\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n" {
		t.Errorf("%q", got)
	}
	a.Framing = Framing{Kind: Length, Length: 12}
	a.Fields.Add("Warning", "299 - two\nlines")
	a.KeepAlive = false
	if got := string(a.AppendHead(nil)); got != "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nServer: x\r\nWarning: 299 - two lines\r\nContent-Length: 12\r\nConnection: close\r\n\r\n" {
		t.Errorf("%q", got)
	}
	a, err = ReadResponse(input("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(a.AppendHead(nil)); got != "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

func TestResponseCutOff(t *testing.T) {
	const in = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	for i := range len(in) {
		broken := errors.New("broken")
		if _, err := ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(in[:i]), iotest.ErrReader(broken))), "GET"); !errors.Is(err, broken) {
			t.Errorf("after %q: %v", in[:i], err)
		}
		_, err := ReadResponse(bufio.NewReader(strings.NewReader(in[:i])), "GET")
		if i == 0 && err != io.EOF || i > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %q: %v", in[:i], err)
		}
	}
	if _, err := ReadResponse(input(in), "GET"); err != nil {
		t.Error(err)
	}
}
