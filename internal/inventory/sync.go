package inventory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
)

// batch is how many events are read in a transaction: what is lost by an end in the
// midst of it, and how long other processes may have to wait.
const batch = 4000

// Sync reads the events that the database has not read yet. Where it is not of this
// trail, of another version, ahead of the trail, or damaged, it is made anew. A Sync that
// was ended at any moment leaves the database as it was after some event, and the next
// one goes on from there.
func (db *DB) Sync(ctx context.Context, src Source) error {
	release, err := db.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	db.last = src
	return db.update(ctx, src)
}

// update is Sync for who holds the turn.
func (db *DB) update(ctx context.Context, src Source) error {
	for try := 0; ; try++ {
		err := db.read(ctx, src)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			// What the end of its context does to a transaction has many names.
			return fmt.Errorf("bringing the inventory up to date: %w", ctx.Err())
		case errors.Is(err, errMoved) && try < 10:
			continue
		case isDamaged(err) && try == 0:
			if err := db.replace(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("bringing the inventory up to date: %w", err)
		}
	}
}

// errMoved says that another process made the database anew meanwhile; only update
// branches on it.
var errMoved = errors.New("another process made the inventory anew")

// place says what a database has read.
type place struct {
	trail           string
	first, position int64
	last            string // SHA-256 of the event before position
	recorded        int64  // time of that event
}

// queryer is a database or a transaction that is read.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// where reads the place of a database. One of another version, or that says nothing of
// itself, has none.
func where(ctx context.Context, q queryer) (place, error) {
	var p place
	var v int
	if err := q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return p, err
	}
	if v != version {
		return p, nil
	}
	var last []byte
	err := q.QueryRowContext(ctx, "SELECT trail, first, position, last, recorded FROM meta").Scan(&p.trail, &p.first, &p.position, &last, &p.recorded)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil
	}
	p.last = string(last)
	return p, err
}

// read reads what is new of a trail, or all.
func (db *DB) read(ctx context.Context, src Source) (err error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	at, err := where(ctx, db.sql)
	if err != nil {
		return err
	}
	if at.trail == src.Name() && (at.position > src.Size() || at.first > src.First()) {
		if src, err = src.Again(); err != nil {
			return fmt.Errorf("reading the trail again: %w", err)
		}
	}
	w := &writer{db: db.sql, batch: db.batch, src: src, at: at}
	defer func() { err = errors.Join(err, w.abort()) }()
	w.anew = at.trail != src.Name() || at.first != src.First() || at.position > src.Size()
	if !w.anew && at.position > at.first {
		// The last event that was read must still be what it was.
		for r, err := range src.Events(at.position - 1) {
			if err != nil {
				return fmt.Errorf("reading the trail: %w", err)
			}
			sum := sha256.Sum256(r.Data)
			w.anew = r.Seq != at.position-1 || string(sum[:]) != at.last
			break
		}
	}
	if w.anew {
		if err := w.begin(ctx); err != nil {
			return err
		}
	}
	if w.at.position == src.Size() {
		return w.commit(ctx)
	}
	for r, err := range src.Events(w.at.position) {
		if err != nil {
			return fmt.Errorf("reading the trail: %w", err)
		}
		if err := w.event(ctx, r.Seq, r.Data); err != nil {
			return err
		}
	}
	return w.commit(ctx)
}

// event reads an event, and commits when enough have come together.
func (w *writer) event(ctx context.Context, seq int64, data []byte) error {
	if w.tx == nil {
		if err := w.begin(ctx); err != nil {
			return err
		}
	}
	if seq < w.at.position {
		return nil // another process was faster
	}
	if seq != w.at.position {
		return fmt.Errorf("reading the trail: event %d follows where %d should", seq, w.at.position)
	}
	e, err := decode(data)
	if err != nil {
		return fmt.Errorf("reading event %d: %w", seq, err)
	}
	if err := w.apply(ctx, seq, e); err != nil {
		return fmt.Errorf("storing event %d: %w", seq, err)
	}
	sum := sha256.Sum256(data)
	w.at.position, w.at.last, w.at.recorded = seq+1, string(sum[:]), e.Time.UnixNano()
	if w.count++; w.count >= w.batch {
		return w.commit(ctx)
	}
	return nil
}

// begin begins a transaction. What another process did meanwhile is accepted if it went
// on in the same trail.
func (w *writer) begin(ctx context.Context) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	w.tx, w.lookup, w.count = tx, nil, 0
	now, err := where(ctx, tx)
	if err != nil {
		return err
	}
	if now != w.at {
		if w.anew || now.trail != w.at.trail || now.first != w.at.first || now.position < w.at.position {
			return errMoved
		}
		w.at = now
		w.forget()
	}
	if w.anew {
		w.anew = false
		w.at = place{trail: w.src.Name(), first: w.src.First(), position: w.src.First()}
		return create(ctx, tx, w.at.trail, w.at.first)
	}
	return nil
}

// commit writes what came together, and up to where that is, in the same transaction.
func (w *writer) commit(ctx context.Context) error {
	if w.tx == nil {
		return nil
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	if _, err := w.tx.ExecContext(ctx, "UPDATE meta SET position = ?, last = ?, recorded = ?", w.at.position, []byte(w.at.last), w.at.recorded); err != nil {
		return err
	}
	if err := w.tx.Commit(); err != nil {
		return err
	}
	w.tx = nil
	return nil
}

// abort ends a transaction that was not committed.
func (w *writer) abort() error {
	if w.tx == nil {
		return nil
	}
	if err := w.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}
