package serve

import (
	"context"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
)

const (
	// maxQueue and maxQueueBytes bound what waits to be recorded. A disk that is full
	// for a minute on a busy host makes some thousands.
	maxQueue      = 1 << 16
	maxQueueBytes = 32 << 20
	// remembered is how many events an engine remembers (moby: daemon/events).
	remembered = 256
)

// stream is the engine's events as they come, on one connection.
type stream struct {
	limit int // of events that wait
	wake  chan struct{}
	// opened is closed when the engine listens, or the end came; first with the first event,
	// or the end.
	opened, first chan struct{}
	ended         chan struct{}
	stop          context.CancelFunc

	mu    sync.Mutex
	queue []*event // owned by mu, as all below
	bytes int
	// gap says that events were thrown away, and are until the queue is empty.
	gap bool
	err error // why there is no more, once there is not
}

// follow begins to read events. Whoever calls it calls close.
func follow(ctx context.Context, c *engine.Client, limit int, log func(string, ...any)) *stream {
	ctx, stop := context.WithCancel(ctx)
	s := &stream{limit: limit, wake: make(chan struct{}, 1), opened: make(chan struct{}), first: make(chan struct{}), ended: make(chan struct{}), stop: stop}
	go func() {
		defer close(s.ended)
		listens, begun := sync.OnceFunc(func() { close(s.opened) }), sync.OnceFunc(func() { close(s.first) })
		defer begun()
		defer listens()
		// All that it remembers: the first of them says that the engine listens, too.
		for raw, err := range c.Events(ctx, time.Unix(1, 0)) {
			if err != nil {
				s.end(err)
				return
			}
			if raw == nil {
				listens()
				continue
			}
			e, err := readEvent(raw)
			if err != nil {
				log("an event of the engine is left out: %v", err)
				continue
			}
			s.put(e)
			begun()
		}
	}()
	return s
}

func (s *stream) put(e *event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gap || len(s.queue) >= s.limit || s.bytes+e.size > maxQueueBytes && len(s.queue) > 0 {
		s.gap = true
		return
	}
	s.queue, s.bytes = append(s.queue, e), s.bytes+e.size
	s.poke()
}

func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.poke()
}

func (s *stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next takes the event that waits longest. Without one, gap says that some were thrown
// away before now, and err why there will be none.
func (s *stream) next() (e *event, gap bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.queue, gap, s.gap = nil, s.gap, false
		return nil, gap, s.err
	}
	e = s.queue[0]
	s.queue[0] = nil
	s.queue, s.bytes = s.queue[1:], s.bytes-e.size
	return e, false, nil
}

// failed is why a stream ended that brought nothing.
func (s *stream) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 || s.gap {
		return nil
	}
	return s.err
}

// waiting gives what waits without taking it.
func (s *stream) waiting(each func(*event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.queue {
		each(e)
	}
}

func (s *stream) close() {
	s.stop()
	<-s.ended
}

// reopen puts back a gap that was taken without having been mended, and wakes whoever
// waits, for what else next gave was not used either.
func (s *stream) reopen(gap bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gap = s.gap || gap
	s.poke()
}
