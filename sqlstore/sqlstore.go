package sqlstore

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"
)

// Options configures [New]. The zero value is ready for use.
type Options struct {
	// TablePrefix begins the names of the tables and indexes. It has 1 to 40 characters of a-z,
	// 0-9 and "_" and begins with a letter; "" means "apikey_". Stores with the same prefix in one
	// database share their keys, so a key that one service issues is valid for the other. Services
	// that share a database but not their keys need prefixes, databases or schemas of their own.
	TablePrefix string

	// Feed is a separate pool for the polls of caches, so that they never wait behind lookups; nil
	// means the pool of the store itself. If that pool is bounded when New is called, reads leave
	// two of its connections free for a write and a poll. Give it at least three connections,
	// because reads leave one connection of a pool of two free, and none of a pool of one.
	Feed *sql.DB

	// ReadTimeout bounds each read, in addition to the deadline of the caller's context. It
	// includes the time to open a connection. 0 means 2 seconds plus, on a server, six recent
	// round trips, at most 8 seconds. It means 8 seconds before the first answer, so that a first
	// read succeeds over a network with a round trip of one second.
	ReadTimeout time.Duration

	// WriteTimeout bounds each write from the call on. It includes the wait for other writes of
	// this process, and on a server up to 4 seconds of waiting for those of other processes. 0
	// means 5 seconds plus, on a server, sixteen recent round trips, at most 21 seconds. Rolling
	// back a failed write can take 2.5 seconds more. Canceling the caller's context does not
	// cancel a write that has begun, because its outcome would be unknown.
	WriteTimeout time.Duration

	// TouchInterval is the time between two writes of last uses. A key is written at most once per
	// interval, and its LastUsedAt lags by up to the interval. 0 means 1 minute.
	TouchInterval time.Duration

	// MaxTouches is the maximum number of keys whose last use waits to be written. The store drops
	// and counts last uses of further keys until the next write. 0 means 100,000.
	MaxTouches int

	// PurgeAfter makes the store call [Store.Purge] once an hour. It then deletes keys that were
	// revoked or expired this long ago, and audit entries of the same age. 0 means never; the minimum
	// is 24 hours.
	PurgeAfter time.Duration

	// Logger reports last uses that could not be written, a Purge that failed and a counter that
	// Migrate had to raise; nil means slog.Default().
	Logger *slog.Logger
}

// A Store is an [apikey.KeyManager] in a database. It also implements [apikey.Toucher],
// [apikey.StampedStore], [apikey.ChangeFeed], [apikey.Auditor], [apikey.Counter],
// [apikey.SuccessorFinder], [apikey.Noticer] and [apikey.Conditional]. It is safe for concurrent use,
// and many processes can use one database. Create a Store with [New] and end it with Close.
type Store struct {
	db      *sql.DB
	feed    *sql.DB
	d       *dialect
	options Options

	readSlots chan struct{} // bounds concurrent reads
	writeSlot chan struct{} // permits one write at a time in this process
	stmts     statements
	touches   touches
	subs      subscribers
	file      *fileWatch // nil for servers

	queue       connQueue
	latency     latency
	lingerSlots chan struct{} // bounds attempts that continue without their caller
	polls       pollConns

	evicting sync.Mutex // permits one eviction of dead connections at a time
	evicted  map[*sql.DB]time.Time

	stop    context.CancelFunc
	stopped sync.WaitGroup
	closing context.Context // canceled by Close
	closed  context.CancelFunc
}

// New returns a Store on db. It starts a goroutine that writes last uses until Close, and another one
// if PurgeAfter is set. New does not use the database: call Migrate next. The caller closes db after
// the Store. The error is [apikey.ErrInvalid] for a nil db, an unknown Dialect or an option out of its
// limits.
func New(db *sql.DB, d Dialect, o Options) (*Store, error) {
	if db == nil {
		return nil, invalid("db", "nil; want the *sql.DB of sql.Open")
	}
	if dialects[d] == nil {
		return nil, invalid("dialect", "%d: want SQLite, Postgres or MySQL", d)
	}
	if o.TablePrefix == "" {
		o.TablePrefix = defaultPrefix
	}
	if !isValidPrefix(o.TablePrefix) {
		return nil, invalid("TablePrefix", "%q: want 1 to %d characters of a-z, 0-9 and _, beginning with a letter", o.TablePrefix, maxPrefix)
	}
	for _, f := range []struct {
		field    string
		value    time.Duration
		fallback string
	}{
		{"ReadTimeout", o.ReadTimeout, "2s and six round trips"},
		{"WriteTimeout", o.WriteTimeout, "5s and sixteen round trips"},
		{"TouchInterval", o.TouchInterval, "1m"},
	} {
		if f.value < 0 {
			return nil, invalid(f.field, "%v: want more than 0, or 0 for %s", f.value, f.fallback)
		}
	}
	if o.TouchInterval == 0 {
		o.TouchInterval = time.Minute
	}
	if o.PurgeAfter != 0 && o.PurgeAfter < minPurgeAfter {
		return nil, invalid("PurgeAfter", "%v: want at least %v, or 0 for never", o.PurgeAfter, minPurgeAfter)
	}
	if o.MaxTouches < 0 {
		return nil, invalid("MaxTouches", "%d: want more than 0, or 0 for 100000", o.MaxTouches)
	}
	if o.MaxTouches == 0 {
		o.MaxTouches = 100_000
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Store{db: db, feed: o.Feed, d: dialects[d].withPrefix(o.TablePrefix), options: o, writeSlot: make(chan struct{}, 1),
		evicted: make(map[*sql.DB]time.Time)}
	s.queue.init()
	s.closing, s.closed = context.WithCancel(context.Background())
	if s.feed == nil {
		s.feed = db
	}
	reads, lingering := maxReads, maxLingering
	if n := db.Stats().MaxOpenConnections; n > 0 {
		const spare = 2 // for a write and a poll
		reads = min(reads, max(1, n-spare))
		lingering = min(lingering, max(0, n-spare-1)/2) // leaves a connection for reads
	}
	s.readSlots = make(chan struct{}, reads)
	s.lingerSlots = make(chan struct{}, lingering)
	s.polls.init(s.feed, s.d, &s.queue)
	if d == SQLite {
		s.file = newFileWatch(db)
	}
	s.stmts.init(s.d)
	s.touches.init(o.MaxTouches)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.stopped.Go(func() { s.flushRegularly(ctx) })
	if o.PurgeAfter > 0 {
		s.stopped.Go(func() { s.purgeRegularly(ctx) })
	}
	return s, nil
}

// Close ends the Store's goroutines and writes the pending last uses within ctx. It returns the error
// of that write. Close does not close the database. The Store must not be used afterwards.
func (s *Store) Close(ctx context.Context) error {
	s.stop()
	s.stopped.Wait()
	err := s.Flush(ctx)
	s.closed()
	s.polls.close()
	s.touches.close()
	s.stmts.close()
	s.file.close()
	return err
}
