package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/install"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

const defaultPolicy = "/etc/plimsoll/policy.yaml"

func (a *app) gateInstallCommand() *cobra.Command {
	var policy string
	var dry bool
	c := &cobra.Command{
		Use:   "install",
		Short: "Make the gate a part of this host, before the engine's socket; it only observes",
		Long: `install puts the gate between clients and the engine, on a host where systemd
makes the engine's socket (docker.socket). Clients go on as before: the gate's
socket has the old one's path, owner, group and mode. The engine's own gets another
path, which only root and the gate's user may reach. Engine and containers
go on running.

Then it tries requests through the gate. If one fails, or anything before, all is
put back as it was. The gate begins in the mode observe: nothing is refused, and
plimsoll gate status  says what would have been.

docs/gate.md says what is changed, and how root gets past the gate.`,
		Example: `  plimsoll gate install --dry-run
  plimsoll gate install
  plimsoll gate status
  plimsoll gate enforce`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := a.installHost(policy)
			if err != nil {
				return err
			}
			plan, err := h.Look(c.Context())
			if err != nil {
				return installFailed(err)
			}
			if dry {
				var b strings.Builder
				if err := plan.Print(&b); err != nil {
					return err
				}
				lines := strings.SplitAfter(b.String(), "\n")
				for i, line := range lines {
					text, end := strings.CutSuffix(line, "\n")
					if lines[i] = a.stdout.Escape(text); end {
						lines[i] += "\n"
					}
				}
				return a.print(strings.Join(lines, ""))
			}
			for _, note := range plan.Notes {
				a.note("note: " + note)
			}
			if err := h.Install(c.Context(), plan); err != nil {
				return a.interrupted(c.Context(), installFailed(err))
			}
			return a.print("The gate stands before the engine. See what it would refuse with\n  plimsoll gate status\nLet it refuse with\n  plimsoll gate enforce\nTake it away with\n  plimsoll gate uninstall\n")
		},
	}
	c.Flags().StringVar(&policy, "policy", defaultPolicy, "policy `FILE`; it is written where there is none")
	c.Flags().BoolVar(&dry, "dry-run", false, "only print what would be done, and the files")
	return c
}

func (a *app) gateUninstallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "Take the gate away from this host: everything is as it was before",
		Long: `uninstall puts back what install has changed, whether the gate runs or not, and
also where an install was cut off. The engine and its containers go on running;
what clients have open through the gate ends. The gate's trail stays.`,
		Example: "  plimsoll gate uninstall",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := a.installHost("")
			if err != nil {
				return err
			}
			if err := h.Uninstall(c.Context()); err != nil {
				return a.interrupted(c.Context(), installFailed(err))
			}
			return a.print("The gate is gone, and the engine's socket is where it was.\n")
		},
	}
}

func (a *app) gateEnforceCommand() *cobra.Command {
	var yes bool
	var since string
	c := &cobra.Command{
		Use:   "enforce",
		Short: "Have an installed gate refuse, after a look at what that would have been",
		Long: `enforce shows what the gate would have refused of whom, asks, and writes the mode
enforce into the policy. The gate reads it at once; connections stay. The way
back is  plimsoll gate observe.`,
		Example: `  plimsoll gate enforce
  plimsoll gate enforce --since 30d
  plimsoll gate enforce --yes`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			from, err := parseMoment("--since", since, a.world.Now())
			if err != nil {
				return err
			}
			return a.gateEnforce(c.Context(), from, yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().StringVar(&since, "since", "7d", "`TIME` from which on to look: a date, a time, or how long ago")
	return c
}

func (a *app) gateObserveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "observe",
		Short: "Have an installed gate refuse nothing any more, and go on recording",
		Long: `observe writes the mode observe into the policy, and has the gate read it: from
then on nothing is refused, and what would have been is recorded.`,
		Example: "  plimsoll gate observe",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := a.installHost("")
			if err != nil {
				return err
			}
			if err := h.SetMode(c.Context(), "observe"); err != nil {
				return a.interrupted(c.Context(), installFailed(err))
			}
			return a.print("The gate observes: nothing is refused.\n")
		},
	}
}

