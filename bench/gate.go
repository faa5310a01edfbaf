package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// gating is what was measured of the gate beside the engine's own socket, a minimal
// reverse proxy, and peers, all asked for the same by the same client in turn.
type gating struct {
	population population
	fronts     []string // their names: the engine's own socket, the reverse proxy, the gate, peers
	made       []string // what the peers' programs say that they were made of
	rows       []gateRow
	creates    []float64 // ratios: each is a create through the gate by the one without
	least      []float64 // the same of one recorded and inspected by who judges nothing
	save, logs flow
	idle       []float64 // bytes an idle stream takes, of each front but the first
	size       int64     // of plimsoll-gate
}

// gateRow is one request at so many clients, of each front.
type gateRow struct {
	request string
	read    bool // it changes nothing
	clients int
	fresh   bool // a new connection for each request
	fronts  []series
}

// gatePopulation is what there is to be listed and inspected.
var gatePopulation = population{containers: 20, running: 5}

// crowd is the most clients that ask at once.
const crowd = 200

// readPlan is how many clients read at once, how often each front has its turn, and for
// how long. One client, for which there are bars, has many short turns, so that a load
// from elsewhere meets all fronts alike.
var readPlan = []struct {
	clients, rounds int
	long            time.Duration
}{{1, 30, 80 * time.Millisecond}, {10, 8, 200 * time.Millisecond}, {crowd, 6, 200 * time.Millisecond}}

// gate measures all of it, with an engine that has no container of the filler's.
func (b *bench) gate(ctx context.Context) (g *gating, err error) {
	state, err := onDisk()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()
	fronts, err := b.fronts(state)
	if err != nil {
		return nil, err
	}
	g = &gating{}
	for _, f := range fronts {
		g.fronts = append(g.fronts, f.name)
	}
	for _, f := range fronts[peers:] {
		made, err := buildinfo.ReadFile(f.argv[0])
		if err != nil {
			return nil, fmt.Errorf("the program of %s: %w", f.name, err)
		}
		g.made = append(g.made, fmt.Sprintf("%s %s, %s", made.Main.Path, made.Main.Version, made.GoVersion))
	}
	info, err := os.Stat(b.program("plimsoll-gate"))
	if err != nil {
		return nil, err
	}
	g.size = info.Size()
	b.say("the gate: making %d containers", gatePopulation.containers)
	if err := b.fill.grow(ctx, gatePopulation.containers, gatePopulation.running); err != nil {
		return nil, err
	}
	g.population = b.fill.have
	version, err := b.fill.version(ctx)
	if err != nil {
		return nil, err
	}
	time.Sleep(settling)
	defer func() {
		for _, f := range fronts {
			err = errors.Join(err, f.stop())
		}
		err = errors.Join(err, b.fill.clear(ctx))
	}()
	// Before anything else is asked of the programs: memory stays with those that once
	// needed it.
	b.say("the gate: idle streams")
	for _, f := range fronts[reverse:] {
		if err := f.start(b.dir); err != nil {
			return nil, err
		}
		each, err := idleStreams(f, version.path("/events"))
		if err != nil {
			return nil, fmt.Errorf("idle streams through %s: %w", f.name, err)
		}
		g.idle = append(g.idle, each)
	}
	if err := b.gateReads(g, fronts, version); err != nil {
		return nil, err
	}
	if err := b.gateCreates(ctx, g, fronts, version); err != nil {
		return nil, err
	}
	return g, b.gateFlows(ctx, g, fronts, version)
}

// gateReads measures what changes nothing.
func (b *bench) gateReads(g *gating, fronts []*front, version engineVersion) error {
	reads := []request{
		newRequest("`_ping`", http.MethodGet, "/_ping", nil, http.StatusOK),
		newRequest("`containers/json`", http.MethodGet, version.path("/containers/json?all=1"), nil, http.StatusOK),
		newRequest("inspect", http.MethodGet, version.path("/containers/"+containerName(0)+"/json"), nil, http.StatusOK),
	}
	var rows []gateRow
	for _, r := range reads {
		b.say("the gate: %s", r.name)
		for i := range readPlan {
			rows = append(rows, readRow(fronts, r, i, false))
		}
	}
	rows = append(rows, readRow(fronts, reads[0], 0, true))
	g.rows = append(g.rows, rows...)
	return g.sound(rows)
}

func readRow(fronts []*front, r request, plan int, fresh bool) gateRow {
	p := readPlan[plan]
	row := gateRow{request: r.name, read: true, clients: p.clients, fresh: fresh, fronts: make([]series, len(fronts))}
	for round := range p.rounds {
		for _, i := range turns(len(fronts), round) {
			row.fronts[i] = append(row.fronts[i], load(fronts[i].socket, r, p.clients, fresh, p.long))
		}
	}
	return row
}

// sound says what makes the figures worth nothing: an engine that does not answer
// rightly, or a program that never does.
func (g *gating) sound(rows []gateRow) error {
	for _, row := range rows {
		for i, s := range row.fronts {
			asked, wrong, why := s.asked()
			if wrong > 0 && (i == bare || wrong == asked) {
				return fmt.Errorf("%s at %d connections, %s: of %d answers %d are not as they should be: %s", row.request, row.clients, g.fronts[i], asked, wrong, why)
			}
		}
	}
	return nil
}
