package drivertest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestConcurrentMigrate(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		for _, test := range []struct{ name, parameter, value, only string }{
			{name: "default settings"},
			// A snapshot from before the lock would not contain the steps of other processes.
			{"serializable transactions", "default_transaction_isolation", "serializable", "PostgreSQL"},
			{"read-only transactions", "default_transaction_read_only", "on", "PostgreSQL"},
		} {
			if test.only != "" && test.only != e.name {
				continue
			}
			t.Run(test.name, func(t *testing.T) {
				dsn := withParameter(t, e, e.create(t), test.parameter, test.value)
				const nodes = 8
				var stores [nodes]*sqlstore.Store
				for i := range stores {
					stores[i] = e.newStore(t, e.openDB(t, dsn), sqlstore.Options{})
				}
				start := make(chan struct{})
				var errs [nodes]error
				var all sync.WaitGroup
				for i := range stores {
					all.Go(func() {
						<-start
						errs[i] = stores[i].Migrate(t.Context())
					})
				}
				close(start)
				all.Wait()
				db := e.openDB(t, dsn)
				epoch := uint64(queryInt(t, db, "SELECT epoch FROM apikey_meta"))
				require.NotZero(t, epoch)
				for i := range stores {
					require.NoError(t, errs[i])
					_, at, err := stores[i].LookupAt(t.Context(), digestOf(1))
					require.ErrorIs(t, err, apikey.ErrNotFound)
					assert.Equal(t, apikey.Version{Epoch: epoch}, at)
				}
				assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_schema WHERE version = 2 AND step = 1"))
			})
		}
	})
}

func TestRepeatedMigrateChangesNothing(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		addKeys(t, store, 0, 3)
		before := head(t, store)
		require.NoError(t, store.Migrate(t.Context()))
		again := e.openStore(t, dsn, sqlstore.Options{})
		assert.Equal(t, before, head(t, again))
		_, err := again.Lookup(t.Context(), digestOf(2))
		assert.NoError(t, err)
	})
}

// A database user without the privilege to create tables can therefore call Migrate.
func TestMigrateOfCurrentTablesOnlyReads(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		e.openStore(t, dsn, sqlstore.Options{})
		var record recorder
		store := e.newStore(t, e.openHooked(t, dsn, record.hook), sqlstore.Options{})
		statements, err := record.during(func() error { return store.Migrate(t.Context()) })
		require.NoError(t, err)
		require.NotEmpty(t, statements)
		for _, s := range statements {
			assert.Regexp(t, "^(SELECT|EXPLAIN|WITH) ", s.query)
		}
	})
}

func TestMigrateRejectsLaterVersion(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		e.openStore(t, dsn, sqlstore.Options{})
		db := e.openDB(t, dsn)
		execute(t, db, "INSERT INTO apikey_schema (version, step) VALUES (4711, 1)")
		err := e.newStore(t, db, sqlstore.Options{}).Migrate(t.Context())
		require.ErrorContains(t, err, "version 4711")
		require.ErrorContains(t, err, "knows 2")
	})
}

// A migration loses its connection after any of its statements. The next Migrate continues there.
func TestInterruptedMigrationResumes(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		statements := 0 // statements of an uninterrupted migration
		db := e.openHooked(t, e.create(t), func(_ context.Context, _ string, _ []driver.NamedValue, do func() error) error {
			statements++
			return do()
		})
		require.NoError(t, e.newStore(t, db, sqlstore.Options{}).Migrate(t.Context()))
		require.Greater(t, statements, 10)
		for last := 1; last <= statements; last++ {
			t.Run(fmt.Sprintf("after statement %d", last), func(t *testing.T) {
				t.Parallel()
				dsn := e.create(t)
				n, query := 0, ""
				db := e.openHooked(t, dsn, func(_ context.Context, q string, _ []driver.NamedValue, do func() error) error {
					if n++; n <= last {
						if err := do(); err != nil || n < last {
							return err
						}
						query = q
					}
					return driver.ErrBadConn
				})
				require.Error(t, e.newStore(t, db, sqlstore.Options{}).Migrate(t.Context()))
				store := e.newStore(t, e.openDB(t, dsn), sqlstore.Options{})
				require.NoError(t, store.Migrate(t.Context()), "lost after %.60q", query)
				addKeys(t, store, 0, 1)
				require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)))
			})
		}
	})
}

// A migration that changes a table waits for its readers. Later lookups must not wait as long,
// although databases queue them behind the migration.
func TestWaitingMigrateBlocksNoLookups(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PostgreSQL", "MySQL"} { // in SQLite readers block no writers
		e := engineNamed(name)
		t.Run(name, func(t *testing.T) {
			e.requireServer(t)
			dsn := e.create(t)
			store := e.openStore(t, dsn, sqlstore.Options{ReadTimeout: patience * 2 * time.Second})
			addKeys(t, store, 0, 1)
			db := e.openDB(t, dsn)
			// The last step is pending, and changes a table like a step of a later version.
			execute(t, db, fmt.Sprintf("DELETE FROM apikey_schema WHERE version = 2 AND step = %d", queryInt(t, db, "SELECT MAX(step) FROM apikey_schema WHERE version = 2")))
			const change = "ALTER TABLE apikey_keys ADD COLUMN extra INTEGER"
			var tries atomic.Int32
			migrating := e.newStore(t, e.openRewritten(t, dsn, func(_ context.Context, query string, _ []driver.NamedValue, do func() error) error {
				if query == change {
					tries.Add(1)
				}
				return do()
			}, func(query string) string {
				if strings.HasPrefix(query, "CREATE") && strings.Contains(query, "apikey_notices") {
					return change
				}
				return query
			}), sqlstore.Options{})
			reader, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer reader.Rollback()
			require.NoError(t, reader.QueryRow("SELECT COUNT(*) FROM apikey_keys").Scan(new(int)))
			ended := make(chan error, 1)
			go func() { ended <- migrating.Migrate(t.Context()) }()
			for tries.Load() < 3 { // the lock has timed out twice
				require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(0))))
				require.Empty(t, ended, "the migration did not wait")
			}
			require.NoError(t, reader.Rollback())
			require.NoError(t, <-ended)
			require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(0))))
			assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys WHERE extra IS NULL"))
		})
	}
}

