package inventory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// Listing is the answer to a Filter.
type Listing struct {
	Filter Filter
	// Time is what all is told for: At, or Now.
	Time time.Time
	// Trail and Events say what the answer is made of: the events of the trail up to that
	// number, of which the first First were pruned and not seen.
	Trail         string
	First, Events int64
	// Deployments are in order: what is there before what was removed, worst first.
	Deployments []Deployment
	Summary     Summary
}

// List answers a filter. It reads what Sync left, all of it as it was after one event.
func (db *DB) List(ctx context.Context, f Filter) (*Listing, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	l, err := db.list(ctx, f)
	if isDamaged(err) {
		// The damage is in a part that Sync had no need to read.
		l, err = db.again(ctx, f, err)
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	return l, nil
}

// again makes a damaged database anew and lists from that.
func (db *DB) again(ctx context.Context, f Filter, damage error) (*Listing, error) {
	release, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if db.last == nil {
		return nil, damage
	}
	if err := db.replace(); err != nil {
		return nil, err
	}
	if err := db.update(ctx, db.last); err != nil {
		return nil, err
	}
	return db.list(ctx, f)
}

// latest is after all events.
const latest = math.MaxInt64

// nanoseconds is a time as the tables have it; one that they cannot have is before or
// after all events.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.IsZero() || t.Year() > 2200:
		return latest
	case t.Year() < 1970:
		return 0
	}
	return t.UnixNano()
}

// asItWas joins to deployments what held of them at a time.
const asItWas = `
SELECT d.*, s.*, t.*, c.at, c.findings, c.worst FROM deployments d
LEFT JOIN states s ON s.dep = d.dep AND (s.at, s.seq) = (SELECT at, seq FROM states WHERE dep = d.dep AND at <= ?1 ORDER BY at DESC, seq DESC LIMIT 1)
LEFT JOIN traits t ON t.dep = d.dep AND (t.at, t.seq) = (SELECT at, seq FROM traits WHERE dep = d.dep AND at <= ?1 ORDER BY at DESC, seq DESC LIMIT 1)
LEFT JOIN scans c ON c.digest = d.digest AND (c.at, c.seq) = (SELECT at, seq FROM scans WHERE digest = d.digest AND at <= ?1 ORDER BY at DESC, seq DESC LIMIT 1)
WHERE `

// What was there at a time, and what was there until then.
const (
	present = `d.dep IN (SELECT dep FROM deployments INDEXED BY present WHERE removed IS NULL AND begin <= ?1
		UNION ALL SELECT dep FROM deployments INDEXED BY gone WHERE removed IS NOT NULL AND removed > ?1 AND begin <= ?1)`
	ever = `d.begin <= ?1`
)

func (db *DB) list(ctx context.Context, f Filter) (*Listing, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	tx, err := db.sql.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	p, err := where(ctx, tx)
	if err != nil {
		return nil, err
	}
	if p.trail == "" {
		return nil, errors.New("nothing was read into it yet")
	}
	l := &Listing{Filter: f, Time: f.Now, Trail: p.trail, First: p.first, Events: p.position}
	at := nanoseconds(f.At)
	if !f.At.IsZero() {
		l.Time = f.At
	}
	which := present
	if f.All {
		which = ever
	}
	rows, err := tx.QueryContext(ctx, asItWas+which, at)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		d, err := read(rows, at)
		if err != nil {
			return nil, err
		}
		if f.match(&d, l.Time) {
			l.Deployments = append(l.Deployments, d)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	order(l.Deployments)
	limit := f.Unscanned
	if limit <= 0 {
		limit = longUnscanned
	}
	l.Summary = summarize(l.Deployments, l.Time, limit)
	return l, nil
}

// read makes a deployment of a row of asItWas.
func read(rows *sql.Rows, at int64) (Deployment, error) {
	var f factsRow
	var s struct {
		dep, at, seq, since, exitCode, healthyMS, restarts sql.NullInt64
		oom                                                sql.NullBool
		state, health                                      sql.NullString
	}
	var t struct {
		dep, at, seq, judged, failing, waived sql.NullInt64
		name, limits, worst                   sql.NullString
	}
	var c struct {
		at, findings sql.NullInt64
		worst        sql.NullString
	}
	err := rows.Scan(append(f.fields(), &s.dep, &s.at, &s.seq, &s.state, &s.since, &s.exitCode, &s.oom, &s.health, &s.healthyMS, &s.restarts,
		&t.dep, &t.at, &t.seq, &t.name, &t.limits, &t.judged, &t.worst, &t.failing, &t.waived, &c.at, &c.findings, &c.worst)...)
	if err != nil {
		return Deployment{}, err
	}
	d := Deployment{Name: f.name, Container: f.container, Image: f.image, Digest: f.digest, Who: f.who, Via: f.via, Deployed: moment(f.deployed), FoundLater: f.foundLater,
		Replaces: f.replaces, Privileged: f.privileged, Owner: f.owner, Why: f.why, Intent: f.intent, RetireAfter: f.retire, Declared: f.declared,
		Project: f.project, Service: f.service, Source: f.source, Revision: f.revision, Version: f.versionOf,
		Commit: f.commit, Repository: f.repository, Run: f.run,
		State: Unseen, seq: f.dep}
	if s.dep.Valid {
		d.State, d.OOM, d.Health, d.Restarts = s.state.String, s.oom.Bool, s.health.String, s.restarts.Int64
		if d.State != Unseen {
			d.Since = moment(s.since)
		}
	}
	if s.exitCode.Valid {
		d.ExitCode = &s.exitCode.Int64
	}
	if s.healthyMS.Valid {
		seconds := float64(s.healthyMS.Int64) / 1000
		d.HealthyAfterSeconds = &seconds
	}
	if f.removed.Valid && f.removed.Int64 <= at {
		d.Removed = moment(f.removed)
		d.State, d.Since = Removed, d.Removed
	}
	if t.dep.Valid {
		d.Name, d.Judged, d.Worst, d.Failing, d.Waived = t.name.String, moment(t.judged), finding.Severity(t.worst.String), t.failing.Int64, t.waived.Int64
		if t.limits.String != "" {
			d.Limits = json.RawMessage(t.limits.String)
		}
	}
	d.Scanned, d.ScanFindings, d.ScanWorst = moment(c.at), c.findings.Int64, finding.Severity(c.worst.String)
	return d, nil
}

func moment(ns sql.NullInt64) time.Time {
	if !ns.Valid {
		return time.Time{}
	}
	return time.Unix(0, ns.Int64).UTC()
}
