package gate

import "time"

// running makes a plain container beside the gate that runs.
func running(more string) func(*ground) {
	return beside(container("calm", `{"Image":"plain:1"`+more+`}`), start("calm"))
}

// execute makes a session and runs it.
func execute(name, body string) asking {
	return then(execIn(name, body), upgraded("POST", "/v1.41/exec/$EXEC/start", "tcp", `{}`, nil))
}

const (
	status    = `"AttachStdout":true,"Cmd":["grep","CapEff","/proc/self/status"]`
	whoami    = `"AttachStdout":true,"Cmd":["id","-u"]`
	limited   = `,"HostConfig":{"Memory":16777216,"MemorySwap":16777216,"PidsLimit":100,"NanoCpus":500000000}`
	needLimit = "enforce: {also: [memory-unlimited, pids-unlimited, cpu-unlimited, swap-unlimited, restart-without-end]}"
)

var execBypasses = []hostile{
	{class: 16, name: "privileged", before: running(""), ask: execute("calm", `{"Privileged":true,"User":"0",`+status+`}`), power: allCapabilities, want: "exec-privileged", twin: execute("calm", `{"Privileged":false,`+status+`}`)},
	{class: 16, name: "privileged, by the beginning of the id", before: func(g *ground) { running("")(g); g.vars["BEGINNING"] = g.vars["CALM"][:6] }, ask: execute("$BEGINNING", `{"Privileged":true,"User":"root",`+status+`}`),
		power: allCapabilities, want: "exec-privileged", twin: execute("$BEGINNING", `{`+status+`}`)},
	{class: 16, name: "privileged, in another case", before: running(""), ask: execute("calm", `{"privileged":true,"User":"0",`+status+`}`), power: allCapabilities, want: "another spelling of Privileged", twin: execute("calm", `{`+status+`}`)},
	{class: 16, name: "root", policy: "enforce: {also: [exec-as-root]}", before: running(""), ask: execute("calm", `{"User":"00:1000",`+whoami+`}`), power: said("0\n"), want: "exec-as-root", twin: execute("calm", `{"User":"1000",`+whoami+`}`)},
	{class: 16, name: "root by another name", policy: "enforce: {also: [exec-as-root]}", before: func(g *ground) { running("")(g); beside(putPasswd("calm", "app:x:0:0::/:/bin/sh"))(g) }, ask: execute("calm", `{"User":"app",`+whoami+`}`),
		power: said("0\n"), want: "exec-as-root", twin: execute("calm", `{"User":"7",`+whoami+`}`)},
	{class: 16, name: "in what has the host", before: beside(container("bad", `{"Image":"web:1"`+binds("/:/h")+`}`), start("bad")), ask: execute("bad", `{"AttachStdout":true,"Cmd":["cat","/h$DIR/secret"]}`), power: readsSecret,
		want: "host-root-mounted", twin: then(named("plain", plain), start("plain"), execute("plain", `{"AttachStdout":true,"Cmd":["id"]}`))},
	{class: 16, name: "session of root that was made beside", policy: "enforce: {also: [exec-as-root]}", before: func(g *ground) { running("")(g); beside(execIn("calm", `{"User":"0",`+whoami+`}`))(g) },
		ask: upgraded("POST", "/v1.41/exec/$EXEC/start", "tcp", `{}`, nil), power: said("0\n"), want: "exec-as-root", twin: execute("calm", `{`+whoami+`}`)},

	{class: 17, name: "no limit of processes", policy: needLimit, before: running(limited), ask: post("/containers/calm/update", `{"PidsLimit":-1}`), power: moreProcesses, want: "pids-unlimited",
		twin: post("/containers/calm/update", `{"PidsLimit":50}`)},
	{class: 17, name: "no limit of processes, as 0", policy: needLimit, before: running(limited), ask: post("/containers/calm/update", `{"PidsLimit":0}`), power: moreProcesses, want: "pids-unlimited",
		twin: post("/containers/calm/update", `{"PidsLimit":null}`)},
	{class: 17, name: "no limit of swap", policy: needLimit, before: running(limited), ask: post("/containers/calm/update", `{"MemorySwap":-1}`), power: is("calm", "HostConfig.MemorySwap", "-1"), want: "swap-unlimited",
		twin: post("/containers/calm/update", `{"Memory":8388608,"MemorySwap":8388608}`)},
	{class: 17, name: "restarts without end", policy: needLimit, before: running(limited), ask: post("/containers/calm/update", `{"RestartPolicy":{"Name":"always"}}`), power: is("calm", "HostConfig.RestartPolicy", "always"), want: "restart-without-end",
		twin: post("/containers/calm/update", `{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}`)},
	{class: 17, name: "no limit of time", policy: needLimit, before: running(`,"HostConfig":{"Memory":16777216,"MemorySwap":16777216,"PidsLimit":100,"CpuQuota":50000,"CpuPeriod":100000}`), ask: post("/containers/calm/update", `{"CpuQuota":-1}`),
		power: is("calm", "HostConfig.CpuQuota", "-1"), want: "cpu-unlimited", twin: post("/containers/calm/update", `{"CpuQuota":20000}`)},
	{class: 17, name: "of what has the host", before: beside(container("bad", `{"Image":"web:1"`+binds("/:/h")+`}`)), ask: post("/containers/bad/update", `{"RestartPolicy":{"Name":"always"}}`), power: is("bad", "HostConfig.RestartPolicy", "always"),
		want: "host-root-mounted", twin: then(named("plain", plain), post("/containers/plain/update", `{"RestartPolicy":{"Name":"always"}}`))},
	{class: 17, name: "devices", before: running(""), ask: post("/containers/calm/update", `{"DeviceCgroupRules":["a *:* rwm"]}`), beyond: "this engine leaves devices as they are", want: "device-rule-wide", twin: post("/containers/calm/update", `{"DeviceCgroupRules":[]}`)},
}

// moreProcesses is that there may be more than there might be at first.
func moreProcesses(g *ground, _ *answer) bool {
	return g.described("calm", "HostConfig.PidsLimit") != "100"
}

// soon waits a while for what an engine may come to know only after its answer.
func soon(power func(*ground, *answer) bool) func(*ground, *answer) bool {
	return func(g *ground, a *answer) bool {
		for range 40 {
			if power(g, a) {
				return true
			}
			time.Sleep(25 * time.Millisecond)
		}
		return false
	}
}

// is looks for a value in the engine's description of a container.
func is(name, path, value string) func(*ground, *answer) bool {
	return func(g *ground, _ *answer) bool { return contains(g.described(name, path), value) }
}
