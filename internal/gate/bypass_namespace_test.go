package gate

// processes prints what the engine's process is called, where that is in sight.
const processes = `"Cmd":["cat","/proc/$ENGINE/comm"]`

// links prints the network devices that there are.
const links = `"Cmd":["ls","/sys/class/net"]`

// lent is a running container with what another could join.
func lent(host string) func(*ground) {
	return beside(container("bad", `{"Image":"web:1","HostConfig":{`+host+`}}`), start("bad"))
}

// joinPlain joins a harmless one.
func joinPlain(host string) asking {
	return then(named("plain", plain), start("plain"), create(`{"Image":"web:1","HostConfig":{`+host+`}}`))
}

var namespaceBypasses = []hostile{
	{class: 12, name: "processes of the host", ask: create(`{"Image":"web:1",` + processes + `,"HostConfig":{"PidMode":"host"}}`), power: prints("dockerd"), want: "pid-namespace-host", twin: create(plain)},
	{class: 12, name: "network of the host", ask: create(`{"Image":"web:1",` + links + `,"HostConfig":{"NetworkMode":"host"}}`), power: prints("docker0"), want: "network-namespace-host",
		twin: create(`{"Image":"web:1",` + links + `,"HostConfig":{"NetworkMode":"none"}}`)},
	{class: 12, name: "memory of the host", ask: create(`{"Image":"web:1","HostConfig":{"IpcMode":"host"}}`), power: has("HostConfig.IpcMode", "host"), want: "ipc-namespace-host",
		twin: create(`{"Image":"web:1","HostConfig":{"IpcMode":"private"}}`)},
	{class: 12, name: "processes by another", before: lent(`"PidMode":"host"`), ask: create(`{"Image":"web:1",` + processes + `,"HostConfig":{"PidMode":"container:bad"}}`), power: prints("dockerd"),
		want: "pid-namespace-host", twin: joinPlain(`"PidMode":"container:plain"`)},
	{class: 12, name: "network by another", before: lent(`"NetworkMode":"host"`), ask: create(`{"Image":"web:1",` + links + `,"HostConfig":{"NetworkMode":"container:$BAD"}}`), power: prints("docker0"),
		want: "network-namespace-host", twin: joinPlain(`"NetworkMode":"container:plain"`)},
	{class: 12, name: "memory by another", before: lent(`"IpcMode":"host"`), ask: create(`{"Image":"web:1","HostConfig":{"IpcMode":"container:bad"}}`), power: has("HostConfig.IpcMode", "container:"),
		want: "ipc-namespace-host", twin: then(named("plain", `{"Image":"web:1","HostConfig":{"IpcMode":"shareable"}}`), start("plain"), create(`{"Image":"web:1","HostConfig":{"IpcMode":"container:plain"}}`))},
	{class: 12, name: "network by another's other", before: beside(container("bad", `{"Image":"web:1","HostConfig":{"NetworkMode":"host"}}`), start("bad"),
		container("between", `{"Image":"web:1","HostConfig":{"NetworkMode":"container:bad"}}`), start("between")), ask: create(`{"Image":"web:1",` + links + `,"HostConfig":{"NetworkMode":"container:between"}}`),
		power: prints("docker0"), want: "network-namespace-host", twin: joinPlain(`"NetworkMode":"container:plain"`)},
	{class: 12, name: "network of the host at a start, by another", before: beside(container("bad", `{"Image":"web:1","HostConfig":{"NetworkMode":"host"}}`), start("bad"),
		container("joins", `{"Image":"web:1","HostConfig":{"NetworkMode":"container:bad"}}`)), ask: start("joins"), power: answered(204), want: "network-namespace-host",
		twin: then(named("plain", plain), start("plain"))},
	{class: 12, name: "name of the host", policy: "enforce: {also: [uts-namespace-host]}", ask: create(`{"Image":"web:1","HostConfig":{"UTSMode":"host"}}`), power: has("HostConfig.UTSMode", "host"), want: "uts-namespace-host",
		twin: create(`{"Image":"web:1","Hostname":"mine"}`)},
	{class: 12, name: "users of the host", policy: "enforce: {also: [user-namespace-host]}", ask: create(`{"Image":"web:1","HostConfig":{"UsernsMode":"host"}}`), power: has("HostConfig.UsernsMode", "host"),
		want: "user-namespace-host", twin: create(`{"Image":"web:1","HostConfig":{"UsernsMode":""}}`)},
	{class: 12, name: "control groups of the host", policy: "enforce: {also: [cgroup-namespace-host]}", ask: create(`{"Image":"web:1","HostConfig":{"CgroupnsMode":"host"}}`), power: has("HostConfig.CgroupnsMode", "host"),
		want: "cgroup-namespace-host", twin: create(`{"Image":"web:1","HostConfig":{"CgroupnsMode":"private"}}`)},
	{class: 12, name: "another control group", policy: "enforce: {also: [cgroup-parent-chosen]}", ask: create(`{"Image":"web:1","HostConfig":{"CgroupParent":"/"}}`), power: has("HostConfig.CgroupParent", "/"),
		want: "cgroup-parent-chosen", twin: create(`{"Image":"web:1","HostConfig":{"CgroupParent":""}}`)},
}