func TestMigrateWithoutLockEndsWithContext(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		addKeys(t, store, 0, 1)
		execute(t, e.openDB(t, dsn), "DELETE FROM apikey_schema") // makes all steps pending
		conn, err := e.openDB(t, dsn).Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		for _, statement := range map[string][]string{
			"SQLite":     {"BEGIN IMMEDIATE"},
			"PostgreSQL": {"BEGIN", "LOCK TABLE apikey_schema IN ACCESS EXCLUSIVE MODE"},
			"MySQL":      {"LOCK TABLES apikey_schema WRITE"},
		}[e.name] {
			_, err := conn.ExecContext(t.Context(), statement)
			require.NoError(t, err, statement)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- e.newStore(t, e.openDB(t, dsn), sqlstore.Options{}).Migrate(ctx) }()
		for lookups := 0; ; lookups++ {
			require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(0))))
			select {
			case err := <-ended:
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Greater(t, lookups, 10)
				return
			default:
			}
		}
	})
}

func TestMissingTablesAreNotErrNotFound(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.create(t))
		store := e.newStore(t, db, sqlstore.Options{})
		for _, test := range []struct {
			name, message string
			prepare       func()
		}{
			{"before Migrate", "apikey_", func() {}},
			{"without the row of apikey_meta", "call Migrate", func() {
				require.NoError(t, store.Migrate(t.Context()))
				execute(t, db, "DELETE FROM apikey_meta")
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				test.prepare()
				for name, err := range map[string]error{
					"Lookup":   errorOf(store.Lookup(t.Context(), digestOf(1))),
					"LookupAt": errorOf3(store.LookupAt(t.Context(), digestOf(1))),
					"Changes":  errorOf(store.Changes(t.Context(), apikey.Version{})),
					"Create":   store.Create(t.Context(), digestOf(1), keyOf(1)),
					"Revoke":   errorOf(store.Revoke(t.Context(), keyOf(1).ID)),
				} {
					if assert.ErrorContains(t, err, test.message, name) {
						assert.NotErrorIs(t, err, apikey.ErrNotFound, name)
						assert.True(t, strings.HasPrefix(err.Error(), "sqlstore: "), "%s: %v", name, err)
					}
				}
			})
		}
	})
}

func TestMigrateRepairsTheStatusOfSuspendedKeys(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.openTables(t))
		store := e.newStore(t, db, sqlstore.Options{})
		addKeys(t, store, 0, 1)
		id, o := keyOf(0).ID, apikey.ListOptions{Status: apikey.StatusSuspended}
		require.NoError(t, errorOf(store.Update(t.Context(), id, apikey.Patch{Suspended: new(true)})))
		execute(t, db, "UPDATE apikey_keys SET dead = 0") // as a program of version 1 writes it
		page, err := store.List(t.Context(), o)
		require.NoError(t, err)
		require.Empty(t, page.Keys)
		require.NoError(t, store.Migrate(t.Context()))
		page, err = store.List(t.Context(), o)
		require.NoError(t, err)
		require.Len(t, page.Keys, 1)
	})
}

// A service that does not call Migrate has no tables at first, and tables of an earlier version after an
// upgrade.
func TestErrorsWithoutMigrateNameIt(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		check := func(t *testing.T, dsn string) {
			store, err := sqlstore.New(e.openDB(t, dsn), e.dialect, sqlstore.Options{})
			require.NoError(t, err)
			defer store.Close(context.Background())
			for method, err := range map[string]error{
				"Lookup": errorOf(store.Lookup(t.Context(), digestOf(1))),
				"Get":    errorOf(store.Get(t.Context(), "a")),
				"Create": store.Create(t.Context(), digestOf(1), keyOf(1)),
			} {
				require.ErrorContains(t, err, "call Migrate", method)
			}
		}
		check(t, e.create(t))
		dsn := e.openTables(t)
		require.NoError(t, errorOf(e.openDB(t, dsn).ExecContext(t.Context(), "ALTER TABLE apikey_keys DROP COLUMN limits")))
		check(t, dsn)
	})
}

func TestMigrateNamesTheWrongDialect(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.create(t))
		for _, d := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.Postgres, sqlstore.MySQL} {
			if d == e.dialect {
				continue
			}
			store, err := sqlstore.New(db, d, sqlstore.Options{})
			require.NoError(t, err)
			defer store.Close(context.Background())
			require.ErrorContains(t, store.Migrate(t.Context()), "the database does not understand "+d.String()+"; want its own Dialect")
		}
	})
}
