package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// flow is how quickly a large answer came, through the gate and without it, in pairs.
type flow struct {
	bytes      int64
	ours, bare []coming
}

// coming is one such answer, in bytes a second: from its head on, and from the request
// on, with what the engine did before it had anything to send.
type coming struct{ sent, asked float64 }

func sentOf(c coming) float64  { return c.sent }
func askedOf(c coming) float64 { return c.asked }

// ratio is the median of the pairs'.
func (f flow) ratio(of func(coming) float64) float64 {
	var all []float64
	for i := range f.ours {
		all = append(all, of(f.ours[i])/of(f.bare[i]))
	}
	return median(all)
}

const (
	largeBytes = 256 << 20 // of an image
	lineBytes  = 100       // of a log
	logLines   = 100_000
	flowPairs  = 6
	// idleStreams are so many, left alone for so long.
	idleCount = 200
	idleTime  = time.Second
)

// gateFlows measures large answers: an image that is saved, and the log of a container.
func (b *bench) gateFlows(ctx context.Context, g *gating, fronts []*front, version engineVersion) (err error) {
	const image, logger = "bench/large:1", "bench-log"
	b.say("the gate: saving an image of %d MiB, %d pairs", largeBytes>>20, flowPairs)
	if err := b.fill.large(ctx, image); err != nil {
		return err
	}
	defer func() {
		_, rerr := b.fill.call(ctx, http.MethodDelete, "/images/"+image+"?force=1", nil)
		err = errors.Join(err, rerr)
	}()
	save := newRequest("save", http.MethodGet, version.path("/images/get?names="+url.QueryEscape(image)), nil, http.StatusOK)
	if g.save, err = compareFlows(fronts, save); err != nil {
		return err
	}
	b.say("the gate: a log of %d lines, %d pairs", logLines, flowPairs)
	defer func() {
		_, rerr := b.fill.call(ctx, http.MethodDelete, "/containers/"+logger+"?force=1&v=1", nil)
		err = errors.Join(err, rerr)
	}()
	if err := b.fill.logs(ctx, logger); err != nil {
		return err
	}
	logs := newRequest("logs", http.MethodGet, version.path("/containers/"+logger+"/logs?stdout=1"), nil, http.StatusOK)
	g.logs, err = compareFlows(fronts, logs)
	return err
}

// compareFlows asks for a large answer with and without the gate, in turn. A first pair
// is not counted.
func compareFlows(fronts []*front, r request) (flow, error) {
	var f flow
	for round := -1; round < flowPairs; round++ {
		for _, i := range turns(gated+1, round+1) {
			if i == reverse {
				continue
			}
			n, how, err := receive(fronts[i].socket, r)
			if err == nil && round >= 0 && n != f.bytes {
				err = fmt.Errorf("%d bytes came, not %d", n, f.bytes)
			}
			if err != nil {
				return f, fmt.Errorf("%s by way of the %s: %w", r.name, fronts[i].name, err)
			}
			switch {
			case round < 0:
				f.bytes = n
			case i == bare:
				f.bare = append(f.bare, how)
			default:
				f.ours = append(f.ours, how)
			}
		}
	}
	return f, nil
}

// receive takes a large answer and gives its length.
func receive(socket string, r request) (n int64, how coming, err error) {
	l := &line{socket: socket}
	defer l.hangUp()
	asked := time.Now()
	answer, err := l.begin(r)
	if err != nil {
		return 0, how, err
	}
	if answer.StatusCode != r.status {
		return 0, how, fmt.Errorf("status %d", answer.StatusCode)
	}
	sent := time.Now()
	// A writer that reads from nothing itself: the buffer is as large as pipes are.
	n, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, make([]byte, 64<<10))
	of := func(since time.Time) float64 { return float64(n) / time.Since(since).Seconds() }
	return n, coming{of(sent), of(asked)}, err
}

// large makes an image of bytes that nothing makes smaller.
func (f *filler) large(ctx context.Context, name string) error {
	r, w := io.Pipe()
	go func() {
		random := rand.NewChaCha8([32]byte{})
		archive := tar.NewWriter(w)
		err := archive.WriteHeader(&tar.Header{Name: "data", Mode: 0o644, Size: largeBytes})
		if err == nil {
			_, err = io.CopyN(archive, random, largeBytes)
		}
		w.CloseWithError(errors.Join(err, archive.Close()))
	}()
	defer r.Close()
	repo := url.Values{"fromSrc": {"-"}, "repo": {name}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker/images/create?"+repo.Encode(), r)
	if err != nil {
		return err
	}
	answer, err := f.http.Do(req)
	if err != nil {
		return fmt.Errorf("making a large image: %w", err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	if err != nil {
		return fmt.Errorf("making a large image: %w: %s", err, said)
	}
	return nil
}

// logs makes a container that has written many lines and ended.
func (f *filler) logs(ctx context.Context, name string) error {
	script := fmt.Sprintf("yes %0*d | head -n %d", lineBytes-1, 0, logLines)
	body := map[string]any{"Image": imageName(0), "Cmd": []string{"sh", "-c", script},
		"HostConfig": map[string]any{"NetworkMode": "none", "LogConfig": map[string]any{"Type": "json-file"}}}
	if _, err := f.call(ctx, http.MethodPost, "/containers/create?name="+name, body); err != nil {
		return err
	}
	if _, err := f.call(ctx, http.MethodPost, "/containers/"+name+"/start", nil); err != nil {
		return err
	}
	_, err := f.call(ctx, http.MethodPost, "/containers/"+name+"/wait", nil)
	return err
}

// idleStreams opens many streams on which nothing comes, and gives the memory that the
// program has grown by for each.
func idleStreams(f *front, path string) (float64, error) {
	r := newRequest("events", http.MethodGet, path, nil, http.StatusOK)
	open := func() (*line, error) {
		l := &line{socket: f.socket}
		answer, err := l.begin(r)
		if err == nil && answer.StatusCode != r.status {
			err = fmt.Errorf("status %d", answer.StatusCode)
		}
		if err != nil {
			l.hangUp()
			return nil, err
		}
		return l, nil
	}
	// What the first stream brings in is not for each.
	first, err := open()
	if err != nil {
		return 0, err
	}
	defer first.hangUp()
	time.Sleep(idleTime)
	before, err := f.resident()
	if err != nil {
		return 0, err
	}
	for range idleCount {
		l, err := open()
		if err != nil {
			return 0, err
		}
		defer l.hangUp()
	}
	time.Sleep(idleTime)
	after, err := f.resident()
	return float64(after-before) / idleCount, err
}
