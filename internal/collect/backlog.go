package collect

import (
	"context"
	"sync"

	"github.com/plimsoll/plimsoll/internal/workload"
)

const (
	// maxBacklog bounds how many answers wait at once, however many containers
	// there are and however slow the engine says what they depend on.
	maxBacklog = 256
	// maxBacklogBytes bounds one answer that waits, as it came; they are 5 to 20
	// KiB.
	maxBacklogBytes = 64 << 10
)

// inspected is the answer about one container.
type inspected struct {
	at   int // in the list
	said *workload.Inspected
	size int // in bytes, as it came
	// gone is true when the container was removed; otherwise, reason is why
	// nothing is said.
	gone   bool
	reason string
}

// backlog is a bounded buffer of answers that came before all is known that
// reading them needs. A worker that finds it full, or whose answer is too large
// for it, waits with that one answer in hand, and asks for nothing meanwhile.
type backlog struct {
	released chan struct{} // closed by release

	mu      sync.Mutex
	open    bool // nothing is put off any more
	answers []inspected
}

func newBacklog() *backlog { return &backlog{released: make(chan struct{})} }

// put keeps a for release and is true, or is false when the caller is to use a
// itself: at once after release, and where a does not fit, as soon as release
// is called.
func (b *backlog) put(ctx context.Context, a inspected) (bool, error) {
	if b.add(a) {
		return true, nil
	}
	select {
	case <-b.released:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (b *backlog) add(a inspected) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	fits := !b.open && len(b.answers) < maxBacklog && a.size <= maxBacklogBytes
	if fits {
		b.answers = append(b.answers, a)
	}
	return fits
}

// release gives all that was kept; from now on, nothing is. It is called once.
func (b *backlog) release() []inspected {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = true
	close(b.released)
	answers := b.answers
	b.answers = nil
	return answers
}
