package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/http1"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// exchange is one request with its answer.
type exchange struct {
	s   *session
	g   *Gate
	p   *Policy // as it was when the request came
	who *identity
	req *http1.Request

	// match is what the request asks for; its Endpoint is nil where that is not known,
	// which only passes where nothing is refused.
	match api.Match
	path  string // without the query, for the trail
	// parsed is the body of a JSON request, nil where it has none, and body the bytes that
	// are passed on instead of the client's; nil is that those are, as they come.
	parsed any
	tree   *strict.Value // what body is of
	body   []byte
	// filled are the options that a new container gets by the policy's defaults, or would
	// get where nothing is changed.
	filled []string
	// pinned is the id that the request names instead of what the client named, "" where it
	// does not.
	pinned, named string

	event    string // of the trail
	subject  trail.Subject
	declared *trail.Declared
	seq      int64 // of the event that it was asked, or -1
	// begun waits for that number, once it began to be recorded.
	begun func(context.Context) (int64, error)

	// making is which images the request made, for the event that it is done.
	making map[string]any

	decision decision
	spec     *workload.Spec // of a container that is there, once it was judged
	// first is done once the request is recorded, and before it is passed on.
	first func(context.Context, *exchange) (*decision, error)
	// passing says that the body began to be passed on.
	passing bool
	// absent is what the engine would say of what is not there.
	absent *api.Refusal
	// malformed is a request that is refused for its form.
	malformed *api.Refusal
	// check judges what the engine has made of the request, by its answer, before the
	// client learns of it. What it objects to it takes back, unless that passes.
	check func(ctx context.Context, answer *http1.Response, body []byte) (*decision, error)
}

// errHangUp ends a session without a word: one side is gone.
var errHangUp = errors.New("the connection is of no more use")

// exchange takes a request from the client to the engine, and the answer back. It says
// whether the connection may be used again.
func (s *session) exchange(ctx context.Context, req *http1.Request) (again bool, err error) {
	x := &exchange{s: s, g: s.g, p: s.g.policy.Load(), who: s.who, req: req, path: trail.Clip(req.Path, maxPath), seq: -1}
	// The order is the design: nothing is passed on before it was judged and recorded.
	if err := x.find(); err != nil {
		return false, err
	}
	if x.malformed == nil {
		if err := x.judgeFor(ctx); err != nil && x.enforces() {
			x.told(ctx, phaseFailed, map[string]any{"error": err.Error()})
			return x.fail(err)
		} else if errors.Is(err, errHangUp) {
			x.told(ctx, phaseFailed, map[string]any{"error": err.Error()})
			return false, err
		} else if err != nil {
			x.g.log("%s %s: %v", x.req.Method, x.path, err)
		}
	}
	if message := x.refusal(ctx); message != nil {
		return x.refuse(message.Status, message.Message)
	}
	if x.absent != nil && x.enforces() {
		return x.refuse(x.absent.Status, x.absent.Message)
	}
	if x.mutates() {
		if err := x.ask(ctx); err != nil {
			return x.fail(err)
		}
		if refused, again, err := x.prepare(ctx); refused || err != nil {
			return again, err
		}
	} else {
		x.g.count(looked)
	}
	return x.forward(ctx)
}

// mutates says whether the request is recorded before it is passed on.
func (x *exchange) mutates() bool {
	return x.match.Endpoint == nil || x.match.Endpoint.Effect == api.Mutate
}

func (x *exchange) class() string {
	if x.match.Endpoint == nil {
		return "unknown"
	}
	return string(x.match.Endpoint.Class)
}

// enforces says whether a refusal is one.
func (x *exchange) enforces() bool { return x.g.mode(x.p) == Enforce }

