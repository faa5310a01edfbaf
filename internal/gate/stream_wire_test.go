package gate

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestStreamConnections: what HTTP lets a client do with one connection is done for it as
// the engine does: the answers to the same bytes are the same.
func TestStreamConnections(t *testing.T) {
	t.Parallel()
	g := grounds(t, Observe)
	g.must(t, "create", "--name", "wired", "web:1")
	const fields = "Host: x\r\n"
	const archived = "Content-Type: application/x-tar\r\n"
	tar, _ := archiveOf(2000)
	packed, err := io.ReadAll(tar)
	if err != nil {
		t.Fatal(err)
	}
	put := func(container, more string) string {
		return fmt.Sprintf("PUT /containers/%s/archive?path=/ HTTP/1.1\r\n%s%s%sContent-Length: %d\r\n\r\n", container, fields, archived, more, len(packed))
	}
	get := func(target, more string) string { return "GET " + target + " HTTP/1.1\r\n" + fields + more + "\r\n" }
	last := get("/_ping", "Connection: close\r\n")
	for name, text := range map[string]string{
		"many requests at once": strings.Repeat(get("/_ping", "")+get("/containers/wired/changes", "")+
			"POST /containers/wired/rename?name=wired HTTP/1.1\r\n"+fields+"Content-Length: 0\r\n\r\n"+
			"POST /volumes/create HTTP/1.1\r\n"+fields+"Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"Name\":\"wire\"}", 20) + last,
		"the same with archives":                strings.Repeat(put("wired", "")+string(packed)+get("/containers/wired/archive?path=/large", ""), 5) + last,
		"HEAD between others":                   "HEAD /containers/wired/archive?path=/etc/passwd HTTP/1.1\r\n" + fields + "\r\n" + "HEAD /_ping HTTP/1.1\r\n" + fields + "\r\n" + last,
		"close":                                 get("/version", "Connection: close\r\n"),
		"close with more behind":                get("/_ping", "Connection: close\r\n") + get("/_ping", ""),
		"HTTP/1.0":                              "GET /images/json HTTP/1.0\r\n\r\n",
		"HTTP/1.0, kept alive":                  "GET /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /_ping HTTP/1.0\r\n\r\n",
		"errors between others":                 get("/containers/none/json", "") + put("none", "") + string(packed) + "DELETE /images/none HTTP/1.1\r\n" + fields + "\r\n" + last,
		"a body in chunks":                      "PUT /containers/wired/archive?path=/ HTTP/1.1\r\n" + fields + archived + "Transfer-Encoding: chunked\r\n\r\n" + inChunks(packed, 100) + last,
		"a body that may be sent":               put("wired", "Expect: 100-continue\r\nConnection: close\r\n") + string(packed),
		"a body that is not wanted":             put("none", "Expect: 100-continue\r\nConnection: close\r\n"),
		"a body that is not wanted, but comes":  put("none", "Expect: 100-continue\r\nConnection: close\r\n") + string(packed),
		"garbage to load":                       "POST /images/load?quiet=1 HTTP/1.1\r\n" + fields + archived + "Content-Length: 7\r\n\r\ngarbage" + last,
		"an answer that ends at the connection": get("/containers/wired/export", "Connection: close\r\n"),
	} {
		bare, err := whole(g.engine.Socket(), text)
		if err != nil {
			t.Fatalf("%s, without the gate: %v", name, err)
		}
		through, err := whole(g.socket, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want, got := plainOf(bare), plainOf(through); want != got {
			t.Errorf("%s: without the gate\n%.3000q\nwith it\n%.3000q", name, want, got)
		}
	}
}

// whole is all that comes of a text, when nothing more is sent.
func whole(socket, text string) (string, error) {
	s := &side{tee: &tee{socket: socket}}
	b, err := s.ask(text)
	return string(b), err
}

// plain is what an engine said, without what differs each time.
func plainOf(text string) string {
	return mapped(dated.ReplaceAllString(text, "Date: then"), strings.NewReplacer())
}

var dated = regexp.MustCompile(`Date: [^\r]*`)

func inChunks(b []byte, size int) string {
	var out strings.Builder
	for len(b) > 0 {
		n := min(size, len(b))
		fmt.Fprintf(&out, "%x\r\n%s\r\n", n, b[:n])
		b = b[n:]
	}
	return out.String() + "0\r\n\r\n"
}

// TestStreamEarly: an answer that comes while the client still sends reaches it, and the
// connection can be used again where the engine would have it.
func TestStreamEarly(t *testing.T) {
	t.Parallel()
	g := grounds(t, Enforce)
	for name, ask := range map[string]struct {
		method, target string
		want           int
	}{
		"put into nothing": {"PUT", "/containers/none/archive?path=/", 404},
		"load of garbage":  {"POST", "/images/load", 200},
		"a build of none":  {"POST", "/build?dockerfile=none&t=none", 500},
	} {
		for _, size := range []int{1 << 10, 200 << 10, 64 << 20} {
			for _, chunked := range []bool{true, false} {
				c := over(g.socket)
				var body io.Reader = &noise{left: size}
				if !chunked {
					body = struct{ io.Reader }{body}
				}
				req, err := http.NewRequestWithContext(t.Context(), ask.method, "http://docker"+ask.target, body)
				if err != nil {
					t.Fatal(err)
				}
				if !chunked {
					req.ContentLength = int64(size)
				}
				req.Header.Set("Content-Type", "application/x-tar")
				answer, err := c.Do(req)
				if err != nil {
					t.Errorf("%s of %d bytes, in chunks %v: %v", name, size, chunked, err)
					continue
				}
				text, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || answer.StatusCode != ask.want {
					t.Errorf("%s of %d bytes, in chunks %v: %d %s, %v", name, size, chunked, answer.StatusCode, text, err)
				}
				if _, _, err := askWith(t, c, "GET", "/_ping"); err != nil {
					t.Errorf("after %s: %v", name, err)
				}
				c.CloseIdleConnections()
			}
		}
	}
}

func askWith(t *testing.T, c *http.Client, method, target string) (int, string, error) {
	t.Helper()
	return ask(t.Context(), c, method, target, nil)
}

// noise is a body that is no archive.
type noise struct{ left int }

func (n *noise) Read(b []byte) (int, error) {
	if n.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(len(b), n.left)]
	for i := range b {
		b[i] = 'x'
	}
	n.left -= len(b)
	return len(b), nil
}
