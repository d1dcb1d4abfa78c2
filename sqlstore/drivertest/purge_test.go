package drivertest

import (
	"database/sql"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// documentedStatements returns the statements in a section of the documentation of package sqlstore.
func documentedStatements(t testing.TB, section string) (list []string) {
	t.Helper()
	_, text, found := strings.Cut(string(must(os.ReadFile("../doc.go"))), "// # "+section+"\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\npackage sqlstore")
	text, _, _ = strings.Cut(text, "\n// # ")
	var code strings.Builder
	for line := range strings.Lines(text) {
		if part, ok := strings.CutPrefix(line, "//\t"); ok {
			code.WriteString(part)
		}
	}
	return strings.Split(strings.TrimSuffix(strings.TrimSpace(code.String()), ";"), ";\n")
}

// inTransaction executes statements in one transaction. values contains the values of their named
// parameters.
func inTransaction(t testing.TB, db *sql.DB, statements []string, values map[string]string) {
	t.Helper()
	tx, err := db.Begin()
	require.NoError(t, err)
	defer tx.Rollback()
	for _, statement := range statements {
		for name, value := range values {
			statement = strings.ReplaceAll(statement, name, value)
		}
		_, err := tx.Exec(statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, tx.Commit())
}

// purgeBySQL deletes keys and audit entries that are 30 days old by the documented statements.
func purgeBySQL(t testing.TB, db *sql.DB) {
	t.Helper()
	statements := documentedStatements(t, "Deleting old keys and audit entries")
	require.Len(t, statements, 5)
	inTransaction(t, db, statements, map[string]string{":before": microsOf(time.Now().AddDate(0, 0, -30))})
}

// forEachPurge runs a test with the documented statements and with the method Purge.
func forEachPurge(t *testing.T, test func(t *testing.T, e engine, purge func(testing.TB, *sql.DB))) {
	forEachEngine(t, func(t *testing.T, e engine) {
		t.Run("by SQL", func(t *testing.T) { test(t, e, purgeBySQL) })
		t.Run("by Purge", func(t *testing.T) {
			test(t, e, func(t testing.TB, db *sql.DB) {
				t.Helper()
				_, err := e.newStore(t, db, sqlstore.Options{}).Purge(t.Context(), time.Now().AddDate(0, 0, -30))
				require.NoError(t, err)
			})
		})
	})
}

func microsOf(at time.Time) string { return strconv.FormatInt(at.UnixMicro(), 10) }

// The documented statements delete only old keys and entries, and the feed continues without a
// Reset.
func TestDocumentedDeletionSQL(t *testing.T) {
	t.Parallel()
	forEachPurge(t, func(t *testing.T, e engine, purge func(testing.TB, *sql.DB)) {
		dsn := e.openTables(t)
		db := e.openDB(t, dsn)
		store := e.newStore(t, db, sqlstore.Options{})
		const revokedLongAgo, expiredLongAgo, revokedNow, expiredNow, changedNow, good, keys = 0, 1, 2, 3, 4, 5, 6
		addKeys(t, store, 0, keys)
		long, now := time.Now().AddDate(0, 0, -40), time.Now().Add(-time.Second)
		for _, n := range []int{revokedLongAgo, revokedNow} {
			require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(n).ID)))
		}
		for n, at := range map[int]time.Time{expiredLongAgo: long, expiredNow: now} {
			require.NoError(t, errorOf(store.Update(t.Context(), keyOf(n).ID, apikey.Patch{ExpiresAt: &at})))
		}
		micros := microsOf(long)
		execute(t, db, "UPDATE apikey_audit SET at = "+micros)
		execute(t, db, "UPDATE apikey_keys SET revoked_at = "+micros+" WHERE id = '"+keyOf(revokedLongAgo).ID+"'")
		// This key expired long ago, but caches may not have read the change yet.
		require.NoError(t, errorOf(store.Update(t.Context(), keyOf(changedNow).ID, apikey.Patch{ExpiresAt: &long})))
		for n := range keys {
			store.Touch(digestOf(n), apikey.Use{At: time.Now()})
		}
		require.NoError(t, store.Flush(t.Context()))
		seen := head(t, store)

		purge(t, db)

		page, err := store.List(t.Context(), apikey.ListOptions{})
		require.NoError(t, err)
		var left []string
		for _, key := range page.Keys {
			left = append(left, key.ID)
			assert.NotZero(t, key.LastUsedAt)
		}
		assert.Equal(t, []string{keyOf(good).ID, keyOf(changedNow).ID, keyOf(expiredNow).ID, keyOf(revokedNow).ID}, left)
		for _, n := range []int{revokedLongAgo, expiredLongAgo} {
			assert.ErrorIs(t, errorOf(store.Lookup(t.Context(), digestOf(n))), apikey.ErrNotFound)
			assert.ErrorIs(t, errorOf(store.Revoke(t.Context(), keyOf(n).ID)), apikey.ErrNotFound)
		}
		assert.EqualValues(t, len(left), queryInt(t, db, "SELECT COUNT(*) FROM apikey_used"))
		assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit"))

		assert.Equal(t, apikey.Changes{Head: seen}, changes(t, store, seen))
		require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(good).ID)))
		c := changes(t, store, seen)
		assert.Equal(t, []apikey.Digest{digestOf(good)}, c.Digests)
		assert.False(t, c.Reset)
		addKeys(t, store, revokedLongAgo, revokedLongAgo+1) // the ID is free again
		require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(revokedLongAgo))))
	})
}

