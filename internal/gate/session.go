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
	answer := http1.Answer{To: to, Status: status, ContentType: "application/json", Body: append(body, '\n'), Date: s.g.now()}
	_, err = s.client.Write(answer.Append(s.out[:0]))
	return err
}

// linger lets a client read the answer that is still sending: closing at once what was
// not read whole would throw the answer away (RFC 9112, section 9.6).
func (s *session) linger() {
	_ = s.client.CloseWrite()
	_ = s.client.SetReadDeadline(s.g.now().Add(time.Second))
	_, _ = io.CopyN(io.Discard, s.in, 1<<20)
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

// attend looks at the client while the engine works: it passes on the body that is still
// coming, if any, and then tells the engine, by the same means, when the client hangs up.
// The function that it gives ends that, and says whether all of the body was passed on.
func (s *session) attend(coming *http1.Framing) (stop func() bool) {
	engine, ended, sent := s.engine, make(chan struct{}), coming == nil
	look := func() {
		defer close(ended)
		if coming != nil {
			_, err := http1.CopyBody(engine, s.in, *coming, nil)
			if refused := new(http1.WriteError); errors.As(err, &refused) {
				return // the engine has answered, or will not
			}
			if err != nil {
				// The engine must not take for all what it has.
				engine.Close()
				return
			}
			sent = true
		}
		// Bytes are the next request, or the input of what is attached.
		if _, err := s.in.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = engine.CloseWrite()
		}
	}
	var timer *time.Timer
	if coming == nil {
		timer = time.AfterFunc(patience, look)
	} else {
		go look()
	}
	return func() bool {
		if timer != nil && timer.Stop() {
			return true
		}
		_ = s.client.SetReadDeadline(time.Unix(1, 0))
		<-ended
		_ = s.client.SetReadDeadline(time.Time{})
		return sent
	}
}

// unreachable says that the engine can't be asked.
func unreachable(err error) string {
	return fmt.Sprintf("plimsoll can't reach the engine: %v", err)
}
