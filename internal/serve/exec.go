package serve

import (
	"context"
	"errors"
	"strings"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// exec records a command that somebody started in a container; not one of its health
// check, which is known by its command, its user and that it has no input.
func (w *watcher) exec(ctx context.Context, c *container, e *event, id string) error {
	said := w.inspectExec(ctx, id)
	if c.now.probe != "" && e.about == c.now.probe {
		if said == nil || !said.OpenStdin && !said.ProcessConfig.Tty && !said.ProcessConfig.Privileged && said.ProcessConfig.User == c.now.user {
			return nil
		}
	}
	d := detail{}
	d.put("command", text(strings.TrimSpace(e.about)))
	if said != nil {
		d.put("user", trail.Clip(said.ProcessConfig.User, maxName))
		d.flag("privileged", said.ProcessConfig.Privileged)
	}
	return w.tell(ctx, trail.Exec, e, c.subject(), d)
}

type execLook struct {
	OpenStdin     bool
	ProcessConfig struct {
		Tty        bool   `json:"tty"`
		Privileged bool   `json:"privileged"`
		User       string `json:"user"`
	}
}

// inspectExec looks at an exec session, which the engine forgets some minutes after its
// end; nil is that it has.
func (w *watcher) inspectExec(ctx context.Context, id string) *execLook {
	if id == "" {
		return nil
	}
	raw, err := w.Client.ExecInspect(ctx, id)
	l := &execLook{}
	if err == nil {
		_, err = strict.Decode("the engine's answer about an exec session", raw, l)
	}
	if err != nil {
		if !errors.Is(err, engine.ErrNotFound) && ctx.Err() == nil {
			w.log("looking at an exec session: %v", err)
		}
		return nil
	}
	return l
}
