package serve

import (
	"context"
	"slices"

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

const (
	// maxIDs bounds how many names of what was found an event has, and maxNewIDs how many new
	// ones.
	maxIDs    = 500
	maxNewIDs = 20
)

// beginScanning has images scanned, each that a container runs from.
func beginScanning(ctx context.Context, c Config, known map[string]scanned) *chore[Scanned] {
	before := map[string]choreState[Scanned]{}
	for id, s := range known {
		before[id] = choreState[Scanned]{data: s.data}
	}
	s := &chore[Scanned]{doing: "scanning", data: c.Data, none: "there is no database of known flaws, so no image is scanned: plimsoll db update FAMILY"}
	if c.Scan != nil {
		s.do = func(ctx context.Context, id string, _ Scanned, _ bool) (Scanned, error) { return c.Scan(ctx, id) }
	}
	return s.begin(ctx, c, before)
}

// scanned is what a trail has of the last scan of an image.
type scanned struct {
	data string
	ids  []string
}

// scannedImage records what a scan found, and what of it is new. A first scan has nothing
// that is new.
func (w *watcher) scannedImage(ctx context.Context, r outcome[Scanned]) error {
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
