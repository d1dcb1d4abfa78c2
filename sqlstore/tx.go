package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// rollbackTimeout bounds the rollback of a failed write.
const rollbackTimeout = 2500 * time.Millisecond

// A tx is a write in progress. It replaces sql.Tx, whose Commit and Rollback ignore the context and
// hang on a frozen connection.
type tx struct {
	ctx  context.Context
	conn *sql.Conn
	d    *dialect
	head apikey.Version // after this write
	now  time.Time

	actor string
	tag   int64 // of every revision of this write
}

func (t *tx) exec(query string, args ...any) error {
	query, args = t.d.withArgs(query, args)
	_, err := t.conn.ExecContext(t.ctx, query, args...)
	return err
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	query, args = t.d.withArgs(query, args)
	return t.conn.QueryContext(t.ctx, query, args...)
}

// insertStep is the number of rows in one INSERT. A row has at most 20 values, and SQLite permits 32,766
// parameters.
const insertStep = 100

// insertInto adds rows to a table. into names the table and its columns.
func (t *tx) insertInto(into string, rows [][]any) error {
	for some := range slices.Chunk(rows, insertStep) {
		row := placeholders(len(some[0]))
		values := strings.TrimSuffix(strings.Repeat(row+", ", len(some)), ", ")
		if err := t.exec("INSERT INTO "+into+" VALUES "+values, slices.Concat(some...)...); err != nil {
			return err
		}
	}
	return nil
}

// advance increments the revision counter and reads it.
func (t *tx) advance(revisions int64) error {
	query := "UPDATE apikey_meta SET rev = rev + ?, tag = ? WHERE one = 1"
	if t.d.returning {
		return t.scanHead(query+" RETURNING "+t.headColumns(), revisions, t.tag)
	}
	if err := t.exec(query, revisions, t.tag); err != nil {
		return err
	}
	return t.readHead()
}

// lock blocks other writes until this one ends. It creates no revision.
func (t *tx) lock() error {
	if err := t.exec("UPDATE apikey_meta SET rev = rev WHERE one = 1"); err != nil {
		return err
	}
	return t.readHead()
}

func (t *tx) headColumns() string { return "epoch, rev, tag, " + t.d.notPrimary }

func (t *tx) readHead() error {
	return t.scanHead("SELECT " + t.headColumns() + " FROM apikey_meta WHERE one = 1")
}

func (t *tx) scanHead(query string, args ...any) error {
	rows, err := t.query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return cmp.Or(rows.Err(), t.d.noMeta())
	}
	var epoch, rev, tag, notPrimary int64
	if err := rows.Scan(&epoch, &rev, &tag, &notPrimary); err != nil {
		return err
	}
	if err := t.d.primaryError(notPrimary); err != nil {
		return err
	}
	t.head = apikey.Version{Epoch: uint64(epoch), Revision: uint64(rev), Tag: uint64(tag)}
	rows.Next() // reads to the end, where a driver may report an error
	return rows.Err()
}

func (t *tx) execAll(ctx context.Context, statements []string) error {
	for _, statement := range statements {
		if _, err := t.conn.ExecContext(ctx, t.d.bind(statement)); err != nil {
			return err
		}
	}
	return nil
}

// rollback rolls back a write that ended with err. It returns err, and the reason if the database
// is not the primary. It closes a connection that does not answer in time; the server then rolls
// back.
func (t *tx) rollback(err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), rollbackTimeout)
	defer cancel()
	_, failed := t.conn.ExecContext(ctx, "ROLLBACK")
	t.ctx = ctx
	if err != nil && !isKeyError(err) && ctx.Err() == nil {
		if cause := t.checkPrimary(); cause != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}
	if failed != nil {
		t.discard()
	} else {
		t.release()
	}
	return err
}

// release restores the settings of the connection and returns it to the pool.
func (t *tx) release() {
	if err := t.execAll(t.ctx, t.d.end); err != nil {
		t.discard()
		return
	}
	t.conn.Close()
}

// discard closes the connection instead of returning it to the pool.
func (t *tx) discard() {
	t.conn.Raw(func(any) error { return driver.ErrBadConn })
	t.conn.Close()
}

// number returns the number that a query selects, or 0 if it selects no row.
func (t *tx) number(query string, args ...any) (n int64, err error) {
	rows, err := t.query(query, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&n)
	}
	return n, errors.Join(err, rows.Err())
}

// numbers returns the column of a query.
func (t *tx) numbers(query string, args ...any) (all []int64, err error) {
	rows, err := t.query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, rows.Err()
}

// delete executes a DELETE and returns the number of rows that it deleted.
func (t *tx) delete(query string, args ...any) (int, error) {
	query, args = t.d.withArgs(query, args)
	result, err := t.conn.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// placeholders returns n placeholders in parentheses.
func placeholders(n int) string { return "(?" + strings.Repeat(", ?", n-1) + ")" }
