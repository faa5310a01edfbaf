// Package rpmdb reads which packages an RPM database has, from one file that nobody vouches
// for.
//
// [Read] finds out which of the three forms of rpm's backends the file has: SQLite
// (rpmdb.sqlite, since rpm 4.16), a hash of Berkeley DB (Packages, before), and ndb
// (Packages.db, of SUSE). Each gives header blobs, and of those a [Package] is made. The
// forms are those of rpm's own sources: lib/header.c, lib/backend/sqlite.c and
// lib/backend/ndb/rpmpkg.c, and of Berkeley DB's dbinc/db_page.h.
//
// Nothing is written, no index is believed, and signatures are not looked at. Each byte of a
// database is read about once: one that names its pages several times is damaged, so that no
// file costs more than its size.
package rpmdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Package is an installed package.
type Package struct {
	Name string
	// Version is [EPOCH:]VERSION-RELEASE, with an epoch that is greater than 0.
	Version string
	Arch    string
	// Licence, SourceRPM (a file's name) and Module (NAME:STREAM:VERSION:CONTEXT) are "" where
	// the package has none.
	Licence, SourceRPM, Module string

	header header
}

// errDamaged is within each error about a database that is not as rpm writes it.
var errDamaged = errors.New("the database is damaged")

func damaged(format string, a ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, a...))
}

// Read gives each package of the database at path to each, in the order of the file. What
// was given before an error is there.
func Read(ctx context.Context, path string, each func(*Package) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	is, err := file.Stat()
	if err != nil {
		return err
	}
	var start [32]byte
	if _, err := file.ReadAt(start[:], 0); err != nil && err != io.EOF {
		return err
	}
	blob := func(data []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := parse(data)
		if err != nil {
			return err
		}
		return each(p)
	}
	switch {
	case string(start[:len(sqliteMagic)]) == sqliteMagic:
		return readSQLite(ctx, path, is.Size(), blob)
	case string(start[:len(ndbMagic)]) == ndbMagic:
		return readNDB(file, is.Size(), blob)
	case berkeleyOrder(start[:]) != nil:
		return readBerkeley(file, is.Size(), blob)
	}
	return damaged("it is no SQLite, no ndb and no hash of Berkeley DB")
}
