// Package relay carries requests of one client to an engine and the answers back, byte for
// byte but for what its user changes: what a proxy before an engine's socket does when it
// has nothing to say.
//
// In the order of use:
//
//   - [Serve] takes connections from a listener, and closes those that are left.
//   - [New] makes a [Session] of a client's connection. Its user reads a request from In.
//   - [Session.Send] passes a [Request] on, and gives the head of the answer and the
//     [Attention] that is paid to the client meanwhile. [Session.Attend] is the same where
//     nothing is passed on.
//   - [Session.Pass] gives the client the answer, [Session.PassAs] one with another body,
//     and [Session.Tunnel] what the connection is from then on (see [IsTunnel]).
//   - [Session.Reply] is an answer of the proxy's own, [Ask] a request of its own.
//
// An engine may be at the other end of a unix socket, of TCP, of TLS, or of a program that
// carries bytes there. A client who goes away, or sends no more, is one for the engine too.
//
// The package finds, judges and records nothing, and sets no time for anything but the
// taking of what nobody wants, and the moment for which lines of a log gather that come
// faster than anybody reads. The standards are RFC 9112 and RFC 9110.
package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/http1"
)

const (
	// patience is how long a client is not looked at while the engine works.
	patience = 100 * time.Millisecond
	// lingering is for how long that is taken which nobody wants.
	lingering = time.Second
	// readerSize is room for the heads of messages; what is long passes by it.
	readerSize = 4 << 10
)

// Conn is a connection of which one direction can be closed. [net.UnixConn], [net.TCPConn]
// and [crypto/tls.Conn] are such.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Session is a client's connection, and the one to the engine that belongs to it. Both
// are used by the goroutine that serves it, and by those that it waits for.
type Session struct {
	// Client is who asks, and In reads from it.
	Client Conn
	In     *bufio.Reader

	dial   func(context.Context) (Conn, error)
	now    func() time.Time
	engine Conn          // nil before it is needed, and after it broke
	leave  func() bool   // keeps engine open when the context ends
	answer *bufio.Reader // of engine
	out    []byte        // room for what is written
	// sending says that a body is passed on to the engine, beside its answer.
	sending bool
}

// New makes a Session, which connects to the engine by dial when it needs to.
func New(client Conn, dial func(context.Context) (Conn, error), now func() time.Time) *Session {
	return &Session{Client: client, In: bufio.NewReaderSize(client, readerSize), dial: dial, now: now}
}

// Close ends both connections.
func (s *Session) Close() {
	s.Client.Close()
	s.hangUp()
}

// Reply answers in the engine's own form of an error. To is the request, nil where it was
// not read to its end. Fields are those that an answer of the engine's has; without any, it
// is only said that this is JSON.
func (s *Session) Reply(to *http1.Request, status int, message string, fields http1.Fields) error {
	body, err := json.Marshal(struct {
		Message string `json:"message"`
	}{message})
	if err != nil {
		return err
	}
	answer := http1.Answer{To: to, Status: status, Fields: fields, Body: append(body, '\n'), Date: s.now()}
	if fields == nil {
		answer.ContentType = "application/json"
	}
	_, err = s.Client.Write(answer.Append(s.out[:0]))
	return err
}

// Invite asks for a body that the client keeps back (RFC 9110, section 10.1.1).
func (s *Session) Invite(req *http1.Request) error {
	if !req.ExpectContinue || req.Framing.Empty() {
		return nil
	}
	req.ExpectContinue = false
	_, err := io.WriteString(s.Client, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// maxDrained is how much of a body that nobody wants is taken before the answer, as by an
// engine (net/http, maxPostHandlerReadBytes).
const maxDrained = 256 << 10

// Drain takes a body that nobody wants, and says whether that was all of it, so that the
// connection may be used again. One that the client keeps back is left alone.
func (s *Session) Drain(req *http1.Request) bool {
	if req.ExpectContinue || req.Framing.Kind == http1.Length && req.Framing.Length > maxDrained {
		return false
	}
	body := http1.BodyReader(s.In, req.Framing)
	n, err := io.CopyN(io.Discard, body, maxDrained+1)
	return err == io.EOF && n <= maxDrained
}

// Linger lets a client read the answer that is still sending: closing at once what was
// not read whole would throw the answer away (RFC 9112, section 9.6).
func (s *Session) Linger() {
	_ = s.Client.CloseWrite()
	_ = s.Client.SetReadDeadline(s.now().Add(lingering))
	_, _ = io.Copy(io.Discard, s.In)
}

// connect connects to the engine where that is not done, and says whether it has just been.
// The connection ends with ctx, whatever waits for the engine.
func (s *Session) connect(ctx context.Context) (fresh bool, err error) {
	if s.engine != nil && s.answer.Buffered() == 0 && isOpen(s.engine) {
		return false, nil
	}
	s.hangUp()
	c, err := s.dial(ctx)
	if err != nil {
		return false, err
	}
	if u, ok := c.(*net.UnixConn); ok {
		c = newRestful(u)
	}
	s.engine, s.answer = c, bufio.NewReaderSize(c, readerSize)
	s.leave = context.AfterFunc(ctx, func() { c.Close() })
	return true, nil
}

// hangUp ends the connection to the engine.
func (s *Session) hangUp() {
	if s.engine != nil {
		s.leave()
		s.engine.Close()
		s.engine, s.answer = nil, nil
	}
}

// isOpen says whether the engine still holds a connection on which nothing is due; what
// cannot be looked at is taken for closed.
func isOpen(c net.Conn) bool {
	if inner, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = inner.NetConn()
	}
	socket, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		open = err == unix.EAGAIN
	})
	return open && err == nil
}
