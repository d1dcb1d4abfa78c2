// Package testdb creates empty databases and fills them with keys, for the tests and benchmarks of
// nested modules. It imports no driver. A module that uses it imports pgx/v5/stdlib,
// go-sql-driver/mysql and modernc.org/sqlite.
package testdb

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// An Engine is a database system that sqlstore supports.
type Engine struct {
	Name    string
	Dialect sqlstore.Dialect
	Env     string // the environment variable that names a server; "" if the engine needs no server

	driver string
	create func(t testing.TB, server string) (dsn string)
	settle string // the statements of Settle
}

// The engines. The environment variable APIKEY_TEST_POSTGRES contains a URL, and APIKEY_TEST_MYSQL a
// DSN of go-sql-driver.
var (
	SQLite = Engine{"SQLite", sqlstore.SQLite, "", "sqlite", createFile,
		"ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)"}
	Postgres = Engine{"PostgreSQL", sqlstore.Postgres, "APIKEY_TEST_POSTGRES", "pgx", createSchema,
		"VACUUM (ANALYZE) apikey_meta, apikey_keys, apikey_used, apikey_audit"}
	MySQL = Engine{"MySQL", sqlstore.MySQL, "APIKEY_TEST_MYSQL", "mysql", createDatabase,
		"ANALYZE TABLE apikey_meta, apikey_keys, apikey_used, apikey_audit"}

	Engines = []Engine{SQLite, Postgres, MySQL}
)

// Require skips a test whose engine has no server, or fails it if APIKEY_TEST_ALL is set.
func (e Engine) Require(t testing.TB) {
	t.Helper()
	if e.Env == "" || os.Getenv(e.Env) != "" {
		return
	}
	if os.Getenv("APIKEY_TEST_ALL") != "" {
		t.Fatalf("must not be skipped: %s names no server", e.Env)
	}
	t.Skipf("skipped: %s names no server", e.Env)
}

// Create returns the DSN of a new, empty database, which is dropped after the test.
func (e Engine) Create(t testing.TB) (dsn string) { return e.create(t, os.Getenv(e.Env)) }

// Open returns a pool with the settings of a typical service. The caller closes it.
func (e Engine) Open(dsn string) (*sql.DB, error) {
	if e.Dialect == sqlstore.SQLite {
		return sqlstore.OpenSQLite(e.driver, dsn)
	}
	db, err := sql.Open(e.driver, dsn)
	if err == nil {
		db.SetMaxOpenConns(8)
		db.SetMaxIdleConns(8)
	}
	return db, err
}

// OpenStore opens a store with its tables on a database, as a process would. The store and its pool
// are closed after the test.
func (e Engine) OpenStore(t testing.TB, dsn string) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	db, err := e.Open(dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	store, err := sqlstore.New(db, e.Dialect, sqlstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { store.Close(context.Background()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store, db
}

// Settle updates the statistics of the query planner and writes pending changes to disk. The
// databases do so themselves some time after many writes.
func (e Engine) Settle(t testing.TB, db *sql.DB) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), e.settle)
	require.NoError(t, err)
}

func createFile(t testing.TB, _ string) string { return filepath.Join(t.TempDir(), "keys.db") }

func createSchema(t testing.TB, server string) string {
	name := randomName()
	administer(t, "pgx", server, "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE")
	u, err := url.Parse(server)
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String()
}

func createDatabase(t testing.TB, server string) string {
	name := randomName()
	administer(t, "mysql", server, "CREATE DATABASE "+name, "DROP DATABASE "+name)
	// A DSN ends with "/DATABASE?PARAMETERS", where no further slash follows.
	database := strings.LastIndexByte(server, '/') + 1
	_, parameters, found := strings.Cut(server[database:], "?")
	if found {
		parameters = "?" + parameters
	}
	return server[:database] + name + parameters
}

func randomName() string { return fmt.Sprintf("apikey_test_%x", rand.Uint64()) }

// administer executes the statement now, and the statement later after the test.
func administer(t testing.TB, driver, server, now, later string) {
	execute := func(statement string) {
		db, err := sql.Open(driver, server)
		require.NoError(t, err)
		defer db.Close()
		_, err = db.ExecContext(context.Background(), statement)
		require.NoError(t, err)
	}
	execute(now)
	t.Cleanup(func() { execute(later) })
}
