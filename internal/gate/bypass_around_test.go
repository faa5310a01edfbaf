package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/trail"
)

const (
	// forRoot is the policy that lets root do what nobody else may.
	forRoot = "allow: [{classes: [volumes], users: [root]}]"
	// askEnv makes the test binary a process that asks at the socket that it names.
	askEnv = "PLIMSOLL_TEST_GATE_ASK"
)

func init() {
	if at := os.Getenv(askEnv); at != "" {
		if err := pass(at); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// pass sends standard input to a socket, and prints what is answered.
func pass(at string) error {
	c, err := net.Dial("unix", at)
	if err != nil {
		return err
	}
	defer c.Close()
	go func() { _, _ = io.Copy(c, os.Stdin) }()
	_, err = io.Copy(os.Stdout, c)
	return err
}

// as makes a request as a process of another kind, which may connect to the socket.
func as(attributes *syscall.SysProcAttr, path, body string, fields ...string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		for p, mode := range map[string]os.FileMode{at: 0o666, filepath.Dir(at): 0o755, filepath.Dir(filepath.Dir(at)): 0o755} {
			if err := os.Chmod(p, mode); err != nil {
				g.Fatal(err)
			}
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.SysProcAttr, cmd.Stdin = attributes, strings.NewReader(request("POST", path, g.fill(body), append(fields, "Connection: close")...))
		cmd.Env = []string{askEnv + "=" + at}
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			g.Fatalf("%v: %s", err, errs.Bytes())
		}
		a := &answer{body: out.Bytes()}
		if fields := strings.Fields(out.String()); len(fields) > 1 {
			if err := json.Unmarshal([]byte(fields[1]), &a.status); err != nil {
				g.Fatal(err)
			}
		}
		return a
	}
}

// user is what a process of an ordinary user is made with.
func user() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000, NoSetGroups: false}}
}

// rootOfOwn is root of a user namespace of its own, which any user may be.
func rootOfOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, Credential: &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true},
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}}}
}

// Asking for a volume that is the host.
const (
	volumes    = "/v1.41/volumes/create"
	hostVolume = `{"Name":"asked","DriverOpts":` + hostBound + `}`
)

// isVolume is that there is that volume.
func isVolume(g *ground, _ *answer) bool {
	return get("/volumes/asked")(g, g.engine.Socket()).status == 200
}

// inContainer asks from within a container that has the socket.
func inContainer(args ...string) asking {
	return func(g *ground, at string) *answer {
		g.Helper()
		dir := filepath.Dir(at)
		beside(container("inside", `{"Image":"web:1","HostConfig":{"Binds":["/usr:/usr:ro","/lib:/lib:ro","/lib64:/lib64:ro","`+dir+`:/gate"]}}`), start("inside"))(g)
		out, err := g.engine.Docker(append([]string{"exec", "inside", "/usr/bin/docker", "-H", "unix:///gate/" + filepath.Base(at)}, args...)...)
		if err != nil {
			post("/containers/inside/kill", "")(g, g.engine.Socket())
			call("DELETE", "/v1.41/containers/inside?force=1", "")(g, g.engine.Socket())
			return &answer{status: 403, body: []byte(err.Error())}
		}
		return &answer{status: 200, body: []byte(out)}
	}
}

// mute is a gate whose trail takes nothing more.
func mute(t *testing.T, g *ground) string {
	t.Helper()
	l, err := trail.Open(trail.Config{Dir: filepath.Join(t.TempDir(), "trail"), Name: "full", Now: time.Now})
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return standAs(t, g.engine, Enforce, "", func(c *Config) { c.Trail = l }).socket
}

// blind is a gate that cannot ask the engine.
func blind(t *testing.T, g *ground) string {
	t.Helper()
	return standAs(t, g.engine, Enforce, "", func(c *Config) { c.Around.Client = unanswered{c.Around.Client} }).socket
}

// unanswered asks for containers and exec sessions in vain.
type unanswered struct{ collect.Client }

func (unanswered) ContainerInspect(context.Context, string) (json.RawMessage, error) {
	return nil, errors.New("it says nothing")
}

func (unanswered) ExecInspect(context.Context, string) (json.RawMessage, error) {
	return nil, errors.New("it says nothing")
}

// sealed is a gate that knows where its own files are.
func sealed(t *testing.T, g *ground) string {
	t.Helper()
	return standAs(t, g.engine, Enforce, "", func(c *Config) { c.Own = []string{filepath.Join(g.base, "own")} }).socket
}

