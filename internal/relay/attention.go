package relay

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/plimsoll/plimsoll/internal/http1"
)

// Attention is a look at the client while something else is waited for.
type Attention struct {
	s      *Session
	engine Conn // nil where nothing is passed on
	// passed is closed once the body was passed on, or can't be; sent says which.
	passed, ended chan struct{}
	sent          bool
	broken        error       // a *BodyError, where the client did not send it whole
	timer         *time.Timer // nil where it looks at once
	stopped       bool
}

// BodyError says that an engine has no answer to a request because the client did not send
// its body whole, or not as HTTP would have it.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "the request was not sent whole: " + e.Err.Error() }

// Unwrap is what came instead: an [*http1.Error], or the end.
func (e *BodyError) Unwrap() error { return e.Err }

// Attend looks at a client who waits for the proxy itself: gone is called when nobody is
// there any more. The look goes on until it is stopped.
func (s *Session) Attend(gone func()) *Attention { return s.attend(nil, nil, gone) }

// attend passes on to the engine the body that is still coming, if any, and then tells it,
// by the same means, when the client sends no more; it calls gone when nobody is there any
// more. An engine of nil is told nothing. The look goes on until Stop is called.
func (s *Session) attend(engine Conn, coming *http1.Framing, gone func()) *Attention {
	a := &Attention{s: s, engine: engine, passed: make(chan struct{}), ended: make(chan struct{})}
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
func (a *Attention) pass(coming *http1.Framing) error {
	_, err := http1.CopyBody(a.engine, a.s.In, *coming, nil)
	refused := new(http1.WriteError)
	if err != nil && !errors.As(err, &refused) && !errors.Is(err, os.ErrDeadlineExceeded) {
		// The engine must not take for all what it has.
		a.broken = &BodyError{err}
		a.engine.Close()
	}
	return err
}

func (a *Attention) look(gone func()) {
	defer close(a.ended)
	// Bytes are the next request, or the input of what is attached.
	_, err := a.s.In.Peek(1)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	if a.engine != nil {
		_ = a.engine.CloseWrite()
	}
	// The proxy itself closes its clients' connections when it ends.
	if errors.Is(err, net.ErrClosed) || http1.Gone(a.s.Client) {
		gone()
	}
}

// Passed waits until the body was passed on, or can't be.
func (a *Attention) Passed() { <-a.passed }

// Stop ends the look, and says whether all of the body was passed on. It may be called
// again.
func (a *Attention) Stop() bool {
	if a.stopped || a.timer != nil && a.timer.Stop() {
		a.stopped = true
		return a.sent
	}
	a.stopped = true
	past := time.Unix(1, 0)
	_ = a.s.Client.SetReadDeadline(past)
	if a.timer == nil {
		_ = a.engine.SetWriteDeadline(past)
	}
	<-a.ended
	_ = a.s.Client.SetReadDeadline(time.Time{})
	if a.timer == nil {
		_ = a.engine.SetWriteDeadline(time.Time{})
	}
	return a.sent
}
