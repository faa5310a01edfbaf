package serve

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// Judging makes a Config.Judge: it looks at the containers, their images and what of the
// engine and its host containers are judged by, as c says, and judges them by the set's
// rules about containers. What the rules say of a container is what they say of it in an
// audit of everything.
func Judging(c collect.Config, set *rule.Set) (func(context.Context, []string) (map[string][]finding.Finding, error), error) {
	set, err := set.Select(rule.Selection{Subjects: []string{"container"}})
	if err != nil {
		return nil, fmt.Errorf("choosing the rules about containers: %w", err)
	}
	if err := set.Compile(); err != nil {
		return nil, err
	}
	return func(ctx context.Context, ids []string) (map[string][]finding.Finding, error) {
		some, err := only(ctx, c.Client, ids)
		if err != nil || len(some.containers) == 0 {
			return nil, err
		}
		c := c
		c.Client = some
		f, err := collect.Engine(ctx, c)
		if err != nil {
			return nil, err
		}
		findings, err := set.Judge(f)
		if err != nil {
			return nil, err
		}
		out := map[string][]finding.Finding{}
		for i := range f.Containers {
			out[f.Containers[i].ID] = nil
		}
		for _, found := range findings {
			if _, asked := out[found.Subject.ID]; asked {
				out[found.Subject.ID] = append(out[found.Subject.ID], found)
			}
		}
		return out, nil
	}, nil
}

// some is an engine that has some of its containers only, and their images.
type some struct {
	collect.Client
	containers []json.RawMessage
	images     map[string]bool
}

func only(ctx context.Context, c collect.Client, ids []string) (*some, error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	all, err := c.ContainerList(ctx)
	if err != nil {
		return nil, err
	}
	s := &some{Client: c, images: map[string]bool{}}
	for _, raw := range all {
		var body struct {
			ID      string `json:"Id"`
			ImageID string
		}
		if _, err := strict.Decode("the engine's list of containers", raw, &body); err != nil {
			return nil, err
		}
		if wanted[body.ID] {
			s.containers = append(s.containers, raw)
			s.images[body.ImageID] = true
		}
	}
	return s, nil
}

func (s *some) ContainerList(context.Context) ([]json.RawMessage, error) { return s.containers, nil }

func (s *some) ImageList(ctx context.Context) ([]json.RawMessage, error) {
	all, err := s.Client.ImageList(ctx)
	if err != nil {
		return nil, err
	}
	list := []json.RawMessage{}
	for _, raw := range all {
		var body struct {
			ID string `json:"Id"`
		}
		if _, err := strict.Decode("the engine's list of images", raw, &body); err != nil {
			return nil, err
		}
		if s.images[body.ID] {
			list = append(list, raw)
		}
	}
	return list, nil
}
