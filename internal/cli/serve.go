package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/serve"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/rules"
)

// serveCommand is plimsoll serve.
func (a *app) serveCommand() *cobra.Command {
	var dir string
	var check bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Record in the trail what happens on this host, until it is stopped",
		Long: `serve follows the engine and records each deployment, start, stop, exec, removal
and so on in the trail, and what the rules say of each container that starts.
What happened while it was away it finds by what is different, and says so.

It only looks: it changes nothing in the engine, and whether it runs or not,
containers go on. Who did something the engine does not tell; where a gate
stands before the engine (plimsoll gate), its trail does.`,
		Example: `  plimsoll serve
  plimsoll serve --rules ./my-rules --check`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			set, err := loadRules(rule.Load, fs.FS(rules.Files), dir)
			if err != nil {
				return err
			}
			client, _, err := a.client(ctx)
			if err != nil {
				return err
			}
			defer client.Close()
			if check {
				return a.print("The configuration and the rules are right.\n")
			}
			return a.serve(ctx, client, set)
		},
	}
	c.Flags().StringVar(&dir, "rules", "", "`DIR` with rules of your own")
	c.Flags().BoolVar(&check, "check", false, "only check configuration and rules")
	return c
}

// hostName names what belongs to this host.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "host"
	}
	return name
}

func (a *app) serve(ctx context.Context, client *engine.Client, set *rule.Set) error {
	key, err := a.envKey(ctx)
	if err != nil {
		return err
	}
	// What cannot be told of a container around is taken for none.
	home, _ := workload.FindHome("/")
	judge, err := serve.Judging(collect.Config{Client: client, Now: a.world.Now, EnvKey: key, Root: "/", Home: home}, set)
	if err != nil {
		return &failure{code: exitUnable, message: "the rules can't be used", err: err}
	}
	asked := &serve.Asked{Dir: filepath.Join(a.state, gate.TrailFolder), Now: a.world.Now, Log: func(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) }}
	err = serve.Run(ctx, serve.RunConfig{
		Trail: trail.Config{Dir: a.trailDir(), Name: hostName(), Now: a.world.Now},
		Watch: serve.Config{Client: client, Now: a.world.Now, Judge: judge, Who: asked.Name, Log: func(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) }},
	})
	switch {
	case ctx.Err() != nil:
		return nil // it was asked to stop
	case errors.Is(err, trail.ErrLocked):
		return &failure{code: exitUnable, message: "another plimsoll serve records in " + a.trailDir(), hint: "End it first, or give this one a folder of its own with  --state DIR", err: err}
	case errors.Is(err, fs.ErrPermission):
		return &failure{code: exitUnable, message: "the trail in " + a.trailDir() + " can't be written", hint: "Run it as root, or name another folder with  --state DIR", err: err}
	}
	if corrupt := new(trail.CorruptError); errors.As(err, &corrupt) {
		return a.noTrail(err)
	}
	return &failure{code: exitUnable, message: "the engine can't be followed any more", err: err}
}
