// Command bench measures plimsoll beside what it can be compared with, and
// writes the figures as a page in Markdown. It needs an engine of its own:
//
//	go run ./test/lab/cmd/lab run -- go run ./bench -o docs/performance.md
//
// It measures whole processes: an audit beside a client that makes the same
// calls and does nothing with the answers (bench/minimal), the start beside a
// program that says hello, and, where -docker-bench names a checkout of
// docker-bench-security, an audit beside that. A counting proxy before the
// engine tells what an audit asks. Judging alone is measured by the Go
// benchmarks of package rule, the trail by those of package trail.
//
// The gate is measured beside the engine's own socket and a reverse proxy that
// looks at nothing (bench/reverse), and, where -socket-proxy and -sockguard name the
// programs of wollomatic/socket-proxy and CodesWhat/sockguard, beside these. With
// -only gate nothing else is measured.
//
// Verifying who signed an image is measured by the benchmarks of packages sign and verdict.
//
// With -image and -osv, scans of images are measured beside unpacking alone (bench/floor),
// and beside osv-scanner, trivy and syft where their programs are named.
//
// Times on a shared machine say little, so that the bars are ratios: both
// sides run in turn, and the median of all pairs counts. A bar that is missed
// ends the program with exit code 1, after the page is written.
//
// With -differences it measures nothing, but compares the verdicts of
// docker-bench-security and of an audit on a host with containers in many states.
//
// It starts no engine.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// needEngine is the lab's way to an engine for a program that is not a test:
// without one there is nothing to measure.
type needEngine struct{}

func (needEngine) Helper()        {}
func (needEngine) Cleanup(func()) {}
func (needEngine) Fatalf(format string, args ...any) {
	panic(missing(fmt.Sprintf(format, args...)))
}
func (n needEngine) Skipf(format string, args ...any) { n.Fatalf(format, args...) }

type missing string

