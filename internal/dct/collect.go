package dct

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/distribution/reference"

	"github.com/plimsoll/plimsoll/internal/image"
)

// Collect gets all that a server says of a repository, as it gives it, for one who cannot ask
// the server: the root with those before it, the timestamp, the snapshot and every list that
// it names. It gives them by their paths, with the host of the server, and nothing where the
// server knows nothing of the name. Nothing is verified: who reads it does that ([Options.From]).
// Every error is an *Error, but for a name or options that cannot be.
func Collect(ctx context.Context, o Options, gun string) (host string, documents map[string][]byte, err error) {
	named, err := reference.ParseNormalizedNamed(gun)
	if err != nil || named.Name() != gun {
		return "", nil, fmt.Errorf("%.200q is no whole name of a repository, as docker.io/library/nginx", gun)
	}
	c := &client{o: o, gun: gun, memory: &memory{}}
	if c.host, err = c.server(reference.Domain(named)); err != nil {
		return "", nil, err
	}
	documents = map[string][]byte{}
	wrong := c.begin(ctx)
	if wrong == nil {
		defer c.service.Close()
		wrong = c.collect(ctx, documents)
	}
	if wrong != nil {
		wrong.GUN = gun
		return "", nil, wrong
	}
	return c.host, documents, nil
}

func (c *client) collect(ctx context.Context, documents map[string][]byte) *Error {
	get := func(name, role string, most int64) ([]byte, *Error) {
		data, wrong := c.get(ctx, name, role, most)
		if wrong == nil {
			documents[c.path(name)] = data
		}
		return data, wrong
	}
	data, wrong := get(roleRoot, roleRoot, maxRoot)
	if wrong != nil {
		if wrong.Step == StepNoData {
			return nil
		}
		return wrong
	}
	root, wrong := read[rootBody](roleRoot, data)
	if wrong != nil {
		return wrong
	}
	// Whoever has seen an older root needs those between, as far as there are any.
	for v := max(1, root.body.Version-maxRotations); v < root.body.Version; v++ {
		if _, wrong := get(strconv.FormatInt(v, 10)+"."+roleRoot, roleRoot, maxRoot); wrong != nil && !errors.Is(wrong, image.ErrNotFound) {
			return wrong
		}
	}
	if data, wrong = get(roleTimestamp, roleTimestamp, maxTimestamp); wrong != nil {
		return wrong
	}
	timestamp, wrong := read[listBody](roleTimestamp, data)
	if wrong != nil {
		return wrong
	}
	if data, wrong = get(hashed(roleSnapshot, timestamp.body.Meta[roleSnapshot]), roleSnapshot, maxDocument); wrong != nil {
		return wrong
	}
	snapshot, wrong := read[listBody](roleSnapshot, data)
	if wrong != nil {
		return wrong
	}
	if len(snapshot.body.Meta) > maxRoles {
		return fail(StepTooLarge, roleSnapshot, "it names %d documents, and %d is the most", len(snapshot.body.Meta), maxRoles)
	}
	for _, role := range slices.Sorted(maps.Keys(snapshot.body.Meta)) {
		if role != roleTargets && !isDelegation(role) {
			continue
		}
		if _, wrong := get(hashed(role, snapshot.body.Meta[role]), role, maxDocument); wrong != nil {
			return wrong
		}
	}
	return nil
}
