// Package sqlstore keeps API keys in a database, through database/sql: SQLite, PostgreSQL,
// MariaDB or MySQL. It imports no driver.
//
//	db, err := sql.Open("pgx", dsn)
//	...
//	store, err := sqlstore.New(db, sqlstore.Postgres, sqlstore.Options{})
//	...
//	err = store.Migrate(ctx)
//	...
//	defer store.Close(context.Background())
//
// A lookup is one indexed read. Put package cachestore in front, with the Store as its
// ChangeFeed, for services with more than a few hundred requests a second: revocations
// then reach every node within the bound that cachestore states.
//
// # What is promised
//
// A method that writes returns nil only after the database has committed, and then the
// change survives the end of this process and of the database, as far as the database keeps
// what it acknowledged: not with asynchronous commit on a failover, and not on a Galera
// cluster without wsrep_sync_wait. A write that returned an error may have happened if the
// error came while it was being committed. Repeat a Revoke or an Update; whether a Create or Replace
// has happened Get tells. Reads go to the primary:
// a replica lags behind, so a *sql.DB of replicas must not be used.
//
// Every write is in one transaction with a row of the audit trail that tells of it, and
// with a revision counter, by which [Store.Changes] misses nothing.
//
// # Databases
//
// SQLite: open the file with [OpenSQLite], or with a busy timeout on every connection.
// PostgreSQL: behind PgBouncer in transaction mode use pgx with
// default_query_exec_mode=exec; [Listen] needs a direct connection.
//
// Give PostgreSQL and MySQL a time limit for connecting: connect_timeout=1 in a DSN of pgx,
// timeout=1s&readTimeout=5s in one of go-sql-driver. database/sql sets none when it connects
// on behalf of callers that wait, so on a network that swallows packets a bounded pool that is
// shared with other users could stay stuck. Better still is a pool for the keys alone.
//
// What a firewall or a NAT on the way forgets is lost without a word. A Store notices by the
// first of its connections that does not answer, after a second or so, and then looks whether
// the others that are idle do. Give the pool SetConnMaxIdleTime, shorter than what is on the
// way keeps a silent connection (a minute is usual), and it seldom comes to that.
//
// # Deleting what is old
//
// Nothing is deleted by itself. Keys that have ended may be, when they have for 30 days, and so
// may old entries of the audit trail, which costs the caches one reading of all their keys at
// most. Carry these statements out in one transaction, of which the first holds other writes
// off; :before is a time that is 30 days ago or more, in microseconds since 1970:
//
//	UPDATE apikey_meta SET rev = rev WHERE one = 1;
//	DELETE FROM apikey_keys
//		WHERE (revoked_at > 0 AND revoked_at < :before OR expires_at > 0 AND expires_at < :before)
//		AND NOT EXISTS (SELECT 1 FROM apikey_audit a WHERE a.rev = apikey_keys.changed AND a.at >= :before);
//	DELETE FROM apikey_used WHERE NOT EXISTS (SELECT 1 FROM apikey_keys k WHERE k.seq = apikey_used.seq);
//	DELETE FROM apikey_audit WHERE at < :before;
package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Options configures [New]. The zero value is ready for use.
type Options struct {
	// Feed is a pool for the polls of caches alone, so that they never wait behind
	// lookups; nil is the pool of the store itself. If that is bounded when New is called,
	// reads leave two of its connections free for a write and a poll, so give it at least
	// three: of fewer they take the only one, or one of two.
	Feed *sql.DB

	// ReadTimeout bounds each read, besides the caller's own context. 0 is 2 seconds.
	ReadTimeout time.Duration

	// WriteTimeout bounds each write, from its call on: it waits for this process's other
	// writes, and for those of others, on a server for up to 4 seconds of it. To undo what has
	// failed may take one second more. 0 is 5 seconds. A write that has begun is not
	// canceled with the caller's context, since that would leave open what became of it.
	WriteTimeout time.Duration

	// TouchInterval is how long last uses are collected before they are written, so a key
	// is written at most once in it and LastUsedAt lags by as much. 0 is 1 minute.
	TouchInterval time.Duration

	// MaxTouches is how many keys' last uses are held at most; more are dropped and counted
	// until the next write. 0 is 100,000.
	MaxTouches int

	// Logger is told when last uses could not be written; nil is slog.Default().
	Logger *slog.Logger
}

// A Store is an [apikey.KeyManager] in a database, and also an [apikey.Toucher],
// [apikey.StampedStore], [apikey.ChangeFeed] and [apikey.Auditor]. It is safe for
// concurrent use, by many processes on one database. Make it with [New] and end it with
// Close.
type Store struct {
	db      *sql.DB
	feed    *sql.DB
	d       *dialect
	options Options

	reads   chan struct{} // a place for each read at once; nil: unbounded
	writing chan struct{} // one place: this process writes one thing at a time
	stmts   statements
	touches touches
	subs    subscribers

	weeding sync.Mutex // one looks for lost connections at a time
	weeded  map[*sql.DB]time.Time

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// New returns a Store on db, which stays the caller's to close, after the Store. It does
// not use the database yet: call Migrate next. It starts one goroutine, which writes last
// uses and ends with Close.
func New(db *sql.DB, d Dialect, o Options) (*Store, error) {
	if db == nil {
		return nil, fmt.Errorf("%w db: nil; want the *sql.DB of sql.Open", apikey.ErrInvalid)
	}
	if dialects[d] == nil {
		return nil, fmt.Errorf("%w dialect %d: want SQLite, Postgres or MySQL", apikey.ErrInvalid, d)
	}
	for _, f := range []struct {
		field   string
		value   *time.Duration
		usually time.Duration
	}{
		{"ReadTimeout", &o.ReadTimeout, 2 * time.Second},
		{"WriteTimeout", &o.WriteTimeout, 5 * time.Second},
		{"TouchInterval", &o.TouchInterval, time.Minute},
	} {
		if *f.value < 0 {
			return nil, fmt.Errorf("%w %s %v: want more than 0, or 0 for %v", apikey.ErrInvalid, f.field, *f.value, f.usually)
		}
		if *f.value == 0 {
			*f.value = f.usually
		}
	}
	if o.MaxTouches < 0 {
		return nil, fmt.Errorf("%w MaxTouches %d: want more than 0, or 0 for 100000", apikey.ErrInvalid, o.MaxTouches)
	}
	if o.MaxTouches == 0 {
		o.MaxTouches = 100_000
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Store{db: db, feed: o.Feed, d: dialects[d], options: o, writing: make(chan struct{}, 1),
		weeded: make(map[*sql.DB]time.Time)}
	if s.feed == nil {
		s.feed = db
	}
	if n := db.Stats().MaxOpenConnections; n > 0 {
		spare := 2 // for a write and a poll
		s.reads = make(chan struct{}, max(1, n-spare))
	}
	s.stmts.init(s.d)
	s.touches.init(o.MaxTouches)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.stopped.Go(func() { s.flushRegularly(ctx) })
	return s, nil
}

// Close writes the last uses that are still held, within ctx, and ends the Store's
// goroutine. It does not close the database. The Store must not be used afterwards.
func (s *Store) Close(ctx context.Context) error {
	s.stop()
	s.stopped.Wait()
	err := s.Flush(ctx)
	s.touches.close()
	s.stmts.close()
	return err
}
