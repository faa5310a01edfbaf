package gate

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// build builds by a Dockerfile.
func build(query, dockerfile string) asking {
	return withTar(http.MethodPost, "/v1.41/build?"+query, func(g *ground) []byte { return archive("Dockerfile", g.fill(dockerfile)) })
}

const (
	showLinks = "FROM web:1\nRUN ls /sys/class/net # $DIR\n"
	ordinary  = "FROM web:1\nRUN echo built # $DIR\n"
)

// built looks for a text in what a step of a build by BuildKit printed, which is in base64
// somewhere in its trace.
func built(text string) func(*ground, *answer) bool {
	return func(_ *ground, a *answer) bool {
		for part := range strings.SplitSeq(a.text(), `"`) {
			if trace, err := base64.StdEncoding.DecodeString(part); err == nil && strings.Contains(string(trace), text) {
				return true
			}
		}
		return false
	}
}

var buildBypasses = []hostile{
	{class: 20, name: "network of the host", ask: build("networkmode=host", showLinks), power: said("docker0"), want: "network-namespace-host", twin: build("networkmode=none", showLinks)},
	{class: 20, name: "network of another's", before: lent(`"NetworkMode":"host"`), ask: build("networkmode=container:bad", showLinks), power: said("docker0"), want: "network-namespace-host", twin: build("networkmode=default", ordinary)},
	{class: 20, name: "network of the host, with a second Dockerfile", ask: withTar("POST", "/v1.41/build?networkmode=host", func(g *ground) []byte {
		first := archive("Dockerfile", g.fill(ordinary))
		return append(first[:len(first)-1024], archive("Dockerfile", g.fill(showLinks))...) // without the end of the first archive
	}), power: said("docker0"), want: "network-namespace-host", twin: build("networkmode=bridge", ordinary)},
	{class: 20, name: "from an address", ask: post("/build?remote=http://$WEB/Dockerfile", ""), power: hears("GET /Dockerfile"), want: "an address that the client chooses", twin: build("remote=", ordinary)},
	{class: 20, name: "from a repository", ask: post("/build?remote=http://$WEB/some.git", ""), power: hears("/some.git"), want: "an address that the client chooses", twin: build("", ordinary)},
	{class: 20, name: "another control group", policy: "enforce: {also: [cgroup-parent-chosen]}", ask: build("cgroupparent=/of-a-build", "FROM web:1\nRUN cat /proc/self/cgroup # $DIR\n"), power: said("/of-a-build"), want: "cgroup-parent-chosen",
		twin: build("cgroupparent=", ordinary)},
	{class: 20, name: "no filter", ask: build("securityopt=seccomp%3Dunconfined", ordinary), beyond: "engines on Linux refuse security options of builds", want: "seccomp-unconfined", twin: build("nocache=1", ordinary)},
	{class: 20, name: "network twice", ask: build("networkmode=none&networkmode=host", showLinks), beyond: "the engine reads the first", want: "given twice", twin: build("networkmode=none", ordinary)},

	{class: 21, name: "a build", ask: build("version=2", ordinary), power: said("moby.image.id"), want: "builds by BuildKit", twin: build("version=1", ordinary)},
	{class: 21, name: "a build in the network of the host", ask: build("version=2&networkmode=host", showLinks), power: built("docker0"), want: "builds by BuildKit", twin: build("version=1", ordinary)},
	{class: 21, name: "a frontend of the client's", ask: build("version=2", "# syntax = $WEB/front/end:1\n"+ordinary), power: hears("/v2/front/end/manifests/1"), want: "builds by BuildKit", twin: build("", "# syntax = $WEB/front/end:1\n"+ordinary)},
	{class: 21, name: "builders", ask: builders, power: said("moby"), want: "class buildkit", twin: get("/info")},
	{class: 21, name: "a session", ask: upgraded("POST", "/v1.41/session", "h2c", "", nil, "X-Docker-Expose-Session-Uuid: abc", "X-Docker-Expose-Session-Name: x"), power: said("PRI * HTTP/2.0"), want: "class buildkit",
		twin: call("HEAD", "/_ping", "")},
	{class: 21, name: "files to the client", ask: build("outputs="+url.QueryEscape(`[{"Type":"tar","Attrs":{}}]`), ordinary), beyond: "the classic builder leaves outputs as they are", want: "builds by BuildKit", twin: build("", ordinary)},
}

// builders asks the BuildKit in the engine for its workers, by a call of gRPC on HTTP/2
// that is written by hand (RFC 9113, and RFC 7541 without an index or Huffman's code).
func builders(g *ground, at string) *answer {
	g.Helper()
	frame := func(kind, flags byte, stream byte, payload []byte) []byte {
		n := len(payload)
		return append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, 0, 0, 0, stream}, payload...)
	}
	var fields []byte
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/moby.buildkit.v1.Control/ListWorkers"}, {":authority", "engine"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		fields = append(append(append(append(fields, 0, byte(len(f[0]))), f[0]...), byte(len(f[1]))), f[1]...)
	}
	const headers, data, endHeaders, endStream = 1, 0, 4, 1
	say := append([]byte{}, http2Begin...)
	say = append(say, frame(headers, endHeaders, 1, fields)...)
	say = append(say, frame(data, endStream, 1, make([]byte, 5))...) // an empty message
	return upgraded(http.MethodPost, "/grpc", "h2c", "", say)(g, at)
}
