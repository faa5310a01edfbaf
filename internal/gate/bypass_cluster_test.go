package gate

import (
	"archive/tar"
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// pluginOf is the archive of a plugin that is root of the host, and plants a file there.
func pluginOf(g *ground) []byte {
	g.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		err := w.WriteHeader(&h)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			g.Fatal(err)
		}
	}
	put(tar.Header{Name: "config.json", Mode: 0o644}, []byte(g.fill(`{"entrypoint":["/bin/busybox","touch","/h$DIR/planted"],"interface":{"types":["docker.dummy/1.0"],"socket":"x.sock"},
		"network":{"type":"host"},"linux":{"capabilities":["CAP_SYS_ADMIN"],"allowAllDevices":true},"env":[{"name":"MODE","value":"a","settable":["value"]}],
		"mounts":[{"name":"h","source":"/","destination":"/h","type":"bind","options":["rbind"]}]}`)))
	put(tar.Header{Name: "rootfs/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	// The root file system is that of the ordinary image.
	beside(container("files", plain))(g)
	from := tar.NewReader(bytes.NewReader(get("/containers/files/export")(g, g.engine.Socket()).body))
	for {
		head, err := from.Next()
		if err != nil {
			break
		}
		content, err := io.ReadAll(from)
		if err != nil {
			g.Fatal(err)
		}
		if head.Name == "bin/busybox" || head.Name == "bin/" {
			head.Name = "rootfs/" + head.Name
			put(*head, content)
		}
	}
	call(http.MethodDelete, "/v1.41/containers/files", "")(g, g.engine.Socket())
	if err := w.Close(); err != nil {
		g.Fatal(err)
	}
	return b.Bytes()
}

// makePlugin makes it.
var makePlugin = withTar(http.MethodPost, "/v1.41/plugins/create?name=mine:1", pluginOf)

// hasPlugin is that there is one.
func hasPlugin(g *ground, _ *answer) bool {
	return said("mine:1")(g, get("/plugins")(g, g.engine.Socket()))
}

const swarmInit = `{"ListenAddr":"127.0.0.1:2377","AdvertiseAddr":"127.0.0.1"}`

// inSwarm makes the engine a manager, and leaves it one.
func inSwarm(g *ground) {
	g.Helper()
	g.keepSwarm = true
	if get("/swarm")(g, g.engine.Socket()).status != http.StatusOK {
		beside(post("/swarm/init", swarmInit))(g)
	}
}

// inCluster looks for a text in a list of the cluster's.
func inCluster(kind, text string) func(*ground, *answer) bool {
	return func(g *ground, _ *answer) bool { return said(text)(g, get("/"+kind)(g, g.engine.Socket())) }
}

// service is one with the host's files.
func service(more string) string {
	return `{"Name":"mine","Mode":{"Replicated":{"Replicas":0}},"TaskTemplate":{"ContainerSpec":{"Image":"web:1"` + more + `}}}`
}

const hostMount = `,"Mounts":[{"Type":"bind","Source":"/","Target":"/h"}],"CapabilityAdd":["CAP_SYS_ADMIN"]`

var clusterBypasses = []hostile{
	{class: 22, name: "made", ask: makePlugin, power: hasPlugin, want: "class plugins", twin: get("/plugins")},
	{class: 22, name: "enabled", before: beside(makePlugin), ask: post("/plugins/mine:1/enable?timeout=1", ""), power: wrote("planted"), want: "class plugins", twin: get("/plugins/mine:1/json")},
	{class: 22, name: "set", before: beside(makePlugin), ask: post("/plugins/mine:1/set", `["MODE=b"]`), power: func(g *ground, _ *answer) bool {
		return said("MODE=b")(g, get("/plugins/mine:1/json")(g, g.engine.Socket()))
	},
		want: "class plugins", twin: get("/plugins/mine:1/json")},
	{class: 22, name: "removed", before: beside(makePlugin), ask: call("DELETE", "/v1.41/plugins/mine:1", ""), power: func(g *ground, a *answer) bool { return !hasPlugin(g, a) }, want: "class plugins", twin: get("/plugins")},
	{class: 22, name: "pulled", ask: post("/plugins/pull?remote=$WEB/plug/in:1&name=theirs", `[]`), power: hears("/v2/plug/in/manifests/1"), want: "class plugins", twin: get("/plugins")},

	{class: 23, name: "begun", ask: post("/swarm/init", swarmInit), power: func(g *ground, _ *answer) bool { return get("/swarm")(g, g.engine.Socket()).status == http.StatusOK }, want: "class swarm", twin: get("/info")},
	{class: 23, name: "a service with the host", before: inSwarm, ask: post("/services/create", service(hostMount)), power: inCluster("services", `"Source":"/"`), want: "class services", twin: create(plain)},
	{class: 23, name: "a service, changed", before: func(g *ground) {
		inSwarm(g)
		beside(post("/services/create", service("")))(g)
		var list []struct {
			ID      string
			Version struct{ Index int }
		}
		g.look("/services", &list)
		g.vars["SERVICE"], g.vars["INDEX"] = list[0].ID, strconv.Itoa(list[0].Version.Index)
	}, ask: post("/services/$SERVICE/update?version=$INDEX", service(hostMount)), power: inCluster("services", `"Source":"/"`), want: "class services", twin: get("/services/$SERVICE")},
	{class: 23, name: "a secret", before: inSwarm, ask: post("/secrets/create", `{"Name":"mine","Data":"eA=="}`), power: inCluster("secrets", `"mine"`), want: "class secrets", twin: get("/secrets")},
	{class: 23, name: "a config that is filled in", before: inSwarm, ask: post("/configs/create", `{"Name":"mine","Data":"eA==","Templating":{"Name":"golang"}}`), power: inCluster("configs", `"mine"`), want: "class configs", twin: get("/configs")},
	{class: 23, name: "tokens", before: inSwarm, policy: "reads: {refuse: [tokens]}", ask: get("/swarm"), power: said("SWMTKN"), want: "lets nobody read tokens", twin: get("/nodes")},
	{class: 23, name: "what was given up", before: inSwarm, ask: post("/swarm/leave?force=1", ""), power: func(g *ground, _ *answer) bool { return get("/swarm")(g, g.engine.Socket()).status != http.StatusOK }, want: "class swarm", twin: get("/nodes")},
}
