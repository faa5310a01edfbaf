package relay

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/plimsoll/plimsoll/internal/http1"
)

// Request is what is passed on.
type Request struct {
	// Request is the head, with the framing of what the client sends.
	http1.Request
	// Body is what is passed on instead of what the client sends, which was read; nil is
	// that this is passed on as it comes.
	Body []byte
	// Once says that it must not be asked twice, because it changes something.
	Once bool
	// Await says that what comes of it is waited for when the client is gone.
	Await bool
}

// Send passes a request on and reads the head of the answer. The client is attended to
// until the Attention is stopped, which is the caller's to do. The error is a *BodyError
// where the client is to blame, else that of the engine.
func (s *Session) Send(ctx context.Context, req Request) (answer *http1.Response, client *Attention, err error) {
	if req.Body != nil {
		req.Framing = http1.Framing{Kind: http1.Length, Length: int64(len(req.Body))}
	}
	var coming *http1.Framing
	if req.Body == nil && !req.Framing.Empty() {
		coming = &req.Framing
	}
	gone := func() {
		s.Client.Close()
		if !req.Await {
			s.engine.Close()
		}
	}
	s.sending = coming != nil
	s.out = append(req.AppendHead(s.out[:0]), req.Body...)
	for {
		fresh, err := s.connect(ctx)
		if err != nil {
			return nil, nil, err
		}
		if _, err = s.engine.Write(s.out); err == nil && req.ExpectContinue {
			return s.expect(&req, gone)
		} else if err == nil {
			client = s.attend(s.engine, coming, gone)
			if answer, err = s.receive(req.Method); err == nil {
				return answer, client, nil
			}
			client.Stop()
			err = cmp.Or(client.broken, err)
		}
		s.hangUp()
		// An engine that has begun anew has closed what was open. Only what changes
		// nothing may be asked twice.
		if fresh || coming != nil || req.Once {
			return nil, nil, err
		}
	}
}

// expect is Send for a client that keeps the body back until the engine asks for it, which
// it does not when it knows the answer without (RFC 9110, section 10.1.1).
func (s *Session) expect(req *Request, gone func()) (answer *http1.Response, client *Attention, err error) {
	client = s.attend(s.engine, nil, gone)
	answer, err = http1.ReadResponse(s.answer, req.Method)
	client.Stop()
	if err == nil && answer.Status != http.StatusContinue {
		client.sent = false
		return answer, client, nil
	}
	if err == nil {
		_, err = s.Client.Write(answer.Head)
	}
	if err == nil {
		client = s.attend(s.engine, &req.Framing, gone)
		if answer, err = s.receive(req.Method); err == nil {
			return answer, client, nil
		}
		client.Stop()
		err = cmp.Or(client.broken, err)
	}
	s.hangUp()
	return nil, nil, err
}

// receive reads the head of the engine's answer. Those that only announce another are
// left out: the client was asked for its body already.
func (s *Session) receive(method string) (*http1.Response, error) {
	for {
		answer, err := http1.ReadResponse(s.answer, method)
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if answer.Status >= 200 || answer.Status == http.StatusSwitchingProtocols {
			return answer, nil
		}
	}
}

// ReadBody reads the body of an answer, of at most so many bytes.
func (s *Session) ReadBody(answer *http1.Response, most int64) ([]byte, error) {
	return http1.ReadBody(s.answer, answer.Framing, most)
}

// Pass gives the client the answer as it is.
func (s *Session) Pass(answer *http1.Response) error {
	if f := answer.Framing; f.Empty() {
		_, err := s.Client.Write(answer.Head)
		return err
	} else if f.Kind == http1.Length && int64(s.answer.Buffered()) >= f.Length {
		body, err := s.answer.Peek(int(f.Length))
		if err != nil {
			return err
		}
		s.out = append(append(s.out[:0], answer.Head...), body...)
		if _, err := s.answer.Discard(int(f.Length)); err != nil {
			return err
		}
		_, err = s.Client.Write(s.out)
		return err
	}
	if _, err := s.Client.Write(answer.Head); err != nil {
		return err
	}
	r, _ := s.engine.(*restful)
	if r == nil || s.sending {
		_, err := http1.CopyBody(s.Client, s.answer, answer.Framing, nil)
		return err
	}
	p := pace{now: s.now, since: s.now()}
	_, err := http1.CopyBody(s.Client, s.answer, answer.Framing, func(bytes, chunks int) {
		if p.passed(bytes, chunks) {
			r.rest(rest)
		}
	})
	return errors.Join(err, r.resume())
}

// PassAs gives the client the answer, whose body was read, with this body.
func (s *Session) PassAs(answer *http1.Response, body []byte) error {
	s.out = append(s.out[:0], answer.Head...)
	if answer.Framing.Kind != http1.UntilClose {
		answer.Framing = http1.Framing{Kind: http1.Length, Length: int64(len(body))}
		s.out = answer.AppendHead(s.out[:0])
	}
	s.out = append(s.out, body...)
	_, err := s.Client.Write(s.out)
	return err
}

// IsTunnel says whether the connection is something else from this answer on. Hijacks says
// that the request may turn it into that without an upgrade, as an attach does.
func IsTunnel(answer *http1.Response, hijacks bool) bool {
	if answer.Status == http.StatusSwitchingProtocols {
		return true
	}
	return answer.Status == http.StatusOK && answer.Framing.Kind == http1.UntilClose && hijacks &&
		strings.HasPrefix(answer.Fields.Get("Content-Type"), "application/vnd.docker.")
}

// Tunnel gives the client the head of the answer, and passes on both directions until both
// are closed.
func (s *Session) Tunnel(answer *http1.Response) error {
	if _, err := s.Client.Write(answer.Head); err != nil {
		return err
	}
	engine := s.engine
	if r, ok := engine.(*restful); ok {
		engine = r.polled()
	}
	return http1.Tunnel(s.Client, engine, s.In, s.answer)
}

// Over says whether both connections may be used again after an answer to a request, all
// of which was sent.
func Over(req *http1.Request, answer *http1.Response, sent bool) bool {
	return sent && req.KeepAlive && answer.KeepAlive && answer.Framing.Kind != http1.UntilClose
}

// Ask asks something of the proxy's own, without a body, on a connection of its own, and has
// the answer read.
func Ask(ctx context.Context, dial func(context.Context) (Conn, error), method, host, target string, read func(status int, body io.Reader) error) error {
	c, err := dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, target, host); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	answer, err := http1.ReadResponse(r, method)
	if err != nil {
		return err
	}
	return read(answer.Status, http1.BodyReader(r, answer.Framing))
}
