package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

// hostile is a request that gives its sender power over the host, or over others on it,
// and that the gate must not let through.
type hostile struct {
	// class is one of the thirty in which gates before an engine have been got past.
	class int
	name  string
	// policy is the policy's YAML behind its first line, "" for the one where there is none.
	policy string
	// gate makes a gate of its own instead, and gives its socket.
	gate func(*testing.T, *ground) string
	// before makes on the bare engine what the request needs.
	before func(*ground)
	// ask makes the request, and what goes before it from the same client.
	ask asking
	// power says whether the request has given what it is after. It must be so on the bare
	// engine, and never behind the gate.
	power func(*ground, *answer) bool
	// beyond is why this engine cannot show the power, where power is nil: the gate must
	// refuse it all the same.
	beyond string
	// want is a part of what the gate says.
	want string
	// undone is that the gate has changed something to be rid of it, such as stopped it.
	undone bool
	// twin is the ordinary request that is most like it; it must pass.
	twin asking
}

// asking makes a request at a socket, the engine's or a gate's.
type asking func(g *ground, at string) *answer

// ground is where the hostile requests are made: one real engine, and gates before it.
type ground struct {
	*testing.T
	engine *lab.Engine
	gates  map[string]*standing
	// dir is a folder of the host, new for each request; it holds the file secret.
	dir, secret string
	base        string // which the folders are in; its name has nothing that mount options part
	vars        map[string]string
	keepSwarm   bool            // the engine stays the manager that it is
	mended      map[string]bool // what has no power any more on this engine, by name
	ours        map[string]bool // what the engine had before, by kind and name
	outside     *outside
	at          string // the socket that is asked
	cleanups    []func()
}

// beyond are the classes that this engine cannot show, and why.
var beyond = map[int]string{
	30: "flaws of the engine, runc and the kernel below the gate: those that are known of runc 1.1.5 and Docker 20.10.24 as Debian has patched them are races inside runc, which no single request wins",
}

const leastClasses, leastInClass, allClasses = 24, 3, 30

// TestBypass: each request gives power on the bare engine, and none behind the gate, where
// the ordinary one like it passes. A test that is not thorough has as many of each class as
// it needs.
func TestBypass(t *testing.T) {
	t.Parallel()
	bypass(newGround(t, lab.Private(t, groundSettings)))
}

// groundSettings are those of an engine that has the most to lose: it is experimental, and
// shows its debug pages.
var groundSettings = map[string]any{"experimental": true, "debug": true}

func bypass(g *ground) {
	t := g.T
	counts, mended := map[int]int{}, map[int]bool{}
	for _, list := range [][]hostile{wireBypasses, jsonBypasses, mountBypasses, volumeBypasses, confinementBypasses, deviceBypasses, namespaceBypasses,
		imageBypasses, execBypasses, fileBypasses, buildBypasses, networkBypasses, egressBypasses, aroundBypasses, clusterBypasses} {
		for _, h := range list {
			if !thorough && (h.power == nil || counts[h.class] == leastInClass) {
				continue
			}
			if g.mended[h.name] {
				mended[h.class] = true
				continue
			}
			g.run(t, h)
			if h.power != nil {
				counts[h.class]++
			}
		}
	}
	if t.Failed() {
		return
	}
	enough := 0
	for class := 1; class <= allClasses; class++ {
		t.Logf("class %2d: %d requests", class, counts[class])
		switch {
		case counts[class] >= leastInClass:
			enough++
		case beyond[class] == "" && !mended[class]:
			t.Errorf("class %d has %d requests, and no reason why not more", class, counts[class])
		}
	}
	if enough < leastClasses {
		t.Errorf("%d classes have %d requests", enough, leastInClass)
	}
}

// newGround is the ground on an engine.
func newGround(t *testing.T, e *lab.Engine) *ground {
	t.Helper()
	ctx := context.Background()
	for name, changes := range map[string][]string{"web:1": nil, "plain:1": {"USER 1000:1000"}, "volume:1": {"VOLUME /h"}} {
		if err := e.Busybox(ctx, name, changes...); err != nil {
			t.Fatal(err)
		}
	}
	g := &ground{T: t, engine: e, gates: map[string]*standing{}, at: e.Socket(), base: t.TempDir()}
	g.outside = newOutside(t, e)
	g.ours = map[string]bool{}
	for thing := range g.things() {
		g.ours[thing] = true
	}
	g.volumePlugin()
	g.publish()
	for thing := range g.things() {
		g.ours[thing] = true
	}
	return g
}

// gate is the gate before the engine with a policy.
func (g *ground) gate(t *testing.T, policy string) string {
	s := g.gates[policy]
	if s == nil {
		text := policy
		if text != "" {
			text = "schema: " + PolicySchema + "\n" + policy
		}
		s = stand(t, g.engine, Enforce, text)
		g.gates[policy] = s
	}
	return s.socket
}

