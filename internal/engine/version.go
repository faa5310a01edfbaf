package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

var (
	// newestAPI is the newest version whose fields the rules know.
	newestAPI = apiVersion{1, 56}
	// oldestAPI came with Docker 19.03.
	oldestAPI = apiVersion{1, 40}
)

// apiVersion is a version of the Engine API: two numbers, ordered as such
// (1.9 is before 1.10).
type apiVersion struct{ major, minor int }

func (v apiVersion) String() string { return strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor) }

func (v apiVersion) before(w apiVersion) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

// parseAPIVersion reads two numbers as they are commonly written, of four digits
// at most.
func parseAPIVersion(s string) (apiVersion, bool) {
	before, after, _ := strings.Cut(s, ".")
	major, ok := parseVersionPart(before)
	if !ok {
		return apiVersion{}, false
	}
	minor, ok := parseVersionPart(after)
	return apiVersion{major, minor}, ok
}

func parseVersionPart(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n <= 9999 && strconv.Itoa(n) == s
}

// parsePin reads DOCKER_API_VERSION; nil means that nothing is pinned. A
// leading v is let be, as docker's client does.
func parsePin(s string) (*apiVersion, error) {
	if s == "" {
		return nil, nil
	}
	const hint = "Unset DOCKER_API_VERSION; the version is then agreed on with the engine."
	v, ok := parseAPIVersion(strings.TrimPrefix(s, "v"))
	if !ok {
		return nil, &Error{Message: fmt.Sprintf("DOCKER_API_VERSION is %q, which is not a version such as 1.41", s), hint: hint}
	}
	if v.before(oldestAPI) || newestAPI.before(v) {
		return nil, &Error{
			Message: fmt.Sprintf("DOCKER_API_VERSION is %s, and plimsoll speaks %s to %s", v, oldestAPI, newestAPI),
			hint:    hint,
		}
	}
	return &v, nil
}

// Pong is the engine's answer to a ping.
type Pong struct {
	// APIVersion is the newest version that the engine speaks.
	APIVersion string
	// OSType is what its containers run on: "linux" or "windows". Empty if it
	// did not say.
	OSType string
}

// Ping asks whether an engine is there, in any version. What answers but is
// not an engine is an error.
func (c *Client) Ping(ctx context.Context) (Pong, error) {
	r := request{path: "/_ping", limit: 4 << 10}
	head, body, err := c.fetch(ctx, r)
	if err != nil {
		return Pong{}, err
	}
	// The body is OK in every engine; the header is what other services lack.
	pong := Pong{APIVersion: head.Get("Api-Version"), OSType: printable(head.Get("Ostype"), 20)}
	if _, ok := parseAPIVersion(pong.APIVersion); !ok || strings.TrimSpace(string(body)) != "OK" {
		return Pong{}, c.notAnEngine(r, fmt.Errorf("Api-Version %q, %s", printable(pong.APIVersion, 20), excerpt(body)))
	}
	return pong, nil
}

// Version is the engine's answer to /version, as it was when this client first
// asked for it.
func (c *Client) Version(ctx context.Context) (json.RawMessage, error) {
	a, err := c.agree(ctx)
	if err == nil && a.version == nil {
		a, err = c.confirm(ctx)
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(a.version), nil
}

// agree settles the version on the first call of all. Calls side by side wait
// for one of them to do so; a failure is not remembered.
//
// A ping mostly does: an engine takes the newest version that it speaks. Only
// where that is not the one to use, the answer to /version must tell whether
// an older one is taken. That answer costs an engine more than any other, for
// it starts programs to ask them for their versions.
func (c *Client) agree(ctx context.Context) (*agreement, error) {
	if a := c.agreed.Load(); a != nil {
		return a, nil
	}
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer c.passTurn()
	if a := c.agreed.Load(); a != nil {
		return a, nil
	}
	pong, err := c.Ping(ctx)
	if err != nil {
		return nil, err
	}
	var a *agreement
	if api, ok := c.newestOfBoth(pong); ok {
		a = &agreement{api: api}
	} else if a, err = c.askVersion(ctx); err != nil {
		return nil, err
	}
	c.agreed.Store(a)
	return a, nil
}

// confirm asks for /version where the ping was enough to agree, once. What it
// says must fit: requests are already made in the version that was agreed on.
func (c *Client) confirm(ctx context.Context) (*agreement, error) {
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer c.passTurn()
	before := c.agreed.Load()
	if before.version != nil {
		return before, nil
	}
	a, err := c.askVersion(ctx)
	if err != nil {
		return nil, err
	}
	if a.api != before.api {
		return nil, c.notAnEngine(versionRequest, fmt.Errorf("it speaks API %s in one answer and %s in another", before.api, a.api))
	}
	c.agreed.Store(a)
	return a, nil
}

// takeTurn waits until nobody else agrees with the engine; passTurn must
// follow.
func (c *Client) takeTurn(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("agreeing with the engine on an API version: %w", ctx.Err())
	}
}

