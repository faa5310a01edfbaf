package gate

import (
	"context"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/http1"
)

// forward passes the request on and brings back the answer.
func (x *exchange) forward(ctx context.Context) (again bool, err error) {
	answer, client, err := x.send(ctx)
	if x.mutates() && x.subject.Kind == "image" {
		x.g.around.images.forget()
	}
	if err != nil {
		x.g.around.stale()
		x.g.says.Store(nil)
		x.told(ctx, phaseFailed, map[string]any{"error": err.Error()})
		return x.refuse(http.StatusBadGateway, unreachable(err))
	}
	more := map[string]any{"status": answer.Status}
	switch {
	case x.isTunnel(answer):
		client.stop()
		x.told(ctx, phaseDone, more)
		return false, x.tunnel(answer)
	case x.check != nil && answer.Status < 300:
		return x.checked(ctx, answer, client)
	}
	phase := phaseDone
	if answer.Status >= 400 {
		phase = phaseFailed
	}
	// What takes long is recorded once it is over.
	long := x.match.Endpoint == nil || x.match.Endpoint.Answer != api.Plain
	if !long {
		defer x.telling(ctx, phase, more)()
	}
	if x.pinned != "" && answer.Status >= 400 {
		err = x.passNamed(answer)
	} else {
		err = x.s.pass(answer)
	}
	if err == nil && x.over(answer, true) {
		// It was early. The engine takes what is left of a body that is not too large.
		<-client.passed
	}
	sent := client.stop()
	if long {
		x.told(ctx, phase, more)
	}
	if err != nil {
		return false, errHangUp
	}
	if !sent {
		x.s.linger()
	}
	return x.over(answer, sent), nil
}

// over says whether both connections may be used again.
func (x *exchange) over(answer *http1.Response, sent bool) bool {
	return sent && x.req.KeepAlive && answer.KeepAlive && answer.Framing.Kind != http1.UntilClose
}

// send passes the request on and reads the head of the answer. The client is attended to.
func (x *exchange) send(ctx context.Context) (answer *http1.Response, client *attention, err error) {
	req := *x.req
	if x.body != nil {
		req.Framing = http1.Framing{Kind: http1.Length, Length: int64(len(x.body))}
	}
	var coming *http1.Framing
	if x.body == nil && !req.Framing.Empty() {
		coming = &req.Framing
	}
	x.s.out = append(req.AppendHead(x.s.out[:0]), x.body...)
	for {
		fresh, err := x.s.dial(ctx)
		if err != nil {
			return nil, nil, err
		}
		if _, err = x.s.engine.Write(x.s.out); err == nil && req.ExpectContinue {
			return x.expect(&req.Framing)
		} else if err == nil {
			client = x.s.attend(x.s.engine, coming, x.gone)
			if answer, err = x.s.receive(req.Method); err == nil {
				return answer, client, nil
			}
			client.stop()
		}
		x.s.hangUp()
		// An engine that has begun anew has closed what was open. Only what changes
		// nothing may be asked twice.
		if fresh || coming != nil || x.mutates() {
			return nil, nil, err
		}
	}
}

// expect is send for a client that keeps the body back until the engine asks for it, which
// it does not when it knows the answer without (RFC 9110, section 10.1.1).
func (x *exchange) expect(coming *http1.Framing) (answer *http1.Response, client *attention, err error) {
	client = x.s.attend(x.s.engine, nil, x.gone)
	answer, err = http1.ReadResponse(x.s.answer, x.req.Method)
	client.stop()
	if err == nil && answer.Status != http.StatusContinue {
		client.sent = false
		return answer, client, nil
	}
	if err == nil {
		_, err = x.s.client.Write(answer.Head)
	}
	if err == nil {
		client = x.s.attend(x.s.engine, coming, x.gone)
		if answer, err = x.s.receive(x.req.Method); err == nil {
			return answer, client, nil
		}
		client.stop()
	}
	x.s.hangUp()
	return nil, nil, err
}

// gone lets go of an answer that nobody waits for. What came of a change is waited for, to
// be recorded.
func (x *exchange) gone() {
	x.s.client.Close()
	if x.seq < 0 {
		x.s.engine.Close()
	}
}

