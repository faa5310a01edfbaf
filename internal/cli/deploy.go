package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/deploy"
	"github.com/plimsoll/plimsoll/internal/engine"
)

// deployCommand is plimsoll deploy.
func (a *app) deployCommand() *cobra.Command {
	var say declare.Said
	c := &cobra.Command{
		Use:   "deploy -- COMMAND ...",
		Short: "Run what deploys, and have what it deploys say whose it is and why",
		Long: `deploy runs a command (docker, docker compose, a script) with DOCKER_HOST set to
a socket of its own. What that asks goes on to the engine as it is, but each
container and service that it makes gets labels: plimsoll.owner, plimsoll.why,
and what else is said or known. plimsoll inventory shows them.

Owner and why may be left out where continuous integration tells them: GitLab,
GitHub Actions, Jenkins and others by their variables. These, or Git in the
working folder, tell the commit, the repository and the run.

A flag counts more than a label that the command itself sets, as from a compose
file; that counts more than what is known otherwise.

The exit code is the command's own, 128 and the number of a signal that ended
it; 2 wrong usage, 3 it could not be run.`,
		Example: `  plimsoll deploy --owner team-shop --why "release 4.18" -- docker compose up -d
  plimsoll deploy --owner ana --why "find the leak" --retire-after 2d -- docker run -it debian:13
  plimsoll deploy -- ./release.sh        # in continuous integration
  plimsoll deploy -v --host ssh://harbour-1 --owner ops --why upgrade -- docker stack deploy -c shop.yml shop`,
		RunE: func(c *cobra.Command, args []string) error {
			if c.ArgsLenAtDash() != 0 || len(args) == 0 {
				return &failure{code: exitUsage, message: "deploy runs a command, given after --", hint: "For example\n  plimsoll deploy --owner team-shop --why \"release 4.18\" -- docker compose up -d"}
			}
			return a.deploy(c.Context(), say, args)
		},
	}
	c.Flags().StringVar(&say.Owner, "owner", "", "the `NAME` of who owns it")
	c.Flags().StringVar(&say.Why, "why", "", "why it is deployed, as `TEXT`")
	c.Flags().StringVar(&say.Intent, "intent", "", "what it is for, as `TEXT`")
	c.Flags().StringVar(&say.RetireAfter, "retire-after", "", "when it should be gone, as `TIME`: a date, 12h, 30d or 6w")
	return c
}

func (a *app) deploy(ctx context.Context, said declare.Said, command []string) error {
	saying, err := a.saying(ctx, said)
	if err != nil {
		return err
	}
	endpoint, err := a.endpoint(ctx)
	if err != nil {
		return err
	}
	dialer, err := await(ctx, func() (*engine.Dialer, error) { return engine.NewDialer(engine.Config{Endpoint: endpoint}) })
	if err != nil {
		return err
	}
	if labels := saying.All().Labels(); a.verbose {
		for _, name := range declare.Names() {
			if text := labels[name]; text != "" {
				a.note(fmt.Sprintf("%-22s %s", name, text))
			}
		}
	}
	cfg := deploy.Config{Command: command, Dir: a.world.Dir, Stdin: a.world.Stdin, Stdout: a.world.Stdout, Stderr: a.world.Stderr,
		Saying: saying, Dialer: dialer, At: endpoint.Address + ", from " + endpoint.Source,
		Folders: []string{a.world.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), "/tmp"}, Now: a.world.Now,
		Log: func(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) }}
	if a.world.Environ != nil {
		cfg.Environ = a.world.Environ()
	}
	if a.world.Signals != nil {
		signals, stop := a.world.Signals()
		defer stop()
		cfg.Signals = signals
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// Signals are the command's from here on.
	r, err := deploy.Run(context.WithoutCancel(ctx), cfg)
	switch {
	case errors.Is(err, deploy.ErrNotStarted):
		return &failure{code: exitUnable, message: fmt.Sprintf("%s can't be run", command[0]), hint: "Give the command as you would without plimsoll, after --", err: err}
	case err != nil:
		return &failure{code: exitUnable, message: "the command can't be served", hint: "Set XDG_RUNTIME_DIR or TMPDIR to a folder that may be written, with a short path", err: err}
	}
	a.deployed(r, command[0])
	if r.Code != 0 {
		return endedWith(r.Code)
	}
	return nil
}

// deployed tells what was declared, and that nothing could be.
func (a *app) deployed(r deploy.Result, command string) {
	switch {
	case r.Requests == 0 && r.Code == 0:
		a.note(fmt.Sprintf("plimsoll: %s asked this engine nothing, so nothing was declared. Does it name an engine itself, or set DOCKER_HOST anew (sudo does)?", command))
	case a.verbose:
		var what []string
		for _, kind := range []struct {
			n         int64
			one, many string
		}{{r.Containers, "container", "containers"}, {r.Services, "service", "services"}, {r.Updates, "update of a service", "updates of services"}} {
			switch kind.n {
			case 0:
			case 1:
				what = append(what, "1 "+kind.one)
			default:
				what = append(what, fmt.Sprintf("%d %s", kind.n, kind.many))
			}
		}
		a.note("declared: " + cmp.Or(strings.Join(what, ", "), "nothing"))
	}
}

// saying is what is declared: by flags, by continuous integration, by Git.
func (a *app) saying(ctx context.Context, said declare.Said) (declare.Saying, error) {
	s := declare.Saying{Said: said, Known: declare.FromCI(a.world.Getenv)}
	if said.RetireAfter != "" {
		if s.Said.RetireAfter = declare.RetireAfter(strings.TrimSpace(said.RetireAfter), a.world.Now()); s.Said.RetireAfter == "" {
			return s, &failure{code: exitUsage, message: "--retire-after " + said.RetireAfter + " is no time", hint: "Give a date such as 2027-01-31, or 12h, 30d or 6w from now."}
		}
	}
	all := s.All().Labels()
	var missing []string
	for _, flag := range []struct{ label, usage string }{{declare.LabelOwner, "--owner NAME"}, {declare.LabelWhy, "--why TEXT"}} {
		if all[flag.label] == "" {
			missing = append(missing, flag.usage)
		}
	}
	if len(missing) > 0 {
		return s, &failure{code: exitUsage, message: "what is deployed must have an owner and a reason", hint: "Add  " + strings.Join(missing, "  ")}
	}
	if s.Known.Commit == "" || s.Known.Repository == "" {
		var environ []string
		if a.world.Environ != nil {
			environ = a.world.Environ()
		}
		git := deploy.FromGit(ctx, environ, a.world.Dir)
		// What continuous integration says of its commit stands, and what it has checked out
		// may be another's.
		if s.Known.Commit == "" || s.Known.Commit == strings.TrimSuffix(strings.TrimSuffix(git.Commit, "-dirty"), "-maybe") {
			s.Known = s.Known.Or(git)
		}
	}
	return s, ctx.Err()
}
