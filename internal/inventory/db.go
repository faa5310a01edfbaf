package inventory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
)

// DB is the read model in a file. It may be used by several goroutines, and the file by
// several processes.
type DB struct {
	path string
	// batch is how many events a Sync reads in a transaction.
	batch int
	// turn is held by the one goroutine that syncs; it owns last.
	turn chan struct{}
	last Source // List makes a damaged file anew of it
	// mu is held for reading by whoever uses sql, and by replace, which changes it.
	mu  sync.RWMutex
	sql *sql.DB
}

// Open opens the database, or makes it with its folder where there is none. It reads
// nothing of a trail yet: see Sync.
func Open(path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the inventory: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("opening the inventory: %w", err)
	}
	// Names of people, reasons and images are for those who may read the trail.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the inventory: %w", err)
	}
	f.Close()
	db := &DB{path: path, batch: batch, turn: make(chan struct{}, 1)}
	err = db.alone(func() error {
		if err := db.open(); err != nil {
			return err
		}
		err := db.probe()
		if isDamaged(err) {
			return db.exchange()
		}
		return err
	})
	if err != nil {
		if db.sql != nil {
			err = errors.Join(err, db.sql.Close())
		}
		return nil, fmt.Errorf("opening the inventory %s: %w", path, err)
	}
	return db, nil
}

// Close closes the database.
func (db *DB) Close() error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.sql.Close()
}

func (db *DB) open() (err error) {
	name := url.URL{Scheme: "file", Path: db.path}
	// The driver parts the name at the first question mark; in the path it is escaped.
	db.sql, err = sql.Open("sqlite", name.String()+"?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=cell_size_check(1)&_txlock=immediate")
	return err
}

// probe reads a little, so that a file that is no database is seen at once, and a new one
// gets its write-ahead log.
func (db *DB) probe() error {
	_, err := db.sql.Exec("SELECT count(*) FROM sqlite_master")
	return err
}

// alone does something that only one process may do at a time: it replaces the file, or
// opens it. While one makes a log for a new file, SQLite lets no other wait for it.
func (db *DB) alone(do func() error) error {
	lock, err := os.OpenFile(db.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	for {
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err == nil {
			return do()
		} else if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("locking %s: %w", lock.Name(), err)
		}
	}
}

// replace makes a damaged file anew. Who comes second finds the new file and keeps it.
func (db *DB) replace() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alone(db.exchange); err != nil {
		return fmt.Errorf("replacing the damaged inventory: %w", err)
	}
	return nil
}

// exchange is replace for who is alone.
func (db *DB) exchange() error {
	_ = db.sql.Close() // whatever it says of a damaged file
	if err := db.open(); err != nil {
		return err
	}
	var verdict string
	err := db.sql.QueryRow("PRAGMA quick_check(1)").Scan(&verdict)
	if err == nil && verdict == "ok" {
		return nil
	}
	if err != nil && !isDamaged(err) {
		return fmt.Errorf("checking the file: %w", err)
	}
	_ = db.sql.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(db.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(db.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	if err := db.open(); err != nil {
		return err
	}
	return db.probe()
}

// isDamaged says whether SQLite cannot read the file: SQLITE_CORRUPT, SQLITE_FORMAT or
// SQLITE_NOTADB.
func isDamaged(err error) bool {
	e := new(sqlite.Error)
	if !errors.As(err, &e) {
		return false
	}
	const corrupt, format, notADatabase = 11, 24, 26 // sqlite3.h
	primary := e.Code() & 0xff
	return primary == corrupt || primary == format || primary == notADatabase
}

// hold waits for the right to sync.
func (db *DB) hold(ctx context.Context) (release func(), err error) {
	select {
	case db.turn <- struct{}{}:
		return func() { <-db.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
