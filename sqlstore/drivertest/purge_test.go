package drivertest

import (
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

// purgeStatements are those in the documentation of package sqlstore.
func purgeStatements(t testing.TB, before time.Time) []string {
	t.Helper()
	_, text, found := strings.Cut(string(must(os.ReadFile("../sqlstore.go"))), "// # Deleting what is old\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\npackage sqlstore")
	var code strings.Builder
	for line := range strings.Lines(text) {
		if part, ok := strings.CutPrefix(line, "//\t"); ok {
			code.WriteString(part)
		}
	}
	list := strings.Split(strings.TrimSuffix(strings.TrimSpace(code.String()), ";"), ";\n")
	require.Len(t, list, 4)
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], ":before", strconv.FormatInt(before.UnixMicro(), 10))
	}
	return list
}

// What the documentation says to delete what is old by does no more than that, and the feed goes
// on.
func TestDeletingWhatIsOld(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
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
		micros := strconv.FormatInt(long.UnixMicro(), 10)
		run(t, db, "UPDATE apikey_audit SET at = "+micros)
		run(t, db, "UPDATE apikey_keys SET revoked_at = "+micros+" WHERE id = '"+keyOf(revokedLongAgo).ID+"'")
		// A cache may not know yet that this one has ended.
		require.NoError(t, errorOf(store.Update(t.Context(), keyOf(changedNow).ID, apikey.Patch{ExpiresAt: &long})))
		for n := range keys {
			store.Touch(digestOf(n), time.Now())
		}
		require.NoError(t, store.Flush(t.Context()))
		seen := head(t, store)

		tx, err := db.Begin()
		require.NoError(t, err)
		defer tx.Rollback()
		for _, statement := range purgeStatements(t, time.Now().AddDate(0, 0, -30)) {
			_, err := tx.Exec(statement)
			require.NoError(t, err, statement)
		}
		require.NoError(t, tx.Commit())

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
		assert.EqualValues(t, len(left), number(t, db, "SELECT COUNT(*) FROM apikey_used"))
		assert.EqualValues(t, 1, number(t, db, "SELECT COUNT(*) FROM apikey_audit"))

		assert.Equal(t, apikey.Changes{Head: seen}, changes(t, store, seen))
		require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(good).ID)))
		c := changes(t, store, seen)
		assert.Equal(t, []apikey.Digest{digestOf(good)}, c.Digests)
		assert.False(t, c.Reset)
		addKeys(t, store, revokedLongAgo, revokedLongAgo+1) // as another key
		require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(revokedLongAgo))))
	})
}
