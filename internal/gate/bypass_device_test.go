package gate

import (
	"strings"
)

// device is a HostConfig with a device.
func device(path string) string {
	return `,"HostConfig":{"Devices":[{"PathOnHost":"` + path + `","PathInContainer":"/dev/mine","CgroupPermissions":"rwm"}]}`
}

// deviceRule is a HostConfig with a rule about devices.
func deviceRule(text string) string { return `,"HostConfig":{"DeviceCgroupRules":["` + text + `"]}` }

// logsTo is a container with a log driver; its container says the secret.
func logsTo(driver, options string) string {
	return `{"Image":"web:1","Cmd":["echo","the secret of $DIR"],"HostConfig":{"LogConfig":{"Type":"` + driver + `","Config":{` + options + `}}}}`
}

const (
	readsDevice = `{"Image":"web:1","Cmd":["sh","-c","head -c 3000000 /dev/mine | strings | grep secret-"]`
	makesDevice = `{"Image":"web:1","Cmd":["sh","-c","mknod /dev/mine b $MAJOR $MINOR && head -c 3000000 /dev/mine | strings | grep secret-"]`
	userRoot    = "enforce: {also: [user-root]}"
)

// diskNumbers makes a disk; $MAJOR and $MINOR are its device's.
func diskNumbers(g *ground) {
	disk(g)
	numbers := strings.Fields(g.command("stat", "-c", "%Hr %Lr", g.vars["DISK"]))
	g.vars["MAJOR"], g.vars["MINOR"] = numbers[0], numbers[1]
}

// runsAs is a container that says who it is.
func runsAs(user string) asking {
	return create(`{"Image":"plain:1","Cmd":["id","-u"],"User":"` + user + `"}`)
}

// ran is that the container that was made ran, and said this first.
func ran(line string) func(*ground, *answer) bool {
	return func(g *ground, a *answer) bool {
		g.Helper()
		id := a.id()
		// Behind 8 bytes of the stream's own (docs of POST /containers/{id}/attach).
		return id != "" && strings.HasPrefix(g.output(id)+strings.Repeat(" ", 8), "\x01\x00\x00\x00\x00\x00\x00"+string(rune(len(line)))+line)
	}
}

// sends is that the container that was made ran, and its log was heard outside.
func sends(g *ground, a *answer) bool {
	g.Helper()
	if id := a.id(); id != "" {
		g.output(id)
	}
	return hears("the secret of $DIR")(g, a)
}

