package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/plimsoll/plimsoll/internal/http1"
	"github.com/plimsoll/plimsoll/internal/relay"
	"github.com/plimsoll/plimsoll/internal/strict"
)

const (
	// maxBody bounds a body that is read whole; those of the largest stacks have some
	// hundred KiB.
	maxBody = 16 << 20
	// maxAnswer bounds what the engine says of one service.
	maxAnswer = 16 << 20
)

// proxy passes on what a program asks of the engine.
type proxy struct {
	c        *Config
	requests atomic.Int64
	made     [serviceUpdate + 1]atomic.Int64 // by making
}

// serve passes the requests of one connection on until either side ends it.
func (p *proxy) serve(ctx context.Context, c relay.Conn) {
	s := relay.New(c, p.dial, p.c.Now)
	defer s.Close()
	for {
		req, err := http1.ReadRequest(s.In)
		if bad := new(http1.Error); errors.As(err, &bad) {
			_ = s.Reply(nil, bad.Status, "plimsoll deploy: "+bad.Error(), nil)
			s.Linger()
		}
		if err != nil {
			return
		}
		p.requests.Add(1)
		if !p.exchange(ctx, s, req) {
			return
		}
	}
}

func (p *proxy) dial(ctx context.Context) (relay.Conn, error) { return p.c.Dialer.Dial(ctx) }

// exchange takes a request to the engine, and the answer back. It says whether the
// connection may be used again.
func (p *proxy) exchange(ctx context.Context, s *relay.Session, req *http1.Request) (again bool) {
	out := relay.Request{Request: *req, Once: !safe(req)}
	what := makes(req.Method, req.Path)
	if what != nothing && !req.Framing.Empty() {
		body, again, ok := p.body(ctx, s, req, what)
		if !ok {
			return again
		}
		out.Body, out.ExpectContinue = body, false
	}
	out.Target = p.c.Dialer.Prefix + out.Target
	if p.c.Dialer.Host != "" {
		out.Fields = append(http1.Fields(nil), req.Fields...)
		out.Fields.Set("Host", p.c.Dialer.Host)
	}
	answer, client, err := s.Send(ctx, out)
	if err != nil {
		return p.refuse(s, req, out.Body != nil, http.StatusBadGateway, fmt.Sprintf("can't reach the engine at %s: %v", p.c.At, err))
	}
	if answer.Status < 300 && what != nothing {
		p.made[what].Add(1)
	}
	if relay.IsTunnel(answer, true) {
		client.Stop()
		_ = s.Tunnel(answer) // both sides are closed, whichever way it ended
		return false
	}
	err = s.Pass(answer)
	if err == nil && relay.Over(req, answer, true) {
		client.Passed() // the answer may be there before all of the body is sent
	}
	sent := client.Stop()
	if err != nil {
		return false
	}
	if !sent {
		s.Linger()
	}
	return relay.Over(req, answer, sent)
}

// safe says whether a request may be asked twice.
func safe(req *http1.Request) bool {
	return (req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodOptions) && len(req.Upgrade) == 0
}

// body reads a body, and puts the declaration into it. Where that is not ok, the client has
// its answer.
func (p *proxy) body(ctx context.Context, s *relay.Session, req *http1.Request, what making) (body []byte, again, ok bool) {
	if err := s.Invite(req); err != nil {
		return nil, false, false
	}
	data, err := http1.ReadBody(s.In, req.Framing, maxBody)
	if bad := new(http1.Error); errors.As(err, &bad) {
		return nil, p.refuse(s, req, false, bad.Status, bad.Error()), false
	}
	if err != nil {
		return nil, false, false
	}
	if len(data) == 0 {
		return []byte{}, false, true // the engine says what it wants
	}
	var now engineNow
	if what == serviceUpdate {
		now = p.now(ctx, req)
	}
	if body, err = onto(what, data, p.c.Saying, now); err != nil {
		return nil, p.refuse(s, req, true, http.StatusBadRequest, fmt.Sprintf("the declaration can't be put into %s %s: %v", req.Method, req.Path, err)), false
	}
	return body, false, true
}

// refuse answers in the engine's place. A body that was not read ends the connection.
func (p *proxy) refuse(s *relay.Session, req *http1.Request, read bool, status int, message string) (again bool) {
	to := req
	if !read && !req.Framing.Empty() {
		to = nil
	}
	if err := s.Reply(to, status, "plimsoll deploy: "+message, nil); err != nil {
		return false
	}
	if to == nil {
		s.Linger()
		return false
	}
	return req.KeepAlive
}

// now is what an update is compared with. Where the service cannot be looked at, its
// containers are taken for new ones.
func (p *proxy) now(ctx context.Context, update *http1.Request) engineNow {
	at, found := strings.CutSuffix(update.Path, "/update")
	if !found {
		return engineNow{}
	}
	return engineNow{service: p.look(ctx, at), network: func(name string) string {
		return p.look(ctx, "/networks/"+url.PathEscape(name)).Get("Id").Text()
	}}
}

// look asks the engine what it has at a path; nil is that it does not say.
func (p *proxy) look(ctx context.Context, at string) (tree *strict.Value) {
	host := cmp.Or(p.c.Dialer.Host, "plimsoll")
	err := relay.Ask(ctx, p.dial, http.MethodGet, host, p.c.Dialer.Prefix+at, func(status int, body io.Reader) error {
		if status != http.StatusOK {
			return nil
		}
		data, err := io.ReadAll(io.LimitReader(body, maxAnswer))
		if err == nil {
			tree, err = strict.Tree("", data)
		}
		return err
	})
	if err != nil {
		return nil
	}
	return tree
}
