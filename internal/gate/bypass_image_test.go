package gate

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

const (
	// fromTrusted is the policy that takes images from one place only.
	fromTrusted = "require: {images: [$WEB/trusted/*]}"
	// granted is the policy that lets images from there break a rule.
	granted = "grants: [{rule: privileged, image: $WEB/trusted/*, until: 2099-12-31, why: tests}]"
	trusted = `{"Image":"$WEB/trusted/app:1"}`
)

// publish has the registry have an image in the place that is trusted, and the engine know
// it as from there. $EVIL are the digits of the id of another.
func (g *ground) publish() {
	g.Helper()
	engine := g.engine.Socket()
	if a := post("/images/web:1/tag?repo=$WEB/trusted/app&tag=1", "")(g, engine); a.status >= 300 {
		g.Fatalf("tagging: %s", a)
	}
	if a := push("trusted/app", "1")(g, engine); a.status >= 300 || strings.Contains(a.text(), "errorDetail") {
		g.Fatalf("publishing: %s", a)
	}
}

// push sends an image to the registry.
func push(name, tag string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		return g.send(at, []byte(request(http.MethodPost, g.fill("/v1.41/images/$WEB/"+name+"/push?tag="+tag), "", "X-Registry-Auth: e30=")))
	}
}

// evil finds the image that is not trusted.
func evil(g *ground) {
	g.Helper()
	var i struct{ ID string }
	g.look("/images/plain:1/json", &i)
	g.vars["EVIL"] = strings.TrimPrefix(i.ID, "sha256:")
	g.vars["SHORT"] = g.vars["EVIL"][:12]
}

// tagged gives the image that is not trusted a name, beside the gate.
func tagged(repo, tag string) func(*ground) {
	return beside(post("/images/plain:1/tag?repo="+repo+"&tag="+tag, ""))
}