var deviceBypasses = []hostile{
	{class: 14, name: "a disk", before: disk, ask: create(readsDevice + device("$DISK") + `}`), power: prints("$SECRET"), want: "device-controls-host", twin: create(`{"Image":"web:1"` + device("/dev/null") + `}`)},
	{class: 14, name: "a disk by a link", before: func(g *ground) { disk(g); link("d", "$DISK")(g, "") }, ask: create(readsDevice + device("$DIR/d") + `}`), power: prints("$SECRET"), want: "device-controls-host",
		twin: then(link("d", "/dev/zero"), create(`{"Image":"web:1"`+device("$DIR/d")+`}`))},
	{class: 14, name: "all devices", ask: create(`{"Image":"web:1","Cmd":["sh","-c","ls /dev/mine"]` + device("/dev") + `}`), power: prints("kmsg"), want: "device-controls-host", twin: create(`{"Image":"web:1"` + device("/dev/zero") + `}`)},
	{class: 14, name: "a rule for disks", before: diskNumbers, ask: create(makesDevice + deviceRule("b *:* rwm") + `}`), power: prints("$SECRET"), want: "device-rule-wide", twin: create(`{"Image":"web:1"` + deviceRule("c 10:200 rw") + `}`)},
	{class: 14, name: "a rule for a disk", before: diskNumbers, ask: create(makesDevice + deviceRule("b $MAJOR:$MINOR r") + `}`), power: prints("$SECRET"), want: "device-rule-wide", twin: create(`{"Image":"web:1"` + deviceRule("b $MAJOR:$MINOR m") + `}`)},
	{class: 14, name: "a rule for all", before: diskNumbers, ask: create(makesDevice + deviceRule("a *:* rwm") + `}`), power: prints("$SECRET"), want: "device-rule-wide", twin: create(`{"Image":"web:1"` + deviceRule("c 1:3 rwm") + `}`)},
	{class: 14, name: "a group of the host", policy: "enforce: {also: [group-privileged]}", ask: create(`{"Image":"plain:1","Cmd":["id","-G"],"HostConfig":{"GroupAdd":["0"]}}`), power: prints("1000 0"), want: "group-privileged",
		twin: create(`{"Image":"plain:1","HostConfig":{"GroupAdd":["1001"]}}`)},
	{class: 14, name: "a group of the host by another number", policy: "enforce: {also: [group-privileged]}", ask: create(`{"Image":"plain:1","Cmd":["id","-G"],"HostConfig":{"GroupAdd":["00"]}}`), power: prints("1000 0"),
		want: "group-privileged", twin: create(`{"Image":"plain:1","HostConfig":{"GroupAdd":["01001"]}}`)},
	{class: 14, name: "root as 00", policy: userRoot, ask: runsAs("00"), power: ran("0\n"), want: "user-root", twin: runsAs("01000")},
	{class: 14, name: "root as 0000:0", policy: userRoot, ask: runsAs("0000:0"), power: ran("0\n"), want: "user-root", twin: runsAs("1000:0000")},
	{class: 14, name: "root as +0", policy: userRoot, ask: runsAs("+0"), power: ran("0\n"), want: "user-root", twin: runsAs("+1000")},
	{class: 14, name: "root by name", policy: userRoot, ask: runsAs("root:nogroup"), power: ran("0\n"), want: "user-root", twin: runsAs("nobody:nogroup")},
	{class: 14, name: "root by nothing", policy: userRoot, ask: create(`{"Image":"web:1","Cmd":["id","-u"],"User":""}`), power: ran("0\n"), want: "user-root", twin: runsAs("")},
	{class: 14, name: "root by another name", policy: userRoot, before: beside(container("named", `{"Image":"plain:1","Cmd":["id","-u"],"User":"app"}`), putPasswd("named", "app:x:0:0::/:/bin/sh")), ask: start("named"), power: ranAs("named", "0"),
		want: "user-root", twin: then(named("other", `{"Image":"plain:1","User":"app"}`), putPasswd("other", "app:x:7:7::/:/bin/sh"), start("other"))},
	{class: 14, name: "root by a name without a number", policy: userRoot, before: beside(container("named", `{"Image":"plain:1","Cmd":["id","-u"],"User":"app"}`), putPasswd("named", "app:x:none")), ask: start("named"), power: ranAs("named", "0"),
		want: "user-root", twin: then(named("other", `{"Image":"plain:1","User":"app"}`), putPasswd("other", "app:x:1000"), start("other"))},

	// What the engine says to whom.
	{class: 14, name: "log to an address", ask: create(logsTo("syslog", `"syslog-address":"tcp://$PORT"`)), power: sends, want: "syslog-address", twin: create(logsTo("json-file", `"max-size":"1m","max-file":"2"`))},
	{class: 14, name: "log to a socket of the host", before: hearHere("unix"), ask: create(logsTo("syslog", `"syslog-address":"unix://$DIR/log.sock"`)), power: sends, want: "syslog-address", twin: create(logsTo("syslog", `"tag":"x"`))},
	{class: 14, name: "log by messages", ask: create(logsTo("gelf", `"gelf-address":"tcp://$PORT","gelf-tcp-max-reconnect":"1"`)), power: sends, want: "gelf-address", twin: create(logsTo("local", `"max-size":"1m"`))},
	{class: 14, name: "log to a page", ask: create(logsTo("splunk", `"splunk-url":"http://$PORT","splunk-token":"x","splunk-verify-connection":"false"`)), power: func(g *ground, a *answer) bool {
		if id := a.id(); id != "" {
			g.output(id)
		}
		return hears("POST /services/collector")(g, a)
	}, want: "splunk", twin: create(logsTo("none", ``))},
	{class: 14, name: "log to where its driver thinks", ask: create(logsTo("fluentd", `"fluentd-async-connect":"true"`)), power: has("HostConfig.LogConfig", "fluentd"), want: "fluentd", twin: create(logsTo("", ``))},
	{class: 14, name: "a runtime", ask: create(`{"Image":"web:1","HostConfig":{"Runtime":"/bin/sh"}}`), beyond: "the engine takes only runtimes of its own settings", want: "untime", twin: create(`{"Image":"web:1","HostConfig":{"Runtime":"runc"}}`)},
	{class: 14, name: "a device driver", ask: create(`{"Image":"web:1","HostConfig":{"DeviceRequests":[{"Driver":"nvidia","Count":-1,"Capabilities":[["gpu"]]}]}}`), policy: "enforce: {also: [device-requested]}",
		beyond: "no device driver is there", want: "device-requested", twin: create(`{"Image":"web:1","HostConfig":{"DeviceRequests":[]}}`)},
	{class: 14, name: "settings of the kernel", ask: create(`{"Image":"web:1","HostConfig":{"Sysctls":{"kernel.core_pattern":"|/x"},"NetworkMode":"host"}}`), beyond: "runc sets none that is the host's", want: "network-namespace-host",
		twin: create(`{"Image":"web:1","HostConfig":{"Sysctls":{"net.ipv4.ip_unprivileged_port_start":"0"}}}`)},
}

// putPasswd gives a container another /etc/passwd.
func putPasswd(name, line string) asking {
	return withTar("PUT", "/v1.41/containers/"+name+"/archive?path=/", func(*ground) []byte { return archive("etc/passwd", line+"\n") })
}

// ranAs says whether a container's process was a user.
func ranAs(name, uid string) func(*ground, *answer) bool {
	return func(g *ground, a *answer) bool {
		g.Helper()
		if a.status >= 400 {
			return false
		}
		post("/containers/"+name+"/wait", "")(g, g.engine.Socket())
		out := get("/containers/"+name+"/logs?stdout=1&stderr=1")(g, g.engine.Socket()).text()
		// Each line is behind 8 bytes of the stream's own.
		return strings.Contains(out, "\x00"+string(rune(len(uid)+1))+uid+"\n")
	}
}
