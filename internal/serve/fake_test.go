package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
)

// fake is an engine over HTTP on a real unix socket, for floods and faults that a real
// one cannot produce in the time.
type fake struct {
	t      *testing.T
	client *engine.Client

	mu         sync.Mutex
	log        []string // all that happened, as the engine says it
	from       int      // what it remembers of it begins there
	changed    chan struct{}
	containers map[string]*fakeContainer
	images     map[string][]string
	volumes    map[string]bool
	clock      time.Time
	// cut breaks a stream after so many events; 0 does not.
	cut     int
	streams int
	cuts    int // each of which ends all streams
	inspect int
	down    bool
	away    int // requests while it was down
	execs   map[string]map[string]any
	refuse  map[string]int // paths with the status that they are refused with
}

type fakeContainer struct {
	id, name, policy  string
	running           bool
	started, finished time.Time
	exit, restarts    int
	labels            map[string]string
	probe             []string
}

var fakeStart = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func startFake(t *testing.T) *fake {
	t.Helper()
	dir, err := os.MkdirTemp("", "plimsoll")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, changed: make(chan struct{}), containers: map[string]*fakeContainer{}, images: map[string][]string{}, volumes: map[string]bool{}, clock: fakeStart, refuse: map[string]int{}}
	socket := filepath.Join(dir, "engine.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(l)
	}()
	f.client, err = engine.New(engine.Config{Endpoint: engine.Endpoint{Address: "unix://" + socket, Source: "--host"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.client.Close()
		server.Close()
		<-ended
		os.RemoveAll(dir)
	})
	return f
}

// do changes the engine; what it says happens is in its memory with that.
func (f *fake) do(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

// emit says that something happened. f.mu is held.
func (f *fake) emit(kind, action, id string, attrs map[string]string) time.Time {
	f.clock = f.clock.Add(time.Millisecond)
	raw, err := json.Marshal(map[string]any{"Type": kind, "Action": action, "Actor": map[string]any{"ID": id, "Attributes": attrs},
		"scope": "local", "time": f.clock.Unix(), "timeNano": f.clock.UnixNano()})
	if err != nil {
		f.t.Error(err)
	}
	f.log = append(f.log, string(raw))
	return f.clock
}

func idOf(n int) string { return fmt.Sprintf("%064x", n) }

func (f *fake) attrs(c *fakeContainer, more ...string) map[string]string {
	a := map[string]string{}
	for i := 0; i < len(more); i += 2 {
		a[more[i]] = more[i+1]
	}
	for k, v := range c.labels {
		a[k] = v
	}
	a["name"], a["image"] = c.name, "web:1"
	return a
}

// create, start, die and remove are what happens to containers. f.mu is held.
func (f *fake) create(n int, labels map[string]string) *fakeContainer {
	c := &fakeContainer{id: idOf(n), name: "c" + strconv.Itoa(n), labels: labels}
	f.containers[c.id] = c
	f.emit("container", "create", c.id, f.attrs(c))
	return c
}

func (f *fake) start(c *fakeContainer) {
	c.started, c.running = f.clock.Add(time.Microsecond), true
	f.emit("container", "start", c.id, f.attrs(c))
}

func (f *fake) die(c *fakeContainer, code int) {
	c.finished, c.running, c.exit = f.clock.Add(time.Microsecond), false, code
	f.emit("container", "die", c.id, f.attrs(c, "exitCode", strconv.Itoa(code)))
}

func (f *fake) remove(c *fakeContainer) {
	delete(f.containers, c.id)
	f.emit("container", "destroy", c.id, f.attrs(c))
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, found := strings.CutPrefix(path, "/v1."); found {
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		f.away++
		panic(http.ErrAbortHandler)
	}
	if status := f.refuse[path]; status != 0 {
		w.WriteHeader(status)
		io.WriteString(w, `{"message":"not for you"}`)
		return
	}
	list := []any{}
	switch path {
	case "/_ping":
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Ostype", "linux")
		io.WriteString(w, "OK")
		return
	case "/events":
		f.events(w, r)
		return
	case "/info":
		f.answer(w, map[string]any{"ID": "ENGINE", "Name": "harbour", "ServerVersion": "20.10.24", "SystemTime": f.clock.Format(time.RFC3339Nano)})
		return
	case "/containers/json":
		for id, c := range f.containers {
			list = append(list, map[string]any{"Id": id, "Names": []string{"/" + c.name}, "ImageID": "sha256:" + idOf(9)})
		}
	case "/images/json":
		for id, tags := range f.images {
			list = append(list, map[string]any{"Id": id, "RepoTags": tags})
		}
	case "/volumes":
		for name := range f.volumes {
			list = append(list, map[string]any{"Name": name})
		}
		f.answer(w, map[string]any{"Volumes": list, "Warnings": nil})
		return
	case "/networks":
		list = append(list, map[string]any{"Id": idOf(7), "Name": "bridge"})
	default:
		f.subject(w, path)
		return
	}
	f.answer(w, list)
}

func (f *fake) answer(w http.ResponseWriter, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		f.t.Error(err)
	}
	w.Write(raw)
}

