package dct

import (
	"context"
	"maps"
	"slices"
	"time"
)

// List finds all that was signed of a repository, in the order of the tags: of each what
// [Resolve] finds. What was signed under a name that is no tag of an image is not among it. The
// errors are those of Resolve.
func List(ctx context.Context, o Options, gun string, now time.Time) ([]Target, error) {
	c, err := newClient(o, gun, now)
	if err != nil {
		return nil, err
	}
	v, wrong := c.verify(ctx)
	if wrong != nil {
		wrong.GUN = gun
		return nil, wrong
	}
	names := map[string]bool{}
	for _, l := range v.lists {
		for name := range l.body.Targets {
			names[name] = isTag(gun, name)
		}
	}
	var all []Target
	for _, name := range slices.Sorted(maps.Keys(names)) {
		// What only a role has signed that may not is not found.
		if t, wrong := v.find(name); wrong == nil && names[name] {
			all = append(all, *t)
		}
	}
	return all, nil
}
