package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/baseline"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/report"
	"github.com/plimsoll/plimsoll/internal/scan"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/internal/waiver"
)

// scanning are the flags of image scan.
type scanning struct {
	peering
	judging
	unknownAs string
	without   []string
	maxAge    string
	noRecord  bool
}

// imageScanCommand is plimsoll image scan.
func (a *app) imageScanCommand() *cobra.Command {
	var s scanning
	c := &cobra.Command{
		Use:   "scan REF",
		Short: "Find known flaws of the packages in an image, and secrets",
		Long: `scan says which packages an image has, which known flaws they have, which newer
version mends them, and what secrets lie in its files, layers and configuration.
Nothing of the image is run, and nothing is fetched but the image: the database
of known flaws is what plimsoll db brought here.

` + references + `
  sbom:FILE             a CycloneDX or SPDX document

What the database can't tell is not evaluated: the report says so, and the exit
code is 3. --without leaves packages of an ecosystem out.

Most records of distributions do not say how grave a flaw is. Where a newer
version mends it, it counts by --unknown-as; where none does, it does not count
for --fail-on. Either is told.

What a scan found is written down for plimsoll gate and the inventory, where the
state can be written.`,
		Example: `  plimsoll image scan nginx:1.27
  plimsoll image scan docker-archive:shop.tar --fail-on critical
  plimsoll image scan registry:registry.example/shop/api:4.18 --format json -o scan.json
  plimsoll image scan --without npm --max-db-age 3d shop/api`,
		Args: oneReference,
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.check(); err != nil {
				return err
			}
			return a.imageScan(c.Context(), &s, args[0])
		},
	}
	s.peering.flags(c)
	f := c.Flags()
	f.StringVar(&s.failOn, "fail-on", "high", "exit 1 from this `SEVERITY` on: critical, high, medium, low, info, or never")
	f.StringVar(&s.unknownAs, "unknown-as", "high", "the `SEVERITY` of a flaw that nobody has weighed, where a newer version mends it")
	f.StringSliceVar(&s.without, "without", nil, "leave out packages of these `ECOSYSTEMS`: Debian, npm, Go")
	f.StringVar(&s.maxAge, "max-db-age", "", "exit 3 where a database that was asked is older than `AGE`: 12h, 7d")
	f.StringVar(&s.format, "format", "table", "`FORMAT` of the report: "+strings.Join(scanFormats, ", "))
	f.StringVarP(&s.output, "output", "o", "", "write the report to `FILE` instead of standard output")
	f.StringVar(&s.waiversFile, "waivers", "", "`FILE` of accepted failures; see plimsoll waiver")
	f.StringVar(&s.baselineFile, "baseline", "", "earlier report in JSON, `FILE`: only what it lacks counts for --fail-on")
	f.BoolVar(&s.noRecord, "no-record", false, "write nothing down for the gate and the inventory")
	return c
}

// scanFormats are what --format of image scan takes.
var scanFormats = []string{"table", "json", "cyclonedx"}

// check refuses what flags alone can tell.
func (s *scanning) check() error {
	if err := s.judging.check(scanFormats); err != nil {
		return err
	}
	if _, err := finding.ParseSeverity(s.unknownAs); err != nil {
		return &failure{code: exitUsage, message: fmt.Sprintf("--unknown-as %s is not a severity", s.unknownAs), hint: "Use critical, high, medium, low or info."}
	}
	if s.maxAge != "" {
		if age, err := parseAge(s.maxAge); err != nil || age == 0 {
			return &failure{code: exitUsage, message: "--max-db-age " + s.maxAge + " is not an age", hint: "Give one such as 12h, 7d or 6w."}
		}
	}
	return nil
}