// find looks up what is asked for, and reads a JSON body.
func (x *exchange) find() error {
	match, refusal := api.Find(x.req.Method, x.req.Target)
	if refusal == nil {
		refusal = match.Endpoint.Takes(x.req.Fields.Get("Content-Type"), x.req.Framing.Empty())
	}
	if refusal == nil {
		refusal = upgrade(match.Endpoint, x.req.Upgrade)
	}
	if refusal != nil {
		x.malformed = refusal
		x.event, x.subject = "request", trail.Subject{Kind: "engine"}
		return nil
	}
	x.match = match
	x.event, x.subject.Kind = eventOf(match.Endpoint)
	switch match.Endpoint.Body.Kind {
	case api.JSON, api.None:
		return x.readBody()
	case api.Raw:
		// dockerode sends the query once more. The engine does not read it, and takes for
		// input what comes behind the head alone.
		if x.req.Framing.Kind == http1.Length {
			return x.readBody()
		}
	}
	return nil
}

// upgrade refuses protocols that a connection does not become at an endpoint. An engine
// might know more of them than are looked for here, such as HTTP/2.
func upgrade(e *api.Endpoint, offered []string) *api.Refusal {
	if len(offered) == 0 {
		return nil
	}
	if e.Answer != api.Hijack {
		return &api.Refusal{Status: http.StatusBadRequest, Message: "nothing is upgraded here: leave out the header Upgrade"}
	}
	becomes := "tcp"
	switch {
	case e.Class == api.BuildKit:
		becomes = "h2c"
	case e.Method == http.MethodGet:
		becomes = "websocket"
	}
	if len(offered) != 1 || !strings.EqualFold(offered[0], becomes) {
		return &api.Refusal{Status: http.StatusBadRequest, Message: "the header Upgrade must be " + becomes + " here, or be left out"}
	}
	return nil
}

