package drivertest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey/internal/testdb"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// An engine is a database system that the tests run against.
type engine struct {
	name    string
	dialect sqlstore.Dialect
	env     string                            // the environment variable with the server's DSN; "" for SQLite
	create  func(t testing.TB) (dsn string)   // creates an empty database for one test
	open    func(dsn string) (*sql.DB, error) // opens a pool with the settings of a typical service
}

var engines = func() (all []engine) {
	for _, e := range testdb.Engines {
		all = append(all, engine{e.Name, e.Dialect, e.Env, e.Create, e.Open})
	}
	return all
}()

// forEachEngine runs a test against every available engine. The subtests are parallel, so they run
// after the calling function has returned.
func forEachEngine(t *testing.T, test func(t *testing.T, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			e.requireServer(t)
			test(t, e)
		})
	}
}

// engineNamed returns an engine for a test that needs only this one.
func engineNamed(name string) engine {
	for _, e := range engines {
		if e.name == name {
			return e
		}
	}
	panic("no engine " + name)
}

// requireServer skips a test whose engine has no server.
func (e engine) requireServer(t *testing.T) {
	t.Helper()
	if e.env != "" && os.Getenv(e.env) == "" {
		skip(t, e.env+" names no server")
	}
}

// skip skips a test, or fails it if APIKEY_TEST_ALL is set.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("APIKEY_TEST_ALL") != "" {
		t.Fatalf("must not be skipped: %s", why)
	}
	t.Skipf("skipped: %s", why)
}

func randomName() string { return fmt.Sprintf("apikey_test_%x", rand.Uint64()) }

// administer executes the statement now, and the statement later after the test.
func administer(t testing.TB, driver, dsn, now, later string) {
	execute := func(statement string) {
		db, err := sql.Open(driver, dsn)
		require.NoError(t, err)
		defer db.Close()
		_, err = db.ExecContext(context.Background(), statement)
		require.NoError(t, err)
	}
	execute(now)
	t.Cleanup(func() { execute(later) })
}

// openDB opens a database and closes it after the test.
func (e engine) openDB(t testing.TB, dsn string) *sql.DB {
	db, err := e.open(dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// openTables creates a database with the tables of a store.
func (e engine) openTables(t testing.TB) (dsn string) {
	t.Helper()
	dsn = e.create(t)
	e.openStore(t, dsn, sqlstore.Options{})
	return dsn
}

// openStore opens a store with its tables on a database, as a process would.
func (e engine) openStore(t testing.TB, dsn string, o sqlstore.Options) *sqlstore.Store {
	store, err := sqlstore.New(e.openDB(t, dsn), e.dialect, o)
	require.NoError(t, err)
	t.Cleanup(func() { store.Close(context.Background()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}