// sharedEngine is the engine that `lab run` started.
func sharedEngine() (e *lab.Engine, err error) {
	defer func() {
		if m, ok := recover().(missing); ok {
			err = fmt.Errorf("%s\nRun  make bench", string(m))
		}
	}()
	return lab.Shared(needEngine{}), nil
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	output := flags.String("o", "", "write the page to `FILE` too")
	pairs := flags.Int("pairs", 100, "how many pairs of audits are run")
	starts := flags.Int("starts", 40, "how many pairs of starts are run")
	peer := flags.String("docker-bench", "", "`DIR` of a checkout of docker-bench-security; without one it is left out")
	differences := flags.String("differences", "", "measure nothing, but write to `FILE` what docker-bench-security judges differently")
	osvScanner := flags.String("osv-scanner", "", "`PROGRAM` of osv-scanner; without one it is left out")
	scanImage := flags.String("image", "", "docker-archive, `FILE`, that scans are measured with; without one they are left out")
	osv := flags.String("osv", "", "`DIR` of OSV's zips, for -image")
	trivy := flags.String("trivy", "", "`PROGRAM` of trivy; without one it is left out")
	syft := flags.String("syft", "", "`PROGRAM` of syft; without one it is left out")
	rpm := flags.String("rpm", "rpm", "`PROGRAM` of rpm, for -scan-peer")
	scanPeer := flags.String("scan-peer", "", "measure nothing, but write to `FILE` what -osv-scanner says of the lists in "+scanFixtures)
	socketProxy := flags.String("socket-proxy", "", "`PROGRAM` of wollomatic/socket-proxy; without one it is left out")
	sockguard := flags.String("sockguard", "", "`PROGRAM` of CodesWhat/sockguard; without one it is left out")
	only := flags.String("only", "", "measure only this `PART`, gate, scan or trust, and write it to no file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *pairs < 1 || *starts < 1 || *differences != "" && *peer == "" || *scanPeer != "" && *osvScanner == "" || *only != "" && (*only != "gate" && *only != "scan" && *only != "trust" || *output != "") || *scanImage != "" && *osv == "" {
		return fmt.Errorf("usage: bench [-o FILE | -only gate] [-pairs N] [-starts N] [-socket-proxy PROGRAM] [-sockguard PROGRAM] [-docker-bench DIR [-differences FILE]] [-image FILE -osv DIR [-osv-scanner PROGRAM] [-trivy PROGRAM] [-syft PROGRAM]] [-osv-scanner PROGRAM -scan-peer FILE]")
	}
	if *scanPeer != "" {
		return recordPeer(context.Background(), *osvScanner, *rpm, *scanPeer)
	}
	engine, err := sharedEngine()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "plimsoll-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, socket: engine.Socket(), fill: newFiller(engine), pairs: *pairs, starts: *starts, peer: *peer, socketProxy: *socketProxy, sockguard: *sockguard, log: stderr,
		scan: scanInput{image: *scanImage, osv: *osv, osvScanner: *osvScanner, trivy: *trivy, syft: *syft}}
	if *differences != "" {
		return b.differences(context.Background(), engine, *differences)
	}
	measure := b.measureAll
	switch *only {
	case "gate":
		measure = b.measureGate
	case "scan":
		measure = b.measureScans
	case "trust":
		measure = b.measureTrust
	}
	p, err := measure(context.Background())
	if err != nil {
		return err
	}
	text := p.markdown()
	if _, err := io.WriteString(stdout, text); err != nil {
		return err
	}
	if *output != "" {
		if err := os.WriteFile(*output, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if lost := p.missed(); len(lost) > 0 {
		return fmt.Errorf("over the bar: %s", strings.Join(lost, "; "))
	}
	return nil
}

// bench is one run of all measurements.
type bench struct {
	dir           string // for programs and sockets
	socket        string // the engine's
	fill          *filler
	pairs, starts int
	peer          string // the others' programs are empty where they are left out
	socketProxy   string
	sockguard     string
	scan          scanInput
	log           io.Writer
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.log, "%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

func (b *bench) program(name string) string { return filepath.Join(b.dir, name) }

// populations are how many containers there are for each round, and how many
// of them run.
var populations = []struct{ containers, running int }{{50, 10}, {500, 30}}

// settling is how long an engine has after containers were made and started,
// which it and they are busy with for a while.
const settling = 10 * time.Second

// measureAll is the order of everything: what needs no engine first, so that
// nothing runs beside it.
func (b *bench) measureAll(ctx context.Context) (*page, error) {
	p, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	b.say("starting, %d pairs", b.starts)
	if p.start, err = compare(command{argv: []string{b.program("plimsoll"), "version"}}, command{argv: []string{b.program("hello")}}, b.starts); err != nil {
		return nil, err
	}
	b.say("judging")
	if p.judging, err = measureJudging(); err != nil {
		return nil, err
	}
	b.say("remembering")
	if p.remembering, err = measureRemembering(); err != nil {
		return nil, err
	}
	b.say("verifying signatures")
	if p.trusting, err = measureTrusting(); err != nil {
		return nil, err
	}
	if p.scanned, err = b.scans(ctx); err != nil {
		return nil, err
	}
	if err := b.fill.begin(ctx); err != nil {
		return nil, err
	}
	if b.peer != "" {
		if p.peer, err = b.besidePeer(ctx); err != nil {
			return nil, err
		}
	}
	for _, n := range populations {
		b.say("making %d containers", n.containers)
		if err := b.fill.grow(ctx, n.containers, n.running); err != nil {
			return nil, err
		}
		time.Sleep(settling)
		b.say("auditing them, %d pairs", b.pairs)
		a, err := b.audits(p)
		if err != nil {
			return nil, err
		}
		p.audits = append(p.audits, a)
	}
	b.say("removing them")
	if err := b.fill.clear(ctx); err != nil {
		return nil, fmt.Errorf("removing what was measured: %w", err)
	}
	if p.gate, err = b.gate(ctx); err != nil {
		return nil, err
	}
	return b.end(ctx, p)
}

// measureGate is the gate alone.
func (b *bench) measureGate(ctx context.Context) (*page, error) {
	p, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	p.only = true
	if err := b.fill.begin(ctx); err != nil {
		return nil, err
	}
	if p.gate, err = b.gate(ctx); err != nil {
		return nil, err
	}
	return b.end(ctx, p)
}

// measureScans is the scans of images alone.
func (b *bench) measureScans(ctx context.Context) (*page, error) {
	p, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	p.only = true
	if p.scanned, err = b.scans(ctx); err != nil {
		return nil, err
	}
	return p.finished()
}

// begin builds what is measured, and says where.
func (b *bench) begin(ctx context.Context) (*page, error) {
	p := &page{when: time.Now()}
	b.say("building")
	if err := b.build(); err != nil {
		return nil, err
	}
	var err error
	if p.machine, err = describeMachine(); err != nil {
		return nil, err
	}
	version, err := b.fill.version(ctx)
	p.engine = version.String()
	p.loads = append(p.loads, p.machine.load)
	return p, err
}

// end takes away what was made in the engine.
func (b *bench) end(ctx context.Context, p *page) (*page, error) {
	if err := b.fill.end(ctx); err != nil {
		return nil, fmt.Errorf("removing what was measured: %w", err)
	}
	return p.finished()
}

// finished notes the load and the time that it took.
func (p *page) finished() (*page, error) {
	load, err := loadAverage()
	p.loads = append(p.loads, load)
	p.took = time.Since(p.when)
	return p, err
}
