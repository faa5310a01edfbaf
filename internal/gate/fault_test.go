package gate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestFaults: what clients, files and limits do to a gate that runs as its own process, and
// that it goes on as before. The engine is not harmed by any of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	e := yard(t)
	for name, f := range map[string]func(*testing.T, *lab.Engine){
		"broken trail": brokenTrail, "policy file": policyFile, "large bodies": largeBodies, "half requests": halfRequests,
		"descriptors": outOfDescriptors, "killed": killed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, e)
		})
	}
}

// policyFile: a policy that can't be read or used leaves the one before in force, and that
// is on record; a gate does not begin with one.
func policyFile(t *testing.T, e *lab.Engine) {
	p := prepare(t, e.Socket())
	p.as(4242)
	file := filepath.Join(p.dir, "policy.yaml")
	p.args = append(p.args, "--policy", file)
	write := func(text string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	const good, more = "schema: plimsoll/policy/1\nmode: enforce\n", "schema: plimsoll/policy/1\nmode: enforce\nenforce: {also: [memory-unlimited]}\n"
	faults := []struct {
		name string
		do   func() error
		says string
		code int
	}{
		{"missing", func() error { return os.RemoveAll(file) }, "no such file", 2},
		{"not to be read", func() error { write(good); return os.Chmod(file, 0) }, "permission denied", 3},
		{"a folder", func() error { return errors.Join(os.RemoveAll(file), os.Mkdir(file, 0o755)) }, "is a directory", 3},
		{"half written", func() error { write("schema: plimsoll/policy/1\nmode: enf"); return nil }, "enf", 2},
		{"empty", func() error { write(""); return nil }, "policy", 2},
		{"cut off in the middle of a rule", func() error { write(more[:len(more)-4]); return nil }, "policy", 2},
		{"not text", func() error { write("\x00\xff\xfe"); return nil }, "policy", 2},
	}
	for _, f := range faults {
		if err := f.do(); err != nil {
			t.Fatal(err)
		}
		p.launch()
		if code := p.exits(); code != f.code || !strings.Contains(p.said.String(), f.says) || !strings.Contains(p.said.String(), "plimsoll-gate: ") {
			t.Errorf("with a policy that is %s it ends with %d: %s", f.name, code, p.said)
		}
	}
	write(good)
	p.start()
	refusals := 0
	for _, f := range faults {
		if err := f.do(); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		refusals++
		eventually(t, func() bool { return policies(t, p, true) == refusals }, func() string {
			return fmt.Sprintf("a policy that is %s is on record as refused: %s", f.name, p.said)
		})
		eventually(t, func() bool { return strings.Count(p.said.String(), "the one before stands") == refusals }, func() string {
			return fmt.Sprintf("it says that the one before stands: %s", p.said)
		})
		p.refuses("(privileged, critical)", "create", "--privileged", "web:1")
		p.must("create", "--name", "policed", "web:1")
		p.must("rm", "policed")
	}
	write(more)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return policies(t, p, false) == 2 }, func() string { return "a policy that is right stands" })
	p.refuses("memory-unlimited", "create", "web:1")
	p.end(syscall.SIGTERM)
	p.verified()
}

// policies counts the events that a policy stands, or was refused.
func policies(t *testing.T, p *program, refused bool) (n int) {
	t.Helper()
	for _, e := range eventsIn(t, p.trail()) {
		if _, is := e.Detail["refused"]; e.Type == policyEvent && is == refused {
			n++
		}
	}
	return n
}

