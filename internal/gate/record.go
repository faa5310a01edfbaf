package gate

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// Recorder is the trail. Append returns when the event is durable; a *trail.FullError
// says that there is no room but for what must always be recorded. Begin gives what waits
// for that.
type Recorder interface {
	Append(context.Context, trail.Event) (int64, error)
	Begin(trail.Event) (wait func(context.Context) (int64, error))
}

// Each request that changes something is two events of the same type: one before it is
// passed on, and one with what came of it, of which the detail "asked" is the number of
// the first. The detail "gate" tells them apart.
const (
	phaseAsked = "asked"
	// phaseGranted is of a request that passes by a grant, where that turned out after it
	// was recorded that it was asked.
	phaseGranted = "granted"
	phaseDone    = "done"
	phaseFailed  = "failed"
	// phaseUndone is of what the engine had done, and the gate took back.
	phaseUndone = "undone"
	// phaseRefused and phaseWould are of refusals: where nothing is refused, what would
	// have been.
	phaseRefused = "refused"
	phaseWould   = "would refuse"
)

// refuse is the type of the event that a request was refused, or would have been.
const refuse = "refuse"

// phase is the event of a phase of an exchange.
func (x *exchange) phase(phase string, more map[string]any) trail.Event {
	detail := map[string]any{"gate": phase, "method": x.req.Method, "path": x.path}
	if x.seq >= 0 {
		detail["asked"] = x.seq
	}
	if x.decision.Grants != nil {
		detail["grants"] = x.decision.Grants
	}
	if x.filled != nil && x.enforces() {
		detail["set"] = x.filled
	} else if x.filled != nil {
		detail["would_set"] = x.filled
	}
	if x.decision.Unknown != nil {
		detail["unknown"] = x.decision.Unknown
	}
	if x.making != nil && phase == phaseDone {
		detail["made"] = x.making
	}
	maps.Copy(detail, more)
	return trail.Event{Type: x.event, Actor: x.who.actor(), Subject: x.subject, Declared: x.declared, Detail: detail}
}

// recordRefusal records that a request was refused, or would have been.
func (g *Gate) recordRefusal(ctx context.Context, x *exchange, only string) error {
	detail := map[string]any{"gate": only, "method": x.req.Method, "path": x.path, "class": x.class(), "objections": x.decision.Objections}
	if err := x.settled(ctx); err != nil {
		return err
	}
	if x.seq >= 0 {
		detail["asked"] = x.seq
	}
	_, err := g.trail.Append(ctx, trail.Event{Type: refuse, Actor: x.who.actor(), Subject: x.subject, Declared: x.declared, Detail: detail})
	return err
}

// counts are what is counted and not recorded.
type counts [numCounts]atomic.Int64

type counted int

const (
	looked        counted = iota // requests that only look
	refusedSyntax                // what was no request
	numCounts
)

// countEvent is the type of the event that tells what was counted since the one before.
const countEvent = "count"

// countEvery is how often that is, and once more when the gate ends.
const countEvery = time.Hour

// recordCounts records what was counted since the last time.
func (g *Gate) recordCounts(ctx context.Context) {
	detail := map[string]any{"looked": g.counts[looked].Swap(0), "no_request": g.counts[refusedSyntax].Swap(0)}
	if _, err := g.trail.Append(ctx, trail.Event{Type: countEvent, Subject: trail.Subject{Kind: "engine"}, Detail: detail}); err != nil {
		g.log("recording what was counted: %v", err)
	}
}

func (g *Gate) count(c counted) { g.counts[c].Add(1) }
