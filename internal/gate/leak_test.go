package gate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// keptIdle is how many connections a gate keeps at the most for its own questions, for a
// while (package engine).
const keptIdle = 32

// descriptors is how many files and connections a process has open.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// openIn is what a process has open, for messages.
func openIn(pid int) string {
	var all []string
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		to, _ := os.Readlink(link)
		all = append(all, to)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// settles waits until the gate has no more descriptors than it had.
func (p *program) settles(had int, after string) {
	p.t.Helper()
	now := 0
	eventually(p.t, func() bool { now = descriptors(p.t, p.cmd.Process.Pid); return now <= had }, func() string {
		return fmt.Sprintf("no descriptor is left after %s: %d instead of %d: %s", after, now, had, openIn(p.cmd.Process.Pid))
	})
}

// lookedAround has the gate keep what it keeps, so that descriptors can be counted.
func (p *program) lookedAround() int {
	p.t.Helper()
	name := "around-" + filepath.Base(filepath.Dir(p.dir))
	p.must("create", "--name", name, "web:1")
	p.must("rm", name)
	had := 0
	eventually(p.t, func() bool {
		before := had
		had = descriptors(p.t, p.cmd.Process.Pid)
		return had == before
	}, func() string { return "the number of descriptors stays" })
	return had
}

// goroutines ends the gate by SIGQUIT, of which a Go program tells all its goroutines, and
// checks that none of a session's is among them, and no descriptor is left.
func (p *program) goroutines(had int, after string) {
	p.t.Helper()
	p.settles(had, after)
	pause() // a goroutine ends a moment after its connections
	p.end(syscall.SIGQUIT)
	defer func() { p.said = nil }() // it is long
	said := p.said.String()
	if !strings.Contains(said, "goroutine ") || !strings.Contains(said, "relay.Serve") {
		p.t.Errorf("it says nothing of its goroutines: %s", said)
	}
	for _, one := range strings.Split(said, "\n\n") {
		if strings.Contains(one, "(*session)") || strings.Contains(one, "relay.(*Attention)") || strings.Contains(one, "http1.") {
			p.t.Errorf("a goroutine of a session is left: %s", one)
		}
	}
}
