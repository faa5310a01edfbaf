package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// engine is a server of net/http, as an engine's is, on a socket.
func engine(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("Api-Version", "1.41")
		io.WriteString(w, "OK")
	})
	// What it got is what it gives.
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %q %d %v %d bytes, %v\n", r.Proto, r.Method, r.RequestURI, r.Host, r.ContentLength, r.TransferEncoding, len(body), err)
		if r.ContentLength >= 0 {
			w.Write(body)
			return
		}
		for len(body) > 0 {
			n := min(len(body), 10_000)
			w.Write(body[:n])
			w.(http.Flusher).Flush()
			body = body[n:]
		}
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("Trailer", "Sum")
		io.WriteString(w, "summed")
		w.(http.Flusher).Flush()
		w.Header().Set("Sum", "6")
	})
	mux.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		status := map[string]int{"204": 204, "304": 304, "404": 404, "413": 413}[r.URL.RawQuery]
		w.WriteHeader(status)
		if status > 400 {
			io.WriteString(w, `{"message":"no"}`)
		}
	})
	mux.HandleFunc("/attach", func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if r.Header.Get("Upgrade") != "" {
			io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		} else {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
		}
		io.WriteString(conn, "$ ")
		n, err := io.Copy(conn, buffered)
		fmt.Fprintf(conn, "\n%d bytes, %v\n", n, err)
	})
	path := filepath.Join(t.TempDir(), "engine")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(l) })
	t.Cleanup(func() { server.Close(); serving.Wait() })
	return path
}

// proxy passes every connection on, as the package is meant to be used.
func proxy(t *testing.T, engine string) string {
	path := filepath.Join(t.TempDir(), "proxy")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := l.AcceptUnix()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer client.Close()
				upstream, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: engine, Net: "unix"})
				if err != nil {
					t.Error(err)
					return
				}
				defer upstream.Close()
				if err := passAll(client, upstream); err != nil {
					t.Errorf("passing on: %v", err)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return path
}

func passAll(client, engine *net.UnixConn) error {
	fromClient, fromEngine := bufio.NewReader(client), bufio.NewReader(engine)
	for {
		q, err := ReadRequest(fromClient)
		var malformed *Error
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &malformed):
			_, err := client.Write(Answer{Status: malformed.Status, Body: []byte(malformed.Msg)}.Append(nil))
			return err
		case err != nil:
			return err
		}
		if _, err := engine.Write(q.AppendHead(nil)); err != nil {
			return err
		}
		early := false // an answer before the body was taken
		body := func() error {
			_, err := CopyBody(engine, fromClient, q.Framing, nil)
			var write *WriteError
			if early = errors.As(err, &write); early {
				return nil
			}
			return err
		}
		if !q.ExpectContinue {
			if err := body(); err != nil {
				return err
			}
		}
		var a *Response
		for {
			if a, err = ReadResponse(fromEngine, q.Method); err != nil {
				return err
			}
			if _, err := client.Write(a.Head); err != nil {
				return err
			}
			if a.Status == 101 || a.Fields.Get("Content-Type") == "application/vnd.docker.raw-stream" && a.Framing.Kind == UntilClose {
				return Tunnel(client, engine, fromClient, fromEngine)
			}
			if a.Status >= 200 {
				break
			}
			if err := body(); err != nil {
				return err
			}
		}
		if _, err := CopyBody(client, fromEngine, a.Framing, nil); err != nil {
			return err
		}
		if !q.KeepAlive || !a.KeepAlive || early {
			return nil
		}
	}
}

