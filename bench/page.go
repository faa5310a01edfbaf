package main

import (
	"fmt"
	"strings"
	"time"
)

// page is all figures of one run.
type page struct {
	when        time.Time
	took        time.Duration
	machine     machine
	engine      string
	loads       []string
	start       comparison
	judging     judging
	remembering remembering
	audits      []audited
	peer        []beside // none when it was left out
	gate        *gating
	scanned     *scanned // nil when it was left out
	trusting    *trusting
	only        bool // nothing but one part was measured
}

// What each figure must not exceed.
const (
	barOther  = 12   // requests beside lists and inspects
	barAudit  = 2.0  // wall time by the minimal client's
	barSeen   = 1.0  // milliseconds for all rules over one container
	barUnseen = 4.0  // the same with partial evaluation
	barStart  = 4.0  // wall and processor time by those of a program that says hello
	barPeak   = 80.0 // MiB, at 500 containers
	barRaw    = 0.7  // at least: durable appends by the same bytes with nothing but fdatasync
	barFull   = 0.8  // at least: appends at a million events by those at none
	barVerify = 1e5  // at least: events a second
	barList   = 300  // milliseconds
	barPeer   = 100  // at least: docker-bench-security's wall time by an audit's, at 50 containers
)

// asked are the rows about requests, of which the number must be exact: fewer
// would mean that something was not looked at.
type asked struct {
	kind         string
	number, want int
	most         bool // want is the most, not the exact number
}

func (a asked) missed() bool { return a.number > a.want || !a.most && a.number < a.want }

func (a audited) requests() []asked {
	want := map[string]int{kindList: 1, kindContainer: a.population.containers, kindImage: a.population.images, kindExec: a.population.execs, kindOther: barOther}
	var rows []asked
	for _, k := range kinds {
		rows = append(rows, asked{k, a.asked[k], want[k], k == kindOther})
	}
	return rows
}

func milliseconds(seconds float64) string {
	return fmt.Sprintf("%.1f ms", seconds*1e3)
}

// figures are all rows that have one number, but those of the gate.
func (p *page) figures() []figure {
	if p.only {
		return append(p.scanned.figures(), p.trusting.figures()...)
	}
	var rows []figure
	for _, a := range p.audits {
		n := a.population.containers
		rows = append(rows, figure{what: fmt.Sprintf("audit of %d containers by the minimal client, wall time", n), number: a.audit.ratio(wallOf),
			bar:    barAudit,
			detail: fmt.Sprintf("%s to %s, %d pairs", milliseconds(middle(a.audit.ours, wallOf)), milliseconds(middle(a.audit.theirs, wallOf)), len(a.audit.ours))})
	}
	for _, a := range p.audits {
		cpu := middle(a.audit.ours, cpuOf)
		rows = append(rows, figure{what: fmt.Sprintf("processor time of an audit of %d containers", a.population.containers), number: cpu * 1e3, unit: " ms",
			detail: fmt.Sprintf("%s a container", milliseconds(cpu/float64(a.population.containers)))})
	}
	for _, a := range p.audits {
		n := a.population.containers
		f := figure{what: fmt.Sprintf("peak memory of an audit of %d containers", n), number: float64(a.peakBytes) / (1 << 20), unit: " MiB",
			detail: fmt.Sprintf("the largest of %d", len(a.audit.ours))}
		if n == 500 {
			f.bar = barPeak
		}
		if a.peakBytes <= a.ownBytes {
			f.detail += "; no more than the bench itself, so it may be less"
		}
		rows = append(rows, f)
	}
	const once = "processor time, once an audit, while the engine answers"
	rows = append(rows,
		figure{what: fmt.Sprintf("%d rules over one container, all seen", p.judging.rules), number: ms(p.judging.seen), unit: " ms", bar: barSeen, detail: "processor time"},
		figure{what: "the same, with partial evaluation throughout", number: ms(p.judging.unseen), unit: " ms", bar: barUnseen, detail: "processor time"},
		figure{what: "reading and compiling all rules", number: ms(p.judging.load), unit: " ms", detail: once},
		figure{what: "`plimsoll version` by hello, wall time", number: p.start.ratio(wallOf), bar: barStart,
			detail: fmt.Sprintf("%s to %s, %d pairs", milliseconds(middle(p.start.ours, wallOf)), milliseconds(middle(p.start.theirs, wallOf)), len(p.start.ours))},
		figure{what: "`plimsoll version` by hello, processor time", number: p.start.ratio(cpuOf), bar: barStart,
			detail: fmt.Sprintf("%s to %s", milliseconds(middle(p.start.ours, cpuOf)), milliseconds(middle(p.start.theirs, cpuOf)))})
	for _, c := range p.peer {
		rows = append(rows, c.figure())
	}
	r := p.remembering
	rows = append(rows,
		figure{what: "durable appends to the trail with 64 writers, by the same bytes and syncs alone", number: r.ofRaw, bar: barRaw, least: true,
			detail: fmt.Sprintf("%.0f events a second, %.0f to a sync", r.appends, r.sync)},
		figure{what: "the same at a million events, by those at none", number: r.ofEmpty, bar: barFull, least: true},
		figure{what: "verifying a million events", number: r.verify, unit: " events/s", bar: barVerify, least: true},
		figure{what: "opening a trail of a million events", number: r.open, unit: " ms"},
		figure{what: "what is deployed, of a million events", number: r.list, unit: " ms", bar: barList, detail: "the slowest of five questions, 300 deployments present, the database up to date"})
	rows = append(rows, p.trusting.figures()...)
	rows = append(rows, p.scanned.figures()...)
	return rows
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// missed are the rows over their bar.
func (p *page) missed() []string {
	var list []string
	for _, a := range p.audits {
		for _, r := range a.requests() {
			if r.missed() {
				list = append(list, fmt.Sprintf("%s at %d containers: %d, not %d", r.kind, a.population.containers, r.number, r.want))
			}
		}
	}
	for _, f := range append(p.figures(), p.gate.figures()...) {
		if f.missed() {
			list = append(list, fmt.Sprintf("%s: %s, not %g%s", f.what, f.numeral(), f.bar, f.unit))
		}
	}
	return list
}

// markdown is the page.
func (p *page) markdown() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Performance\n")
	line("`make bench` measures all of this anew and writes this page. It needs root, and")
	line("starts a Docker engine of its own, which it takes away again. A figure in bold")
	line("is over its bar, and makes the command fail.\n")
	m := p.machine
	line("| | |\n|---|---|")
	line("| measured | %s, in %s |", p.when.UTC().Format("2 January 2006, 15:04 UTC"), p.took.Round(time.Second))
	line("| machine | %s, %d processors, %s; %s |", m.cpu, m.cpus, m.memory, m.system)
	line("| load | %s: the mean number of processes that wanted a processor, before, during and after |", strings.Join(p.loads, ", "))
	line("| plimsoll | commit %s, %s, `CGO_ENABLED=0 go build -trimpath -ldflags='-s -w'` |", m.commit, m.goes)
	line("| engine | %s |\n", p.engine)
	if !p.only {
		b.WriteString(p.requestTable())
	}
	if !p.only || p.scanned != nil || p.trusting != nil {
		line("## Time and memory\n\n%s", table(p.figures()))
	}
	if p.gate != nil {
		b.WriteString(p.gate.markdown(table(p.gate.figures())))
	}
	line("\n## What the figures mean\n")
	if !p.only {
		b.WriteString(meaning)
	}
	if p.trusting != nil {
		b.WriteString(trustMeaning)
	}
	if p.gate != nil {
		b.WriteString(gateMeaning)
	}
	if p.scanned != nil {
		b.WriteString(scanMeaning)
		for _, made := range p.scanned.made {
			line("  - %s", made)
		}
	}
	return b.String()
}