// receive reads the head of the engine's answer. Those that only announce another are
// left out: the client was asked for its body by the gate.
func (s *session) receive(method string) (*http1.Response, error) {
	for {
		answer, err := http1.ReadResponse(s.answer, method)
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if answer.Status >= 200 || answer.Status == 101 {
			s.g.learn(answer)
			return answer, nil
		}
	}
}

// learn keeps what the engine says of itself in every answer, for the gate's own.
func (g *Gate) learn(answer *http1.Response) {
	if g.says.Load() != nil {
		return
	}
	var fields http1.Fields
	for _, name := range []string{"Api-Version", "Content-Type", "Docker-Experimental", "Ostype", "Server"} {
		value := answer.Fields.Get(name)
		if name == "Content-Type" { // of an error
			value = "application/json"
		}
		if value != "" {
			fields.Add(name, value)
		}
	}
	g.says.Store(&fields)
}

// pass gives the client the answer as it is.
func (s *session) pass(answer *http1.Response) error {
	if f := answer.Framing; f.Empty() {
		_, err := s.client.Write(answer.Head)
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
		_, err = s.client.Write(s.out)
		return err
	}
	if _, err := s.client.Write(answer.Head); err != nil {
		return err
	}
	_, err := http1.CopyBody(s.client, s.answer, answer.Framing, nil)
	return err
}

// passNamed gives the client an error that may speak of a container by its id only because
// the gate does.
func (x *exchange) passNamed(answer *http1.Response) error {
	if answer.Framing.Empty() { // as of HEAD
		return x.s.pass(answer)
	}
	body, err := http1.ReadBody(x.s.answer, answer.Framing, maxAnswer)
	if err != nil {
		return err
	}
	body = x.asNamed(body)
	x.s.out = append(x.s.out[:0], answer.Head...)
	if answer.Framing.Kind != http1.UntilClose {
		answer.Framing = http1.Framing{Kind: http1.Length, Length: int64(len(body))}
		x.s.out = answer.AppendHead(x.s.out[:0])
	}
	_, err = x.s.client.Write(append(x.s.out, body...))
	return err
}

// isTunnel says whether the connection is something else from here on.
func (x *exchange) isTunnel(answer *http1.Response) bool {
	if answer.Status == 101 {
		return true
	}
	return answer.Status == 200 && answer.Framing.Kind == http1.UntilClose && x.match.Endpoint != nil && x.match.Endpoint.Answer == api.Hijack &&
		strings.HasPrefix(answer.Fields.Get("Content-Type"), "application/vnd.docker.")
}

// tunnel passes on both directions until both are closed.
func (x *exchange) tunnel(answer *http1.Response) error {
	if _, err := x.s.client.Write(answer.Head); err != nil {
		return errHangUp
	}
	if err := http1.Tunnel(x.s.client, x.s.engine, x.s.in, x.s.answer); err != nil {
		return errHangUp
	}
	return nil
}

// checked judges what the engine has made before the client learns of it.
func (x *exchange) checked(ctx context.Context, answer *http1.Response, client *attention) (bool, error) {
	body, err := http1.ReadBody(x.s.answer, answer.Framing, maxAnswer)
	sent := client.stop()
	if err != nil {
		x.told(ctx, phaseFailed, map[string]any{"error": err.Error()})
		return x.refuse(http.StatusBadGateway, unreachable(err))
	}
	d, err := x.check(ctx, answer, body)
	if err != nil && x.enforces() {
		x.told(ctx, phaseUndone, map[string]any{"error": err.Error()})
		return x.fail(err)
	}
	if err != nil {
		x.g.log("%s %s: %v", x.req.Method, x.path, err)
	} else if d != nil {
		x.decision = *d
		if d.refused() && x.enforces() {
			x.told(ctx, phaseUndone, nil)
		}
		if answer := x.refusal(ctx); answer != nil {
			return x.refuse(answer.Status, answer.Message)
		}
	}
	defer x.telling(ctx, phaseDone, map[string]any{"status": answer.Status})()
	answer.Framing = http1.Framing{Kind: http1.Length, Length: int64(len(body))}
	x.s.out = append(answer.AppendHead(x.s.out[:0]), body...)
	if _, err := x.s.client.Write(x.s.out); err != nil {
		return false, errHangUp
	}
	return x.over(answer, sent), nil
}

// isOpen says whether the engine still holds a connection on which nothing is due.
func isOpen(c conn) bool {
	raw, err := c.SyscallConn()
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
