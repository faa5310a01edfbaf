package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Recorded is an image of which only the configuration is here, whose digest is id. Its
// layers must all be known to whoever walks it: see [Image.WalkUnknown].
func Recorded(where string, id digest.Digest, config []byte, o Options) (*Image, error) {
	i := &Image{ID: id, Document: config, where: where, limits: o.Limits.withDefaults(), store: nowhere{}}
	err := id.Validate()
	if err == nil {
		err = check("the configuration", id, id.Algorithm().FromBytes(config))
	}
	if err == nil {
		_, err = strict.Decode("the configuration", config, &i.Config)
	}
	if n := len(i.Config.RootFS.DiffIDs); err == nil && n > i.limits.Layers {
		err = beyond("the configuration names", i.limits.Layers, "layers")
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", where, err)
	}
	for n, id := range i.Config.RootFS.DiffIDs {
		if err := id.Validate(); err != nil {
			return nil, fmt.Errorf("opening %s: rootfs.diff_ids[%d]: %.100q is no digest: %w", where, n, id, err)
		}
		i.Layers = append(i.Layers, Layer{DiffID: id})
	}
	return i, nil
}

// nowhere is where nothing is.
type nowhere struct{}

func (nowhere) open(context.Context, part) (*blob, error) { return nil, errors.New("it is not here") }
func (nowhere) Close() error                              { return nil }