func (f *fake) subject(w http.ResponseWriter, path string) {
	if name, is := strings.CutPrefix(path, "/images/"); is {
		name = strings.TrimSuffix(name, "/json")
		for id, tags := range f.images {
			if id == name || slices.Contains(tags, name) {
				f.answer(w, map[string]any{"Id": id, "RepoTags": tags})
				return
			}
		}
	}
	if e, there := f.execs[path]; there {
		f.answer(w, e)
		return
	}
	id, is := strings.CutPrefix(path, "/containers/")
	c := f.containers[strings.TrimSuffix(id, "/json")]
	if !is || c == nil {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message":"No such thing"}`)
		return
	}
	f.inspect++
	f.answer(w, map[string]any{"Id": c.id, "Name": "/" + c.name, "Image": "sha256:" + idOf(9), "Created": fakeStart.Format(time.RFC3339Nano), "RestartCount": c.restarts,
		"State":      map[string]any{"Running": c.running, "StartedAt": c.started.Format(time.RFC3339Nano), "FinishedAt": c.finished.Format(time.RFC3339Nano), "ExitCode": c.exit},
		"Config":     map[string]any{"Image": "web:1", "Labels": c.labels, "Healthcheck": map[string]any{"Test": c.probe}},
		"HostConfig": map[string]any{"RestartPolicy": map[string]any{"Name": c.policy}}})
}

// events sends what the engine remembers, and then what happens. f.mu is held, but while
// it waits or writes.
func (f *fake) events(w http.ResponseWriter, r *http.Request) {
	next := max(f.from, len(f.log)-remembered)
	if r.URL.Query().Has("until") {
		for _, line := range f.log[next:] {
			io.WriteString(w, line+"\n")
		}
		return
	}
	f.streams++
	if !r.URL.Query().Has("since") {
		next = len(f.log)
	}
	cuts := f.cuts
	live := 0 // events beyond those that it remembered
	w.WriteHeader(http.StatusOK)
	for first := true; ; first = false {
		batch, changed := f.log[next:], f.changed
		next = len(f.log)
		cut := f.cut
		f.mu.Unlock()
		for _, line := range batch {
			io.WriteString(w, line+"\n")
		}
		w.(http.Flusher).Flush()
		if !first {
			live += len(batch)
		}
		over := cut > 0 && live >= cut
		if !over {
			select {
			case <-changed:
			case <-r.Context().Done():
				over = true
			}
		}
		f.mu.Lock()
		if over || f.down || f.cuts != cuts {
			panic(http.ErrAbortHandler) // the deferred unlock is still to come
		}
	}
}

var errTest = errors.New("by the test")