func (c *Client) passTurn() { <-c.turn }

// newestOfBoth is the engine's newest version when that is the one to use: we
// speak it, and no other is pinned.
func (c *Client) newestOfBoth(pong Pong) (apiVersion, bool) {
	server, ok := parseAPIVersion(pong.APIVersion)
	spoken := ok && !server.before(oldestAPI) && !newestAPI.before(server)
	return server, spoken && (c.pin == nil || *c.pin == server)
}

var versionRequest = request{path: "/version", limit: 1 << 20}

// askVersion agrees on a version by the answer to /version.
func (c *Client) askVersion(ctx context.Context) (*agreement, error) {
	raw, err := c.object(ctx, versionRequest)
	if err != nil {
		return nil, err
	}
	api, err := c.choose(versionRequest, raw)
	if err != nil {
		return nil, err
	}
	return &agreement{api: api, version: raw}, nil
}

// choose picks the newest version that both sides speak, or the pinned one.
func (c *Client) choose(r request, raw json.RawMessage) (apiVersion, error) {
	var said struct {
		Version       string
		APIVersion    string `json:"ApiVersion"`
		MinAPIVersion string
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return apiVersion{}, c.notAnEngine(r, err)
	}
	server, ok := parseAPIVersion(said.APIVersion)
	if !ok {
		return apiVersion{}, c.notAnEngine(r, fmt.Errorf("its ApiVersion is %q", printable(said.APIVersion, 40)))
	}
	// An engine that names no minimum takes every version.
	var least apiVersion
	if said.MinAPIVersion != "" {
		if least, ok = parseAPIVersion(said.MinAPIVersion); !ok {
			return apiVersion{}, c.notAnEngine(r, fmt.Errorf("its MinAPIVersion is %q", printable(said.MinAPIVersion, 40)))
		}
	}
	engine := fmt.Sprintf("the engine at %s (Docker %s)", c.endpoint.Address, printable(said.Version, 40))
	switch {
	case server.before(oldestAPI):
		return apiVersion{}, &Error{
			Message: fmt.Sprintf("%s is too old: it speaks API %s, and plimsoll needs %s", engine, server, oldestAPI),
			hint: "Older answers lack settings that the rules judge, so the verdict would not be true.\n" +
				"Upgrade the engine to Docker 19.03 or newer.",
		}
	case newestAPI.before(least):
		return apiVersion{}, &Error{
			Message: fmt.Sprintf("%s is too new: it takes API %s and above, and plimsoll speaks up to %s", engine, least, newestAPI),
			hint:    "Upgrade plimsoll. Older versions can be allowed by \"min-api-version\" in the engine's daemon.json.",
		}
	case c.pin == nil && newestAPI.before(server):
		return newestAPI, nil
	case c.pin == nil:
		return server, nil
	case server.before(*c.pin) || c.pin.before(least):
		return apiVersion{}, &Error{
			Message: fmt.Sprintf("DOCKER_API_VERSION is %s, and %s speaks only %s to %s", c.pin, engine, later(least, oldestAPI), server),
			hint:    "Unset DOCKER_API_VERSION; the version is then agreed on with the engine.",
		}
	}
	return *c.pin, nil
}

func later(a, b apiVersion) apiVersion {
	if a.before(b) {
		return b
	}
	return a
}

// notAnEngine is the error for an answer that no engine gives.
func (c *Client) notAnEngine(r request, cause error) error {
	return &Error{
		Message: fmt.Sprintf("what answers at %s is not a Docker engine", c.endpoint.Address),
		Err:     fmt.Errorf("%s: %w", r, cause),
		hint:    "Something else listens there. " + c.origin() + "\nName the engine:\n  plimsoll audit --host unix://" + defaultSocket,
	}
}
