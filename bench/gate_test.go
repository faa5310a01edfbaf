package main

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func took(ms ...float64) burst {
	var b burst
	for _, x := range ms {
		b.times = append(b.times, time.Duration(x*float64(time.Millisecond)))
	}
	return b
}

// goodGate is what misses no bar: the gate takes half of what the others take.
func goodGate() *gating {
	g := &gating{population: population{containers: 20, running: 5}, fronts: []string{"engine", "reverse proxy", "gate", "socket-proxy", "sockguard"},
		made: []string{"example.org/proxy v1, go1"}, creates: []float64{1.1}, least: []float64{1.05}, idle: []float64{60 << 10, 20 << 10, 70 << 10, 80 << 10}, size: 10 << 20,
		save: flow{bytes: 256 << 20, ours: []coming{{70 << 20, 48 << 20}}, bare: []coming{{100 << 20, 50 << 20}}},
		logs: flow{bytes: 20 << 20, ours: []coming{{9 << 20, 9 << 20}}, bare: []coming{{9 << 20, 9 << 20}}}}
	for _, name := range []string{"`_ping`", "`containers/json`", "inspect", "create"} {
		for _, n := range []int{1, 200} {
			row := gateRow{request: name, read: name != "create", clients: n}
			for _, ms := range []float64{0.1, 0.4, 0.2, 0.5, 0.6} {
				row.fronts = append(row.fronts, series{took(ms, 10*ms)})
			}
			g.rows = append(g.rows, row)
		}
	}
	fresh := g.rows[0]
	fresh.fresh = true
	fresh.fronts = slices.Clone(fresh.fronts)
	fresh.fronts[gated] = series{took(50)} // which no bar is for
	g.rows = append(g.rows, fresh)
	return g
}

func TestGateBars(t *testing.T) {
	slow := func(row int) func(*page) {
		return func(p *page) { p.gate.rows[row].fronts[gated] = series{took(0.45)} }
	}
	spoilEach(t, map[string]func(*page){
		"`_ping` through the gate by reverse proxy":                slow(0),
		"`containers/json` through the gate by reverse proxy":      slow(2),
		"inspect through the gate by reverse proxy, one":           slow(4),
		"`_ping` through the gate by socket-proxy":                 func(p *page) { p.gate.rows[0].fronts[3] = series{took(0.1)} },
		"inspect through the gate by sockguard":                    func(p *page) { p.gate.rows[4].fronts[4] = series{took(0.1)} },
		"`containers/json` through the gate by sockguard":          func(p *page) { p.gate.rows[2].fronts[4] = nil }, // not a number
		"wrong answers through the gate, 200 connections: 1, not ": func(p *page) { p.gate.rows[7].fronts[gated][0].wrong = 1 },
		"create through the gate":                                  func(p *page) { p.gate.creates = []float64{1.1, 1.2, 1.3} },
		"bytes a second of a saved image":                          func(p *page) { p.gate.save.ours[0].asked = 44 << 20 },
		"bytes a second of a log":                                  func(p *page) { p.gate.logs.ours = nil },
		"memory of an idle stream":                                 func(p *page) { p.gate.idle[1] = 41 << 10 },
		"size of plimsoll-gate":                                    func(p *page) { p.gate.size = 17 << 20 },
	})
	p := good()
	p.gate.rows[0].fronts[gated][0].wrong = 1 // of others than 200 connections
	p.gate.save.ours[0].sent = 1
	if lost := p.missed(); lost != nil {
		t.Errorf("missed %q", lost)
	}
}

func TestGateMarkdown(t *testing.T) {
	p := good()
	p.gate.rows[1].fronts[4] = series{{times: took(2).times, wrong: 3, why: "status 503"}}
	text := p.markdown()
	for _, want := range []string{
		"| request | connections | engine | reverse proxy | gate | socket-proxy | sockguard |\n|---|---:|---:|---:|---:|---:|---:|\n" +
			"| `_ping` | 1 | 0.100 / 1.00 | 0.400 / 4.00 | 0.200 / 2.00 | 0.500 / 5.00 | 0.600 / 6.00 |\n",
		"| `_ping`, a new connection each | 1 | 0.100 / 1.00 | 0.400 / 4.00 | 50.0 / 50.0 |",
		"Wrong answers, whose time does not count: sockguard of `_ping` at 200 connections: 3 of 4 (status 503).\n",
		"\nPeers: example.org/proxy v1, go1.\n",
		"| `_ping` through the gate by reverse proxy, one connection, p50 | 0.50 | 1 | 0.200 ms to 0.400 ms |\n",
		"| wrong answers through the gate, 200 connections | 0 | 0 | of 8 |\n",
		"| create through the gate by one without | 1.10 | 1.15 | 0.200 ms to 0.100 ms, 1 pairs; by who syncs a record and inspects, and judges nothing, 1.05 |\n",
		"| bytes a second of a saved image through the gate, by those without | 0.96 | at least 0.9 | 48 MiB/s to 50 MiB/s, 256 MiB, 1 pairs; without the time until it begins 0.70 |\n",
		"| memory of an idle stream through the gate | 20.00 KiB | 40 KiB | reverse proxy 60.0 KiB, socket-proxy 70.0 KiB, sockguard 80.0 KiB |\n",
		"- **The reverse proxy**",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	p.only = true
	if text := p.markdown(); strings.Contains(text, "audit") || !strings.Contains(text, "## The gate") || p.missed() != nil {
		t.Errorf("the gate alone:\n%s\n%q", text, p.missed())
	}
	p = good()
	p.gate.fronts, p.gate.made = p.gate.fronts[:peers], nil
	for i := range p.gate.rows {
		p.gate.rows[i].fronts = p.gate.rows[i].fronts[:peers]
	}
	if text := p.markdown(); strings.Contains(text, "by sockguard") || strings.Contains(text, "\nPeers: ") || p.missed() != nil {
		t.Errorf("without peers:\n%s\n%q", text, p.missed())
	}
}

func TestShort(t *testing.T) {
	for seconds, want := range map[float64]string{76.54e-6: "0.0765", 116.2e-6: "0.116", 0.00231: "2.31", 0.0412: "41.2", 0.9: "900", 2.8451: "2845", 0: "0.00000"} {
		if got := short(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
	if got := short(math.NaN()); got != "none" {
		t.Errorf("no time: %s", got)
	}
}

// TestFronts: peers are there where their programs are named.
func TestFronts(t *testing.T) {
	names := func(b *bench) (list []string) {
		fronts, err := b.fronts("state")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fronts {
			list = append(list, f.name)
		}
		return list
	}
	always := []string{"engine", "reverse proxy", "gate"}
	if diff := cmp.Diff(always, names(&bench{dir: t.TempDir()})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(append(always, "socket-proxy", "sockguard"), names(&bench{dir: t.TempDir(), socketProxy: "a", sockguard: "b"})); diff != "" {
		t.Error(diff)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-only", "audit"}, {"-only", "gate", "-o", "page.md"}, {"-differences", "page.md"}, {"more"}} {
		if err := run(args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "usage") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
