package main

import (
	"fmt"
	"math"
	"strings"
)

// What each figure of the gate must not exceed.
const (
	barReverse = 1.0  // p50 of reads at one connection, by that through the reverse proxy
	barPeers   = 1.0  // the same, by that through a peer
	barCreate  = 1.15 // a create by one without the gate
	barFlow    = 0.9  // at least: bytes a second by those without the gate
	barIdle    = 40.0 // KiB a stream
	barSize    = 16.0 // MiB of plimsoll-gate
)

// figures are the rows that have one number.
func (g *gating) figures() []figure {
	if g == nil {
		return nil
	}
	var rows []figure
	for i, name := range g.fronts {
		if i == bare || i == gated {
			continue
		}
		for _, r := range g.rows {
			if !r.read || r.clients != 1 || r.fresh {
				continue
			}
			f := figure{what: fmt.Sprintf("%s through the gate by %s, one connection, p50", r.request, name), number: r.fronts[gated].p50() / r.fronts[i].p50(), bar: barReverse,
				detail: fmt.Sprintf("%s ms to %s ms", short(r.fronts[gated].p50()), short(r.fronts[i].p50()))}
			if i >= peers {
				f.bar = barPeers
			}
			rows = append(rows, f)
		}
	}
	var asked, wrong int
	var why, created string
	for _, r := range g.rows {
		if !r.read && r.clients == 1 {
			created = fmt.Sprintf("%s ms to %s ms, ", short(r.fronts[gated].p50()), short(r.fronts[bare].p50()))
		}
		if n, bad, reason := r.fronts[gated].asked(); r.clients == crowd {
			asked, wrong = asked+n, wrong+bad
			why += reason
		}
	}
	return append(rows,
		figure{what: fmt.Sprintf("wrong answers through the gate, %d connections", crowd), number: float64(wrong), none: true, detail: strings.TrimSpace(fmt.Sprintf("of %d %s", asked, why))},
		figure{what: "create through the gate by one without", number: median(g.creates), bar: barCreate, detail: created + fmt.Sprintf("%d pairs; by who syncs a record and inspects, and judges nothing, %.2f", len(g.creates), median(g.least))},
		g.save.figure("bytes a second of a saved image"),
		g.logs.figure("bytes a second of a log"),
		figure{what: "memory of an idle stream through the gate", number: g.idleOf(gated) / (1 << 10), unit: " KiB", bar: barIdle, detail: g.idleWords()},
		figure{what: "size of plimsoll-gate", number: float64(g.size) / (1 << 20), unit: " MiB", bar: barSize})
}

func (f flow) figure(what string) figure {
	rate := func(of []coming) float64 { return middle(of, askedOf) / (1 << 20) }
	return figure{what: what + " through the gate, by those without", number: f.ratio(askedOf), bar: barFlow, least: true,
		detail: fmt.Sprintf("%.0f MiB/s to %.0f MiB/s, %.0f MiB, %d pairs; without the time until it begins %.2f", rate(f.ours), rate(f.bare), float64(f.bytes)/(1<<20), len(f.ours), f.ratio(sentOf))}
}

// idleOf is what a stream takes of a front that is a program.
func (g *gating) idleOf(front int) float64 { return g.idle[front-reverse] }

func (g *gating) idleWords() string {
	var words []string
	for i := range g.fronts {
		if i != bare && i != gated {
			words = append(words, fmt.Sprintf("%s %.1f KiB", g.fronts[i], g.idleOf(i)/(1<<10)))
		}
	}
	return strings.Join(words, ", ")
}

// markdown is the section.
func (g *gating) markdown(figures string) string {
	if g == nil {
		return ""
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("## The gate\n")
	line("Milliseconds that a request took, p50 / p99. The engine has %d containers, of", g.population.containers)
	line("which %d run; all of them are listed.\n", g.population.running)
	line("| request | connections | %s |", strings.Join(g.fronts, " | "))
	line("|---|---:|%s", strings.Repeat("---:|", len(g.fronts)))
	var crossed []string
	for _, r := range g.rows {
		name := r.request
		if r.fresh {
			name += ", a new connection each"
		}
		fmt.Fprintf(&b, "| %s | %d |", name, r.clients)
		for i, s := range r.fronts {
			fmt.Fprintf(&b, " %s / %s |", short(s.p50()), short(s.p99()))
			if asked, wrong, why := s.asked(); wrong > 0 && i != gated {
				crossed = append(crossed, fmt.Sprintf("%s of %s at %d connections: %d of %d (%s)", g.fronts[i], r.request, r.clients, wrong, asked, why))
			}
		}
		b.WriteString("\n")
	}
	if len(crossed) > 0 {
		line("\nWrong answers, whose time does not count: %s.", strings.Join(crossed, "; "))
	}
	if len(g.made) > 0 {
		line("\nPeers: %s.", strings.Join(g.made, "; "))
	}
	b.WriteString("\n" + figures)
	return b.String()
}

// short is seconds in milliseconds, to three digits.
func short(seconds float64) string {
	ms := seconds * 1e3
	if math.IsNaN(ms) {
		return "none"
	}
	return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(max(ms, 0.001))))), ms)
}

const gateMeaning = `- **Through the gate**, and the reverse proxy, and peers: one client, part of the
  bench, asks all in turn, in short rounds whose order changes; p50 is the median
  of the rounds' medians, p99 that of all rounds together. The client writes
  requests that are ready, reads answers whole, and checks their status. Connections stay open but where a row
  says otherwise, and what each asks first does not count. At many connections
  each asks again as soon as it is answered, so that most of the time is waiting
  for the engine and for a processor.
- **The reverse proxy** (bench/reverse) is Go's httputil.ReverseProxy between two
  sockets, which looks at nothing. The gate enforces its policy, and has its
  trail on disk.
- **Peers** are wollomatic/socket-proxy and CodesWhat/sockguard, each told to let
  pass all that only looks, and creates, to write no log of requests, and to mask
  nothing in answers. They are left out unless
  ` + "`make bench SOCKET_PROXY=BIN SOCKGUARD=BIN`" + ` names their programs.
- **A create** through the gate is one that was judged, recorded with fdatasync,
  made, judged again by the engine's description, and recorded once more. Each
  container is removed before the next turn. The times are those of all rounds
  together, the ratio is the median of pairs. The engine keeps its data on the same
  disk. The sync of a record alone, and the engine's own description alone, take
  what is said beside it.
- **Bytes a second** count from the request to the last byte, as a client waits.
  The time until an image begins to come is most of it; from the head of the
  answer on, engine, gate and client want three processors, and there are two.
- **An idle stream** is one of 200 of events, of which none comes: the growth of
  the program's resident size, just started, by their number.
`
