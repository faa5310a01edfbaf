package serve

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// Scanned is what looking into an image found.
type Scanned struct {
	Name string
	// Findings counts what counts, Worst is the gravest of it, and IDs are its names, the
	// gravest first, each once.
	Findings int
	Worst    finding.Severity
	IDs      []string
}

// ErrGone says that an image is not there any more: Config.Scan gives it.
var ErrGone = errors.New("the image is gone")

const (
	// maxScans bounds how many images are remembered, and maxIDs how many names of what was
	// found an event has.
	maxScans = 4096
	maxIDs   = 500
	// maxNewIDs is how many new ones an event has.
	maxNewIDs = 20
	// waitScan bounds the wait after a scan that failed.
	waitScan = time.Hour
)

// scanner has images scanned, one at a time, apart from what records events: each that a
// container is made of, and all of them again when what is known of flaws has changed.
type scanner struct {
	Config
	results chan scanResult
	wake    chan struct{}
	stop    context.CancelFunc
	ended   chan struct{}

	mu     sync.Mutex
	images map[string]*scanState // owned by mu, by id
	order  []string              // owned by mu: ids, the oldest first
}

// scanState is what is known of an image.
type scanState struct {
	data string // under which it was scanned, "" for never
	// after is when it may be tried again, and wait how long the next wait is.
	after time.Time
	wait  time.Duration
}

type scanResult struct {
	id, data string
	found    Scanned
}

func beginScanning(ctx context.Context, c Config, known map[string]scanned) *scanner {
	ctx, stop := context.WithCancel(ctx)
	s := &scanner{Config: c, results: make(chan scanResult), wake: make(chan struct{}, 1), stop: stop, ended: make(chan struct{}), images: map[string]*scanState{}}
	for _, id := range sortedKeys(known) {
		s.images[id] = &scanState{data: known[id].data}
		s.order = append(s.order, id)
	}
	go func() {
		defer close(s.ended)
		if c.Scan != nil && c.Data != nil {
			s.run(ctx)
		}
	}()
	return s
}

func (s *scanner) close() {
	s.stop()
	<-s.ended
}

// want asks for a scan of an image, unless it was scanned under the present data.
func (s *scanner) want(id string) {
	if s.Scan == nil || id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.images[id] == nil {
		if len(s.order) == maxScans {
			delete(s.images, s.order[0])
			s.order = s.order[1:]
		}
		s.images[id] = &scanState{}
		s.order = append(s.order, id)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next is an image that was not scanned under that data, "" for none.
func (s *scanner) next(data string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order {
		if i := s.images[id]; i.data != data && !now.Before(i.after) {
			return id
		}
	}
	return ""
}

// done notes how a scan ended.
func (s *scanner) done(id, data string, err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.images[id]
	switch {
	case i == nil:
	case errors.Is(err, ErrGone):
		delete(s.images, id)
		s.order = slices.DeleteFunc(s.order, func(one string) bool { return one == id })
	case err != nil:
		i.wait = min(max(2*i.wait, s.pace.scan), waitScan)
		i.after = now.Add(i.wait)
	default:
		*i = scanState{data: data}
	}
}

func (s *scanner) run(ctx context.Context) {
	ticker := time.NewTicker(s.pace.scan)
	defer ticker.Stop()
	told := false
	for {
		select {
		case <-s.wake:
		case <-ticker.C: // the data may have changed
		case <-ctx.Done():
			return
		}
		data := s.Data()
		if data == "" && !told && s.Log != nil {
			told = true
			s.Log("there is no database of known flaws, so no image is scanned: plimsoll db update FAMILY")
		}
		for data != "" {
			id := s.next(data, s.Now())
			if id == "" {
				break
			}
			found, err := s.Scan(ctx, id)
			if ctx.Err() != nil {
				return
			}
			s.done(id, data, err, s.Now())
			if err != nil {
				if !errors.Is(err, ErrGone) && s.Log != nil {
					s.Log("scanning the image %s: %v", trail.Clip(id, 19), err)
				}
				continue
			}
			select {
			case s.results <- scanResult{id, data, found}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// scanned is what a trail has of the last scan of an image.
type scanned struct {
	data string
	ids  []string
}

// scannedImage records what a scan found, and what of it is new. A first scan has nothing
// that is new.
func (w *watcher) scannedImage(ctx context.Context, r scanResult) error {
	ids := r.found.IDs[:min(len(r.found.IDs), maxIDs)]
	d := detail{"findings": r.found.Findings, "worst": string(r.found.Worst), "data": r.data, "ids": ids}
	if before, there := w.picture.scans[r.id]; there {
		fresh := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(before.ids, id) })
		if len(fresh) > 0 {
			d["new"], d["new_count"] = fresh[:min(len(fresh), maxNewIDs)], len(fresh)
		}
	}
	return w.record(ctx, trail.Event{Type: trail.Scan, Subject: trail.Subject{Kind: "image", ID: r.id, Digest: r.id, Name: trail.Clip(r.found.Name, maxName)}, Detail: d})
}
