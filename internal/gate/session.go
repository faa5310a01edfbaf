package gate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/plimsoll/plimsoll/internal/http1"
)

const (
	// maxBody bounds a JSON body: a create request of the largest stack is some hundred
	// KiB.
	maxBody = 4 << 20
	// maxAnswer bounds an answer of the engine that is read whole.
	maxAnswer = 8 << 20
	// patience is how long a client is not looked at while the engine works.
	patience = 100 * time.Millisecond
	// lingering is for how long that is taken which nobody wants.
	lingering = time.Second
	// readerSize is room for the heads of messages; what is long passes by it.
	readerSize = 4 << 10
	// maxPath and maxName bound texts of clients in events.
	maxPath, maxName = 512, 256
)

// session is a client's connection, and the one to the engine that belongs to it. Both
// are used by the goroutine that serves it, and by those that it waits for.
type session struct {
	g      *Gate
	who    *identity
	client conn
	in     *bufio.Reader // of client
	engine conn          // nil before it is needed, and after it broke
	answer *bufio.Reader // of engine
	out    []byte        // room for what is written
}

// conn is a connection of which one direction can be closed.
type conn interface {
	net.Conn
	CloseWrite() error
	SyscallConn() (syscall.RawConn, error)
}

// serve passes requests on until the client or the engine ends it.
func (s *session) serve(ctx context.Context) {
	defer s.close()
	for {
		req, err := http1.ReadRequest(s.in)
		if err != nil {
			s.badRequest(err)
			return
		}
		if again, err := s.exchange(ctx, req); err != nil || !again {
			return
		}
	}
}

func (s *session) close() {
	s.client.Close()
	if s.engine != nil {
		s.engine.Close()
	}
}

// badRequest answers what is no request.
func (s *session) badRequest(err error) {
	bad := new(http1.Error)
	if errors.As(err, &bad) {
		s.g.count(refusedSyntax)
		_ = s.reply(nil, bad.Status, bad.Error())
		s.linger()
	}
}

// reply answers in the engine's own form of an error. To is the request, nil where it was
// not read to its end.
func (s *session) reply(to *http1.Request, status int, message string) error {
	body, err := json.Marshal(struct {
		Message string `json:"message"`
	}{message})
	if err != nil {
		return err
	}
	answer := http1.Answer{To: to, Status: status, Body: append(body, '\n'), Date: s.g.now()}
	if says := s.g.says.Load(); says != nil {
		answer.Fields = append(answer.Fields, *says...)
	} else {
		answer.ContentType = "application/json"
	}
	_, err = s.client.Write(answer.Append(s.out[:0]))
	return err
}

// linger lets a client read the answer that is still sending: closing at once what was
// not read whole would throw the answer away (RFC 9112, section 9.6).
func (s *session) linger() {
	_ = s.client.CloseWrite()
	_ = s.client.SetReadDeadline(s.g.now().Add(lingering))
	_, _ = io.Copy(io.Discard, s.in)
}

// dial connects to the engine where that is not done, and says whether it has just been.
func (s *session) dial(ctx context.Context) (fresh bool, err error) {
	if s.engine != nil && s.answer.Buffered() == 0 && isOpen(s.engine) {
		return false, nil
	}
	s.hangUp()
	c, err := s.g.dial(ctx)
	if err != nil {
		return false, err
	}
	s.engine, s.answer = c, bufio.NewReaderSize(c, readerSize)
	return true, nil
}

// hangUp ends the connection to the engine.
func (s *session) hangUp() {
	if s.engine != nil {
		s.engine.Close()
		s.engine, s.answer = nil, nil
	}
}

// attention is a look at the client while something else is waited for.
type attention struct {
	s      *session
	engine conn // nil in judging
	// passed is closed once the body was passed on, or can't be; sent says which.
	passed, ended chan struct{}
	sent          bool
	timer         *time.Timer // nil where it looks at once
	stopped       bool
}

// attend passes on to the engine the body that is still coming, if any, and then tells it,
// by the same means, when the client sends no more; it calls gone when nobody is there any
// more. An engine of nil is told nothing. The look goes on until stop is called.
func (s *session) attend(engine conn, coming *http1.Framing, gone func()) *attention {
	a := &attention{s: s, engine: engine, passed: make(chan struct{}), ended: make(chan struct{})}
	if coming == nil {
		a.sent = true
		close(a.passed)
		a.timer = time.AfterFunc(patience, func() { a.look(gone) })
		return a
	}
	go func() {
		err := a.pass(coming)
		a.sent = err == nil
		close(a.passed)
		if err != nil {
			close(a.ended)
			return
		}
		a.look(gone)
	}()
	return a
}

// pass passes a body on.
func (a *attention) pass(coming *http1.Framing) error {
	_, err := http1.CopyBody(a.engine, a.s.in, *coming, nil)
	refused := new(http1.WriteError)
	if err != nil && !errors.As(err, &refused) && !errors.Is(err, os.ErrDeadlineExceeded) {
		// The engine must not take for all what it has.
		a.engine.Close()
	}
	return err
}

func (a *attention) look(gone func()) {
	defer close(a.ended)
	// Bytes are the next request, or the input of what is attached.
	if _, err := a.s.in.Peek(1); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	if a.engine != nil {
		_ = a.engine.CloseWrite()
	}
	if http1.Gone(a.s.client) {
		gone()
	}
}

// stop ends the look, and says whether all of the body was passed on. It may be called
// again.
func (a *attention) stop() bool {
	if a.stopped || a.timer != nil && a.timer.Stop() {
		a.stopped = true
		return a.sent
	}
	a.stopped = true
	past := time.Unix(1, 0)
	_ = a.s.client.SetReadDeadline(past)
	if a.timer == nil {
		_ = a.engine.SetWriteDeadline(past)
	}
	<-a.ended
	_ = a.s.client.SetReadDeadline(time.Time{})
	if a.timer == nil {
		_ = a.engine.SetWriteDeadline(time.Time{})
	}
	return a.sent
}

// unreachable says that the engine can't be asked.
func unreachable(err error) string {
	return fmt.Sprintf("plimsoll can't reach the engine: %v", err)
}
