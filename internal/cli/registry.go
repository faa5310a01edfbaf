//go:build !front

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/registry"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// registryCommand is plimsoll registry with its verbs.
func (a *app) registryCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "registry",
		Short:   registryShort,
		Example: `  plimsoll registry report registry.example/shop/api`,
		Args:    commandsOnly,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.registryReportCommand())
	return c
}

// reporting are the flags of registry report.
type reporting struct {
	peering
	trust, format, output string
	limit                 int
	failOn                []string
	named                 bool // --trust was given
}

// failsOn are what --fail-on takes.
var failsOn = []string{registry.FailUnsigned, registry.FailMoved, registry.FailUnscanned}

func (a *app) registryReportCommand() *cobra.Command {
	var r reporting
	c := &cobra.Command{
		Use:   "report NAME",
		Short: "Say of each tag what it leads to, who signed it, and whether it moved",
		Long: `report looks at all tags of a repository, or of those whose names begin so, where
the registry has a catalog. Of each it tells the digest, platforms, size and age of
the image, whether the policy of trust trusts it, what it was built on, when it was
last scanned here, and whether the tag led to another image when it was looked at
before. Tags that lead to one image say so; signatures and the like, which lie at
tags of their own, are counted.

What an image was built on is its own word, by annotations or labels
(org.opencontainers.image.base.name), or, where it begins with all layers of just
one other image of the report, that one. Each tag that moved is an event in the
trail. Nothing is scanned, and nothing is written to the registry.

The exit code is 1 for what --fail-on names, and 3 where something could not be
told; its row says what. It is 3 too where --limit left tags out, and none of the
others is what --fail-on names.`,
		Example: `  plimsoll registry report registry.example/shop/api
  plimsoll registry report 'registry.example/shop/*' --format csv -o shop.csv
  plimsoll registry report registry.example/shop/api --fail-on unsigned,moved`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return &failure{code: exitUsage, message: "registry report takes the name of a repository", hint: "For example\n" + c.Example}
		},
		RunE: func(c *cobra.Command, args []string) error {
			if formats := []string{"table", "json", "csv"}; !slices.Contains(formats, r.format) {
				return &failure{code: exitUsage, message: "--format " + r.format + " is not a format of registry report", hint: "Use table, json or csv."}
			}
			if r.limit < 1 {
				return &failure{code: exitUsage, message: fmt.Sprintf("--limit %d looks at no tag", r.limit), hint: "Give a number such as 1000."}
			}
			for _, what := range r.failOn {
				if !slices.Contains(failsOn, what) {
					return &failure{code: exitUsage, message: fmt.Sprintf("--fail-on %.100q is nothing that a tag can be", what), hint: "Use  " + strings.Join(failsOn, ", ")}
				}
			}
			r.named = c.Flags().Changed("trust")
			return a.registryReport(c.Context(), &r, args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&r.trust, "trust", defaultTrust, "the policy of trust, `FILE`")
	f.IntVar(&r.limit, "limit", 1000, "look at no more than `NUMBER` of tags")
	f.StringSliceVar(&r.failOn, "fail-on", nil, "exit code 1 where a tag is one of `WHAT`: "+strings.Join(failsOn, ", "))
	f.StringVar(&r.format, "format", "table", "`FORMAT`: table, json or csv")
	f.StringVarP(&r.output, "output", "o", "", "write to `FILE` instead of standard output")
	r.registryFlags(f)
	return c
}

// repositoryName is the whole name of what is to be looked at: of a repository, or of those that
// begin so, with a star behind.
func repositoryName(text string) (string, error) {
	begin, several := strings.CutSuffix(text, "*")
	name := begin
	if several { // whatever follows, the name is one of this host's
		name += "x"
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || !reference.IsNameOnly(named) || several && !strings.Contains(begin, "/") {
		return "", &failure{code: exitUsage, message: fmt.Sprintf("%.200q names no repository of a registry", text), hint: "Such as  registry.example/shop/api , or  'registry.example/shop/*'  for all below", err: err}
	}
	if several {
		return strings.TrimSuffix(named.Name(), "x") + "*", nil
	}
	return named.Name(), nil
}

func (a *app) registryReport(ctx context.Context, r *reporting, text string) error {
	if _, err := a.config(ctx); err != nil {
		return err
	}
	name, err := repositoryName(text)
	if err != nil {
		return err
	}
	if err := checkOutput(r.output); err != nil {
		return err
	}
	o, err := a.imageOptions(&r.peering)
	if err != nil {
		return err
	}
	progress := a.progress()
	defer progress.Stop()
	how := registry.Options{Image: o, Verdicts: a.verdicts(), Limit: r.limit, Now: a.world.Now(), Progress: func(done, of int) {
		if done == 0 {
			progress.Count("Looking at "+name, of, "tags")
		} else {
			progress.Done(1)
		}
	}}
	if _, err := os.Stat(r.trust); err == nil || r.named || !errors.Is(err, fs.ErrNotExist) {
		policy, err := readTrust(ctx, r.trust)
		if err != nil {
			return err
		}
		by := a.verifier(policy, o)
		by.Tags, by.ByTag, by.LookOnly = a.verdicts(), true, true
		how.Verifier = &by
	} else if slices.Contains(r.failOn, registry.FailUnsigned) {
		return &failure{code: exitUsage, message: "--fail-on unsigned needs a policy of trust, and there is none at " + r.trust, hint: "Name it:  --trust FILE"}
	}
	progress.Wait("Waiting for the registry", "its tags", 0)
	report, err := registry.Look(ctx, name, how)
	progress.Stop()
	if err != nil {
		return &failure{code: exitUnable, message: name + " can't be looked at", err: err}
	}
	unseen := a.compareSeen(ctx, report)
	if r.format == "csv" { // whose rows are tags
		for _, one := range report.LeftOut() {
			a.note(one)
		}
	}
	err = a.deliver(ctx, r.output, "the report", func(w io.Writer) error {
		switch r.format {
		case "json":
			return report.WriteJSON(w)
		case "csv":
			return report.WriteCSV(w)
		}
		p := a.stdout
		if r.output != "" {
			p = term.New(term.Config{Writer: w, UTF8: true})
		}
		return report.WriteTable(p)
	})
	if err != nil {
		return err
	}
	if unseen == nil {
		a.rememberSeen(ctx, report)
	}
	switch {
	case report.Failed():
		return &failure{code: exitUnable, message: "something could not be told; its row says what"}
	case unseen != nil && slices.Contains(r.failOn, registry.FailMoved):
		return &failure{code: exitUnable, message: "it can't be told which tags moved", err: errors.New(unseen.Error())}
	case slices.ContainsFunc(r.failOn, report.Has):
		return errFindings
	case len(r.failOn) > 0 && len(report.LeftOut()) > 0:
		return &failure{code: exitUnable, message: "not all tags were looked at, and those that were are none of --fail-on", hint: "Look at all:  --limit NUMBER", err: errors.New(strings.Join(report.LeftOut(), " "))}
	}
	return nil
}

// seenFolder is where what was seen is remembered, locked.
func (a *app) seenFolder(ctx context.Context) (dir string, unlock func(), err error) {
	dir = filepath.Join(a.state, "registry")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return dir, nil, err
	}
	unlock, err = lockFolder(ctx, dir)
	return dir, unlock, err
}

// compareSeen finds what moved since it was seen before. Who may not write there has looked all
// the same; the error is that it is not known what moved.
func (a *app) compareSeen(ctx context.Context, r *registry.Report) error {
	dir, unlock, err := a.seenFolder(ctx)
	if err == nil {
		defer unlock()
		err = r.Compare(dir)
	}
	if err != nil {
		a.note("what moved is not known, and what is seen is not remembered: " + err.Error())
	}
	return err
}

// rememberSeen remembers what is seen now, and records what moved in the trail. It is done once
// the report is written: what moved is told once, and a report that nobody has got tells nothing.
func (a *app) rememberSeen(ctx context.Context, r *registry.Report) {
	dir, unlock, err := a.seenFolder(ctx)
	if err != nil {
		a.note("what is seen is not remembered: " + err.Error())
		return
	}
	defer unlock()
	var events []trail.Event
	for _, t := range r.Tags {
		if t.Moved != nil {
			events = append(events, trail.Event{Type: trail.Move, Subject: trail.Subject{Kind: "image", Name: t.Repository + ":" + t.Tag, Digest: t.Digest},
				Detail: map[string]any{"from": t.Moved.From, "to": t.Digest, "seen": t.Moved.Seen.Format("2006-01-02T15:04:05Z07:00")}})
		}
	}
	if len(events) > 0 && !a.record(ctx, "what moved", events...) {
		a.note("Another program holds the trail, as plimsoll serve does: what moved is not in it.")
	}
	err = r.Keep(dir, func(name string, data []byte) error {
		return replaceFile(ctx, name, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	})
	if err != nil {
		a.note("what is seen is not remembered: " + err.Error())
	}
}
