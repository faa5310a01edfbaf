package gate

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestStreamRestart: an engine that begins anew under the gate, in order or not, is found
// again by it, on the connections that clients have open; streams end as they do without a
// gate, and of what was under way clients are told that nobody knows.
func TestStreamRestart(t *testing.T) {
	t.Parallel()
	e := yard(t)
	second := lab.Beside(t, e, "again", "", "--bridge=none", "--shutdown-timeout=1")
	image := filepath.Join(t.TempDir(), "image.tar")
	if _, err := e.Docker("save", "-o", image, "web:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Docker("load", "-i", image); err != nil {
		t.Fatal(err)
	}
	b := brokerBefore(t, second.Socket())
	p := run(t, b.socket, "--mode", "enforce")
	// Without the broker, as no client sees one.
	direct := run(t, second.Socket(), "--mode", "enforce")
	p.must("volume", "create", "before")
	kept := wireTo(t, "kept", direct.socket, "Host: x")
	defer kept.close()
	_ = kept.c.SetDeadline(time.Now().Add(4 * patient))
	c, bare := over(direct.socket), over(second.Socket())
	defer c.CloseIdleConnections()
	defer bare.CloseIdleConnections()

	for name, signal := range map[string]os.Signal{"in order": os.Interrupt, "killed": os.Kill} {
		kept.call("GET", "/_ping", "")
		through, without := stream(t.Context(), t, c, "/events"), stream(t.Context(), t, bare, "/events")
		// Of one request the engine had made what it was asked for, and it ends before it
		// says so.
		made, ended := make(chan struct{}), make(chan struct{})
		b.on(nil, func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/containers/create") {
				close(made)
				<-ended
				die()
			}
		})
		half := "made-" + strings.ReplaceAll(name, " ", "-")
		waits := begin(t, p.socket, "POST", "/containers/create?name="+half, `{"Image":"web:1"}`)
		select {
		case <-made:
		case <-waits.ended:
			t.Fatalf("%s: %d %s, %v", name, waits.status, waits.text, waits.err)
		}
		second.End(signal)
		close(ended)
		b.on(nil, nil)
		if waits.wait(t, name); waits.status != http.StatusBadGateway || !strings.Contains(waits.text, "plimsoll can't reach the engine") {
			t.Errorf("%s: who waits is told %d %s, %v", name, waits.status, waits.text, waits.err)
		}
		if got, want := through.wait(t), without.wait(t); (got == nil) != (want == nil) || errors.Is(got, io.ErrUnexpectedEOF) != errors.Is(want, io.ErrUnexpectedEOF) {
			t.Errorf("%s: the stream of events ends with %v, and without the gate with %v", name, got, want)
		}
		if answer := string(kept.call("GET", "/containers/json", "")); !strings.Contains(answer, "plimsoll can't reach the engine") {
			t.Errorf("%s: without an engine a client is told %q", name, answer)
		}
		for _, r := range [][3]string{{"GET", "/info"}, {"POST", "/containers/create?name=none", `{"Image":"web:1"}`}, {"POST", "/containers/none/start"}, {"PUT", "/containers/none/archive?path=/", `{}`}} {
			var body io.Reader
			if r[2] != "" {
				body = strings.NewReader(r[2])
			}
			status, _, err := ask(t.Context(), c, r[0], r[1], body)
			if status != http.StatusBadGateway || !strings.Contains(err.Error(), "plimsoll can't reach the engine") {
				t.Errorf("%s: %s %s without an engine: %d, %v", name, r[0], r[1], status, err)
			}
		}
		second.Start(t)
		if answer := string(kept.call("GET", "/volumes", "")); !strings.Contains(answer, `"before"`) {
			t.Errorf("%s: after it the engine says %q", name, answer)
		}
		second.Restart(t)
		if answer := string(kept.call("POST", "/volumes/create", `{"Name":"after"}`)); !strings.Contains(answer, `"Name":"after"`) {
			t.Errorf("%s: on a connection that was open meanwhile the engine says %q", name, answer)
		}
		p.refuses("is already in use", "create", "--name", half, "web:1")
		p.must("rm", half)
		p.must("create", "--name", half+"-2", "web:1")
		p.refuses("plimsoll refuses", "volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/", "root")
	}
	p.end(syscall.SIGTERM)
	events := p.verified()
	for _, want := range [][3]string{{phaseAsked, "made-killed"}, {phaseFailed, "made-killed"}, {phaseFailed, "made-in-order"}, {phaseDone, "made-killed-2"}, {phaseDone, "made-in-order-2"}} {
		if !recordedIn(events, trail.Deploy, want[0], want[1]) {
			t.Errorf("not on record: %v", want)
		}
	}
	if recordedIn(events, trail.Deploy, phaseDone, "made-killed") {
		t.Error("what nobody knew is on record as done")
	}
}
