package serve

import (
	"context"
	"slices"

	"github.com/plimsoll/plimsoll/internal/trail"
)

func (w *watcher) differOthers(l *lists) bool {
	p := w.picture
	for id, i := range l.images {
		if tags, known := p.images[id]; !known || !sameKeys(tags, i.tags) {
			return true
		}
	}
	return len(l.images) != len(p.images) || !sameKeys(l.networks, p.networks) || !sameKeys(l.volumes, p.volumes)
}

func sameKeys[V any](a, b map[string]V) bool {
	return slices.Equal(sortedKeys(a), sortedKeys(b))
}

// compareOthers records what differs of images, volumes and networks.
func (w *watcher) compareOthers(ctx context.Context, l *lists) error {
	late := func(typ string, s trail.Subject, action string) error {
		d := detail{"found_later": true}
		d.put("action", action)
		return w.record(ctx, trail.Event{Type: typ, Subject: s, Detail: d})
	}
	p := w.picture
	for _, id := range sortedKeys(l.images) {
		i := l.images[id]
		if p.images[id] == nil {
			typ := trail.Load
			if i.pulled {
				typ = trail.Pull
			}
			if err := late(typ, imageSubject(id, ""), ""); err != nil {
				return err
			}
		}
		for _, tag := range sortedKeys(i.tags) {
			if p.images[id][tag] {
				continue
			}
			if err := late(trail.Tag, imageSubject(id, tag), ""); err != nil {
				return err
			}
		}
	}
	for _, id := range sortedKeys(p.images) {
		i, there := l.images[id]
		for _, tag := range sortedKeys(p.images[id]) {
			if i.tags[tag] {
				continue
			}
			if err := late(trail.Delete, imageSubject(id, tag), "untag"); err != nil {
				return err
			}
		}
		if !there {
			if err := late(trail.Delete, imageSubject(id, ""), ""); err != nil {
				return err
			}
		}
	}
	for _, list := range []struct {
		typ, kind    string
		there, known map[string]string
		some         bool
	}{
		{trail.Network, "network", l.networks, p.networks, false},
		{trail.Volume, "volume", named(l.volumes), named(p.volumes), l.someVolumes},
	} {
		subject := func(id, name string) trail.Subject {
			if list.kind == "volume" {
				id = ""
			}
			return trail.Subject{Kind: list.kind, ID: id, Name: name}
		}
		for _, id := range sortedKeys(list.there) {
			if _, known := list.known[id]; !known {
				if err := late(list.typ, subject(id, list.there[id]), "create"); err != nil {
					return err
				}
			}
		}
		for _, id := range sortedKeys(list.known) {
			if _, there := list.there[id]; !there && !list.some {
				if err := late(list.typ, subject(id, list.known[id]), "destroy"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// named gives each name itself for a value.
func named(set map[string]bool) map[string]string {
	out := make(map[string]string, len(set))
	for name := range set {
		out[name] = name
	}
	return out
}
