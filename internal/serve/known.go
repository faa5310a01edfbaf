package serve

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// Known is what a trail holds of an engine: what was recorded as made there and not as
// taken away. Its zero value is that of an empty trail.
type Known struct {
	// EngineID is the engine that was followed last.
	EngineID string
	// Last is when, by the engine's clock, the last thing happened that was recorded.
	Last       time.Time
	Containers []Container
	Images     []Image
	// Volumes are names. What engines say of when a volume was made is when it was last
	// written to.
	Volumes  []string
	Networks []Network
	// Freed are names that containers had until lately.
	Freed []Freed
	// Scans are the last scans of images, by id.
	Scans []Scan
	// Vouches are what was found last of who vouches for images, by id.
	Vouches []Vouch
	// Gone are the ids of the last containers that were removed, the oldest first.
	Gone []string
}

// The states that a container is known in.
const (
	Created = "created"
	Running = "running"
	Paused  = "paused"
	Exited  = "exited"
)

// Container is one that was recorded as deployed, and not as removed.
type Container struct {
	ID, Name string
	// Image is what was asked for, Digest the image's id.
	Image, Digest string
	// State is one of the constants.
	State string
	// Health is "", or "healthy" or "unhealthy" since the last start.
	Health    string
	StartedAt time.Time
	// Judged says that it was judged, and Failing which rules it failed, sorted.
	Judged  bool
	Failing []string
}

// Image is one by its id, with its tags, sorted.
type Image struct {
	ID   string
	Tags []string
}

// Network is one by its id.
type Network struct{ ID, Name string }

// Scan is the last scan of an image: under which data, and what it found.
type Scan struct {
	ID, Data string
	IDs      []string
}

// Vouch is what was found last of who vouches for an image, which was looked at by a Name, and
// has a Manifest in its registry: whether it is trusted, By whom, and the step that refused it.
type Vouch struct {
	ID, Name, Manifest, Refused string
	Trusted                     bool
	By                          []string
}

// Freed is a name that a container had, and lost At a time.
type Freed struct {
	Name, ID string
	At       time.Time
}

// Replay makes of a trail's events, in their order, what is known after the last.
// Events of types that it does not know change nothing.
func Replay(events iter.Seq2[*trail.Event, error]) (*Known, error) {
	p := newPicture()
	k := &Known{}
	for e, err := range events {
		if err != nil {
			return nil, fmt.Errorf("reading the trail: %w", err)
		}
		p.apply(e)
		if at := timeIn(e.Detail, "at"); at.After(k.Last) {
			k.Last = at
		}
		if e.Type == trail.Engine && e.Subject.ID != "" {
			k.EngineID = e.Subject.ID
		}
	}
	p.known(k)
	return k, nil
}

// known puts the picture into k, in an order that does not change.
func (p *picture) known(k *Known) {
	for _, id := range sortedKeys(p.containers) {
		c := p.containers[id]
		k.Containers = append(k.Containers, Container{ID: id, Name: c.name, Image: c.image, Digest: c.digest, State: c.state(), Health: c.health,
			StartedAt: c.started, Judged: c.judged, Failing: c.failing})
	}
	for _, id := range sortedKeys(p.images) {
		k.Images = append(k.Images, Image{ID: id, Tags: sortedKeys(p.images[id])})
	}
	k.Volumes = sortedKeys(p.volumes)
	for _, id := range sortedKeys(p.networks) {
		k.Networks = append(k.Networks, Network{ID: id, Name: p.networks[id]})
	}
	for _, name := range sortedKeys(p.freed) {
		k.Freed = append(k.Freed, p.freed[name])
	}
	k.Gone = p.gone.all()
	for _, id := range sortedKeys(p.scans) {
		k.Scans = append(k.Scans, Scan{ID: id, Data: p.scans[id].data, IDs: p.scans[id].ids})
	}
	for _, id := range sortedKeys(p.vouches) {
		v := p.vouches[id]
		k.Vouches = append(k.Vouches, Vouch{ID: id, Name: v.name, Manifest: v.manifest, Refused: v.refused, Trusted: v.trusted, By: v.by})
	}
}

// pictureOf is the picture that k describes.
func pictureOf(k *Known) *picture {
	p := newPicture()
	if k == nil {
		return p
	}
	for _, c := range k.Containers {
		p.containers[c.ID] = &container{id: c.ID, name: c.Name, image: c.Image, digest: c.Digest, running: c.State == Running || c.State == Paused,
			paused: c.State == Paused, ran: c.State != Created, health: c.Health, started: c.StartedAt, judged: c.Judged, failing: slices.Clone(c.Failing)}
	}
	for _, i := range k.Images {
		p.images[i.ID] = map[string]bool{}
		for _, tag := range i.Tags {
			p.images[i.ID][tag] = true
		}
	}
	for _, v := range k.Volumes {
		p.volumes[v] = true
	}
	for _, n := range k.Networks {
		p.networks[n.ID] = n.Name
	}
	for _, f := range k.Freed {
		p.freed[f.Name] = f
	}
	for _, s := range k.Scans {
		p.scans[s.ID] = scanned{s.Data, s.IDs}
	}
	for _, v := range k.Vouches {
		p.vouches[v.ID] = vouched{v.Name, v.Manifest, v.Refused, v.Trusted, v.By}
	}
	for _, id := range k.Gone {
		p.gone.add(id)
	}
	return p
}
