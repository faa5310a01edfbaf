package gate

import "net/http"

const (
	noImages = "reads: {refuse: [images]}"
	noLogs   = "reads: {refuse: [logs]}"
)

// talker has said something, and goes on.
var talker = beside(container("talker", `{"Image":"web:1","Cmd":["sh","-c","echo the secret of $DIR; sleep 1000"]}`), start("talker"), untilReady("talker"))

var egressBypasses = []hostile{
	{class: 25, name: "push", policy: noImages, before: tagged("$WEB/elsewhere/app", "1"), ask: push("elsewhere/app", "1"), power: hears("PUT /v2/elsewhere/app/manifests/1"), want: "lets nobody read images", twin: get("/images/json")},
	{class: 25, name: "push to elsewhere", policy: fromTrusted, before: tagged("$WEB/elsewhere/app", "1"), ask: push("elsewhere/app", "1"), power: hears("PUT /v2/elsewhere/app/manifests/1"), want: "takes none from", twin: push("trusted/app", "1")},
	{class: 25, name: "save", policy: noImages, ask: get("/images/web:1/get"), power: said("manifest.json"), want: "lets nobody read images", twin: get("/images/web:1/json")},
	{class: 25, name: "save many", policy: noImages, ask: get("/images/get?names=web:1&names=plain:1"), power: said("manifest.json"), want: "lets nobody read images", twin: get("/images/web:1/history")},
	{class: 25, name: "logs", policy: noLogs, before: talker, ask: get("/containers/talker/logs?stdout=1"), power: said("the secret of $DIR"), want: "lets nobody read logs", twin: get("/containers/talker/json")},
	{class: 25, name: "logs by attaching", policy: noLogs, before: talker, ask: upgraded("POST", "/v1.41/containers/talker/attach?logs=1&stdout=1", "tcp", "", nil), power: said("the secret of $DIR"), want: "lets nobody read logs",
		twin: upgraded("POST", "/v1.41/containers/talker/attach?logs=0&stdout=1&stream=1", "tcp", "", nil)},
	{class: 25, name: "logs by attaching, by a GET", policy: noLogs, before: talker, ask: upgraded("GET", "/v1.41/containers/talker/attach/ws?logs=yes&stdout=1&stream=1", "websocket", "", nil, webSocket...), power: said("the secret of $DIR"), want: "lets nobody read logs",
		twin: upgraded("GET", "/v1.41/containers/talker/attach/ws?logs=false&stdout=1&stream=1", "websocket", "", nil, webSocket...)},
	{class: 25, name: "environment", policy: "reads: {refuse: [environment]}", before: beside(container("other", `{"Image":"web:1","Env":["KEY=of $DIR"]}`)), ask: get("/containers/other/json"), power: said("KEY=of $DIR"), want: "lets nobody read environment",
		twin: get("/containers/json?all=1")},
	{class: 25, name: "environment by a link", policy: "reads: {refuse: [environment]}", before: beside(container("other", `{"Image":"web:1","Env":["KEY=of $DIR"]}`), start("other")),
		ask: create(`{"Image":"web:1","Cmd":["env"],"HostConfig":{"Links":["other:o"]}}`), power: prints("KEY=of $DIR"), want: "lets nobody read environment", twin: create(`{"Image":"web:1","HostConfig":{"Links":[]}}`)},
	{class: 25, name: "what the engine is", ask: call(http.MethodGet, "/debug/pprof/cmdline", ""), power: said("dockerd"), want: "class debug", twin: call(http.MethodGet, "/version", "")},
}
