package drivertest

import (
	"database/sql"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// withParameter returns a DSN with one more parameter, or the same DSN if the parameter is "".
func withParameter(t testing.TB, e engine, dsn, parameter, value string) string {
	switch {
	case parameter == "":
		return dsn
	case e.name == "MySQL":
		separator := "?"
		if strings.Contains(dsn[strings.LastIndex(dsn, "/"):], "?") {
			separator = "&"
		}
		return dsn + separator + parameter + "=" + url.QueryEscape(value)
	default:
		u, err := url.Parse(dsn)
		require.NoError(t, err)
		q := u.Query()
		q.Set(parameter, value)
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // pgx does not decode + as a space
		return u.String()
	}
}

// Two nodes write and read concurrently, regardless of the default isolation level.
func TestWritesUnderAnyIsolationLevel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ engine, parameter, value string }{
		{"PostgreSQL", "default_transaction_isolation", "serializable"},
		{"PostgreSQL", "default_transaction_isolation", "repeatable read"},
		{"PostgreSQL", "default_transaction_read_only", "on"},
		{"MySQL", "transaction_isolation", "'SERIALIZABLE'"},
		{"MySQL", "transaction_isolation", "'READ-COMMITTED'"},
	} {
		e := engineNamed(test.engine)
		t.Run(test.engine+" "+test.value, func(t *testing.T) {
			t.Parallel()
			e.requireServer(t)
			if e.name == "MySQL" {
				test.parameter = isolationVariable(t)
			}
			dsn := withParameter(t, e, e.create(t), test.parameter, test.value)
			o := sqlstore.Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute}
			nodes := []*sqlstore.Store{e.openStore(t, dsn, o), e.openStore(t, dsn, o)}
			const keys = 20
			addKeys(t, nodes[0], 0, keys)
			var all sync.WaitGroup
			for w := range 4 {
				node := nodes[w%2]
				all.Go(func() {
					for n := range keys {
						if w == 0 {
							assert.NoError(t, node.Create(t.Context(), digestOf(keys+n), keyOf(keys+n)))
						}
						assert.NoError(t, errorOf(node.Revoke(t.Context(), keyOf(n).ID)))
						assert.NoError(t, errorOf(node.Lookup(t.Context(), digestOf(n))))
						node.Touch(digestOf(n), apikey.Use{At: time.Now()})
						assert.NoError(t, node.Flush(t.Context()))
					}
				})
			}
			all.Wait()
			requireConsistentRevisions(t, e.openDB(t, dsn))
		})
	}
}

// isolationVariable returns the name of the variable with the isolation level. It differs between
// MySQL and versions of MariaDB.
func isolationVariable(t testing.TB) string {
	var name, value string
	require.NoError(t, engineNamed("MySQL").openDB(t, os.Getenv("APIKEY_TEST_MYSQL")).
		QueryRow("SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')").Scan(&name, &value))
	return name
}

// Migrate, polls, writes and last uses use the same check that the database is a writable primary.
func TestEveryOperationRequiresThePrimary(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		engine, name string
		settings     func(t *testing.T, e engine, dsn string) string // returns the DSN to use
		fault        string                                          // "" if the store can write
	}{
		{"PostgreSQL", "read-only by default in the DSN", with("default_transaction_read_only", "on"), ""},
		{"PostgreSQL", "read-only by default for the role", postgresRole("SET default_transaction_read_only = on"), ""},
		{"PostgreSQL", "read-only by default for the role in the database", postgresRole("IN DATABASE test SET default_transaction_read_only = on"), ""},
		{"MySQL", "read-only by default in the DSN", withReadOnlyTransactions, ""},
		{"MySQL", "autocommit", with("autocommit", "0"), "autocommit is off"},
		{"MySQL", "charset", with("charset", "latin1"), "character_set_client"},
		{"MySQL", "isolation", withDirtyReads, "READ UNCOMMITTED"},
		{"SQLite", "query_only", readOnlySQLite, "query_only"},
	} {
		e := engineNamed(test.engine)
		t.Run(test.engine+" "+test.name, func(t *testing.T) {
			t.Parallel()
			e.requireServer(t)
			requireAgreement(t, e, test.settings(t, e, e.openTables(t)), test.fault)
			if test.fault == "" {
				fresh := test.settings(t, e, e.create(t))
				require.NoError(t, e.newStore(t, e.openSettings(t, fresh), sqlstore.Options{}).Migrate(t.Context()), "on a new database")
			}
		})
	}
}

