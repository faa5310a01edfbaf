package collect

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/plimsoll/plimsoll/internal/engine"
)

// survey is what the engine says when it is asked once.
type survey struct {
	version, info                 json.RawMessage
	networks, volumes             []json.RawMessage
	images                        []json.RawMessage
	warnings                      []string // of volumes
	noInfo, noNetworks, noVolumes string   // why one of them is missing
	noImages                      string
	swarm                         roster
}

// calls are what a survey is made by; none needs the answer of another, but for
// those about a swarm. Those that take an engine longest are first.
func (s *survey) calls(client Client) []func(context.Context) error {
	return []func(context.Context) error{
		func(ctx context.Context) (err error) {
			s.version, err = client.Version(ctx)
			return err
		},
		func(ctx context.Context) (err error) {
			s.info, err = client.Info(ctx)
			if s.noInfo, err = refusal(err); err != nil || s.noInfo != "" {
				return err
			}
			return s.swarm.ask(ctx, client, s.info)
		},
		func(ctx context.Context) (err error) {
			s.networks, err = client.NetworkList(ctx)
			s.noNetworks, err = refusal(err)
			return err
		},
		func(ctx context.Context) (err error) {
			s.volumes, s.warnings, err = client.VolumeList(ctx)
			s.noVolumes, err = refusal(err)
			return err
		},
		func(ctx context.Context) (err error) {
			s.images, err = client.ImageList(ctx)
			s.noImages, err = refusal(err)
			return err
		},
	}
}

// settle makes facts of a survey, and of them what containers depend on.
func (c *collector) settle(api string, s *survey) error {
	if err := c.describe(api, s.version, s.info, s.noInfo); err != nil {
		return err
	}
	c.networks(s.networks, s.noNetworks)
	c.volumes(s.volumes, s.warnings, s.noVolumes)
	c.members(&s.swarm)
	if len(c.EnvKey) > 0 {
		c.around.EnvKey = c.EnvKey
	}
	return nil
}

// refusal splits an error that concerns one answer, for which it gives the
// reason, from one that ends the collection.
func refusal(err error) (reason string, fatal error) {
	var e *engine.Error
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, engine.ErrTooBig):
		return reasonTooBig, nil
	case errors.As(err, &e) && e.Status != 0:
		return reasonRefused, nil
	}
	return "", err
}
