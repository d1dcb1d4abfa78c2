package drivertest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// An engine is a kind of database that the tests run against.
type engine struct {
	name    string
	dialect sqlstore.Dialect
	env     string                            // names a server; "" if none is needed
	create  func(t testing.TB) (dsn string)   // an empty database of the test's own
	open    func(dsn string) (*sql.DB, error) // with the pool that a service would have
}

var engines = []engine{
	{"SQLite", sqlstore.SQLite, "", func(t testing.TB) string { return filepath.Join(t.TempDir(), "keys.db") },
		func(dsn string) (*sql.DB, error) { return sqlstore.OpenSQLite("sqlite", dsn) }},
	{"PostgreSQL", sqlstore.Postgres, "APIKEY_TEST_POSTGRES", createSchema, bounded("pgx")},
	{"MySQL", sqlstore.MySQL, "APIKEY_TEST_MYSQL", createDatabase, bounded("mysql")},
}

func bounded(driver string) func(string) (*sql.DB, error) {
	return func(dsn string) (*sql.DB, error) {
		db, err := sql.Open(driver, dsn)
		if err == nil {
			db.SetMaxOpenConns(8)
			db.SetMaxIdleConns(8)
		}
		return db, err
	}
}

// onEach runs a test against every engine that is there.
func onEach(t *testing.T, test func(t *testing.T, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			e.mustBeThere(t)
			test(t, e)
		})
	}
}

// engineNamed returns the engine of a test that is for one alone.
func engineNamed(name string) engine {
	for _, e := range engines {
		if e.name == name {
			return e
		}
	}
	panic("no engine " + name)
}

// mustBeThere skips a test of an engine that is not there.
func (e engine) mustBeThere(t *testing.T) {
	t.Helper()
	if e.env != "" && os.Getenv(e.env) == "" {
		skip(t, e.env+" names no server")
	}
}

// skip says that a test was skipped, which is a failure where all of them must run.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("APIKEY_TEST_ALL") != "" {
		t.Fatalf("must not be skipped: %s", why)
	}
	t.Skipf("skipped: %s", why)
}

// createSchema makes a schema in the database that APIKEY_TEST_POSTGRES, a URL, names.
func createSchema(t testing.TB) string {
	dsn := os.Getenv("APIKEY_TEST_POSTGRES")
	name := randomName()
	admin(t, "pgx", dsn, "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE")
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// createDatabase makes a database on the server that APIKEY_TEST_MYSQL, a DSN, names.
func createDatabase(t testing.TB) string {
	dsn := os.Getenv("APIKEY_TEST_MYSQL")
	name := randomName()
	admin(t, "mysql", dsn, "CREATE DATABASE "+name, "DROP DATABASE "+name)
	c, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	c.DBName = name
	return c.FormatDSN()
}

func randomName() string { return fmt.Sprintf("apikey_test_%x", rand.Uint64()) }

// admin carries out a statement now and another one after the test.
func admin(t testing.TB, driver, dsn, now, later string) {
	run := func(statement string) {
		db, err := sql.Open(driver, dsn)
		require.NoError(t, err)
		defer db.Close()
		_, err = db.ExecContext(context.Background(), statement)
		require.NoError(t, err)
	}
	run(now)
	t.Cleanup(func() { run(later) })
}

// openDB opens a database that is closed after the test.
func (e engine) openDB(t testing.TB, dsn string) *sql.DB {
	db, err := e.open(dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// openTables makes the tables of a new database.
func (e engine) openTables(t testing.TB) (dsn string) {
	t.Helper()
	dsn = e.create(t)
	e.openStore(t, dsn, sqlstore.Options{})
	return dsn
}

// openStore opens a store on a database, with its tables, as one process would.
func (e engine) openStore(t testing.TB, dsn string, o sqlstore.Options) *sqlstore.Store {
	store, err := sqlstore.New(e.openDB(t, dsn), e.dialect, o)
	require.NoError(t, err)
	t.Cleanup(func() { store.Close(context.Background()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}
