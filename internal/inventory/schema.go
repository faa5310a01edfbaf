package inventory

import (
	"context"
	"database/sql"
	"fmt"
)

// version is of the tables and of what is written into them. It changes with either, so
// that a database of another version is made anew.
const version = 2

// schema has times in nanoseconds since 1970. Rows of states and traits are whole: each
// says all that held from its time on, so that one look tells how a deployment was.
const schema = `
CREATE TABLE meta (
	trail    TEXT NOT NULL,
	first    INTEGER NOT NULL, -- event that reading began with
	position INTEGER NOT NULL, -- event to read next
	last     BLOB NOT NULL,    -- SHA-256 of the one before it
	recorded INTEGER NOT NULL  -- when that was
) STRICT;
CREATE TABLE deployments (
	dep         INTEGER PRIMARY KEY, -- its first event
	container   TEXT NOT NULL,
	name        TEXT NOT NULL,       -- the first that is known
	image       TEXT NOT NULL,
	digest      TEXT NOT NULL,
	who         TEXT NOT NULL,
	via         TEXT NOT NULL,
	deployed    INTEGER,             -- absent is unknown
	begin       INTEGER NOT NULL,    -- from when on it is known to be there
	removed     INTEGER,
	found_later INTEGER NOT NULL,
	replaces    TEXT NOT NULL,
	privileged  INTEGER NOT NULL,
	owner       TEXT NOT NULL,
	why         TEXT NOT NULL,
	intent      TEXT NOT NULL,
	retire      TEXT NOT NULL,
	declared    TEXT NOT NULL,
	project     TEXT NOT NULL,
	service     TEXT NOT NULL,
	source      TEXT NOT NULL,
	revision    TEXT NOT NULL,
	version     TEXT NOT NULL,
	from_commit TEXT NOT NULL,
	repository  TEXT NOT NULL,
	run         TEXT NOT NULL
) STRICT;
CREATE INDEX by_container ON deployments(container, dep);
CREATE INDEX present ON deployments(begin) WHERE removed IS NULL;
CREATE INDEX gone ON deployments(removed, begin) WHERE removed IS NOT NULL;
CREATE TABLE states (
	dep        INTEGER NOT NULL,
	at         INTEGER NOT NULL,
	seq        INTEGER NOT NULL,
	state      TEXT NOT NULL,
	since      INTEGER NOT NULL,
	exit_code  INTEGER,
	oom        INTEGER NOT NULL,
	health     TEXT NOT NULL,
	healthy_ms INTEGER,
	restarts   INTEGER NOT NULL,
	PRIMARY KEY (dep, at, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE traits (
	dep     INTEGER NOT NULL,
	at      INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	name    TEXT NOT NULL,
	limits  TEXT NOT NULL,
	judged  INTEGER,
	worst   TEXT NOT NULL,
	failing INTEGER NOT NULL,
	waived  INTEGER NOT NULL,
	PRIMARY KEY (dep, at, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE scans (
	digest   TEXT NOT NULL,
	at       INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	findings INTEGER NOT NULL,
	worst    TEXT NOT NULL,
	PRIMARY KEY (digest, at, seq)
) STRICT, WITHOUT ROWID;
`

// create takes away whatever the database has and makes it empty, for a trail. It is
// done in a transaction, so that other processes see the old or the new one.
func create(ctx context.Context, tx *sql.Tx, name string, first int64) error {
	rows, err := tx.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
	if err != nil {
		return err
	}
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			rows.Close()
			return err
		}
		tables = append(tables, table)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("DROP TABLE %q", table)); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA user_version = %d;", version)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO meta VALUES (?, ?, ?, x'', 0)", name, first, first)
	return err
}
