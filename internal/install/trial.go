package install

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// try asks through the gate what a client would, and compares with the engine's own answer.
func (h *Host) try(ctx context.Context, r *Record) error {
	if err := h.trial(ctx, r); err != nil {
		return h.withLog(ctx, fmt.Errorf("a trial request failed: %w", err))
	}
	policy, err := os.ReadFile(h.at(r.Policy))
	if err != nil {
		return fmt.Errorf("reading the policy: %w", err)
	}
	mode, err := h.Standing(ctx, digest(policy))
	if err != nil {
		return h.withLog(ctx, err)
	}
	h.say("the gate stands, in the mode %s", mode)
	return nil
}

func (h *Host) trial(ctx context.Context, r *Record) error {
	// What tells nothing but who answers.
	direct, err := h.ask(ctx, EngineSocket, http.MethodGet, "/version", http.StatusOK)
	if err != nil {
		return fmt.Errorf("the engine: %w", err)
	}
	through, err := h.ask(ctx, r.Socket, http.MethodGet, "/version", http.StatusOK)
	if err != nil {
		return err
	}
	if !bytes.Equal(direct, through) {
		return fmt.Errorf("the engine's version is another through the gate: %.200q", through)
	}
	// What is judged and recorded, and of which nothing comes.
	const none = "plimsoll-gate-trial"
	body, err := h.ask(ctx, r.Socket, http.MethodPost, "/containers/"+none+"/unpause", http.StatusNotFound)
	if err != nil {
		return err
	}
	var said struct{ Message string }
	if err := json.Unmarshal(body, &said); err != nil {
		return fmt.Errorf("the engine's answer through the gate can't be read: %.200q", body)
	}
	return nil
}

// trialPatience is how long one request may take.
const trialPatience = 20 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// ask makes one request at a socket, and gives the body of the answer that is wanted.
func (h *Host) ask(ctx context.Context, socket, method, path string, want int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", h.at(socket))
	}}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if res.StatusCode != want {
		return nil, fmt.Errorf("%s: the answer is %s, not %d: %.200q", path, res.Status, want, body)
	}
	return body, nil
}
