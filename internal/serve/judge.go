package serve

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/trail"
)

const (
	// maxJudged bounds how many containers are judged at a time.
	maxJudged = 500
	// restJudging bounds how long the judge rests after a judgement, which is twice as
	// long as that took.
	restJudging = 10 * time.Second
	// waitJudging bounds the wait after one that failed.
	waitJudging = time.Minute
)

// judge has containers judged, apart from what records events. Containers that are
// wanted while it judges others are judged together.
type judge struct {
	Config
	results chan judgement
	wake    chan struct{}
	stop    context.CancelFunc
	ended   chan struct{}

	mu     sync.Mutex
	wanted []string        // owned by mu
	asked  map[string]bool // owned by mu: those in wanted
}

// judgement is which rules a container fails, sorted, and the worst of their severities.
type judgement struct {
	id      string
	failing []string
	worst   finding.Severity
}

func beginJudging(ctx context.Context, c Config) *judge {
	ctx, stop := context.WithCancel(ctx)
	j := &judge{Config: c, results: make(chan judgement), wake: make(chan struct{}, 1), stop: stop, ended: make(chan struct{}), asked: map[string]bool{}}
	go func() {
		defer close(j.ended)
		if c.Judge != nil {
			j.run(ctx)
		}
	}()
	return j
}

func (j *judge) close() {
	j.stop()
	<-j.ended
}

// want asks for a judgement.
func (j *judge) want(ids ...string) {
	if j.Judge == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range ids {
		if !j.asked[id] {
			j.asked[id] = true
			j.wanted = append(j.wanted, id)
		}
	}
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// take gives the next that are wanted.
func (j *judge) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := min(len(j.wanted), maxJudged)
	ids := slices.Clone(j.wanted[:n])
	j.wanted = slices.Delete(j.wanted, 0, n)
	for _, id := range ids {
		delete(j.asked, id)
	}
	return ids
}

func (j *judge) run(ctx context.Context) {
	rest, failed := j.pace.judge, time.Duration(0)
	for {
		select {
		case <-j.wake:
		case <-ctx.Done():
			return
		}
		for ids := []string{""}; len(ids) > 0; {
			timer := time.NewTimer(max(rest, failed))
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
			if ids = j.take(); len(ids) == 0 {
				break
			}
			began := j.Now()
			found, err := j.Judge(ctx, ids)
			rest = min(max(2*j.Now().Sub(began), j.pace.judge), restJudging)
			if err != nil {
				if ctx.Err() != nil {
					return
				}
				if j.Log != nil {
					j.Log("judging %d containers: %v", len(ids), err)
				}
				failed = min(max(2*failed, 5*j.pace.judge), waitJudging)
				j.want(ids...)
				continue
			}
			failed = 0
			for _, id := range ids {
				of, there := found[id]
				if !there {
					continue // it is gone
				}
				select {
				case j.results <- judgementOf(id, of):
				case <-ctx.Done():
					return
				}
			}
		}
	}
}

func judgementOf(id string, found []finding.Finding) judgement {
	out := judgement{id: id}
	for _, f := range found {
		if f.Status != finding.Fail || f.Subject.Kind != "container" || f.Subject.ID != id {
			continue
		}
		out.failing = append(out.failing, f.Rule)
		if out.worst == "" || f.Severity.AtLeast(out.worst) {
			out.worst = f.Severity
		}
	}
	slices.Sort(out.failing)
	out.failing = slices.Compact(out.failing)
	return out
}

// judged records a judgement, if it is the first of its container or not the one before.
func (w *watcher) judged(ctx context.Context, j judgement) error {
	c := w.picture.containers[j.id]
	if c == nil || c.judged && slices.Equal(c.failing, j.failing) {
		return nil
	}
	d := detail{"failing": len(j.failing), "worst": string(j.worst)}
	for name, list := range map[string][]string{"failing_rules": j.failing, "failed": without(j.failing, c.failing), "mended": without(c.failing, j.failing)} {
		if len(list) > 0 {
			d[name] = list
		}
	}
	return w.record(ctx, trail.Event{Type: trail.Judge, Subject: c.subject(), Detail: d})
}

// without is what of a sorted list is not in another.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		_, there := slices.BinarySearch(other, s)
		return there
	})
}
