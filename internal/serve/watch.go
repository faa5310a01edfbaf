package serve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// Config says which engine is watched, and where what happens goes.
type Config struct {
	// Client, Record and Now are required.
	Client *engine.Client
	// Record makes an event durable; trail.Log.Append is one. It is called by one
	// goroutine. After a *trail.FullError the same event is tried again; one that is too
	// large is said to be so; any other error ends Watch.
	Record func(context.Context, trail.Event) (int64, error)
	Now    func() time.Time
	// Who gives an event its actor, where that is known; Asked.Name does. It is called by
	// the goroutine that records. nil: nobody is known.
	Who func(context.Context, *trail.Event)
	// Known is what was recorded before; nil is nothing.
	Known *Known
	// Judge judges containers, many at a time, and gives the findings of each that it
	// found. It is called by one goroutine of its own. nil: none is judged.
	Judge func(ctx context.Context, ids []string) (map[string][]finding.Finding, error)
	// Scan looks into an image, by its id, for known flaws and secrets; the error is ErrGone
	// where it is not there any more. Data says what is known of flaws: it changes when that
	// does, and is "" where nothing is. Both are called by one goroutine of their own. nil:
	// none is scanned.
	Scan func(ctx context.Context, id string) (Scanned, error)
	Data func() string
	// Verify looks who signed an image, by its id, and writes down for the gate whether it is
	// trusted: last is what was found before, and idle says that nobody uses the image, so that
	// it is looked at only where it is written down that it is trusted. The error is ErrGone or
	// ErrNothing, or says that it can't be told. Policy says by what that is decided: it changes
	// when that does, and is "" where there is none. Both are called by one goroutine of their
	// own. nil: none is verified.
	Verify func(ctx context.Context, id string, last Vouched, idle bool) (Vouched, error)
	Policy func() string
	// Lacking gives what the gate refused since it was asked last; Asked.Lacking does. It is
	// called by the goroutine that records. nil: nothing.
	Lacking func() []Lacking
	// Log is told what a person who looks for a fault should know. Texts of the engine
	// in it may hold anything. It may be called by several goroutines. nil: it is not
	// told.
	Log func(format string, args ...any)

	// Of tests: times, of which zero are the ordinary ones, and what is called when the
	// lists of a new connection have been compared.
	pace     pace
	compared func()
}

// pace are the watcher's times and bounds.
type pace struct {
	first  time.Duration // that a new connection may be silent
	settle time.Duration // for events that are under way
	retry  time.Duration // the shortest wait between two attempts
	most   time.Duration // the longest
	full   time.Duration // between two attempts to record on a full disk, at first
	judge  time.Duration // in which containers to judge are gathered
	scan   time.Duration // between two looks at what is known of flaws, and at the policy
	rest   time.Duration // before an image is looked at anew for somebody, at first
	gate   time.Duration // between two looks at what the gate refused
	queue  int
}

var ordinary = pace{first: 250 * time.Millisecond, settle: 100 * time.Millisecond, retry: 100 * time.Millisecond, most: 30 * time.Second,
	full: 500 * time.Millisecond, judge: 200 * time.Millisecond, scan: time.Minute, rest: 2 * time.Second, gate: time.Second, queue: maxQueue}

// watcher follows one engine. All of it belongs to the goroutine of Watch, but for judge,
// scan and verify, which look after themselves.
type watcher struct {
	Config
	picture *picture
	seen    seen
	judge   *judge
	scan    *chore[Scanned]
	verify  *chore[Vouched]
	gate    <-chan time.Time // when to look at what the gate refused

	stream *stream // of the connection
	// since is what counts of what the engine remembers at the first comparison: what
	// happened after it. After that all that was not seen counts, whatever its time: a
	// clock may be set back.
	since time.Time
	// whole is true once the lists were compared.
	whole bool
	// before is when the connection was made, by the engine's clock.
	before time.Time
	// engine is the one that was met last.
	engine trail.Subject
	met    bool // since Watch began
	lost   bool // and said so
	lostAt time.Time
	said   string // why it was away, as the log has it
}

