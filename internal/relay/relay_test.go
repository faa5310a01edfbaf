package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plimsoll/plimsoll/internal/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upstream is a server of net/http's that says what it was asked, and knows its connections.
type upstream struct {
	*httptest.Server

	mu   sync.Mutex
	open []net.Conn // all that ever were
}

func startUpstream(t *testing.T, secure bool) *upstream {
	t.Helper()
	u := &upstream{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %v", r.Method, r.URL.Path, body, err)
	}))}
	u.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.open = append(u.open, c)
		}
	}
	if secure {
		u.StartTLS()
	} else {
		u.Start()
	}
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) dial(ctx context.Context) (Conn, error) {
	if u.TLS == nil {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Listener.Addr().String())
		if err != nil {
			return nil, err
		}
		return c.(*net.TCPConn), nil
	}
	conf := u.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	c, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", u.Listener.Addr().String())
	if err != nil {
		return nil, err
	}
	return c.(*tls.Conn), nil
}

// conns is how many connections there ever were.
func (u *upstream) conns() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.open)
}

// cut ends all connections, as a server does that begins anew.
func (u *upstream) cut() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.open {
		c.Close()
	}
}

// serve passes on what comes by a socket.
func serve(t *testing.T, dial func(context.Context) (Conn, error)) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, l, func(err error) { t.Error(err) }, func(ctx context.Context, c Conn) {
			s := New(c, dial, time.Now)
			defer s.Close()
			for {
				req, err := http1.ReadRequest(s.In)
				if err != nil {
					return
				}
				answer, client, err := s.Send(ctx, Request{Request: *req, Once: req.Method == "POST"})
				if err != nil {
					_ = s.Reply(nil, 502, err.Error(), nil)
					return
				}
				err = s.Pass(answer)
				if sent := client.Stop(); err != nil || !Over(req, answer, sent) {
					return
				}
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// TestReuse: a connection to the engine is used again while it stands, and replaced when it
// does not, also for what must not be asked twice.
func TestReuse(t *testing.T) {
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		u := startUpstream(t, secure)
		c, err := net.Dial("unix", serve(t, u.dial))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for i, step := range []struct {
			cut    bool
			method string
			conns  int
		}{{false, "GET", 1}, {false, "POST", 1}, {false, "GET", 1}, {true, "POST", 2}, {false, "POST", 2}, {true, "GET", 3}} {
			if step.cut {
				u.cut()
				time.Sleep(20 * time.Millisecond) // until the end is here
			}
			if _, err := fmt.Fprintf(c, "%s /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", step.method, i); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			if want := fmt.Sprintf("%s /%d hi <nil>", step.method, i); err != nil || string(text) != want || u.conns() != step.conns {
				t.Errorf("%s, step %d: %q, %v by connection %d, want %q by %d", name, i, text, err, u.conns(), want, step.conns)
			}
		}
	}
}

// TestUnreachable: the client is told, in the engine's form.
func TestUnreachable(t *testing.T) {
	c, err := net.Dial("unix", serve(t, func(context.Context) (Conn, error) { return nil, errors.New(`no "way"`) }))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 502 Bad Gateway\r\n") || !strings.HasSuffix(string(text), "\r\n\r\n{\"message\":\"no \\\"way\\\"\"}\n") || !strings.Contains(string(text), "Content-Type: application/json\r\n") {
		t.Errorf("%q, %v", text, err)
	}
}

// TestIsOpen: what cannot be looked at, has something to say, or is closed, is not used.
func TestIsOpen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	if !isOpen(c) || isOpen(one) {
		t.Errorf("an idle connection is open: %t, a pipe: %t", isOpen(c), isOpen(one))
	}
	if _, err := io.WriteString(far, "x"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); isOpen(c) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if isOpen(c) {
		t.Error("one on which something has come is taken for idle")
	}
	c.Close()
	if isOpen(c) {
		t.Error("a closed one is taken for open")
	}
}
