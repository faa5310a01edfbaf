package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/fix"
	"github.com/plimsoll/plimsoll/internal/reach"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// auditCommand is plimsoll audit.
func (a *app) auditCommand() *cobra.Command {
	var j judging
	var look looking
	var file string
	var fixing bool
	c := &cobra.Command{
		Use:   "audit",
		Short: "Judge the engine, its host, images and containers",
		Long: `audit looks at the engine and its configuration, its host and files, its images,
containers and swarm, judges what it finds, and prints what to mend, worst first. It
changes nothing. Root sees most; what could not be seen is unknown, with the reason.

With --fix it prints a shell script instead, which mends what a program can: it
tells each step, does each once, and takes all of it back with "undo". plimsoll
does not run it: read it, then run it as root. The exit code is 0 then.`,
		Example: `  plimsoll audit
  plimsoll audit --host ssh://harbour-1 --fail-on critical
  plimsoll audit --benchmark cis-1.8 --format json -o report.json
  plimsoll audit --format html -o report.html
  plimsoll facts > facts.json; plimsoll audit --facts facts.json
  plimsoll audit --skip 5.28,cis-1.13:5.27
  plimsoll audit --waivers waivers.yaml
  plimsoll audit --format json -o base.json; plimsoll audit --baseline base.json
  plimsoll audit --fix --only memory-unlimited -o fix.sh; sh fix.sh --dry-run
  plimsoll audit --root /host
  plimsoll audit --ci .github/workflows --only 'content-trust-*'
  plimsoll audit --inside`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := j.check(formats); err != nil {
				return err
			}
			if file != "" && (look.inside || a.host != "" || c.Flags().Changed("root") || c.Flags().Changed("ci") || c.Flags().Changed("trust") || look.imageHistory) {
				return &failure{code: exitUsage, message: "--facts judges a file, so --host, --inside, --root, --ci, --trust and --image-history have nothing to look at", hint: "Leave one of them out."}
			}
			if err := look.check(a.host); err != nil {
				return err
			}
			if fixing && look.inside {
				return &failure{code: exitUsage, message: "--fix changes the host, and --inside looks at a container from within", hint: "Leave one of them out."}
			}
			if fixing && c.Flags().Changed("format") {
				return &failure{code: exitUsage, message: "--fix prints a script, so --format has no report to form", hint: "Leave one of them out."}
			}
			j.fix = fixing
			return a.audit(c.Context(), &j, &look, file)
		},
	}
	j.flags(c)
	look.flags(c)
	c.Flags().BoolVar(&fixing, "fix", false, "print a shell script that mends what fails, where a program can")
	c.Flags().StringVar(&file, "facts", "", "judge the facts in `FILE` (- for standard input) instead of looking")
	return c
}

// audit is the main path: look, judge, report.
func (a *app) audit(ctx context.Context, j *judging, look *looking, file string) error {
	started := a.world.Now()
	largePages()
	a.room(0)
	config, err := a.config(ctx)
	if err != nil {
		return err
	}
	// Rules are read while the engine answers, and not before it is asked, for that
	// takes every processor; wrong ones end the looking.
	type loaded struct {
		by  *measure
		err error
	}
	rules := make(chan loaded, 1)
	looking, stop := context.WithCancel(ctx)
	defer stop()
	load := sync.OnceFunc(func() {
		go func() {
			by, err := j.measure(looking)
			if err != nil {
				stop()
			}
			rules <- loaded{by, err}
		}()
	})
	var f *facts.Facts
	var lookErr error
	if file != "" {
		load()
		f, lookErr = await(looking, func() (*facts.Facts, error) { return a.readFacts(looking, file) })
	} else {
		f, lookErr = a.look(looking, look, load)
	}
	load()
	r := <-rules
	if r.err != nil {
		return r.err // wrong input counts before what could not be done
	}
	if lookErr != nil {
		return lookErr
	}
	a.room(len(f.Containers))
	reached := make(chan []finding.Reach, 1)
	go func() { reached <- reach.Of(f) }()
	report, err := await(ctx, func() (finding.Report, error) { return a.judge(r.by, f, j, config.Mark, started) })
	if err != nil {
		return err
	}
	report.Reach = append(report.Reach, <-reached...)
	if j.fix {
		return a.writeFix(ctx, report, f, j, look)
	}
	if err := a.write(ctx, report, j, ""); err != nil {
		return err
	}
	if !containersSeen(f) {
		return &failure{code: exitUnable, message: "the containers could not be seen, so none was judged", hint: "The report says why."}
	}
	a.tellWaivers(report.Waivers)
	a.tellBaseline(r.by.baseline, report)
	if err := a.tell(unjudgedOf(f.Containers), len(f.Containers), report.Findings); err != nil {
		return err
	}
	return a.verdict(report, j)
}

