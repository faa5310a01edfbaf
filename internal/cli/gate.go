package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/accounts"
	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/rules"
)

type gateOptions struct {
	listen, upstream, mode, policy, rules, group string
	check                                        bool
}

// gateCommand is plimsoll gate.
func (a *app) gateCommand() *cobra.Command {
	o := &gateOptions{}
	c := &cobra.Command{
		Use:   "gate",
		Short: "Stand before the engine's socket: refuse what the rules forbid, record who asked",
		Long: `gate listens on a socket and passes what comes on to the engine. Docker's client
and all others talk to it as to the engine itself.

Each container that somebody creates, starts or runs a command in is judged by
the rules that audit judges running containers by, twice: the request, and what
the engine made of it. Whatever changes something is recorded in the gate's
trail with who asked, before it is passed on.

In the mode observe nothing is refused: what would have been is recorded. In
the mode enforce the client is told which rule, why, and what to change.`,
		Example: `  plimsoll gate --upstream unix:///var/run/docker.sock --listen unix:///run/plimsoll/docker.sock
  plimsoll gate --mode enforce --policy /etc/plimsoll/policy.yaml
  DOCKER_HOST=unix:///run/plimsoll/docker.sock docker run --rm alpine true`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return a.gate(c.Context(), o) },
	}
	c.Flags().StringVar(&o.listen, "listen", "unix:///run/plimsoll/docker.sock", "`URL` of the socket that clients connect to")
	c.Flags().StringVar(&o.upstream, "upstream", "unix:///var/run/docker.sock", "`URL` of the engine's own socket")
	c.Flags().StringVar(&o.mode, "mode", "", "observe or enforce; without it what the policy says, else observe")
	c.Flags().StringVar(&o.policy, "policy", "", "policy `FILE`; it is read again at SIGHUP")
	c.Flags().StringVar(&o.rules, "rules", "", "`DIR` with rules of your own")
	c.Flags().StringVar(&o.group, "group", "docker", "`GROUP` that may connect, beside root")
	c.Flags().BoolVar(&o.check, "check", false, "only check policy and rules")
	return c
}

func (a *app) gate(ctx context.Context, o *gateOptions) error {
	listen, err := socketPath("--listen", o.listen)
	if err != nil {
		return err
	}
	upstream, err := socketPath("--upstream", o.upstream)
	if err != nil {
		return err
	}
	mode := gate.Mode(o.mode)
	if mode != "" && mode != gate.Observe && mode != gate.Enforce {
		return &failure{code: exitUsage, message: fmt.Sprintf("--mode is %q", o.mode), hint: "Say  --mode observe  or  --mode enforce"}
	}
	set, err := loadRules(rule.LoadToJudge, rules.Packed, o.rules)
	if err != nil {
		return err
	}
	groups := groupNamed()
	c := gate.RunConfig{
		Listen: listen, Group: -1, Rules: set, PolicyFile: o.policy,
		Trail: trail.Config{Dir: a.gateTrailDir(), Name: hostName() + "-gate", Now: a.world.Now},
		Ready: func() { a.note("listening on " + o.listen) },
	}
	if o.check {
		if o.policy != "" {
			data, err := os.ReadFile(o.policy)
			if err == nil {
				_, err = gate.ReadPolicy(o.policy, data, set)
			}
			if err != nil {
				return a.gateFailed(o, err)
			}
		}
		return a.print("The policy and the rules are right.\n")
	}
	if gid, found := groups(o.group); found {
		c.Group = int(gid)
	} else if o.group != "docker" {
		return &failure{code: exitUsage, message: "there is no group " + o.group, hint: "Name another with  --group GROUP"}
	}
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: "unix://" + upstream, Source: "--upstream"}})
	if err != nil {
		return err
	}
	defer client.Close()
	home, _ := workload.FindHome("/")
	c.Reload = a.world.hangups()
	c.Config = gate.Config{
		Engine: upstream, Mode: mode, Now: a.world.Now, Groups: groups,
		Around: collect.Config{Client: client, Now: a.world.Now, Root: "/", Home: home},
		Log:    func(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) },
	}
	if err := gate.Run(ctx, c); err != nil && ctx.Err() == nil {
		return a.gateFailed(o, err)
	}
	return nil
}

// groupNamed finds groups of this host by their names, by the files.
func groupNamed() func(string) (uint32, bool) {
	data, err := os.ReadFile("/etc/group")
	if err != nil {
		data = nil // nobody is in a group by name, then
	}
	book := accounts.Read(nil, data)
	return func(name string) (uint32, bool) {
		g, found := book.GroupNamed(name)
		return g.GID, found
	}
}

// gateFailed says what to do about a gate that can't stand.
func (a *app) gateFailed(o *gateOptions, err error) error {
	wrong, far := new(strict.Error), new(engine.Error)
	switch {
	case errors.As(err, &wrong):
		return &failure{code: exitUsage, message: "the policy is not right", err: err}
	case errors.As(err, &far):
		return err
	case errors.Is(err, gate.ErrListening):
		return &failure{code: exitUnable, message: "another process listens on " + o.listen, hint: "End it first, or name another socket with  --listen unix:///PATH", err: err}
	case errors.Is(err, trail.ErrLocked):
		return &failure{code: exitUnable, message: "another gate records in " + a.gateTrailDir(), hint: "End it first, or give this one a folder of its own with  --state DIR", err: err}
	case errors.Is(err, fs.ErrPermission):
		return &failure{code: exitUnable, message: "the gate can't stand here", hint: "Run it as root, or name folders of your own with  --state DIR  and  --listen", err: err}
	}
	return &failure{code: exitUnable, message: "the gate can't stand", err: err}
}

// gateTrailDir is the folder of the gate's own trail: a trail has one writer, and plimsoll
// serve is another.
func (a *app) gateTrailDir() string { return filepath.Join(a.state, "gate") }

// socketPath is the path in unix:///PATH.
func socketPath(flag, url string) (string, error) {
	path, ok := strings.CutPrefix(url, "unix://")
	if !ok || !filepath.IsAbs(path) {
		return "", &failure{code: exitUsage, message: fmt.Sprintf("%s is %q", flag, url), hint: "Name a socket, such as  unix:///run/plimsoll/docker.sock"}
	}
	return filepath.Clean(path), nil
}