// Watch records what happens at an engine until ctx is done, whose error it then gives,
// or until what it says cannot be recorded any more: trail.ErrBroken, for one. An engine
// that is away is waited for.
func Watch(ctx context.Context, c Config) error {
	if c.Client == nil || c.Record == nil || c.Now == nil {
		return errors.New("watching an engine: Client, Record and Now are required")
	}
	if c.pace == (pace{}) {
		c.pace = ordinary
	}
	w := &watcher{Config: c, picture: pictureOf(c.Known)}
	if c.Known != nil {
		w.since = c.Known.Last
	}
	w.judge = beginJudging(ctx, c)
	defer w.judge.close()
	w.scan = beginScanning(ctx, c, w.picture.scans)
	defer w.scan.close()
	w.verify = beginVerifying(ctx, c, w.picture)
	defer w.verify.close()
	if c.Lacking != nil {
		ticker := time.NewTicker(c.pace.gate)
		defer ticker.Stop()
		w.gate = ticker.C
	}
	wait := c.pace.retry
	for {
		good, err := w.connection(ctx)
		var away *awayError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &away):
			return fmt.Errorf("watching the engine: %w", err)
		}
		if good {
			wait = w.pace.retry
		} else if err := w.lose(ctx, away); err != nil {
			return fmt.Errorf("watching the engine: %w", err)
		}
		if err := w.pause(ctx, wait/2+rand.N(wait/2+1)); err != nil {
			return err
		}
		wait = min(2*wait, w.pace.most)
	}
}

// awayError is that of an engine that cannot be followed for now, which is no fault of
// the trail's.
type awayError struct{ err error }

func (e *awayError) Error() string { return e.err.Error() }
func (e *awayError) Unwrap() error { return e.err }

// away is nil for nil.
func away(doing string, err error) error {
	if err == nil {
		return nil
	}
	return &awayError{fmt.Errorf("%s: %w", doing, err)}
}

func (w *watcher) log(format string, args ...any) {
	if w.Log != nil {
		w.Log(format, args...)
	}
}

// pause waits, and records meanwhile what comes of judging and looking at images.
func (w *watcher) pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case j := <-w.judge.results:
			if err := w.judged(ctx, j); err != nil {
				return err
			}
		case r := <-w.scan.results:
			if err := w.scannedImage(ctx, r); err != nil {
				return err
			}
		case r := <-w.verify.results:
			if err := w.vouchedImage(ctx, r); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connection follows the engine on one connection. Good is one that was followed, or on
// which at least something new came. The error is never nil.
func (w *watcher) connection(ctx context.Context) (good bool, err error) {
	w.stream = follow(ctx, w.Client, w.pace.queue, w.log)
	defer w.stream.close()
	<-w.stream.opened // which is bounded by how long the engine may take to answer
	timer := time.NewTimer(w.pace.first)
	defer timer.Stop()
	select {
	case <-w.stream.first:
	case <-timer.C: // an engine that remembers nothing is silent
	}
	// Of an engine that is gone again already nothing is said.
	if err := w.stream.failed(); err != nil {
		return false, away("following the engine's events", err)
	}
	m, err := w.meet(ctx)
	if err != nil {
		return false, away("asking the engine for itself", err)
	}
	if err := w.greet(ctx, m); err != nil {
		return false, err
	}
	if good, err = w.drain(ctx); err != nil {
		return good, err
	}
	if err := w.reconcile(ctx); err != nil {
		return good, err
	}
	for _, c := range w.picture.containers {
		c.now.anew = false
		if c.running {
			w.scan.want(c.digest)
		}
		w.verify.want(c.digest)
	}
	for id := range w.picture.images {
		w.verify.know(id)
	}
	good, w.said = true, ""
	if w.compared != nil {
		w.compared()
	}
	for {
		if _, err := w.drain(ctx); err != nil {
			return good, err
		}
		select {
		case <-w.stream.wake:
		case j := <-w.judge.results:
			if err := w.judged(ctx, j); err != nil {
				return good, err
			}
		case r := <-w.scan.results:
			if err := w.scannedImage(ctx, r); err != nil {
				return good, err
			}
		case r := <-w.verify.results:
			if err := w.vouchedImage(ctx, r); err != nil {
				return good, err
			}
		case <-w.gate:
			w.lacking(ctx)
		case <-ctx.Done():
			return good, ctx.Err()
		}
	}
}

