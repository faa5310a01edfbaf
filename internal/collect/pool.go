package collect

import (
	"context"
	"slices"
	"sync"
)

// pool is a worker pool with one queue: it runs calls side by side, at most
// workers at once, in the order in which they were submitted. After the first
// error no more are begun, those that run are cancelled, and that error comes
// out of every wait; so does the end of the context that the pool was made with.
//
// A call may wait for something that another call brings only if that one was
// submitted before it: with all workers waiting, nobody would begin a later one.
type pool struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	workers int
	running sync.WaitGroup

	mu    sync.Mutex
	busy  int      // workers that run
	queue []*batch // those with calls that are still to be begun
}

// batch is n calls of one function, which differ by a number from 0. Its
// counters are guarded by the pool's mutex.
type batch struct {
	pool *pool
	do   func(ctx context.Context, i int) error
	n    int
	next int           // the call to begin next
	left int           // calls that have not ended
	done chan struct{} // closed when none is left
}

// newPool makes a pool; stop must follow.
func newPool(ctx context.Context, workers int) *pool {
	p := &pool{workers: workers}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	return p
}

// stop cancels what still runs, and waits for it.
func (p *pool) stop() {
	p.cancel(nil)
	p.running.Wait()
}

// submit has do called for 0 to n-1, behind all that was submitted before.
func (p *pool) submit(n int, do func(ctx context.Context, i int) error) *batch {
	return p.insert(n, do, false)
}

// submitFirst has do called for 0 to n-1, before all that is not begun yet.
func (p *pool) submitFirst(n int, do func(ctx context.Context, i int) error) *batch {
	return p.insert(n, do, true)
}

func (p *pool) insert(n int, do func(ctx context.Context, i int) error, first bool) *batch {
	b := &batch{pool: p, do: do, n: n, left: n, done: make(chan struct{})}
	if n == 0 {
		close(b.done)
		return b
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := len(p.queue)
	if first {
		at = 0
	}
	p.queue = slices.Insert(p.queue, at, b)
	for range min(n, p.workers-p.busy) {
		p.busy++
		p.running.Go(p.work)
	}
	return b
}

// work runs calls until there is none to begin.
func (p *pool) work() {
	for b, i := p.take(); b != nil; b, i = p.take() {
		if err := b.do(p.ctx, i); err != nil {
			p.cancel(err) // the first cause stays
		}
		p.end(b)
	}
}

// take is the next call, or nil, and then the worker that asked ends.
func (p *pool) take() (*batch, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 || p.ctx.Err() != nil {
		p.busy--
		return nil, 0
	}
	b := p.queue[0]
	i := b.next
	if b.next++; b.next == b.n {
		// Delete also clears the place behind, so that what a finished batch
		// holds can be collected while the pool goes on.
		p.queue = slices.Delete(p.queue, 0, 1)
	}
	return b, i
}

// end counts a call of b that has ended.
func (p *pool) end(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.left--; b.left == 0 {
		close(b.done)
	}
}

// wait returns when all calls of the batch have ended, or with the pool's first
// error as soon as there is one; then calls may still run until stop.
func (b *batch) wait() error {
	select {
	case <-b.done:
	case <-b.pool.ctx.Done():
	}
	if b.pool.ctx.Err() != nil {
		return context.Cause(b.pool.ctx)
	}
	return nil
}
