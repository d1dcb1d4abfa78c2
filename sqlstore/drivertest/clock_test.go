package drivertest

import (
	"context"
	"database/sql/driver"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// By a clock that is ahead, keys have expired that are still valid.
func TestPurgeDeletesNothingByAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		addKeys(t, e.newStore(t, e.openDB(t, dsn), sqlstore.Options{}), 0, 2)
		execute(t, e.openDB(t, dsn), "UPDATE apikey_audit SET at = 1")
		execute(t, e.openDB(t, dsn), "UPDATE apikey_keys SET expires_at = 1 WHERE seq = 1")
		clock := map[string]string{"SQLite": "CAST(strftime('%s', 'now') AS INTEGER)", "PostgreSQL": "EXTRACT(EPOCH FROM clock_timestamp())", "MySQL": "UNIX_TIMESTAMP()"}[e.name]
		behind := " - 3700"
		none := func(_ context.Context, _ string, _ []driver.NamedValue, do func() error) error { return do() }
		db := e.openRewritten(t, dsn, none, func(query string) string { return strings.Replace(query, clock, clock+behind, 1) })
		store := e.newStore(t, db, sqlstore.Options{})
		p, err := store.Purge(t.Context(), time.Now().AddDate(0, 0, -30))
		require.ErrorContains(t, err, "the clock of this process is 1h1m4")
		assert.Zero(t, p)
		behind = " - 3500"
		p, err = store.Purge(t.Context(), time.Now().AddDate(0, 0, -30))
		require.NoError(t, err)
		assert.Equal(t, sqlstore.Purged{Keys: 1, Entries: 2}, p)
	})
}

// A process whose clock was ahead leaves entries in the future, and others follow them.
func TestPurgeDeletesEntriesInTheFutureBeforeOldOnes(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		future := microsOf(time.Now().AddDate(10, 0, 0))
		for name, test := range map[string]struct {
			keys   int
			future string // the entries in the future; all others are old
			want   sqlstore.Purged
		}{
			"one":                   {3, "rev = 2", sqlstore.Purged{Keys: 3, Entries: 3}},
			"the first":             {3, "rev = 1", sqlstore.Purged{Keys: 3, Entries: 3}},
			"the last":              {3, "rev = 3", sqlstore.Purged{Keys: 2, Entries: 2}},
			"more than one step":    {700, "rev < 700", sqlstore.Purged{Keys: 700, Entries: 700}},
			"all of them":           {700, "rev <= 700", sqlstore.Purged{}},
			"all after the old one": {700, "rev > 1", sqlstore.Purged{Keys: 1, Entries: 1}},
		} {
			t.Run(name, func(t *testing.T) {
				db := e.openDB(t, e.openTables(t))
				e.fill(t, db, test.keys, "2")
				execute(t, db, "UPDATE apikey_audit SET at = "+future+" WHERE "+test.future)
				p, err := e.newStore(t, db, sqlstore.Options{}).Purge(t.Context(), time.Now().AddDate(0, 0, -30))
				require.NoError(t, err)
				assert.Equal(t, test.want, p)
			})
		}
		t.Run("before a recent one", func(t *testing.T) {
			db := e.openDB(t, e.openTables(t))
			e.fill(t, db, 3, "2")
			execute(t, db, "UPDATE apikey_audit SET at = "+future+" WHERE rev = 2")
			execute(t, db, "UPDATE apikey_audit SET at = "+microsOf(time.Now())+" WHERE rev = 3")
			p, err := e.newStore(t, db, sqlstore.Options{}).Purge(t.Context(), time.Now().AddDate(0, 0, -30))
			require.NoError(t, err)
			assert.Equal(t, sqlstore.Purged{Keys: 1, Entries: 1}, p)
		})
	})
}

// A process whose clock is behind writes an entry that looks old, but a newer change is not older.
func TestPurgeKeepsAnEntryAfterARecentOne(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.openTables(t))
		store := e.newStore(t, db, sqlstore.Options{})
		addKeys(t, store, 0, 2)
		require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)))
		execute(t, db, "UPDATE apikey_audit SET at = 1 WHERE rev <> 2")
		p, err := store.Purge(t.Context(), time.Now().AddDate(0, 0, -30))
		require.NoError(t, err)
		assert.Equal(t, sqlstore.Purged{Entries: 1}, p)
		assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit WHERE action = 'revoke'"))
	})
}

// A process whose clock was ahead leaves a last use in the future, which would otherwise hide all later uses.
func TestUseReplacesALastUseInTheFuture(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		store := e.openStore(t, e.create(t), sqlstore.Options{TouchInterval: time.Hour})
		addKeys(t, store, 0, 2)
		now, later := time.Now().Truncate(time.Second), time.Now().AddDate(10, 0, 0).Truncate(time.Second)
		soon := now.Add(30 * time.Minute)
		use := func(n int, at time.Time, addr string) {
			store.Touch(digestOf(n), apikey.Use{At: at, Addr: netip.MustParseAddr(addr)})
			require.NoError(t, store.Flush(t.Context()))
		}
		use(0, later, "192.0.2.1")
		use(0, now, "192.0.2.2")
		use(1, soon, "192.0.2.1")
		use(1, now, "192.0.2.2")
		for n, want := range map[int]apikey.Use{0: {At: now, Addr: netip.MustParseAddr("192.0.2.2")}, 1: {At: soon, Addr: netip.MustParseAddr("192.0.2.1")}} {
			key, err := store.Get(t.Context(), keyOf(n).ID)
			require.NoError(t, err)
			assert.Equal(t, want.At.UTC(), key.LastUsedAt)
			assert.Equal(t, want.Addr, key.LastUsedAddr)
		}
	})
}
