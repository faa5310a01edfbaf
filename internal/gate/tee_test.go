package gate

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// tee stands between clients and a socket, passes on every byte, and remembers them. It
// knows nothing of HTTP while it works, so that it can change nothing.
type tee struct {
	socket, behind string

	mu    sync.Mutex
	conns []*teed
	open  int
}

// teed is one connection, as far as it went.
type teed struct {
	mu       sync.Mutex
	up, down bytes.Buffer
}

// seen is one exchange on the wire.
type seen struct {
	method, target, contentType string
	asked                       []byte
	head                        string // of the answer, without the empty line
	status                      int
	answer                      []byte
	// sent and got are what was passed on raw behind a connection that was taken over.
	sent, got []byte
}

// teeBefore puts a tee before a socket.
func teeBefore(t *testing.T, socket, behind string) *tee {
	t.Helper()
	r := &tee{socket: socket, behind: behind}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { r.pass(c.(*net.UnixConn)) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		served.Wait()
	})
	return r
}

func (r *tee) pass(client *net.UnixConn) {
	defer client.Close()
	c, err := net.Dial("unix", r.behind)
	if err != nil {
		return
	}
	server := c.(*net.UnixConn)
	defer server.Close()
	log := &teed{}
	r.mu.Lock()
	r.conns = append(r.conns, log)
	r.open++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
	}()
	var up sync.WaitGroup
	up.Go(func() {
		log.copy(server, client, &log.up)
		server.CloseWrite()
	})
	log.copy(client, server, &log.down)
	// Who answers no more does not listen either; what the client yet sends is for nobody.
	client.CloseWrite()
	client.CloseRead()
	up.Wait()
}

// most is how much of one direction is remembered.
const most = 16 << 20

func (c *teed) copy(dst io.Writer, src io.Reader, log *bytes.Buffer) {
	b := make([]byte, 32<<10)
	for {
		n, err := src.Read(b)
		c.mu.Lock()
		if log.Len() < most {
			log.Write(b[:n])
		}
		c.mu.Unlock()
		if _, werr := dst.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// take gives the connections since it was last called, once all are closed.
func (r *tee) take(t *testing.T) []*teed {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		if r.open == 0 || time.Now().After(end) {
			break
		}
		r.mu.Unlock()
	}
	conns := r.conns
	if r.open > 0 {
		t.Errorf("%d connections stay open behind %s", r.open, r.socket)
	}
	r.conns = nil
	r.mu.Unlock()
	return conns
}

// exchanges takes the bytes of a connection apart, by net/http.
func (c *teed) exchanges(t *testing.T) (all []seen) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	up, down := c.up.Bytes(), c.down.Bytes()
	for len(up) > 0 {
		req, r, err := requestOf(up)
		if err != nil {
			t.Errorf("no request: %v: %.200q", err, up)
			return all
		}
		s := seen{method: req.Method, target: req.URL.RequestURI(), contentType: req.Header.Get("Content-Type")}
		s.asked, _ = io.ReadAll(req.Body)
		up = up[len(up)-r():]
		for {
			end := bytes.Index(down, []byte("\r\n\r\n"))
			if end < 0 {
				s.got = down
				return append(all, s)
			}
			s.head = string(down[:end])
			b := bufio.NewReader(bytes.NewReader(down))
			answer, err := http.ReadResponse(b, req)
			if err != nil {
				t.Errorf("no answer: %v: %.200q", err, down)
				return all
			}
			s.status = answer.StatusCode
			if s.status == 101 {
				s.sent, s.got = up, down[end+4:]
				return append(all, s)
			}
			rest := bytes.NewReader(down)
			counted := bufio.NewReader(rest)
			answer, _ = http.ReadResponse(counted, req)
			s.answer, _ = io.ReadAll(answer.Body)
			down = down[len(down)-rest.Len()-counted.Buffered():]
			if s.status >= 200 {
				break
			}
		}
		if strings.Contains(s.head, "application/vnd.docker.raw-stream") && s.status == 200 {
			s.sent, up = up, nil
		}
		all = append(all, s)
	}
	if len(down) > 0 {
		t.Errorf("nobody asked for %.200q", down)
	}
	return all
}

// requestOf reads one request; rest says how many bytes are behind it, once its body was read.
func requestOf(b []byte) (req *http.Request, rest func() int, err error) {
	all := bytes.NewReader(b)
	r := bufio.NewReader(all)
	req, err = http.ReadRequest(r)
	return req, func() int { return all.Len() + r.Buffered() }, err
}
