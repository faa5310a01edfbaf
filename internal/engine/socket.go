package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// past is a deadline that ends a reading or writing at once.
var past = time.Unix(1, 0)

// sockets is the way to an engine on a unix socket, where an audit makes
// hundreds of small calls. Each call has a connection to itself and does all of
// its work in the caller's own goroutine, where net/http's Transport hands every
// request to one goroutine of the connection and takes the answer from another.
// Eight callers inspecting containers on two processors need a quarter less of
// processor time so where answers come at once (28 in place of 38 µs a call),
// and a third less where an engine takes its 0.3 ms for each (72 of 110 µs).
//
// It takes the requests that Client makes and no others: GETs without a body
// and with no header but ours, which may be sent twice.
type sockets struct {
	path string
	keep time.Duration // how long an unused connection is kept

	mu     sync.Mutex
	idle   []*socket // the one used last is the last
	closed bool      // nothing is kept any more
}

// socket is one connection. Whoever has taken it from the idle ones owns it,
// until its answer has ended.
type socket struct {
	net.Conn
	raw   syscall.RawConn
	r     *bufio.Reader // of this socket, so that left counts
	left  int64         // bytes that may still be read
	timer *time.Timer   // runs while it is idle
}

// RoundTrip implements http.RoundTripper. A kept connection that turns out to
// be dead before a byte of the answer has come is replaced by a new one, once.
func (p *sockets) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s := p.take(); s != nil {
		resp, err := p.ask(s, req)
		if err == nil || s.left < maxHeaderBytes {
			return resp, err
		}
	}
	s, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	return p.ask(s, req)
}

func (p *sockets) dial(ctx context.Context) (*socket, error) {
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "unix", p.path)
	if err != nil {
		return nil, err
	}
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("looking into the connection to %s: %w", p.path, err)
	}
	s := &socket{Conn: conn, raw: raw}
	s.r = bufio.NewReaderSize(s, readBytes)
	return s, nil
}

// take gives a kept connection that still seems to be good, or nil.
func (p *sockets) take() *socket {
	for {
		p.mu.Lock()
		last := len(p.idle) - 1
		if last < 0 {
			p.mu.Unlock()
			return nil
		}
		s := p.idle[last]
		p.idle = p.idle[:last]
		p.mu.Unlock()
		s.timer.Stop()
		if s.quiet() {
			return s
		}
		s.Close()
	}
}

// put keeps a connection for the next call.
func (p *sockets) put(s *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) == idleConns {
		s.Close()
		return
	}
	p.idle = append(p.idle, s)
	if s.timer == nil {
		s.timer = time.AfterFunc(p.keep, func() { p.drop(s) })
	} else {
		s.timer.Reset(p.keep)
	}
}

// drop closes a connection that nobody has taken.
func (p *sockets) drop(s *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.idle, s); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		s.Close()
	}
}

// CloseIdleConnections closes what is kept, and from now on nothing is.
func (p *sockets) CloseIdleConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		s.timer.Stop()
		s.Close()
	}
	p.idle, p.closed = nil, true
}

// ask sends a request over s. Its answer's body owns s from here on; after an
// error s is closed.
func (p *sockets) ask(s *socket, req *http.Request) (*http.Response, error) {
	stop := context.AfterFunc(req.Context(), func() { s.SetDeadline(past) })
	resp, err := s.exchange(req)
	if err != nil {
		stop()
		s.Close()
		return nil, err
	}
	// Behind a 1xx comes something that is not HTTP.
	keep := !resp.Close && resp.StatusCode >= 200
	resp.Body = &socketBody{body: resp.Body, pool: p, socket: s, stop: stop, keep: keep}
	return resp, nil
}

// exchange writes a request and reads the head of its answer.
func (s *socket) exchange(req *http.Request) (*http.Response, error) {
	s.left = maxHeaderBytes
	head := "GET " + req.URL.RequestURI() + " HTTP/1.1\r\nHost: " + req.URL.Host + "\r\nUser-Agent: " + userAgent + "\r\n\r\n"
	if _, err := io.WriteString(s.Conn, head); err != nil {
		return nil, err
	}
	// ReadResponse would not tell an end before the answer from one within.
	if _, err := s.r.Peek(1); err != nil {
		return nil, err
	}
	for {
		resp, err := http.ReadResponse(s.r, req)
		if err != nil {
			if s.left == 0 {
				err = fmt.Errorf("server response headers exceeded %d bytes; aborted", maxHeaderBytes)
			}
			return nil, err
		}
		// Other 1xx only announce the answer (RFC 9110, 15.2).
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			s.left = math.MaxInt64
			return resp, nil
		}
	}
}

// Read is the connection's, within the bound.
func (s *socket) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.Conn.Read(b[:min(int64(len(b)), s.left)])
	s.left -= int64(n)
	return n, err
}

// quiet tells whether nothing has come since the last answer ended: neither the
// connection's end nor an answer that nobody asked for, which the next call
// would take for its own.
func (s *socket) quiet() bool {
	quiet := false
	err := s.raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		quiet = n == 0 && err == nil
	})
	return quiet && err == nil
}

// socketBody is the body of an answer, for one goroutine.
type socketBody struct {
	body   io.Reader
	pool   *sockets
	socket *socket
	stop   func() bool // ends the watch over the request's context
	keep   bool        // neither side closes the connection
	err    error       // how it ended, nil before
}

func (b *socketBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.body.Read(p)
	if err != nil {
		b.end(err)
	}
	return n, err
}

// Close gives up what has not been read, and the connection with it.
func (b *socketBody) Close() error {
	if b.err == nil {
		b.end(net.ErrClosed)
	}
	return nil
}

// end hands the connection back if the answer came whole and nothing behind it.
// A context that has ended may still be about to set its deadline.
func (b *socketBody) end(err error) {
	b.err = err
	if b.stop() && b.keep && err == io.EOF && b.socket.r.Buffered() == 0 {
		b.pool.put(b.socket)
	} else {
		b.socket.Close()
	}
}
