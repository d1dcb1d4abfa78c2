package drivertest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// changes returns the changes since a Version.
func changes(t testing.TB, store *sqlstore.Store, since apikey.Version) apikey.Changes {
	t.Helper()
	c, err := store.Changes(context.Background(), since)
	require.NoError(t, err)
	return c
}

// A restored backup that was written to afterwards has other keys under known revisions. The tag
// distinguishes it.
func TestRestoredBackupCausesReset(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		for _, test := range []struct {
			name            string
			before, instead int // lost writes, and writes after the restoration
		}{
			{"same revision", 3, 3},
			{"later revision", 3, 5},
			{"earlier revision", 3, 1},
			{"without writes", 3, 0},
		} {
			t.Run(test.name, func(t *testing.T) {
				dsn := e.create(t)
				store := e.openStore(t, dsn, sqlstore.Options{})
				addKeys(t, store, 0, 10)
				restore := e.backup(t, dsn)
				for n := range test.before {
					require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(n).ID)))
				}
				seen := head(t, store)
				require.NoError(t, store.Close(t.Context()))
				restore()
				store = e.openStore(t, dsn, sqlstore.Options{})
				for n := range test.instead {
					require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(9-n).ID)))
				}
				c := changes(t, store, seen)
				assert.True(t, c.Reset)
				assert.Empty(t, c.Digests)
				assert.Equal(t, head(t, store), c.Head)
				assert.False(t, changes(t, store, c.Head).Reset, "the next poll")
			})
		}
	})
}

// backup copies a database and returns a function that restores the copy.
func (e engine) backup(t *testing.T, dsn string) (restore func()) {
	db := e.openDB(t, dsn)
	if e.name == "SQLite" {
		copied := dsn + ".backup"
		execute(t, db, "VACUUM INTO ?", copied)
		return func() {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(dsn + suffix); suffix == "" {
					require.NoError(t, err)
				}
			}
			require.NoError(t, os.Rename(copied, dsn))
		}
	}
	tables := []string{"meta", "keys", "used", "audit"}
	for _, table := range tables {
		execute(t, db, fmt.Sprintf("CREATE TABLE copy_%s AS SELECT * FROM apikey_%s", table, table))
	}
	return func() {
		for _, table := range tables {
			execute(t, db, "DELETE FROM apikey_"+table)
			execute(t, db, fmt.Sprintf("INSERT INTO apikey_%s SELECT * FROM copy_%s", table, table))
		}
	}
}

func TestNewEpochCausesReset(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		addKeys(t, store, 0, 1)
		seen := head(t, store)
		execute(t, e.openDB(t, dsn), "UPDATE apikey_meta SET epoch = epoch + 1")
		assert.True(t, changes(t, store, seen).Reset)
	})
}

func TestDeletedAuditEntriesCauseOneReset(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		addKeys(t, store, 0, 6)
		seen, resets := head(t, store), 0
		db := e.openDB(t, dsn)
		for n := range 6 {
			if n == 2 {
				execute(t, db, "DELETE FROM apikey_audit")
			}
			require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(n).ID)))
			c := changes(t, store, seen)
			if c.Reset {
				resets++
			} else {
				assert.Equal(t, []apikey.Digest{digestOf(n)}, c.Digests)
			}
			seen = c.Head
		}
		assert.Equal(t, 1, resets)
	})
}

func TestTooManyChangesCauseReset(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		const most = 10_000
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{ReadTimeout: time.Minute})
		db := e.openDB(t, dsn)
		e.fill(t, db, most+1, "0")
		seen := head(t, store)
		// The state after one update of each key.
		execute(t, db, fmt.Sprintf("UPDATE apikey_keys SET changed = seq + %d", most+1))
		execute(t, db, fmt.Sprintf("UPDATE apikey_meta SET rev = rev + %d, tag = 1", most+1))
		c := changes(t, store, seen)
		assert.True(t, c.Reset)
		assert.Empty(t, c.Digests)

		execute(t, db, "UPDATE apikey_keys SET changed = 0 WHERE seq = 1")
		c = changes(t, store, seen)
		assert.False(t, c.Reset)
		assert.Len(t, c.Digests, most)
	})
}

// One statement reads one snapshot. A second statement could see a commit in between.
func TestPollIsOneStatementOnTheFeed(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		var statements atomic.Int32
		feed := e.openHooked(t, dsn, func(_ context.Context, _ string, _ []driver.NamedValue, do func() error) error {
			statements.Add(1)
			return do()
		})
		store := e.openStore(t, dsn, sqlstore.Options{Feed: feed})
		addKeys(t, store, 0, 2)
		seen := head(t, store)
		require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(1).ID)))
		statements.Store(0)
		assert.Equal(t, []apikey.Digest{digestOf(1)}, changes(t, store, seen).Digests)
		assert.EqualValues(t, 1, statements.Load())
	})
}
