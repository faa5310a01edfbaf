package gate

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

// hang stops an engine's process, with all its threads, and gives what has it go on.
func hang(t *testing.T, e *lab.Engine) (goOn func()) {
	t.Helper()
	if err := syscall.Kill(e.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	on := func() { _ = syscall.Kill(e.Pid, syscall.SIGCONT) }
	t.Cleanup(on)
	eventually(t, func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", e.Pid))
		if err != nil || len(threads) == 0 {
			return false
		}
		for _, thread := range threads {
			stat, err := os.ReadFile(thread) // proc(5): behind the name comes the state
			_, rest, _ := strings.Cut(string(stat), ") ")
			if err != nil || !strings.HasPrefix(rest, "T") {
				return false
			}
		}
		return true
	}, func() string { return "the engine is stopped" })
	return on
}

// began is a request that was made and waits for its answer.
type began struct {
	leave context.CancelFunc
	ended chan struct{}
	// status and err are of the answer, once ended is closed.
	status int
	text   string
	err    error
}

func begin(t *testing.T, socket, method, target, body string) *began {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := &began{leave: cancel, ended: make(chan struct{})}
	t.Cleanup(cancel)
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	go func() {
		defer close(b.ended)
		c := over(socket)
		defer c.CloseIdleConnections()
		b.status, b.text, b.err = ask(ctx, c, method, target, r)
	}()
	return b
}

// wait waits for the answer.
func (b *began) wait(t *testing.T, what string) {
	t.Helper()
	select {
	case <-b.ended:
	case <-time.After(patient):
		t.Errorf("%s is not answered", what)
		b.leave()
		<-b.ended
	}
}

func (b *began) answered() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// TestHangs: before an engine that says nothing clients wait, as they do without a gate,
// and get their answer when it goes on. Who leaves is let go, and the gate can be stopped.
func TestHangs(t *testing.T) {
	t.Parallel()
	e := yard(t)
	p := run(t, e.Socket(), "--mode", "enforce")
	p.must("run", "-d", "--name", "one", "web:1", "sleep", "100000")
	had := p.lookedAround()

	goOn := hang(t, e)
	asks := map[string][3]string{
		"a ping":           {"GET", "/_ping"},
		"a list":           {"GET", "/containers/json"},
		"what is judged":   {"POST", "/containers/one/restart?t=0"},
		"a new container":  {"POST", "/containers/create?name=two", `{"Image":"web:1"}`},
		"one of no image":  {"POST", "/containers/create?name=three", `{"Image":"none:1"}`},
		"what is recorded": {"POST", "/volumes/create", `{"Name":"late"}`},
	}
	want := map[string]int{"a ping": 200, "a list": 200, "what is judged": 204, "a new container": 201, "one of no image": 404, "what is recorded": 201}
	stay, leave, bare := map[string]*began{}, map[string]*began{}, begin(t, e.Socket(), "GET", "/_ping", "")
	for name, r := range asks {
		stay[name] = begin(t, p.socket, r[0], r[1], r[2])
	}
	for i := range 20 {
		for name, r := range asks {
			if name != "what is judged" && r[2] == "" {
				leave[fmt.Sprint(name, i)] = begin(t, p.socket, r[0], r[1], r[2])
			}
		}
	}
	eventually(t, func() bool { return descriptors(t, p.cmd.Process.Pid) >= had+len(stay)+2*len(leave) }, func() string { return "all are there" })
	time.Sleep(2 * quiet)
	for name, b := range stay {
		if b.answered() {
			t.Errorf("%s is answered while the engine hangs: %d %s, %v", name, b.status, b.text, b.err)
		}
	}
	if bare.answered() {
		t.Error("the engine does not hang")
	}
	for _, b := range leave {
		b.leave()
		<-b.ended
	}
	// Two a client that stays, and two more where the gate asks on its own account.
	p.settles(had+4*len(stay)+keptIdle, "clients that left an engine that hangs")
	goOn()
	bare.wait(t, "the bare engine")
	for name, b := range stay {
		if b.wait(t, name); b.status != want[name] {
			t.Errorf("%s is answered by %d %s, %v", name, b.status, b.text, b.err)
		}
	}
	p.must("rm", "two")
	p.settles(had+keptIdle, "an engine that hung")

	// The other end: the gate is stopped while it hangs.
	hang(t, e)
	var waiting []*began
	for _, r := range asks {
		waiting = append(waiting, begin(t, p.socket, r[0], r[1], r[2]))
	}
	eventually(t, func() bool { return descriptors(t, p.cmd.Process.Pid) >= had+len(waiting) }, func() string { return "all are there again" })
	time.Sleep(quiet)
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("it ends with %d", code)
	}
	for _, b := range waiting {
		b.wait(t, "who is cut off")
		if b.err == nil {
			t.Errorf("%d %s is the answer of an engine that hangs", b.status, b.text)
		}
	}
	events := p.verified()
	if !recordedIn(events, "volume", phaseFailed, "late") && !recordedIn(events, "volume", phaseDone, "late") {
		for _, ev := range events {
			t.Logf("%s %v %s %v", ev.Type, ev.Detail["gate"], ev.Subject.Name, ev.Detail["error"])
		}
		t.Error("what was under way is not on record")
	}
}

// TestHangsForOne: one question that the engine does not answer holds up nobody but who
// asked.
func TestHangsForOne(t *testing.T) {
	t.Parallel()
	e := yard(t)
	b := brokerBefore(t, e.Socket())
	p := run(t, b.socket, "--mode", "enforce")
	p.must("create", "--name", "first", "web:1")
	held := make(chan struct{}, 1)
	b.on(func(r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/images/stuck:1/json"):
			held <- struct{}{}
			<-r.Context().Done()
			die()
		case r.URL.Path == "/version": // asked for by a client: the gate says which it wants
			die()
		}
	}, nil)
	stuck := begin(t, p.socket, "POST", "/containers/create?name=stuck", `{"Image":"stuck:1"}`)
	select {
	case <-held:
	case <-time.After(patient):
		t.Fatal("the gate does not ask for the image")
	}
	for range 2 {
		// When a request fails, the gate looks at the engine anew, with the next.
		failing := begin(t, p.socket, "GET", "/version", "")
		if failing.wait(t, "a request that fails"); failing.status != http.StatusBadGateway {
			t.Errorf("it is answered by %d %s, %v", failing.status, failing.text, failing.err)
		}
		other := begin(t, p.socket, "POST", "/containers/create?name=other", `{"Image":"web:1"}`)
		if other.wait(t, "another"); other.status != http.StatusCreated {
			t.Errorf("another is answered by %d %s, %v", other.status, other.text, other.err)
		}
		p.must("rm", "other")
	}
	if stuck.answered() {
		t.Errorf("it does not hang: %d %s %v", stuck.status, stuck.text, stuck.err)
	}
	stuck.leave()
	<-stuck.ended
	p.must("create", "--name", "last", "web:1")
}