// containersSeen is false when nothing of any container was observed.
func containersSeen(f *facts.Facts) bool {
	for _, u := range f.Unseen {
		if u.Path == "containers" {
			return false
		}
	}
	return true
}

func (a *app) readFacts(ctx context.Context, file string) (*facts.Facts, error) {
	var data []byte
	var err error
	if file == "-" {
		file = "standard input"
		data, err = readAll(a.world.Stdin, file, maxFactsBytes)
	} else {
		data, err = readFile(ctx, file, maxFactsBytes)
	}
	if err != nil {
		return nil, &failure{code: exitUsage, message: "the facts can't be read", hint: "Make them with  plimsoll facts -o FILE", err: err}
	}
	return facts.Decode(file, data)
}

// looking are the flags of commands that look.
type looking struct {
	inside       bool
	root         string
	imageHistory bool
	trust        string
	ci           []string

	// engine is the address of what was looked at, and daemonFile what its daemon.json
	// holds, where that is known.
	engine     string
	daemonFile *fix.DaemonFile
}

func (l *looking) flags(c *cobra.Command) {
	c.Flags().BoolVar(&l.inside, "inside", false, "look at the container that plimsoll runs in; no engine is asked")
	c.Flags().StringVar(&l.root, "root", "/", "`DIR` where the host's files are, for a plimsoll that runs in a container")
	c.Flags().StringVar(&l.trust, "trust", defaultTrust, "the policy of trust, `FILE`: where there is one, images in use must have been verified by it")
	c.Flags().BoolVar(&l.imageHistory, "image-history", false, "ask the engine for the history of each image, one call more for each, instead of reading its store")
	c.Flags().StringArrayVar(&l.ci, "ci", nil, "look for uses of Docker Content Trust in the pipelines and scripts below `PATH` too (repeatable)")
}

// check refuses what flags alone can tell.
func (l *looking) check(host string) error {
	if l.inside && host != "" {
		return &failure{code: exitUsage, message: "--inside asks no engine, so --host names one for nothing", hint: "Leave one of them out."}
	}
	if l.inside && (l.imageHistory || len(l.ci) > 0) {
		return &failure{code: exitUsage, message: "--inside looks at one container, so --image-history and --ci have nothing to look at", hint: "Leave one of them out."}
	}
	for i, name := range l.ci {
		at, err := filepath.Abs(name)
		if err == nil {
			_, err = os.Stat(filepath.Join(l.root, at))
		}
		if err != nil || name == "" {
			return &failure{code: exitUsage, message: fmt.Sprintf("--ci %s is not there", name), err: err}
		}
		l.ci[i] = at
	}
	if info, err := os.Stat(l.root); err != nil || !info.IsDir() {
		return &failure{code: exitUsage, message: fmt.Sprintf("--root %s is not a folder", l.root), err: err}
	}
	return nil
}

// progress begins a line on standard error, which the caller stops before anything else is
// written there.
func (a *app) progress() *term.Progress {
	shown := a.stderr
	if a.quiet {
		shown = term.New(term.Config{Writer: io.Discard})
	}
	return term.NewProgress(term.ProgressConfig{Out: shown, Now: a.world.Now})
}

