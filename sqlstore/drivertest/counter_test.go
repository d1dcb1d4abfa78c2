package drivertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// One counter numbers the rows of all tables. If only one table was restored, the counter can be
// too low, and would give new rows numbers that exist.
func TestMigrateRaisesTheCounter(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		for _, test := range []struct {
			name string // the table that was restored
			lose []string
		}{
			{"apikey_keys", []string{"DELETE FROM apikey_audit", "DELETE FROM apikey_used", "UPDATE apikey_meta SET rev = 0, tag = 0"}},
			{"apikey_keys, without the counter's row", []string{"DELETE FROM apikey_audit", "DELETE FROM apikey_used", "DELETE FROM apikey_meta"}},
			{"apikey_audit", []string{"DELETE FROM apikey_keys", "DELETE FROM apikey_used", "UPDATE apikey_meta SET rev = 0, tag = 0"}},
			{"apikey_used", []string{"DELETE FROM apikey_keys", "DELETE FROM apikey_audit", "UPDATE apikey_meta SET rev = 0, tag = 0"}},
			{"apikey_notices", []string{"DELETE FROM apikey_keys", "DELETE FROM apikey_audit", "DELETE FROM apikey_used", "UPDATE apikey_meta SET rev = 0, tag = 0"}},
			{"keys newer than the counter", []string{"DELETE FROM apikey_audit WHERE rev > 3", "UPDATE apikey_meta SET rev = 3"}},
		} {
			t.Run(test.name, func(t *testing.T) {
				dsn := e.openTables(t)
				db := e.openDB(t, dsn)
				store := e.newStore(t, db, sqlstore.Options{Logger: silent})
				addKeys(t, store, 0, 5)
				require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(1).ID))) // makes changed the highest number
				store.Touch(digestOf(4), apikey.Use{At: time.Now()})
				require.NoError(t, store.Flush(t.Context()))
				require.True(t, claimNotice(t, store, claimOf("notice", 4)))
				before := head(t, store)
				for _, statement := range test.lose {
					execute(t, db, statement)
				}
				require.NoError(t, store.Migrate(t.Context()))

				c := changes(t, store, before)
				assert.True(t, c.Reset, "caches must drop the keys that they read before")
				assert.NotEqual(t, before.Epoch, c.Head.Epoch)
				addKeys(t, store, 10, 12)
				require.NoError(t, errorOf(store.Replace(t.Context(), keyOf(10).ID, time.Now().Add(time.Hour), digestOf(13), keyOf(13))))
				require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(11).ID)))
				key, err := store.Get(t.Context(), keyOf(11).ID)
				require.NoError(t, err)
				assert.Zero(t, key.LastUsedAt, "the last use of another key")
				at := head(t, store)
				require.NoError(t, store.Migrate(t.Context()))
				assert.Equal(t, at, head(t, store), "after another Migrate")
			})
		}
	})
}

// If a table is restored while a process runs, the errors of its writes name the cause.
func TestWriteReportsCounterBehind(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		db := e.openDB(t, dsn)
		store := e.newStore(t, db, sqlstore.Options{})
		addKeys(t, store, 0, 3)
		execute(t, db, "UPDATE apikey_meta SET rev = 0")
		for method, err := range map[string]error{
			"Create": store.Create(t.Context(), digestOf(9), keyOf(9)),
			"Revoke": errorOf(store.Revoke(t.Context(), keyOf(0).ID)),
		} {
			require.ErrorContains(t, err, "table apikey_meta is 3 revisions behind", method)
			require.ErrorContains(t, err, "call Migrate", method)
			require.NotErrorIs(t, err, apikey.ErrExists, method)
		}
	})
}
