package serve

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// Vouched is what was found when it was looked who signed an image.
type Vouched struct {
	// Event says it, as plimsoll image verify records it; its subject's id is set to the
	// engine's. Its name is the one by which the image was looked at.
	Event trail.Event
	// Changed says that what is written down for the gate was otherwise before, whatever the
	// trail knows, and Stands that it is written down that the image is trusted, be it by
	// another look.
	Changed, Stands bool
	// Lasts is how long it holds, 0 for as long as the policy does.
	Lasts time.Duration
}

// vouched is what a trail has of who vouches for an image.
type vouched struct {
	name, manifest, refused string
	trusted                 bool
	by                      []string
}

func vouchedBy(e *trail.Event) vouched {
	trusted, _ := e.Detail["trusted"].(bool)
	return vouched{name: e.Subject.Name, manifest: e.Subject.Digest, refused: textIn(e.Detail, "refused"), trusted: trusted, by: textsIn(e.Detail, "by")}
}

// same says that another answer is the same, by whatever name.
func (v vouched) same(other vouched) bool {
	return v.trusted == other.trusted && v.refused == other.refused && slices.Equal(v.by, other.by)
}

// maxRunning is how many containers an event names that run from an image.
const maxRunning = 20

// beginVerifying has images verified: each that is pulled or tagged, or that a container is
// made of, and those again that were trusted, when the policy has changed. The trail may know
// of any number that were never in the engine.
func beginVerifying(ctx context.Context, c Config, p *picture) *chore[Vouched] {
	before := map[string]choreState[Vouched]{}
	for id, v := range p.vouches {
		if p.images[id] == nil {
			continue
		}
		before[id] = choreState[Vouched]{idle: true, last: Vouched{Event: trail.Event{Subject: trail.Subject{Name: v.name, Digest: v.manifest}}}}
	}
	v := &chore[Vouched]{doing: "verifying", do: c.Verify, data: c.Policy, lasts: func(v Vouched) time.Duration { return v.Lasts }}
	return v.begin(ctx, c, before)
}

// vouchedImage records who vouches for an image, where that is news. Of one that nobody does
// any more it names what runs from it.
func (w *watcher) vouchedImage(ctx context.Context, r outcome[Vouched]) error {
	e := r.found.Event
	before, known := w.picture.vouches[r.id]
	now := vouchedBy(&e)
	if known && now.same(before) && !r.found.Changed {
		return nil
	}
	e.Subject.ID = r.id
	e.Detail = maps.Clone(e.Detail) // the chore keeps that one
	if now.trusted {
		return w.record(ctx, e)
	}
	var running []string
	for _, c := range w.picture.containers {
		if c.running && c.digest == r.id {
			running = append(running, c.name)
		}
	}
	slices.Sort(running)
	if n := len(running); n > 0 {
		running = running[:min(n, maxRunning)]
		e.Detail["containers"], e.Detail["containers_count"] = running, n
	}
	if !r.found.Stands && (before.trusted || r.found.Changed) {
		e.Detail["withdrawn"] = true
		what := "the image " + trail.Clip(e.Subject.Name, maxName) + " is not trusted any more"
		if len(running) > 0 {
			what += ", and runs as " + strings.Join(running, ", ")
		}
		w.log("%s: %s", what, textIn(e.Detail, "why"))
	}
	return w.record(ctx, e)
}

// Lacking is an image that the gate refused because of what is not known of it: that it is
// trusted, or that it was scanned lately. Image is its id, or its name as the client gave it.
type Lacking struct {
	Image             string
	Verified, Scanned bool
}

// lacking has looked at what the gate refused for want of that, where the engine has it.
func (w *watcher) lacking(ctx context.Context) {
	for _, l := range w.Lacking() {
		i, err := w.inspectImage(ctx, l.Image)
		if err != nil {
			w.log("%v", err)
		}
		if err != nil || i == nil || i.ID == "" {
			continue
		}
		if l.Verified {
			w.verify.again(i.ID)
		}
		if l.Scanned {
			w.scan.again(i.ID)
		}
	}
}
