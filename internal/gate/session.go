package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/plimsoll/plimsoll/internal/http1"
	"github.com/plimsoll/plimsoll/internal/relay"
)

const (
	// maxBody bounds a JSON body: a create request of the largest stack is some hundred
	// KiB.
	maxBody = 4 << 20
	// maxAnswer bounds an answer of the engine that is read whole.
	maxAnswer = 8 << 20
	// maxPath and maxName bound texts of clients in events.
	maxPath, maxName = 512, 256
)

// session is a client's connection, and the one to the engine that belongs to it.
type session struct {
	*relay.Session
	g   *Gate
	who *identity
}

// serve passes requests on until the client or the engine ends it.
func (s *session) serve(ctx context.Context) {
	defer s.Close()
	for {
		req, err := http1.ReadRequest(s.In)
		if err != nil {
			s.badRequest(err)
			return
		}
		if again, err := s.exchange(ctx, req); err != nil || !again {
			return
		}
	}
}

// badRequest answers what is no request.
func (s *session) badRequest(err error) {
	bad := new(http1.Error)
	if errors.As(err, &bad) {
		s.g.count(refusedSyntax)
		_ = s.reply(nil, bad.Status, bad.Error())
		s.Linger()
	}
}

// reply answers in the engine's own form of an error, and with what the engine says of
// itself. To is the request, nil where it was not read to its end.
func (s *session) reply(to *http1.Request, status int, message string) error {
	var fields http1.Fields
	if says := s.g.says.Load(); says != nil {
		fields = *says
	}
	return s.Reply(to, status, message, fields)
}

// unreachable says that the engine can't be asked.
func unreachable(err error) string {
	return fmt.Sprintf("plimsoll can't reach the engine: %v", err)
}
