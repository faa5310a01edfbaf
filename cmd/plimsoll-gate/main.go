// Command plimsoll-gate stands before a Docker engine's socket. It is the command
// "plimsoll gate" alone: see package gate.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/systemd"
	"github.com/plimsoll/plimsoll/internal/term"
)

// The exit codes of plimsoll.
const (
	exitUsage  = 2
	exitUnable = 3
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var c gate.Command
	flags := flag.NewFlagSet("plimsoll-gate", flag.ContinueOnError)
	flags.StringVar(&c.Listen, "listen", gate.DefaultListen, "`URL` of the socket that clients connect to; fd:// takes it from systemd")
	flags.StringVar(&c.Upstream, "upstream", gate.DefaultUpstream, "`URL` of the engine's own socket")
	flags.StringVar(&c.Mode, "mode", "", "`MODE`: observe or enforce (default what the policy says, else observe)")
	flags.StringVar(&c.Policy, "policy", "", "policy `FILE`; it is read again at SIGHUP")
	flags.StringVar(&c.Rules, "rules", "", "`DIR` with rules of your own")
	flags.StringVar(&c.Group, "group", gate.DefaultGroup, "`GROUP` that may connect, beside root")
	flags.StringVar(&c.State, "state", "/var/lib/plimsoll", "`DIR` that the trail is in")
	check := flags.Bool("check", false, "only check policy and rules")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), `plimsoll-gate stands before a Docker engine's socket: it refuses what the rules
forbid, and records who asked for what. docs/gate.md says how.

Examples:
  plimsoll-gate
  plimsoll-gate --mode enforce --policy /etc/plimsoll/policy.yaml
  DOCKER_HOST=%s docker run --rm alpine true

Flags:
`, gate.DefaultListen)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "plimsoll-gate: %q is no flag\n", term.Escape(flags.Arg(0)))
		return exitUsage
	}
	if *check {
		return report(c.Check())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hangups, reload := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			select {
			case reload <- struct{}{}:
			default: // one waits already
			}
		}
	}()
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	return report(c.Run(ctx, gate.World{Now: time.Now, Host: host, Reload: reload, Systemd: systemd.Env{Getenv: os.Getenv, PID: os.Getpid()},
		Log: func(format string, args ...any) { fmt.Fprintln(os.Stderr, term.Escape(fmt.Sprintf(format, args...))) }}))
}

// report prints what went wrong, and gives the exit code.
func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "plimsoll-gate:", term.Escape(err.Error()))
	f := new(gate.Failure)
	if !errors.As(err, &f) {
		return exitUnable
	}
	if f.Hint != "" {
		fmt.Fprintln(os.Stderr, f.Hint)
	}
	if f.Usage {
		return exitUsage
	}
	return exitUnable
}