// readBody reads a body that is small and decodes it strictly.
func (x *exchange) readBody() error {
	if x.req.Framing.Empty() && x.match.Endpoint.Body.Kind != api.JSON {
		return nil
	}
	if err := x.s.Invite(x.req); err != nil {
		return errHangUp
	}
	data, err := http1.ReadBody(x.s.In, x.req.Framing, maxBody)
	if errors.Is(err, http1.ErrTooLarge) && x.req.Framing.Kind == http1.Length { // and nothing of it was read
		x.malformed = &api.Refusal{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the body has more than the %d MiB that a request of this kind may have", maxBody>>20)}
		return nil
	}
	if err != nil {
		return x.unreadable(err)
	}
	tree, parsed, refusal := api.Decode(x.match.Endpoint, x.match.Version, data)
	switch {
	case refusal != nil:
		x.malformed, x.body = refusal, data
	case tree == nil:
		x.parsed, x.body = parsed, []byte{}
	default:
		x.parsed, x.tree, x.body = parsed, tree, api.Encode(tree)
	}
	return nil
}

// unreadable answers a body that is none.
func (x *exchange) unreadable(err error) error {
	x.s.badRequest(err)
	return errHangUp
}

// judgeFor has the policy decide, while the client waits for it.
func (x *exchange) judgeFor(ctx context.Context) error {
	if x.match.Endpoint.Effect != api.Mutate {
		return x.judge(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := x.s.Attend(func() { cancel(errHangUp) })
	err := x.judge(ctx)
	client.Stop()
	if context.Cause(ctx) == errHangUp {
		return errHangUp
	}
	return err
}

// judge has the policy decide.
func (x *exchange) judge(ctx context.Context) error {
	if x.mutates() && x.who.unknown {
		x.decision.object("nothing is changed for "+x.who.String(), "call it as a user of this host")
	}
	x.p.byClass(x)
	x.p.read(x)
	if judge := judges[x.match.Endpoint.Judge]; judge != nil {
		return judge(ctx, x)
	}
	x.subject.Name = trail.Clip(cmp.Or(x.match.Var("id"), x.match.Var("name")), maxName)
	return nil
}

// refusal records what is refused, and gives what is to be answered: nil where the request
// goes on.
func (x *exchange) refusal(ctx context.Context) *api.Refusal {
	answer := x.malformed
	switch {
	case answer != nil:
		x.decision.object(answer.Message, "")
	case x.decision.refused():
		answer = &api.Refusal{Status: http.StatusForbidden, Message: x.decision.message()}
	default:
		return nil
	}
	phase := phaseWould
	if x.enforces() {
		phase = phaseRefused
	}
	if err := x.g.recordRefusal(ctx, x, phase); err != nil {
		x.g.log("recording a refusal: %v", err)
	}
	if phase == phaseWould {
		return nil
	}
	return answer
}

// refuse answers, and says whether the connection may be used again: not where the client
// may still be sending.
func (x *exchange) refuse(status int, message string) (again bool, err error) {
	to := x.req
	if x.body == nil && !to.Framing.Empty() && (x.passing || !x.s.Drain(to)) {
		to = nil
	}
	if err := x.s.reply(to, status, message); err != nil {
		return false, errHangUp
	}
	if to == nil {
		x.s.Linger()
		return false, nil
	}
	return to.KeepAlive, nil
}

// fail answers a request that could not be judged or recorded.
func (x *exchange) fail(err error) (again bool, _ error) {
	if errors.Is(err, errHangUp) {
		return false, err
	}
	x.g.log("%s %s: %v", x.req.Method, x.path, err)
	if far := new(engine.Error); errors.As(err, &far) && far.Status == 0 {
		return x.refuse(http.StatusBadGateway, unreachable(err))
	}
	return x.refuse(http.StatusServiceUnavailable, "plimsoll can't decide on this: "+err.Error())
}

// begin begins to record that the request was made, which takes as long as judging it.
func (x *exchange) begin() {
	x.begun = x.g.trail.Begin(x.phase(phaseAsked, nil))
	// Who records has a processor at once, and does not wait for another to wake.
	runtime.Gosched()
}

// settled waits for the event that the request was made, where it was begun.
func (x *exchange) settled(ctx context.Context) error {
	if x.begun == nil {
		return nil
	}
	seq, err := x.begun(context.WithoutCancel(ctx)) // or nobody would know that it was
	x.begun = nil
	if err == nil {
		x.seq = seq
	}
	return err
}

// ask records that the request was made. Nothing is changed that is not recorded, but
// root can always end and remove.
func (x *exchange) ask(ctx context.Context) error {
	// Before judging, and known by now where it was told what would be refused.
	early := x.begun != nil || x.seq >= 0
	if !early {
		x.begin()
	}
	err := x.settled(ctx)
	if err == nil && early && x.decision.Grants != nil { // which came of judging
		_, err = x.g.trail.Append(ctx, x.phase(phaseGranted, nil))
	}
	switch {
	case err == nil:
		return nil
	case !x.enforces():
		x.g.log("recording %s %s: %v", x.req.Method, x.path, err)
		return nil
	case x.match.Endpoint != nil && x.match.Endpoint.Judge == api.Ending && x.who.isRoot():
		x.g.log("recording %s %s, which passes all the same: %v", x.req.Method, x.path, err)
		return nil
	}
	return fmt.Errorf("it can't be recorded: %w", err)
}

// prepare does what goes before the request, and refuses it where that turns out worse.
func (x *exchange) prepare(ctx context.Context) (refused, again bool, err error) {
	if x.first == nil || !x.enforces() {
		return false, false, nil
	}
	d, err := x.first(ctx, x)
	if err != nil {
		x.told(ctx, phaseFailed, map[string]any{"error": err.Error()})
		again, err = x.fail(err)
		return true, again, err
	}
	x.decision = *d
	if !d.refused() {
		return false, false, nil
	}
	x.told(ctx, phaseUndone, nil)
	answer := x.refusal(ctx)
	again, err = x.refuse(answer.Status, answer.Message)
	return true, again, err
}

// told records what came of it.
func (x *exchange) told(ctx context.Context, phase string, more map[string]any) {
	x.telling(ctx, phase, more)()
}

// telling begins to record what came of it, and gives what waits for that: a client need
// not.
func (x *exchange) telling(ctx context.Context, phase string, more map[string]any) (wait func()) {
	if err := x.settled(ctx); err != nil {
		x.g.log("recording %s %s: %v", x.req.Method, x.path, err)
	}
	if x.seq < 0 {
		return func() {}
	}
	recorded := x.g.trail.Begin(x.phase(phase, more))
	return func() {
		if _, err := recorded(ctx); err != nil {
			x.g.log("recording what came of %s %s: %v", x.req.Method, x.path, err)
		}
	}
}
