package gate

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd is who is at a gate at once.
type crowd struct {
	each   int // long streams of each of four kinds
	idle   int // connections on which nothing is asked
	slow   int // clients of each of three slow kinds
	askers int
	rounds int // of six requests each
}

// TestStreamMany: many long streams, idle connections and slow clients at once, among them
// many short requests, and no error in any; nothing is left of them when they are gone.
func TestStreamMany(t *testing.T) {
	t.Parallel()
	n := crowd{each: 12, idle: 100, slow: 4, askers: 8, rounds: 8}
	if thorough {
		n = crowd{each: 50, idle: 750, slow: 10, askers: 20, rounds: 100}
	}
	e := yard(t)
	p := run(t, e.Socket(), "--mode", "enforce")
	p.must("run", "-di", "--name", "many", "web:1", "sh", "-c", "while read line; do echo $line; done")
	had := p.lookedAround()
	hadEngine := descriptors(t, e.Pid)
	c := over(p.socket)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var logs, events, stats []*lines
	var attached []*wire
	for range n.each {
		logs = append(logs, stream(ctx, t, c, "/containers/many/logs?follow=1&stdout=1"))
		events = append(events, stream(ctx, t, c, "/events?filters=%7B%22type%22%3A%5B%22volume%22%5D%7D"))
		stats = append(stats, stream(ctx, t, c, "/containers/many/stats"))
		w := wireTo(t, "attach", p.socket, "Host: x", "Connection: Upgrade", "Upgrade: tcp")
		defer w.close()
		_ = w.c.SetDeadline(time.Now().Add(10 * patient))
		w.text("POST", "POST /containers/many/attach?stdin=1&stdout=1&stream=1 HTTP/1.1\r\n"+w.fields+"\r\n")
		attached = append(attached, w)
	}
	var idle []net.Conn
	for range n.idle {
		idle = append(idle, connect(t, p.socket))
	}
	var slow sync.WaitGroup
	for range n.slow {
		slow.Go(func() { sendSlowly(ctx, t, p.socket) })
		slow.Go(func() { readSlowly(ctx, t, p.socket, 5*time.Millisecond) })
		slow.Go(func() { readSlowly(ctx, t, p.socket, 0) })
	}

	var asking sync.WaitGroup
	for i := range n.askers {
		asking.Go(func() { n.ask(ctx, t, p.socket, i) })
	}
	asking.Wait()
	if _, err := io.WriteString(attached[0].c, "to all\n"); err != nil {
		t.Error(err)
	}
	for i := range n.each {
		logs[i].expect(t, "to all\n")
		events[i].expect(t, `"Action":"destroy"`)
		stats[i].expect(t, `"read"`)
		if line, err := attached[i].r.ReadString('\n'); !strings.HasSuffix(line, "to all\n") {
			t.Errorf("attached client %d got %q, %v", i, line, err)
		}
	}
	if now := descriptors(t, p.cmd.Process.Pid); now < had+8*n.each+n.idle {
		t.Errorf("it has %d descriptors, and not those of all who are there", now)
	}
	cancel()
	for i := range n.each {
		<-logs[i].ended
		<-events[i].ended
		<-stats[i].ended
		attached[i].close()
	}
	for _, c := range idle {
		c.Close()
	}
	c.CloseIdleConnections()
	slow.Wait()
	// An engine of this age keeps the connection of each who was attached, also without a
	// gate.
	eventually(t, func() bool { return descriptors(t, e.Pid) <= hadEngine+n.each+keptIdle }, func() string {
		return fmt.Sprintf("the engine is left: it had %d descriptors, and has %d: %s", hadEngine, descriptors(t, e.Pid), openIn(e.Pid))
	})
	p.must("ps")
	p.goroutines(had+keptIdle, "all of them")
}

// ask asks for short things, one after the other.
func (n *crowd) ask(ctx context.Context, t *testing.T, socket string, i int) {
	c := over(socket)
	defer c.CloseIdleConnections()
	for k := range n.rounds {
		name := fmt.Sprintf("v%d-%d", i, k)
		for _, r := range []struct{ method, target, body, says string }{
			{"GET", "/_ping", "", "OK"}, {"GET", "/containers/json", "", `"/many"`}, {"GET", "/containers/many/json", "", `"Name":"/many"`},
			{"GET", "/images/web:1/json", "", `"web:1"`}, {"POST", "/volumes/create", `{"Name":"` + name + `"}`, name}, {"DELETE", "/volumes/" + name, "", ""},
		} {
			var body io.Reader
			if r.body != "" {
				body = strings.NewReader(r.body)
			}
			if _, text, err := ask(ctx, c, r.method, r.target, body); err != nil || !strings.Contains(text, r.says) {
				t.Errorf("%s %s: %v: %.200s", r.method, r.target, err, text)
			}
		}
	}
}

// sendSlowly sends heads byte by byte, until ctx ends.
func sendSlowly(ctx context.Context, t *testing.T, socket string) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	const text = "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"
	for {
		for i := range len(text) {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
		_ = c.SetReadDeadline(time.Now().Add(patient))
		b := make([]byte, 4096)
		if k, err := c.Read(b); err != nil || !strings.HasSuffix(string(b[:k]), "OK") {
			t.Errorf("a slow client gets %q, %v", b[:k], err)
			return
		}
	}
}

// readSlowly asks for what is long and reads a byte of it now and then, until ctx ends; 0
// is never.
func readSlowly(ctx context.Context, t *testing.T, socket string, each time.Duration) {
	c, err := net.Dial("unix", socket)
	if err == nil {
		_, err = io.WriteString(c, "GET /images/web:1/get HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if each == 0 {
		<-ctx.Done()
		return
	}
	for b := make([]byte, 1); ; {
		if _, err := c.Read(b); err != nil {
			t.Errorf("who reads slowly gets %v", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(each):
		}
	}
}
