package sqlstore

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A Dialect is the kind of database behind a *sql.DB.
type Dialect int

// The dialects. The zero Dialect is none, and New refuses it.
const (
	SQLite   Dialect = iota + 1 // SQLite 3.37 or later
	Postgres                    // PostgreSQL 12 or later
	MySQL                       // MariaDB 10.6 or later, MySQL 8.0 or later
)

// String returns the name of the database.
func (d Dialect) String() string {
	if d < SQLite || d > MySQL {
		return fmt.Sprintf("Dialect(%d)", int(d))
	}
	return dialects[d].name
}

// A dialect is what the databases differ in. All else is one code path.
type dialect struct {
	name   string
	schema string // of the current version

	// begin and end surround what a write does on its connection. Nothing that begin
	// sets may outlive end.
	begin, commit []string
	end           []string
	snapshot      []string // begins a transaction that reads one state, until commit
	notify        string   // within the transaction; "" if there is no such thing

	lookup string   // a key by digest, with the state it was read from
	stamp  string   // for lookups that found no row: the state alone; "" if lookup always has one
	kept   string   // whether what the database keeps among its settings is as lock makes it; "" if there is nothing
	health string   // in a poll: whether this is no primary that can be relied on
	force  string   // how a list names its index, where another one would be taken; "" elsewhere
	keyOf  string   // how a list joins the key k at a position s
	touch  string   // how a chunk of last uses is written
	lock   []string // taken to migrate
	held   string   // whether it was, where that is no error of lock itself; "" elsewhere
	unlock []string

	numbered bool // parameters are $1, $2 … and not ?
	prepare  bool // statements are prepared by us, for the driver keeps none
}

//go:embed schema/sqlite.sql
var sqliteSchema string

//go:embed schema/postgres.sql
var postgresSchema string

//go:embed schema/mysql.sql
var mysqlSchema string

// joined is the lookup in one statement, and so of one snapshot: it always has a row.
const joined = "SELECT m.epoch, m.rev, " + keyColumns + " FROM apikey_meta m LEFT JOIN apikey_keys k ON k.digest = ? WHERE m.one = 1"

// joinKey finds the key at a position by its primary key.
const joinKey = "JOIN apikey_keys k ON k.seq = s.seq"

// sqliteWaits has a connection wait for locks as OpenSQLite set it up.
const sqliteWaits = "PRAGMA busy_timeout = 10000"

