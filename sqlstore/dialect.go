package sqlstore

import (
	"fmt"
	"strings"
)

// A Dialect names the database system behind a *sql.DB. New rejects the zero Dialect.
type Dialect int

// The dialects, and the versions of the databases that this package supports.
const (
	SQLite   Dialect = iota + 1 // SQLite 3.37 or later
	Postgres                    // PostgreSQL 12 or later
	MySQL                       // MariaDB 10.6 or later, MySQL 8.0 or later
)

// String returns the name of the database system.
func (d Dialect) String() string {
	if d < SQLite || d > MySQL {
		return fmt.Sprintf("Dialect(%d)", int(d))
	}
	return dialects[d].name
}

// A dialect contains the differences between the databases. All other code is common.
type dialect struct {
	name  string
	steps []step // of the schema

	begin  []string // begins a write on its connection
	end    []string // restores the session settings that begin changed
	commit string   // commits a write; on PostgreSQL it also notifies listeners

	lookup     string // selects a key by digest, and the revision
	stamp      string // repeats lookup and the revision after lookup returned no row; "" if lookup always returns one
	walEnabled string // selects whether the database is in WAL mode, which lock enables; "" for servers
	force      string // names the index of a list; "" if the database has no such hint
	touch      string // writes a chunk of last uses; its last parameters are the time after which a stored one is replaced

	clock string // an expression: the clock of the database in seconds since 1970

	// notPrimary is an expression: 0 for a writable primary, otherwise the number of the reason in
	// notPrimaryReasons, counted from 1.
	notPrimary        string
	notPrimaryReasons []string

	// lock and unlock surround a step of a migration. If lock does not fail while another
	// connection holds the lock, lockHolder selects the ID of that connection: 0 for this
	// connection, -1 if unknown.
	lock, unlock []string
	lockHolder   string

	// blockWrites blocks other writes during a step. If an ALTER waits for a table, MySQL ends a
	// transaction that has read this table and then writes to it, as a deadlock.
	blockWrites bool

	// untrusted selects tables that may belong to an attacker or to another service, for
	// checkOwners; "" if a database has one owner.
	untrusted string

	*binder // of one Store

	numbered    bool // placeholders are $1, $2 … instead of ?
	returning   bool // UPDATE supports RETURNING
	server      bool // clients connect over a network
	interpolate bool // statements that are not prepared contain their arguments as literals
	prepare     bool // this package prepares statements, because the drivers cache none
}

// joined selects a key and the revision from one snapshot. It always returns one row.
const joined = "SELECT m.epoch, m.rev, " + keyColumns + " FROM apikey_meta m LEFT JOIN apikey_keys k ON k.digest = ? WHERE m.one = 1"

// restoreBusyTimeout sets the busy timeout that OpenSQLite sets.
const restoreBusyTimeout = "PRAGMA busy_timeout = 10000"

