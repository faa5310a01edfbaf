package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

// pier is an engine of its own behind a gate that enforces, with the image web:1, and
// with a tee between them that can be cut.
type pier struct {
	*standing
	t     *testing.T
	cutAt *cutter
}

func grounds(t *testing.T, mode Mode) *pier {
	t.Helper()
	e := lab.Private(t, nil)
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	c := cutBefore(t, t.TempDir()+"/cut.sock", e.Socket())
	g := &pier{standing: standAt(t, e.Host(), c.socket, mode, ""), t: t, cutAt: c}
	g.engine = e
	return g
}

// cutter is a proxy for bytes whose connections can be cut. It knows nothing of HTTP.
type cutter struct {
	socket string

	mu    sync.Mutex
	conns []net.Conn
	open  int          // pairs
	sent  bytes.Buffer // by all clients
}

// Write notes what a client sent.
func (c *cutter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent.Len() < most {
		c.sent.Write(p)
	}
	return len(p), nil
}

// asked says whether a client sent something since that was forgotten.
func (c *cutter) asked(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Contains(c.sent.Bytes(), []byte(text))
}

func (c *cutter) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent.Reset()
}

func cutBefore(t *testing.T, socket, behind string) *cutter {
	t.Helper()
	c := &cutter{socket: socket}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", behind)
			if err != nil {
				client.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, client, server)
			c.open++
			c.mu.Unlock()
			served.Go(func() { c.pass(client, server) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.cut()
		served.Wait()
	})
	return c
}

func (c *cutter) pass(client, server net.Conn) {
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(io.MultiWriter(server, c), client)
		_ = server.(*net.UnixConn).CloseWrite()
	})
	_, _ = io.Copy(client, server)
	client.Close()
	server.Close()
	up.Wait()
	c.mu.Lock()
	c.open--
	c.conns = slices.DeleteFunc(c.conns, func(conn net.Conn) bool { return conn == client || conn == server })
	c.mu.Unlock()
}

// cut ends every connection there is.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

func (c *cutter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// over is an HTTP client by a socket.
func over(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
}

// ask sends a request, and gives the status and the answer, which is what the error is
// about too.
func ask(ctx context.Context, c *http.Client, method, target string, body io.Reader) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+target, body)
	if err != nil {
		return 0, "", err
	}
	if _, isText := body.(*strings.Reader); isText {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 400 {
		err = fmt.Errorf("%s %s: %d %s", method, target, answer.StatusCode, b)
	}
	return answer.StatusCode, string(b), err
}

// lines gives what comes on a stream, line by line, and closes it in the end.
type lines struct {
	mu    sync.Mutex
	text  strings.Builder
	err   error // io.EOF where it ended well
	ended chan struct{}
}

func linesOf(r io.ReadCloser) *lines {
	l := &lines{ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		defer r.Close()
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			l.mu.Lock()
			l.text.Write(b[:n])
			l.err = err
			l.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

func (l *lines) expect(t *testing.T, text string) {
	t.Helper()
	eventually(t, func() bool { return l.has(text) }, func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Sprintf("%q in %q, %v", text, l.text.String(), l.err)
	})
}

// wait waits for the end.
func (l *lines) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-l.ended:
	case <-time.After(patient):
		t.Error("a stream does not end")
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.err, io.EOF) {
		return nil
	}
	return l.err
}

// stream begins a request whose answer goes on.
func stream(ctx context.Context, t *testing.T, c *http.Client, target string) *lines {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://docker"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != 200 {
		t.Fatalf("%s: %d", target, answer.StatusCode)
	}
	return linesOf(answer.Body)
}

// memory is how much memory of a process is in use, and the most that was since the last
// call (proc(5), clear_refs).
func memory(t *testing.T, pid int) (now, most int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &now)
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &most)
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	return now << 10, most << 10
}