var dialects = map[Dialect]*dialect{
	SQLite: {
		name:   "SQLite",
		schema: sqliteSchema,
		// FULL, or a write that was acknowledged could be lost with the machine.
		// IMMEDIATE, or a transaction that has read could not go on to write.
		// It waits for the lock but shortly; see tx.begin.
		begin:    []string{"PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 20", "BEGIN IMMEDIATE", sqliteWaits},
		commit:   []string{"COMMIT"},
		snapshot: []string{"BEGIN"},
		// Twice as fast as the join.
		lookup: "SELECT (SELECT epoch FROM apikey_meta WHERE one = 1), (SELECT rev FROM apikey_meta WHERE one = 1), " +
			keyColumns + " FROM apikey_keys k WHERE k.digest = ?",
		stamp: joined,
		// CROSS has it look up the key at each position, in this order. Without statistics it
		// would rather begin with all keys of a status, and sort what it finds.
		keyOf: "CROSS " + joinKey,
		// A database in memory has neither a file nor anybody else who writes to it.
		kept:   "SELECT journal_mode = 'wal' OR (SELECT file = '' FROM pragma_database_list WHERE name = 'main') FROM pragma_journal_mode",
		health: "0",
		touch: "WITH v(digest, at) AS (VALUES " + rows("(?, ?)") + ") " +
			"INSERT INTO apikey_used (seq, at) SELECT k.seq, v.at FROM v JOIN apikey_keys k ON k.digest = v.digest WHERE true ORDER BY k.seq " +
			"ON CONFLICT (seq) DO UPDATE SET at = max(at, excluded.at)",
		lock:    []string{"PRAGMA busy_timeout = 1000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "BEGIN IMMEDIATE"},
		unlock:  []string{"COMMIT", sqliteWaits},
		prepare: true,
	},
	Postgres: {
		name:   "PostgreSQL",
		schema: postgresSchema,
		// The server ends a transaction whose client has frozen or gone, so that it does
		// not hold the counter row for the others.
		begin: []string{"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; " +
			"SET LOCAL idle_in_transaction_session_timeout = '2s'; SET LOCAL lock_timeout = '4s'; " +
			"SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"},
		commit:   []string{"COMMIT"},
		snapshot: []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"},
		notify:   "SELECT pg_notify('apikey', '')",
		// OFFSET keeps a filter out of it: where few keys would pass, the planner would look
		// for them in the whole table, and only then at which positions were asked for.
		keyOf:  "JOIN LATERAL (SELECT * FROM apikey_keys WHERE seq = s.seq OFFSET 0) k ON true",
		lookup: joined,
		// On a standby, too.
		health: "CASE WHEN current_setting('transaction_read_only') = 'on' THEN 1 ELSE 0 END",
		touch: "INSERT INTO apikey_used (seq, at) SELECT k.seq, v.at FROM (VALUES (?::bytea, ?::bigint)" +
			strings.Repeat(", (?, ?)", touchChunk-1) + ") v(digest, at) JOIN apikey_keys k ON k.digest = v.digest ORDER BY k.seq " +
			"ON CONFLICT (seq) DO UPDATE SET at = GREATEST(apikey_used.at, excluded.at)",
		// Without a timeout, an ALTER that waits for a long reader would stop whoever
		// comes after it. Every statement must see what was committed before it had the lock.
		lock: []string{"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; " +
			"SET LOCAL lock_timeout = '1s'; SELECT pg_advisory_xact_lock(7021438865041)"},
		unlock:   []string{"COMMIT"},
		numbered: true,
	},
	MySQL: {
		name:   "MySQL",
		schema: mysqlSchema,
		// wait_timeout has the server end a transaction whose client has frozen.
		begin: []string{"SET @apikey_wait = @@SESSION.wait_timeout, @apikey_lock = @@SESSION.innodb_lock_wait_timeout, " +
			"SESSION wait_timeout = 3, SESSION innodb_lock_wait_timeout = 4",
			"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION READ WRITE"},
		commit:   []string{"COMMIT"},
		snapshot: []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION READ ONLY"},
		end:      []string{"SET SESSION wait_timeout = @apikey_wait, SESSION innodb_lock_wait_timeout = @apikey_lock"},
		lookup:   joined,
		// Dirty reads would show a revision before the change that it counts. A character
		// set of another kind would change text on its way.
		health: "@@read_only OR NOT @@autocommit OR @@character_set_client <> 'utf8mb4' OR " +
			"/*!80000 @@transaction_isolation = */ /*M!100000 @@tx_isolation = */ 'READ-UNCOMMITTED'",
		force: " FORCE INDEX (%s)",
		// In this order, like SQLite: with statistics too it would rather begin with all keys of a
		// status where there are many.
		keyOf: "STRAIGHT_" + joinKey,
		touch: "INSERT INTO apikey_used (seq, at) SELECT k.seq, v.at FROM (SELECT CAST(? AS BINARY) AS digest, CAST(? AS SIGNED) AS at" +
			strings.Repeat(" UNION ALL SELECT ?, ?", touchChunk-1) + ") v JOIN apikey_keys k ON k.digest = v.digest ORDER BY k.seq " +
			"ON DUPLICATE KEY UPDATE at = GREATEST(apikey_used.at, VALUES(at))",
		lock:    []string{"SET SESSION lock_wait_timeout = 1", "DO GET_LOCK('apikey_migrate', 1)"},
		held:    "SELECT COALESCE(IS_USED_LOCK('apikey_migrate') = CONNECTION_ID(), 0)",
		unlock:  []string{"DO RELEASE_LOCK('apikey_migrate')", "SET SESSION lock_wait_timeout = @@GLOBAL.lock_wait_timeout"},
		prepare: true,
	},
}

// unfit is what to say where health has found something.
func (d *dialect) unfit() error {
	return fmt.Errorf("%s: this is a replica or read-only, or the connection is without autocommit, without utf8mb4, "+
		"or reads what is uncommitted; want the primary, and none of these settings", d.name)
}

func rows(row string) string { return row + strings.Repeat(", "+row, touchChunk-1) }

// rebound are the statements that rebind has made, of which there are as many as this package
// has variants. It is one for all dialects, since only one of them has any.
var rebound sync.Map

// rebind writes the parameters of a statement as the database wants them.
func (d *dialect) rebind(query string) string {
	if !d.numbered {
		return query
	}
	if made, ok := rebound.Load(query); ok {
		return made.(string)
	}
	made := number(query)
	rebound.Store(query, made)
	return made
}

// number writes each ? as $1, $2 and so on.
func number(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}
