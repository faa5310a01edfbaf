package runline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// The environment that both the client and Parse see.
var testEnv = map[string]string{"PLIMSOLL_TEST_SET": "from the environment", "GOMAXPROCS": "3"}

// A client is one of docker's own programs. Debian's must be there, and runs
// every line that it knows. A second one, where it is installed, runs only the
// lines that Debian's cannot: starting a client is what takes the time.
type client struct {
	path   string
	major  int
	second bool
}

func findClients(t *testing.T) []client {
	t.Helper()
	const debians = "/usr/bin/docker"
	var found []client
	for _, p := range []string{debians, "/usr/local/bin/docker"} {
		if _, err := os.Stat(p); err != nil {
			continue
		}
		out, err := exec.Command(p, "--version").Output()
		if err != nil {
			t.Fatalf("asking %s for its version: %v", p, err)
		}
		m := regexp.MustCompile(`version (\d+)\.`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("%s says no version: %s", p, out)
		}
		major, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, client{p, major, len(found) > 0})
	}
	if len(found) == 0 || found[0].path != debians {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: install docker.io", debians)
		}
		if len(found) == 0 {
			t.Skip("no docker client is installed")
		}
	}
	return found
}

// A testLine is a line of testdata/lines.txt or refused.txt.
type testLine struct {
	number     int
	text       string
	generation int // 20, 28, or 0 for both
	engine     engineKind
}

// engineKind is what a listener says of itself.
type engineKind struct{ windows, old bool }

func (l testLine) suits(c client) bool {
	return l.generation == 0 || (l.generation == 20) == (c.major < 23)
}

// runs is true for the lines that a client is started for.
func (l testLine) runs(c client) bool {
	return l.suits(c) && (l.generation != 0 || !c.second)
}

