package gate

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	plain      = `{"Image":"web:1"}`
	privileged = `{"Image":"web:1","HostConfig":{"Privileged":true}}`
	// lined has a shell that does what comes in by standard input.
	lined = `{"Image":"web:1","Cmd":["sh"],"OpenStdin":true,"AttachStdin":true`
	// withHost has the host's files in /h.
	withHost = `{"Image":"web:1","HostConfig":{"Binds":["/:/h"]}}`
)

var isPrivileged = has("HostConfig.Privileged", "true")

// chunked is a request whose body comes in chunks.
func chunked(path, body string, fields ...string) string {
	fields = append(fields, "Content-Type: application/json", "Transfer-Encoding: chunked")
	return request(http.MethodPost, path, "", fields...) + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
}

// behind gives the answer to the last of several requests on one connection.
func behind(ask asking) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		a := ask(g, at)
		for a.next != nil {
			a = a.next
		}
		return a
	}
}

// upgraded asks for another protocol, and speaks it.
func upgraded(method, path, protocol, body string, first []byte, fields ...string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		head := request(method, g.fill(path), body, append(fields, "Connection: Upgrade", "Upgrade: "+protocol)...)
		return g.sendAll(at, []byte(head), []byte(g.fill(string(first))))
	}
}

// webSocket are the fields that begin one (RFC 6455, section 4.1).
var webSocket = []string{"Origin: http://docker", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

// webSocketFrame is a text frame of a client (RFC 6455, section 5.2) whose mask changes
// nothing.
func webSocketFrame(text string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		text := g.fill(text)
		frame := append([]byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}, text...)
		return upgraded(http.MethodGet, "/v1.41/containers/shell/attach/ws?stream=1&stdin=1&stdout=1", "websocket", "", frame, webSocket...)(g, at)
	}
}

// isHTTP2 says whether what came is a settings frame of HTTP/2 (RFC 9113, section 6.5).
func isHTTP2(_ *ground, a *answer) bool { return len(a.raw) >= 9 && a.raw[3] == 4 }

// http2Begin is how a client begins HTTP/2: its preface and no settings.
var http2Begin = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")

var readsSecret = func(g *ground, a *answer) bool { return strings.Contains(a.text(), g.secret) }

const readSecret = "cat /h$DIR/secret; sleep 0.1\n"

// shell makes a running container that takes commands, with the host's files in it.
var shell = beside(container("shell", lined+`,"HostConfig":{"Binds":["/:/h"]}}`), start("shell"))

// harmlessShell makes the same without the host, and asks it for something.
func harmlessShell(ask asking) asking {
	return then(named("plain", lined+`}`), start("plain"), ask)
}

