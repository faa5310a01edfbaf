//go:build !front

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/baseline"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/report"
	"github.com/plimsoll/plimsoll/internal/scan"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/internal/vex"
	"github.com/plimsoll/plimsoll/internal/vuln"
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
	vex       []string
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

registry:HOST/PATH/* is every image of the repositories below PATH, and
registry:HOST/PATH/NAME:* every tag of one: a row each. Layers that they share are
read once.

What the database can't tell is not evaluated: the report says so, and the exit
code is 3. --without leaves packages of an ecosystem out.

Most records of distributions do not say how grave a flaw is. Where a newer
version mends it, it counts by --unknown-as; where none does, it does not count
for --fail-on. Either is told.

It ends with what the image could do without, and the flaws and bytes that go with
that; -v says why and how.

What a scan found is written down for plimsoll gate and the inventory, where the
state can be written.`,
		Example: `  plimsoll image scan nginx:1.27
  plimsoll image scan docker-archive:shop.tar --fail-on critical
  plimsoll image scan registry:registry.example/shop/api:4.18 --format json -o scan.json
  plimsoll image scan --format html -o scan.html nginx:1.27
  plimsoll image scan 'registry:registry.example/shop/*'
  plimsoll image scan --without npm --max-db-age 3d shop/api`,
		Args: oneReference,
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.check(scanFormats); err != nil {
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
	f.StringArrayVar(&s.vex, "vex", nil, "documents that say which flaws do no harm, OpenVEX or CycloneDX: a `FILE`, or a folder with some (repeatable)")
	f.BoolVar(&s.noRecord, "no-record", false, "write nothing down for the gate and the inventory")
	return c
}

// scanFormats are what --format of image scan takes.
var scanFormats = []string{"table", "json", "html", "sarif", "cyclonedx"}

// check refuses what flags alone can tell.
func (s *scanning) check(formats []string) error {
	if err := s.judging.check(formats); err != nil {
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

func (a *app) imageScan(ctx context.Context, s *scanning, text string) error {
	started := a.world.Now()
	if _, err := a.config(ctx); err != nil {
		return err
	}
	by, err := a.scanMeasure(ctx, s)
	if err != nil {
		return err
	}
	defer by.records.Close()
	if !strings.HasPrefix(text, "sbom:") {
		ref, err := parseReference(text)
		if err != nil {
			return err
		}
		if ref.Several() {
			return a.scanSeveral(ctx, s, by, ref, started)
		}
	}
	r, contents, err := a.scanOne(ctx, s, by, text, started)
	if err != nil {
		return err
	}
	if err := a.output(ctx, &s.judging, "the report", func(out *term.Printer) error {
		switch s.format {
		case "json":
			return report.JSON(out, r)
		case "sarif":
			return report.SARIF(out, r)
		case "html":
			return scan.HTML(out, r)
		case "cyclonedx":
			return scan.WriteCycloneDX(out, &contents.Document, r, a.maker())
		}
		return scan.Table(out, r, a.verbose)
	}); err != nil {
		return err
	}
	a.tellWaivers(r.Waivers)
	a.tellBaseline(by.earlier, r)
	return a.scanVerdict(&r, s)
}

// scanMeasure is what scans are judged by.
type scanMeasure struct {
	records *vuln.Set
	status  []vuln.Status
	waivers *waiver.File
	earlier *baseline.Earlier
	vex     *vex.Documents
}

func (a *app) scanMeasure(ctx context.Context, s *scanning) (*scanMeasure, error) {
	by := &scanMeasure{}
	if s.waiversFile != "" {
		all, err := readWaivers(ctx, s.waiversFile)
		if err != nil {
			return nil, err
		}
		by.waivers = all.About(finding.OfScan)
	}
	if s.baselineFile != "" {
		var err error
		if by.earlier, err = readBaseline(ctx, s.baselineFile); err != nil {
			return nil, err
		}
	}
	if len(s.vex) > 0 {
		var err error
		if by.vex, err = vex.Read(s.vex...); err != nil {
			return nil, &failure{code: exitUsage, message: "a document of --vex can't be read", err: err}
		}
		for _, file := range by.vex.Skipped {
			a.note(file + " is neither OpenVEX nor CycloneDX, and is left out")
		}
	}
	var err error
	if by.status, err = a.dbFolder().Status(); err != nil {
		a.note("a database can't be read: " + err.Error())
	}
	by.records = a.dbFolder().Open()
	return by, nil
}

// scanOne looks into one image, judges what is in it and writes down what was found.
func (a *app) scanOne(ctx context.Context, s *scanning, by *scanMeasure, text string, started time.Time) (finding.Report, *scan.Contents, error) {
	r, contents, err := a.scanImage(ctx, s, by, text, started)
	if err == nil && !s.noRecord {
		a.recordScan(ctx, &r)
	}
	return r, contents, err
}

// scanImage looks into one image and judges what is in it.
func (a *app) scanImage(ctx context.Context, s *scanning, by *scanMeasure, text string, started time.Time) (finding.Report, *scan.Contents, error) {
	contents, err := a.contents(ctx, text, &s.peering)
	if err != nil {
		return finding.Report{}, nil, err
	}
	r, err := scan.Judge(contents, scan.Measure{Records: by.records, Status: by.status, Weights: scan.Weights{Unknown: finding.Severity(s.unknownAs)},
		VEX: by.vex, Without: s.without, Tool: finding.Tool{Name: "plimsoll", Version: version()}, Started: started})
	if err != nil {
		return r, nil, &failure{code: exitUnable, message: "a database can't be read", hint: "Import it again:  plimsoll db import PATH", err: err}
	}
	if by.waivers != nil {
		r.Waivers = applyWaivers(by.waivers, r.Findings, finding.OfScan, started)
		r.Finish(0)
	}
	if by.earlier != nil {
		by.earlier.Apply(&r, nil)
	}
	scan.Advise(&r, contents, true)
	r.DurationMS = a.world.Now().Sub(started).Milliseconds()
	return r, contents, nil
}

// scanSeveral scans each image that a reference stands for. What cannot be read of one keeps
// none of the others from being told.
func (a *app) scanSeveral(ctx context.Context, s *scanning, by *scanMeasure, ref image.Reference, started time.Time) error {
	if s.format == "cyclonedx" {
		return &failure{code: exitUsage, message: ref.String() + " stands for several images, and a CycloneDX document is of one", hint: "Use  --format json"}
	}
	if by.earlier != nil {
		return &failure{code: exitUsage, message: ref.String() + " stands for several images, and a baseline is of one"}
	}
	o, err := a.imageOptions(&s.peering)
	if err != nil {
		return err
	}
	list, err := image.List(ctx, ref, o)
	if err != nil {
		return &failure{code: exitUnable, message: "the images of " + ref.String() + " can't be told", err: err}
	}
	if len(list) == 0 {
		return &failure{code: exitUnable, message: "there is no image in " + ref.String()}
	}
	rows := make([]scan.Row, 0, len(list))
	var outcome error
	for _, one := range list {
		row := scan.Row{Name: strings.TrimPrefix(one.Reference.String(), "registry:"), Err: one.Err}
		if row.Err == nil {
			var r finding.Report
			if r, _, row.Err = a.scanOne(ctx, s, by, one.Reference.String(), a.world.Now()); row.Err == nil {
				row.Report = &r
				outcome = worse(outcome, a.scanVerdict(&r, s))
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if row.Err != nil {
			outcome = worse(outcome, &failure{code: exitUnable, message: row.Name + " could not be scanned", err: row.Err})
		}
		rows = append(rows, row)
	}
	if err := a.output(ctx, &s.judging, "the report", func(out *term.Printer) error {
		switch s.format {
		case "json":
			return scan.RowsJSON(out, ref.String(), rows)
		case "sarif":
			return scan.RowsSARIF(out, finding.Tool{Name: "plimsoll", Version: version()}, rows)
		case "html":
			about := finding.Report{Tool: finding.Tool{Name: "plimsoll", Version: version()}, Target: finding.Target{Name: ref.String()}, Started: started, DurationMS: a.world.Now().Sub(started).Milliseconds()}
			return scan.RowsHTML(out, about, rows)
		}
		return scan.RowsTable(out, ref.String(), rows)
	}); err != nil {
		return err
	}
	return outcome
}

// worse is the one of two outcomes that counts: what could not be done before findings.
func worse(a, b error) error {
	if a == nil || errors.Is(a, errFindings) && b != nil {
		return b
	}
	return a
}

// scanVerdict is what the exit code says: what could not be told counts before what was
// found.
func (a *app) scanVerdict(r *finding.Report, s *scanning) error {
	var gaps []string
	for _, f := range r.Findings {
		if f.Status == finding.Unknown {
			gap := f.Message
			if first, last := r.Findings[0].Subject, r.Findings[len(r.Findings)-1].Subject; !first.Is(last) {
				gap += " of " + f.Subject.Name // of two images
			}
			gaps = append(gaps, gap)
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

// writeVerdict writes down what a scan found, for the gate and the rules, and gives it; nil
// where the image has no digest, or was not evaluated as a whole: that is not called scanned.
// Who may not write there has scanned all the same.
func (a *app) writeVerdict(r *finding.Report) *verdict.Scanned {
	if r.Image.ID == "" || slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Status == finding.Unknown }) {
		return nil
	}
	what := &verdict.Scanned{At: r.Started, Counts: map[finding.Severity]int{}}
	for _, d := range r.Image.Data {
		if what.Data.IsZero() || d.Newest.Before(what.Data) {
			what.Data = d.Newest
		}
	}
	for _, f := range r.Findings {
		if f.Status != finding.Fail || f.Severity == finding.Info {
			continue
		}
		what.Counts[f.Severity]++
		if what.Worst == "" || f.Severity.Rank() < what.Worst.Rank() {
			what.Worst = f.Severity
		}
	}
	folder := a.verdicts()
	for _, digest := range []string{r.Image.ID, r.Image.Manifest} {
		if digest == "" {
			continue
		}
		if err := folder.Scan(digest, what); err != nil {
			a.note("what was found is not written down for the gate: " + err.Error())
			break
		}
	}
	return what
}

// recordScan writes down what a scan found, and records it in the trail, unless plimsoll
// serve does that.
func (a *app) recordScan(ctx context.Context, r *finding.Report) {
	what := a.writeVerdict(r)
	if what == nil {
		return
	}
	total := 0
	for _, n := range what.Counts {
		total += n
	}
	id := r.Image.ID
	a.record(ctx, "the scan", trail.Event{Type: trail.Scan, Subject: trail.Subject{Kind: "image", ID: id, Digest: id, Name: r.Target.Name}, Detail: map[string]any{"findings": total, "worst": string(what.Worst), "at": r.Started.Format(time.RFC3339Nano)}})
}

// record puts what a person did into the trail. It is false where plimsoll serve holds that.
func (a *app) record(ctx context.Context, what string, events ...trail.Event) bool {
	log, err := trail.Open(trail.Config{Dir: a.trailDir(), Name: hostName(), Now: a.world.Now})
	if err == nil {
		for _, e := range events {
			if _, err = log.Append(ctx, e); err != nil {
				break
			}
		}
		err = errors.Join(err, log.Close())
	}
	if err != nil && !errors.Is(err, trail.ErrLocked) {
		a.note(what + " is not in the trail: " + err.Error())
	}
	return !errors.Is(err, trail.ErrLocked)
}