func readLines(t testing.TB, name string) []testLine {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var lines []testLine
	for i, text := range strings.Split(string(data), "\n") {
		if text == "" || text[0] == '#' {
			continue
		}
		l := testLine{number: i + 1, text: text}
		if text[0] == '[' {
			tags, rest, _ := strings.Cut(text[1:], "] ")
			l.text = rest
			for _, tag := range strings.Fields(tags) {
				switch tag {
				case "20", "28":
					l.generation, _ = strconv.Atoi(tag)
				case "windows":
					l.engine.windows = true
				case "old":
					l.engine.old = true
				default:
					t.Fatalf("%s:%d: unknown tag %q", name, l.number, tag)
				}
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// listener is an engine that has every image, makes nothing, and keeps the last
// create request.
type listener struct {
	socket string
	kind   engineKind

	mu     sync.Mutex // guards what follows
	name   string
	body   []byte
	others []string // requests that it has no answer for
}

func newListener(t *testing.T, kind engineKind) *listener {
	t.Helper()
	// A socket's path may have 107 bytes; the test's own directory is too deep.
	dir, err := os.MkdirTemp("", "runline")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &listener{socket: filepath.Join(dir, "s"), kind: kind}
	ln, err := net.Listen("unix", l.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: ln, Config: &http.Server{Handler: l}}
	server.Start()
	t.Cleanup(server.Close)
	return l
}

var versionPrefix = regexp.MustCompile(`^/v1\.\d+`)

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const id = "4cf9b2a0d1e84cf9b2a0d1e84cf9b2a0d1e84cf9b2a0d1e84cf9b2a0d1e84cf9"
	ostype, api := "linux", "1.50"
	if l.kind.windows {
		ostype = "windows"
	}
	if l.kind.old {
		api = "1.41"
	}
	w.Header().Set("Api-Version", api)
	w.Header().Set("Ostype", ostype)
	w.Header().Set("Content-Type", "application/json")
	switch p := versionPrefix.ReplaceAllString(r.URL.Path, ""); {
	case p == "/_ping":
		fmt.Fprint(w, "OK")
	case p == "/info":
		fmt.Fprintf(w, `{"OSType":%q,"IndexServerAddress":"https://index.docker.io/v1/"}`, ostype)
	case p == "/version":
		fmt.Fprintf(w, `{"ApiVersion":%q,"MinAPIVersion":"1.24","Os":%q}`, api, ostype)
	case p == "/images/create":
	case p == "/containers/create":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		l.mu.Lock()
		l.name, l.body = r.URL.Query().Get("name"), body
		l.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"Id":%q,"Warnings":[]}`, id)
	case strings.HasSuffix(p, "/attach"):
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		conn.Close()
	case strings.HasSuffix(p, "/wait"):
		fmt.Fprint(w, `{"StatusCode":0}`)
	case strings.HasSuffix(p, "/start"), strings.HasSuffix(p, "/resize"):
		w.WriteHeader(http.StatusNoContent)
	default:
		l.mu.Lock()
		l.others = append(l.others, r.Method+" "+p)
		l.mu.Unlock()
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"message":"no answer for %s"}`, p)
	}
}

// take returns the create request since the last call, nil if none came.
func (l *listener) take() (name string, body []byte, others []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, body, others = l.name, l.body, l.others
	l.name, l.body, l.others = "", nil, nil
	return name, body, others
}

// run has a shell run the line with the client in dir, and returns what the
// client printed.
func (c client) run(t *testing.T, line testLine, engine *listener, dir string) (string, error) {
	t.Helper()
	home, bin := filepath.Join(dir, ".home"), filepath.Join(dir, ".bin")
	for _, d := range []string{home, bin} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(c.path, filepath.Join(bin, "docker")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line.text)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + bin, "HOME=" + home, "DOCKER_CONFIG=" + home, "DOCKER_HOST=unix://" + engine.socket}
	for name, value := range testEnv {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// worldIn copies testdata/world, because --cidfile leaves a file behind.
func worldIn(t *testing.T) World {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/world")); err != nil {
		t.Fatal(err)
	}
	return World{Dir: dir, ReadFile: os.ReadFile, LookupEnv: func(name string) (string, bool) {
		value, found := testEnv[name]
		return value, found
	}}
}

// eachLine calls check for every client and every line that it runs, on four
// engines at a time.
func eachLine(t *testing.T, file string, check func(t *testing.T, c client, l testLine, engine *listener)) {
	lines := readLines(t, file)
	for _, c := range findClients(t) {
		work := make(chan testLine)
		go func() {
			defer close(work)
			for _, l := range lines {
				if l.runs(c) {
					work <- l
				}
			}
		}()
		t.Run(fmt.Sprintf("client %d", c.major), func(t *testing.T) {
			for worker := range 4 {
				t.Run(fmt.Sprint(worker), func(t *testing.T) {
					t.Parallel()
					engines := map[engineKind]*listener{}
					for l := range work {
						if engines[l.engine] == nil {
							engines[l.engine] = newListener(t, l.engine)
						}
						t.Run(fmt.Sprintf("line %d", l.number), func(t *testing.T) {
							check(t, c, l, engines[l.engine])
						})
					}
				})
			}
		})
	}
}

// TestClients: the container that Parse sees is the container that docker's
// client asks for.
func TestClients(t *testing.T) {
	eachLine(t, "lines.txt", func(t *testing.T, c client, l testLine, engine *listener) {
		world := worldIn(t)
		out, err := c.run(t, l, engine, world.Dir)
		name, body, others := engine.take()
		// --use-api-socket of client 28 mounts the socket that the client was
		// itself pointed at; 29 mounts the engine's usual one, as Parse does.
		body = bytes.ReplaceAll(body, []byte(engine.socket), []byte(engineSocket))
		if err != nil || body == nil {
			t.Fatalf("%s\nthe client asked for nothing: %v %s\nunanswered: %v", l.text, err, out, others)
		}
		for _, key := range []string{"", "key"} {
			around := workload.Surroundings{}
			if key != "" {
				around.EnvKey = []byte(key)
			}
			want, err := workload.FromCreate(name, body, around)
			if err != nil {
				t.Fatalf("%s\nreading what the client sent: %v\n%s", l.text, err, body)
			}
			line, err := ParseString(l.text, world)
			if err != nil {
				t.Fatalf("%s\nthe client takes it: %v", l.text, err)
			}
			got, err := line.Spec(around)
			if err != nil {
				t.Fatalf("%s: %v", l.text, err)
			}
			if got.Origin != workload.OriginRun {
				t.Errorf("origin is %q", got.Origin)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(workload.Spec{}, "Origin")); diff != "" {
				t.Errorf("%s\n(-client +Parse)\n%s\nsent: %s", l.text, diff, body)
			}
		}
	})
}

// TestEveryFlagHasALine: the lines above cover every flag that a client offers.
func TestEveryFlagHasALine(t *testing.T) {
	lines := readLines(t, "lines.txt")
	if len(lines) < 120 {
		t.Errorf("there are only %d lines", len(lines))
	}
	shorts := map[string]string{}
	for _, c := range findClients(t) {
		help, err := exec.Command(c.path, "run", "--help").Output()
		if err != nil {
			t.Fatalf("asking %s for help: %v", c.path, err)
		}
		flags := regexp.MustCompile(`(?m)^ +(?:-(\w), |    )--([a-z0-9-]+)`).FindAllSubmatch(help, -1)
		if len(flags) < 90 {
			t.Fatalf("%s run --help shows only %d flags", c.path, len(flags))
		}
		for _, f := range flags {
			if len(f[1]) > 0 {
				shorts[string(f[1])] = string(f[2])
			}
		}
		covered := coveredFlags(t, lines, c, shorts)
		for _, f := range flags {
			// --help makes no container: TestErrors has it.
			if name := string(f[2]); name != "help" && !slices.Contains(covered, name) {
				t.Errorf("client %d: no line of lines.txt has --%s", c.major, name)
			}
		}
	}
}

// coveredFlags are the flags before the image in the lines that suit a client.
func coveredFlags(t *testing.T, lines []testLine, c client, shorts map[string]string) []string {
	t.Helper()
	var covered []string
	for _, l := range lines {
		if !l.suits(c) {
			continue
		}
		words, err := split(l.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			long, isLong := strings.CutPrefix(w, "--")
			long, _, _ = strings.Cut(long, "=")
			switch {
			case isLong:
				covered = append(covered, long)
			case len(w) > 1 && w[0] == '-':
				covered = append(covered, shorts[w[1:2]])
			}
			if w == "nginx" || w == "busybox" {
				break
			}
		}
	}
	return covered
}

// TestBodyTravels: what Parse makes is a request that can be sent and read.
func TestBodyTravels(t *testing.T) {
	world := worldIn(t)
	for _, l := range readLines(t, "lines.txt") {
		line, err := ParseString(l.text, world)
		if err != nil {
			t.Errorf("line %d: %v", l.number, err)
			continue
		}
		checkTravels(t, line)
	}
}

// checkTravels demands that a line's body, encoded and read as the gate reads a
// request, is the same container.
func checkTravels(t *testing.T, line Line) {
	t.Helper()
	line.Unseen = nil
	want, err := line.Spec(workload.Surroundings{})
	if err != nil {
		return // the engine would refuse it, too
	}
	body, err := json.Marshal(line.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := workload.FromCreate(line.Body.Name, body, workload.Surroundings{})
	if err != nil {
		t.Fatalf("%s\nreading the request: %v\n%s", Quote(line.Args), err, bytes.TrimSpace(body))
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(workload.Spec{}, "Origin")); diff != "" {
		t.Errorf("%s\n(-line +request)\n%s", Quote(line.Args), diff)
	}
}
