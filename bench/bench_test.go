package main

import (
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKindOf(t *testing.T) {
	for _, tc := range []struct{ method, path, want string }{
		{"GET", "/v1.41/containers/json?all=1", kindList},
		{"GET", "/containers/json", kindList},
		{"GET", "/v1.41/containers/json?all=1&size=1", kindOther},
		{"GET", "/v1.41/containers/0f2e/json", kindContainer},
		{"GET", "/v1.41/containers/0f2e/json?size=1", kindOther},
		{"GET", "/v1.41/containers/0f2e/top", kindOther},
		{"GET", "/v1.41/containers/a/b/json", kindOther},
		{"POST", "/v1.41/containers/0f2e/json", kindOther},
		{"GET", "/v1.41/images/sha256:00/json", kindImage},
		{"GET", "/v1.41/images/some/image:1/json", kindImage},
		{"GET", "/v1.41/images/json", kindOther},
		{"GET", "/v1.41/exec/0f2e/json", kindExec},
		{"GET", "/_ping", kindOther},
		{"GET", "/v1.41/info", kindOther},
	} {
		u, err := url.Parse(tc.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := kindOf(tc.method, u); got != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.method, tc.path, got, tc.want)
		}
	}
}

// upstream is a server on a unix socket that repeats each path it is asked for
// and refuses what is called /refused.
func upstream(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "up.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusTeapot)
		}
		io.WriteString(w, r.URL.RequestURI())
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return socket
}

func TestCounter(t *testing.T) {
	c, err := newCounter(filepath.Join(t.TempDir(), "count.sock"), upstream(t))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: unixTransport(c.Socket)}
	paths := []string{"/_ping", "/v1.41/containers/json?all=1", "/v1.41/containers/a/json", "/v1.41/containers/b/json", "/v1.41/info", "/refused"}
	for _, p := range paths {
		resp, err := client.Get("http://docker" + p)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != p || resp.StatusCode == http.StatusTeapot != (p == "/refused") {
			t.Errorf("%s: %s %q, %v", p, resp.Status, body, err)
		}
	}
	client.CloseIdleConnections()
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(paths, c.paths); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{kindOther: 3, kindList: 1, kindContainer: 2}, c.kinds); diff != "" {
		t.Error(diff)
	}
	a := audited{asked: c.kinds, other: map[string]int{"/_ping": 1, "/info": 2}}
	if got, want := a.otherWords(), "/_ping, /info 2 times"; got != want || a.total() != 6 {
		t.Errorf("%q, %d in all", got, a.total())
	}
}

