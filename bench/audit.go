package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// audited is what was measured of one population.
type audited struct {
	population population
	// asked is how many requests of each kind an audit made, other what those
	// of kindOther were.
	asked map[string]int
	other map[string]int
	// audit is plimsoll's beside the minimal client.
	audit comparison
	// peakBytes is the largest audit's; ownBytes is this program's size, below
	// which no child's can be measured.
	peakBytes, ownBytes int64
}

// auditArgs ends in success whatever is found, and keeps the run from any key
// for environment values that this machine may have.
func (b *bench) auditArgs(socket string) []string {
	return []string{b.program("plimsoll"), "audit", "--host", "unix://" + socket, "--fail-on", "never", "--state", filepath.Join(b.dir, "state")}
}

// connections are plimsoll's own: collect.DefaultConcurrency.
const connections = "8"

// audits measures the engine's containers as they are now.
func (b *bench) audits(p *page) (audited, error) {
	a := audited{population: b.fill.have}
	counter, err := newCounter(filepath.Join(b.dir, "counter.sock"), b.socket)
	if err != nil {
		return a, fmt.Errorf("starting the counting proxy: %w", err)
	}
	_, err = measure(command{argv: b.auditArgs(counter.Socket)})
	if cerr := counter.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return a, err
	}
	a.asked, a.other = counter.kinds, counter.other
	paths := filepath.Join(b.dir, "paths")
	if err := os.WriteFile(paths, []byte(inOrder(counter.paths)), 0o644); err != nil {
		return a, err
	}
	ours := command{argv: b.auditArgs(b.socket)}
	minimal := command{argv: []string{b.program("minimal"), b.socket, connections}, stdin: paths}
	if a.audit, err = compare(ours, minimal, b.pairs); err != nil {
		return a, err
	}
	for _, u := range a.audit.ours {
		a.peakBytes = max(a.peakBytes, u.peakBytes)
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return a, err
	}
	a.ownBytes = own.Maxrss << 10
	load, err := loadAverage()
	if err != nil {
		return a, err
	}
	p.loads = append(p.loads, load)
	return a, nil
}

// inOrder makes the minimal client's input of the paths that an audit asked for:
// the version of the API is agreed on first, and the list of containers is there
// before anything is inspected.
func inOrder(paths []string) string {
	const (
		ping = iota
		once
		list
		inspect
	)
	var text [inspect + 1]strings.Builder
	for _, p := range paths {
		part := inspect
		switch u, err := url.Parse(p); {
		case err != nil:
		case u.Path == "/_ping":
			part = ping
		case kindOf(http.MethodGet, u) == kindList:
			part = list
		case kindOf(http.MethodGet, u) == kindOther:
			part = once
		}
		text[part].WriteString(p + "\n")
	}
	return text[ping].String() + "\n" + text[once].String() + text[list].String() + "\n" + text[inspect].String()
}

// total is all requests.
func (a audited) total() int {
	sum := 0
	for _, n := range a.asked {
		sum += n
	}
	return sum
}

// otherWords names what was asked once or more beside lists and inspects.
func (a audited) otherWords() string {
	var words []string
	for _, path := range slices.Sorted(maps.Keys(a.other)) {
		if n := a.other[path]; n > 1 {
			path += fmt.Sprintf(" %d times", n)
		}
		words = append(words, path)
	}
	return strings.Join(words, ", ")
}