// drain handles the events that wait. After a gap it looks at everything again.
func (w *watcher) drain(ctx context.Context) (any bool, err error) {
	for {
		e, gap, end := w.stream.next()
		switch {
		case e != nil:
			fresh, err := w.handle(ctx, e)
			any = any || fresh
			if err != nil {
				return any, err
			}
		case gap:
			w.log("more happened than could be recorded in time; what there is now is looked at")
			if err := w.reconcile(ctx); err != nil {
				return any, err
			}
		default:
			return any, away("following the engine's events", end)
		}
	}
}

// greet records that the engine was met, where that is news.
func (w *watcher) greet(ctx context.Context, m *meeting) error {
	w.before = engineTime(m.SystemTime)
	if w.before.IsZero() {
		w.before = w.Now().UTC()
	}
	if !w.met && w.since.IsZero() {
		w.since = w.before // what is there is found; how it came there is not asked
	}
	anew, err := w.anew(ctx)
	if err != nil {
		return away("asking the engine for what it remembers", err)
	}
	w.engine = trail.Subject{Kind: "engine", ID: trail.Clip(m.ID, maxName), Name: trail.Clip(m.Name, maxName)}
	d := detail{"engine_id": w.engine.ID, "version": trail.Clip(m.ServerVersion, maxName)}
	switch {
	case !w.met:
		d["state"] = "connected"
	case w.lost || anew:
		if !w.lost { // it was away for less than an attempt
			if err := w.sayLost(ctx, "the engine began anew"); err != nil {
				return err
			}
		}
		d["state"], d["lost_for_s"] = "again", int64(w.Now().Sub(w.lostAt).Round(time.Second)/time.Second)
		d.flag("restarted", anew)
	default:
		return nil // the stream was cut, and all that happened is remembered
	}
	if err := w.record(ctx, trail.Event{Type: trail.Engine, Subject: w.engine, Detail: d}); err != nil {
		return err
	}
	w.met, w.lost = true, false
	if anew {
		for _, c := range w.picture.containers {
			c.now.anew = true
		}
	}
	return nil
}

// anew says that the engine was started since its last event was handled: it remembers
// fewer events than it could, and none that was seen. That a connection was lost does not
// tell it, and nor does one that was not: a socket may be the service manager's. It is
// asked for all of them at once, for a stream does not say where what it remembers ends.
func (w *watcher) anew(ctx context.Context) (bool, error) {
	if len(w.seen.order) == 0 {
		return false, nil
	}
	known, n := false, 0
	w.stream.waiting(func(e *event) { known = known || w.seen.has(e.mark) }) // those after w.before, where a clock was set back
	for raw, err := range w.Client.Remembered(ctx, w.before) {
		if err != nil {
			return false, err
		}
		n++
		if e, err := readEvent(raw); err == nil {
			known = known || w.seen.has(e.mark)
		}
	}
	return !known && n < remembered, nil
}

// lose records that the engine cannot be followed, once.
func (w *watcher) lose(ctx context.Context, why *awayError) error {
	if said := why.Error(); said != w.said {
		w.said = said
		w.log("%s", said)
	}
	if w.lost || !w.met {
		return nil
	}
	return w.sayLost(ctx, why.Error())
}

func (w *watcher) sayLost(ctx context.Context, why string) error {
	w.lost, w.lostAt = true, w.Now()
	return w.record(ctx, trail.Event{Type: trail.Engine, Subject: w.engine,
		Detail: detail{"state": "lost", "engine_id": w.engine.ID, "why": text(why)}})
}
