package gate

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// cat is a container that prints the secret, by where it is inside, with more behind it.
func cat(at, more string) string {
	return `{"Image":"web:1","Cmd":["cat","` + at + `"]` + more + `}`
}

// binds is a HostConfig with one bind.
func binds(bind string) string { return `,"HostConfig":{"Binds":["` + bind + `"]}` }

// mounts is a HostConfig with one mount of the new form.
func mounts(mount string) string { return `,"HostConfig":{"Mounts":[` + mount + `]}` }

// ofHost has the host's files beside the gate, and no more.
func ofHost(more string) asking { return container("bad", `{"Image":"web:1"`+more+`}`) }

// logged looks for the secret in what a container prints, for a while.
func logged(name string) func(*ground, *answer) bool {
	return func(g *ground, a *answer) bool {
		g.Helper()
		for range 10 {
			if readsSecret(g, get("/containers/"+name+"/logs?stdout=1&stderr=1")(g, g.engine.Socket())) {
				return true
			}
			if a.status >= 400 || g.described(name, "State.Running") != "true" {
				break
			}
			pause()
		}
		return readsSecret(g, get("/containers/"+name+"/logs?stdout=1&stderr=1")(g, g.engine.Socket()))
	}
}

// link makes a link in the folder, or has it lead elsewhere.
func link(name, to string) asking {
	return onHost(func(g *ground) error {
		at := filepath.Join(g.dir, name)
		if err := os.Remove(at); err != nil && !os.IsNotExist(err) {
			return err
		}
		return os.Symlink(g.fill(to), at)
	})
}

// ok is a folder that anybody may have.
var ok = onHost(func(g *ground) error { return os.MkdirAll(filepath.Join(g.dir, "ok"), 0o755) })

// reaches is a container that says whether a socket is there.
func reaches(at, more string) string {
	return fmt.Sprintf(`{"Image":"web:1","Cmd":["sh","-c","test -S %s && echo a socket"]%s}`, at, more)
}