// run tries one hostile request.
func (g *ground) run(t *testing.T, h hostile) {
	gate := ""
	if h.gate == nil {
		gate = g.gate(t, g.fill(h.policy))
	}
	t.Run(fmt.Sprintf("%02d/%s", h.class, h.name), func(t *testing.T) {
		g.T = t
		if h.gate != nil {
			gate = h.gate(t, g)
		}
		g.vars = map[string]string{}
		if (h.power == nil) == (h.beyond == "") {
			t.Fatal("either it is shown or there is a reason why not")
		}
		prepare := func(at string) {
			g.clear()
			g.fresh(t)
			g.outside.forget()
			g.at = g.engine.Socket()
			if h.before != nil {
				h.before(g)
			}
			g.at = at
		}
		if h.power != nil {
			prepare(g.engine.Socket())
			if a := h.ask(g, g.at); !h.power(g, a) {
				t.Errorf("it has no power on the bare engine: %s", a)
			}
		}
		prepare(gate)
		was := g.things()
		a := h.ask(g, g.at)
		g.at = g.engine.Socket()
		if a.status < 400 || !strings.Contains(a.text(), h.want) || h.want == "" && a.header == nil {
			t.Errorf("the gate says %s; want a refusal with %q", a, h.want)
		}
		if h.power != nil && h.power(g, a) {
			t.Errorf("it has power behind the gate: %s", a)
		}
		if !h.undone {
			g.unchanged(was)
		}
		if h.twin == nil {
			t.Fatal("it has no twin")
		}
		prepare(gate)
		if a := h.twin(g, g.at); a.status >= 400 || a.status < 100 {
			t.Errorf("the ordinary twin is refused: %s", a)
		}
		g.clear()
	})
}

// fresh gives a new folder with a file in it that nobody should read.
func (g *ground) fresh(t *testing.T) {
	var err error
	if g.dir, err = os.MkdirTemp(g.base, "d"); err != nil {
		t.Fatal(err)
	}
	g.secret = fmt.Sprintf("secret-%d", time.Now().UnixNano())
	if err := os.WriteFile(filepath.Join(g.dir, "secret"), []byte(g.secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// things is all that the engine has that could hold power, as it describes it.
func (g *ground) things() map[string]string {
	out := map[string]string{}
	var containers []struct{ ID, State string }
	g.look("/containers/json?all=1", &containers)
	for _, c := range containers {
		var i struct {
			Name, Image        string
			HostConfig, Config json.RawMessage
			ExecIDs            []string
		}
		g.look("/containers/"+c.ID+"/json", &i)
		out["container "+c.ID] = fmt.Sprintf("%s %s %s %s %s %d", i.Name, c.State, i.Image, i.HostConfig, i.Config, len(i.ExecIDs))
	}
	var images []struct {
		ID       string
		RepoTags []string
	}
	g.look("/images/json?all=1", &images)
	for _, i := range images {
		out["image "+i.ID] = ""
		for _, tag := range i.RepoTags {
			if tag != "<none>:<none>" {
				out["tag "+tag] = i.ID
			}
		}
	}
	var volumes struct {
		Volumes []struct {
			Name, Driver string
			Options      map[string]string
		}
	}
	g.look("/volumes", &volumes)
	for _, v := range volumes.Volumes {
		out["volume "+v.Name] = fmt.Sprint(v.Driver, v.Options)
	}
	var networks []struct {
		ID, Name, Driver string
		Options          map[string]string
	}
	g.look("/networks", &networks)
	for _, n := range networks {
		out["network "+n.ID] = fmt.Sprint(n.Name, n.Driver, n.Options)
	}
	var plugins []struct {
		ID, Name string
		Enabled  bool
	}
	g.look("/plugins", &plugins)
	for _, p := range plugins {
		out["plugin "+p.ID] = fmt.Sprint(p.Name, p.Enabled)
	}
	if get("/swarm")(g, g.engine.Socket()).status == http.StatusOK {
		out["swarm"] = "active"
		for _, kind := range []string{"services", "secrets", "configs"} {
			var list []struct {
				ID   string
				Spec json.RawMessage
			}
			g.look("/"+kind, &list)
			for _, one := range list {
				out[kind+" "+one.ID] = string(one.Spec)
			}
		}
	}
	return out
}

// unchanged checks that the engine has what it had.
func (g *ground) unchanged(was map[string]string) {
	g.Helper()
	for thing, is := range g.things() {
		if before, had := was[thing]; !had {
			g.Errorf("left behind: %s %s", thing, is)
		} else if before != is {
			g.Errorf("changed: %s was %s and is %s", thing, before, is)
		}
	}
}

// clear takes away what the engine did not have at first.
func (g *ground) clear() {
	g.Helper()
	for _, f := range slices.Backward(g.cleanups) {
		f()
	}
	g.cleanups = nil
	g.at = g.engine.Socket()
	remove := map[string]string{"container": "/containers/%s?force=1&v=1", "image": "/images/%s?force=1", "tag": "/images/%s", "volume": "/volumes/%s?force=1", "network": "/networks/%s", "plugin": "/plugins/%s?force=1",
		"services": "/services/%s", "secrets": "/secrets/%s", "configs": "/configs/%s"}
	things := g.things()
	if things["swarm"] == "active" && !g.keepSwarm {
		if a := call(http.MethodPost, "/v1.41/swarm/leave?force=1", "")(g, g.at); a.status != http.StatusOK {
			g.Fatalf("leaving the swarm: %s", a)
		}
		things = g.things()
	}
	for _, kind := range []string{"services", "secrets", "configs", "container", "network", "volume", "plugin", "tag", "image"} {
		for thing := range things {
			k, name, _ := strings.Cut(thing, " ")
			if k != kind || g.ours[thing] || strings.HasPrefix(things[thing], "docker_gwbridge") || strings.HasPrefix(things[thing], "ingress") {
				continue
			}
			if a := call(http.MethodDelete, "/v1.41"+fmt.Sprintf(remove[kind], name), "")(g, g.at); a.status >= 400 && a.status != http.StatusNotFound {
				g.Errorf("removing %s: %s", thing, a)
			}
		}
	}
}

// look asks the bare engine for something that it must have.
func (g *ground) look(path string, into any) {
	g.Helper()
	a := call(http.MethodGet, "/v1.41"+path, "")(g, g.engine.Socket())
	if a.status != http.StatusOK {
		g.Fatalf("GET %s: %s", path, a)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		g.Fatalf("GET %s: %v", path, err)
	}
}
