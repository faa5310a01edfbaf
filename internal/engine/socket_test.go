package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A connection serves the next call exactly when the answer came whole, nothing
// behind it, and neither side means to close.
func TestSocketKept(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n3\r\nrst\r\n0\r\n"
	for _, tc := range []struct {
		name, says, body string
		conns            int
	}{
		{"of a length", sized("first"), "first", 1},
		{"in chunks", chunked + "\r\n", "first", 1},
		{"in chunks with a trailer", chunked + "X: y\r\n\r\n", "first", 1},
		{"empty", sized(""), "", 1},
		{"without a body", "HTTP/1.1 204 No Content\r\n\r\n", "", 1},
		{"a refusal", strings.Replace(sized("first"), "200 OK", "404 Not Found", 1), "first", 1},
		{"large", sized(strings.Repeat("a", 3*maxHeaderBytes)), strings.Repeat("a", 3*maxHeaderBytes), 1},
		{"announced", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + sized("first"), "first", 1},
		{"the last", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nfirst", "first", 2},
		{"of an old server", strings.Replace(sized("first"), "1.1", "1.0", 1), "first", 2},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "", 2},
		{"two answers", sized("first") + sized("nobody's"), "first", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFar(t, func(_ int, c *farConn) {
				for path := c.asked(); path != ""; path = c.asked() {
					if path == "/first" {
						c.say(tc.says)
					} else {
						c.say(sized("second"))
					}
				}
			})
			p := f.sockets(t)
			wantGet(t, p, "/first", tc.body)
			wantGet(t, p, "/second", "second")
			f.wantConnections(t, tc.conns)
		})
	}
}

// A server that ends each answer by closing, with a word or without.
func TestSocketServerCloses(t *testing.T) {
	for name, says := range map[string]string{
		"without a length": "HTTP/1.1 200 OK\r\n\r\nx",
		"with a word":      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
		"without a word":   sized("x"),
	} {
		t.Run(name, func(t *testing.T) {
			f := startFar(t, func(_ int, c *farConn) {
				c.asked()
				c.say(says)
			})
			p := f.sockets(t)
			for range 20 {
				wantGet(t, p, "/a", "x")
			}
			f.wantConnections(t, 20)
		})
	}
}

// What comes before it is asked for is nobody's answer.
func TestSocketSpeaksUnasked(t *testing.T) {
	read := make(chan struct{})
	f := startFar(t, func(_ int, c *farConn) {
		for path := c.asked(); path != ""; path = c.asked() {
			c.say(sized(path))
			if path == "/first" {
				<-read
				c.say(sized("nobody's"))
			}
		}
	})
	p := f.sockets(t)
	wantGet(t, p, "/first", "/first")
	close(read)
	for len(p.idle) == 1 && p.idle[0].quiet() {
		runtime.Gosched()
	}
	wantGet(t, p, "/second", "/second")
	f.wantConnections(t, 2)
}

// A kept connection that is closed instead of answered is replaced, once; one
// that has begun to answer is not, nor is a new one.
func TestSocketReplaced(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		conns      int
		err        error
	}{
		{"closed when asked again", "/close-old", 2, nil},
		{"the new one is closed too", "/close", 2, io.EOF},
		{"closed within the head", "/cut", 1, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFar(t, func(n int, c *farConn) {
				for path := c.asked(); path != ""; path = c.asked() {
					switch {
					case path == "/cut":
						c.say("HTTP/1.1 200 OK\r\n")
						return
					case path == "/close", path == "/close-old" && n == 0:
						return
					}
					c.say(sized(path))
				}
			})
			p := f.sockets(t)
			wantGet(t, p, "/first", "/first")
			got, err := get(t.Context(), p, tc.path)
			if !errors.Is(err, tc.err) || err == nil && got != tc.path {
				t.Errorf("got %q (%v), want error %v", got, err, tc.err)
			}
			f.wantConnections(t, tc.conns)
		})
	}
	f := startFar(t, func(_ int, c *farConn) { c.asked() })
	if got, err := get(t.Context(), f.sockets(t), "/a"); !errors.Is(err, io.EOF) {
		t.Errorf("new and closed: got %q (%v)", got, err)
	}
	f.wantConnections(t, 1)
}

// A connection is closed, not kept, after a body that was cut, was not read to
// its end, or was called off; and so is one that was called off before.
func TestSocketGivenUp(t *testing.T) {
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
	readHalf := func(t *testing.T, ctx context.Context, p *sockets) *http.Response {
		resp, err := openPath(ctx, p, "/half")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for name, call := range map[string]func(*testing.T, *sockets){
		"cut": func(t *testing.T, p *sockets) {
			if got, err := get(t.Context(), p, "/cut"); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %q (%v)", got, err)
			}
		},
		"not read": func(t *testing.T, p *sockets) {
			resp := readHalf(t, t.Context(), p)
			resp.Body.Close()
			if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
				t.Errorf("read %d after Close (%v)", n, err)
			}
		},
		"called off in the body": func(t *testing.T, p *sockets) {
			ctx, cancel := context.WithCancel(t.Context())
			resp := readHalf(t, ctx, p)
			time.AfterFunc(time.Millisecond, cancel)
			if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("read %d (%v)", n, err)
			}
			resp.Body.Close()
		},
		"called off before the end is read": func(t *testing.T, p *sockets) {
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := openPath(ctx, p, "/whole")
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "/whole" {
				t.Errorf("got %q (%v)", body, err)
			}
		},
		"called off before the answer": func(t *testing.T, p *sockets) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			if got, err := get(ctx, p, "/silence"); err == nil {
				t.Errorf("got %q", got)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			f := startFar(t, func(n int, c *farConn) {
				if n == 0 {
					defer close(closed)
				}
				for path := c.asked(); path != ""; path = c.asked() {
					switch path {
					case "/cut":
						c.say(half)
						return
					case "/half":
						c.say(half)
					case "/silence":
					default:
						c.say(sized(path))
					}
				}
			})
			p := f.sockets(t)
			wantGet(t, p, "/first", "/first")
			call(t, p)
			<-closed // the server has seen the end
			wantGet(t, p, "/second", "/second")
			f.wantConnections(t, 2)
		})
	}
}

// Nothing is sent for a call that was called off before.
func TestSocketCalledOffBefore(t *testing.T) {
	f := startFar(t, func(_ int, c *farConn) {
		for path := c.asked(); path != ""; path = c.asked() {
			if path == "/off" {
				t.Error("it was asked")
			}
			c.say(sized(path))
		}
	})
	p := f.sockets(t)
	wantGet(t, p, "/first", "/first")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := get(ctx, p, "/off"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantGet(t, p, "/second", "/second")
	f.wantConnections(t, 1)
}
