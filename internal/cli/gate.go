package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/systemd"
)

// gateCommand is plimsoll gate.
func (a *app) gateCommand() *cobra.Command {
	o := &gate.Command{}
	var check bool
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
the mode enforce the client is told which rule, why, and what to change.

The program plimsoll-gate is this command alone, and small.`,
		Example: `  plimsoll gate
  plimsoll gate --mode enforce --policy /etc/plimsoll/policy.yaml
  plimsoll gate --listen tcp://0.0.0.0:2376 --tlscert cert.pem --tlskey key.pem --tlscacert ca.pem
  DOCKER_HOST=unix:///run/plimsoll/docker.sock docker run --rm alpine true
  plimsoll gate install
  plimsoll gate status`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			o.State = a.state
			if check {
				if err := gateFailed(o.Check()); err != nil {
					return err
				}
				return a.print("The policy and the rules are right.\n")
			}
			return a.gate(c.Context(), o)
		},
	}
	c.Flags().StringArrayVar(&o.Listen, "listen", []string{gate.DefaultListen}, gate.ListenHelp)
	c.Flags().StringVar(&o.Upstream, "upstream", gate.DefaultUpstream, "`URL` of the engine's own socket")
	c.Flags().StringVar(&o.TLS.Cert, "tlscert", "", "`FILE` with the gate's certificate, for TCP")
	c.Flags().StringVar(&o.TLS.Key, "tlskey", "", "`FILE` with its key")
	c.Flags().StringVar(&o.TLS.Authorities, "tlscacert", "", "`FILE` with the authorities of clients")
	c.Flags().StringVar(&o.Mode, "mode", "", "`MODE`: observe or enforce (default what the policy says, else observe)")
	c.Flags().StringVar(&o.Policy, "policy", "", "policy `FILE`; it is read again at SIGHUP")
	c.Flags().StringVar(&o.Rules, "rules", "", "`DIR` with rules of your own")
	c.Flags().StringVar(&o.Group, "group", gate.DefaultGroup, "`GROUP` that may connect, beside root")
	c.Flags().BoolVar(&check, "check", false, "only check policy and rules")
	c.AddCommand(a.gateStatusCommand(), a.gateInstallCommand(), a.gateEnforceCommand(), a.gateObserveCommand(), a.gateUninstallCommand())
	return c
}

func (a *app) gate(ctx context.Context, o *gate.Command) error {
	return gateFailed(o.Run(ctx, gate.World{Now: a.world.Now, Host: hostName(), Reload: a.world.hangups(), Systemd: systemd.Env{Getenv: a.world.Getenv, PID: os.Getpid()},
		Log: func(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) }}))
}

// gateFailed gives a gate's failure its exit code.
func gateFailed(err error) error {
	f := new(gate.Failure)
	if !errors.As(err, &f) {
		return err
	}
	code := exitUnable
	if f.Usage {
		code = exitUsage
	}
	return &failure{code: code, message: f.Message, hint: f.Hint, err: f.Err}
}

// hostName names what belongs to this host.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "host"
	}
	return name
}
