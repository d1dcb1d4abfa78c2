// Package sqlstore keeps API keys in SQLite, PostgreSQL, MariaDB or MySQL through database/sql.
// It imports no driver.
//
//	db, err := sql.Open("pgx", dsn)
//	...
//	store, err := sqlstore.New(db, sqlstore.Postgres, sqlstore.Options{})
//	...
//	err = store.Migrate(ctx)
//	...
//	defer store.Close(context.Background())
//
// A lookup is one indexed read. A service with more than a few hundred requests a second puts
// package cachestore in front and uses the Store as its ChangeFeed. Revocations then reach every
// node within the bound that cachestore states.
//
// # Guarantees
//
// A method that writes a key returns nil only after the database has committed. The change then
// survives a crash of the process and of the database, unless the database loses an acknowledged
// commit. A failover with asynchronous commit can lose one, and a Galera cluster without
// wsrep_sync_wait can return data from before the commit.
//
// A write whose commit returned an error may have happened. Its error wraps
// [apikey.ErrUncertain]. Repeat an Update or a Revoke. After a Create or a Replace, an
// [apikey.Issuer] finds out whether the write happened.
//
// Reads go to the primary. Do not use a *sql.DB of read replicas, because a replica lags behind.
//
// One transaction contains a change of a key, its entry in the audit trail and the next value of
// the revision counter. [Store.Changes] uses that counter and therefore misses no change.
//
// # Databases
//
// SQLite: open the file with [OpenSQLite], or set a busy timeout on every connection.
//
// PostgreSQL: behind PgBouncer in transaction mode, use pgx with
// default_query_exec_mode=exec. [Listen] needs a direct connection.
//
// With its default options a Store works over networks with a round trip of up to a second.
// Opening a connection with TLS and a password takes up to six round trips. A first request may
// wait that long or get an error, but the attempt to connect continues for the next request.
// If the server permits fewer connections than the pool, callers wait for a connection in use.
//
// Set a connect timeout for PostgreSQL and MySQL: connect_timeout=10 in a DSN of pgx,
// timeout=10s&readTimeout=30s in one of go-sql-driver. database/sql sets no timeout when it
// connects on behalf of waiting callers. A bounded pool that is shared with other users can
// therefore hang on a network that drops packets. A pool for the keys alone is better still.
//
// A firewall or NAT can drop idle connections silently. If a connection does not answer for about
// a second, the Store opens another one and evicts dead connections from the pool. To make this
// rare, set SetConnMaxIdleTime shorter than the idle timeout of the network; a minute is usual.
//
// # Backups of SQLite
//
// In WAL mode SQLite writes new data to keys.db-wal first. A copy of keys.db alone, made while a
// process has it open, is therefore outdated or empty. Use one of these commands, which work
// while a server is running:
//
//	sqlite3 keys.db ".backup backup.db"
//	sqlite3 keys.db "VACUUM INTO 'backup.db'"
//
// Copying keys.db is enough if every process that uses it has stopped cleanly.
//
// To restore a backup, stop every process that uses the file. Delete the write-ahead log with the
// file, because otherwise SQLite would apply it to the backup. Then start the processes again:
//
//	rm -f keys.db keys.db-wal keys.db-shm
//	cp backup.db keys.db
//
// A restored backup does not contain later revocations. Revoke those keys again.
//
// A Store detects that the open file was replaced or deleted, because it would otherwise keep
// using a file that no other process can open. Every method then returns an error that names the
// file until the service opens the database again, so requests get 503. Reads check the database
// file. If [OpenSQLite] opened the database, polls and writes also check the -wal and -shm files.
// A write returns nil only if the files are in place after the commit. Overwriting the contents of
// an open file, as cp does, corrupts the file and is not detected.
//
// # Tables, privileges and upgrades
//
// Migrate creates the tables. Their names begin with Options.TablePrefix, by default "apikey_".
// The database user that owns the tables needs no other privileges. A service can also run as a
// user that cannot change the tables. Their owner then calls Migrate first, at every upgrade, and
// grants the service's user these privileges, in PostgreSQL also USAGE on the schema:
//
//	GRANT SELECT ON apikey_schema TO service;
//	GRANT SELECT, UPDATE ON apikey_meta TO service;
//	GRANT SELECT, INSERT, UPDATE ON apikey_keys TO service;
//	GRANT SELECT, INSERT, UPDATE ON apikey_used TO service;
//	GRANT SELECT, INSERT ON apikey_audit TO service;
//	GRANT SELECT, INSERT, UPDATE ON apikey_notices TO service;
//
// A service that calls Purge, or sets Options.PurgeAfter, also needs these:
//
//	GRANT DELETE ON apikey_keys TO service;
//	GRANT DELETE ON apikey_used TO service;
//	GRANT DELETE ON apikey_audit TO service;
//	GRANT DELETE ON apikey_notices TO service;
//
// In PostgreSQL, Migrate rejects tables in a schema where PUBLIC may create objects, unless a
// trusted role owns them. Trusted are the current user, its roles, superusers, and the owners of
// the schema and of the database. Migrate also rejects tables that the search_path finds outside
// the connection's current schema.
//
// Programs of the previous version keep running during and after a migration, so nodes can be
// upgraded one after the other. They cannot be started again afterwards. Lookups continue, except
// for the moment in which a table changes. Writes wait while an index is built. With a million
// keys or a slow disk that can take longer than their timeout. They then fail and must be
// repeated.
//
// If one of the tables was restored from a backup without the others, call Migrate. It raises the
// revision counter above every number in use and makes caches drop all entries.
//
// # Changing keys by SQL
//
// Change keys through the methods of a Store. An UPDATE that only sets revoked_at leaves caches
// and lists wrong permanently, because caches read the column changed, and lists read the column
// dead. To revoke a key by SQL, execute the statements below in one transaction. :id is the key's
// ID, and :actor is a name for the audit trail. :tag is a new random number from 1 to
// 9223372036854775807, and :now is the time in microseconds since 1970.
//
//	UPDATE apikey_meta SET rev = rev + 1, tag = :tag WHERE one = 1;
//	UPDATE apikey_keys SET revoked_at = :now, dead = 1, changed = (SELECT rev FROM apikey_meta WHERE one = 1)
//		WHERE id = :id AND revoked_at = 0;
//	INSERT INTO apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail)
//		SELECT m.rev, m.tag, :now, :actor, 'revoke', k.id, k.seq, '' FROM apikey_meta m, apikey_keys k
//		WHERE m.one = 1 AND k.id = :id AND k.changed = m.rev;
//
// If the second statement changes no row, roll back: the key does not exist or is already
// revoked. Caches apply the revocation at their next poll.
//
// # Deleting old keys and audit entries
//
// A Store deletes nothing unless [Options.PurgeAfter] is set or [Store.Purge] is called. To delete by
// SQL, execute the statements below in one transaction. They delete the keys that were revoked or
// expired before :before, and the audit entries made before it. :before is a time at least 30 days
// ago, in microseconds since 1970.
//
//	UPDATE apikey_meta SET rev = rev WHERE one = 1;
//	DELETE FROM apikey_keys
//		WHERE (revoked_at > 0 AND revoked_at < :before OR expires_at > 0 AND expires_at < :before)
//		AND NOT EXISTS (SELECT 1 FROM apikey_audit a WHERE a.rev IN (apikey_keys.seq, apikey_keys.changed) AND a.at >= :before)
//		AND NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT id FROM apikey_keys) p WHERE p.id = apikey_keys.replaces);
//	DELETE FROM apikey_used WHERE NOT EXISTS (SELECT 1 FROM apikey_keys k WHERE k.seq = apikey_used.seq);
//	DELETE FROM apikey_notices WHERE NOT EXISTS (SELECT 1 FROM apikey_keys k WHERE k.seq = apikey_notices.key_seq);
//	DELETE FROM apikey_audit WHERE at < :before;
//
// The first statement locks out other writes, which wait until the transaction ends. If there is
// much to delete, start with an early :before. A successor is deleted in a later run than the key
// that it replaces, because a rotation looks for successors. A suspended key stays until it is
// revoked or has expired. Afterwards each cache reads its keys again, at most once.
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
	// two of its connections free for a write and a poll. Give it at least three connections:
	// with two only one stays free, and with one none.
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

	// PurgeAfter makes the store delete, once an hour, the keys that ended this long ago and audit
	// entries of the same age, as [Store.Purge] does. 0 means never; the minimum is 24 hours.
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

// New returns a Store on db. It starts one goroutine, which writes last uses until Close. New does
// not use the database: call Migrate next. The caller closes db after the Store.
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
		return nil, invalid("TablePrefix", "%q: want 1 to %d of a-z, 0-9 and _, beginning with a letter", o.TablePrefix, maxPrefix)
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

// Close writes the pending last uses within ctx and ends the Store's goroutine. It does not close
// the database. The Store must not be used afterwards.
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
