package rpmdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // the driver sqlite
)

const sqliteMagic = "SQLite format 3\x00"

// maxRows is how many packages there may be: a tree whose pages name each other often gives
// rows without end.
const maxRows = 1 << 20

// readSQLite reads the blobs of the table Packages. The file may not be changed, which
// spares locks, and its schema may call no functions that do anything
// (https://www.sqlite.org/security.html, section 1.2).
func readSQLite(ctx context.Context, path string, size int64, blob func([]byte) error) (err error) {
	name := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&immutable=1&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := isTable(ctx, db); err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, "SELECT CASE WHEN length(blob) <= ? THEN blob END FROM Packages", maxBlob)
	if err != nil {
		return damaged("%v", err)
	}
	defer rows.Close()
	left := size
	for n := 0; rows.Next(); n++ {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return damaged("%v", err)
		}
		left -= int64(len(data))
		if n == maxRows || left < 0 {
			return damaged("its rows hold more than its pages")
		}
		if err := blob(data); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return errors.Join(ctx.Err(), damaged("%v", err))
	}
	return nil
}

// isTable makes sure that Packages is a table with a column of bytes: a view, or a column
// that is computed, could give rows without end.
func isTable(ctx context.Context, db *sql.DB) error {
	var kind, text string
	var hidden int
	err := db.QueryRowContext(ctx, "SELECT type, lower(substr(sql, 1, 20)) FROM sqlite_schema WHERE name = 'Packages'").Scan(&kind, &text)
	if err == nil {
		err = db.QueryRowContext(ctx, "SELECT hidden FROM pragma_table_xinfo('Packages') WHERE name = 'blob'").Scan(&hidden)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return damaged("it has no table of packages")
	case err != nil:
		return errors.Join(ctx.Err(), damaged("%v", err))
	case kind != "table" || len(text) < 12 || text[:12] != "create table" || hidden != 0:
		return fmt.Errorf("%w: Packages is no ordinary table", errDamaged)
	}
	return nil
}