func (a *app) imageScan(ctx context.Context, s *scanning, ref string) error {
	started := a.world.Now()
	if _, err := a.config(ctx); err != nil {
		return err
	}
	var waivers *waiver.File
	if s.waiversFile != "" {
		all, err := readWaivers(ctx, s.waiversFile)
		if err != nil {
			return err
		}
		waivers = all.About(scan.Finds)
	}
	var earlier *baseline.Earlier
	if s.baselineFile != "" {
		var err error
		if earlier, err = readBaseline(ctx, s.baselineFile); err != nil {
			return err
		}
	}
	contents, err := a.contents(ctx, ref, &s.peering)
	if err != nil {
		return err
	}
	status, err := a.dbFolder().Status()
	if err != nil {
		a.note("a database can't be read: " + err.Error())
	}
	records := a.dbFolder().Open()
	defer records.Close()
	r, err := scan.Judge(contents, scan.Measure{Records: records, Status: status, Weights: scan.Weights{Unknown: finding.Severity(s.unknownAs)},
		Without: s.without, Tool: finding.Tool{Name: "plimsoll", Version: version()}, Started: started})
	if err != nil {
		return &failure{code: exitUnable, message: "a database can't be read", hint: "Import it again:  plimsoll db import PATH", err: err}
	}
	if waivers != nil {
		r.Waivers = applyWaivers(waivers, r.Findings, scan.Finds, started)
		r.Finish(0)
	}
	if earlier != nil {
		earlier.Apply(&r, nil)
	}
	r.DurationMS = a.world.Now().Sub(started).Milliseconds()
	if err := a.output(ctx, &s.judging, "the report", func(out *term.Printer) error {
		switch s.format {
		case "json":
			return report.JSON(out, r)
		case "cyclonedx":
			return scan.WriteCycloneDX(out, &contents.Document, r, a.maker())
		}
		return scan.Table(out, r, a.verbose)
	}); err != nil {
		return err
	}
	a.tellWaivers(r.Waivers)
	a.tellBaseline(earlier, r)
	if !s.noRecord {
		a.recordScan(ctx, &r)
	}
	return a.scanVerdict(&r, s)
}

// scanVerdict is what the exit code says: what could not be told counts before what was
// found.
func (a *app) scanVerdict(r *finding.Report, s *scanning) error {
	var gaps []string
	for _, f := range r.Findings {
		if f.Status == finding.Unknown {
			gaps = append(gaps, f.Message)
		}
	}
	if len(gaps) > 0 {
		if n := len(gaps) - 1; n > 0 {
			gaps[0] += fmt.Sprintf(", and %d more such", n)
		}
		return &failure{code: exitUnable, message: strings.ToLower(gaps[0][:1]) + gaps[0][1:], hint: "The report says why. Bring the data:  plimsoll db update FAMILY\nor leave an ecosystem out:  --without FAMILY"}
	}
	if limit, err := parseAge(s.maxAge); s.maxAge != "" && err == nil {
		var old []string
		for _, d := range r.Image.Data {
			if r.Started.Sub(d.Newest) > limit {
				old = append(old, d.Name)
			}
		}
		if len(old) > 0 {
			return &failure{code: exitUnable, message: "older than --max-db-age " + s.maxAge + ": " + strings.Join(old, ", "), hint: "Bring it up to date:  plimsoll db update " + strings.Join(old, " ")}
		}
	}
	for _, d := range r.Image.Data {
		if age := r.Started.Sub(d.Newest); age > freshFor {
			a.note(fmt.Sprintf("The data about %s is %d days old: what was found since is not in it.", d.Name, int(age/(24*time.Hour))))
		}
	}
	return a.verdict(*r, &s.judging)
}

// recordScan writes down what a scan found. Who may not write there has scanned all the
// same.
func (a *app) recordScan(ctx context.Context, r *finding.Report) {
	id := r.Image.ID
	if id == "" || slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Status == finding.Unknown }) {
		return // what was not evaluated as a whole is not called scanned
	}
	what := &verdict.Scanned{At: r.Started, Counts: map[finding.Severity]int{}}
	for _, d := range r.Image.Data {
		if what.Data.IsZero() || d.Newest.Before(what.Data) {
			what.Data = d.Newest
		}
	}
	total := 0
	for _, f := range r.Findings {
		if f.Status != finding.Fail || f.Severity == finding.Info {
			continue
		}
		total++
		what.Counts[f.Severity]++
		if what.Worst == "" || f.Severity.Rank() < what.Worst.Rank() {
			what.Worst = f.Severity
		}
	}
	folder := verdict.Folder(filepath.Join(a.state, gate.VerdictFolder))
	for _, digest := range []string{id, r.Image.Manifest} {
		if digest == "" {
			continue
		}
		if err := folder.Scan(digest, what); err != nil {
			a.note("what was found is not written down for the gate: " + err.Error())
			return
		}
	}
	log, err := trail.Open(trail.Config{Dir: a.trailDir(), Name: hostName(), Now: a.world.Now})
	if err == nil {
		_, err = log.Append(ctx, trail.Event{Type: trail.Scan, Subject: trail.Subject{Kind: "image", ID: id, Digest: id, Name: r.Target.Name}, Detail: map[string]any{"findings": total, "worst": string(what.Worst), "at": r.Started.Format(time.RFC3339Nano)}})
		err = errors.Join(err, log.Close())
	}
	if err != nil && !errors.Is(err, trail.ErrLocked) {
		a.note("the scan is not in the trail: " + err.Error())
	}
}