// TestProxyIsNotNoticed: what a client gets through a proxy made of this package is
// byte for byte what it gets without.
func TestProxyIsNotNoticed(t *testing.T) {
	bare := engine(t)
	through := proxy(t, bare)
	const closing = "GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
	large := strings.Repeat("0123456789abcdef", 200_000)
	for _, tc := range []struct {
		name, say string
		halves    bool   // the client ends its direction
		hear      string // some of what comes
	}{
		{"many on one connection", strings.Repeat("GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n", 50) + closing, false, "Api-Version: 1.41"},
		{"a length", "POST /echo?x=%zz HTTP/1.1\r\nHost: \r\nContent-Length: 5\r\n\r\nhello" + closing, false, `"" 5 [] 5 bytes, <nil>`},
		{"chunks", "POST /echo HTTP/1.1\r\nHost: a%2Fb\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" + closing, false, `"a%2Fb" -1 [chunked] 6 bytes`},
		{"a large length", fmt.Sprintf("PUT /echo HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", len(large), large) + closing, false, "3200000 bytes, <nil>"},
		{"large chunks", fmt.Sprintf("PUT /echo HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n3\r\nend\r\n0\r\n\r\n", len(large), large) + closing, false, "3200003 bytes, <nil>"},
		{"HEAD", "HEAD /_ping HTTP/1.1\r\nHost: d\r\n\r\nHEAD /status?404 HTTP/1.1\r\nHost: d\r\n\r\n" + closing, false, "404 Not Found"},
		{"answers without a body", "GET /status?204 HTTP/1.1\r\nHost: d\r\n\r\nGET /status?304 HTTP/1.1\r\nHost: d\r\n\r\n" + closing, false, "304"},
		{"an error", "DELETE /status?404 HTTP/1.1\r\nHost: d\r\n\r\n" + closing, false, "message"},
		{"trailers", "GET /trailers HTTP/1.1\r\nHost: d\r\n\r\n" + closing, false, "\r\nSum: 6\r\n"},
		{"HTTP/1.0", "GET /echo HTTP/1.0\r\n\r\n", false, "HTTP/1.0 GET"},
		{"HTTP/1.0, kept", "GET /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\nPOST /echo HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", false, "keep-alive"},
		{"a body that is waited for", "POST /echo HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + closing, false, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"},
		{"a body that is not wanted", "POST /status?413 HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", true, "413"},
		{"an upgrade", "POST /attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\nls\n" + large, true, "$ ls\n0123"},
		{"a raw stream", "POST /attach HTTP/1.1\r\nHost: d\r\n\r\nls\n", true, "$ ls\n\n3 bytes, <nil>\n"},
		{"an end without a request", "", true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			exchange := func(path string) string {
				c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				var saying sync.WaitGroup
				saying.Go(func() {
					say(t, c, tc.say)
					if tc.halves {
						do(t, c.CloseWrite())
					}
				})
				heard, err := io.ReadAll(c)
				saying.Wait()
				do(t, err)
				return string(heard)
			}
			want, got := exchange(bare), exchange(through)
			if got != want || !strings.Contains(want, tc.hear) {
				t.Errorf("got  %.500q\nbare %.500q", got, want)
			}
		})
	}
}

// TestProxyWithAClient sends with net/http's client, many at once, bodies both ways.
func TestProxyWithAClient(t *testing.T) {
	path := proxy(t, engine(t))
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 30 {
				text := strings.Repeat(fmt.Sprintf("%d %d ", worker, i), i*2000)
				var body io.Reader = strings.NewReader(text)
				if i%2 == 0 {
					body = struct{ io.Reader }{body} // of unknown length
				}
				resp, err := client.Post("http://docker/echo", "text/plain", body)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if _, echoed, _ := strings.Cut(string(got), "\n"); err != nil || echoed != text {
					t.Errorf("%d bytes of %d came, %v", len(echoed), len(text), err)
				}
			}
		})
	}
	all.Wait()
}

// TestProxyEarlyAnswer: an engine that refuses a body before it has come, and closes,
// is heard.
func TestProxyEarlyAnswer(t *testing.T) {
	c, err := net.Dial("unix", proxy(t, engine(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var saying sync.WaitGroup
	saying.Go(func() {
		fmt.Fprintf(c, "POST /status?413 HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n", 1<<30)
		for {
			if _, err := c.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	r := bufio.NewReader(c)
	a, err := ReadResponse(r, "POST")
	if err != nil {
		t.Fatal(err)
	}
	body, err := ReadBody(r, a.Framing, 1000)
	if err != nil || a.Status != 413 || a.KeepAlive || string(body) != `{"message":"no"}` {
		t.Errorf("%+v %q, %v", a, body, err)
	}
	c.Close()
	saying.Wait()
}

// TestProxyRefuses what is not clear, and passes on what came before it.
func TestProxyRefuses(t *testing.T) {
	c, err := net.Dial("unix", proxy(t, engine(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say(t, c, "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\nPOST /echo HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n")
	r := bufio.NewReader(c)
	for _, want := range []struct {
		status int
		body   string
	}{{200, "OK"}, {400, "both given"}} {
		a, err := ReadResponse(r, "GET")
		if err != nil {
			t.Fatal(err)
		}
		body, err := ReadBody(r, a.Framing, 1000)
		if err != nil || a.Status != want.status || !strings.Contains(string(body), want.body) {
			t.Errorf("%+v %q, %v", a, body, err)
		}
	}
	hearEnd(t, r)
}
