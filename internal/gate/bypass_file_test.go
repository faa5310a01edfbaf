package gate

import (
	"net/http"
	"strings"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

// hostIn has the host's folder in a container that need not run.
var hostIn = beside(ofHost(binds("/:/h")))

var planted = func(*ground) []byte { return archive("planted", "by somebody") }

// withFile is an ordinary container, and something done with its files.
func withFile(ask asking) asking { return then(named("plain", plain), ask) }

var fileBypasses = []hostile{
	{class: 18, name: "out", before: hostIn, ask: get("/containers/bad/archive?path=/h$DIR/secret"), power: readsSecret, want: "host-root-mounted", twin: withFile(get("/containers/plain/archive?path=/etc/passwd"))},
	{class: 18, name: "out, by the id and dots", before: hostIn, ask: get("/containers/$BAD/archive?path=/bin/../h$DIR/../$FOLDER/secret"), power: readsSecret, want: "host-root-mounted", twin: withFile(get("/containers/$ID/archive?path=/bin/../etc/passwd"))},
	{class: 18, name: "whether it is there", before: hostIn, ask: call("HEAD", "/v1.41/containers/bad/archive?path=/h$DIR/secret", ""), power: func(_ *ground, a *answer) bool {
		return a.status == http.StatusOK && a.header.Get("X-Docker-Container-Path-Stat") != ""
	}, want: "", twin: withFile(call("HEAD", "/v1.41/containers/plain/archive?path=/etc/passwd", ""))},
	{class: 18, name: "in", before: hostIn, ask: withTar("PUT", "/v1.41/containers/bad/archive?path=/h$DIR", planted), power: wrote("planted"), want: "host-root-mounted",
		twin: withFile(withTar("PUT", "/v1.41/containers/plain/archive?path=/tmp", planted))},
	{class: 18, name: "in, without a version, in chunks", before: hostIn, ask: func(g *ground, at string) *answer {
		body := string(planted(g))
		text := strings.Replace(chunked(g.fill("/containers/bad/archive?path=/h$DIR"), body), "POST", "PUT", 1)
		return g.send(at, []byte(strings.Replace(text, "application/json", "application/x-tar", 1)))
	}, power: wrote("planted"), want: "host-root-mounted", twin: withFile(withTar("PUT", "/containers/plain/archive?path=/tmp", planted))},
	{class: 18, name: "in, while it runs", before: beside(ofHost(binds("/:/h")), start("bad")), ask: withTar("PUT", "/v1.41/containers/bad/archive?path=/h$DIR", planted), power: wrote("planted"), want: "host-root-mounted",
		twin: then(named("plain", plain), start("plain"), withTar("PUT", "/v1.41/containers/plain/archive?path=/tmp", planted))},
	{class: 18, name: "all of it", policy: "reads: {refuse: [archive]}", before: beside(container("other", plain), putPasswd("other", "of $DIR")), ask: get("/containers/other/export"), power: said("etc/passwd"), want: "lets nobody read archive",
		twin: get("/containers/other/json")},
	{class: 18, name: "what changed is not told, the file is", policy: "reads: {refuse: [archive]}", before: beside(container("other", plain)), ask: get("/containers/other/archive?path=/etc/passwd"), power: said("root:x:0:0"), want: "lets nobody read archive",
		twin: get("/containers/other/changes")},
}