var wireBypasses = []hostile{
	// What an authorization plugin does not see.
	{class: 1, name: "body over 1 MiB", ask: create(padded(privileged, 3<<19)), power: isPrivileged, want: "(privileged, critical)", twin: create(padded(plain, 3<<19))},
	{class: 1, name: "body in chunks", ask: raw(chunked("/v1.41/containers/create", privileged)), power: isPrivileged, want: "(privileged, critical)",
		twin: raw(chunked("/v1.41/containers/create", plain))},
	{class: 1, name: "length 0 and chunks", ask: raw(chunked("/v1.41/containers/create", privileged, "Content-Length: 0")), power: isPrivileged,
		want: "Content-Length and Transfer-Encoding", twin: raw(chunked("/v1.41/containers/create", plain))},
	{class: 1, name: "media type with a parameter", ask: raw(request("POST", "/v1.41/containers/create", privileged, "Content-Type: Application/JSON; x=y")), power: isPrivileged,
		want: "(privileged, critical)", twin: raw(request("POST", "/v1.41/containers/create", plain, "Content-Type: Application/JSON; x=y"))},
	{class: 1, name: "query ends as a path of auth", ask: call("POST", "/v1.41/containers/create?x=/auth", privileged), power: isPrivileged, want: "no parameter",
		twin: call("POST", "/v1.41/containers/create?name=auth", plain)},
	{class: 1, name: "body after being asked for it", ask: raw(request("POST", "/v1.41/containers/create", privileged, "Expect: 100-continue")), power: isPrivileged,
		want: "(privileged, critical)", twin: raw(request("POST", "/v1.41/containers/create", plain, "Expect: 100-continue"))},
	{class: 1, name: "HTTP 1.0", ask: raw(strings.Replace(request("POST", "/v1.41/containers/create", privileged), "1.1\r\nHost: docker", "1.0", 1)), power: isPrivileged,
		want: "(privileged, critical)", twin: raw(strings.Replace(request("POST", "/v1.41/containers/create", plain), "1.1\r\nHost: docker", "1.0", 1))},
	{class: 1, name: "parameters in a form", ask: raw(request("POST", "/v1.41/images/web:1/tag?repo=harmless", "repo=registry.example.org/trusted&tag=1", "Content-Type: application/x-www-form-urlencoded")),
		power: func(g *ground, _ *answer) bool { return strings.Contains(g.images(), "registry.example.org/trusted:1") },
		want:  "put them into the query", twin: post("/images/web:1/tag?repo=harmless", "")},

	// What follows the first request.
	{class: 2, name: "attach to what is there", before: shell, ask: upgraded("POST", "/v1.41/containers/shell/attach?stream=1&stdin=1&stdout=1", "tcp", "", []byte(readSecret)), power: readsSecret,
		want: "host-root-mounted", twin: harmlessShell(upgraded("POST", "/v1.41/containers/plain/attach?stream=1&stdin=1&stdout=1", "tcp", "", []byte("id\n")))},
	{class: 2, name: "attach by a GET", before: shell, ask: webSocketFrame(readSecret), power: readsSecret, want: "host-root-mounted",
		twin: harmlessShell(upgraded("GET", "/v1.41/containers/plain/attach/ws?stream=1&stdout=1", "websocket", "", nil, webSocket...))},
	{class: 2, name: "session that was made beside", before: beside(container("calm", plain), start("calm"), execIn("calm", `{"Privileged":true,"AttachStdout":true,"Cmd":["sh","-c","grep CapEff /proc/self/status"]}`)),
		ask: upgraded("POST", "/v1.41/exec/$EXEC/start", "tcp", `{}`, nil), power: allCapabilities, want: "exec-privileged",
		twin: then(named("plain", plain), start("plain"), execIn("plain", `{"AttachStdout":true,"Cmd":["id"]}`), upgraded("POST", "/v1.41/exec/$EXEC/start", "tcp", `{}`, nil))},
	{class: 2, name: "behind a ping", ask: behind(raw(request("GET", "/_ping", "")+request("POST", "/v1.41/containers/create", privileged), "GET", "POST")), power: isPrivileged,
		want: "(privileged, critical)", twin: behind(raw(request("GET", "/_ping", "")+request("POST", "/v1.41/containers/create", plain), "GET", "POST"))},
	{class: 2, name: "behind what is refused", ask: behind(raw(request("POST", "/v1.41/plugins/none/disable", "")+request("POST", "/v1.41/containers/create", privileged), "POST", "POST")), power: isPrivileged,
		want: "(privileged, critical)", twin: behind(raw(request("POST", "/v1.41/containers/none/pause", "")+request("POST", "/v1.41/containers/create", plain), "POST", "POST"))},
	{class: 2, name: "behind a body that is too long", ask: behind(raw(request("GET", "/v1.41/containers/json", "{}")+request("POST", "/v1.41/containers/create", privileged), "GET", "POST")), power: isPrivileged,
		want: "(privileged, critical)", twin: behind(raw(request("GET", "/v1.41/containers/json", "{}")+request("POST", "/v1.41/containers/create", plain), "GET", "POST"))},

	// Another protocol.
	{class: 3, name: "grpc", ask: upgraded("POST", "/grpc", "h2c", "", http2Begin), power: isHTTP2, want: "class buildkit", twin: call("GET", "/_ping", "")},
	{class: 3, name: "grpc with a version", ask: upgraded("POST", "/v1.41/grpc", "h2c", "", http2Begin), power: isHTTP2, want: "class buildkit", twin: call("GET", "/v1.41/_ping", "")},
	{class: 3, name: "session", ask: upgraded("POST", "/session", "h2c", "", nil, "X-Docker-Expose-Session-Uuid: abc", "X-Docker-Expose-Session-Name: x"), power: said("PRI * HTTP/2.0"),
		want: "class buildkit", twin: call("HEAD", "/_ping", "")},
	{class: 3, name: "prior knowledge", ask: raw(string(http2Begin)), beyond: "the socket of Docker 20.10 knows HTTP/1 only", want: "HTTP/2 is not passed on", twin: call("GET", "/_ping", "")},
	{class: 3, name: "upgrade", ask: raw(request("GET", "/v1.41/containers/json", "", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")),
		beyond: "the socket of Docker 20.10 knows HTTP/1 only", want: "upgrade to HTTP/2", twin: get("/containers/json")},
	{class: 3, name: "upgrade of a session", before: beside(container("calm", plain), start("calm"), execIn("calm", `{"Cmd":["id"]}`)), ask: upgraded("POST", "/v1.41/exec/$EXEC/start", "h2c", `{}`, nil),
		beyond: "the socket of Docker 20.10 knows HTTP/1 only, and takes the word for tcp", want: "tcp",
		twin: then(named("plain", plain), start("plain"), execIn("plain", `{"AttachStdout":true,"Cmd":["id"]}`), upgraded("POST", "/v1.41/exec/$EXEC/start", "tcp", `{}`, nil))},

	// Forms of paths.
	{class: 4, name: "no version", ask: call("POST", "/containers/create", privileged), power: isPrivileged, want: "(privileged, critical)", twin: call("POST", "/containers/create", plain)},
	{class: 4, name: "three parts", ask: call("POST", "/v1.41.0/containers/create", privileged), power: isPrivileged, want: "no version", twin: create(plain)},
	{class: 4, name: "leading zero", ask: call("POST", "/v01.41/containers/create", privileged), power: isPrivileged, want: "no version", twin: create(plain)},
	{class: 4, name: "version before all rules", ask: call("POST", "/v1.12/containers/create", privileged), power: isPrivileged, want: "too old", twin: create(plain)},
	{class: 4, name: "encoded letter", ask: call("POST", "/v1.41/containers/%63reate", privileged), power: isPrivileged, want: "page not found", twin: create(plain)},
	{class: 4, name: "encoded word", ask: call("POST", "/v1.41/%63ontainers/%63%72eate", privileged), power: isPrivileged, want: "page not found", twin: create(plain)},
	{class: 4, name: "slashes in a name", before: func(g *ground) {
		beside(container("calm", plain))(g)
		g.vars["CHECKPOINT"] = g.inEngine(filepath.Join(g.root(), "containers", g.vars["CALM"], "checkpoints", "mine"))
		if err := os.MkdirAll(g.vars["CHECKPOINT"], 0o700); err != nil {
			g.Fatal(err)
		}
	}, ask: call("DELETE", "/v1.41/containers/calm%2Fcheckpoints%2Fmine", ""), power: func(g *ground, _ *answer) bool {
		_, err := os.Stat(g.vars["CHECKPOINT"])
		return err != nil
	}, want: "/", twin: then(named("plain", plain), call("DELETE", "/v1.41/containers/plain", ""))},
	{class: 4, name: "two slashes", ask: call("POST", "/v1.41//containers/create", privileged), beyond: "the engine answers 301, which no client follows with a body", want: "not canonical", twin: create(plain)},
	{class: 4, name: "dots", ask: call("POST", "/v1.41/images/../containers/create", privileged), beyond: "the engine answers 301, which no client follows with a body", want: "not canonical", twin: create(plain)},
	{class: 4, name: "encoded dots", ask: call("POST", "/v1.41/containers/%2e%2e/containers/create", privileged), beyond: "the engine answers 301, which no client follows with a body", want: "not", twin: create(plain)},

	// Wearing it out.
	{class: 7, name: "100 MiB", ask: create(`{"Image":"web:1","Pad":"` + strings.Repeat("a", 100<<20) + `"}`), power: isMade, want: "more than the 4 MiB", twin: create(padded(plain, 3<<20))},
	{class: 7, name: "100 MiB in chunks", ask: raw(chunked("/v1.41/containers/create", `{"Image":"web:1","Pad":"`+strings.Repeat("a", 100<<20)+`"}`)), power: isMade, want: "larger than 4194304 bytes",
		twin: raw(chunked("/v1.41/containers/create", padded(plain, 3<<20)))},
	{class: 7, name: "deep", ask: create(`{"Image":"web:1","Pad":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`), power: isMade, want: "200 levels", twin: create(plain)},
	{class: 7, name: "many fields", ask: raw(request("POST", "/v1.41/containers/create", plain, strings.Split(strings.Repeat("X-A: b\n", 20000)+"X-A: b", "\n")...)), power: isMade,
		want: "200 header fields", twin: raw(request("POST", "/v1.41/containers/create", plain, strings.Split(strings.Repeat("X-A: b\n", 100)+"X-A: b", "\n")...))},
	{class: 7, name: "head without end", ask: raw("GET /_ping HTTP/1.1\r\nHost: docker\r\nX: " + strings.Repeat("a", 900<<10) + "\r\n\r\n"), power: answered(http.StatusOK), want: "longer than 256 KiB",
		twin: raw("GET /_ping HTTP/1.1\r\nHost: docker\r\nX: " + strings.Repeat("a", 90<<10) + "\r\n\r\n")},
}

// isMade is that the engine made a container.
func isMade(_ *ground, a *answer) bool { return a.id() != "" }

// allCapabilities looks for the right to administer the host (capability 21) in what
// prints CapEff of /proc/self/status.
func allCapabilities(_ *ground, a *answer) bool {
	_, set, _ := strings.Cut(a.text(), "CapEff:\t")
	bits, err := strconv.ParseUint(strings.TrimSpace(set[:min(len(set), 16)]), 16, 64)
	return err == nil && bits&(1<<21) != 0
}

// execIn makes an exec session; $EXEC is its id.
func execIn(name, body string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		a := post("/containers/"+name+"/exec", body)(g, at)
		g.vars["EXEC"] = a.id()
		return a
	}
}

// images are the names of all images.
func (g *ground) images() string {
	g.Helper()
	return get("/images/json")(g, g.engine.Socket()).text()
}

// root is the folder where the engine keeps its data, and inEngine a path as it sees it.
func (g *ground) root() string {
	var info struct{ DockerRootDir string }
	g.look("/info", &info)
	return info.DockerRootDir
}

func (g *ground) inEngine(path string) string {
	return fmt.Sprintf("/proc/%d/root%s", g.engine.Pid, path)
}
