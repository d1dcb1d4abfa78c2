package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-dev/apikey"
)

// rollbackTimeout bounds how long a failed write waits to be undone.
const rollbackTimeout = time.Second

// A tx is a write in progress. It is no sql.Tx, whose Commit and Rollback wait for a
// connection that has frozen, whatever the context.
type tx struct {
	ctx  context.Context
	conn *sql.Conn
	d    *dialect
	head apikey.Cursor // the state that this write makes
	now  time.Time
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.conn.ExecContext(t.ctx, t.d.rebind(query), args...)
	return err
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	return t.conn.QueryContext(t.ctx, t.d.rebind(query), args...)
}

// A change is what a write did to a key, for the audit trail and for caches.
type change struct {
	action string
	id     string
	seq    int64
	digest apikey.Digest
	detail string
}

// write carries out one change of the store. It takes the counter row first, so that one
// write at a time is under way in the whole fleet: what f reads cannot change before it
// writes, and revisions are committed in their order. f may make as many changes as
// revisions were asked for; with none, nothing is written.
func (s *Store) write(ctx context.Context, revisions int64, f func(t *tx) ([]change, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timely, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.WriteTimeout)
	defer cancel()
	// In this process they wait here, where waiting costs no connection.
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return fmt.Errorf("sqlstore: waiting to write: %w", ctx.Err())
	case <-timely.Done():
		return fmt.Errorf("sqlstore: waiting to write: %w", timely.Err())
	}
	t, err := s.begin(timely)
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	changes, err := t.run(actorOf(ctx), revisions, f)
	if err != nil || len(changes) == 0 {
		t.rollback()
		if err != nil && !isOurs(err) {
			err = fmt.Errorf("sqlstore: %w", err)
		}
		return err
	}
	if err := t.execAll(t.ctx, s.d.commit); err != nil {
		t.discard()
		// It may have happened.
		for _, c := range changes {
			s.subs.publish(c.digest, apikey.Cursor{})
		}
		return fmt.Errorf("sqlstore: the write may have happened; repeat it: %w", err)
	}
	t.release()
	for _, c := range changes {
		s.subs.publish(c.digest, t.head)
	}
	return nil
}

// run does all between the beginning and the commit.
func (t *tx) run(actor string, revisions int64, f func(t *tx) ([]change, error)) ([]change, error) {
	tag := rand.Int64()
	if err := t.exec("UPDATE apikey_meta SET rev = rev + ?, tag = ? WHERE one = 1", revisions, tag); err != nil {
		return nil, err
	}
	if err := t.readHead(); err != nil {
		return nil, err
	}
	changes, err := f(t)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	if int64(len(changes)) != revisions {
		return nil, fmt.Errorf("%d changes for %d revisions", len(changes), revisions)
	}
	for i, c := range changes {
		rev := int64(t.head.Revision) - revisions + 1 + int64(i)
		if err := t.exec("INSERT INTO apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			rev, tag, microsOf(t.now), actor, c.action, c.id, c.seq, c.detail); err != nil {
			return nil, err
		}
	}
	if t.d.notify != "" {
		if err := t.exec(t.d.notify); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

func (t *tx) readHead() error {
	rows, err := t.query("SELECT epoch, rev, tag FROM apikey_meta WHERE one = 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return cmp.Or(rows.Err(), errNoMeta)
	}
	var epoch, rev, tag int64
	if err := rows.Scan(&epoch, &rev, &tag); err != nil {
		return err
	}
	t.head = apikey.Cursor{Epoch: uint64(epoch), Revision: uint64(rev), Tag: uint64(tag)}
	return rows.Err()
}

func (t *tx) execAll(ctx context.Context, statements []string) error {
	for _, statement := range statements {
		if _, err := t.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// rollback undoes what was begun. A connection that will not do so in time is thrown away,
// and the server undoes it.
func (t *tx) rollback() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), rollbackTimeout)
	defer cancel()
	if _, err := t.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		t.discard()
		return
	}
	t.ctx = ctx
	t.release()
}

// release gives the connection back to the pool as it was taken from there.
func (t *tx) release() {
	if err := t.execAll(t.ctx, t.d.end); err != nil {
		t.discard()
		return
	}
	t.conn.Close()
}

// discard closes the connection instead of giving it back to the pool.
func (t *tx) discard() {
	t.conn.Raw(func(any) error { return driver.ErrBadConn })
	t.conn.Close()
}

// maxActor is how many characters of an actor are written.
const maxActor = 200

// actorOf returns who makes a change, as every database can hold it: what somebody is called
// must not keep them from revoking a key.
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
		return r // what is no UTF-8 is a RuneError already
	}, actor)
}