// ownFiles makes the folder that is the gate's own.
func ownFiles(g *ground) {
	g.Helper()
	g.vars["OWN"] = filepath.Join(g.base, "own")
	if err := os.MkdirAll(filepath.Join(g.base, "own"), 0o700); err != nil {
		g.Fatal(err)
	}
}

var aroundBypasses = []hostile{
	{class: 26, name: "the engine's socket", ask: create(reaches("/var/run/docker.sock", binds("$SOCK:/var/run/docker.sock:ro"))), power: prints("a socket"), want: "engine-socket-mounted", twin: create(plain)},
	{class: 26, name: "the runtime's socket", ask: create(reaches("/c/containerd.sock", binds("/run/containerd:/c"))), power: prints("a socket"), want: "runtime-socket-mounted", twin: create(cat("/c/secret", binds("$DIR:/c")))},
	{class: 26, name: "the engine by TCP, in its network", ask: create(`{"Image":"web:1","Cmd":["wget","-qO-","http://$TCP/info"],"HostConfig":{"NetworkMode":"host"}}`), power: prints("ServerVersion"), want: "network-namespace-host",
		twin: create(`{"Image":"web:1","Cmd":["wget","-qO-","http://$TCP/info"]}`)},
	{class: 26, name: "the engine by TCP, from a build", ask: build("networkmode=host", "FROM web:1\nRUN wget -qO- http://$TCP/info # $DIR\n"), power: said("ServerVersion"), want: "network-namespace-host", twin: build("networkmode=none", ordinary)},
	{class: 26, name: "the engine by TCP, from itself", ask: post("/images/create?fromSrc=http://$TCP/v1.41/images/plain:1/get&repo=again", ""), power: said("sha256:"), want: "an address that the client chooses",
		twin: withTar("POST", "/v1.41/images/create?fromSrc=-&repo=sent", func(*ground) []byte { return archive("etc/motd", "x") })},
	{class: 26, name: "the engine's memory", ask: call("GET", "/debug/pprof/heap?debug=1", ""), power: said("heap profile"), want: "class debug", twin: call("GET", "/info", "")},
	{class: 26, name: "the engine's counters", ask: call("GET", "/debug/vars", ""), power: said("memstats"), want: "class debug", twin: get("/system/df")},
	{class: 26, name: "the gate's own files", before: ownFiles, gate: sealed, ask: create(`{"Image":"web:1","Cmd":["touch","/own/planted"]` + binds("$OWN:/own") + `}`), power: func(g *ground, a *answer) bool {
		if id := a.id(); id != "" {
			g.output(id)
		}
		_, err := os.Stat(filepath.Join(g.base, "own", "planted"))
		return errors.Join(err, os.Remove(filepath.Join(g.base, "own", "planted"))) == nil
	}, want: "the gate's own files", twin: create(`{"Image":"web:1"` + binds("$DIR:/own") + `}`)},

	{class: 27, name: "started", before: beside(container("bad", privileged)), ask: start("bad"), power: is("bad", "State.Running", "true"), want: "(privileged, critical)", twin: then(named("plain", plain), start("plain"))},
	{class: 27, name: "started by the beginning of its id, without a version", before: func(g *ground) { beside(container("bad", privileged))(g); g.vars["BEGINNING"] = g.vars["BAD"][:8] },
		ask: call("POST", "/containers/$BEGINNING/start", ""), power: is("bad", "State.Running", "true"), want: "(privileged, critical)", twin: then(named("plain", plain), call("POST", "/containers/plain/start", ""))},
	{class: 27, name: "restarted", before: beside(container("bad", privileged)), ask: post("/containers/bad/restart?t=0", ""), power: is("bad", "State.Running", "true"), want: "(privileged, critical)", twin: then(named("plain", plain), post("/containers/plain/restart?t=0", ""))},
	{class: 27, name: "resumed", before: beside(container("bad", privileged), start("bad"), post("/containers/bad/pause", "")), ask: post("/containers/bad/unpause", ""), power: soon(is("bad", "State.Paused", "false")), want: "(privileged, critical)",
		twin: then(named("plain", plain), start("plain"), post("/containers/plain/pause", ""), post("/containers/plain/unpause", ""))},
	{class: 27, name: "with a volume of the host", before: beside(post("/volumes/create", `{"Name":"hv","DriverOpts":`+hostBound+`}`), container("bad", `{"Image":"web:1","Cmd":`+catSecret+binds("hv:/v")+`}`)), ask: start("bad"), power: logged("bad"),
		want: "volume-is-host-path", twin: then(named("plain", `{"Image":"web:1"`+binds("other:/v")+`}`), start("plain"))},
	{class: 27, name: "with a log elsewhere", before: beside(container("bad", logsTo("syslog", `"syslog-address":"tcp://$PORT"`))), ask: start("bad"), power: hears("the secret of $DIR"), want: "syslog-address", twin: then(named("plain", logsTo("json-file", "")), start("plain"))},
	{class: 27, name: "with a filter that lets all through", before: beside(container("bad", unshares+option(`seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}`)+`}`)), ask: start("bad"), power: func(g *ground, _ *answer) bool {
		post("/containers/bad/wait", "")(g, g.engine.Socket())
		return said("made")(g, get("/containers/bad/logs?stdout=1")(g, g.engine.Socket()))
	}, want: "lets through what it does not name", undone: true, twin: then(named("plain", plain), start("plain"))},
	{class: 27, name: "from a checkpoint", before: beside(container("calm", plain)), ask: post("/containers/calm/start?checkpoint=mine&checkpoint-dir=$DIR", ""), beyond: "criu is not installed, which the engine asks to make and restore checkpoints", want: "checkpoint",
		twin: then(named("plain", plain), start("plain"))},
	{class: 27, name: "folders of the host as checkpoints", before: beside(container("calm", plain)), ask: get("/containers/calm/checkpoints?dir=/"), power: said("etc"), want: "class checkpoints",
		twin: then(named("plain", plain), get("/containers/plain/checkpoints"))},
	{class: 27, name: "a folder of the host away, as a checkpoint", before: func(g *ground) { beside(container("calm", plain), ok)(g) }, ask: call("DELETE", "/v1.41/containers/calm/checkpoints/ok?dir=$DIR", ""), power: func(g *ground, a *answer) bool { return !wrote("ok")(g, a) },
		want: "class checkpoints", twin: then(named("plain", plain), call("DELETE", "/v1.41/containers/plain", ""))},

	{class: 28, name: "a user who says to be root", policy: forRoot, ask: as(user(), volumes, hostVolume, "X-Forwarded-User: root", "X-Remote-User: root", "Authorization: Basic cm9vdDo="), power: isVolume, want: "volume-is-host-path", twin: call("POST", volumes, hostVolume)},
	{class: 28, name: "root of a namespace of its own", policy: forRoot, ask: as(rootOfOwn(), volumes, hostVolume), power: isVolume, want: "volume-is-host-path", twin: as(&syscall.SysProcAttr{}, volumes, hostVolume)},
	{class: 28, name: "root of a container", policy: forRoot, ask: inContainer("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", "device=/", "asked"), power: isVolume, want: "volume-is-host-path",
		twin: call("POST", volumes, hostVolume)},
	{class: 28, name: "a label of another's", policy: "grants: [{rule: privileged, image: $WEB/trusted/*, users: [root], until: 2099-12-31, why: tests}]",
		ask: as(user(), "/v1.41/containers/create", `{"Image":"$WEB/trusted/app:1","Labels":{"plimsoll.owner":"root"},"HostConfig":{"Privileged":true}}`),
		power: func(g *ground, _ *answer) bool {
			return said("plimsoll.owner")(g, get("/containers/json?all=1")(g, g.engine.Socket()))
		}, want: "(privileged, critical)",
		twin: create(`{"Image":"$WEB/trusted/app:1","Labels":{"plimsoll.owner":"root"},"HostConfig":{"Privileged":true}}`)},

	{class: 29, name: "no trail", gate: mute, ask: create(plain), power: isMade, want: "can't be recorded", twin: get("/containers/json")},
	{class: 29, name: "no trail, a session", gate: mute, before: running(""), ask: execute("calm", `{`+whoami+`}`), power: said("1000\n"), want: "can't be recorded", twin: post("/containers/calm/stop?t=0", "")},
	{class: 29, name: "no trail, a volume", gate: mute, before: running(""), ask: post("/volumes/create", `{"Name":"asked"}`), power: isVolume, want: "can't be recorded", twin: call("DELETE", "/v1.41/containers/calm?force=1", "")},
	{class: 29, name: "no answer about what is started", gate: blind, before: beside(container("bad", privileged)), ask: start("bad"), power: is("bad", "State.Running", "true"), want: "can't decide", twin: get("/containers/json")},
	{class: 29, name: "no answer about what was made", gate: blind, ask: create(plain), power: isMade, want: "can't decide", twin: get("/images/json")},
	{class: 29, name: "no answer about a session", gate: blind, before: func(g *ground) {
		running("")(g)
		beside(execIn("calm", `{"Privileged":true,"User":"0",`+status+`}`))(g)
	}, ask: upgraded("POST", "/v1.41/exec/$EXEC/start", "tcp", `{}`, nil), power: allCapabilities,
		want: "can't decide", twin: get("/volumes")},
}
