package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/test/lab"
)

// verdictDir is where the table is, and the directory that run lines are run in.
const verdictDir = "testdata/verdict"

// world is the engine with every container of the table, and what was seen of
// them.
type world struct {
	table  *table
	engine *lab.Engine
	client *engine.Client
	dir    string // verdictDir, absolute
	images map[string]*workload.ImageConfig
	links  map[string]string // what readlink says of a path in the engine's files

	// bodies are the create requests that docker's client sent, by the name of
	// the container. mu is for requests that come side by side.
	mu     sync.Mutex
	bodies map[string][]byte
	proxy  string // the socket that hears them

	program string // the folder that the built program is in

	// facts is what was collected when everything had settled.
	facts *facts.Facts
}

// newWorld starts an engine of its own, so that nobody else's containers are in
// the facts, and makes the images and the containers of the table.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := filepath.Abs(verdictDir)
	if err != nil {
		t.Fatal(err)
	}
	// Only containers that are not started name these two.
	runtimes := map[string]any{"kata": map[string]any{"path": "/usr/bin/kata-runtime"}, "mine": map[string]any{"path": "/usr/bin/mine"}}
	w := &world{table: readTable(t), engine: lab.Private(t, map[string]any{"runtimes": runtimes}), dir: dir,
		images: map[string]*workload.ImageConfig{}, links: map[string]string{}, bodies: map[string][]byte{}}
	w.client = clientOf(t, w.engine)
	w.program = build(t)
	w.listen(t)
	w.makeImages(t)
	var rest []*row
	for i := range w.table.Rows {
		if r := &w.table.Rows[i]; r.First {
			if err := w.make(r); err != nil {
				t.Fatal(err)
			}
		} else {
			rest = append(rest, r)
		}
	}
	w.makeAll(t, rest)
	w.settle(t)
	return w
}

// listen hears what docker's client sends, on its way to the engine.
func (w *world) listen(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "verdict") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w.proxy = filepath.Join(dir, "s")
	listener, err := net.Listen("unix", w.proxy)
	if err != nil {
		t.Fatal(err)
	}
	onward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", w.engine.Socket())
		}},
	}
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/containers/create") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(rw, err.Error(), http.StatusBadRequest)
				return
			}
			w.mu.Lock()
			w.bodies[r.URL.Query().Get("name")] = body
			w.mu.Unlock()
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		onward.ServeHTTP(rw, r)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
}

func (w *world) makeImages(t *testing.T) {
	t.Helper()
	for name, changes := range w.table.Images {
		if err := w.engine.Busybox(context.Background(), name, changes...); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "old.tar")
	if err := os.WriteFile(file, oldImage(t, w.table.OldImage), 0o600); err != nil {
		t.Fatal(err)
	}
	w.docker(t, "load", "-i", file)
	for i := range w.table.Rows {
		name := w.table.Rows[i].image()
		if w.images[name] == nil {
			w.images[name] = w.imageConfig(t, name)
		}
	}
	id := strings.TrimPrefix(w.images[defaultImage].ID, "sha256:")
	for i := range w.table.Rows {
		r := &w.table.Rows[i]
		r.Image = strings.NewReplacer("IMAGE_ID", id, "SHORT_ID", id[:12]).Replace(r.Image)
	}
	w.images["sha256:"+id], w.images[id[:12]] = w.images[defaultImage], w.images[defaultImage]
}

// oldImage is the archive of an image of one file that says of itself that it
// was built in 2020; docker import can only make new ones.
func oldImage(t *testing.T, name string) []byte {
	t.Helper()
	layer := tarOf(t, [2]string{"hello", "from 2020\n"})
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","created":"2020-02-02T02:02:02Z","config":{"Cmd":["/hello"]},
		"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, sha256.Sum256(layer))
	return tarOf(t, [2]string{"config.json", config}, [2]string{"layer.tar", string(layer)},
		[2]string{"manifest.json", fmt.Sprintf(`[{"Config":"config.json","RepoTags":[%q],"Layers":["layer.tar"]}]`, name)})
}

// imageConfig reads the engine's answer about an image.
func (w *world) imageConfig(t *testing.T, name string) *workload.ImageConfig {
	t.Helper()
	if strings.Contains(name, "_ID") { // filled in when the ids are known
		return nil
	}
	raw, err := w.client.ImageInspect(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		ID                    string `json:"Id"`
		RepoTags, RepoDigests []string
		Created               string
		Config                struct {
			User            string
			Env             []string
			Entrypoint, Cmd []string
		}
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		t.Fatal(err)
	}
	return &workload.ImageConfig{ID: said.ID, Tags: said.RepoTags, Digests: said.RepoDigests, Created: said.Created,
		User: said.Config.User, Env: said.Config.Env, Entrypoint: said.Config.Entrypoint, Cmd: said.Config.Cmd}
}

