package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
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
			if g.least, err = b.leastCreates(ctx, fronts[bare].socket, r, version, p.rounds); err != nil {
				return err
			}
		}
		for i, s := range row.fronts {
			row.fronts[i] = s.whole()
		}
		rows = append(rows, row)
	}
	g.rows = append(g.rows, rows...)
	return g.sound(rows)
}

// leastCreates gives how many times as long a create takes that is written down durably
// before, and looked at afterwards, by a client of the engine's that judges nothing.
func (b *bench) leastCreates(ctx context.Context, socket string, r request, version engineVersion, rounds int) (ratios []float64, err error) {
	dir, err := onDisk()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	const record = 1 << 10 // about what an event has
	f, err := os.Create(filepath.Join(dir, "records"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// As a trail's: of a file that has the room, only data are made durable.
	if _, err := f.Write(make([]byte, record*rounds)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	l := &line{socket: socket}
	defer l.hangUp()
	text := bytes.Repeat([]byte("x"), record)
	for i := range rounds {
		began := time.Now()
		_, err := f.WriteAt(text, int64(i*record))
		if err == nil {
			err = unix.Fdatasync(int(f.Fd()))
		}
		if err != nil {
			return nil, err
		}
		synced := time.Since(began)
		made, ids := create(socket, r, 1, 1)
		if len(made.times) == 0 {
			return nil, fmt.Errorf("a create: %s", made.why)
		}
		began = time.Now()
		_, err = l.ask(newRequest("inspect", http.MethodGet, version.path("/containers/"+ids[0]+"/json"), nil, http.StatusOK), io.Discard)
		looked := time.Since(began)
		if err = errors.Join(err, b.fill.remove(ctx, ids)); err != nil {
			return nil, err
		}
		ratios = append(ratios, float64(synced+made.times[0]+looked)/float64(made.times[0]))
	}
	return ratios, nil
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