var mountBypasses = []hostile{
	// Mounts in the newer form.
	{class: 8, name: "the host", ask: create(cat("/h$DIR/secret", mounts(`{"Type":"bind","Source":"/","Target":"/h"}`))), power: prints("$SECRET"), want: "host-root-mounted",
		twin: create(cat("/h/secret", mounts(`{"Type":"bind","Source":"$DIR","Target":"/h"}`)))},
	{class: 8, name: "the host, read-only, beside a folder", ask: create(cat("/h$DIR/secret", `,"HostConfig":{"Binds":["$DIR:/ok"],"Mounts":[{"Type":"bind","Source":"/.","Target":"/h","ReadOnly":true}]}`)),
		power: prints("$SECRET"), want: "host-root-mounted", twin: create(cat("/h/secret", `,"HostConfig":{"Binds":["$DIR:/ok"],"Mounts":[{"Type":"bind","Source":"$DIR/.","Target":"/h","ReadOnly":true}]}`))},
	{class: 8, name: "the engine's socket", ask: create(reaches("/s", mounts(`{"Type":"bind","Source":"$SOCK","Target":"/s"}`))), power: prints("a socket"), want: "engine-socket-mounted",
		twin: create(cat("/s", mounts(`{"Type":"bind","Source":"$DIR/secret","Target":"/s"}`)))},
	{class: 8, name: "the host's settings", ask: create(cat("/h/shadow", mounts(`{"Type":"bind","Source":"/etc","Target":"/h","ReadOnly":true}`))), power: prints("root:"), want: "host-keys-mounted",
		twin: create(cat("/h", mounts(`{"Type":"bind","Source":"/etc/localtime","Target":"/h","ReadOnly":true}`)))},
	{class: 8, name: "mounts that show on the host", ask: create(`{"Image":"web:1"` + mounts(`{"Type":"bind","Source":"$DIR","Target":"/h","BindOptions":{"Propagation":"rshared"}}`) + `}`),
		power: has("HostConfig.Mounts", "rshared"), want: "mount-propagation-shared", twin: create(`{"Image":"web:1"` + mounts(`{"Type":"bind","Source":"$DIR","Target":"/h","BindOptions":{"Propagation":"rprivate"}}`) + `}`)},
	{class: 8, name: "the devices", ask: create(`{"Image":"web:1","Cmd":["ls","/d"]` + mounts(`{"Type":"bind","Source":"/dev","Target":"/d"}`) + `}`), power: prints("kmsg"), want: "host-system-writable",
		twin: create(`{"Image":"web:1"` + mounts(`{"Type":"tmpfs","Target":"/d"}`) + `}`)},

	// Mounts of others.
	{class: 10, name: "from another", before: beside(ofHost(binds("/:/h"))), ask: create(cat("/h$DIR/secret", `,"HostConfig":{"VolumesFrom":["bad"]}`)), power: prints("$SECRET"), want: "host-root-mounted",
		twin: then(named("plain", `{"Image":"web:1"`+binds("$DIR:/h")+`}`), create(cat("/h/secret", `,"HostConfig":{"VolumesFrom":["plain"]}`)))},
	{class: 10, name: "from another by its id, read-only", before: beside(ofHost(binds("/:/h"))), ask: create(cat("/h$DIR/secret", `,"HostConfig":{"VolumesFrom":["$BAD:ro"]}`)), power: prints("$SECRET"), want: "host-root-mounted",
		twin: then(named("plain", `{"Image":"web:1"`+binds("$DIR:/h")+`}`), create(cat("/h/secret", `,"HostConfig":{"VolumesFrom":["$ID:ro"]}`)))},
	{class: 10, name: "from another, behind a volume", before: beside(ofHost(binds("/:/h"))), ask: create(cat("/h$DIR/secret", `,"Volumes":{"/h":{}},"HostConfig":{"VolumesFrom":["bad"]}`)), power: prints("$SECRET"),
		want: "host-root-mounted", twin: then(named("plain", `{"Image":"web:1","Volumes":{"/h":{}}}`), create(cat("/h/secret", `,"Volumes":{"/h":{}},"HostConfig":{"VolumesFrom":["plain"]}`)))},
	{class: 10, name: "from another, behind a volume of the image", before: beside(ofHost(binds("/:/h"))), ask: create(`{"Image":"volume:1","Cmd":["cat","/h$DIR/secret"],"HostConfig":{"VolumesFrom":["bad"]}}`),
		power: prints("$SECRET"), want: "host-root-mounted", twin: then(named("plain", `{"Image":"volume:1"}`), create(`{"Image":"volume:1","HostConfig":{"VolumesFrom":["plain"]}}`))},
	{class: 10, name: "from another's volume", before: beside(ofHost(mounts(`{"Type":"volume","Target":"/h","VolumeOptions":{"DriverConfig":{"Options":{"type":"none","o":"bind","device":"/"}}}}`))),
		ask: create(cat("/h$DIR/secret", `,"Volumes":{"/h":{}},"HostConfig":{"VolumesFrom":["bad"]}`)), power: prints("$SECRET"), want: "host-root-mounted",
		twin: then(named("plain", `{"Image":"web:1"`+mounts(`{"Type":"volume","Target":"/h"}`)+`}`), create(cat("/h/secret", `,"HostConfig":{"VolumesFrom":["plain"]}`)))},
	{class: 10, name: "programs in memory", policy: "enforce: {also: [tmpfs-runs-programs]}", ask: create(`{"Image":"web:1","HostConfig":{"Tmpfs":{"/x":"exec,suid,dev"}}}`), power: has("HostConfig.Tmpfs", "suid"),
		want: "tmpfs-runs-programs", twin: create(`{"Image":"web:1","HostConfig":{"Tmpfs":{"/x":"size=1m"}}}`)},
	{class: 10, name: "an image", policy: "require: {images: [registry.example.org/*]}", ask: call("POST", "/v1.48/containers/create", `{"Image":"web:1"`+mounts(`{"Type":"image","Source":"web:1","Target":"/x"}`)+`}`),
		beyond: "mounts of images came with API 1.48", want: "where the image at /x came from", twin: call("GET", "/_ping", "")},

	// What a path leads to.
	{class: 11, name: "a link", before: beside(link("l", "/")), ask: create(cat("/h$DIR/secret", binds("$DIR/l:/h"))), power: prints("$SECRET"), want: "host-root-mounted",
		twin: then(ok, link("l", "ok"), create(cat("/h/secret", binds("$DIR/l:/h"))))},
	{class: 11, name: "a link to a link, with dots", before: beside(ok, link("ok/m", "../../../../../../../.."), link("l", "ok/m")), ask: create(cat("/h$DIR/secret", binds("$DIR/l:/h"))), power: prints("$SECRET"),
		want: "host-root-mounted", twin: then(ok, link("ok/m", ".."), link("l", "ok/m"), create(cat("/h/secret", binds("$DIR/l:/h"))))},
	{class: 11, name: "a link below", before: beside(link("l", "/")), ask: create(cat("/h", binds("$DIR/l/etc/shadow:/h:ro"))), power: prints("root:"), want: "host-keys-mounted",
		twin: then(ok, link("l", "/"), create(cat("/h", binds("$DIR/l/etc/localtime:/h:ro"))))},
	{class: 11, name: "a link, turned before the start", before: beside(ok, link("l", "ok"), container("turned", cat("/h$DIR/secret", binds("$DIR/l:/h"))), link("l", "/")), ask: start("turned"), power: logged("turned"),
		want: "host-root-mounted", twin: then(ok, link("l", "ok"), named("plain", cat("/h/secret", binds("$DIR/l:/h"))), start("plain"))},
	{class: 11, name: "a link, turned before the restart", before: beside(ok, link("l", "ok"), container("turned", `{"Image":"web:1","Cmd":["sh","-c","cat /h$DIR/secret; sleep 1000"]`+binds("$DIR/l:/h")+`}`), start("turned"), link("l", "/")),
		ask: post("/containers/turned/restart?t=0", ""), power: logged("turned"), want: "host-root-mounted",
		twin: then(ok, link("l", "ok"), named("plain", cat("/h/secret", binds("$DIR/l:/h"))), start("plain"), post("/containers/plain/restart?t=0", ""))},
	{class: 11, name: "a link, turned while it stops", before: beside(ok, link("l", "ok"), container("turned", `{"Image":"web:1","Cmd":["sh","-c","trap 'sleep 0.5; exit' TERM; cat /h$DIR/secret; while sleep 0.1; do :; done"]`+binds("$DIR/l:/h")+`}`), start("turned"), untilReady("turned")),
		ask: meanwhile(post("/containers/turned/restart", ""), link("l", "/")), power: logged("turned"), want: "host-root-mounted", undone: true,
		twin: then(ok, link("l", "ok"), named("plain", `{"Image":"web:1","Cmd":["sh","-c","trap exit TERM; while sleep 0.1; do :; done"]`+binds("$DIR/l:/h")+`}`), start("plain"), post("/containers/plain/restart", ""))},
	{class: 11, name: "a folder, become a link", before: beside(ok, container("turned", cat("/h$DIR/secret", binds("$DIR/ok:/h"))), onHost(func(g *ground) error { return os.Remove(filepath.Join(g.dir, "ok")) }), link("ok", "/")),
		ask: start("turned"), power: logged("turned"), want: "host-root-mounted", twin: then(named("plain", cat("/h/secret", binds("$DIR:/h"))), start("plain"))},
	{class: 11, name: "the folder of the socket", ask: create(reaches("/s/docker.sock", binds("$SOCKDIR:/s"))), power: prints("a socket"), want: "engine-socket-mounted",
		twin: create(cat("/s/secret", binds("$DIR:/s")))},
	{class: 11, name: "another name of the socket", before: beside(onHost(func(g *ground) error { return os.Link(g.engine.Socket(), filepath.Join(g.dir, "s")) })), ask: create(reaches("/s", binds("$DIR/s:/s"))),
		power: prints("a socket"), want: "engine-socket-mounted", twin: create(cat("/s", binds("$DIR/secret:/s")))},
	{class: 11, name: "a folder with another name of the socket", before: beside(ok, onHost(func(g *ground) error { return os.Link(g.engine.Socket(), filepath.Join(g.dir, "ok", "s")) })),
		ask: create(reaches("/s/ok/s", binds("$DIR:/s"))), power: prints("a socket"), want: "engine-socket-mounted", twin: create(cat("/s", binds("$DIR/secret:/s")))},
	{class: 11, name: "the root of a process", ask: create(cat("/h$DIR/secret", binds("/proc/self/root:/h:ro"))), power: prints("$SECRET"), want: "host-root-mounted", twin: create(cat("/h/secret", binds("$DIR:/h:ro")))},
	{class: 11, name: "the root of a thread, by a link", before: beside(link("l", "/proc/thread-self/root")), ask: create(cat("/h$DIR/secret", binds("$DIR/l:/h:ro"))), power: prints("$SECRET"), want: "host-root-mounted",
		twin: then(ok, link("l", "ok"), create(cat("/h/secret", binds("$DIR/l:/h:ro"))))},
}

// untilReady waits until a container has said something.
func untilReady(name string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		for range 100 {
			if a := get("/containers/"+name+"/logs?stdout=1&stderr=1")(g, g.engine.Socket()); len(a.body) > 0 {
				return a
			}
			pause()
		}
		g.Fatalf("%s says nothing", name)
		return nil
	}
}

// meanwhile makes a request, and does something else before it is answered.
func meanwhile(ask, other asking) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		answered := make(chan *answer, 1)
		go func() { answered <- ask(g, at) }()
		pause()
		if a := other(g, at); a.status != http.StatusOK {
			g.Fatalf("meanwhile: %s", a)
		}
		return <-answered
	}
}
