package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// probeEnv makes the test binary a client of the named endpoint, so that a
// test can see what another user sees.
const probeEnv = "PLIMSOLL_ENGINE_PROBE"

func TestMain(m *testing.M) {
	if address := os.Getenv(probeEnv); address != "" {
		os.Exit(probe(address))
	}
	goleak.VerifyTestMain(m)
}

func probe(address string) int {
	c, err := New(Config{Endpoint: Endpoint{Address: address, Source: "the default"}})
	if err == nil {
		_, err = c.API(context.Background())
	}
	var e *Error
	switch {
	case err == nil:
		fmt.Println("reached")
	case errors.As(err, &e):
		fmt.Printf("%s\n%s\n", e.Error(), e.Hint())
	default:
		fmt.Println("unexpected:", err)
	}
	return 0
}

// need ends a test that lacks a real part: a failure under CI, else a skip.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") == "true":
		t.Fatalf("this test needs %s; `make test` provides it", what)
	default:
		t.Skipf("this test needs %s", what)
	}
}

// fake is a real HTTP server on a unix socket that speaks the first words of
// an engine, for what a real engine cannot be made to do in time.
type fake struct {
	t       *testing.T
	socket  string
	version string // the body of /version
	server  *http.Server

	mu    sync.Mutex
	seen  []string // requests, as "/path?query"
	conns int
}

const version2010 = `{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12"}`

// startFake serves the fixed answers of every engine, and all other requests
// by handler (nil: 404 in the engine's words).
func startFake(t *testing.T, handler http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{t: t, socket: socketPath(t), version: version2010}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", f.ping())
		w.Header().Set("Ostype", "linux")
		io.WriteString(w, "OK")
	})
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, f.version) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if handler == nil {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"page not found"}`)
			return
		}
		handler(w, r)
	})
	f.serve(mux)
	return f
}

// ping is the version that a ping tells: that of /version, where it says one.
func (f *fake) ping() string {
	var said struct{ APIVersion string }
	if err := json.Unmarshal([]byte(f.version), &said); err == nil {
		if _, ok := parseAPIVersion(said.APIVersion); ok {
			return said.APIVersion
		}
	}
	return "1.41"
}

func (f *fake) serve(h http.Handler) {
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		f.t.Fatal(err)
	}
	f.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			f.seen = append(f.seen, r.URL.RequestURI())
			f.mu.Unlock()
			h.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				f.mu.Lock()
				f.conns++
				f.mu.Unlock()
			}
		},
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.server.Serve(l)
	}()
	f.t.Cleanup(func() {
		f.server.Close()
		<-ended
	})
}

func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.seen...)
}

func (f *fake) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

func (f *fake) client() *Client { return clientOf(f.t, Config{Endpoint: f.endpoint()}) }

func (f *fake) endpoint() Endpoint {
	return Endpoint{Address: "unix://" + f.socket, Source: "--host"}
}

func clientOf(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// socketPath is a path short enough for a socket, in a folder that everybody
// may enter.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plimsoll")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "engine.sock")
}

// wantError checks what a person reads: parts of the message and of the hint.
func wantError(t *testing.T, err error, message, hint string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want an *Error with %q", err, message)
	}
	if !strings.Contains(e.Error(), message) {
		t.Errorf("got message %q, want %q in it", e.Error(), message)
	}
	if !strings.Contains(e.Hint(), hint) {
		t.Errorf("got hint %q, want %q in it", e.Hint(), hint)
	}
	return e
}
