package gate

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// broker stands between a gate and an engine, and can do to a request what an engine that
// hangs or dies does: before the engine has it, and after it has answered.
type broker struct {
	socket string

	mu            sync.Mutex
	before, after func(*http.Request)
}

// brokerBefore puts a broker before an engine's socket.
func brokerBefore(t *testing.T, engine string) *broker {
	t.Helper()
	b := &broker{socket: filepath.Join(t.TempDir(), "broker.sock")}
	l, err := net.Listen("unix", b.socket)
	if err != nil {
		t.Fatal(err)
	}
	there := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", engine)
	}}
	pass := &httputil.ReverseProxy{Transport: there, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		ModifyResponse: func(a *http.Response) error {
			if _, after := b.hooks(); after != nil {
				after(a.Request)
			}
			return nil
		}}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before, _ := b.hooks(); before != nil {
			before(r)
		}
		pass.ServeHTTP(w, r)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
		there.CloseIdleConnections()
	})
	return b
}

func (b *broker) hooks() (before, after func(*http.Request)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.before, b.after
}

// on says what is done to requests from now on.
func (b *broker) on(before, after func(*http.Request)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after = before, after
}

// die is the end of a connection without an answer.
func die() { panic(http.ErrAbortHandler) }

// holdCreate holds the answer to a create request back for as long as its client is there.
func holdCreate(r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/containers/create") {
		<-r.Context().Done()
		die()
	}
}