// A rotation looks for the successors of a key, so they must not be deleted before the key.
func TestSuccessorIsDeletedAfterReplacedKey(t *testing.T) {
	t.Parallel()
	forEachPurge(t, func(t *testing.T, e engine, purge func(testing.TB, *sql.DB)) {
		db := e.openDB(t, e.openTables(t))
		store, ctx := e.newStore(t, db, sqlstore.Options{}), t.Context()
		addKeys(t, store, 0, 1)
		for n := range 2 {
			require.NoError(t, errorOf(store.Replace(ctx, keyOf(n).ID, time.Now().Add(time.Hour), digestOf(n+1), keyOf(n+1))))
		}
		left := func() (ids []string) {
			page, err := store.List(ctx, apikey.ListOptions{Sort: apikey.SortName})
			require.NoError(t, err)
			for _, key := range page.Keys {
				ids = append(ids, key.ID)
			}
			return ids
		}
		long := microsOf(time.Now().AddDate(0, 0, -40))
		execute(t, db, "UPDATE apikey_audit SET at = "+long)
		ended := "UPDATE apikey_keys SET revoked_at = " + long + ", dead = 1 WHERE id = '"
		execute(t, db, ended+keyOf(1).ID+"'")
		execute(t, db, ended+keyOf(2).ID+"'")
		first, second, third := keyOf(0).ID, keyOf(1).ID, keyOf(2).ID
		purge(t, db)
		require.ElementsMatch(t, []string{first, second, third}, left(), "while the first key is valid")
		execute(t, db, ended+first+"'")
		for _, want := range [][]string{{second, third}, {third}, nil} {
			purge(t, db)
			require.ElementsMatch(t, want, left())
		}
	})
}

func TestSuspendedKeyIsNotDeleted(t *testing.T) {
	t.Parallel()
	forEachPurge(t, func(t *testing.T, e engine, purge func(testing.TB, *sql.DB)) {
		db := e.openDB(t, e.openTables(t))
		addKeys(t, e.newStore(t, db, sqlstore.Options{}), 0, 1)
		execute(t, db, "UPDATE apikey_keys SET suspended_at = 1")
		execute(t, db, "UPDATE apikey_audit SET at = 1")
		purge(t, db)
		require.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys"))
	})
}

func TestPurgeDeletesInSeveralSteps(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		const n, ended = 6000, 5500 // two reads of keys and eleven transactions
		dsn := e.openTables(t)
		db := e.openDB(t, dsn)
		e.fill(t, db, n, "0")
		execute(t, db, "UPDATE apikey_keys SET expires_at = 2 WHERE seq <= "+strconv.Itoa(ended))
		store := e.newStore(t, db, sqlstore.Options{})
		p, err := store.Purge(t.Context(), time.Now().AddDate(0, 0, -30))
		require.NoError(t, err)
		assert.Equal(t, sqlstore.Purged{Keys: ended, Entries: n}, p)
		assert.EqualValues(t, n-ended, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys"))
		p, err = store.Purge(t.Context(), time.Now().AddDate(0, 0, -30))
		require.NoError(t, err)
		assert.Zero(t, p)
	})
}

func TestPurgeRejectsFutureTimes(t *testing.T) {
	t.Parallel()
	e := engineNamed("SQLite")
	db := e.openDB(t, e.openTables(t))
	_, err := e.newStore(t, db, sqlstore.Options{}).Purge(t.Context(), time.Now().Add(-23*time.Hour))
	assert.ErrorIs(t, err, apikey.ErrInvalid)
	for _, after := range []time.Duration{-1, time.Hour} {
		_, err := sqlstore.New(db, e.dialect, sqlstore.Options{PurgeAfter: after})
		assert.ErrorIs(t, err, apikey.ErrInvalid, "%v", after)
	}
}

// A cache that has not polled since a revocation must learn of it, even if Purge runs before the poll.
func TestPurgeHidesNoRevocationFromCaches(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.openTables(t))
		store := e.newStore(t, db, sqlstore.Options{})
		addKeys(t, store, 0, 2)
		seen := head(t, store)
		require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)))
		long := microsOf(time.Now().AddDate(0, 0, -40))
		execute(t, db, "UPDATE apikey_keys SET revoked_at = "+long+" WHERE dead = 1")

		// By the clock of another node the revocation is old, and the creations are not.
		execute(t, db, "UPDATE apikey_audit SET at = "+long+" WHERE action = 'revoke'")
		p, err := store.Purge(t.Context(), time.Now().AddDate(0, 0, -30))
		require.NoError(t, err)
		assert.Zero(t, p.Keys, "a cache can poll from a revision before the revocation")
		assert.Equal(t, []apikey.Digest{digestOf(0)}, changes(t, store, seen).Digests)

		execute(t, db, "UPDATE apikey_audit SET at = "+long)
		p, err = store.Purge(t.Context(), time.Now().AddDate(0, 0, -30))
		require.NoError(t, err)
		assert.Equal(t, 1, p.Keys)
		assert.True(t, changes(t, store, seen).Reset, "the cache drops all entries instead")
	})
}

func TestPurgeKeepsAKeyThatWasImportedToday(t *testing.T) {
	t.Parallel()
	forEachPurge(t, func(t *testing.T, e engine, purge func(testing.TB, *sql.DB)) {
		db := e.openDB(t, e.openTables(t))
		store := e.newStore(t, db, sqlstore.Options{})
		key := keyOf(0)
		key.RevokedAt = time.Now().AddDate(-1, 0, 0)
		require.NoError(t, store.Create(t.Context(), digestOf(0), key))
		purge(t, db)
		assert.NoError(t, errorOf(store.Get(t.Context(), key.ID)))
	})
}
