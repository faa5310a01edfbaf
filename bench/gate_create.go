package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// createPlan is how many clients create at once, how many containers each, and how
// often each front has its turn.
var createPlan = []struct{ clients, each, rounds int }{{1, 1, 40}, {10, 2, 4}, {crowd, 1, 2}}

// gateCreates measures creates. Containers are removed after each turn; one turn before
// all others is not counted, in which the engine gets used to so many at once.
func (b *bench) gateCreates(ctx context.Context, g *gating, fronts []*front, version engineVersion) error {
	body, err := json.Marshal(map[string]any{"Image": imageName(0), "Labels": map[string]string{"number": "0"}, "HostConfig": map[string]any{"NetworkMode": "none"}})
	if err != nil {
		return err
	}
	r := newRequest("create", http.MethodPost, version.path("/containers/create"), body, http.StatusCreated)
	var rows []gateRow
	for _, p := range createPlan {
		b.say("the gate: creates, %d at once", p.clients)
		row := gateRow{request: r.name, clients: p.clients, fronts: make([]series, len(fronts))}
		turn := func(f *front) (burst, error) {
			made, ids := create(f.socket, r, p.clients, p.each)
			return made, b.fill.remove(ctx, ids)
		}
		if _, err := turn(fronts[bare]); err != nil {
			return err
		}
		for round := range p.rounds {
			for _, i := range turns(len(fronts), round) {
				made, err := turn(fronts[i])
				if err != nil {
					return err
				}
				row.fronts[i] = append(row.fronts[i], made)
			}
		}
		if p.clients == 1 {
			g.creates = pairRatios(row.fronts[gated], row.fronts[bare])
		}
		for i, s := range row.fronts {
			row.fronts[i] = s.whole()
		}
		rows = append(rows, row)
	}
	g.rows = append(g.rows, rows...)
	return g.sound(rows)
}

// create has clients create so many containers each, over connections that are open
// already and to a program that has its own to the engine.
func create(socket string, r request, clients, each int) (made burst, ids []string) {
	ping := newRequest("_ping", http.MethodGet, "/_ping", nil, http.StatusOK)
	var mu sync.Mutex
	made = together(clients, func(_ int, ready func()) burst {
		var b burst
		l := &line{socket: socket}
		defer l.hangUp()
		for range warmUp(clients) {
			// Should it fail, the create will.
			_, _ = l.ask(ping, io.Discard)
		}
		ready()
		for range each {
			var answer bytes.Buffer
			began := time.Now()
			status, err := l.ask(r, &answer)
			took := time.Since(began)
			var container struct{ ID string }
			if err == nil && status == r.status {
				err = json.Unmarshal(answer.Bytes(), &container)
			}
			b.add(took, r.status, status, err)
			if container.ID != "" {
				mu.Lock()
				ids = append(ids, container.ID)
				mu.Unlock()
			}
		}
		return b
	})
	return made, ids
}

// pairRatios are a's times by b's of the same round, where both have one.
func pairRatios(a, b series) (ratios []float64) {
	for i := range a {
		if len(a[i].times) > 0 && len(b[i].times) > 0 {
			ratios = append(ratios, quantile(a[i].times, 0.5)/quantile(b[i].times, 0.5))
		}
	}
	return ratios
}
