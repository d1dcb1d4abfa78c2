package sqlstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// begin begins a write that may last until ctx is done. A transaction changes nothing before it is
// used, so begin may try several connections.
func (s *Store) begin(ctx context.Context) (*tx, error) {
	return hedge(ctx, s, operation[*tx]{
		db:     s.db,
		urgent: true,
		do: func(attempt context.Context) (*tx, error) {
			t, err := s.beginOnce(attempt)
			if err == nil {
				t.ctx = ctx
			}
			return t, err
		},
		discard: func(t *tx) { t.rollback(nil) },
	})
}

// beginOnce begins a write on one connection.
func (s *Store) beginOnce(ctx context.Context) (*tx, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t := &tx{ctx: ctx, conn: conn, d: s.d, now: time.Now()}
	for {
		err := t.execAll(ctx, s.d.begin)
		if err == nil {
			return t, nil
		}
		if !isLockConflict(err) {
			return nil, t.rollback(err)
		}
		// Another process holds the lock of the SQLite database. SQLite's own busy timeout polls
		// ever more rarely, so that a busy writer could starve the others, and ignores the context.
		select {
		case <-time.After(rand.N(5 * time.Millisecond)):
		case <-ctx.Done():
			return nil, t.rollback(errors.Join(ctx.Err(), err))
		}
	}
}
