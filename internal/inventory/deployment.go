package inventory

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// The states of a deployment.
const (
	Created = "created" // made, and never started
	Running = "running"
	Paused  = "paused"
	Exited  = "exited"
	Removed = "removed"
	Unseen  = "unknown" // nothing that was recorded tells
)

// Deployment is a container that was put into the world, as it was at the time of a
// Listing. Zero times and empty texts are unknown or not given. Its JSON is a part of
// the schema plimsoll/inventory/1.
type Deployment struct {
	Name      string `json:"name"`
	Container string `json:"container"` // the engine's id
	Image     string `json:"image"`     // as it was asked for
	Digest    string `json:"digest,omitempty"`

	// Who did it: a user, or what else the trail knows of the actor. Via is how: "gate".
	Who        string    `json:"who,omitempty"`
	Via        string    `json:"via,omitempty"`
	Deployed   time.Time `json:"deployed,omitzero"`
	FoundLater bool      `json:"found_later,omitempty"` // not recorded when it was made
	Replaces   string    `json:"replaces,omitempty"`    // id of the container that had the name
	Privileged bool      `json:"privileged,omitempty"`

	// What was declared, and where: "labels", "deploy".
	Owner       string `json:"owner,omitempty"`
	Why         string `json:"why,omitempty"`
	Intent      string `json:"intent,omitempty"`
	RetireAfter string `json:"retire_after,omitempty"` // a date, or RFC 3339
	Declared    string `json:"declared_in,omitempty"`

	Project  string `json:"project,omitempty"`
	Service  string `json:"service,omitempty"`
	Source   string `json:"source,omitempty"` // of the image, as its labels say
	Revision string `json:"revision,omitempty"`
	Version  string `json:"version,omitempty"`

	// What plimsoll deploy knew of the deployment: what was checked out where it ran, with
	// -dirty behind it where it was changed, where that came from, and the run of continuous
	// integration.
	Commit     string `json:"commit,omitempty"`
	Repository string `json:"repository,omitempty"`
	Run        string `json:"run,omitempty"`

	State    string    `json:"state"`
	Since    time.Time `json:"since,omitzero"`
	ExitCode *int64    `json:"exit_code,omitempty"` // of the last end, until it runs again
	OOM      bool      `json:"oom,omitempty"`       // the kernel ended it for want of memory
	// Health is "healthy", "sick" or, before the first check and where there is none, "".
	Health string `json:"health,omitempty"`
	// HealthyAfterSeconds is how long after its last start it became healthy.
	HealthyAfterSeconds *float64 `json:"healthy_after_s,omitempty"`
	// Restarts counts those by the engine.
	Restarts int64     `json:"restarts,omitempty"`
	Removed  time.Time `json:"removed,omitzero"`
	// Limits are those that were last told of, as the event has them.
	Limits json.RawMessage `json:"limits,omitempty"`

	// Judged is when the rules' verdict last changed; zero is never judged. Worst is the
	// gravest severity that fails, or "".
	Judged  time.Time        `json:"judged,omitzero"`
	Worst   finding.Severity `json:"worst,omitempty"`
	Failing int64            `json:"failing"`
	Waived  int64            `json:"waived,omitempty"`

	// Scanned is when its image was last scanned for known vulnerabilities.
	Scanned      time.Time        `json:"last_scanned,omitzero"`
	ScanWorst    finding.Severity `json:"scan_worst,omitempty"`
	ScanFindings int64            `json:"scan_findings,omitempty"`

	seq int64 // of the first event about it
}

// isDay tells a date from a date with a time.
func isDay(s string) bool { return len(s) == len(time.DateOnly) }

// retire reads when a deployment is to be retired. A day begins where the reader is.
func (d *Deployment) retire(where *time.Location) (at time.Time, ok bool) {
	if isDay(d.RetireAfter) {
		at, err := time.ParseInLocation(time.DateOnly, d.RetireAfter, where)
		return at, err == nil
	}
	at, err := time.Parse(time.RFC3339, d.RetireAfter)
	return at, err == nil
}

// Overdue says whether a deployment should be retired: its time has come, or its day.
// What was removed is not.
func (d *Deployment) Overdue(now time.Time) bool {
	at, ok := d.retire(now.Location())
	return ok && !at.After(now) && d.Removed.IsZero()
}

// Unowned says whether a deployment has no owner.
func (d *Deployment) Unowned() bool { return d.Owner == "" }

// Unscanned says whether the image of a deployment was not scanned for so long.
func (d *Deployment) Unscanned(now time.Time, limit time.Duration) bool {
	return d.Scanned.IsZero() || now.Sub(d.Scanned) > limit
}

// gravity ranks deployments, the gravest first: by severity, then what was not judged,
// then what is accepted, then what is clear.
func (d *Deployment) gravity() int {
	after := len(finding.Severities)
	switch {
	case d.Failing > 0 && d.Worst.Rank() >= 0:
		return d.Worst.Rank()
	case d.Failing > 0 || d.Judged.IsZero():
		return after
	case d.Waived > 0:
		return after + 1
	}
	return after + 2
}

// order sorts deployments as they are shown: what is there before what was removed, worst
// first, of those the ones that most fails for, then by name.
func order(list []Deployment) {
	slices.SortFunc(list, func(a, b Deployment) int {
		gone := func(d *Deployment) int {
			if d.Removed.IsZero() {
				return 0
			}
			return 1
		}
		return cmp.Or(gone(&a)-gone(&b), a.gravity()-b.gravity(), cmp.Compare(b.Failing, a.Failing), cmp.Compare(b.Waived, a.Waived),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Container, b.Container), cmp.Compare(a.seq, b.seq))
	})
}

// Summary counts deployments that are there.
type Summary struct {
	Deployments int `json:"deployments"`
	Removed     int `json:"removed"` // are listed too, and counted nowhere else
	Failing     int `json:"failing"` // deployments that something fails for
	Unowned     int `json:"unowned"`
	Overdue     int `json:"overdue"`
	Unscanned   int `json:"unscanned"`
	// UnscannedForSeconds is what counts as long.
	UnscannedForSeconds int64 `json:"unscanned_for_s"`
}

// longUnscanned is what counts as long where nobody said.
const longUnscanned = 30 * 24 * time.Hour

func summarize(list []Deployment, now time.Time, limit time.Duration) Summary {
	s := Summary{UnscannedForSeconds: int64(limit / time.Second)}
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	for i := range list {
		d := &list[i]
		if !d.Removed.IsZero() {
			s.Removed++
			continue
		}
		s.Deployments++
		count(&s.Failing, d.Failing > 0)
		count(&s.Unowned, d.Unowned())
		count(&s.Overdue, d.Overdue(now))
		count(&s.Unscanned, d.Unscanned(now, limit))
	}
	return s
}
