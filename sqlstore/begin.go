package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// firstTry is how long the first connection may take to begin a write.
	firstTry = time.Second
	// weedTimeout is how long an idle connection may take to show that it is alive. Who has
	// waited for less knows nothing of connections.
	weedTimeout = 200 * time.Millisecond
)

// begin begins a write that may go on for as long as ctx. A connection that a firewall has
// forgotten swallows what it is given without a word, and nothing has happened before it
// answers, so another one is tried then; each has twice the time of the one before, in case it
// is the network that is slow.
func (s *Store) begin(ctx context.Context) (*tx, error) {
	for patience := firstTry; ; patience *= 2 {
		begun := time.Now()
		t, silent, err := s.tryBegin(ctx, patience)
		if !silent {
			return t, err
		}
		s.weed(s.db, begun)
	}
}

// tryBegin begins on one connection. silent says that it did not answer in time, and that
// there is time left.
func (s *Store) tryBegin(ctx context.Context, patience time.Duration) (t *tx, silent bool, err error) {
	try, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.db.Conn(try)
	if err != nil {
		return nil, try.Err() != nil && ctx.Err() == nil, err
	}
	t = &tx{ctx: ctx, conn: conn, d: s.d, now: time.Now()}
	for {
		err := t.execAll(try, s.d.begin)
		if err == nil {
			return t, false, nil
		}
		if !isBusy(err) {
			silent := try.Err() != nil && ctx.Err() == nil
			t.rollback()
			return nil, silent, err
		}
		// The lock on the whole of an SQLite database is held by another process. SQLite would
		// look for it ever more rarely, so one that writes much could keep the others from it,
		// and it heeds no context meanwhile.
		select {
		case <-time.After(rand.N(5 * time.Millisecond)):
		case <-ctx.Done():
			t.rollback()
			return nil, false, errors.Join(ctx.Err(), err)
		}
		try = ctx // it answers
	}
}

// weed closes the idle connections of a pool that do not answer. It is called when what was begun
// then took too long: where one connection was lost without a word others were, too, and each
// would cost its next user as much.
func (s *Store) weed(db *sql.DB, begun time.Time) {
	if time.Since(begun) < weedTimeout {
		return
	}
	s.weeding.Lock()
	defer s.weeding.Unlock()
	if s.weeded[db].After(begun) {
		return
	}
	s.weeded[db] = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), weedTimeout)
	defer cancel()
	var all sync.WaitGroup
	for range db.Stats().Idle {
		all.Go(func() {
			// Drivers close what does not answer a Ping, and so do some before they hand it out.
			if conn, err := db.Conn(ctx); err == nil {
				conn.PingContext(ctx)
				conn.Close()
			}
		})
	}
	all.Wait()
}