// look collects the facts, with progress on standard error. Meanwhile is called
// when all is ready for that.
func (a *app) look(ctx context.Context, l *looking, meanwhile func()) (*facts.Facts, error) {
	if _, err := os.Stat(l.trust); err != nil && l.trust != defaultTrust {
		return nil, &failure{code: exitUsage, message: "the policy of trust can't be read", hint: "Name another with  --trust FILE", err: err}
	}
	key, err := a.envKey(ctx)
	if err != nil {
		return nil, err
	}
	if l.inside {
		meanwhile()
		return await(ctx, func() (*facts.Facts, error) { return a.lookInside(l, key) })
	}
	client, endpoint, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	l.engine = endpoint.Address
	progress := a.progress()
	defer progress.Stop()
	progress.Wait("Waiting for the engine", "containers", engine.DefaultTimeout)
	var warnings []string
	meanwhile()
	// What cannot be told of a container around is taken for none.
	home, _ := workload.FindHome("/")
	f, err := collect.Engine(ctx, collect.Config{Client: client, Now: a.world.Now, EnvKey: key, Root: l.root, Home: home, ImageHistory: l.imageHistory, CI: l.ci, Trust: a.imageTrust(l.trust),
		Progress: func(done, total int, what string) {
			if done == 0 {
				a.room(total)
				progress.Count("Reading the host", total, what)
				return
			}
			progress.Done(1)
		},
		Warn: func(text string) { warnings = append(warnings, text) },
		DaemonFile: func(path string, data []byte, pidFile string) {
			l.daemonFile = &fix.DaemonFile{Path: path, Data: data, PidFile: pidFile}
		},
	})
	progress.Stop()
	for _, w := range warnings {
		a.note(w)
	}
	// What can't be parsed is the engine's own, no file of the user's.
	var unlike *strict.Error
	if errors.As(err, &unlike) {
		return nil, &failure{code: exitUnable, message: "what the engine at " + endpoint.Address + " says can't be understood",
			hint: "See what answers there:\n  docker --host " + endpoint.Address + " version", err: errors.New(unlike.Error())}
	}
	return f, err
}

// client is one of the engine that the flags and the environment name. Nothing is asked
// of it yet.
func (a *app) client(ctx context.Context) (*engine.Client, engine.Endpoint, error) {
	endpoint, err := a.endpoint(ctx)
	if err != nil {
		return nil, endpoint, err
	}
	client, err := await(ctx, func() (*engine.Client, error) { return engine.New(engine.Config{Endpoint: endpoint}) })
	return client, endpoint, err
}

// endpoint finds the engine that is meant.
func (a *app) endpoint(ctx context.Context) (engine.Endpoint, error) {
	// Docker's configuration and its certificates are files of any kind.
	endpoint, err := await(ctx, func() (engine.Endpoint, error) {
		return engine.Resolve(engine.Settings{Host: a.host, Getenv: a.world.Getenv, HomeDir: a.world.HomeDir})
	})
	if err != nil {
		return endpoint, &failure{code: exitUsage, message: "the engine to look at isn't named rightly", err: err}
	}
	return endpoint, nil
}

// lookInside makes facts of the one container that plimsoll runs in.
func (a *app) lookInside(l *looking, key []byte) (*facts.Facts, error) {
	spec, err := workload.FromInside(workload.Inside{Root: l.root, EnvKey: key})
	if errors.Is(err, workload.ErrNotInside) {
		return nil, &failure{code: exitUnable, message: "this does not look like a container, so there is nothing to look at from inside",
			hint: "Run plimsoll in the container that shall be judged (docker exec), or leave out --inside."}
	}
	if err != nil {
		return nil, &failure{code: exitUnable, message: "the container can't be looked at from inside", err: err}
	}
	const reason = "it cannot be seen from inside"
	f := &facts.Facts{Schema: facts.Schema, Collected: a.world.Now().UTC().Truncate(time.Microsecond), Containers: []workload.Spec{spec}}
	for _, path := range []string{"host", "daemon", "files", "images", "networks", "volumes", "swarm"} {
		f.Unseen = append(f.Unseen, workload.Unseen{Path: path, Reason: reason})
	}
	return f, nil
}
