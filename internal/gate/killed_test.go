package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// killed: a gate that is killed among eight clients that create has every request on record
// that a client was told of, and of what the engine has nothing that was not asked for on
// record. What was not judged as the engine made it is judged when it is to start.
func killed(t *testing.T, e *lab.Engine) {
	rounds := 2
	if thorough {
		rounds = 30
	}
	p := prepare(t, e.Socket(), "--mode", "enforce")
	told := map[string]string{} // ids by names, as clients know them
	var mu sync.Mutex
	for round := range rounds {
		p.start()
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				c := over(p.socket)
				defer c.CloseIdleConnections()
				for n := 0; ctx.Err() == nil; n++ {
					name := fmt.Sprintf("killed-%d-%d-%d", round, i, n)
					status, text, err := ask(ctx, c, "POST", "/containers/create?name="+name, strings.NewReader(`{"Image":"web:1"}`))
					if err != nil {
						return
					}
					var said struct{ ID string }
					if err := json.Unmarshal([]byte(text), &said); err != nil || status != 201 {
						t.Errorf("%d %s, %v", status, text, err)
						return
					}
					mu.Lock()
					told[name] = said.ID
					mu.Unlock()
					if n%2 == 0 { // some go again
						continue
					}
					if _, _, err := ask(ctx, c, "DELETE", "/containers/"+name+"?force=1", nil); err != nil {
						return
					}
				}
			})
		}
		eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(told) >= 16*(round+1)
		}, func() string { return "containers are made" })
		time.Sleep(rand.N(100 * time.Millisecond))
		p.end(syscall.SIGKILL)
		cancel()
		clients.Wait()
	}
	p.start() // which makes the trail whole
	p.must("ps")
	p.end(syscall.SIGTERM)
	asked, done := map[string]bool{}, map[string]string{}
	for _, ev := range p.verified() {
		if ev.Type != trail.Deploy {
			continue
		}
		switch ev.Detail["gate"] {
		case phaseAsked:
			asked[ev.Subject.Name] = true
		case phaseDone:
			done[ev.Subject.Name] = ev.Subject.ID
		}
	}
	late := 0
	for name, id := range told {
		if !asked[name] {
			t.Errorf("a client was told of %s, which is not on record", name)
		}
		// What came of it is recorded while the client is told.
		if done[name] == "" {
			late++
		} else if done[name] != id {
			t.Errorf("%s is %s, and %s on record", name, id, done[name])
		}
	}
	if late > 8*rounds {
		t.Errorf("of %d requests it is not on record what came of them", late)
	}
	out, err := e.Docker("ps", "-a", "--filter", "name=killed-", "--format", "{{.Names}}")
	if err != nil {
		t.Fatal(err)
	}
	unjudged := ""
	for name := range strings.FieldsSeq(out) {
		if !asked[name] {
			t.Errorf("the engine has %s, which nobody asked for on record", name)
		}
		if done[name] == "" {
			unjudged = name
		}
	}
	t.Logf("%d were made, of %d it is not on record what came of them; one of them is %q", len(told), late, unjudged)
	notTold(t, e)
	if names := strings.Fields(out); len(names) > 0 {
		if _, err := e.Docker(append([]string{"rm", "-f"}, names...)...); err != nil {
			t.Error(err)
		}
	}
}

// notTold: a container that the engine has made, and whose gate was killed before it heard
// of it, is judged when somebody wants to start it, by the policy of then.
func notTold(t *testing.T, e *lab.Engine) {
	t.Helper()
	b := brokerBefore(t, e.Socket())
	p := run(t, b.socket, "--mode", "enforce")
	p.must("create", "--name", "killed-warm", "web:1")
	b.on(nil, holdCreate)
	for name, body := range map[string]string{"killed-limited": `{"Image":"web:1","HostConfig":{"Memory":67108864}}`, "killed-unlimited": `{"Image":"web:1"}`} {
		waits := begin(t, p.socket, "POST", "/containers/create?name="+name, body)
		eventually(t, func() bool { _, err := e.Docker("inspect", name); return err == nil }, func() string { return "the engine has made " + name })
		if waits.answered() {
			t.Errorf("%s: the client was told already: %d %s", name, waits.status, waits.text)
		}
		p.end(syscall.SIGKILL)
		if waits.wait(t, name); waits.err == nil {
			t.Errorf("%s: the client was told %d %s", name, waits.status, waits.text)
		}
		b.on(nil, nil)
		p.policy("schema: plimsoll/policy/1\nmode: enforce\nenforce: {also: [memory-unlimited]}\n")
		p.start()
		if out, err := p.docker("start", name); name == "killed-limited" && err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		} else if name == "killed-unlimited" && (err == nil || !strings.Contains(out, "memory-unlimited")) {
			t.Errorf("%s was never judged, and is started: %v: %s", name, err, out)
		}
		for _, ev := range p.eventsOf(name) {
			if ev.Type == trail.Deploy && ev.Detail["gate"] != phaseAsked {
				t.Errorf("%s: what came of it is on record as %v, and nobody knew", name, ev.Detail["gate"])
			}
		}
		p.end(syscall.SIGTERM)
		p.policy("schema: plimsoll/policy/1\nmode: enforce\n")
		p.start()
		b.on(nil, holdCreate)
	}
	p.end(syscall.SIGTERM)
	p.verified()
}