func (a *app) gateEnforce(ctx context.Context, from time.Time, yes bool) error {
	h, err := a.installHost("")
	if err != nil {
		return err
	}
	if _, err := h.ReadRecord(); err != nil {
		return installFailed(err)
	}
	a.ofGate = true
	s, err := a.gateStatus(from)
	if err != nil {
		return err
	}
	if err := a.print(a.gateStatusTable(s)); err != nil {
		return err
	}
	if s.Standing && s.Mode == "enforce" {
		return nil
	}
	would := 0
	for _, c := range s.Clients {
		would += c.WouldRefuse
	}
	if !yes {
		if in, is := a.world.Stdin.(io.Writer); !is || !term.Detect(in, a.world.Getenv, true).Terminal {
			return &failure{code: exitUsage, message: "nobody can be asked: standard input is no terminal", hint: "Look at what is above, and then say  plimsoll gate enforce --yes"}
		}
		question := "\nNone of these requests would have been refused. Refuse such as the rules forbid from now on? [y/N] "
		if would > 0 {
			question = fmt.Sprintf("\n%d of these requests would have been refused. Refuse such from now on? [y/N] ", would)
		}
		if err := a.print(question); err != nil {
			return err
		}
		answer, err := a.answer(ctx)
		if err != nil {
			return err
		}
		if answer != "y" && answer != "yes" {
			return a.print("Nothing was changed.\n")
		}
	}
	if err := h.SetMode(ctx, "enforce"); err != nil {
		return a.interrupted(ctx, installFailed(err))
	}
	return a.print("The gate enforces. The way back is\n  plimsoll gate observe\n")
}

// answer reads one line of a terminal, or ends with ctx.
func (a *app) answer(ctx context.Context) (string, error) {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(io.LimitReader(a.world.Stdin, 64)).ReadString('\n')
		line <- strings.ToLower(strings.TrimSpace(text))
	}()
	select {
	case text := <-line:
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// installHost is this host for package install. The gate's program is the one beside this.
func (a *app) installHost(policy string) (*install.Host, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, &failure{code: exitUnable, message: "it can't be told where this program is", err: err}
	}
	program := []string{self, "gate"}
	if beside := filepath.Join(filepath.Dir(self), "plimsoll-gate"); isFile(beside) {
		program = []string{beside}
	}
	state, err := filepath.Abs(a.state)
	if err != nil {
		return nil, &failure{code: exitUnable, message: "it can't be told where this is", err: err}
	}
	return &install.Host{Root: "/", State: state, Policy: policy, Program: program, UID: os.Geteuid(), Now: a.world.Now, Standing: a.gateStands,
		Say: func(text string) { a.note(text) }}, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// installFailed gives a failure of package install its exit code.
func installFailed(err error) error {
	f := new(install.Failure)
	if !errors.As(err, &f) {
		return err
	}
	return &failure{code: exitUnable, message: f.Message, hint: f.Hint, err: f.Err}
}

// interrupted is what a command has failed with that a signal has stopped: it says itself
// what is left.
func (a *app) interrupted(ctx context.Context, err error) error {
	f := new(failure)
	if ctx.Err() == nil || !errors.As(err, &f) {
		return err
	}
	told := *f
	told.code = exitSignal
	return &told
}

// standPatience is how long the gate may take to read its policy.
const standPatience = 20 * time.Second

// gateStands waits until the gate's trail says that it is ruled by a policy, and gives the
// mode. A policy that it refuses is an error.
func (a *app) gateStands(ctx context.Context, digest string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, standPatience)
	defer cancel()
	a.ofGate = true
	var last, refused string // of the last event about that policy
	var mode string
	for next := int64(0); ; {
		v, err := trail.Read(a.trailDir())
		if err != nil {
			return "", a.noTrail(err)
		}
		for r, err := range v.Events(next) {
			if err != nil {
				return "", a.noTrail(err)
			}
			e, err := r.Event()
			if err != nil {
				return "", a.noTrail(err)
			}
			next = e.Seq + 1
			if e.Type != "policy" {
				continue
			}
			text := func(name string) string { s, _ := e.Detail[name].(string); return s }
			last, mode, refused = text("digest"), text("mode"), text("refused")
		}
		switch {
		case last == digest && refused != "":
			return "", errors.New("the gate refuses the policy: " + refused)
		case last == digest:
			return mode, nil
		}
		select {
		case <-ctx.Done():
			return "", errors.New("the gate's trail does not say that it has read the policy")
		case <-time.After(100 * time.Millisecond):
		}
	}
}