var dialects = map[Dialect]*dialect{
	SQLite: {
		name:  "SQLite",
		steps: stepsOf("sqlite"),
		// FULL, because a power failure could otherwise lose an acknowledged write. IMMEDIATE,
		// because a deferred transaction that has read may not be able to write. The busy timeout
		// is short because beginOnce repeats BEGIN.
		begin:  []string{"PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 20", "BEGIN IMMEDIATE", restoreBusyTimeout},
		commit: "COMMIT",
		// The subselects are twice as fast as a join.
		lookup: "SELECT (SELECT epoch FROM apikey_meta WHERE one = 1), (SELECT rev FROM apikey_meta WHERE one = 1), " +
			keyColumns + " FROM apikey_keys k WHERE k.digest = ?",
		stamp: joined,
		// Without statistics SQLite prefers another index and sorts.
		force: " INDEXED BY %s",
		// A database in memory has no file and no other processes, so it needs no WAL.
		walEnabled:        "SELECT journal_mode = 'wal' OR (SELECT file = '' FROM pragma_database_list WHERE name = 'main') FROM pragma_journal_mode",
		clock:             "CAST(strftime('%s', 'now') AS INTEGER)",
		notPrimary:        "(SELECT query_only FROM pragma_query_only)",
		notPrimaryReasons: []string{"the connection is read-only (PRAGMA query_only)"},
		touch: "WITH v(digest, at, addr) AS (VALUES " + chunkOf("(?, ?, ?)") + ") " +
			"INSERT INTO apikey_used (seq, at, addr) SELECT k.seq, v.at, v.addr FROM v JOIN apikey_keys k ON k.digest = v.digest WHERE true ORDER BY k.seq " +
			"ON CONFLICT (seq) DO UPDATE SET addr = excluded.addr, at = excluded.at WHERE excluded.at > apikey_used.at OR apikey_used.at > ?",
		lock:      []string{"PRAGMA busy_timeout = 1000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "BEGIN IMMEDIATE"},
		unlock:    []string{"COMMIT", restoreBusyTimeout},
		returning: true,
		prepare:   true,
	},
	Postgres: {
		name:  "PostgreSQL",
		steps: stepsOf("postgres"),
		// The server ends the transaction of a frozen client, so that it does not keep the counter
		// row locked.
		begin: []string{"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; " +
			"SET LOCAL idle_in_transaction_session_timeout = '3s'; SET LOCAL lock_timeout = '4s'; " +
			"SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"},
		commit: "SELECT pg_notify(rtrim('apikey_', '_'), ''); COMMIT", // in one round trip; see channelOf
		lookup: joined,
		clock:  "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS bigint)",
		// default_transaction_read_only does not count, because begin overrides it.
		notPrimary:        "CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END",
		notPrimaryReasons: []string{"the server is in recovery: it is a standby"},
		touch: "INSERT INTO apikey_used (seq, at, addr) SELECT k.seq, v.at, v.addr FROM (VALUES (?::bytea, ?::bigint, ?::text)" +
			strings.Repeat(", (?, ?, ?)", touchChunk-1) + ") v(digest, at, addr) JOIN apikey_keys k ON k.digest = v.digest ORDER BY k.seq " +
			"ON CONFLICT (seq) DO UPDATE SET addr = excluded.addr, at = excluded.at WHERE excluded.at > apikey_used.at OR apikey_used.at > ?",
		// Without a lock timeout, an ALTER that waits for a long reader would block all later
		// statements on the table. READ COMMITTED, because each statement must see the steps that
		// were committed before this connection got the lock.
		lock: []string{"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; " +
			"SET LOCAL lock_timeout = '300ms'; SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.apikey_', 0))"},
		unlock:    []string{"COMMIT"},
		untrusted: postgresUntrusted,
		numbered:  true,
		returning: true,
		server:    true,
	},
	MySQL: {
		name:  "MySQL",
		steps: stepsOf("mysql"),
		// wait_timeout makes the server end the transaction of a frozen client.
		begin: []string{"SET @apikey_wait = @@SESSION.wait_timeout, @apikey_lock = @@SESSION.innodb_lock_wait_timeout, " +
			"SESSION wait_timeout = 3, SESSION innodb_lock_wait_timeout = 4, " +
			// Without SESSION the isolation level applies to the next transaction only.
			"/*!80000 @@transaction_isolation */ /*M!100000 @@tx_isolation */ = 'READ-COMMITTED'", "START TRANSACTION READ WRITE"},
		commit: "COMMIT",
		end:    []string{"SET SESSION wait_timeout = @apikey_wait, SESSION innodb_lock_wait_timeout = @apikey_lock"},
		lookup: joined,
		clock:  "UNIX_TIMESTAMP()",
		// The session's own read_only does not count, because begin overrides it. Dirty reads could
		// return a revision before its change. Another character set would change text in transit.
		notPrimary: "CASE WHEN @@read_only OR @@innodb_read_only THEN 1 WHEN NOT @@autocommit THEN 2 " +
			"WHEN @@character_set_client <> 'utf8mb4' THEN 3 " +
			"WHEN /*!80000 @@transaction_isolation = */ /*M!100000 @@tx_isolation = */ 'READ-UNCOMMITTED' THEN 4 ELSE 0 END",
		notPrimaryReasons: []string{"the server is read-only (read_only or innodb_read_only)", "autocommit is off",
			"character_set_client is not utf8mb4", "transactions are READ UNCOMMITTED by default"},
		blockWrites: true,
		force:       " FORCE INDEX (%s)",
		// The address comes first, because the assignments are executed in order.
		touch: "INSERT INTO apikey_used (seq, at, addr) SELECT k.seq, v.at, v.addr FROM (SELECT CAST(? AS BINARY) AS digest, CAST(? AS SIGNED) AS at, CAST(? AS BINARY) AS addr" +
			strings.Repeat(" UNION ALL SELECT ?, ?, ?", touchChunk-1) + ") v JOIN apikey_keys k ON k.digest = v.digest ORDER BY k.seq " +
			"ON DUPLICATE KEY UPDATE addr = IF(VALUES(at) > apikey_used.at OR apikey_used.at > ?, VALUES(addr), apikey_used.addr), " +
			"at = IF(VALUES(at) > apikey_used.at OR apikey_used.at > ?, VALUES(at), apikey_used.at)",
		// ALTER and CREATE run outside transactions, so the session itself must permit writes.
		lock: []string{"SET @apikey_read_only = " + mysqlReadOnly("@@SESSION.") + ", SESSION lock_wait_timeout = 1",
			"SET SESSION TRANSACTION READ WRITE", "DO GET_LOCK(" + mysqlLock + ", 1)"},
		lockHolder: "SELECT CASE WHEN IS_USED_LOCK(" + mysqlLock + ") = CONNECTION_ID() THEN 0 ELSE COALESCE(IS_USED_LOCK(" + mysqlLock + "), -1) END",
		unlock: []string{"DO RELEASE_LOCK(" + mysqlLock + ")",
			"SET SESSION lock_wait_timeout = @@GLOBAL.lock_wait_timeout, " + mysqlReadOnly("SESSION ") + " = @apikey_read_only"},
		interpolate: true, // the protocol needs another round trip for arguments
		server:      true,
		prepare:     true,
	},
}

// mysqlLock is the name of the migration lock. MySQL's named locks are global to a server, so the
// name contains the database and the prefix. It has at most 64 characters.
const mysqlLock = "IF(CHAR_LENGTH(CONCAT(DATABASE(), '.apikey_')) > 64, SHA2(CONCAT(DATABASE(), '.apikey_'), 256), CONCAT(DATABASE(), '.apikey_'))"

// withPrefix returns the dialect of one Store.
func (d *dialect) withPrefix(prefix string) *dialect {
	c := *d
	c.binder = &binder{prefix: prefix, numbered: d.numbered}
	return &c
}

// withArgs binds a statement that is not prepared and interpolates its arguments if necessary.
func (d *dialect) withArgs(query string, args []any) (string, []any) {
	query = d.bind(query)
	if d.interpolate && len(args) > 0 {
		return interpolate(query, args), nil
	}
	return query, args
}

// mysqlReadOnly returns the variable that makes transactions read-only. Its name differs between
// MySQL and MariaDB.
func mysqlReadOnly(scope string) string {
	return "/*!80000 " + scope + "transaction_read_only */ /*M!100000 " + scope + "tx_read_only */"
}

// chunkOf repeats a row of placeholders for a chunk of last uses.
func chunkOf(row string) string { return row + strings.Repeat(", "+row, touchChunk-1) }

// from returns the table of keys with the hint for an index; "" is the primary key.
func (d *dialect) from(index string) string {
	if index == "" || d.force == "" {
		return "apikey_keys"
	}
	return "apikey_keys" + fmt.Sprintf(d.force, index)
}
