package drivertest

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// onSQLite is the engine of tests for SQLite only.
var onSQLite = engineNamed("SQLite")

func TestThousandCallersGetNoBusyError(t *testing.T) { // not parallel, because it needs every processor
	e := onSQLite
	dsn := e.create(t)
	// The default timeouts, and frequent writes of last uses.
	options := sqlstore.Options{ReadTimeout: patience * 2 * time.Second, WriteTimeout: patience * 5 * time.Second, TouchInterval: 20 * time.Millisecond}
	// Two pools, as of two processes.
	nodes := []*sqlstore.Store{e.openStore(t, dsn, options), e.openStore(t, dsn, options)}
	const keys, callers = 50, 1000
	addKeys(t, nodes[0], 0, keys)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range callers {
		node, n := nodes[i%2], i/2%keys
		all.Go(func() {
			<-start
			switch {
			case i%10 == 0:
				assert.NoError(t, node.Create(t.Context(), digestOf(keys+i), keyOf(keys+i)))
			case i%25 == 1:
				assert.NoError(t, errorOf(node.Revoke(t.Context(), keyOf(n).ID)))
			case i%25 == 2:
				assert.NoError(t, errorOf(node.List(t.Context(), apikey.ListOptions{Search: "system"})))
			case i%25 == 3:
				assert.NoError(t, errorOf(node.Changes(t.Context(), apikey.Version{})))
			default:
				for range 5 {
					assert.NoError(t, errorOf(node.Lookup(t.Context(), digestOf(n))))
					node.Touch(digestOf(n), apikey.Use{At: time.Now()})
				}
			}
		})
	}
	close(start)
	all.Wait()
	for _, node := range nodes {
		require.NoError(t, node.Flush(t.Context()))
	}
	requireConsistentRevisions(t, e.openDB(t, dsn))
}

// SQLite does not let a transaction write that has read before another process wrote. A transaction
// that writes must therefore begin with BEGIN IMMEDIATE.
func TestWritesBeginImmediate(t *testing.T) {
	t.Parallel()
	e := onSQLite
	dsn := e.openTables(t)
	var record recorder
	store := e.newStore(t, e.openHooked(t, dsn, record.hook), sqlstore.Options{})
	for name, write := range map[string]func() error{
		"Create": func() error { return store.Create(t.Context(), digestOf(0), keyOf(0)) },
		"Flush":  func() error { store.Touch(digestOf(0), apikey.Use{At: time.Now()}); return store.Flush(t.Context()) },
	} {
		statements, err := record.during(write)
		require.NoError(t, err)
		var queries []string
		for _, s := range statements {
			if !strings.HasPrefix(s.query, "PRAGMA ") {
				queries = append(queries, s.query)
			}
		}
		require.NotEmpty(t, queries, name)
		assert.Equal(t, "BEGIN IMMEDIATE", queries[0], name)
	}
}

func TestWriteWaitsForOtherProcess(t *testing.T) {
	t.Parallel()
	e := onSQLite
	dsn := e.create(t)
	a, b := e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})
	addKeys(t, a, 0, 2)
	other, err := e.openDB(t, dsn).Conn(t.Context())
	require.NoError(t, err)
	defer other.Close()
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	_, err = other.ExecContext(t.Context(), "UPDATE apikey_keys SET owner = owner")
	require.NoError(t, err)
	ended := make(chan error, 2)
	for _, write := range []func() error{
		func() error { return errorOf(a.Revoke(t.Context(), keyOf(0).ID)) },
		func() error { return b.Create(t.Context(), digestOf(2), keyOf(2)) },
	} {
		go func() { ended <- write() }()
	}
	_, err = a.Lookup(t.Context(), digestOf(0)) // readers do not wait
	require.NoError(t, err)
	select {
	case err := <-ended:
		t.Fatalf("a write ended during another one: %v", err)
	default:
	}
	_, err = other.ExecContext(t.Context(), "COMMIT")
	require.NoError(t, err)
	assert.NoError(t, <-ended)
	assert.NoError(t, <-ended)
}

