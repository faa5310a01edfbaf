package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Info is the engine's description of itself and its host (/info).
func (c *Client) Info(ctx context.Context) (json.RawMessage, error) {
	return c.one(ctx, request{path: "/info"})
}

// ContainerList is a summary of every container, stopped ones too, without
// sizes.
func (c *Client) ContainerList(ctx context.Context) ([]json.RawMessage, error) {
	return c.many(ctx, request{path: "/containers/json", query: url.Values{"all": {"1"}}})
}

// ContainerInspect is all that the engine says of one container, without
// sizes. A container that is gone is ErrNotFound.
func (c *Client) ContainerInspect(ctx context.Context, id string) (json.RawMessage, error) {
	return c.subject(ctx, "/containers/", id, "/json")
}

// ImageList is a summary of every image but the intermediate ones of builds.
func (c *Client) ImageList(ctx context.Context) ([]json.RawMessage, error) {
	return c.many(ctx, request{path: "/images/json"})
}

// ImageInspect is all that the engine says of one image, by its id
// (sha256:...) or a name. An image that is gone is ErrNotFound.
func (c *Client) ImageInspect(ctx context.Context, id string) (json.RawMessage, error) {
	return c.subject(ctx, "/images/", id, "/json")
}

// ImageHistory is how an image was built, the newest step first. An image that is
// gone is ErrNotFound.
func (c *Client) ImageHistory(ctx context.Context, id string) ([]json.RawMessage, error) {
	if err := checkName("/images/", id); err != nil {
		return nil, err
	}
	return c.many(ctx, request{path: "/images/" + id + "/history", named: true})
}

// ImageSave is the image as docker save writes it, a tar stream that the caller closes. An
// engine first puts it together on its disk, which takes as long as it takes. An image that
// is gone is ErrNotFound.
func (c *Client) ImageSave(ctx context.Context, id string) (io.ReadCloser, error) {
	if err := checkName("/images/", id); err != nil {
		return nil, err
	}
	r, err := c.versioned(ctx, request{path: "/images/" + id + "/get", named: true, slow: true})
	if err != nil {
		return nil, err
	}
	a, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return &saved{a, c, ctx, r}, nil
}

// saved is an image as it comes.
type saved struct {
	*answer
	client *Client
	parent context.Context
	r      request
}

// Read gives errors that say what to do.
func (s *saved) Read(b []byte) (int, error) {
	n, err := s.Body.Read(b)
	if err != nil && err != io.EOF {
		err = s.client.explain(s.parent, s.answer.ctx, s.r, err)
	}
	return n, err
}

func (s *saved) Close() error {
	s.close()
	return nil
}

// ExecInspect is all that the engine says of one process that was started in a
// container by docker exec. One that has ended long ago is ErrNotFound.
func (c *Client) ExecInspect(ctx context.Context, id string) (json.RawMessage, error) {
	return c.subject(ctx, "/exec/", id, "/json")
}

// NetworkList is every network. The containers in them are in NetworkInspect
// only.
func (c *Client) NetworkList(ctx context.Context) ([]json.RawMessage, error) {
	return c.many(ctx, request{path: "/networks"})
}

// NetworkInspect is all that the engine says of one network, its containers
// included. A network that is gone is ErrNotFound.
func (c *Client) NetworkInspect(ctx context.Context, id string) (json.RawMessage, error) {
	return c.subject(ctx, "/networks/", id, "")
}

// VolumeList is every volume, and the engine's warnings: with one, a volume
// plugin did not answer and its volumes are missing.
func (c *Client) VolumeList(ctx context.Context) (volumes []json.RawMessage, warnings []string, err error) {
	r, err := c.versioned(ctx, request{path: "/volumes", limit: maxListBytes})
	if err != nil {
		return nil, nil, err
	}
	body, err := c.object(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	var said struct {
		Volumes  json.RawMessage
		Warnings json.RawMessage
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Volumes == nil {
		return nil, nil, c.unlike(r, body, fmt.Errorf("the answer has no list of volumes"))
	}
	if volumes, err = decodeList(bytes.NewReader(said.Volumes)); err != nil {
		return nil, nil, c.unlike(r, body, err)
	}
	// Strings cost memory as elements do; warnings that are too many to be true
	// are counted by their commas before they are made.
	if bytes.Count(said.Warnings, []byte{','}) > maxElements {
		return nil, nil, c.tooBig(r)
	}
	if said.Warnings != nil {
		if err := json.Unmarshal(said.Warnings, &warnings); err != nil {
			return nil, nil, c.unlike(r, body, fmt.Errorf("the warnings beside the volumes: %w", err))
		}
	}
	return volumes, warnings, nil
}

// SwarmInspect is the swarm that this engine manages. An engine that manages
// none refuses with status 503; Info says beforehand whether it does.
func (c *Client) SwarmInspect(ctx context.Context) (json.RawMessage, error) {
	return c.one(ctx, request{path: "/swarm"})
}

// NodeList is every node of the swarm that this engine manages. An engine that
// manages none refuses with status 503.
func (c *Client) NodeList(ctx context.Context) ([]json.RawMessage, error) {
	return c.many(ctx, request{path: "/nodes"})
}

// ServiceList is every service of the swarm that this engine manages. An engine
// that manages none refuses with status 503.
func (c *Client) ServiceList(ctx context.Context) ([]json.RawMessage, error) {
	return c.many(ctx, request{path: "/services"})
}

func (c *Client) one(ctx context.Context, r request) (json.RawMessage, error) {
	r, err := c.versioned(ctx, r)
	if err != nil {
		return nil, err
	}
	r.limit = maxObjectBytes
	return c.object(ctx, r)
}

func (c *Client) many(ctx context.Context, r request) ([]json.RawMessage, error) {
	r, err := c.versioned(ctx, r)
	if err != nil {
		return nil, err
	}
	r.limit = maxListBytes
	return c.list(ctx, r)
}

// subject inspects what id names. Only the name of an image may have slashes.
func (c *Client) subject(ctx context.Context, before, id, after string) (json.RawMessage, error) {
	if err := checkName(before, id); err != nil {
		return nil, err
	}
	return c.one(ctx, request{path: before + id + after, named: true})
}

// checkName refuses what would name something else in a path.
func checkName(before, id string) error {
	for part := range strings.SplitSeq(id, "/") {
		if part == "" || part == "." || part == ".." || before != "/images/" && part != id {
			return fmt.Errorf("inspecting %s%s: %q cannot be a name or an id there", before, printable(id, 80), printable(id, 80))
		}
	}
	return nil
}
