package collect

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ Client = (*engine.Client)(nil)

var collectedAt = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// answer is a part of an engine's answers; the recorded ones come from Debian's
// docker.io 20.10.24 with one container.
type answer = map[string]any

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// altered is a recorded answer after change.
func altered(t testing.TB, name string, change func(answer)) []byte {
	t.Helper()
	var body answer
	if err := json.Unmarshal(recorded(t, name), &body); err != nil {
		t.Fatal(err)
	}
	change(body)
	return encode(t, body)
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// container is one that a fake engine has.
type container struct {
	id, name string
	// image is the id of its image; "" is the recorded one's.
	image string
	// change alters the recorded inspect answer; pid 0 is a stopped container.
	change func(answer)
	pid    int
}

// idOf makes an id of a number.
func idOf(n int) string { return fmt.Sprintf("%064x", n) }

const recordedImage = "sha256:d29e4df802d35adba344fe3ce00aa4f6dad6728c10d16f96fa966fd420c2edff"

// fake is an engine over HTTP on a real unix socket that replays recorded
// answers, for what a real engine cannot be made to do in time.
type fake struct {
	t          testing.TB
	containers []container
	// answers replaces or adds bodies by path, without the version in front.
	answers map[string][]byte
	// before sees each request first and may answer it, which it says.
	before func(w http.ResponseWriter, path string) bool

	socket string
	server *http.Server
	client *engine.Client
	mu     sync.Mutex
	seen   []string
	now    int // requests being answered
	most   int
}

// start serves f and makes a client for it.
func (f *fake) start(t testing.TB) *fake {
	t.Helper()
	f.t = t
	dir, err := os.MkdirTemp("", "plimsoll")
	if err != nil {
		t.Fatal(err)
	}
	f.socket = filepath.Join(dir, "engine.sock")
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	f.server = &http.Server{Handler: f}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.server.Serve(l)
	}()
	f.client, err = engine.New(engine.Config{Endpoint: engine.Endpoint{Address: "unix://" + f.socket, Source: "--host"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.client.Close()
		f.server.Close()
		<-ended
		os.RemoveAll(dir)
	})
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, found := strings.CutPrefix(path, "/v1."); found {
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	f.mu.Lock()
	f.seen = append(f.seen, path)
	f.now++
	f.most = max(f.most, f.now)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now--
		f.mu.Unlock()
	}()
	if f.before != nil && f.before(w, path) {
		return
	}
	if body, found := f.answers[path]; found {
		w.Write(body)
		return
	}
	switch path {
	case "/_ping":
		w.Header().Set("Api-Version", f.api())
		w.Header().Set("Ostype", "linux")
		io.WriteString(w, "OK")
	case "/version", "/info", "/networks", "/volumes":
		w.Write(recorded(f.t, path[1:]+".json"))
	case "/containers/json":
		w.Write(f.list())
	case "/images/json":
		w.Write(f.images())
	default:
		f.subject(w, path)
	}
}

// api is the version of the API that /version says, as a ping does.
func (f *fake) api() string {
	var said struct{ APIVersion string }
	if err := json.Unmarshal(f.answers["/version"], &said); err != nil {
		return "1.41" // that of the recorded answer
	}
	return said.APIVersion
}

func (f *fake) list() []byte {
	entries := make([]answer, len(f.containers))
	for i, c := range f.containers {
		image := c.image
		if image == "" {
			image = recordedImage
		}
		entries[i] = answer{"Id": c.id, "Names": []string{"/" + c.name}, "ImageID": image}
	}
	return encode(f.t, entries)
}

// images lists those that containers run, as the recorded one is.
func (f *fake) images() []byte {
	ids := map[string]bool{}
	for _, c := range f.containers {
		ids[cmp.Or(c.image, recordedImage)] = true
	}
	entries := []answer{}
	for id := range ids {
		entries = append(entries, answer{"Id": id, "RepoTags": []string{"bb:1"}, "RepoDigests": []string{}})
	}
	return encode(f.t, entries)
}

func (f *fake) subject(w http.ResponseWriter, path string) {
	for _, c := range f.containers {
		if path != "/containers/"+c.id+"/json" {
			continue
		}
		w.Write(altered(f.t, "inspect.json", func(a answer) {
			a["Id"], a["Name"] = c.id, "/"+c.name
			state := a["State"].(answer)
			state["Pid"], state["Running"] = c.pid, c.pid > 0
			if c.pid == 0 {
				state["Status"] = "exited"
			}
			if c.image != "" {
				a["Image"] = c.image
			}
			if c.change != nil {
				c.change(a)
			}
		}))
		return
	}
	if id, found := strings.CutPrefix(path, "/images/"); found {
		id = strings.TrimSuffix(id, "/json")
		w.Write(altered(f.t, "image.json", func(a answer) { a["Id"] = id }))
		return
	}
	refuse(w, http.StatusNotFound, "No such thing")
}

func refuse(w http.ResponseWriter, status int, message string) bool {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":%q}`, message)
	return true
}

// refusing answers the paths given with a status in the engine's own words.
func refusing(status int, paths ...string) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, path string) bool {
		return slices.Contains(paths, path) && refuse(w, status, "not for you")
	}
}

func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

func (f *fake) config() Config {
	return Config{Client: f.client, Now: func() time.Time { return collectedAt }}
}

func (f *fake) collect(t testing.TB) *facts.Facts {
	t.Helper()
	return collect(t, f.config())
}

func collect(t testing.TB, cfg Config) *facts.Facts {
	t.Helper()
	got, err := Engine(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// reasonFor is why path is unseen, "" when it is seen.
func reasonFor(list []workload.Unseen, path string) string {
	for _, u := range list {
		if u.Path == path {
			return u.Reason
		}
	}
	return ""
}

// spec is the container of that name.
func spec(t testing.TB, f *facts.Facts, name string) *workload.Spec {
	t.Helper()
	for i := range f.Containers {
		if f.Containers[i].Name == name {
			return &f.Containers[i]
		}
	}
	t.Fatalf("no container %q among %d", name, len(f.Containers))
	return nil
}
