package deploy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/test/lab"
)

func endpointOf(address string) engine.Endpoint {
	return engine.Endpoint{Address: address, Source: "the lab"}
}

func textMap(t *testing.T, text string) map[string]string {
	t.Helper()
	var labels map[string]string
	if err := json.Unmarshal([]byte(text), &labels); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return labels
}

// speak runs a program that opens a socket for what it is told to send, and gives what is
// answered to each text, on one connection, to its end.
func (g *ground) speak(t *testing.T, texts ...string) string {
	t.Helper()
	stop, told := filepath.Join(t.TempDir(), "stop"), filepath.Join(t.TempDir(), "told")
	ended := make(chan ended, 1)
	go func() {
		ended <- g.run(nil, nil, shell("echo $SOCKET > %s.part; mv %s.part %s; while ! [ -e %s ]; do sleep 0.02; done", told, told, told, stop)...)
	}()
	defer func() {
		write(t, stop, "")
		<-ended
	}()
	var socket []byte
	for end := time.Now().Add(20 * time.Second); len(socket) == 0; time.Sleep(5 * time.Millisecond) {
		if socket, _ = os.ReadFile(told); time.Now().After(end) {
			t.Fatal("no socket was told")
		}
	}
	c, err := net.Dial("unix", strings.TrimSpace(string(socket)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	for _, text := range texts {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "100-continue") {
			line, err := bufio.NewReaderSize(c, 16).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
				t.Fatalf("%q, %v", line, err)
			}
		}
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// post is a request that ends the connection.
func post(target, body string, fields ...string) string {
	return "POST " + target + " HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\n" + strings.Join(append(fields, ""), "\r\n") +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// TestWire: a declaration is not lost for the form of a request, and what could be read in
// two ways is refused, each with an ordinary twin that passes.
func TestWire(t *testing.T) {
	g := newGround(t)
	made := func(name, answer string) {
		t.Helper()
		if !strings.Contains(answer, " 201 Created\r\n") {
			t.Fatalf("%s: %s", name, answer)
		}
		g.has(name, ops)
	}
	const plain = `{"Image":"web:1","Cmd":["true"],"HostConfig":{"Memory":9007199254740993}}`
	made("plain", g.speak(t, post("/v1.41/containers/create?name=plain", plain)))
	if memory := g.docker("inspect", "-f", "{{.HostConfig.Memory}}", "plain"); memory != "9007199254740993" {
		t.Errorf("the memory is %s", memory)
	}
	made("unversioned", g.speak(t, post("/containers/create?name=unversioned", plain)))
	made("escaped", g.speak(t, post("/v1.41/containers/%63reate?name=escaped", plain)))
	made("cased", g.speak(t, post("/v1.41/containers/create?name=cased", `{"image":"web:1","lAbels":null}`)))
	made("mediated", g.speak(t, post("/v1.41/containers/create?name=mediated", plain, "Content-Encoding: gzip"))) // which the engine does not look at
	made("chunked", g.speak(t, "POST /v1.41/containers/create?name=chunked HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
		fmt.Sprintf("%x\r\n%s\r\n", 10, plain[:10]), fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(plain)-10, plain[10:])))
	made("expecting", strings.TrimPrefix(g.speak(t, strings.TrimSuffix(post("/v1.41/containers/create?name=expecting", plain, "Expect: 100-continue"), plain), plain), "\r\n"))
	// Two on one connection, with another request between.
	keep := strings.NewReplacer("Connection: close\r\n", "")
	made("second", g.speak(t, keep.Replace(post("/v1.41/containers/create?name=first", plain))+"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"+post("/v1.41/containers/create?name=second", plain)))
	g.has("first", ops)

	for body, want := range map[string]string{
		`{"Image":"web:1","Labels":{"a":"b"},"labels":{"plimsoll.owner":"x"}}`: "Labels is given twice, in different cases",
		`{"Image":"web:1","Labels":{},"Labels":{"a":"b"}}`:                     "twice",
		`{"Image":"web:1","Labels":["a"]}`:                                     "must be an object",
		`{"Image":"web:1"} {}`:                                                 "something follows",
		"\x1f\x8b\x08\x00":                                                     "plimsoll deploy",
	} {
		if answer := g.speak(t, post("/v1.41/containers/create?name=odd", body)); !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, want) || !strings.Contains(answer, `{"message":"plimsoll deploy: `) {
			t.Errorf("%s: %s", body, answer)
		}
	}
	if answer := g.speak(t, post("/v1.41/containers/create", "")); !strings.Contains(answer, "Server: Docker") || strings.Contains(answer, "plimsoll") || strings.Contains(answer, " 201 ") {
		t.Errorf("the engine does not say itself what it wants: %s", answer)
	}
	if answer := g.speak(t, "nonsense\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("nonsense: %s", answer)
	}
	if answer := g.speak(t, "POST /v1.41/containers/create HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 413 ") {
		t.Errorf("far too much: %s", answer)
	}
	if left := g.docker("ps", "-aq", "--filter", "name=odd"); left != "" {
		t.Errorf("made all the same: %s", left)
	}
}

// TestElsewhere: the engine may be behind TLS, which asks for a certificate, behind plain TCP
// or ssh; what is attached there ends as it does on a socket.
func TestElsewhere(t *testing.T) {
	e := lab.Private(t, nil)
	if err := e.Busybox(t.Context(), "web:1"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	secure := &engine.TLS{CAFile: dir + "/ca.pem", CertFile: dir + "/cert.pem", KeyFile: dir + "/key.pem"}
	conf := certificates(t, dir)
	ssh := filepath.Join(dir, "ssh")
	write(t, ssh, "#!/bin/sh\nfor last; do :; done\nexec env DOCKER_HOST="+e.Host()+" PATH="+lab.Path+" sh -c \"$last\"\n")
	for name, at := range map[string]engine.Endpoint{
		"ssh":   {Address: "ssh://harbour-1", Source: "the lab"},
		"tls":   {Address: "tcp://" + before(t, e.Socket(), conf), Source: "the lab", TLS: secure},
		"plain": {Address: "tcp://" + before(t, e.Socket(), nil), Source: "the lab"},
	} {
		g := groundAt(t, e, at, ssh)
		g.must("docker", "run", "-d", "--name", name, "web:1", "sleep", "86400")
		g.has(name, ops)
		// Many requests, of which each may use the connection of the one before.
		g.must(shell("for i in 1 2 3; do docker ps -a >/dev/null && docker inspect %s >/dev/null || exit; done", name)...)
		if r := g.run(strings.NewReader(strings.Repeat("in\n", 100000)), nil, "docker", "run", "--rm", "-i", "web:1", "sh", "-c", "wc -l; exit 6"); r.Code != 6 || r.out != "100000\n" {
			t.Errorf("%s: docker run -i: %d, %q, %q", name, r.Code, r.out, r.errs)
		}
		if r := g.must(shell("docker events >/dev/null 2>&1 & sleep 0.5")...); r.Requests == 0 { // which ends with it
			t.Errorf("%s: nothing waits: %+v", name, r.Result)
		}
	}
	// A proxy of somebody's, at a path.
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	behind.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", e.Socket())
	}}
	var hosts sync.Map
	server := httptest.NewServer(http.StripPrefix("/engines/one", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts.Store(r.Host, true)
		behind.ServeHTTP(w, r)
	})))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	g := groundAt(t, e, endpointOf("tcp://"+address+"/engines/one"))
	g.must("docker", "create", "--name", "prefixed", "web:1")
	g.has("prefixed", ops)
	hosts.Range(func(host, _ any) bool {
		if host != address {
			t.Errorf("the proxy was asked for the host %v", host)
		}
		return true
	})
	wrong := groundAt(t, e, engine.Endpoint{Address: "tcp://" + before(t, e.Socket(), certificates(t, t.TempDir())), Source: "the lab", TLS: secure})
	if r := wrong.run(nil, nil, "docker", "ps"); r.Code == 0 || !strings.Contains(r.errs, "certificate") {
		t.Errorf("an engine that another authority vouches for: %+v", r)
	}
}

// before is a listener that carries bytes to a socket and back, each direction to its own
// end.
func before(t *testing.T, socket string, conf *tls.Config) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	type half interface {
		net.Conn
		CloseWrite() error
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close()
				client := half(c.(*net.TCPConn))
				if conf != nil {
					secure := tls.Server(c, conf)
					if secure.Handshake() != nil {
						return
					}
					client = secure
				}
				behind, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer behind.Close()
				var up sync.WaitGroup
				up.Go(func() {
					_, _ = io.Copy(behind, client)
					_ = behind.(half).CloseWrite()
				})
				_, _ = io.Copy(client, behind)
				_ = client.CloseWrite()
				up.Wait()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		served.Wait()
	})
	return l.Addr().String()
}

// certificates writes docker's three files of a client into a folder, and gives what a server
// of the same authority has.
func certificates(t *testing.T, dir string) *tls.Config {
	t.Helper()
	a := lab.NewAuthority(t, dir)
	a.Issue("cert", &x509.Certificate{Subject: pkix.Name{CommonName: "a client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err := os.Rename(a.File("cert-key.pem"), a.File("key.pem")); err != nil {
		t.Fatal(err)
	}
	server := a.Issue("server", &x509.Certificate{Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool}
}