// requestTable is the section about what an audit asks for.
func (p *page) requestTable() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("## What an audit asks the engine\n")
	line("Counted by a proxy before the engine. An audit makes one list, inspects each")
	line("container, each image, and each process that was started by exec, and makes at")
	line("most %d calls more, however many containers there are.\n", barOther)
	b.WriteString("| request |")
	for _, a := range p.audits {
		fmt.Fprintf(&b, " %s |", a.population)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(p.audits)) + "\n")
	for i, k := range kinds {
		fmt.Fprintf(&b, "| %s |", k)
		for _, a := range p.audits {
			r := a.requests()[i]
			fmt.Fprintf(&b, " %d", r.number)
			if r.most {
				fmt.Fprintf(&b, " (at most %d)", r.want)
			}
			if r.missed() {
				fmt.Fprintf(&b, " **not %d**", r.want)
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	b.WriteString("| all |")
	for _, a := range p.audits {
		fmt.Fprintf(&b, " %d |", a.total())
	}
	line("\n")
	if len(p.audits) > 0 {
		line("The others are %s.\n", p.audits[len(p.audits)-1].otherWords())
	}
	return b.String()
}

const meaning = `- **Ratios, not times.** Both programs of a pair run one after the other on the
  same machine, each as often first as second, and the median of all pairs'
  ratios counts. Times beside them are medians, and are those of the machine
  above with the load above.
- **The minimal client** (bench/minimal) asks the same engine for the same paths
  over as many connections, writes HTTP by hand, keeps its connections open, and
  drops the answers. It is told all paths beforehand, and waits only where every
  client must: for the version of the API, and for the list before it inspects
  what is listed. What an audit takes beyond it is the price of the start, of
  reading the rules, of looking at the host, its files and the engine's store, of
  understanding the answers, of judging, and of the report. With few containers
  that is most of it.
  While the engine answers it uses the processors too, so the ratio is the
  higher, the quicker the engine and the fewer the processors: it compares only
  with itself on one machine.
- **The containers** are made from one small image in a few variants; they
  differ in limits, mounts, users and capabilities. Most are created and never
  started.
- **Rules over one container** is the time that all rules about containers need
  for one that uses every field an engine has, all programs compiled. Partial
  evaluation is what happens when something was not observed; there, every fact
  that any rule reads is hidden, of lists a part. The middle of several runs of
  the benchmarks in internal/rule counts: ` + "`go test -bench . ./internal/rule`" + `.
- **Hello** is a program that prints one line, built with the same flags.
- **docker-bench-security** does all that it does, and so does the audit. It is
  left out unless ` + "`make bench DOCKER_BENCH=DIR`" + ` names a checkout of it.
- **Peak memory** is the resident size as the kernel counted it (ru_maxrss), the
  program's own file included.
- **The same bytes and syncs** are written to a file by write(2) and fdatasync(2),
  in pieces as large as those that the trail wrote just before: one for all events
  that waited. Verifying makes the tree of a million events again and checks every
  checkpoint's root and signature.
- **Processor time** is user and system time of the process, without the
  engine's.
`
