// Package fix writes a script that mends what a program can mend of a report's
// failures, for a person to read and then to run.
//
// [Script] makes it of findings and the facts that they came from: owners and modes
// of files, limits of containers by docker update, rules of the kernel's audit
// system, and daemon.json as a whole. What takes a new container is a comment with
// the flags to run it with, and what only a person can do a comment with the rule's
// remedy. Every step can be taken back, and is done once however often the script
// runs.
//
// A script that root runs must change nothing but what was looked at. A file that
// others can swap gets no step; one that was swapped since, by a link or by another
// file, is left out, by undo too, and the script then ends with 1.
//
// The package runs nothing and reads no file. Names and values come from whoever
// made the containers: in a command each is one quoted word, in a comment nothing
// that ends a line.
//
// The script is for a POSIX shell (IEEE Std 1003.1, XCU 2), with GNU's or busybox's
// stat, cp and sha256sum.
package fix

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/workload/runline"
)

// Config is what a script is made of.
type Config struct {
	// Findings are those of a report about Facts. Failures that were known before
	// (Known) are left alone.
	Findings []finding.Finding
	Facts    *facts.Facts
	// DaemonFile is what the engine's daemon.json holds; nil where that is not known.
	DaemonFile *DaemonFile
	// Engine is how docker's client finds the engine, as its -H takes it; "" as it does
	// by itself.
	Engine string
	// Tool is the program's name and version, for the heading.
	Tool string
}

// DaemonFile is a daemon.json as it is.
type DaemonFile struct {
	Path string
	// Data is nil when there is no such file.
	Data []byte
	// PidFile is where the engine writes its process id.
	PidFile string
}

// Result is a script, and what it does.
type Result struct {
	Text string
	// Steps is how many things it changes, Mended how many failures that mends, and
	// Left how many it leaves to a person.
	Steps, Mended, Left int
}

// step is one change, in the shell's words: a line about it, commands to do it and to
// take it back, and one that is true when there is nothing to do. The number of the
// step is in $n.
type step struct {
	about          string
	do, undo, done string
	// root is true for what only root may do.
	root bool
}

// group is the steps of one kind under a comment.
type group struct {
	heading string
	steps   []step
	// notes are comments after them.
	notes []string
}

// writer collects the groups, in the order of the script.
type writer struct {
	Config
	failures []*finding.Finding
	// mended are the failures that a step mends.
	mended map[*finding.Finding]bool
}

//go:embed library.sh
var library string

// Script writes the script.
func Script(c Config) Result {
	w := &writer{Config: c, mended: map[*finding.Finding]bool{}}
	for i := range c.Findings {
		if f := &c.Findings[i]; f.Status == finding.Fail && !f.Known {
			w.failures = append(w.failures, f)
		}
	}
	groups := []group{w.files(), w.audit(), w.containers(), w.daemon()}
	groups = append(groups, w.recreated(), w.left())
	return w.script(groups)
}

// script puts groups together.
func (w *writer) script(groups []group) Result {
	var body strings.Builder
	n, root := 0, false
	for _, g := range groups {
		if len(g.steps)+len(g.notes) == 0 {
			continue
		}
		body.WriteString("\n" + comment("== "+g.heading+" ==") + "\n")
		for _, s := range g.steps {
			n++
			root = root || s.root
			fmt.Fprintf(&body, "\nabout_%d() { printf '%%s\\n' %s; }\ndone_%d() { %s; }\ndo_%d() { %s; }\nundo_%d() { %s; }\n",
				n, quote(term.Escape(s.about)), n, s.done, n, s.do, n, s.undo)
		}
		for _, note := range g.notes {
			body.WriteString(comment(note) + "\n")
		}
	}
	// With the time: what a later script finds is not what an earlier one kept.
	sum := sha256.Sum256([]byte(w.Facts.Collected.UTC().Format(time.RFC3339Nano) + body.String()))
	id := hex.EncodeToString(sum[:6])
	left := len(w.failures) - len(w.mended)
	var text strings.Builder
	text.WriteString("#!/bin/sh\n")
	for _, line := range []string{
		fmt.Sprintf("Made by %s of what it saw of %s on %s.", w.Tool, w.Facts.Host.Name, w.Facts.Collected.UTC().Format("2006-01-02 15:04 UTC")),
		fmt.Sprintf("It changes %d things, which mends %d failures, and leaves %d to a person: see the end.", n, len(w.mended), left),
		"Read it before you run it.",
		"",
		"  sh FILE             does it; done twice, it changes nothing the second time",
		"  sh FILE --dry-run   says what it would do",
		"  sh FILE undo        takes it back, from copies that it made",
		"",
		"--no-restart leaves it to you to have the engine read its configuration, and --store DIR",
		"keeps the copies elsewhere than below /var/lib/plimsoll/fix.",
	} {
		text.WriteString(comment(line) + "\n")
	}
	if slices.ContainsFunc(groups, func(g group) bool { return g.heading == daemonHeading && len(g.steps) > 0 }) {
		text.WriteString(comment("It holds the whole of daemon.json: keep it from whoever may not read that.") + "\n")
	}
	pidFile := ""
	if w.DaemonFile != nil {
		pidFile = w.DaemonFile.PidFile
	}
	fmt.Fprintf(&text, "\nid=%s\nsteps=%d\nhost=%s\nengine=%s\npidfile=%s\nroot=%s\n", id, n, quote(w.Facts.Host.Name), quote(w.Engine), quote(pidFile), yes(root))
	text.WriteString(body.String())
	text.WriteString("\n" + library)
	return Result{Text: text.String(), Steps: n, Mended: len(w.mended), Left: left}
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// quote writes words for the shell.
func quote(words ...string) string {
	// No argument of a program holds a NUL (execve(2)).
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "\x00", "")
	}
	return runline.Quote(words)
}

// comment makes comments of a text; nothing in it ends the line that it does not end.
func comment(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight("# "+term.Escape(lines[i]), " ")
	}
	return strings.Join(lines, "\n")
}

// name is how a person calls a subject, in one line.
func name(s *finding.Subject) string { return term.Escape(s.Name) }
