//go:build soak

package collect

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/test/lab"
)

var update = flag.Bool("update", false, "record the newest engine's answers anew")

// TestNewestAnswers: the recorded answers of the newest engine are what it answers, in the
// keys that they have.
func TestNewestAnswers(t *testing.T) {
	e := lab.Newest(t, nil)
	image(t, e, "web:1", "HEALTHCHECK --interval=1h CMD true", "USER 1000", "VOLUME /data")
	docker(t, e, "volume", "create", "named")
	docker(t, e, "run", "-d", "--name", "web", "--memory", "64m", "--pids-limit", "7", "--cap-drop", "ALL", "--read-only", "--security-opt", "no-new-privileges", "-v", "named:/n", "-v", "/tmp:/h:ro",
		"--tmpfs", "/t", "-p", "127.0.0.1:8099:80", "-l", "plimsoll.owner=ops", "-e", "A=1", "web:1", "sleep", "1000")
	docker(t, e, "run", "-d", "--name", "privileged", "--privileged", "--pid", "host", "--network", "none", "web:1", "sleep", "1000")

	said, mu := map[string]json.RawMessage{}, sync.Mutex{}
	through := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", e.Socket())
	}}
	defer through.CloseIdleConnections()
	version := regexp.MustCompile(`^/v1\.\d+`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Scheme, r.URL.Host, r.RequestURI = "http", "engine", ""
		resp, err := through.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if resp.StatusCode == http.StatusOK && json.Valid(body) {
			said[version.ReplaceAllString(r.URL.Path, "")] = body
		}
		for _, name := range []string{"Api-Version", "Ostype", "Content-Type"} {
			w.Header().Set(name, resp.Header.Get(name))
		}
		w.WriteHeader(resp.StatusCode)
		w.Write(body)
	}))
	defer server.Close()
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: "tcp://" + server.Listener.Addr().String(), Source: "--host"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	collect(t, Config{Client: client, Now: func() time.Time { return collectedAt }})
	got, err := json.MarshalIndent(said, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "newest.json"), append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(keysOf(t, recorded(t, "newest.json")), keysOf(t, got)); diff != "" {
		t.Errorf("go test -tags soak -update records them anew (-recorded +said): %s", diff)
	}
}

// id matches what differs each time in keys.
var id = regexp.MustCompile(`[0-9a-f]{12,64}`)

// keysOf are the paths of all keys.
func keysOf(t *testing.T, data []byte) []string {
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				key = at + "." + id.ReplaceAllString(key, "ID")
				found[key] = true
				walk(key, inner)
			}
		case []any:
			for _, inner := range v {
				walk(at+"[]", inner)
			}
		}
	}
	walk("", tree)
	var keys []string
	for key := range found {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