// docker runs docker's client, which must succeed.
func (w *world) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.engine.Docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// shell runs a line as a person would, with Debian's client and an engine that
// is listened to.
func (w *world) shell(line string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=" + lab.Path, "HOME=/nonexistent", "DOCKER_CONFIG=/nonexistent", "DOCKER_HOST=unix://" + w.proxy}
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// make makes the container of a row and brings it into its state.
func (w *world) make(r *row) error {
	if err := w.dockerAll(r.Before); err != nil {
		return err
	}
	if err := w.shell(r.line()); err != nil {
		if r.refused = r.Refusal != "" && strings.Contains(err.Error(), r.Refusal); r.refused {
			return nil
		}
		return err
	}
	if r.Until != "" {
		format, want, _ := strings.Cut(r.Until, " = ")
		if err := w.waitFor(r, format, want); err != nil {
			return err
		}
	}
	return w.dockerAll(r.After)
}

func (w *world) dockerAll(lines []string) error {
	for _, line := range lines {
		if _, err := w.engine.Docker(strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// patience is how long a container may take to get where the table has it. It
// is the bound of a loop, not something that is measured.
const patience = 3 * time.Minute

func (w *world) waitFor(r *row, format, want string) error {
	name, out := r.Name, ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var err error
		if out, err = w.engine.Docker("inspect", "-f", format, name); err != nil {
			return err
		}
		if out = strings.TrimSpace(out); out == want {
			return nil
		}
		if err := w.dockerAll(r.Again); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %s is %q, and never became %q", name, format, out, want)
}

// makeAll makes the containers of rows, four at a time.
func (w *world) makeAll(t *testing.T, rows []*row) {
	t.Helper()
	var wg sync.WaitGroup
	next, failed := make(chan *row), make(chan error, len(rows))
	for range 4 {
		wg.Go(func() {
			for r := range next {
				if err := w.make(r); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, r := range rows {
		next <- r
	}
	close(next)
	wg.Wait()
	close(failed)
	var all []error
	for err := range failed {
		all = append(all, err)
	}
	if err := errors.Join(all...); err != nil {
		t.Fatal(err)
	}
}

// settle collects until the containers that run are as the table has them; a
// process that was only just started may not show its own name yet.
func (w *world) settle(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		w.facts = w.collect(t)
		if len(w.table.differences(t, w.facts)) == 0 || time.Now().After(end) {
			return
		}
	}
}

func (w *world) collect(t *testing.T) *facts.Facts {
	t.Helper()
	return factsOf(t, w.client)
}

func factsOf(t *testing.T, client *engine.Client) *facts.Facts {
	t.Helper()
	f, err := collect.Engine(context.Background(), collect.Config{Client: client, Now: time.Now, Root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// clientOf asks an engine until the test ends.
func clientOf(t *testing.T, e interface{ Host() string }) *engine.Client {
	t.Helper()
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: e.Host(), Source: "the lab"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// around is what is known of the engine with facts f before a container is made,
// for the create request of a row: all but links, for which readlink is asked.
func (w *world) around(t *testing.T, f *facts.Facts, r *row) workload.Surroundings {
	t.Helper()
	s := workload.Surroundings{Daemon: f.Daemon.Defaults(f.Host.CgroupVersion), Image: w.images[r.image()], Volumes: map[string]workload.Volume{}}
	for _, u := range f.Unseen {
		if u.Path == "daemon.no_new_privileges" {
			s.Daemon.NoNewPrivilegesSeen = false
		}
	}
	for _, v := range f.Volumes {
		s.Volumes[v.Name] = workload.Volume{Driver: v.Driver, Options: v.Options, Mountpoint: v.Mountpoint}
	}
	s.Resolve = func(path string) ([]string, error) {
		if to, known := w.links[path]; known {
			return []string{to}, nil
		}
		out, err := w.engine.Enter(context.Background(), "readlink", "-m", path).Output()
		if err != nil {
			return nil, fmt.Errorf("readlink -m %s: %w", path, err)
		}
		w.links[path] = strings.TrimSpace(string(out))
		return []string{w.links[path]}, nil
	}
	s.Nodes = func(path string) ([]string, error) {
		const each = `find "$0" -type b -exec stat -c 'b %Hr:%Lr' {} + -o -type c -exec stat -c 'c %Hr:%Lr' {} +`
		out, err := w.engine.Enter(context.Background(), "sh", "-c", each, path).Output()
		if err != nil {
			return nil, fmt.Errorf("looking for device files in %s: %w", path, err)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n"), nil
	}
	return s
}
