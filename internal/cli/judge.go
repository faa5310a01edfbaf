package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/baseline"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/report"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/waiver"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/rules"
)

// judging are the flags of every command that judges.
type judging struct {
	only, skip        []string
	benchmark, failOn string
	format, output    string
	rulesDir          string
	waiversFile       string
	baselineFile      string
	fix               bool // a script is written, and no report
}

// formats are what --format takes.
var formats = []string{"table", "json", "html", "sarif"}

func (j *judging) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&j.only, "only", nil, "only these `RULES`: names, benchmark ids (5.5, or cis-1.13:5.5), or globs")
	f.StringSliceVar(&j.skip, "skip", nil, "all `RULES` but these")
	f.StringVar(&j.benchmark, "benchmark", "", "only the rules of one `BENCHMARK`: cis-1.8, cis-1.6 or cis-1.13")
	f.StringVar(&j.failOn, "fail-on", "high", "exit 1 from this `SEVERITY` on: critical, high, medium, low, info, or never")
	f.StringVar(&j.format, "format", "table", "`FORMAT` of the report: "+strings.Join(formats, ", "))
	f.StringVarP(&j.output, "output", "o", "", "write the report to `FILE` instead of standard output")
	f.StringVar(&j.waiversFile, "waivers", "", "`FILE` of accepted failures; see plimsoll waiver")
	f.StringVar(&j.baselineFile, "baseline", "", "earlier report in JSON, `FILE`: only what it lacks counts for --fail-on")
	f.StringVar(&j.rulesDir, "rules", "", "`DIR` with rules of your own; one with the name of ours replaces it")
}

// check refuses what flags alone can tell, before anything is looked at.
func (j *judging) check(formats []string) error {
	if !slices.Contains(formats, j.format) {
		return &failure{code: exitUsage, message: fmt.Sprintf("--format %s is not a format", j.format), hint: "Use  --format " + strings.Join(formats, "  or  --format ")}
	}
	if j.failOn != "never" {
		if _, err := finding.ParseSeverity(j.failOn); err != nil {
			return &failure{code: exitUsage, message: fmt.Sprintf("--fail-on %s is not a severity", j.failOn), hint: "Use critical, high, medium, low, info or never."}
		}
	}
	if slices.Contains(formats, j.output) {
		return &failure{code: exitUsage, message: fmt.Sprintf("-o %s would be a file of that name", j.output),
			hint: fmt.Sprintf("Use  --format %s , or  -o ./%s  if you mean the file", j.output, j.output)}
	}
	return checkOutput(j.output)
}

// measure is what is judged by: the rules that the flags want, the failures that
// were accepted, and those that were known; nil for none.
type measure struct {
	set      *rule.Set
	waivers  *waiver.File
	baseline *baseline.Earlier
}

// measure loads what is judged by.
func (j *judging) measure(ctx context.Context) (*measure, error) {
	set, err := loadRules(rule.LoadToJudge, rules.Packed, j.rulesDir)
	if err != nil {
		return nil, err
	}
	if err := knownBenchmark(set, j.benchmark); err != nil {
		return nil, err
	}
	m := &measure{}
	if j.waiversFile != "" {
		if m.waivers, err = readWaivers(ctx, j.waiversFile); err != nil {
			return nil, err
		}
		m.waivers = m.waivers.About(isRule)
		if err := m.waivers.CheckRules(ruleNames(set)); err != nil {
			return nil, err
		}
	}
	if j.baselineFile != "" {
		if m.baseline, err = readBaseline(ctx, j.baselineFile); err != nil {
			return nil, err
		}
	}
	m.set, err = set.Select(rule.Selection{Only: j.only, Skip: j.skip, Benchmark: j.benchmark})
	if err != nil {
		return nil, &failure{code: exitUsage, message: err.Error(), hint: "See  plimsoll rules list"}
	}
	if len(m.set.Rules()) == 0 {
		return nil, errNoRule
	}
	return m, m.set.Prepare()
}

// maxReportBytes is for reports of some 10,000 containers.
const maxReportBytes = 2 << 30

func readBaseline(ctx context.Context, name string) (*baseline.Earlier, error) {
	data, err := readFile(ctx, name, maxReportBytes)
	if err != nil {
		return nil, &failure{code: exitUsage, message: "the baseline can't be read", hint: "Make it with  plimsoll audit --format json -o FILE", err: err}
	}
	return baseline.Read(name, data)
}

// tellBaseline says on standard error how a baseline is not of the same as the
// report: of another host, or of other rules.
func (a *app) tellBaseline(b *baseline.Earlier, r finding.Report) {
	if b == nil {
		return
	}
	if b.Target != r.Target.Name {
		a.note(fmt.Sprintf("%s is a report about %s, and this one about %s.", b.File, b.Target, r.Target.Name))
	}
	if b.Benchmark != r.Benchmark {
		a.note(fmt.Sprintf("%s was made with %s, and this report with %s: what only one of them judges is new, or not told.", b.File, benchmarkFlag(b.Benchmark), benchmarkFlag(r.Benchmark)))
	}
}

