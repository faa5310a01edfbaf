// Package cli is the command line: a file a command, flags, exit codes and the
// words around results. It holds no knowledge of its own: it wires the packages
// that look, judge and print.
//
// [Main] is the program. [Run] is the same with its surroundings given, for
// tests. Results go to standard output, everything else to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/term"
)

// World is everything that the program takes from outside.
type World struct {
	Args   []string // without the program's name
	Getenv func(string) string
	// Environ is the whole environment, for a program that is run.
	Environ func() []string
	// LookupEnv tells an unset variable from an empty one.
	LookupEnv func(string) (string, bool)
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	Now       func() time.Time
	HomeDir   string // "" when there is none
	Dir       string // the working directory
	// Hangups has SIGHUP reported from then on, instead of ending the program. Nil: it
	// is not.
	Hangups func() <-chan struct{}
	// Executable is the path of the program's own file, "" when it is not known, and Become
	// has another program take its place (execve(2)).
	Executable string
	Become     func(path string, argv, environ []string) error
	// Signals has those that would end the program reported from then on until stop. Nil:
	// none is.
	Signals func() (signals <-chan os.Signal, stop func())
}

func (w *World) hangups() <-chan struct{} {
	if w.Hangups == nil {
		return nil
	}
	return w.Hangups()
}

// Main runs the program and ends it.
func Main() {
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = ""
	}
	executable, err := os.Executable()
	if err != nil {
		executable = ""
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the work in order, a second one the process.
	context.AfterFunc(ctx, stop)
	ctx, hangups := endedByHangup(ctx)
	code := Run(ctx, World{Args: os.Args[1:], Getenv: os.Getenv, Environ: os.Environ, LookupEnv: os.LookupEnv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Now: time.Now, HomeDir: home, Dir: dir, Executable: executable, Become: syscall.Exec, Hangups: hangups, Signals: func() (<-chan os.Signal, func()) {
			hangups()
			signals := make(chan os.Signal, 8)
			signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
			return signals, func() { signal.Stop(signals) }
		}})
	stop()
	os.Exit(code)
}

// endedByHangup is a context that SIGHUP ends too, until the function that it gives is
// called: from then on that reports it.
func endedByHangup(ctx context.Context) (context.Context, func() <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	signals, reported := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	var taken atomic.Bool
	go func() {
		for range signals {
			if !taken.Load() {
				// As with other signals, a second one ends the process.
				signal.Reset(syscall.SIGHUP)
				cancel()
				return
			}
			select {
			case reported <- struct{}{}:
			default: // one waits already
			}
		}
	}()
	return ctx, func() <-chan struct{} {
		taken.Store(true)
		return reported
	}
}

// Run runs one command line and gives its exit code: 0 fine, 1 findings at or
// above --fail-on, 2 wrong usage or input, 3 it could not be done, 130 ended by
// a signal; of a program that was run, that one's.
func Run(ctx context.Context, w World) int {
	a := &app{world: w}
	root := a.root()
	root.SetArgs(w.Args)
	root.SetIn(w.Stdin)
	help := &remembering{Writer: w.Stdout}
	root.SetOut(help)
	root.SetErr(w.Stderr)
	err := a.elsewhere(root)
	if errors.Is(err, errHere) {
		err = root.ExecuteContext(ctx)
	}
	if a.stderr == nil {
		a.streams()
	}
	if err == nil && help.err != nil {
		err = unwritten(help.err)
	}
	if code := endedWith(0); errors.As(err, &code) {
		return int(code)
	}
	// A report that is out already stands, with its own code; and some commands know what
	// a signal has left.
	told := new(failure)
	if ctx.Err() != nil && err != nil && !errors.Is(err, errFindings) && !(errors.As(err, &told) && told.code == exitSignal) {
		err = &failure{code: exitSignal, message: "ended by a signal; nothing was changed"}
	}
	return a.report(err)
}

// app is one run of the program.
type app struct {
	world  World
	stdout *term.Printer
	stderr *term.Printer
	// The global flags.
	configFile, host, state, lang string
	noColor, quiet, verbose       bool
	// ofGate is of the commands about a trail: the gate's.
	ofGate bool
}

func (a *app) streams() {
	a.stdout = term.New(term.Detect(a.world.Stdout, a.world.Getenv, a.noColor))
	a.stderr = term.New(term.Detect(a.world.Stderr, a.world.Getenv, a.noColor))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "plimsoll",
		Short: "Is what runs here what we meant to run, with no more power than it needs?",
		Long: `plimsoll judges Docker hosts and containers by one set of rules: the run line
before it runs, and the container that runs.

Exit codes: 0 fine, 1 findings at or above --fail-on, 2 wrong usage or input,
3 it could not be done, 130 ended by a signal.`,
		Example: `  plimsoll audit
  plimsoll check -- docker run -v /var/run/docker.sock:/var/run/docker.sock nginx
  plimsoll rules show engine-socket-mounted`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          commandsOnly,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			a.streams()
			if err := noEmptyFlags(c); err != nil {
				return err
			}
			return a.checkGlobals()
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&a.configFile, "config", "", "configuration `FILE` (default /etc/plimsoll/plimsoll.yaml where it exists)")
	f.StringVar(&a.host, "host", "", "the engine, as `URL`: unix://, tcp:// or ssh:// (default DOCKER_HOST, docker's context, the local socket)")
	f.StringVar(&a.state, "state", "/var/lib/plimsoll", "`DIR` that plimsoll keeps its own things in")
	f.StringVar(&a.lang, "lang", "", "`LANGUAGE` of what is printed: en")
	f.BoolVar(&a.noColor, "no-color", false, "no colours")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "nothing on standard error but errors")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "everything: all names, what passes, and why")
	root.SetFlagErrorFunc(a.flagError)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.AddCommand(a.auditCommand(), a.checkCommand(), a.deployCommand(), a.factsCommand(), a.gateCommand(), a.inventoryCommand(), a.rulesCommand(), a.trailCommand(), a.waiverCommand(), a.versionCommand(), a.completionCommand())
	root.AddCommand(a.imagesCommands()...)
	return root
}

func (a *app) checkGlobals() error {
	if a.lang != "" && a.lang != "en" {
		return &failure{code: exitUsage, message: "--lang " + a.lang + " is not a language that plimsoll speaks", hint: "Use  --lang en"}
	}
	return nil
}

// Exit codes; of several the first that holds counts: usage, unable, findings.
const (
	exitFindings = 1
	exitUsage    = 2
	exitUnable   = 3
	exitSignal   = 130
)

// failure is an error with an exit code and a hint.
type failure struct {
	code    int
	message string
	hint    string // what to do next; "" when the message says all
	err     error  // the cause, may be nil
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.message
	}
	return f.message + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// endedWith ends a command that has run another program: its exit code is that one's.
type endedWith int

func (e endedWith) Error() string { return fmt.Sprintf("the program ended with exit code %d", int(e)) }

// errFindings ends a command whose report is printed and asks for exit code 1.
var errFindings = errors.New("findings")
