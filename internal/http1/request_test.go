package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestRefusedRequests has for each way to confuse two readers its ordinary twin,
// which differs in nothing else, and which net/http takes too.
func TestRefusedRequests(t *testing.T) {
	const head = "POST /containers/create HTTP/1.1\r\nHost: docker\r\n"
	for _, tc := range []struct {
		name     string
		refused  string
		status   int
		words    string
		ordinary string
	}{
		// Where the body ends: CL.TE, TE.CL, TE.TE, CL.CL.
		{"CL.TE", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "both given", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"TE.CL", head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400, "both given", head + "Content-Length: 4\r\n\r\nbody"},
		{"TE.TE", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400, "twice", head + "Transfer-Encoding: chunked\r\n\r\n"},
		{"TE.TE the same", head + "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", 400, "twice", head + "transfer-encoding: chunked\r\n\r\n"},
		{"TE of two", head + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, `"gzip, chunked"`, head + "Transfer-Encoding: \tchunked \r\n\r\n"},
		{"TE twice in one", head + "Transfer-Encoding: chunked, chunked\r\n\r\n", 501, "only", head + "Transfer-Encoding:chunked\r\n\r\n"},
		{"TE identity", head + "Transfer-Encoding: identity\r\n\r\n", 501, "identity", head + "X: identity\r\n\r\n"},
		{"TE xchunked", head + "Transfer-Encoding: xchunked\r\n\r\n", 501, "xchunked", head + "TRANSFER-ENCODING: chunked\r\n\r\n"},
		{"TE quoted", head + "Transfer-Encoding: \"chunked\"\r\n\r\n", 501, "only", head + "X: \"chunked\"\r\n\r\n"},
		{"TE in other case", head + "Transfer-Encoding: Chunked\r\n\r\n", 501, "Chunked", head + "tRANSFER-eNCODING: chunked\r\n\r\n"},
		{"TE with a parameter", head + "Transfer-Encoding: chunked;x=1\r\n\r\n", 501, "only", head + "Content-Type: chunked;x=1\r\n\r\n"},
		{"TE empty", head + "Transfer-Encoding:\r\n\r\n", 501, "only", head + "X:\r\n\r\n"},
		{"TE with a vertical tab", head + "Transfer-Encoding: \vchunked\r\n\r\n", 400, "control", head + "Transfer-Encoding: chunked\r\n\r\n"},
		{"TE with space before the colon", head + "Transfer-Encoding : chunked\r\n\r\n", 400, "colon", head + "Transfer-Encoding: chunked\r\n\r\n"},
		{"TE with tab before the colon", head + "Transfer-Encoding\t: chunked\r\n\r\n", 400, "colon", head + "Transfer-Encoding:\tchunked\r\n\r\n"},
		{"TE behind a fold", head + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n", 400, "continued", head + "X: y\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"TE behind LF", head + "X: y\nTransfer-Encoding: chunked\r\n\r\n", 400, "line feed", head + "X: y\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"TE behind CR", head + "X: y\rTransfer-Encoding: chunked\r\n\r\n", 400, "carriage return", head + "X: y\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"TE in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n"},
		{"CL twice", head + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody", 400, "twice", head + "Content-Length: 4\r\n\r\nbody"},
		{"CL twice, equal", head + "Content-Length: 4\r\ncontent-length: 4\r\n\r\nbody", 400, "twice", head + "content-length: 4\r\n\r\nbody"},
		{"CL a list", head + "Content-Length: 4, 4\r\n\r\nbody", 400, `"4, 4"`, head + "Content-Length: 4 \r\n\r\nbody"},
		{"CL negative", head + "Content-Length: -1\r\n\r\n", 400, `"-1"`, head + "Content-Length: 1\r\n\r\n1"},
		{"CL with a plus", head + "Content-Length: +4\r\n\r\nbody", 400, `"+4"`, head + "Content-Length: 4\r\n\r\nbody"},
		{"CL octal", head + "Content-Length: 010\r\n\r\n0123456789", 400, `"010"`, head + "Content-Length: 10\r\n\r\n0123456789"},
		{"CL hexadecimal", head + "Content-Length: 0x4\r\n\r\nbody", 400, "0x4", head + "Content-Length: 0\r\n\r\n"},
		{"CL with an underscore", head + "Content-Length: 1_0\r\n\r\n", 400, "1_0", head + "Content-Length: 10\r\n\r\n0123456789"},
		{"CL with a space in it", head + "Content-Length: 1 0\r\n\r\n", 400, "1 0", head + "Content-Length:  10\r\n\r\n0123456789"},
		{"CL fraction", head + "Content-Length: 4.0\r\n\r\n", 400, "4.0", head + "Content-Length: 4\r\n\r\nbody"},
		{"CL endless", head + "Content-Length: " + strings.Repeat("1", 1000) + "\r\n\r\n", 400, "18 digits", head + "X: " + strings.Repeat("1", 1000) + "\r\n\r\n"},
		{"CL empty", head + "Content-Length: \r\n\r\n", 400, "plain", head + "Content-Length: 0\r\n\r\n"},
		{"CL too large", head + "Content-Length: 9223372036854775808\r\n\r\n", 400, "18 digits", head + "X: 9223372036854775808\r\n\r\n"},
		{"CL other digits", head + "Content-Length: \u0664\r\n\r\n", 400, "plain", head + "Content-Length: 4\r\n\r\nbody"},
		{"trailers", head + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", 400, "Trailer", head + "Transfer-Encoding: chunked\r\nTrailed: X\r\n\r\n"},

		// Lines.
		{"LF alone in the first line", "GET / HTTP/1.1\nHost: docker\r\n\r\n", 400, "line feed", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"LF alone at the end", "GET / HTTP/1.1\r\nHost: docker\r\n\n", 400, "line feed", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"LF alone everywhere", "GET / HTTP/1.1\nHost: docker\n\n", 400, "line feed", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"CR alone in the first line", "GET /\rx HTTP/1.1\r\nHost: docker\r\n\r\n", 400, `"\r"`, "GET /x HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"CR CR LF", "GET / HTTP/1.1\r\nHost: docker\r\r\n\r\n", 400, "carriage return", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"CR alone as a line", "GET / HTTP/1.1\r\nHost: docker\r\n\rX: y\r\n\r\n", 400, "carriage return", "GET / HTTP/1.1\r\nHost: docker\r\nX: y\r\n\r\n"},
		{"CR in a name", "GET / HTTP/1.1\r\nHost: docker\r\nA\rB: y\r\n\r\n", 400, "carriage return", "GET / HTTP/1.1\r\nHost: docker\r\nAB: y\r\n\r\n"},
		{"fold", "GET / HTTP/1.1\r\nHost: docker\r\nX: y\r\n z\r\n\r\n", 400, "continued", "GET / HTTP/1.1\r\nHost: docker\r\nX: y z\r\n\r\n"},
		{"fold with a tab", "GET / HTTP/1.1\r\nHost: docker\r\nX: y\r\n\tz\r\n\r\n", 400, "continued", "GET / HTTP/1.1\r\nHost: docker\r\nX: y\tz\r\n\r\n"},
		{"fold of nothing", "GET / HTTP/1.1\r\n Host: docker\r\n\r\n", 400, "continued", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "more than one empty line", "\r\nGET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"LF before", "\nGET / HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "begins with its method", "\r\nGET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"CR before", "\rGET / HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "carriage return", "\r\nGET / HTTP/1.1\r\nHost: docker\r\n\r\n"},

		// Fields.
		{"no colon", "GET / HTTP/1.1\r\nHost: docker\r\nX\r\n\r\n", 400, "no colon", "GET / HTTP/1.1\r\nHost: docker\r\nX:\r\n\r\n"},
		{"no name", "GET / HTTP/1.1\r\nHost: docker\r\n: x\r\n\r\n", 400, "no name", "GET / HTTP/1.1\r\nHost: docker\r\nx: \r\n\r\n"},
		{"a name with a space", "GET / HTTP/1.1\r\nHost: docker\r\nX Y: z\r\n\r\n", 400, "colon", "GET / HTTP/1.1\r\nHost: docker\r\nX-Y: z\r\n\r\n"},
		{"a name with a slash", "GET / HTTP/1.1\r\nHost: docker\r\nX/Y: z\r\n\r\n", 400, "X/Y", "GET / HTTP/1.1\r\nHost: docker\r\nX|Y: z\r\n\r\n"},
		{"a name with NUL", "GET / HTTP/1.1\r\nHost: docker\r\nX\x00: z\r\n\r\n", 400, "no name may have", "GET / HTTP/1.1\r\nHost: docker\r\nX: z\r\n\r\n"},
		{"a name of other letters", "GET / HTTP/1.1\r\nHo\u017ft: docker\r\nHost: docker\r\n\r\n", 400, "no name may have", "GET / HTTP/1.1\r\nHost: docker\r\nX: Ho\u017ft\r\n\r\n"},
		{"a value with NUL", "GET / HTTP/1.1\r\nHost: docker\r\nX: \x00\r\n\r\n", 400, "NUL", "GET / HTTP/1.1\r\nHost: docker\r\nX: 0\r\n\r\n"},
		{"a value with DEL", "GET / HTTP/1.1\r\nHost: docker\r\nX: \x7f\r\n\r\n", 400, "control", "GET / HTTP/1.1\r\nHost: docker\r\nX: \xff\r\n\r\n"},
		{"no host", "GET / HTTP/1.1\r\nX: docker\r\n\r\n", 400, "Host is missing", "GET / HTTP/1.0\r\nX: docker\r\n\r\n"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: docker\r\nhost: docker\r\n\r\n", 400, "Host is given twice", "GET / HTTP/1.1\r\nhost: docker\r\n\r\n"},
		{"two hosts in 1.0", "GET / HTTP/1.0\r\nHost: docker\r\nHost: docker\r\n\r\n", 400, "Host is given twice", "GET / HTTP/1.0\r\nHost: docker\r\n\r\n"},
		{"a host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, `"a/b"`, "GET / HTTP/1.1\r\nHost: a%2Fb\r\n\r\n"},
		{"a host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, `"a@b"`, "GET / HTTP/1.1\r\nHost: a.b:80\r\n\r\n"},
		{"a field lost on the way", "GET / HTTP/1.1\r\nHost: docker\r\nConnection: close, X-Registry-Auth\r\n\r\n", 400, "X-Registry-Auth", "GET / HTTP/1.1\r\nHost: docker\r\nConnection: close, , Keep-Alive\r\n\r\n"},
		{"Host lost on the way", "GET / HTTP/1.1\r\nHost: docker\r\nConnection: host\r\n\r\n", 400, `"host"`, "GET / HTTP/1.1\r\nHost: docker\r\nConnection: \r\n\r\n"},
		{"HTTP/2 by upgrade", "GET / HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n", 400, "HTTP/2", "GET / HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n"},
		{"an odd upgrade", "GET / HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp/\r\n\r\n", 400, "tcp/", "GET / HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"},
		{"an odd expectation", head + "Expect: 200-ok\r\nContent-Length: 0\r\n\r\n", 417, "200-ok", head + "Expect: 100-Continue\r\nContent-Length: 0\r\n\r\n"},
		{"two expectations", head + "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 417, "once", head + "Expect: 100-continue\r\nExcept: 100-continue\r\n\r\n"},

		// The first line.
		{"two spaces", "GET  / HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "one space", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"a space in the target", "GET /a b HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "one space", "GET /a%20b HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"a space at the end", "GET / HTTP/1.1 \r\nHost: docker\r\n\r\n", 400, "one space", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"a tab between", "GET\t/ HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "method", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"a tab in the target", "GET /\t HTTP/1.1\r\nHost: docker\r\n\r\n", 400, `"\t"`, "GET /%09 HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"HTTP/0.9", "GET /\r\n\r\n", 400, "HTTP/1.1", "GET / HTTP/1.0\r\n\r\n"},
		{"an odd method", "G(T / HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "G(T", "G!T / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"other letters in the target", "GET /ü HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "escaped", "GET /%C3%BC HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: docker\r\n\r\n", 400, `"\x00"`, "GET /%00 HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"a fragment", "GET /a#b HTTP/1.1\r\nHost: docker\r\n\r\n", 400, `"#"`, "GET /a%23b HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"an escape that is none", "GET /%zz HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "%25", "GET /%25zz?%zz HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"an escape that is cut off", "GET /%4 HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "%25", "GET /%41 HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"a target for a proxy", "GET http://docker/_ping HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "taken for a proxy", "GET /http://docker/_ping HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"a target without slash", "GET _ping HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "beginning with /", "GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: docker\r\n\r\n", 400, "beginning with /", "OPTIONS /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"CONNECT", "CONNECT docker:80 HTTP/1.1\r\nHost: docker\r\n\r\n", 501, "CONNECT", "POST /docker:80 HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"CONNECT to a path", "CONNECT /x HTTP/1.1\r\nHost: docker\r\n\r\n", 501, "CONNECT", "connect /x HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"HTTP/2 at once", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2 is not passed on", "PRI / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: docker\r\n\r\n", 505, "HTTP/1.2", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"HTTP/01.1", "GET / HTTP/01.1\r\nHost: docker\r\n\r\n", 400, "HTTP/01.1", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"http/1.1", "GET / http/1.1\r\nHost: docker\r\n\r\n", 400, "http/1.1", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},
		{"TLS", "\x16\x03\x01\x02\x00", 400, "TLS", "GET / HTTP/1.1\r\nHost: docker\r\n\r\n"},

		// Sizes.
		{"a long target", "GET /" + strings.Repeat("x", maxHead), 414, "256 KiB", "GET /" + strings.Repeat("x", maxHead-40) + " HTTP/1.1\r\nHost: d\r\n\r\n"},
		{"a long head", "GET / HTTP/1.1\r\nHost: d\r\nX: " + strings.Repeat("x", maxHead), 431, "256 KiB", "GET / HTTP/1.1\r\nHost: d\r\nX: " + strings.Repeat("x", maxHead-40) + "\r\n\r\n"},
		{"many fields", "GET / HTTP/1.1\r\nHost: d\r\n" + strings.Repeat("X: y\r\n", maxFields) + "\r\n", 431, "200 header fields", "GET / HTTP/1.1\r\nHost: d\r\n" + strings.Repeat("X: y\r\n", maxFields-1) + "\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{16, 64 << 10, 1 << 20} {
				_, err := ReadRequest(bufio.NewReaderSize(strings.NewReader(tc.refused), size))
				refused(t, err, tc.status, tc.words)
				if _, err := ReadRequest(bufio.NewReaderSize(strings.NewReader(tc.ordinary), size)); err != nil {
					t.Errorf("%.60q is refused: %v", tc.ordinary, err)
				}
			}
			if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.TrimPrefix(tc.ordinary, "\r\n")))); err != nil {
				t.Errorf("net/http refuses the twin: %v", err)
			}
		})
	}
}

// TestRequests has what clients of engines send, and what is made of it.
func TestRequests(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Request
		out  string // but for "" it is in
	}{
		{
			in: "GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/20.10.24+dfsg1 (linux)\r\n\r\n",
			want: Request{Method: "GET", Target: "/_ping", Path: "/_ping", Message: Message{Minor: 1, KeepAlive: true,
				Fields: Fields{{"Host", "docker"}, {"User-Agent", "Docker-Client/20.10.24+dfsg1 (linux)"}}}},
		},
		{ // an attach of docker 20.10, whose Host is what is left of a path
			in: "POST /v1.41/containers/x/attach?stderr=1&stdout=1&stream=1 HTTP/1.1\r\nHost: \r\nUser-Agent: Docker-Client/20.10.24 (linux)\r\nContent-Length: 0\r\nConnection: Upgrade\r\nContent-Type: text/plain\r\nUpgrade: tcp\r\n\r\n",
			want: Request{Method: "POST", Target: "/v1.41/containers/x/attach?stderr=1&stdout=1&stream=1", Path: "/v1.41/containers/x/attach", RawQuery: "stderr=1&stdout=1&stream=1",
				Message: Message{Minor: 1, KeepAlive: true, Upgrade: []string{"tcp"}, Framing: Framing{Kind: Length},
					Fields: Fields{{"Host", ""}, {"User-Agent", "Docker-Client/20.10.24 (linux)"}, {"Content-Length", "0"}, {"Connection", "Upgrade"}, {"Content-Type", "text/plain"}, {"Upgrade", "tcp"}}}},
			out: "POST /v1.41/containers/x/attach?stderr=1&stdout=1&stream=1 HTTP/1.1\r\nHost: \r\nUser-Agent: Docker-Client/20.10.24 (linux)\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
		},
		{ // a load of docker 24
			in: "POST /v1.43/images/load?quiet=1 HTTP/1.1\r\nHost: %2Fvar%2Frun%2Fdocker.sock\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-tar\r\n\r\n",
			want: Request{Method: "POST", Target: "/v1.43/images/load?quiet=1", Path: "/v1.43/images/load", RawQuery: "quiet=1",
				Message: Message{Minor: 1, KeepAlive: true, Framing: Framing{Kind: Chunked},
					Fields: Fields{{"Host", "%2Fvar%2Frun%2Fdocker.sock"}, {"Transfer-Encoding", "chunked"}, {"Content-Type", "application/x-tar"}}}},
			out: "POST /v1.43/images/load?quiet=1 HTTP/1.1\r\nHost: %2Fvar%2Frun%2Fdocker.sock\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n",
		},
		{ // curl, with a body larger than 1 MiB
			in: "PUT /x HTTP/1.1\r\nHost: api.moby.localhost\r\naccept: */*\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n",
			want: Request{Method: "PUT", Target: "/x", Path: "/x", ExpectContinue: true, Message: Message{Minor: 1, KeepAlive: true, Framing: Framing{Kind: Length, Length: 1048577},
				Fields: Fields{{"Host", "api.moby.localhost"}, {"accept", "*/*"}, {"Content-Length", "1048577"}, {"Expect", "100-continue"}}}},
			out: "PUT /x HTTP/1.1\r\nHost: api.moby.localhost\r\naccept: */*\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n",
		},
		{ // docker-py
			in: "GET /v1.41/info HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
			want: Request{Method: "GET", Target: "/v1.41/info", Path: "/v1.41/info", Message: Message{Minor: 1, KeepAlive: true,
				Fields: Fields{{"Host", "localhost"}, {"Connection", "keep-alive"}}}},
			out: "GET /v1.41/info HTTP/1.1\r\nHost: localhost\r\n\r\n",
		},
		{ // closing, in both versions, and keeping in the old one
			in: "GET /? HTTP/1.1\r\nHost: [::1]:2375\r\nConnection: close\r\n\r\n",
			want: Request{Method: "GET", Target: "/?", Path: "/", Message: Message{Minor: 1,
				Fields: Fields{{"Host", "[::1]:2375"}, {"Connection", "close"}}}},
		},
		{
			in:   "GET / HTTP/1.0\r\n\r\n",
			want: Request{Method: "GET", Target: "/", Path: "/", Message: Message{Fields: Fields{}}},
		},
		{
			in:   "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
			want: Request{Method: "GET", Target: "/", Path: "/", Message: Message{KeepAlive: true, Fields: Fields{{"Connection", "keep-alive"}}}},
		},
		{ // what is ignored: an upgrade without its option, and in 1.0, and an expectation without a body
			in: "GET / HTTP/1.1\r\nHost: d\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n\r\n",
			want: Request{Method: "GET", Target: "/", Path: "/", Message: Message{Minor: 1, KeepAlive: true,
				Fields: Fields{{"Host", "d"}, {"Upgrade", "h2c"}, {"Expect", "100-continue"}}}},
			out: "GET / HTTP/1.1\r\nHost: d\r\n\r\n",
		},
		{
			in: "POST / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: tcp\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
			want: Request{Method: "POST", Target: "/", Path: "/", Message: Message{Framing: Framing{Kind: Length, Length: 1},
				Fields: Fields{{"Connection", "upgrade"}, {"Upgrade", "tcp"}, {"Expect", "100-continue"}, {"Content-Length", "1"}}}},
			out: "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n",
		},
		{ // lists in pieces
			in: "GET / HTTP/1.1\r\nHost: d\r\nConnection: UPGRADE\r\nconnection:,close\r\nUpgrade: tcp,, TLS/1.2\r\nupgrade: h2c\r\n\r\n",
			want: Request{Method: "GET", Target: "/", Path: "/", Message: Message{Minor: 1, Upgrade: []string{"tcp", "TLS/1.2", "h2c"},
				Fields: Fields{{"Host", "d"}, {"Connection", "UPGRADE"}, {"connection", ",close"}, {"Upgrade", "tcp,, TLS/1.2"}, {"upgrade", "h2c"}}}},
			out: "GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\nConnection: Upgrade\r\nUpgrade: tcp, TLS/1.2, h2c\r\n\r\n",
		},
	} {
		const next = "GET /next"
		r := input("\r\n" + tc.in + next)
		got, err := ReadRequest(r)
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		if diff := cmp.Diff(&tc.want, got, cmpopts.IgnoreUnexported(Framing{})); diff != "" {
			t.Errorf("%q:\n%s", tc.in, diff)
		}
		if left := rest(t, r); left != next {
			t.Errorf("%q: %q is left", tc.in, left)
		}
		if tc.out == "" {
			tc.out = tc.in
		}
		if out := string(got.AppendHead([]byte("before "))); out != "before "+tc.out {
			t.Errorf("%q is written\n%q, not\n%q", tc.in, out, tc.out)
		}
	}
}

// TestRequestChanged: a body that was exchanged has its own length, and fields can
// be set and taken away.
func TestRequestChanged(t *testing.T) {
	q, err := ReadRequest(input("POST /a HTTP/1.1\r\nHost: d\r\nA: 1\r\nTransfer-Encoding: chunked\r\na: 2\r\nB: 3\r\nExpect: 100-continue\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	q.Framing, q.Target, q.ExpectContinue = Framing{Kind: Length, Length: 7}, "/b", false
	if got := strings.Join(q.Fields.Values("A"), " "); q.Fields.Get("a") != "1" || got != "1 2" || q.Fields.Get("C") != "" || q.Fields.Values("C") != nil {
		t.Errorf("%q, %q", q.Fields.Get("a"), got)
	}
	q.Fields.Set("A", " four\r\nContent-Length: 0\x00 ")
	q.Fields.Set("C", "five")
	q.Fields.Add("C", "six")
	q.Fields.Del("b")
	const want = "POST /b HTTP/1.1\r\nHost: d\r\nA: four  Content-Length: 0\r\nC: five\r\nC: six\r\nContent-Length: 7\r\n\r\n"
	if got := string(q.AppendHead(nil)); got != want {
		t.Errorf("%q", got)
	}
}

// TestRequestsAnyhowCut: a head means the same however it comes.
func TestRequestsAnyhowCut(t *testing.T) {
	const in = "POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n"
	whole, err := ReadRequest(input(in))
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
		for _, size := range []int{16, 40, 4096} {
			r := bufio.NewReaderSize(cut(strings.NewReader(in)), size)
			got, err := ReadRequest(r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(whole, got, cmpopts.IgnoreUnexported(Framing{})); diff != "" {
				t.Error(diff)
			}
			if left := rest(t, r); left != "abcGET / HTTP/1.1\r\n" {
				t.Errorf("%q is left", left)
			}
		}
	}
}

// TestRequestCutOff: an end before the first byte is none of a request.
func TestRequestCutOff(t *testing.T) {
	const in = "\r\nGET / HTTP/1.1\r\nHost: d\r\n\r\n"
	for i := range len(in) {
		_, err := ReadRequest(input(in[:i]))
		switch {
		case i == 0 || i == 2:
			if err != io.EOF {
				t.Errorf("after %q: %v", in[:i], err)
			}
		case !errors.Is(err, io.ErrUnexpectedEOF):
			t.Errorf("after %q: %v", in[:i], err)
		}
		broken := fmt.Errorf("broken")
		if _, err := ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(in[:i]), iotest.ErrReader(broken)))); !errors.Is(err, broken) {
			t.Errorf("after %q: %v", in[:i], err)
		}
	}
	if _, err := ReadRequest(input(in)); err != nil {
		t.Error(err)
	}
}