func benchmarkFlag(name string) string {
	if name == "" {
		return "all rules"
	}
	return "--benchmark " + name
}

// errNoRule refuses flags that leave nothing to judge by, which would look like
// a report in which all is well.
var errNoRule = &failure{code: exitUsage, message: "no rule is left to judge by", hint: "Ask for fewer of  --only, --skip  and  --benchmark  together; see  plimsoll rules list"}

// knownBenchmark refuses one that no rule answers; "" is none.
func knownBenchmark(set *rule.Set, name string) error {
	if known := set.Benchmarks(); name != "" && !slices.Contains(known, name) {
		return &failure{code: exitUsage, message: fmt.Sprintf("--benchmark %s is not known", name), hint: "Use one of " + strings.Join(known, ", ") + "."}
	}
	return nil
}

// loadRules loads ours, in one of their two forms, and those in dir.
func loadRules[Ours any](load func(ours Ours, theirs fs.FS, name string) (*rule.Set, error), ours Ours, dir string) (*rule.Set, error) {
	if dir == "" {
		return load(ours, nil, "")
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &failure{code: exitUsage, message: fmt.Sprintf("--rules %s is not a folder", dir), err: err}
	}
	return load(ours, ruleFolder(dir), dir)
}

// judge makes the report of facts. A mark of 0 makes one without a score.
func (a *app) judge(m *measure, f *facts.Facts, j *judging, mark int, started time.Time) (finding.Report, error) {
	found, err := m.set.Judge(f)
	if err != nil {
		return finding.Report{}, err
	}
	var applied *finding.Waivers
	if m.waivers != nil {
		judged := ruleNames(m.set)
		applied = applyWaivers(m.waivers, found, func(rule string) bool { return slices.Contains(judged, rule) }, started)
	}
	r := finding.Report{
		Tool: finding.Tool{Name: "plimsoll", Version: version()}, Started: started.UTC(), Benchmark: j.benchmark,
		Target:   finding.Target{Name: targetName(f), EngineVersion: f.Daemon.Version, APIVersion: f.Daemon.APIVersion, OS: shortOS(f.Host.OS), Containers: len(f.Containers)},
		Findings: found, Waivers: applied,
	}
	if replaced := m.set.Replaced(); len(replaced) > 0 {
		r.Rules = &finding.Rules{Replaced: replaced}
	}
	r.Finish(mark)
	if m.baseline != nil {
		m.baseline.Apply(&r, ruleNames(m.set))
	}
	r.DurationMS = a.world.Now().Sub(started).Milliseconds()
	return r, nil
}

// targetName is what the report is about: the host, or the one container that
// was looked at from inside, which knows its id alone.
func targetName(f *facts.Facts) string {
	switch {
	case f.Host.Name != "":
		return f.Host.Name
	case len(f.Containers) == 1 && f.Containers[0].Origin == workload.OriginInside:
		id := f.Containers[0].ID
		return "inside " + cmp.Or(id[:min(12, len(id))], "a container")
	}
	return "a host without a name"
}

// shortOS leaves out what a heading does not need: "Debian GNU/Linux 12
// (bookworm)" is Debian 12.
func shortOS(name string) string {
	name, _, _ = strings.Cut(name, " (")
	return strings.Replace(name, " GNU/Linux", "", 1)
}

// write prints the report. A file is not half-written when ctx ends.
func (a *app) write(ctx context.Context, r finding.Report, j *judging, form string) error {
	write := func(out *term.Printer) error {
		switch j.format {
		case "json":
			return report.JSON(out, r)
		case "sarif":
			return report.SARIF(out, r)
		case "html":
			return report.HTML(out, r, report.Options{Form: form})
		}
		return report.Table(out, r, report.Options{Verbose: a.verbose, Form: form, FixHint: hint(form, "--fix"), AllHint: hint(form, "-v")})
	}
	return a.output(ctx, j, "the report", write)
}

// output writes what was asked for, to standard output or to the file that was named.
func (a *app) output(ctx context.Context, j *judging, what string, write func(*term.Printer) error) error {
	var err error
	if j.output == "" {
		err = write(a.stdout)
	} else {
		err = replaceFile(ctx, j.output, func(w io.Writer) error {
			return write(term.New(term.Config{Writer: w, UTF8: true}))
		})
	}
	if err != nil {
		return &failure{code: exitUnable, message: what + " can't be written", err: err}
	}
	return nil
}

// verdict asks for exit code 1 where --fail-on does, and says why on standard
// error.
func (a *app) verdict(r finding.Report, j *judging) error {
	if j.failOn == "never" {
		return nil
	}
	if text := report.ExitSentence(r, finding.Severity(j.failOn)); text != "" {
		a.note(text)
		return errFindings
	}
	return nil
}

// hint is the command that does something for all subjects of a rule, whose name comes
// behind it, where there may be several.
func hint(form, flag string) string {
	if form == "" {
		return "plimsoll audit " + flag + " --only"
	}
	return ""
}
