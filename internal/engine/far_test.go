package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// far is the other side of sockets, by hand.
type far struct {
	socket string
	conns  atomic.Int32
}

// startFar has serve speak on every connection, which are numbered from 0, and
// closes each when serve returns.
func startFar(t *testing.T, serve func(n int, c *farConn)) *far {
	t.Helper()
	f := &far{socket: socketPath(t)}
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n := int(f.conns.Add(1)) - 1
			wg.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				serve(n, &farConn{conn, bufio.NewReader(conn)})
			})
		}
	})
	t.Cleanup(func() { l.Close(); cancel(); wg.Wait() })
	return f
}

type farConn struct {
	net.Conn
	r *bufio.Reader
}

// asked is the path of the next request, or empty when there is none.
func (c *farConn) asked() string {
	req, err := http.ReadRequest(c.r)
	if err != nil {
		return ""
	}
	return req.URL.Path
}

func (c *farConn) say(text string) { io.WriteString(c, text) }

func (f *far) sockets(t *testing.T) *sockets {
	p := &sockets{path: f.socket, keep: idleTime}
	t.Cleanup(p.CloseIdleConnections)
	return p
}

func (f *far) wantConnections(t *testing.T, want int) {
	t.Helper()
	if got := int(f.conns.Load()); got != want {
		t.Errorf("%d connections, want %d", got, want)
	}
}

func openPath(ctx context.Context, p http.RoundTripper, path string) (*http.Response, error) {
	u := &url.URL{Scheme: "http", Host: "docker", Path: path}
	return p.RoundTrip((&http.Request{Method: http.MethodGet, URL: u, Header: header}).WithContext(ctx))
}

// get is a whole answer's body.
func get(ctx context.Context, p http.RoundTripper, path string) (string, error) {
	resp, err := openPath(ctx, p, path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func wantGet(t *testing.T, p http.RoundTripper, path, want string) {
	t.Helper()
	if got, err := get(t.Context(), p, path); err != nil || got != want {
		t.Errorf("%s: got %.80q (%v), want %.80q", path, got, err, want)
	}
}

func sized(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}
