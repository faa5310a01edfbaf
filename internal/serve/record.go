package serve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// record makes an event durable, however long the disk is full, and then changes the
// picture.
func (w *watcher) record(ctx context.Context, e trail.Event) error {
	if w.Who != nil {
		w.Who(ctx, &e)
	}
	wait := w.pace.full
	for tries := 0; ; tries++ {
		_, err := w.Record(ctx, e)
		var full *trail.FullError
		var large *trail.TooLargeError
		switch {
		case err == nil:
			w.picture.apply(&e)
			switch e.Type {
			case trail.Start:
				w.scan.want(e.Subject.Digest)
			case trail.Deploy:
				w.verify.want(e.Subject.Digest)
			case trail.Load, trail.Pull, trail.Tag:
				w.verify.know(e.Subject.ID)
			case trail.Delete:
				if e.Subject.Name == "" { // the image itself
					w.scan.forget(e.Subject.ID)
					w.verify.forget(e.Subject.ID)
				}
			}
			return nil
		case errors.As(err, &large) && e.Declared == nil && len(e.Detail) <= 2:
			return err
		case errors.As(err, &large):
			short := detail{"too_large": large.Bytes}
			short.put("at", textIn(e.Detail, "at"))
			e.Declared, e.Detail = nil, short
			continue
		case !errors.As(err, &full):
			return fmt.Errorf("recording a %s event: %w", e.Type, err)
		}
		if tries == 0 {
			w.log("%v", full)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		wait = min(2*wait, 20*w.pace.full)
	}
}

// maxGone is how many containers are known to be gone. What an engine remembers of one may
// be read long after the lists showed that it is.
const maxGone = 4096

// names are the last of many names.
type names struct {
	have  map[string]bool
	order []string
	next  int
}

func newNames(most int) *names { return &names{have: map[string]bool{}, order: make([]string, most)} }

func (n *names) add(name string) {
	if n.have[name] {
		return
	}
	delete(n.have, n.order[n.next])
	n.have[name], n.order[n.next] = true, name
	n.next = (n.next + 1) % len(n.order)
}

// all gives them, the oldest first.
func (n *names) all() []string {
	var out []string
	for i := range n.order {
		if name := n.order[(n.next+i)%len(n.order)]; name != "" {
			out = append(out, name)
		}
	}
	return out
}
