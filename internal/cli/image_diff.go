//go:build !front

package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/scan"
	"github.com/plimsoll/plimsoll/internal/term"
)

// imageDiffCommand is plimsoll image diff.
func (a *app) imageDiffCommand() *cobra.Command {
	s := scanning{noRecord: true}
	c := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "What one image has that another has not: flaws, packages, settings",
		Long: `diff looks into two images and tells what became worse, what became better, and
what else is other: flaws and secrets that are new or mended, programs with
setuid or capabilities, packages that came, went or have another version, what
containers get from the configuration, and how many bytes of layers they share.

A flaw is the same one in another version of its package, and a secret the same
in another layer. Of same-named files the contents are not compared, and of
variables the names alone.

--fail-on counts flaws and secrets that are new alone. What the database or one of
the images does not tell is said, and the exit code is 3 where that leaves open
what is new.

` + references + `
  sbom:FILE             a CycloneDX or SPDX document`,
		Example: `  plimsoll image diff shop/api:4.17 shop/api:4.18
  plimsoll image diff --fail-on medium registry:registry.example/shop/api docker-archive:new.tar
  plimsoll image diff --format json sbom:old.cdx.json shop/api:4.18`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return &failure{code: exitUsage, message: fmt.Sprintf("image diff takes two images, and %d are named", len(args)), hint: "For example\n  plimsoll image diff shop/api:4.17 shop/api:4.18"}
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.check([]string{"table", "json"}); err != nil {
				return err
			}
			return a.imageDiff(c.Context(), &s, args[0], args[1])
		},
	}
	s.peering.flags(c)
	f := c.Flags()
	f.StringVar(&s.failOn, "fail-on", "high", "exit 1 where something new is of this `SEVERITY` or graver: critical, high, medium, low, info, or never")
	f.StringVar(&s.unknownAs, "unknown-as", "high", "the `SEVERITY` of a flaw that nobody has weighed, where a newer version mends it")
	f.StringSliceVar(&s.without, "without", nil, "leave out packages of these `ECOSYSTEMS`: Debian, npm, Go")
	f.StringVar(&s.format, "format", "table", "`FORMAT`: table or json")
	f.StringVarP(&s.output, "output", "o", "", "write to `FILE` instead of standard output")
	return c
}

func (a *app) imageDiff(ctx context.Context, s *scanning, before, after string) error {
	started := a.world.Now()
	if _, err := a.config(ctx); err != nil {
		return err
	}
	by, err := a.scanMeasure(ctx, s)
	if err != nil {
		return err
	}
	defer by.records.Close()
	was, old, err := a.scanOne(ctx, s, by, before, started)
	if err != nil {
		return err
	}
	is, recent, err := a.scanOne(ctx, s, by, after, started)
	if err != nil {
		return err
	}
	d := scan.DiffOf(old, recent, was, is)
	if err := a.output(ctx, &s.judging, "the comparison", func(out *term.Printer) error {
		if s.format == "json" {
			return d.WriteJSON(out)
		}
		return d.WriteTable(out, a.verbose)
	}); err != nil {
		return err
	}
	return a.diffVerdict(d, was, is, s)
}

// diffVerdict is what the exit code says: what could not be told of either image counts
// before what is new.
func (a *app) diffVerdict(d *scan.Diff, was, is finding.Report, s *scanning) error {
	both, told := is, *is.Image
	both.Findings = slices.Concat(was.Findings, is.Findings)
	for _, data := range was.Image.Data {
		if !slices.ContainsFunc(told.Data, func(other finding.Data) bool { return other.Name == data.Name }) {
			told.Data = append(slices.Clip(told.Data), data)
		}
	}
	both.Image = &told
	never := *s
	never.failOn = "never"
	if err := a.scanVerdict(&both, &never); err != nil || s.failOn == "never" {
		return err
	}
	switch new, maybe := d.Worst(finding.Severity(s.failOn)); {
	case maybe:
		return &failure{code: exitUnable, message: "it can't be told whether " + d.Before.Name + " has " + count(len(d.Untold), "secret") + " of " + d.After.Name + " too",
			hint: "Compare with the image itself, for a bill of materials tells of no secrets."}
	case new:
		a.note("Something new is " + s.failOn + " or graver, and --fail-on is " + s.failOn + ": exit 1.")
		return errFindings
	}
	return nil
}
