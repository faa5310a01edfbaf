package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
)

// The kinds of request that an audit is allowed.
const (
	kindList      = "list of containers"
	kindContainer = "inspect of a container"
	kindImage     = "inspect of an image"
	kindExec      = "inspect of an exec"
	kindOther     = "other"
)

// kinds are the kinds in the order of the table.
var kinds = []string{kindList, kindContainer, kindImage, kindExec, kindOther}

var (
	versionPart = regexp.MustCompile(`^/v[0-9]+\.[0-9]+/`)
	oneSubject  = regexp.MustCompile(`^/(containers|images|exec)/(.+)/json$`)
)

// kindOf is the kind of a request. Whatever is not a plain inspect or list is
// other, a list or an inspect with sizes too: those cost the engine a walk over
// all files of a container.
func kindOf(method string, u *url.URL) string {
	path := versionPart.ReplaceAllString(u.Path, "/")
	query := u.Query()
	if method != http.MethodGet || query.Has("size") {
		return kindOther
	}
	if path == "/containers/json" {
		return kindList
	}
	m := oneSubject.FindStringSubmatch(path)
	if m == nil || m[1] != "images" && strings.Contains(m[2], "/") {
		return kindOther
	}
	return map[string]string{"containers": kindContainer, "images": kindImage, "exec": kindExec}[m[1]]
}

// counter is a proxy before an engine that notes what is asked of it.
type counter struct {
	// Socket is where it listens.
	Socket string

	server *http.Server
	ended  chan error

	mu    sync.Mutex
	paths []string       // as they were asked, with their queries
	kinds map[string]int // by kind
	other map[string]int // what kindOther was, without the version
}

// newCounter listens at socket and passes everything on to the engine behind
// upstream, both unix sockets.
func newCounter(socket, upstream string) (*counter, error) {
	if err := os.RemoveAll(socket); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	c := &counter{Socket: socket, ended: make(chan error, 1), kinds: map[string]int{}, other: map[string]int{}}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport: unixTransport(upstream),
	}
	c.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.note(r)
		proxy.ServeHTTP(w, r)
	})}
	go func() { c.ended <- c.server.Serve(listener) }()
	return c, nil
}

func (c *counter) note(r *http.Request) {
	kind := kindOf(r.Method, r.URL)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths = append(c.paths, r.URL.RequestURI())
	c.kinds[kind]++
	if kind == kindOther {
		c.other[versionPart.ReplaceAllString(r.URL.Path, "/")]++
	}
}

// close ends the proxy. Its counts may be read afterwards.
func (c *counter) close() error {
	if err := c.server.Close(); err != nil {
		return err
	}
	if err := <-c.ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the counting proxy ended: %w", err)
	}
	return nil
}

func unixTransport(socket string) *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: 32,
		DisableCompression:  true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}
}
