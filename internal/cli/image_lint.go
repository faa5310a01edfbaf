//go:build !front

package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/scan"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// imageLintCommand is plimsoll image lint.
func (a *app) imageLintCommand() *cobra.Command {
	var p peering
	var j judging
	c := &cobra.Command{
		Use:   "lint REF",
		Short: "Judge what an image holds: who may do what, what was left, what is vain",
		Long: `lint judges an image by its configuration, its history and its files, without
running it: by the rules about images that an audit has, and by those about
contents, such as files that everybody may write to, keys, compilers, caches, and
bytes that later layers only hide. Secrets in files and configuration are found
as by image scan. It ends with what the image could do without, which changes no
exit code; -v says why and how.

` + references,
		Example: `  plimsoll image lint shop/api:4.18
  plimsoll image lint --only 'package-*' docker-archive:shop.tar
  plimsoll image lint --fail-on medium registry:registry.example/shop/api`,
		Args: oneReference,
		RunE: func(c *cobra.Command, args []string) error {
			if err := j.check(formats); err != nil {
				return err
			}
			return a.imageLint(c.Context(), &p, &j, args[0])
		},
	}
	p.flags(c)
	j.flags(c)
	return c
}

// ofEngines are the rules about images that judge where one is, and not what it is.
func ofEngines(set *rule.Set) []string {
	var skip []string
	for _, r := range set.Rules() {
		switch r.Name {
		case "image-dangling", "image-unused", "image-digest-missing", "image-origin-trusted", "image-signature-checked":
			skip = append(skip, r.Name)
		}
	}
	return skip
}

func (a *app) imageLint(ctx context.Context, p *peering, j *judging, ref string) error {
	started := a.world.Now()
	if _, err := a.config(ctx); err != nil {
		return err
	}
	by, err := j.measure(ctx)
	if err != nil {
		return err
	}
	contents, err := a.contents(ctx, ref, p)
	if err != nil {
		return err
	}
	if contents.View == nil {
		return &failure{code: exitUsage, message: ref + " lists packages, and has no files to judge", hint: "Name an image."}
	}
	f := &facts.Facts{Schema: facts.Schema, Collected: started.UTC(), Images: []facts.Image{contents.Facts}, Contents: []facts.Contents{contents.Files}}
	for _, path := range []string{"host", "daemon", "files", "containers", "networks", "volumes", "swarm"} {
		f.Unseen = append(f.Unseen, workload.Unseen{Path: path, Reason: "no engine was asked"})
	}
	subjects := []string{"contents"}
	if contents.Facts.ID != "" { // a root folder has no configuration to judge
		subjects = append(subjects, "image")
	}
	if by.set, err = by.set.Select(rule.Selection{Subjects: subjects, Skip: ofEngines(by.set)}); err != nil {
		return err
	}
	if len(by.set.Rules()) == 0 {
		return errNoRule
	}
	report, err := a.judge(by, f, j, 0, started)
	if err != nil {
		return err
	}
	if len(j.only) == 0 && j.benchmark == "" {
		secrets := contents.SecretFindings()
		if j.waiversFile != "" {
			all, err := readWaivers(ctx, j.waiversFile)
			if err != nil {
				return err
			}
			applyWaivers(all.About(finding.OfScan), secrets, finding.OfScan, started)
		}
		report.Findings = append(report.Findings, secrets...)
		report.Finish(0)
	}
	if w := report.Waivers; w != nil {
		w.Stale = []finding.WaiverAt{} // the others are for other images
	}
	if b := report.Baseline; b != nil {
		b.Gone = []finding.Past{}
	}
	a.tellWaivers(report.Waivers)
	report.Image = contents.About()
	if len(j.only) == 0 && j.benchmark == "" {
		scan.Advise(&report, contents, false)
	}
	report.Target.Name, report.Target.OS = ref, contents.Files.Distribution
	a.tellBaseline(by.baseline, report)
	if err := a.write(ctx, report, j, "dockerfile"); err != nil {
		return err
	}
	return a.verdict(report, j)
}
