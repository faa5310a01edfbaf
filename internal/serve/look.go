package serve

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// The states of health that count; others are "starting" and "none".
const (
	healthy   = "healthy"
	unhealthy = "unhealthy"
)

// look is what an engine says of a container at one moment.
type look struct {
	ID      string `json:"Id"`
	Name    string
	Image   string // its id
	Created string
	State   struct {
		Running, Paused, OOMKilled, Restarting bool
		ExitCode                               int
		StartedAt, FinishedAt                  string
		Health                                 *struct{ Status string }
	}
	RestartCount int
	Config       struct {
		Image       string
		User        string
		Labels      map[string]string
		Shell       []string
		Healthcheck *struct{ Test []string }
	}
	HostConfig struct {
		Privileged    bool
		RestartPolicy struct{ Name string }
	}
}

func readLook(raw json.RawMessage) (*look, error) {
	l := &look{}
	if _, err := strict.Decode("the engine's inspect answer", raw, l); err != nil {
		return nil, err
	}
	l.Name = strings.TrimPrefix(l.Name, "/")
	return l, nil
}

// engineTime reads a time of the engine, whose year 1 is none.
func engineTime(s string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || at.Year() <= 1 {
		return time.Time{}
	}
	return at.UTC()
}

func (l *look) started() time.Time { return engineTime(l.State.StartedAt) }

// running: a container that waits to be restarted is called running by the engine.
func (l *look) running() bool { return l.State.Running && !l.State.Restarting }

func (l *look) health() string {
	if h := l.State.Health; h != nil && (h.Status == healthy || h.Status == unhealthy) {
		return h.Status
	}
	return ""
}

// probe is the command of the health check as the engine's event of it has it.
func (l *look) probe() string {
	if l.Config.Healthcheck == nil || len(l.Config.Healthcheck.Test) < 2 {
		return ""
	}
	words := l.Config.Healthcheck.Test[1:]
	switch l.Config.Healthcheck.Test[0] {
	case "CMD-SHELL":
		shell := l.Config.Shell
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		words = append(slices.Clone(shell), words[0])
	case "CMD":
	default:
		return ""
	}
	return words[0] + " " + strings.Join(words[1:], " ")
}

// engineAttributes are what the engine puts into events of containers by names that a
// label may have too.
var engineAttributes = []string{"exitCode", "signal", "execID", "imageID", "imageRef"}

func shadowed(labels map[string]string) map[string]bool {
	var out map[string]bool
	for _, name := range engineAttributes {
		if _, there := labels[name]; there {
			if out == nil {
				out = map[string]bool{}
			}
			out[name] = true
		}
	}
	return out
}

// note keeps what the picture has not and events need.
func (c *container) note(l *look) {
	c.now.noted = true
	c.now.policy, c.now.probe, c.now.user, c.now.shadowed = l.HostConfig.RestartPolicy.Name, l.probe(), l.Config.User, shadowed(l.Config.Labels)
}

// restarts says whether its policy has the engine start it again.
func (c *container) restarts() bool { return c.now.policy != "" && c.now.policy != "no" }

// inspect looks at a container. One that is gone, or that the engine does not speak of
// in this moment, is nil.
func (w *watcher) inspect(ctx context.Context, id string) *look {
	raw, err := w.Client.ContainerInspect(ctx, id)
	var l *look
	if err == nil {
		l, err = readLook(raw)
	}
	if err != nil {
		if !errors.Is(err, engine.ErrNotFound) && ctx.Err() == nil {
			w.log("looking at the container %s: %v", trail.Clip(id, 12), err)
		}
		return nil
	}
	return l
}
