package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// A change of one key, for the audit trail and for caches.
type change struct {
	action string
	id     string
	seq    int64
	digest apikey.Digest
	fields []apikey.FieldChange
}

// write executes f in a transaction with new revisions. It increments the counter row first, so
// that only one write at a time runs on the database. No other write can therefore change the rows
// that f reads, and revisions are committed in order. f returns one change per revision, or no
// change to write nothing.
func (s *Store) write(ctx context.Context, revisions int64, f func(t *tx) ([]change, error)) error {
	return s.transact(ctx, func(t *tx) ([]apikey.Digest, error) {
		changes, err := t.run(revisions, f)
		if err == nil && len(changes) == 0 {
			err = errUnchanged
		}
		digests := make([]apikey.Digest, len(changes))
		for i := range changes {
			digests[i] = changes[i].digest
		}
		return digests, err
	})
}

// transact executes f in a transaction and publishes the digests that f returns to subscribers. If
// f returns errUnchanged, transact rolls back and returns nil.
func (s *Store) transact(ctx context.Context, f func(t *tx) ([]apikey.Digest, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d := newDeadline(context.WithoutCancel(ctx), "Options.WriteTimeout", s.writeTimeout())
	bounded, cancel := context.WithDeadline(context.WithoutCancel(ctx), d.at)
	defer cancel()
	// Writes of this process queue here, because waiting for the counter row takes a connection.
	select {
	case s.writeSlot <- struct{}{}:
		defer func() { <-s.writeSlot }()
	case <-ctx.Done():
		return fmt.Errorf("sqlstore: waiting to write: %w", ctx.Err())
	case <-bounded.Done():
		return fmt.Errorf("sqlstore: %w", d.explain("other writes of this process did not end", bounded.Err()))
	}
	if err := s.file.check(bounded); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	defer s.queue.connectionFreed()
	t, err := s.begin(bounded)
	if err != nil {
		return s.failedWrite(&d, bounded, err)
	}
	t.actor, t.tag = actorOf(ctx), rand.Int64()
	panicked := true
	defer func() {
		if panicked { // in Condition.Check; other writes would otherwise wait for the connection's locks
			t.rollback(nil)
		}
	}()
	digests, err := f(t)
	panicked = false
	if err != nil {
		if errors.Is(err, errUnchanged) {
			err = nil
		}
		if err = t.rollback(err); err != nil && !isKeyError(err) {
			err = s.explainDuplicate(ctx, err)
		}
		return s.failedWrite(&d, bounded, err)
	}
	err = t.exec(s.d.commit)
	if err == nil {
		t.release()
		err = s.file.check(bounded) // otherwise the write may be in a file that was deleted
	} else {
		t.discard()
	}
	if err != nil {
		// The write may have happened.
		for _, d := range digests {
			s.subs.publish(d, apikey.Version{})
		}
		if bounded.Err() != nil {
			err = d.explain("no answer", err)
		}
		return &uncertainError{err}
	}
	for _, d := range digests {
		s.subs.publish(d, t.head)
	}
	return nil
}

// failedWrite returns the error of a write that did not happen.
func (s *Store) failedWrite(d *deadline, ctx context.Context, err error) error {
	if cause, ok := causeOfCheck(err); ok {
		return cause
	}
	switch {
	case err == nil || isKeyError(err):
		return err
	case ctx.Err() != nil:
		err = d.explain("the write did not end", err)
	}
	return fmt.Errorf("sqlstore: %w", s.explain(err))
}

// run executes the part of a write between its beginning and its commit.
func (t *tx) run(revisions int64, f func(t *tx) ([]change, error)) ([]change, error) {
	if err := t.advance(revisions); err != nil {
		return nil, err
	}
	changes, err := f(t)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	if int64(len(changes)) != revisions {
		return nil, fmt.Errorf("%d changes for %d revisions", len(changes), revisions)
	}
	entries := make([][]any, len(changes))
	for i, c := range changes {
		rev := int64(t.head.Revision) - revisions + 1 + int64(i)
		entries[i] = []any{rev, t.tag, microsOf(t.now), t.actor, c.action, c.id, c.seq, c.detail(), c.json()}
	}
	return changes, t.insertInto("apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail, changes)", entries)
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

// maxActor is the maximum number of characters of an actor in the audit trail.
const maxActor = 200

// actorOf returns the actor of a change as text that every database can store. It shortens and
// replaces instead of failing, because an actor's name must not prevent a revocation.
func actorOf(ctx context.Context) string {
	actor := apikey.Actor(ctx)
	actor = actor[:min(len(actor), maxActor*utf8.UTFMax)]
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > maxActor {
			return -1
		}
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r // strings.Map has replaced invalid UTF-8 by RuneError
	}, actor)
}
