package inventory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// writer reads events into a database. It belongs to one Sync.
type writer struct {
	db    *sql.DB
	src   Source
	at    place // that the database has, or will have after commit
	anew  bool  // the next transaction begins with an empty database
	tx    *sql.Tx
	count int // events in the transaction
	batch int // and how many it may have
	// lookup finds deployments of a container; it belongs to the transaction.
	lookup *sql.Stmt

	// known are the last deployments of containers as they are after the last event, as
	// far as they were met; changed are those with something to write.
	known   map[string]*current
	changed []*current
	scans   []any
}

// current is a deployment as the last event left it.
type current struct {
	facts factsRow
	state stateRow
	trait traitRow

	dirty  bool // is in writer.changed
	facty  bool // facts are to be written
	states []stateRow
	traits []traitRow
}

// mostKnown bounds what is kept in memory of containers.
const mostKnown = 20_000

// forget drops what is known of containers: it is read from the database again.
func (w *writer) forget() { w.known = nil }

// touch notes that something of a deployment is to be written.
func (w *writer) touch(c *current) {
	if !c.dirty {
		c.dirty = true
		w.changed = append(w.changed, c)
	}
}

func (w *writer) know(c *current) {
	if w.known == nil {
		w.known = map[string]*current{}
	}
	w.known[c.facts.container] = c
}

// find gives the last deployment of a container, or nil.
func (w *writer) find(ctx context.Context, container string) (*current, error) {
	if c, ok := w.known[container]; ok {
		return c, nil
	}
	c := &current{}
	if w.lookup == nil {
		// Most new containers are asked for; the transaction closes the statement.
		s, err := w.tx.PrepareContext(ctx, "SELECT * FROM deployments WHERE container = ? ORDER BY dep DESC LIMIT 1")
		if err != nil {
			return nil, err
		}
		w.lookup = s
	}
	err := w.lookup.QueryRowContext(ctx, container).Scan(c.facts.fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.state = c.facts.firstState()
	c.trait = c.facts.firstTrait()
	for table, fields := range map[string][]any{"states": c.state.fields(), "traits": c.trait.fields()} {
		err := w.tx.QueryRowContext(ctx, "SELECT * FROM "+table+" WHERE dep = ? ORDER BY at DESC, seq DESC LIMIT 1", c.facts.dep).Scan(fields...)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	w.know(c)
	return c, nil
}

// flush writes all that changed.
func (w *writer) flush(ctx context.Context) error {
	var facts, states, traits []any
	for _, c := range w.changed {
		if c.facty {
			facts = append(facts, c.facts.values()...)
		}
		for i := range c.states {
			states = append(states, c.states[i].values()...)
		}
		for i := range c.traits {
			traits = append(traits, c.traits[i].values()...)
		}
		c.dirty, c.facty, c.states, c.traits = false, false, nil, nil
	}
	for _, t := range []struct {
		table   string
		columns int
		values  []any
	}{
		{"deployments", len((&factsRow{}).fields()), facts},
		{"states", len((&stateRow{}).fields()), states},
		{"traits", len((&traitRow{}).fields()), traits},
		{"scans", scanColumns, w.scans},
	} {
		if err := insert(ctx, w.tx, t.table, t.columns, t.values); err != nil {
			return fmt.Errorf("writing %s: %w", t.table, err)
		}
	}
	w.changed, w.scans = nil, nil
	if len(w.known) > mostKnown {
		w.forget()
	}
	return nil
}

// rowsAtOnce is how many rows a statement writes; one statement a row takes twice the time.
const rowsAtOnce = 40

// insert writes rows whose values are one behind the other.
func insert(ctx context.Context, tx *sql.Tx, table string, columns int, values []any) error {
	row := "(?" + strings.Repeat(",?", columns-1) + ")"
	for _, rows := range []int{rowsAtOnce, 1} {
		n := rows * columns
		if len(values) < n {
			continue
		}
		s, err := tx.PrepareContext(ctx, "INSERT OR REPLACE INTO "+table+" VALUES "+row+strings.Repeat(","+row, rows-1))
		if err != nil {
			return err
		}
		for ; len(values) >= n; values = values[n:] {
			if _, err := s.ExecContext(ctx, values[:n]...); err != nil {
				return errors.Join(err, s.Close())
			}
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}
