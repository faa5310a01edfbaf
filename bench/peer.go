package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// beside is docker-bench-security's time by an audit's.
type beside struct {
	containers int // all of them run, since it looks at no other
	bench      comparison
}

// peerPopulations are how many containers run when docker-bench-security is
// compared with, and peerPairs how often: it needs more than a second a container.
var peerPopulations = []int{0, 3, 50}

const peerPairs = 2

// besidePeer compares with a checkout of docker-bench-security, which is a shell
// script around the docker command. Both do all that they can; its log (-l) is
// kept aside, and it writes no colours (-b).
func (b *bench) besidePeer(ctx context.Context) (list []beside, err error) {
	script := command{argv: []string{"bash", "docker-bench-security.sh", "-b", "-l", filepath.Join(b.dir, "docker-bench.log")},
		dir: b.peer, env: []string{"DOCKER_HOST=unix://" + b.socket}}
	for _, n := range peerPopulations {
		if err := b.fill.grow(ctx, n, n); err != nil {
			return nil, err
		}
		time.Sleep(settling)
		b.say("docker-bench-security, %d containers, %d pairs", n, peerPairs)
		c, err := compare(script, command{argv: b.auditArgs(b.socket)}, peerPairs)
		if err != nil {
			return nil, fmt.Errorf("beside docker-bench-security: %w", err)
		}
		list = append(list, beside{n, c})
	}
	return list, b.fill.clear(ctx)
}

// figure is its row. At 50 containers an audit must be so many times faster.
func (c beside) figure() figure {
	f := figure{what: fmt.Sprintf("docker-bench-security by an audit, %d containers that run, wall time", c.containers), number: c.bench.ratio(wallOf), least: true,
		detail: fmt.Sprintf("%s to %s, %d pairs", milliseconds(middle(c.bench.ours, wallOf)), milliseconds(middle(c.bench.theirs, wallOf)), len(c.bench.ours))}
	if c.containers == 50 {
		f.bar = barPeer
	}
	return f
}
