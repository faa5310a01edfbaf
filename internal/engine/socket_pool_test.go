package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The head is bounded, with all that announces it; an ordinary one is far below.
func TestSocketHead(t *testing.T) {
	head := func(n int) string { return "X: " + strings.Repeat("a", n) + "\r\n" }
	for _, tc := range []struct {
		name, says string
		refused    bool
	}{
		{"large", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" + head(maxHeaderBytes-readBytes) + "\r\nx", false},
		{"too large", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" + head(maxHeaderBytes) + "\r\nx", true},
		{"many lines", "HTTP/1.1 200 OK\r\n" + strings.Repeat(head(100), maxHeaderBytes/100) + "\r\n", true},
		{"announced without end", strings.Repeat("HTTP/1.1 103 Early Hints\r\n"+head(1000)+"\r\n", maxHeaderBytes/1000), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFar(t, func(_ int, c *farConn) {
				c.asked()
				c.say(tc.says)
				c.asked() // the other side closes first
			})
			got, err := get(t.Context(), f.sockets(t), "/a")
			if tc.refused != (err != nil && strings.Contains(err.Error(), "exceeded 65536 bytes")) || !tc.refused && got != "x" {
				t.Errorf("got %.80q (%v)", got, err)
			}
		})
	}
}

// Callers side by side get each their own answer, over no more connections than
// there are callers; and not more are kept than may be.
func TestSocketSideBySide(t *testing.T) {
	f := startFar(t, func(_ int, c *farConn) {
		for path := c.asked(); path != ""; path = c.asked() {
			c.say(sized(path))
		}
	})
	p := f.sockets(t)
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for i := range 100 {
				path := fmt.Sprintf("/%d/%d", caller, i)
				wantGet(t, p, path, path)
			}
		})
	}
	wg.Wait()
	if n := int(f.conns.Load()); n > 8 {
		t.Errorf("%d connections for 8 callers", n)
	}

	var open []*http.Response
	for range idleConns + 5 {
		resp, err := openPath(t.Context(), p, "/a")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
	}
	for _, resp := range open {
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
	}
	if len(p.idle) != idleConns {
		t.Errorf("%d connections are kept, want %d", len(p.idle), idleConns)
	}
}

// What nobody uses is closed after a time.
func TestSocketIdle(t *testing.T) {
	closed := make(chan struct{})
	f := startFar(t, func(n int, c *farConn) {
		for path := c.asked(); path != ""; path = c.asked() {
			c.say(sized(path))
		}
		if n == 0 {
			close(closed)
		}
	})
	p := f.sockets(t)
	wantGet(t, p, "/first", "/first")
	p.keep = time.Millisecond
	wantGet(t, p, "/second", "/second")
	f.wantConnections(t, 1)
	<-closed
	wantGet(t, p, "/third", "/third")
	f.wantConnections(t, 2)
}

// Close ends what is kept, and a call that is still running then ends its own.
func TestSocketClose(t *testing.T) {
	var served sync.WaitGroup
	served.Add(2)
	f := startFar(t, func(n int, c *farConn) {
		defer served.Done()
		for path := c.asked(); path != ""; path = c.asked() {
			c.say(sized(path))
		}
	})
	p := f.sockets(t)
	resp, err := openPath(t.Context(), p, "/running")
	if err != nil {
		t.Fatal(err)
	}
	wantGet(t, p, "/kept", "/kept")
	p.CloseIdleConnections()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "/running" {
		t.Errorf("got %q (%v)", body, err)
	}
	served.Wait() // both connections have ended
}

// Whatever goes wrong is told in the words that net/http's Transport has for it,
// to one who comes now and to one who has spoken with the engine before.
func TestSocketSaysTheSame(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, says := range map[string]string{
		"nothing":              "",
		"another protocol":     "SSH-2.0-OpenSSH_9.2\r\n",
		"escapes":              "\x1b[31m\r\n\r\n",
		"a word":               "H",
		"no status":            "HTTP/1.1 \r\n\r\n",
		"a wrong status":       "HTTP/1.1 two OK\r\n\r\n",
		"a wrong version":      "HTTP/x 200 OK\r\n\r\n",
		"a cut head":           "HTTP/1.1 200 OK\r\nContent-",
		"a wrong head":         "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"a wrong length":       head + "Content-Length: x\r\n\r\n",
		"a wrong encoding":     head + "Transfer-Encoding: gzip\r\n\r\n",
		"a cut body":           head + "Content-Length: 100\r\n\r\n{\"Id\":",
		"a cut chunk":          head + "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"I",
		"a chunk without size": head + "Transfer-Encoding: chunked\r\n\r\nx\r\n{}",
		"no last chunk":        head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"a redirect":           "HTTP/1.1 302 Found\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n",
		"a switch":             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := startFar(t, func(_ int, c *farConn) {
				if c.asked() != "" {
					c.say(says)
				}
			})
			errs := map[bool][2]string{}
			for _, ours := range []bool{true, false} {
				var told [2]string
				for i, before := range []*agreement{nil, {api: apiVersion{1, 41}}} {
					c := clientOf(t, Config{Endpoint: Endpoint{Address: "unix://" + f.socket, Source: "--host"}})
					if !ours {
						c.transport = &http.Transport{
							DisableCompression: true,
							DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
								return new(net.Dialer).DialContext(ctx, "unix", f.socket)
							},
						}
					}
					c.agreed.Store(before)
					_, err := c.Info(t.Context())
					var e *Error
					if !errors.As(err, &e) {
						t.Fatalf("got %v", err)
					}
					told[i] = fmt.Sprintf("%v [%d]\n%s", e, e.Status, e.Hint())
				}
				errs[ours] = told
			}
			if errs[true] != errs[false] {
				t.Errorf("got  %q\nwant %q", errs[true], errs[false])
			}
		})
	}
}
