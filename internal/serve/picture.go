package serve

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// picture is an engine as the recorded events tell of it. It is changed by apply alone,
// by events that are in the trail: whoever replays the trail has the same. What else is
// known of a container (container.now) is not part of it.
type picture struct {
	containers map[string]*container
	images     map[string]map[string]bool // tags by id
	volumes    map[string]bool            // by name
	networks   map[string]string          // names by id
	freed      map[string]Freed           // by name
	gone       *names                     // ids of containers that were removed
	scans      map[string]scanned         // by id of the image
	vouches    map[string]vouched         // by id of the image
}

func newPicture() *picture {
	return &picture{containers: map[string]*container{}, images: map[string]map[string]bool{}, volumes: map[string]bool{}, networks: map[string]string{}, freed: map[string]Freed{}, gone: newNames(maxGone), scans: map[string]scanned{}, vouches: map[string]vouched{}}
}

// container is one in the picture.
type container struct {
	id, name, image, digest string
	running, paused, ran    bool
	health                  string
	started                 time.Time // never before the engine's StartedAt
	judged                  bool
	failing                 []string

	now current
}

// current is what is known of a container only as long as the watcher runs.
type current struct {
	noted    bool            // what follows was looked at
	policy   string          // of restarting
	probe    string          // the command of its health check
	user     string          // that it runs as
	shadowed map[string]bool // attributes of events that its labels replace
	oom      bool            // the kernel was out of memory since the start
	stopped  bool            // it was sent a signal, or stopped, since the start
	left     map[string]bool // networks that it was taken from since the start
	anew     bool            // the engine began anew and may start it by itself
}

func (c *container) state() string {
	switch {
	case c.paused:
		return Paused
	case c.running:
		return Running
	case c.ran:
		return Exited
	}
	return Created
}

func (c *container) subject() trail.Subject {
	return trail.Subject{Kind: "container", ID: c.id, Name: c.name, Image: c.image, Digest: c.digest}
}

const (
	// freedFor is how long a container that has the name of one that is gone is taken
	// for its successor.
	freedFor = 10 * time.Minute
	maxFreed = 1024
)

// free says that a container lost its name.
func (p *picture) free(name, id string, at time.Time) {
	if name == "" {
		return
	}
	p.freed[name] = Freed{Name: name, ID: id, At: at}
	if len(p.freed) <= maxFreed {
		return
	}
	maps.DeleteFunc(p.freed, func(_ string, f Freed) bool { return at.Sub(f.At) > freedFor })
	if len(p.freed) > maxFreed {
		oldest := slices.SortedFunc(maps.Values(p.freed), func(a, b Freed) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Name, b.Name)) })
		for _, f := range oldest[:maxFreed/2] {
			delete(p.freed, f.Name)
		}
	}
}

// predecessor is the container that had a name before id got it at that time.
func (p *picture) predecessor(name, id string, at time.Time) string {
	for _, c := range p.containers {
		if c.name == name && c.id != id && name != "" {
			return c.id
		}
	}
	if f, there := p.freed[name]; there && f.ID != id && at.Sub(f.At) <= freedFor {
		return f.ID
	}
	return ""
}

// apply changes the picture by an event that was recorded.
func (p *picture) apply(e *trail.Event) {
	switch e.Subject.Kind {
	case "container":
		p.applyContainer(e)
	case "image":
		p.applyImage(e)
	case "volume":
		switch textIn(e.Detail, "action") {
		case "create":
			p.volumes[e.Subject.Name] = true
		case "destroy":
			delete(p.volumes, e.Subject.Name)
		}
	case "network":
		switch textIn(e.Detail, "action") {
		case "create":
			p.networks[e.Subject.ID] = e.Subject.Name
		case "destroy":
			delete(p.networks, e.Subject.ID)
		}
	}
}

// carried takes the state that a container had when what was recorded of it before was
// pruned. One that runs has run since it was started, or was paused after that.
func (c *container) carried(d map[string]any) {
	state, _ := d["state"].(string)
	c.running = state == Running || state == Paused
	c.paused, c.ran = state == Paused, state != Created
	c.health, _ = d["health"].(string)
	if c.health == "sick" {
		c.health = unhealthy
	}
	if c.running {
		c.started = timeIn(d, "since")
	}
}

func (p *picture) applyContainer(e *trail.Event) {
	c := p.containers[e.Subject.ID]
	if c == nil {
		if e.Type != trail.Deploy || e.Subject.ID == "" {
			return
		}
		c = &container{id: e.Subject.ID}
		p.containers[c.id] = c
	}
	at := timeIn(e.Detail, "at")
	if at.IsZero() {
		at = e.Time
	}
	switch e.Type {
	case trail.Deploy:
		c.name, c.image, c.digest = e.Subject.Name, e.Subject.Image, cmp.Or(e.Subject.Digest, c.digest)
		if carried, _ := e.Detail["carried"].(bool); carried {
			c.carried(e.Detail)
		}
	case trail.Start:
		c.running, c.paused, c.ran, c.health = true, false, true, ""
		c.started = at
	case trail.Die:
		c.running, c.paused, c.ran = false, false, true
	case trail.Pause:
		c.paused = c.running
	case trail.Resume:
		c.paused = false
	case trail.Healthy:
		c.health = healthy
	case trail.Sick:
		c.health = unhealthy
	case trail.Rename:
		p.free(c.name, c.id, at)
		c.name = e.Subject.Name
	case trail.Remove:
		p.free(c.name, c.id, at)
		delete(p.containers, c.id)
		p.gone.add(c.id)
	case trail.Judge:
		c.judged, c.failing = true, textsIn(e.Detail, "failing_rules")
	}
}

// applyImage: a tag is of one image.
func (p *picture) applyImage(e *trail.Event) {
	if e.Type == trail.Scan {
		if data := textIn(e.Detail, "data"); data != "" { // one of ours
			p.scans[e.Subject.ID] = scanned{data, textsIn(e.Detail, "ids")}
		}
		return
	}
	if e.Type == trail.Vouch {
		if e.Subject.ID != "" {
			p.vouches[e.Subject.ID] = vouchedBy(e)
		}
		return
	}
	if e.Type == trail.Delete && e.Subject.Name == "" {
		delete(p.scans, e.Subject.ID)
		delete(p.vouches, e.Subject.ID)
	}
	id, name := e.Subject.ID, e.Subject.Name
	if id == "" {
		return
	}
	if e.Type == trail.Delete {
		if name != "" {
			delete(p.images[id], name)
		} else {
			delete(p.images, id)
		}
		return
	}
	if p.images[id] == nil {
		p.images[id] = map[string]bool{}
	}
	if name == "" || strings.Contains(name, "@") { // a digest is no tag
		return
	}
	for _, tags := range p.images {
		delete(tags, name)
	}
	p.images[id][name] = true
}

// tagged is the image that has a tag, "" if none has.
func (p *picture) tagged(name string) string {
	for id, tags := range p.images {
		if tags[name] {
			return id
		}
	}
	return ""
}

// textIn, textsIn and timeIn read an event's detail as it was made, or as it comes out
// of the trail.
func textIn(d map[string]any, name string) string {
	s, _ := d[name].(string)
	return s
}

func textsIn(d map[string]any, name string) []string {
	switch list := d[name].(type) {
	case []string:
		return list
	case []any:
		var out []string
		for _, v := range list {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func timeIn(d map[string]any, name string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, textIn(d, name))
	if err != nil {
		return time.Time{}
	}
	return at
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
