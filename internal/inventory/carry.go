package inventory

import (
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// carried marks a deploy event that repeats what earlier events told of a container.
const carried = "carried"

// Carried is the event that repeats what is known of a deployment that is there. Who
// prunes a trail appends it for each of them before: else what was declared when they
// were made would be thrown away with the events of that time. To a database that knows
// the container it says nothing new.
func Carried(d Deployment) trail.Event {
	e := trail.Event{Type: trail.Deploy,
		Subject: trail.Subject{Kind: "container", ID: d.Container, Name: d.Name, Image: d.Image, Digest: d.Digest},
		Detail:  map[string]any{carried: true}}
	declared := trail.Declared{Owner: d.Owner, Why: d.Why, Intent: d.Intent, RetireAfter: d.RetireAfter, Source: d.Declared}
	if declared != (trail.Declared{}) {
		e.Declared = &declared
	}
	for name, s := range map[string]string{"who": d.Who, "via": d.Via, "replaces": d.Replaces, "project": d.Project, "compose_service": d.Service,
		"source": d.Source, "revision": d.Revision, "version": d.Version, "commit": d.Commit, "repository": d.Repository, "run": d.Run, "state": d.State, "health": d.Health, "worst": string(d.Worst), "scan_worst": string(d.ScanWorst)} {
		if s != "" {
			e.Detail[name] = s
		}
	}
	for name, t := range map[string]time.Time{"created": d.Deployed, "since": d.Since, "judged": d.Judged, "scanned": d.Scanned} {
		if !t.IsZero() {
			e.Detail[name] = t.UTC().Format(time.RFC3339Nano)
		}
	}
	for name, n := range map[string]int64{"restarts": d.Restarts, "failing": d.Failing, "waived": d.Waived, "scan_findings": d.ScanFindings} {
		if n != 0 {
			e.Detail[name] = n
		}
	}
	for name, b := range map[string]bool{"found_later": d.FoundLater, "privileged": d.Privileged, "oom": d.OOM} {
		if b {
			e.Detail[name] = true
		}
	}
	if d.ExitCode != nil {
		e.Detail["exit_code"] = *d.ExitCode
	}
	if d.HealthyAfterSeconds != nil {
		e.Detail["healthy_after_s"] = *d.HealthyAfterSeconds
	}
	if len(d.Limits) > 0 {
		e.Detail["limits"] = json.RawMessage(d.Limits)
	}
	return e
}

// carry takes from a carried event what other events told of a new deployment.
func (w *writer) carry(c *current, seq int64, d detail, recorded int64) {
	at := func(name string) int64 {
		t, ok := d.time(name, recorded)
		if !ok {
			return recorded
		}
		return max(t, c.facts.begin)
	}
	s := c.next(d.text("state"), seq, at("since"))
	if !slices.Contains([]string{Created, Running, Paused, Exited}, s.state) {
		s.state = Unseen
	}
	s.since = s.at
	code, ok := d.number("exit_code")
	s.exitCode, s.oom, s.health, s.restarts = sql.NullInt64{Int64: code, Valid: ok}, d.flag("oom"), d.text("health"), d.count("restarts")
	ms, ok := d.milliseconds("healthy_after_s")
	s.healthyMS = sql.NullInt64{Int64: ms, Valid: ok}
	c.setState(s)
	if d.text("judged") != "" {
		t := c.trait
		t.judged = sql.NullInt64{Int64: at("judged"), Valid: true}
		t.failing, t.waived, t.worst = d.count("failing"), d.count("waived"), d.severity("worst")
		c.setTrait(t, seq, t.judged.Int64)
		if t.judged.Int64 == c.facts.begin {
			c.traits = c.traits[len(c.traits)-1:] // one row for one time
		}
	}
	if scan, ok := d.time("scanned", recorded); ok && c.facts.digest != "" {
		w.scans = append(w.scans, c.facts.digest, scan, seq, d.count("scan_findings"), d.severity("scan_worst"))
	}
}
