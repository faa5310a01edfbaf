package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// request is a kind of request, in the bytes that are sent, and the one status
// that answers it rightly.
type request struct {
	name   string
	text   []byte
	status int
}

func newRequest(name, method, path string, body []byte, status int) request {
	head := method + " " + path + " HTTP/1.1\r\nHost: docker\r\nUser-Agent: bench\r\n"
	if body != nil {
		head += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return request{name, append([]byte(head+"\r\n"), body...), status}
}

// line is a client's connection, which it makes when it is needed.
type line struct {
	socket string
	conn   net.Conn // nil before it is made, and after it broke or was closed
	in     *bufio.Reader
}

// ask sends a request and reads the answer whole, its body into a writer. With an
// error the connection is closed.
func (l *line) ask(r request, body io.Writer) (status int, err error) {
	answer, err := l.begin(r)
	if err == nil {
		_, err = io.Copy(body, answer.Body)
	}
	if err != nil || answer.Close {
		l.hangUp()
	}
	if err != nil {
		return 0, fmt.Errorf("asking for %s: %w", r.name, err)
	}
	return answer.StatusCode, nil
}

// begin sends a request and reads the head of the answer.
func (l *line) begin(r request) (*http.Response, error) {
	if l.conn == nil {
		conn, err := net.Dial("unix", l.socket)
		if err != nil {
			return nil, err
		}
		l.conn, l.in = conn, bufio.NewReader(conn)
	}
	if _, err := l.conn.Write(r.text); err != nil {
		return nil, err
	}
	return http.ReadResponse(l.in, nil)
}

func (l *line) hangUp() {
	if l.conn != nil {
		l.conn.Close()
		l.conn, l.in = nil, nil
	}
}

// burst is what became of the requests of one round: how long those took that were
// answered rightly, and how many were not.
type burst struct {
	times []time.Duration
	wrong int
	why   string // of one that was wrong
}

func (b *burst) add(took time.Duration, want, status int, err error) {
	switch {
	case err == nil && status == want:
		b.times = append(b.times, took)
		return
	case err == nil:
		err = fmt.Errorf("status %d", status)
	}
	b.wrong++
	b.why = cmp.Or(b.why, err.Error())
}

func (b *burst) join(other burst) {
	b.times = append(b.times, other.times...)
	b.wrong += other.wrong
	b.why = cmp.Or(b.why, other.why)
}

// warmUp is how many requests of each of so many clients are not counted: with the
// first the connections are made, of the client to the program and of that to the
// engine.
func warmUp(clients int) int { return max(1, 5/clients) }

// load has so many clients ask for the same, each one request after the other over a
// connection that stays open, or that is fresh for each, for so long, and twice each
// however long that is.
func load(socket string, r request, clients int, fresh bool, long time.Duration) burst {
	return together(clients, func(client int, ready func()) burst {
		l := &line{socket: socket}
		defer l.hangUp()
		once := func(b *burst) {
			began := time.Now()
			status, err := l.ask(r, io.Discard)
			b.add(time.Since(began), r.status, status, err)
			if fresh {
				l.hangUp()
			}
		}
		for range warmUp(clients) {
			once(new(burst))
		}
		b := burst{times: make([]time.Duration, 0, 1024)}
		ready()
		end := time.Now().Add(long)
		for n := 0; n < 2 || time.Now().Before(end); n++ {
			once(&b)
		}
		return b
	})
}

// together runs clients side by side. What they do after ready they do from the same
// moment on.
func together(clients int, do func(client int, ready func()) burst) burst {
	var warming, asking sync.WaitGroup
	warming.Add(clients)
	ready := func() {
		warming.Done()
		warming.Wait()
	}
	bursts := make([]burst, clients)
	for i := range clients {
		asking.Go(func() { bursts[i] = do(i, ready) })
	}
	asking.Wait()
	var all burst
	for _, b := range bursts {
		all.join(b)
	}
	return all
}

// quantile is the least of the values that so large a part of them does not exceed;
// of none, it is not a number.
func quantile(times []time.Duration, part float64) float64 {
	if len(times) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[max(0, int(math.Ceil(part*float64(len(sorted))))-1)].Seconds()
}

// series are the rounds of one program.
type series []burst

// p50 is the median of the rounds' medians, which a load from elsewhere in some of them
// does not move.
func (s series) p50() float64 {
	var of []float64
	for _, b := range s {
		if len(b.times) > 0 {
			of = append(of, quantile(b.times, 0.5))
		}
	}
	return median(of)
}

// p99 is that of all rounds together: a short one has too few requests for it.
func (s series) p99() float64 { return quantile(s.whole()[0].times, 0.99) }

// whole is all rounds as one.
func (s series) whole() series {
	var all burst
	for _, b := range s {
		all.join(b)
	}
	return series{all}
}

// asked counts requests, wrong those of them that were not answered rightly; why is
// what was wrong with one.
func (s series) asked() (asked, wrong int, why string) {
	all := s.whole()[0]
	return len(all.times) + all.wrong, all.wrong, all.why
}

// turns is the order in a round: each is before each other in half of the rounds, and
// none is always the first.
func turns(n, round int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = (i + round/2) % n
	}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}
