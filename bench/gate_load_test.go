package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var ms []float64
	for i := range 200 {
		ms = append(ms, float64(200-i))
	}
	for part, want := range map[float64]float64{0: 0.001, 0.5: 0.1, 0.99: 0.198, 1: 0.2} {
		if got := quantile(took(ms...).times, part); got != want {
			t.Errorf("%v: %v, want %v", part, got, want)
		}
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("the quantile of nothing is %v", got)
	}
}

// TestSeries: p50 is the median of the medians of rounds, p99 that of all together.
func TestSeries(t *testing.T) {
	s := series{took(1, 1, 1, 9, 9), took(2), {wrong: 2, why: "status 500"}, took(3)}
	if got := s.p50(); got != 0.002 {
		t.Errorf("the median of the rounds is %v", got)
	}
	if got := s.p99(); got != 0.009 {
		t.Errorf("p99 of all is %v", got)
	}
	if asked, wrong, why := s.asked(); asked != 9 || wrong != 2 || why != "status 500" {
		t.Errorf("asked %d, wrong %d, %q", asked, wrong, why)
	}
	if got := pairRatios(series{took(4), took(1), {}}, series{took(2), {}, took(1)}); !slices.Equal(got, []float64{2}) {
		t.Errorf("pairs: %v", got)
	}
	g := goodGate()
	if err := g.sound([]gateRow{{fronts: []series{{took(1)}, {took(1), {wrong: 1}}}}}); err != nil {
		t.Error(err)
	}
	for name, fronts := range map[string][]series{"the engine is wrong once": {{took(1), {wrong: 1}}}, "a front is always wrong": {{took(1)}, {{wrong: 1}}}} {
		if err := g.sound([]gateRow{{fronts: fronts}}); err == nil {
			t.Errorf("sound, though %s", name)
		}
	}
}

// TestTurns: over all rounds, each is before each other as often as behind it.
func TestTurns(t *testing.T) {
	const n = 5
	var before [n][n]int
	firsts := map[int]bool{}
	for round := range 2 * n {
		order := turns(n, round)
		firsts[order[0]] = true
		for i, a := range order {
			for _, b := range order[i+1:] {
				before[a][b]++
			}
		}
	}
	for a := range n {
		for b := range n {
			if a != b && before[a][b] != n {
				t.Errorf("%d is before %d in %d of %d rounds", a, b, before[a][b], 2*n)
			}
		}
	}
	if len(firsts) != n {
		t.Errorf("only %v are ever first", firsts)
	}
}

