package gate

import (
	"context"
	"errors"
	"net/http"

	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/http1"
	"github.com/plimsoll/plimsoll/internal/relay"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// forward passes the request on and brings back the answer.
func (x *exchange) forward(ctx context.Context) (again bool, err error) {
	x.passing = true
	over := x.overhear()
	if over != nil {
		defer func() { x.s.Client = over.Conn }()
	}
	answer, client, err := x.s.Send(ctx, relay.Request{Request: *x.req, Body: x.body, Once: x.mutates(), Await: x.seq >= 0})
	if x.mutates() && x.subject.Kind == "image" {
		x.g.around.images.forget()
	}
	if half := new(relay.BodyError); errors.As(err, &half) {
		x.told(ctx, phaseFailed, map[string]any{"error": err.Error()})
		return x.refuse(http.StatusBadRequest, err.Error())
	}
	if err != nil {
		x.g.around.stale()
		x.g.says.Store(nil)
		x.told(ctx, phaseFailed, map[string]any{"error": err.Error()})
		return x.refuse(http.StatusBadGateway, unreachable(err))
	}
	x.g.learn(answer)
	more := map[string]any{"status": answer.Status}
	switch {
	case relay.IsTunnel(answer, x.match.Endpoint != nil && x.match.Endpoint.Answer == api.Hijack):
		client.Stop()
		x.told(ctx, phaseDone, more)
		if err := x.s.Tunnel(answer); err != nil {
			return false, errHangUp
		}
		return false, nil
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
	switch {
	case x.pinned != "" && answer.Status >= 400:
		err = x.passNamed(answer)
	case x.negotiates() && api.TooNew(answer.Fields.Get(versionField)):
		err = x.passVersion(answer)
	case over != nil && answer.Status == http.StatusOK:
		err = over.pass(x, answer)
	default:
		err = x.s.Pass(answer)
	}
	if err == nil && relay.Over(x.req, answer, true) {
		// It was early. The engine takes what is left of a body that is not too large.
		client.Passed()
	}
	sent := client.Stop()
	if long {
		x.told(ctx, phase, more)
	}
	if err != nil {
		return false, errHangUp
	}
	if !sent {
		x.s.Linger()
	}
	return relay.Over(x.req, answer, sent), nil
}

// learn keeps what the engine says of itself in every answer, for the gate's own.
func (g *Gate) learn(answer *http1.Response) {
	if g.says.Load() != nil {
		return
	}
	var fields http1.Fields
	for _, name := range []string{versionField, "Content-Type", "Docker-Experimental", "Ostype", "Server"} {
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

// versionField is the version of the API that an engine says that it speaks.
const versionField = "Api-Version"

// negotiates says whether clients learn from the answer which version they can speak.
func (x *exchange) negotiates() bool {
	return x.enforces() && x.match.Endpoint != nil && (x.match.Endpoint.Pattern == "/_ping" || x.match.Endpoint.Pattern == "/version")
}

// passVersion has clients of an engine that is newer than this gate speak the version that
// both know. What they would ask for in another one is refused.
func (x *exchange) passVersion(answer *http1.Response) error {
	answer.Fields.Set(versionField, api.Newest.String())
	if x.match.Endpoint.Pattern == "/_ping" {
		answer.Head = answer.AppendHead(nil)
		return x.s.Pass(answer)
	}
	body, err := x.s.ReadBody(answer, maxAnswer)
	if err != nil {
		return err
	}
	tree, err := strict.Tree("the engine's answer", body)
	if err != nil {
		return err
	}
	if err := put(tree, []string{"ApiVersion"}, api.Newest.String()); err != nil {
		return err
	}
	return x.s.PassAs(answer, api.Encode(tree))
}

// passNamed gives the client an error that may speak of a container by its id only because
// the gate does.
func (x *exchange) passNamed(answer *http1.Response) error {
	if answer.Framing.Empty() { // as of HEAD
		return x.s.Pass(answer)
	}
	body, err := x.s.ReadBody(answer, maxAnswer)
	if err != nil {
		return err
	}
	return x.s.PassAs(answer, x.asNamed(body))
}

// checked judges what the engine has made before the client learns of it.
func (x *exchange) checked(ctx context.Context, answer *http1.Response, client *relay.Attention) (bool, error) {
	body, err := x.s.ReadBody(answer, maxAnswer)
	sent := client.Stop()
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
	if body, err = x.warned(body); err != nil {
		return false, errHangUp
	}
	if err := x.s.PassAs(answer, body); err != nil {
		return false, errHangUp
	}
	return relay.Over(x.req, answer, sent), nil
}
