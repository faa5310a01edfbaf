package gate

// What two readers of one body understand in two ways.

var jsonBypasses = []hostile{
	{class: 5, name: "other case", ask: create(`{"Image":"web:1","hostconfig":{"Privileged":true}}`), power: isPrivileged, want: "another spelling of HostConfig", twin: create(plain)},
	{class: 5, name: "other case inside", ask: create(`{"Image":"web:1","HostConfig":{"PRIVILEGED":true}}`), power: isPrivileged, want: "another spelling of Privileged", twin: create(plain)},
	{class: 5, name: "folded letter", ask: create("{\"Image\":\"web:1\",\"HoſtConfig\":{\"Privileged\":true}}"), power: isPrivileged, want: "another spelling of HostConfig", twin: create(plain)},
	{class: 5, name: "folded sign", ask: create("{\"Image\":\"web:1\",\"HostConfig\":{\"NetworKMode\":\"host\"}}"), power: has("HostConfig.NetworkMode", `"host"`),
		want: "another spelling of NetworkMode", twin: create(`{"Image":"web:1","HostConfig":{"NetworkMode":"none"}}`)},
	{class: 5, name: "escaped key", ask: create(`{"Image":"web:1","\u0048ost\u0043onfig":{"Privile\u0067ed":true}}`), power: isPrivileged, want: "(privileged, critical)",
		twin: create(`{"Image":"web:1","\u0048ost\u0043onfig":{"Privile\u0067ed":false}}`)},
	{class: 5, name: "escaped value", ask: create(`{"Image":"web:1","Cmd":["cat","/h$DIR/secret"],"HostConfig":{"Binds":["\u002f:\u002fh"]}}`), power: prints("$SECRET"), want: "host-root-mounted",
		twin: create(`{"Image":"web:1","Cmd":["cat","/h/secret"],"HostConfig":{"Binds":["$DIR:\u002fh"]}}`)},
	{class: 5, name: "twice", ask: create(`{"Image":"web:1","HostConfig":{"Privileged":false},"HostConfig":{"Privileged":true}}`), power: isPrivileged, want: "twice", twin: create(plain)},
	{class: 5, name: "twice, the second merged", ask: create(`{"Image":"web:1","HostConfig":{"Privileged":true},"HostConfig":{"AutoRemove":false}}`), power: isPrivileged, want: "twice", twin: create(plain)},
	{class: 5, name: "twice inside", ask: create(`{"Image":"web:1","HostConfig":{"Privileged":false,"Privileged":true}}`), power: isPrivileged, want: "twice", twin: create(plain)},
	{class: 5, name: "null and again", ask: create(`{"Image":"web:1","HostConfig":null,"hostConfig":{"Privileged":true}}`), power: isPrivileged, want: "another spelling of HostConfig",
		twin: create(`{"Image":"web:1","HostConfig":null}`)},
	{class: 5, name: "second document", ask: create(privileged + plain), power: isPrivileged, want: "reading the body", twin: create(plain + "\n")},
	{class: 5, name: "forged owner", policy: "require: {owner: true}", ask: create(`{"Image":"web:1","Labels":{"plimsoll.owner":"ana"},"labels":{"plimsoll.owner":"eve"}}`), power: has("Config.Labels", `"eve"`),
		want: "another spelling of Labels", twin: create(`{"Image":"web:1","Labels":{"plimsoll.owner":"ana"}}`)},
	{class: 5, name: "string of a number", ask: post("/containers/create", `{"Image":"web:1","HostConfig":{"Privileged":true,"Memory":6291456.0}}`), beyond: "the engine refuses it", want: "Memory",
		twin: create(`{"Image":"web:1","HostConfig":{"Memory":6291456}}`)},

	// What old clients sent.
	{class: 6, name: "privileged beside", ask: create(`{"Image":"web:1","Privileged":true}`), power: isPrivileged, want: "put it into HostConfig", twin: create(`{"Image":"web:1","Privileged":false}`)},
	{class: 6, name: "binds beside", ask: create(`{"Image":"web:1","Cmd":["cat","/h$DIR/secret"],"Binds":["/:/h"]}`), power: prints("$SECRET"), want: "put it into HostConfig",
		twin: create(`{"Image":"web:1","Cmd":["cat","/h/secret"],"HostConfig":{"Binds":["$DIR:/h"]}}`)},
	{class: 6, name: "namespaces beside", ask: create(`{"Image":"web:1","PidMode":"host","NetworkMode":"host"}`), power: has("HostConfig.PidMode", "host"), want: "put it into HostConfig",
		twin: create(`{"Image":"web:1","HostConfig":{"NetworkMode":"none"}}`)},
	{class: 6, name: "capabilities beside", ask: create(`{"Image":"web:1","CapAdd":["SYS_ADMIN"]}`), power: has("HostConfig.CapAdd", "SYS_ADMIN"), want: "put it into HostConfig",
		twin: create(`{"Image":"web:1","HostConfig":{"CapAdd":["NET_BIND_SERVICE"]}}`)},
	{class: 6, name: "start with a body", before: beside(container("calm", `{"Image":"web:1","Cmd":["cat","/h$DIR/secret"]}`)),
		ask: call("POST", "/v1.23/containers/calm/start", `{"Binds":["/:/h"]}`), power: func(g *ground, _ *answer) bool {
			return has("HostConfig.Binds", "/:/h")(g, &answer{status: 200, body: []byte(`{"Id":"calm"}`)})
		},
		want: "too old", twin: then(named("plain", plain), start("plain"))},
	{class: 6, name: "start with a body, now", before: beside(container("calm", plain)), ask: post("/containers/calm/start", `{"Binds":["/:/h"]}`),
		beyond: "from API 1.24 on the engine refuses it", want: "takes no body", twin: then(named("plain", plain), post("/containers/plain/start", `{}`))},
	{class: 6, name: "copy", before: beside(container("bad", withHost)), ask: call("POST", "/v1.23/containers/bad/copy", `{"Resource":"/h$DIR/secret"}`), power: readsSecret, want: "too old",
		twin: then(named("plain", plain), get("/containers/plain/archive?path=/etc/passwd"))},
}
