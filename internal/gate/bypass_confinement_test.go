package gate

import (
	"net/http"
	"strings"
)

// option is a HostConfig with a security option; a text in JSON.
func option(o string) string { return `,"HostConfig":{"SecurityOpt":["` + o + `"]}` }

const (
	// filters prints whether a filter of system calls applies, and unshares what the
	// engine's own filter does not let it make.
	filters  = `{"Image":"web:1","Cmd":["grep","Seccomp:","/proc/self/status"]`
	unshares = `{"Image":"web:1","Cmd":["unshare","-U","echo","made"]`
	// ordinaryFilter is one that a container could have been recorded with.
	ordinaryFilter = `{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\",\"write\",\"exit_group\"],\"action\":\"SCMP_ACT_ALLOW\"},` +
		`{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":2114060288,\"op\":\"SCMP_CMP_MASKED_EQ\"}]},` +
		`{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}}]}`
)

var confinementBypasses = []hostile{
	{class: 13, name: "no filter", ask: create(filters + option("seccomp=unconfined") + `}`), power: prints("Seccomp:\t0"), want: "seccomp-unconfined", twin: create(filters + `}`)},
	{class: 13, name: "no filter, with a colon", ask: create(filters + option("seccomp:unconfined") + `}`), power: prints("Seccomp:\t0"), want: "seccomp-unconfined", twin: create(filters + option("no-new-privileges:true") + `}`)},
	{class: 13, name: "a filter that lets all through", ask: create(unshares + option(`seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}`) + `}`), power: prints("made"), want: "lets through what it does not name",
		twin: create(unshares + option("seccomp="+ordinaryFilter) + `}`)},
	{class: 13, name: "a filter that logs all", ask: create(unshares + option(`seccomp:{\"defaultAction\":\"SCMP_ACT_LOG\"}`) + `}`), power: prints("made"), want: "lets through what it does not name",
		twin: create(unshares + option("seccomp:"+ordinaryFilter) + `}`)},
	{class: 13, name: "a filter that says it twice", ask: create(unshares + option(`seccomp={\"defaultAction\":\"SCMP_ACT_ERRNO\",\"DefaultAction\":\"SCMP_ACT_ALLOW\"}`) + `}`), power: prints("made"), want: "DefaultAction",
		twin: create(unshares + option("seccomp="+ordinaryFilter) + `}`)},
	{class: 13, name: "a filter with holes", ask: create(unshares + option(`seccomp={\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"`+allCalls+`\",\"unshare\"],\"action\":\"SCMP_ACT_ALLOW\"}]}`) + `}`), power: prints("made"),
		want: `unshare`, twin: create(unshares + option("seccomp="+ordinaryFilter) + `}`)},
	{class: 13, name: "a filter with a hole for one", ask: create(unshares + option(`seccomp={\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"`+allCalls+`\"],\"action\":\"SCMP_ACT_ALLOW\"},{\"name\":\"unshare\",\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":268435456,\"op\":\"SCMP_CMP_EQ\"}]}]}`) + `}`),
		power: prints("made"), want: `unshare`, twin: create(unshares + option("seccomp="+ordinaryFilter) + `}`)},
	{class: 13, name: "no profile", ask: create(`{"Image":"web:1"` + option("apparmor=unconfined") + `}`), power: has("HostConfig.SecurityOpt", "apparmor"), want: "apparmor-unconfined",
		twin: create(`{"Image":"web:1"` + option("apparmor=docker-default") + `}`)},
	{class: 13, name: "no profile, with a colon", ask: create(`{"Image":"web:1"` + option("apparmor:unconfined") + `}`), power: has("HostConfig.SecurityOpt", "apparmor"), want: "apparmor-unconfined",
		twin: create(`{"Image":"web:1"` + option("apparmor:docker-default") + `}`)},
	{class: 13, name: "no masks", ask: create(`{"Image":"web:1","Cmd":["sh","-c","echo x > /proc/sys/kernel/domainname && echo made"],"HostConfig":{"MaskedPaths":[],"ReadonlyPaths":[]}}`), power: has("HostConfig.MaskedPaths", "[]"),
		want: "system-paths-open", twin: create(`{"Image":"web:1","HostConfig":{"MaskedPaths":null,"ReadonlyPaths":null}}`)},
	{class: 13, name: "one mask", ask: create(`{"Image":"web:1","HostConfig":{"MaskedPaths":["/proc/kcore"]}}`), power: has("HostConfig.MaskedPaths", `["/proc/kcore"]`), want: "system-paths-open", twin: create(plain)},
	{class: 13, name: "nothing locked", ask: create(`{"Image":"web:1","Cmd":["sh","-c","grep ' /proc/sys ' /proc/mounts || echo nothing"],"HostConfig":{"ReadonlyPaths":[]}}`), power: prints("nothing"), want: "system-paths-open",
		twin: create(`{"Image":"web:1","HostConfig":{"ReadonlyRootfs":true}}`)},
	{class: 13, name: "no labels", ask: create(`{"Image":"web:1"` + option("label:disable") + `}`), power: has("HostConfig.SecurityOpt", "label:disable"), want: "the SELinux label", twin: create(plain)},
	{class: 13, name: "the label of no confinement", ask: create(`{"Image":"web:1"` + option("label=type:spc_t") + `}`), power: has("HostConfig.SecurityOpt", "label=type:spc_t"), want: "the SELinux label", twin: create(plain)},
	{class: 13, name: "no labels, by the rule", policy: "allow: [{classes: [labels]}]\nenforce: {also: [selinux-disabled]}", ask: create(`{"Image":"web:1"` + option("label=disable") + `}`), power: has("HostConfig.SecurityOpt", "label=disable"), want: "selinux-disabled",
		twin: create(`{"Image":"web:1"` + option("label=level:s0") + `}`)},
	{class: 13, name: "new privileges", policy: "enforce: {also: [no-new-privileges-missing]}", ask: create(`{"Image":"web:1","HostConfig":{"SecurityOpt":["no-new-privileges:true","no-new-privileges=false"]}}`),
		power: has("HostConfig.SecurityOpt", "no-new-privileges=false"), want: "no-new-privileges-missing", twin: create(`{"Image":"web:1"` + option("no-new-privileges") + `}`)},
	{class: 13, name: "a capability in small letters", ask: create(`{"Image":"web:1","Cmd":["grep","CapEff","/proc/self/status"],"HostConfig":{"CapAdd":["sys_admin"]}}`), power: printsCapability, want: "capability-controls-host",
		twin: create(`{"Image":"web:1","HostConfig":{"CapAdd":["net_bind_service"]}}`)},
	{class: 13, name: "all capabilities but one", ask: create(`{"Image":"web:1","Cmd":["grep","CapEff","/proc/self/status"],"HostConfig":{"CapAdd":["ALL"],"CapDrop":["CAP_SYS_MODULE"]}}`), power: printsCapability, want: "capability-controls-host",
		twin: create(`{"Image":"web:1","HostConfig":{"CapAdd":["CAP_CHOWN"],"CapDrop":["ALL"]}}`)},
	{class: 13, name: "a set of capabilities and one more", ask: call(http.MethodPost, "/containers/create", `{"Image":"web:1","Cmd":["grep","CapEff","/proc/self/status"],"HostConfig":{"Capabilities":[],"CapAdd":["SYS_ADMIN"]}}`),
		power: printsCapability, want: "capability-controls-host", twin: call(http.MethodPost, "/containers/create", `{"Image":"web:1","HostConfig":{"Capabilities":[],"CapAdd":["CHOWN"]}}`)},
	{class: 13, name: "writable control groups", ask: call(http.MethodPost, "/containers/create", `{"Image":"web:1"`+option("writable-cgroups=true")+`}`), beyond: "it came with Docker 28", want: "security-opt", twin: create(plain)},
}

// printsCapability is that the container has the right to administer the host.
func printsCapability(g *ground, a *answer) bool {
	g.Helper()
	id := a.id()
	return id != "" && allCapabilities(g, &answer{status: http.StatusOK, body: []byte(g.output(id))})
}

// allCalls are those that the engine's own filter lets through to all, as text in JSON in
// JSON.
var allCalls = strings.Join(strings.Fields(ordinaryNames), `\",\"`)
