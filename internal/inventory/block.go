package inventory

import (
	"fmt"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/term"
)

// Where the values of a block begin.
const valueColumn = 17

// blocks writes all that is known of each deployment.
func (t *table) blocks() {
	for i := range t.l.Deployments {
		if i > 0 {
			t.text.WriteString("\n")
		}
		t.block(&t.l.Deployments[i])
	}
}

func (t *table) block(d *Deployment) {
	now := t.l.Time
	name := t.out.Escape(d.called())
	style, _, verdict := d.verdict()
	sign := t.out.Glyph(style)
	// The sign stands in the middle of three cells.
	gap := max(t.out.Width()-1-term.Width(name)-3-1-term.Width(verdict), 1)
	t.text.WriteString(" " + t.out.Paint(term.Bold, name) + strings.Repeat(" ", gap) + sign + " " + verdict + "\n")

	t.field("image", plain(fullImage(d)))
	deployed := unknown
	if !d.Deployed.IsZero() {
		deployed = d.Deployed.In(now.Location()).Format(minute)
	}
	deployed += " by " + orUnknown(d.Who)
	if d.Via == "gate" {
		deployed += ", through the gate"
	}
	if d.FoundLater {
		deployed += ", found later"
	}
	t.field("deployed", plain(deployed))
	t.field("why", given(d.Why))
	t.field("owner", given(d.Owner))
	t.field("intent", given(d.Intent))
	t.field("retire after", d.retireWords(now))
	scan := d.scan(now)
	if !d.Scanned.IsZero() {
		scan.text = d.Scanned.In(now.Location()).Format(minute) + ", " + scan.text
		if d.ScanFindings > 0 {
			scan.text += fmt.Sprintf(": %s known, worst %s", number(d.ScanFindings), orUnknown(string(d.ScanWorst)))
		}
	}
	t.field("last scanned", scan)
	t.field("state", plain(d.stateWords(now)))
	t.more(d)
}

// retireWords are the date and how far it is.
func (d *Deployment) retireWords(now time.Time) words {
	w := d.retiring(now, time.DateOnly)
	at, ok := d.retire(now.Location())
	if !ok {
		return w
	}
	format := minute
	if isDay(d.RetireAfter) {
		format = time.DateOnly
	}
	date := at.In(now.Location()).Format(format)
	if w.text != at.In(now.Location()).Format(time.DateOnly) {
		date += ", " + w.text
	}
	return words{date, w.style}
}

// stateWords are the state, for how long, and how it came to it.
func (d *Deployment) stateWords(now time.Time) string {
	s := d.status()
	if d.State == Exited && d.OOM && d.ExitCode != nil {
		s = fmt.Sprintf("exited %d, out of memory", *d.ExitCode)
	}
	if !d.Since.IsZero() {
		s += ", " + span(now.Sub(d.Since))
	}
	if d.HealthyAfterSeconds != nil {
		s += fmt.Sprintf("; healthy after %g s", *d.HealthyAfterSeconds)
	}
	if d.Restarts > 0 {
		s += "; restarted " + count(int(d.Restarts), "time", "times") + " by the engine"
	}
	return s
}

// more writes what only some deployments have.
func (t *table) more(d *Deployment) {
	part := d.Project
	if d.Service != "" {
		part = strings.TrimPrefix(part+", service "+d.Service, ", ")
	}
	at := func(repository, commit string) string {
		if commit == "" {
			return repository
		}
		return strings.TrimPrefix(repository+" at "+commit, " at ")
	}
	limits := ""
	if len(d.Limits) > 0 {
		limits = string(d.Limits)
	}
	privileged := ""
	if d.Privileged {
		privileged = "every privilege of the host"
	}
	for _, f := range [][2]string{{"part of", part}, {"made from", at(d.Source, d.Revision)}, {"deployed from", at(d.Repository, d.Commit)}, {"run", d.Run}, {"version", d.Version}, {"limits", limits}, {"privileged", privileged},
		{"replaces", d.Replaces[:min(len(d.Replaces), 12)]}, {"container", d.Container}} {
		if f[1] != "" {
			t.field(f[0], plain(f[1]))
		}
	}
}

// field writes a name and its value, on a terminal wrapped under itself.
func (t *table) field(name string, w words) {
	lead := "   " + t.out.Paint(term.Faint, name) + strings.Repeat(" ", valueColumn-3-len(name))
	lines := []string{t.out.Escape(w.text)}
	if t.out.Terminal() {
		lines = term.Wrap(lines[0], t.out.Width()-valueColumn)
	}
	for _, line := range lines {
		t.text.WriteString(lead + t.out.Paint(w.style, line) + "\n")
		lead = strings.Repeat(" ", valueColumn)
	}
}

func orUnknown(s string) string { return ordinary(s).text }