// largeBodies: a body that is too large is refused before it was sent, one that is too deep
// at once, and neither takes memory.
func largeBodies(t *testing.T, e *lab.Engine) {
	p := run(t, e.Socket(), "--mode", "enforce")
	had := p.lookedAround()
	const head = "POST /containers/create?name=large HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	const whole = 100 << 20
	junk := `{"Image":"web:1","Labels":{"x":"` + strings.Repeat("a", maxBody)
	deep := func(open, end string) string {
		body := `{"Image":"web:1","Labels":` + strings.Repeat(open, 100_000) + strings.Repeat(end, 100_000) + "}"
		return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	before, _ := memory(t, p.cmd.Process.Pid)
	for name, c := range map[string]struct {
		// sent is all that the client sends before it waits for the answer.
		sent   string
		status int
		says   string
	}{
		"100 MiB with a length":  {fmt.Sprintf("Content-Length: %d\r\n\r\n", whole), 413, "4 MiB"},
		"100 MiB without one":    {fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", whole, junk), 413, "larger"},
		"many chunks":            {"Transfer-Encoding: chunked\r\n\r\n" + strings.TrimSuffix(inChunks([]byte(junk), 1000), "0\r\n\r\n"), 413, "larger"},
		"one that is kept back":  {fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", whole), 413, "4 MiB"},
		"100,000 lists":          {deep("[", "]"), 413, "values"},
		"100,000 objects":        {deep(`{"a":`, "}"), 413, "values"},
		"lists that do not end":  {"Transfer-Encoding: chunked\r\n\r\n" + inChunks([]byte(strings.Repeat("[", 90_000)), 45_000), 400, "levels"},
		"4 MiB of empty lists":   {listed(maxBody-100, "[]"), 413, "values"},
		"4 MiB of empty objects": {listed(maxBody-100, "{}"), 413, "values"},
	} {
		c := c
		conn := connect(t, p.socket)
		_ = conn.SetDeadline(time.Now().Add(patient))
		answered := make(chan string, 1)
		go func() {
			r := bufio.NewReader(conn)
			for {
				a, err := http.ReadResponse(r, nil)
				if err != nil {
					answered <- err.Error()
					return
				}
				if a.StatusCode == 100 {
					continue
				}
				body, _ := io.ReadAll(a.Body)
				answered <- fmt.Sprintf("%d %s", a.StatusCode, body)
				return
			}
		}()
		// Nothing more is sent, so an answer comes before all the rest.
		_, err := io.WriteString(conn, head+c.sent)
		if err != nil && !errors.Is(err, syscall.EPIPE) {
			t.Fatal(err)
		}
		if got := <-answered; !strings.HasPrefix(got, fmt.Sprint(c.status, " ")) || !strings.Contains(got, c.says) {
			t.Errorf("%s is answered by %.300s", name, got)
		}
		conn.Close()
		_, most := memory(t, p.cmd.Process.Pid)
		t.Logf("%s: memory grew by %d KiB at most", name, (most-before)>>10)
		if most-before > 24<<20 {
			t.Errorf("%s: memory grew by %d MiB", name, (most-before)>>20)
		}
	}
	// What is as long as it may be passes.
	if status, text, err := p.ask("POST", "/containers/create?name=long", `{"Image":"web:1","Labels":{"x":"`+strings.Repeat("a", 3<<20)+`"}}`); status != 201 {
		t.Errorf("a long one is answered by %d %s, %v", status, text, err)
	}
	p.must("rm", "long")
	if out, err := e.Docker("ps", "-aq", "--filter", "name=large"); err != nil || out != "" {
		t.Errorf("the engine has %q, %v", out, err)
	}
	p.goroutines(had, "large bodies")
}

// listed is a body of so many bytes that is one list of what is as short as can be.
func listed(size int, item string) string {
	body := `{"Image":"web:1","Env":[` + item + strings.Repeat(","+item, (size-50)/(len(item)+1)) + "]}"
	return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// outOfDescriptors: a gate that may open no more files says so, and serves again when
// connections are closed.
func outOfDescriptors(t *testing.T, e *lab.Engine) {
	p := run(t, e.Socket(), "--mode", "enforce")
	had := p.lookedAround()
	limit := unix.Rlimit{Cur: uint64(had + 12), Max: uint64(had + 12)}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var conns []io.Closer
		for range 100 {
			conns = append(conns, connect(t, p.socket))
		}
		eventually(t, func() bool { return strings.Contains(p.said.String(), "too many open files") }, func() string { return "it says what it lacks" })
		waits := begin(t, p.socket, "GET", "/_ping", "")
		for _, c := range conns {
			c.Close()
		}
		waits.wait(t, "who came while there was no room") // perhaps closed at once: nobody could tell who it was
		p.worksAgain("ps")
		p.must("create", "--name", "room", "web:1")
		p.must("rm", "room")
	}
	p.settles(had, "a hundred connections")
	p.end(syscall.SIGTERM)
	if events := p.verified(); !recordedIn(events, trail.Remove, phaseDone, "room") {
		t.Error("what was done is not on record")
	}
}
