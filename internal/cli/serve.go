//go:build !front

package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/serve"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/rules"
)

// serveCommand is plimsoll serve.
func (a *app) serveCommand() *cobra.Command {
	var s serving
	var dir string
	var check bool
	c := &cobra.Command{
		Use:   "serve",
		Short: serveShort,
		Long: `serve follows the engine and records each deployment, start, stop, exec, removal
and so on in the trail, and what the rules say of each container that starts.
What happened while it was away it finds by what is different, and says so.

The images of what runs it scans for known flaws and secrets (plimsoll image scan),
and again when the database of known flaws changes (plimsoll db update): what was
found is in the trail, with what is new since the last time.

Where there is a policy of trust, it looks who signed the images that are pulled,
tagged and used (plimsoll image verify), and again when the policy changes: what is
not trusted any more loses its verdict, and the trail names what runs from it. An
image that the gate refused for want of a verdict is looked at at once.

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
			s.options, err = a.imageOptions(&s.peering)
			if err != nil {
				return err
			}
			if _, err := readTrust(ctx, s.trust); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if check {
				return a.print("The configuration and the rules are right.\n")
			}
			return a.serve(ctx, client, set, &s)
		},
	}
	c.Flags().StringVar(&dir, "rules", "", "`DIR` with rules of your own")
	c.Flags().BoolVar(&s.noScan, "no-scan", false, "do not scan the images of what runs")
	c.Flags().StringVar(&s.trust, "trust", defaultTrust, "the policy of trust, `FILE`")
	s.registryFlags(c.Flags())
	c.Flags().BoolVar(&check, "check", false, "only check configuration and rules")
	return c
}

// serving are the flags of serve.
type serving struct {
	peering
	noScan  bool
	trust   string
	options image.Options
}

func (a *app) serve(ctx context.Context, client *engine.Client, set *rule.Set, s *serving) error {
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
	log := func(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) }
	asked := &serve.Asked{Dir: filepath.Join(a.state, gate.TrailFolder), Now: a.world.Now, Log: log}
	var scan func(context.Context, string) (serve.Scanned, error)
	if !s.noScan {
		scan = a.scanForServe
	}
	trust := &trusting{app: a, client: client, file: s.trust, options: s.options, log: log}
	err = serve.Run(ctx, serve.RunConfig{
		Trail: trail.Config{Dir: a.trailDir(), Name: hostName(), Now: a.world.Now},
		Watch: serve.Config{Client: client, Now: a.world.Now, Judge: judge, Who: asked.Name, Scan: scan, Data: a.flawData,
			Verify: trust.verify, Policy: func() string { return trust.version(ctx) }, Lacking: asked.Lacking, Log: log},
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

// flawData names the state of the database of known flaws; "" is that there is none.
func (a *app) flawData() string {
	list, err := a.dbFolder().Status()
	if err != nil || len(list) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, s := range list {
		fmt.Fprintf(sum, "%s %x\n", s.Family, s.SHA256)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// scanForServe scans an image of the engine, and writes down what was found for the gate.
func (a *app) scanForServe(ctx context.Context, id string) (serve.Scanned, error) {
	quiet := *a
	quiet.quiet = true
	s := &scanning{unknownAs: "high"}
	by, err := quiet.scanMeasure(ctx, s)
	if err != nil {
		return serve.Scanned{}, err
	}
	defer by.records.Close()
	r, contents, err := quiet.scanImage(ctx, s, by, "engine:"+id, a.world.Now())
	if errors.Is(err, engine.ErrNotFound) {
		return serve.Scanned{}, serve.ErrGone
	}
	if err != nil {
		return serve.Scanned{}, err
	}
	found := serve.Scanned{}
	if len(contents.Document.Names) > 0 {
		found.Name = contents.Document.Names[0]
	}
	quiet.writeVerdict(&r)
	for _, severity := range finding.Severities[:4] {
		for _, f := range r.Findings {
			if f.Status == finding.Fail && f.Severity == severity {
				found.Findings++
				found.Worst = cmp.Or(found.Worst, severity)
				if !slices.Contains(found.IDs, f.Rule) {
					found.IDs = append(found.IDs, f.Rule)
				}
			}
		}
	}
	return found, nil
}