// engineLike answers as an engine does, and counts connections and requests. Each tenth
// answer to /some is refused.
func engineLike(t *testing.T) (socket string, conns, asked *atomic.Int64) {
	conns, asked = new(atomic.Int64), new(atomic.Int64)
	socket = filepath.Join(t.TempDir(), "e.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := asked.Add(1)
			switch {
			case r.URL.Path == "/containers/create":
				body, err := io.ReadAll(r.Body)
				if err != nil || !json.Valid(body) || r.Method != http.MethodPost {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				w.WriteHeader(http.StatusCreated)
				fmt.Fprintf(w, `{"Id":"id-%d","Warnings":[]}`, n)
			case r.URL.Path == "/some" && n%10 == 0:
				w.WriteHeader(http.StatusServiceUnavailable)
			case r.URL.Path == "/large":
				w.Write(make([]byte, 1<<20))
			default:
				io.WriteString(w, "OK")
			}
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return socket, conns, asked
}

func get(path string) request {
	return newRequest(path, http.MethodGet, path, nil, http.StatusOK)
}

func TestLoad(t *testing.T) {
	socket, conns, asked := engineLike(t)
	b := load(socket, get("/_ping"), 4, false, 100*time.Millisecond)
	if n := len(b.times); n < 4 || b.wrong > 0 || conns.Load() != 4 || asked.Load() != int64(n+4*warmUp(4)) {
		t.Errorf("%d right, %d wrong, %d connections, %d asked", n, b.wrong, conns.Load(), asked.Load())
	}
	conns.Store(0)
	b = load(socket, get("/_ping"), 1, true, 100*time.Millisecond)
	if n := len(b.times); n == 0 || conns.Load() != int64(n+warmUp(1)) {
		t.Errorf("%d asked over %d connections, which are not to stay open", n, conns.Load())
	}
	b = load(socket, get("/some"), 2, false, 100*time.Millisecond)
	if b.wrong == 0 || len(b.times) < b.wrong || b.why != "status 503" {
		t.Errorf("%d right, %d wrong: %q", len(b.times), b.wrong, b.why)
	}
	b = load(filepath.Join(t.TempDir(), "none.sock"), get("/_ping"), 2, false, 10*time.Millisecond)
	if b.wrong == 0 || len(b.times) > 0 || !strings.Contains(b.why, "no such file") {
		t.Errorf("nobody listens: %d right, %d wrong: %q", len(b.times), b.wrong, b.why)
	}
}

func TestCreate(t *testing.T) {
	socket, _, _ := engineLike(t)
	post := newRequest("create", http.MethodPost, "/containers/create", []byte("{}"), http.StatusCreated)
	made, ids := create(socket, post, 3, 2)
	slices.Sort(ids)
	if len(made.times) != 6 || made.wrong != 0 || len(slices.Compact(ids)) != 6 {
		t.Errorf("%+v, %q", made, ids)
	}
	post = newRequest("create", http.MethodPost, "/containers/create", []byte("{"), http.StatusCreated)
	if made, ids := create(socket, post, 2, 1); len(made.times) != 0 || made.wrong != 2 || ids != nil {
		t.Errorf("no JSON: %+v, %q", made, ids)
	}
}

// TestReverse: the reverse proxy passes on what is asked and answered, over connections
// that stay open, and a front says why it does not start.
func TestReverse(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "reverse")
	if out, err := exec.Command("go", "build", "-o", program, "./reverse").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	socket, conns, asked := engineLike(t)
	f := &front{name: "reverse", socket: filepath.Join(dir, "r.sock"), argv: []string{program, filepath.Join(dir, "r.sock"), socket}}
	if err := f.start(dir); err != nil {
		t.Fatal(err)
	}
	before := asked.Load()
	b := load(f.socket, get("/_ping"), 3, false, 100*time.Millisecond)
	if n := len(b.times); n == 0 || b.wrong > 0 || asked.Load()-before != int64(n+3*warmUp(3)) || conns.Load() > 4 {
		t.Errorf("%d right, %d wrong, %d asked over %d connections", n, b.wrong, asked.Load(), conns.Load())
	}
	if _, ids := create(f.socket, newRequest("create", http.MethodPost, "/containers/create", []byte("{}"), http.StatusCreated), 2, 1); len(ids) != 2 {
		t.Errorf("created %q", ids)
	}
	if bytes, err := f.resident(); err != nil || bytes < 1<<20 {
		t.Errorf("%d bytes, %v", bytes, err)
	}
	flows, err := compareFlows([]*front{{name: "engine", socket: socket}, nil, f}, get("/large"))
	if err != nil || flows.bytes != 1<<20 || len(flows.ours) != flowPairs || len(flows.bare) != flowPairs || !(flows.ratio(sentOf) > 0) || !(flows.ratio(askedOf) > 0) {
		t.Errorf("%+v, %v", flows, err)
	}
	if _, err := compareFlows([]*front{{name: "engine", socket: socket}, nil, f}, newRequest("large", http.MethodGet, "/large", nil, http.StatusCreated)); err == nil {
		t.Error("an answer with another status was taken")
	}
	if err := f.stop(); err != nil {
		t.Error(err)
	}
	f.argv = f.argv[:2]
	if err := f.start(dir); err == nil || !strings.Contains(err.Error(), "usage: reverse") {
		t.Errorf("without an engine: %v", err)
	}
}
