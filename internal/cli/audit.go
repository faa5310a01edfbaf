package cli

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/reach"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// auditCommand is plimsoll audit.
func (a *app) auditCommand() *cobra.Command {
	var j judging
	var look looking
	var file string
	c := &cobra.Command{
		Use:   "audit",
		Short: "Judge the engine and its containers",
		Long: `audit looks at the engine and its containers, judges what it finds, and prints
what to mend, worst first. It changes nothing.`,
		Example: `  plimsoll audit
  plimsoll audit --host ssh://harbour-1 --fail-on critical
  plimsoll audit --benchmark cis-1.8 --format json -o report.json
  plimsoll facts > facts.json; plimsoll audit --facts facts.json
  plimsoll audit --inside`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := j.check(); err != nil {
				return err
			}
			if file != "" && (look.inside || a.host != "") {
				return &failure{code: exitUsage, message: "--facts judges a file, so --host and --inside have nothing to look at", hint: "Leave one of them out."}
			}
			return a.audit(c.Context(), &j, &look, file)
		},
	}
	j.flags(c)
	look.flags(c)
	c.Flags().StringVar(&file, "facts", "", "judge the facts in `FILE` (- for standard input) instead of looking")
	return c
}

// audit is the main path: look, judge, report.
func (a *app) audit(ctx context.Context, j *judging, look *looking, file string) error {
	started := a.world.Now()
	config, err := a.config()
	if err != nil {
		return err
	}
	// Rules are read while the engine answers.
	type loaded struct {
		set *rule.Set
		err error
	}
	rules := make(chan loaded, 1)
	go func() {
		set, err := j.set()
		rules <- loaded{set, err}
	}()
	var f *facts.Facts
	var lookErr error
	if file != "" {
		f, lookErr = a.readFacts(file)
	} else {
		f, lookErr = a.look(ctx, look)
	}
	r := <-rules
	if r.err != nil {
		return r.err // wrong input counts before what could not be done
	}
	if lookErr != nil {
		return lookErr
	}
	report, err := a.judge(r.set, f, j, config.Mark, started)
	if err != nil {
		return err
	}
	report.Reach = append(report.Reach, reach.Of(f)...)
	if err := a.write(report, j, ""); err != nil && containersSeen(f) {
		return err
	}
	if !containersSeen(f) {
		return &failure{code: exitUnable, message: "the containers could not be seen, so none was judged", hint: "The report says why."}
	}
	return nil
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

func (a *app) readFacts(file string) (*facts.Facts, error) {
	var data []byte
	var err error
	if file == "-" {
		file = "standard input"
		data, err = io.ReadAll(io.LimitReader(a.world.Stdin, maxFactsBytes+1))
	} else {
		data, err = readBounded(file)
	}
	if err != nil {
		return nil, &failure{code: exitUsage, message: "the facts can't be read", hint: "Make them with  plimsoll facts -o FILE", err: err}
	}
	if len(data) > maxFactsBytes {
		return nil, &failure{code: exitUsage, message: file + " is over 1 GiB, which is more than facts can be"}
	}
	return facts.Decode(file, data)
}

// maxFactsBytes bounds a facts document: 10,000 containers need 60 MiB.
const maxFactsBytes = 1 << 30

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFactsBytes+1))
}

// looking are the flags of commands that look.
type looking struct {
	inside bool
	root   string
}

func (l *looking) flags(c *cobra.Command) {
	c.Flags().BoolVar(&l.inside, "inside", false, "look at the container that plimsoll runs in; no engine is asked")
	c.Flags().StringVar(&l.root, "root", "/", "where the `DIR` of the host's files is, for a plimsoll that runs in a container")
}

// look collects the facts, with progress on standard error.
func (a *app) look(ctx context.Context, l *looking) (*facts.Facts, error) {
	key, err := a.envKey()
	if err != nil {
		return nil, err
	}
	if l.inside {
		return a.lookInside(l, key)
	}
	endpoint, err := engine.Resolve(engine.Settings{Host: a.host, Getenv: a.world.Getenv, HomeDir: a.world.HomeDir})
	if err != nil {
		return nil, err
	}
	client, err := engine.New(engine.Config{Endpoint: endpoint})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	progress := term.NewProgress(term.ProgressConfig{Out: a.stderr, Now: a.world.Now})
	defer progress.Stop()
	progress.Wait("Waiting for the engine", "containers", engine.DefaultTimeout)
	counting := ""
	var warnings []string
	f, err := collect.Engine(ctx, collect.Config{Client: client, Now: a.world.Now, EnvKey: key, Root: l.root,
		Progress: func(done, total int, what string) {
			if what != counting {
				counting = what
				progress.Count("Reading the host", total, what)
			}
			progress.Done(1)
		},
		Warn: func(text string) { warnings = append(warnings, text) },
	})
	progress.Stop()
	for _, w := range warnings {
		a.note(w)
	}
	return f, err
}

// lookInside makes facts of the one container that plimsoll runs in.
func (a *app) lookInside(l *looking, key []byte) (*facts.Facts, error) {
	spec, err := workload.FromInside(workload.Inside{Root: l.root, EnvKey: key})
	if err != nil {
		return nil, &failure{code: exitUnable, message: err.Error()}
	}
	const reason = "it cannot be seen from inside"
	f := &facts.Facts{Schema: facts.Schema, Collected: a.world.Now().UTC().Truncate(time.Microsecond), Containers: []workload.Spec{spec}}
	for _, path := range []string{"host", "daemon", "networks", "volumes"} {
		f.Unseen = append(f.Unseen, workload.Unseen{Path: path, Reason: reason})
	}
	return f, nil
}
