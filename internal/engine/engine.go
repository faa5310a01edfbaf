// Package engine speaks the Docker Engine API: the dozen read-only calls that
// an audit needs, over net/http, with the engine's own JSON handed on as it
// came.
//
// In order of use: [Settings] says where to look for an address, [Resolve]
// turns it into an [Endpoint] the way docker's own client does, [New] makes a
// [Client] from a [Config], and the Client's methods each make one call.
// For what carries the requests of others, [NewDialer] makes plain connections to the same
// engine.
// What goes wrong comes back as an [*Error], which says what happened, what to
// do next, and whether the engine answered at all.
//
// The engine is not trusted. Every answer is bounded in size, every list in its
// number of elements and their depth, redirects are not followed, compressed
// answers are not asked for, and text that an engine puts into an error is
// escaped before it gets into a message.
//
// The package does not decode what it fetches: it looks at the ends of an object
// and at the brackets of a list, so whoever decodes an answer may still find
// that it is no JSON, or too deep. It changes nothing in the engine
// (only GET is ever sent), never asks for the processes of a container (/top)
// or for sizes, and does not read the environment: that comes in through
// Settings. An HTTP proxy between plimsoll and a tcp engine is not supported.
//
// The standard followed is the Engine API, versions 1.40 to 1.56
// (https://docs.docker.com/reference/api/engine/).
package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// DefaultTimeout is how long one call may take when Config does not say. An
// engine with thousands of containers, or one under load, needs many seconds
// for its list; a minute is still short enough to wait for.
const DefaultTimeout = time.Minute

// Config is what a Client is made from.
type Config struct {
	// Endpoint is the engine to speak to, as Resolve gives it.
	Endpoint Endpoint
	// Timeout bounds one call from the first byte sent to the last byte read;
	// for Events, only up to the start of the stream. Zero is DefaultTimeout.
	Timeout time.Duration
	// SSH is the ssh program for ssh endpoints, a path or a name to find in
	// PATH. Empty is "ssh".
	SSH string
}

// Client makes calls to one engine. It is safe for use by many goroutines, and
// keeps connections open between calls until Close.
type Client struct {
	endpoint  Endpoint
	addr      address
	pin       *apiVersion
	timeout   time.Duration
	base      url.URL // scheme, host and prefix of every request
	transport transport

	// turn holds one token; whoever has put it in is the one that agrees on a
	// version with the engine. It guards writes of agreed.
	turn   chan struct{}
	agreed atomic.Pointer[agreement]
}

// transport carries requests, and keeps connections for the next.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// agreement is what the first conversation with the engine settled.
type agreement struct {
	api apiVersion
	// version is the answer to /version, nil as long as it was not needed.
	version json.RawMessage
}

// New makes a Client. It reads the TLS files of the endpoint, but does not
// connect: the first call does, and agrees with the engine on an API version.
// The error is an *Error.
func New(cfg Config) (*Client, error) {
	addr, err := parseAddress(cfg.Endpoint.Address)
	if err != nil {
		return nil, err
	}
	pin, err := parsePin(cfg.Endpoint.APIVersion)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout < 0 {
		return nil, fmt.Errorf("making an engine client: the timeout %v is negative", cfg.Timeout)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.SSH == "" {
		cfg.SSH = "ssh"
	}
	way, base, err := newTransport(cfg, addr)
	if err != nil {
		return nil, err
	}
	return &Client{
		endpoint:  cfg.Endpoint,
		addr:      addr,
		pin:       pin,
		timeout:   cfg.Timeout,
		base:      base,
		turn:      make(chan struct{}, 1),
		transport: way,
	}, nil
}

// Endpoint is the engine that this client speaks to.
func (c *Client) Endpoint() Endpoint { return c.endpoint }

// Close ends idle connections, and with them the ssh processes that carry
// them. Calls that are still running end their own when they are done.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// API is the version, such as "1.41", that all calls of this client use. It
// asks the engine if no call has done so yet.
func (c *Client) API(ctx context.Context) (string, error) {
	a, err := c.agree(ctx)
	if err != nil {
		return "", err
	}
	return a.api.String(), nil
}