// saved is an archive of the image that is not trusted, with another name in it.
func saved(name string) func(*ground) []byte {
	return func(g *ground) []byte {
		g.Helper()
		from := tar.NewReader(bytes.NewReader(get("/images/plain:1/get")(g, g.engine.Socket()).body))
		var to bytes.Buffer
		w := tar.NewWriter(&to)
		for {
			head, err := from.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			var content []byte
			if err == nil {
				content, err = io.ReadAll(from)
			}
			if err != nil {
				g.Fatal(err)
			}
			if head.Name == "manifest.json" || head.Name == "repositories" {
				content = bytes.Replace(content, []byte("plain:1"), []byte(g.fill(name)), 1)
				if head.Name == "repositories" {
					continue
				}
			}
			head.Size = int64(len(content))
			if err = w.WriteHeader(head); err == nil {
				_, err = w.Write(content)
			}
			if err != nil {
				g.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			g.Fatal(err)
		}
		return to.Bytes()
	}
}

// ofEvil is that the container that was made has the image that is not trusted.
func ofEvil(g *ground, a *answer) bool {
	id := a.id()
	if id == "" {
		return false
	}
	evil(g)
	return strings.Contains(g.described(id, "Image"), g.vars["EVIL"])
}

const notFrom = "is not one that came from where the policy says"

var imageBypasses = []hostile{
	{class: 15, name: "by the beginning of its id", policy: fromTrusted, before: evil, ask: create(`{"Image":"$SHORT"}`), power: ofEvil, want: notFrom, twin: create(trusted)},
	{class: 15, name: "by the beginning of its digest", policy: fromTrusted, before: evil, ask: create(`{"Image":"sha256:$SHORT"}`), power: ofEvil, want: notFrom, twin: create(trusted)},
	{class: 15, name: "by its id", policy: fromTrusted, before: evil, ask: create(`{"Image":"$EVIL"}`), power: ofEvil, want: notFrom, twin: create(trusted)},
	{class: 15, name: "by a name of there", policy: fromTrusted, before: tagged("$WEB/trusted/app", "2"), ask: create(`{"Image":"$WEB/trusted/app:2"}`), power: ofEvil, want: notFrom, twin: create(trusted)},
	{class: 15, name: "by the name of what came from there", policy: fromTrusted, before: func(g *ground) {
		tagged("$WEB/trusted/app", "1")(g)
		g.cleanups = append(g.cleanups, func() { post("/images/web:1/tag?repo=$WEB/trusted/app&tag=1", "")(g, g.engine.Socket()) })
	}, ask: create(trusted), power: ofEvil, want: notFrom, twin: then(post("/images/web:1/tag?repo=$WEB/trusted/app&tag=1", ""), create(trusted))},
	{class: 15, name: "by a name of nowhere", policy: fromTrusted, ask: create(`{"Image":"plain:1"}`), power: ofEvil, want: notFrom, twin: create(trusted)},
	{class: 15, name: "a grant by a name of there", policy: granted, before: tagged("$WEB/trusted/app", "2"), ask: create(`{"Image":"$WEB/trusted/app:2","HostConfig":{"Privileged":true}}`), power: isPrivileged, want: "(privileged, critical)",
		twin: create(`{"Image":"$WEB/trusted/app:1","HostConfig":{"Privileged":true}}`)},
	{class: 15, name: "a user of the image's", policy: userRoot, ask: create(`{"Image":"web:1","Cmd":["id","-u"]}`), power: ran("0\n"), want: "user-root", twin: create(`{"Image":"plain:1","Cmd":["id","-u"]}`)},
	{class: 15, name: "a tag for a digest", policy: "require: {digest: true}", ask: create(`{"Image":"web:1"}`), power: isMade, want: "not named by its digest", twin: func(g *ground, at string) *answer {
		var i struct{ RepoDigests []string }
		g.look("/images/web:1/json", &i)
		return create(`{"Image":"`+i.RepoDigests[0]+`"}`)(g, at)
	}},

	{class: 19, name: "imported under a name of there", policy: fromTrusted, before: beside(withTar("POST", "/v1.41/images/create?fromSrc=-&repo=$WEB/trusted/app&tag=imported", func(*ground) []byte { return archive("etc/motd", "x") })),
		ask: create(`{"Image":"$WEB/trusted/app:imported","Cmd":["x"]}`), power: isMade, want: notFrom, twin: create(trusted)},
	{class: 19, name: "made of a container under a name of there", policy: fromTrusted, before: beside(container("base", plain), post("/commit?container=base&repo=$WEB/trusted/app&tag=made", `{}`)),
		ask: create(`{"Image":"$WEB/trusted/app:made"}`), power: isMade, want: notFrom, twin: create(trusted)},
	{class: 19, name: "loaded under a name of there", policy: fromTrusted, ask: then(withTar("POST", "/v1.41/images/load", saved("$WEB/trusted/app:loaded")), create(`{"Image":"$WEB/trusted/app:loaded"}`)), power: ofEvil, want: notFrom, undone: true, twin: create(trusted)},
	{class: 19, name: "user changed", policy: userRoot, before: beside(container("base", `{"Image":"plain:1"}`), post("/commit?container=base&repo=changed&changes=USER%20root", `{}`)), ask: create(`{"Image":"changed","Cmd":["id","-u"]}`), power: ran("0\n"),
		want: "user-root", twin: then(named("other", `{"Image":"plain:1"}`), post("/commit?container=other&repo=kept", `{}`), create(`{"Image":"kept","Cmd":["id","-u"]}`))},
	{class: 19, name: "owner forged", policy: "require: {owner: true}", before: beside(container("base", `{"Image":"plain:1"}`), post("/commit?container=base&repo=owned&changes=LABEL%20plimsoll.owner=ana", `{}`)), ask: create(`{"Image":"owned"}`),
		power: has("Config.Labels", `"plimsoll.owner":"ana"`), want: "nobody is said to own it", twin: create(`{"Image":"web:1","Labels":{"plimsoll.owner":"ana"}}`)},
	{class: 19, name: "fetched from anywhere", ask: post("/images/create?fromSrc=http://$WEB/image.tar&repo=fetched", ""), power: hears("GET /image.tar"), want: "an address that the client chooses",
		twin: withTar("POST", "/v1.41/images/create?fromSrc=-&repo=sent", func(*ground) []byte { return archive("etc/motd", "x") })},
	{class: 19, name: "fetched from anywhere, by a form", ask: raw(request("POST", "/v1.41/images/create?fromSrc=-", "fromSrc=http://$WEB/image.tar&repo=fetched", "Content-Type: application/x-www-form-urlencoded")), power: hears("GET /image.tar"),
		want: "makes parameters of the body", twin: withTar("POST", "/v1.41/images/create?fromSrc=-&repo=sent", func(*ground) []byte { return archive("etc/motd", "x") })},
	{class: 19, name: "environment told by an image", policy: "reads: {refuse: [environment]}", before: beside(container("base", `{"Image":"web:1","Env":["KEY=of $DIR"]}`)),
		ask: then(post("/commit?container=base&repo=told", `{}`), get("/images/told/json")), power: said("KEY=of $DIR"), want: "lets nobody read environment", twin: get("/images/web:1/json")},
	{class: 19, name: "volumes of an image", before: beside(ofHost(binds("/:/h")), container("base", plain), post("/commit?container=base&repo=volumes&changes=VOLUME%20/h", `{}`)),
		ask: create(`{"Image":"volumes","Cmd":["cat","/h$DIR/secret"],"HostConfig":{"VolumesFrom":["bad"]}}`), power: prints("$SECRET"), want: "host-root-mounted", twin: create(`{"Image":"volumes"}`)},
}
