package registry

import "crypto/sha256"

// chain tells a list of layers on a platform apart from any other: as ChainID of the OCI image
// specification, each with those before it.
type chain [sha256.Size]byte

func (c chain) with(layer string) chain {
	return sha256.Sum256(append(c[:], layer...))
}

// bases fills in what images were built on, where they do not say it: they begin with all layers
// of another image of the report. Where several different images have just these layers, it
// could be any of them, and is not told.
func (l *looker) bases(tags []*Tag) {
	type whole struct {
		digest string
		tag    *Tag
		many   bool
	}
	all := map[chain]*whole{}
	of := func(t *Tag) *found {
		if one := l.images[t.Repository+"@"+t.Digest]; one != nil && one.err == nil {
			return one.value
		}
		return nil
	}
	for _, t := range tags {
		f := of(t)
		if f == nil || len(f.layers) == 0 {
			continue
		}
		c := sha256.Sum256([]byte(f.chosen))
		at := chain(c)
		for _, layer := range f.layers {
			at = at.with(layer)
		}
		switch w := all[at]; {
		case w == nil:
			all[at] = &whole{t.Digest, t, false}
		case w.digest != t.Digest:
			w.many = true
		}
	}
	for _, t := range tags {
		f := of(t)
		if f == nil || t.Base != nil || len(f.layers) == 0 {
			continue
		}
		at := chain(sha256.Sum256([]byte(f.chosen)))
		var below *whole // of the most layers, but not all
		for _, layer := range f.layers[:len(f.layers)-1] {
			at = at.with(layer)
			if w := all[at]; w != nil {
				below = w
			}
		}
		if below != nil && !below.many {
			t.Base = &Base{below.tag.Repository + ":" + below.tag.Tag, below.digest, FromLayers}
		}
	}
}