func TestOpenSQLiteSettings(t *testing.T) {
	t.Parallel()
	e := onSQLite
	dsn := e.create(t)
	e.openStore(t, dsn, sqlstore.Options{})
	db := e.openDB(t, dsn)
	var conns []*sql.Conn
	for range db.Stats().MaxOpenConnections {
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		conns = append(conns, conn)
	}
	require.Greater(t, len(conns), 1)
	for _, conn := range conns {
		for pragma, want := range map[string]string{"busy_timeout": "10000", "synchronous": "2", "journal_mode": "wal"} {
			var got string
			require.NoError(t, conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
			assert.Equal(t, want, got, pragma)
		}
	}
}

// A service's own tests may use a database in memory.
func TestInMemoryDatabase(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1) // because each connection opens a database of its own
	store := onSQLite.newStore(t, db, sqlstore.Options{})
	require.NoError(t, store.Migrate(t.Context()))
	require.NoError(t, store.Migrate(t.Context()), "again")
	addKeys(t, store, 0, 1)
	require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)))
	key, err := store.Lookup(t.Context(), digestOf(0))
	require.NoError(t, err)
	assert.ErrorIs(t, key.Check(time.Now()), apikey.ErrRevoked)
	page, err := store.List(t.Context(), apikey.ListOptions{Search: "k", Status: apikey.StatusRevoked})
	require.NoError(t, err)
	assert.Len(t, page.Keys, 1)
}

// A database from VACUUM INTO or a dump is not in WAL mode, so readers would block writers.
func TestMigrateEnablesWAL(t *testing.T) {
	t.Parallel()
	e := onSQLite
	dsn := e.create(t)
	addKeys(t, e.openStore(t, dsn, sqlstore.Options{}), 0, 1)
	restored := e.create(t)
	execute(t, e.openDB(t, dsn), "VACUUM INTO ?", restored)
	mode := func(db *sql.DB) (mode string) {
		require.NoError(t, db.QueryRow("PRAGMA journal_mode").Scan(&mode))
		return mode
	}
	db := e.openDB(t, restored)
	require.Equal(t, "delete", mode(db))
	store := e.newStore(t, db, sqlstore.Options{})
	require.NoError(t, store.Migrate(t.Context()))
	assert.Equal(t, "wal", mode(e.openDB(t, restored)))
	require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)))
}

func TestMigrateRequiresWAL(t *testing.T) {
	t.Parallel()
	// This VFS has no shared memory, which WAL mode needs, as on a network file system.
	db := must(sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "keys.db")+"?vfs=unix-dotfile"))
	defer db.Close()
	err := onSQLite.newStore(t, db, sqlstore.Options{}).Migrate(t.Context())
	require.ErrorContains(t, err, "WAL mode")
	require.ErrorContains(t, err, "local disk")
}

func TestOpenSQLiteFileNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"keys.db", "two words.db", "what?.db", "what?mode=memory", "a#b.db", "100%.db", "%41.db", "a&b=c;d+e.db", "ключи.db", "file:x.db",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), name)
			store := onSQLite.openStore(t, file, sqlstore.Options{})
			addKeys(t, store, 0, 1)
			_, err := os.Stat(file)
			require.NoError(t, err)
			again := onSQLite.openStore(t, file, sqlstore.Options{})
			_, err = again.Lookup(t.Context(), digestOf(0))
			require.NoError(t, err)
		})
	}
	t.Run("in the working directory", func(t *testing.T) {
		relative, err := filepath.Rel(must(os.Getwd()), filepath.Join(t.TempDir(), "a b?.db"))
		require.NoError(t, err)
		addKeys(t, onSQLite.openStore(t, relative, sqlstore.Options{}), 0, 1)
		_, err = os.Stat(relative)
		require.NoError(t, err)
	})
	for _, name := range []string{"", ":memory:", "./:memory:"} {
		t.Run(fmt.Sprintf("rejects %q", name), func(t *testing.T) {
			_, err := sqlstore.OpenSQLite("sqlite", name)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			require.ErrorContains(t, err, "file")
		})
	}
}