// requireAgreement requires that every operation reports the fault of a database, or succeeds if
// fault is "". The tables must exist.
func requireAgreement(t *testing.T, e engine, dsn, fault string) {
	t.Helper()
	store := e.newStore(t, e.openSettings(t, dsn), sqlstore.Options{WriteTimeout: time.Minute, ReadTimeout: time.Minute})
	store.Touch(digestOf(0), apikey.Use{At: time.Now()})
	for _, use := range []struct {
		name string
		do   func() error
	}{
		{"Migrate", func() error { return store.Migrate(t.Context()) }},
		{"a poll", func() error { return errorOf(store.Changes(t.Context(), apikey.Version{})) }},
		{"a write", func() error { return store.Create(t.Context(), digestOf(0), keyOf(0)) }},
		{"last uses", func() error { return store.Flush(t.Context()) }},
	} {
		err := use.do()
		if fault == "" {
			require.NoError(t, err, use.name)
			continue
		}
		require.ErrorContains(t, err, "want the writable primary", use.name)
		require.ErrorContains(t, err, fault, use.name)
	}
}

// openSettings opens a DSN, for SQLite a URI. OpenSQLite would replace the settings of a URI.
func (e engine) openSettings(t *testing.T, dsn string) *sql.DB {
	if e.name == "SQLite" {
		db := must(sql.Open("sqlite", dsn))
		t.Cleanup(func() { db.Close() })
		return db
	}
	return e.openDB(t, dsn)
}

// with returns a function that adds a parameter to a DSN.
func with(parameter, value string) func(*testing.T, engine, string) string {
	return func(t *testing.T, e engine, dsn string) string { return withParameter(t, e, dsn, parameter, value) }
}

// withDirtyReads lets transactions of MySQL or MariaDB read changes before their commit.
func withDirtyReads(t *testing.T, e engine, dsn string) string {
	return withParameter(t, e, dsn, isolationVariable(t), "'READ-UNCOMMITTED'")
}

// withReadOnlyTransactions makes transactions of MySQL or MariaDB read-only.
func withReadOnlyTransactions(t *testing.T, e engine, dsn string) string {
	return withParameter(t, e, dsn, strings.Replace(isolationVariable(t), "isolation", "read_only", 1), "1")
}

// readOnlySQLite returns the DSN of a file that permits only reads.
func readOnlySQLite(t *testing.T, e engine, file string) string {
	return "file:" + file + "?_pragma=query_only(1)"
}

// postgresRole returns a function that changes a DSN to a new role with a setting.
func postgresRole(setting string) func(*testing.T, engine, string) string {
	return func(t *testing.T, e engine, dsn string) string {
		u := must(url.Parse(dsn))
		if !strings.HasSuffix(u.Path, "/test") {
			setting = strings.Replace(setting, "DATABASE test", "DATABASE "+strings.TrimPrefix(u.Path, "/"), 1)
		}
		role := randomName()
		server := os.Getenv("APIKEY_TEST_POSTGRES")
		administer(t, "pgx", server, "CREATE ROLE "+role+" SUPERUSER LOGIN", "DROP OWNED BY "+role+"; DROP ROLE "+role)
		administer(t, "pgx", server, "ALTER ROLE "+role+" "+setting, "SELECT 1")
		u.User = url.User(role)
		return u.String()
	}
}
