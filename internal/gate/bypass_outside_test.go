package gate

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// outside is what an engine can reach that its clients should not have it reach: at
// addresses of its own network, a registry that also has a file or two, a port that
// takes anything, and one that is the engine's own socket.
type outside struct {
	web, port, tcp string // addresses

	mu    sync.Mutex
	blobs map[string][]byte // of the registry, by digest or name and tag
	heard bytes.Buffer
}

// newOutside makes it in the engine's network namespace.
func newOutside(t *testing.T, e *lab.Engine) *outside {
	t.Helper()
	o := &outside{blobs: map[string][]byte{}}
	web, port, tcp := e.Listen(t), e.Listen(t), e.Listen(t)
	o.web, o.port, o.tcp = web.Addr().String(), port.Addr().String(), tcp.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(o.serve)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(web) }) // ends with Close
	serving.Go(func() { o.listen(port) })
	serving.Go(func() { forward(tcp, e.Socket()) })
	t.Cleanup(func() {
		server.Close()
		port.Close()
		tcp.Close()
		serving.Wait()
	})
	return o
}

// listen takes what comes, from any socket.
func (o *outside) listen(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		o.hear("%s", buf[:n])
		c.Close()
	}
}

// forward has a port be a socket.
func forward(l net.Listener, socket string) {
	var copying sync.WaitGroup
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
		copying.Wait()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		open = append(open, c)
		s, err := net.Dial("unix", socket)
		if err != nil {
			return
		}
		open = append(open, s)
		for _, d := range [][2]net.Conn{{s, c}, {c, s}} {
			copying.Go(func() {
				_, _ = io.Copy(d[0], d[1])
				d[0].Close()
			})
		}
	}
}

func (o *outside) hear(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(&o.heard, format+"\n", args...)
}

// forget forgets what was heard.
func (o *outside) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard.Reset()
}

// hears says whether something was heard outside.
func hears(text string) func(*ground, *answer) bool {
	return func(g *ground, _ *answer) bool {
		for range 10 {
			g.outside.mu.Lock()
			heard := strings.Contains(g.outside.heard.String(), g.fill(text))
			g.outside.mu.Unlock()
			if heard {
				return true
			}
			if g.at != g.engine.Socket() {
				break
			}
			pause()
		}
		return false
	}
}

// serve is the files, and as much of a registry as an engine needs (OCI distribution
// specification).
func (o *outside) serve(w http.ResponseWriter, r *http.Request) {
	o.hear("%s %s", r.Method, r.URL.Path)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	dir, name := path.Split(r.URL.Path)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body))
	switch {
	case r.URL.Path == "/Dockerfile":
		io.WriteString(w, "FROM web:1\nRUN echo built\n")
	case r.URL.Path == "/image.tar":
		w.Write(archive("etc/motd", "from outside"))
	case r.URL.Path == "/v2/":
	case r.Method == http.MethodPost && strings.HasSuffix(dir, "/blobs/uploads/"):
		w.Header().Set("Location", "http://"+o.web+r.URL.Path+"one")
		w.Header().Set("Docker-Upload-UUID", "one")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPatch:
		o.blobs["upload"] = body
		w.Header().Set("Location", "http://"+o.web+r.URL.Path)
		w.Header().Set("Docker-Upload-UUID", "one")
		w.Header().Set("Range", fmt.Sprintf("0-%d", len(body)-1))
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut && r.URL.Query().Get("digest") != "":
		if len(body) == 0 {
			body = o.blobs["upload"]
		}
		o.blobs[r.URL.Query().Get("digest")] = body
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPut:
		o.blobs[digest], o.blobs[r.URL.Path] = body, body
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
	case o.blobs[name] != nil:
		w.Header().Set("Docker-Content-Digest", name)
		w.Header().Set("Content-Length", fmt.Sprint(len(o.blobs[name])))
		w.Write(o.blobs[name])
	default:
		http.NotFound(w, r)
	}
}

// hearHere listens on a unix socket in the folder, too.
func hearHere(network string) func(*ground) {
	return func(g *ground) {
		g.Helper()
		at := filepath.Join(g.dir, "log.sock")
		var ended sync.WaitGroup
		var l io.Closer
		if network == "unixgram" {
			c, err := net.ListenUnixgram(network, &net.UnixAddr{Name: at, Net: network})
			if err != nil {
				g.Fatal(err)
			}
			l = c
			ended.Go(func() {
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					g.outside.hear("%s", buf[:n])
				}
			})
		} else {
			c, err := net.Listen(network, at)
			if err != nil {
				g.Fatal(err)
			}
			l = c
			ended.Go(func() { g.outside.listen(c) })
		}
		g.cleanups = append(g.cleanups, func() {
			l.Close()
			ended.Wait()
			os.Remove(at)
		})
	}
}