func TestMeasure(t *testing.T) {
	paths := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(paths, []byte("three\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := func(script string) command { return command{argv: []string{"sh", "-c", script}} }
	u, err := measure(command{argv: []string{"sh", "-c", `read x && [ "$x" = three ] && [ "$Y" = 1 ]`}, stdin: paths, env: []string{"Y=1"}})
	if err != nil || u.wall <= 0 || u.peakBytes < 1<<16 {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := measure(sh("echo reason >&2; exit 3")); err == nil || !strings.Contains(err.Error(), "reason") {
		t.Errorf("exit code 3: %v", err)
	}
	expected := sh("exit 3")
	expected.exits = []int{3}
	if _, err := measure(expected); err != nil {
		t.Errorf("an exit code that counts as done: %v", err)
	}
	if _, err := measure(command{argv: []string{"/no/such/program"}}); err == nil {
		t.Error("a program that is not there was measured")
	}
}

// TestCompare: both sides run equally often, and each is first in half of the
// pairs; the first pair is not counted.
func TestCompare(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	write := func(word string) command {
		return command{argv: []string{"sh", "-c", "printf " + word + " >> " + log}}
	}
	c, err := compare(write("a"), write("b"), 4)
	if err != nil {
		t.Fatal(err)
	}
	order, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if string(order) != "abbaabbaab" || len(c.ours) != 4 || len(c.theirs) != 4 {
		t.Errorf("%s, %d and %d counted", order, len(c.ours), len(c.theirs))
	}
	if _, err := compare(write("a"), command{argv: []string{"false"}}, 1); err == nil {
		t.Error("a side that fails was compared")
	}
}

func TestRatio(t *testing.T) {
	sec := func(s ...float64) (all []usage) {
		for _, x := range s {
			all = append(all, usage{wall: time.Duration(x * float64(time.Second))})
		}
		return all
	}
	// The median of the ratios is not the ratio of the medians.
	c := comparison{ours: sec(2, 9, 30), theirs: sec(1, 3, 30)}
	if got := c.ratio(wallOf); got != 2 {
		t.Errorf("ratio %v", got)
	}
	if got := middle(c.ours, wallOf); got != 9 {
		t.Errorf("middle %v", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median of four: %v", got)
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

const benchmarkOutput = `goos: linux
BenchmarkJudgeSeen-2     	     705	   966161 ns/op	    780974 cpu-ns/op	        89.00 rules	  261114 B/op	    1768 allocs/op
BenchmarkJudgeSeen-2     	     705	   966161 ns/op	    580974 cpu-ns/op	        89.00 rules	  261114 B/op	    1768 allocs/op
BenchmarkJudgeSeen-2     	     705	   966161 ns/op	    600000 cpu-ns/op	        89.00 rules	  261114 B/op	    1768 allocs/op
BenchmarkJudgeUnseen     	     225	  3174286 ns/op	   2889751 cpu-ns/op	        89.00 rules	  826260 B/op	    5226 allocs/op
BenchmarkLoad-2          	      10	 97700496 ns/op	  52258400 cpu-ns/op	14684288 B/op	  216010 allocs/op
BenchmarkAppend-2    	       1	4894604921 ns/op	     18594 events/s	        30.96 events/sync	         0.8050 of-raw
BenchmarkAppend-2    	       1	7393020511 ns/op	     11305 events/s	        31.79 events/sync	         0.6693 of-raw
BenchmarkAppend-2    	       1	5467329236 ns/op	     16819 events/s	        31.57 events/sync	         0.8324 of-raw
BenchmarkMillion-2   	       1	14872410576 ns/op	    165246 checkpoints	     83641 events/s	        38.28 ms/open	         0.8521 of-empty
BenchmarkList/now-2         	      20	   6750956 ns/op
BenchmarkList/late-2        	      20	  10000000 ns/op
PASS
`

func TestParseRemembering(t *testing.T) {
	parse := func(text string) (remembering, error) {
		values, err := parseBenchmarks(text)
		if err != nil {
			return remembering{}, err
		}
		return rememberingOf(values)
	}
	got, err := parse(benchmarkOutput)
	if want := (remembering{0.805, 16819, 31.57, 0.8521, 83641, 38.28, 10}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parse(strings.ReplaceAll(benchmarkOutput, "of-raw", "other")); err == nil {
		t.Error("nothing is missed without of-raw")
	}
}

func TestParseTrusting(t *testing.T) {
	const output = "BenchmarkOffline/tag-2  \t 4000\t 250000 ns/op\nBenchmarkOffline/referrer-2  \t 4000\t 500000 ns/op\nBenchmarkOf-2  \t 9000\t 20000 ns/op\n" +
		"BenchmarkCold/tag-2 \t 100\t 3e6 ns/op\t 4.000 requests\nBenchmarkCold/referrer-2 \t 100\t 3e6 ns/op\t 4.000 requests\nBenchmarkCold/fallback-2 \t 100\t 3e6 ns/op\t 5.000 requests\n"
	parse := func(text string) (*trusting, error) {
		values, err := parseBenchmarks(text)
		if err != nil {
			return nil, err
		}
		return trustingOf(values)
	}
	got, err := parse(output)
	if want := (&trusting{0.5, 0.02, map[string]int{"tag": 4, "referrer": 4, "fallback": 5}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parse(strings.ReplaceAll(output, "fallback", "other")); err == nil {
		t.Error("nothing is missed without the fallback")
	}
}

func TestParseJudging(t *testing.T) {
	parse := func(text string) (judging, error) {
		values, err := parseBenchmarks(text)
		if err != nil {
			return judging{}, err
		}
		return judgingOf(values)
	}
	got, err := parse(benchmarkOutput)
	if err != nil {
		t.Fatal(err)
	}
	want := judging{rules: 89, seen: 600000, unseen: 2889751, load: 52258400}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, lost := range []string{"BenchmarkLoad", "cpu-ns/op", "rules"} {
		if _, err := parse(strings.ReplaceAll(benchmarkOutput, lost, "other")); err == nil {
			t.Errorf("nothing is missed without %s", lost)
		}
	}
}

// good is a page on which nothing is over its bar.
func good() *page {
	pair := comparison{ours: []usage{{wall: 14e6, cpu: 3e6}}, theirs: []usage{{wall: 10e6, cpu: 1e6}}}
	audit := func(n int) audited {
		return audited{population: population{containers: n, running: 3, images: 5, execs: 1}, audit: pair, peakBytes: 70 << 20, ownBytes: 20 << 20,
			asked: map[string]int{kindList: 1, kindContainer: n, kindImage: 5, kindExec: 1, kindOther: 5}, other: map[string]int{"/info": 5}}
	}
	return &page{when: time.Unix(0, 0), engine: "Docker 1", loads: []string{"0.1"}, start: pair,
		judging: judging{rules: 9, seen: 5e5, unseen: 2e6, load: 4e7}, remembering: remembering{0.8, 2e4, 32, 0.9, 2e5, 40, 10}, audits: []audited{audit(50), audit(500)},
		peer: []beside{{3, pair}, {50, comparison{ours: []usage{{wall: 110e9}}, theirs: []usage{{wall: 1e9}}}}}, gate: goodGate(),
		trusting: &trusting{1, 0.1, map[string]int{"tag": 4, "referrer": 4, "fallback": 4}}}
}

func TestBars(t *testing.T) {
	if lost := good().missed(); lost != nil {
		t.Errorf("a good page misses %q", lost)
	}
	spoilEach(t, map[string]func(*page){
		"list of containers at 50":              func(p *page) { p.audits[0].asked[kindList] = 2 },
		"inspect of a container at 500":         func(p *page) { p.audits[1].asked[kindContainer] = 499 },
		"inspect of an image at 50":             func(p *page) { p.audits[0].asked[kindImage] = 50 },
		"inspect of an exec at 50":              func(p *page) { p.audits[0].asked[kindExec] = 0 },
		"other at 500":                          func(p *page) { p.audits[1].asked[kindOther] = 13 },
		"audit of 500 containers":               func(p *page) { p.audits[1].audit.ours = []usage{{wall: 21e6}} },
		"audit of 50 containers":                func(p *page) { p.audits[0].audit = comparison{} }, // not a number
		"peak memory of an audit of 500":        func(p *page) { p.audits[1].peakBytes = 81 << 20 },
		"9 rules over one container":            func(p *page) { p.judging.seen = 1100e3 },
		"the same, with partial":                func(p *page) { p.judging.unseen = 4100e3 },
		"`plimsoll version` by hello, wal":      func(p *page) { p.start.ours = []usage{{wall: 41e6, cpu: 1e6}} },
		"`plimsoll version` by hello, pro":      func(p *page) { p.start.ours = []usage{{wall: 1e6, cpu: 41e6}} },
		"durable appends":                       func(p *page) { p.remembering.ofRaw = 0.6 },
		"the same at a million":                 func(p *page) { p.remembering.ofEmpty = 0.7 },
		"verifying":                             func(p *page) { p.remembering.verify = 9e4 },
		"what is deployed":                      func(p *page) { p.remembering.list = 301 },
		"verifying who signed an image, by":     func(p *page) { p.trusting.offline = 5.1 },
		"reading at a create what is known":     func(p *page) { p.trusting.verdict = 1.1 },
		"requests of verifying it with nothing": func(p *page) { p.trusting.cold["fallback"] = 5 },
		"docker-bench-security by an audit, 50": func(p *page) { p.peer[1].bench.ours = []usage{{wall: 99e9}} },
	})
}

// spoilEach spoils one figure of a good page at a time; its row, which begins as the key,
// must be the only one over its bar.
func spoilEach(t *testing.T, figures map[string]func(*page)) {
	t.Helper()
	for name, spoil := range figures {
		p := good()
		spoil(p)
		if lost := p.missed(); len(lost) != 1 || !strings.HasPrefix(lost[0], name) {
			t.Errorf("%s: missed %q", name, lost)
		}
		if !strings.Contains(p.markdown(), "**not") && strings.Count(p.markdown(), "| **") != 1 {
			t.Errorf("%s is not marked on the page", name)
		}
	}
}

func TestMarkdown(t *testing.T) {
	p := good()
	p.audits[1].ownBytes = 70 << 20
	text := p.markdown()
	for _, want := range []string{
		"| inspect of a container | 50 | 500 |\n", "| other | 5 (at most 12) | 5 (at most 12) |\n", "| all | 62 | 512 |\n", "The others are /info 5 times.\n",
		"| audit of 500 containers by the minimal client, wall time | 1.40 | 2 | 14.0 ms to 10.0 ms, 1 pairs |\n",
		"| peak memory of an audit of 500 containers | 70.00 MiB | 80 MiB | the largest of 1; no more than the bench itself, so it may be less |\n",
		"| durable appends to the trail with 64 writers, by the same bytes and syncs alone | 0.80 | at least 0.7 | 20000 events a second, 32 to a sync |\n",
		"| verifying a million events | 200000.00 events/s | at least 100000 events/s |  |\n",
		"| 9 rules over one container, all seen | 0.50 ms | 1 ms | processor time |\n",
		"| docker-bench-security by an audit, 3 containers that run, wall time | 1.40 |  | 14.0 ms to 10.0 ms, 1 pairs |\n",
		"| docker-bench-security by an audit, 50 containers that run, wall time | 110.00 | at least 100 | 110000.0 ms to 1000.0 ms, 1 pairs |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "| **") {
		t.Errorf("something is marked:\n%s", text)
	}
}

func TestDescribeMachine(t *testing.T) {
	m, err := describeMachine()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"processor": m.cpu, "memory": m.memory, "system": m.system, "load": m.load, "Go": m.goes, "commit": m.commit} {
		if strings.TrimSpace(value) == "" {
			t.Errorf("no %s", name)
		}
	}
	if got := valueIn("a\t: 1\nb : 2 \n", "b", ":"); got != "2" {
		t.Errorf("b is %q", got)
	}
	if got := valueIn("a: 1\n", "c", ":"); got != "" {
		t.Errorf("c is %q", got)
	}
}

// TestInOrder: what an audit asked for, in the order that it could be asked in.
func TestInOrder(t *testing.T) {
	got := inOrder([]string{"/_ping", "/v1.41/containers/json?all=1", "/version", "/v1.41/images/a/json", "/v1.41/info", "/v1.41/containers/b/json", "/v1.41/exec/c/json"})
	want := "/_ping\n\n/version\n/v1.41/info\n/v1.41/containers/json?all=1\n\n/v1.41/images/a/json\n/v1.41/containers/b/json\n/v1.41/exec/c/json\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMinimal: the client that an audit is measured against asks for each path
// once, and fails where an answer is not a good one.
func TestMinimal(t *testing.T) {
	program := filepath.Join(t.TempDir(), "minimal")
	if out, err := exec.Command("go", "build", "-o", program, "./minimal").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := newCounter(filepath.Join(t.TempDir(), "count.sock"), upstream(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(connections, paths string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, c.Socket, connections)
		cmd.Stdin = strings.NewReader(paths)
		return cmd.Run()
	}
	if err := ask("3", "/info\n\n/containers/a/json\n/containers/b/json\n/containers/c/json\n\n/info\n"); err != nil {
		t.Errorf("good paths: %v", err)
	}
	// The last before an empty line is waited for; others may still be under way.
	c.mu.Lock()
	paths := slices.Clone(c.paths)
	c.mu.Unlock()
	if rest := slices.Index(paths[1:], "/info"); paths[0] != "/info" || rest < slices.Index(paths[1:], "/containers/c/json") {
		t.Errorf("asked in the order %q", paths)
	}
	for name, err := range map[string]error{"a refusal": ask("1", "/refused\n\n/info\n"), "no paths": ask("1", "\n"), "no connections": ask("0", "/info\n")} {
		if err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{kindContainer: 3, kindOther: 3}, c.kinds); diff != "" {
		t.Error(diff)
	}
}
