package drivertest

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// claimOf returns a claim for an hour of a notice about key n.
func claimOf(id string, n int) apikey.NoticeClaim {
	now := time.Now()
	return apikey.NoticeClaim{ID: id, KeyID: keyOf(n).ID, At: now, Until: now.Add(time.Hour)}
}

// claimNotice reports whether the claim succeeded.
func claimNotice(t *testing.T, store apikey.Noticer, c apikey.NoticeClaim) bool {
	t.Helper()
	claimed, err := store.ClaimNotice(t.Context(), c)
	require.NoError(t, err)
	return claimed
}

// A claim of one process is in force for every other one.
func TestNoticesAreSharedByProcesses(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		a, b := e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})
		addKeys(t, a, 0, 1)
		c := claimOf("notice", 0)
		require.True(t, claimNotice(t, a, c))
		require.False(t, claimNotice(t, b, c))
		require.NoError(t, b.ReleaseNotice(t.Context(), c))
		require.True(t, claimNotice(t, b, c))
		require.NoError(t, a.FinishNotice(t.Context(), c))
		restarted := e.openStore(t, dsn, sqlstore.Options{})
		sent, err := restarted.SentNotices(t.Context(), []string{c.ID})
		require.NoError(t, err)
		require.Equal(t, map[string]bool{c.ID: true}, sent)
		requireConsistentRevisions(t, e.openDB(t, dsn)) // a notice creates no revision
	})
}

func TestDeletedKeysLoseTheirNotices(t *testing.T) {
	t.Parallel()
	forEachPurge(t, func(t *testing.T, e engine, purge func(testing.TB, *sql.DB)) {
		db := e.openDB(t, e.openTables(t))
		store := e.newStore(t, db, sqlstore.Options{})
		addKeys(t, store, 0, 2)
		for n, id := range []string{"of-the-deleted-key", "of-the-other-key"} {
			require.True(t, claimNotice(t, store, claimOf(id, n)))
		}
		require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)))
		execute(t, db, "UPDATE apikey_keys SET revoked_at = 1 WHERE revoked_at > 0")
		execute(t, db, "UPDATE apikey_audit SET at = 1")

		purge(t, db)

		require.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_notices"))
		require.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_notices n JOIN apikey_keys k ON k.seq = n.key_seq"))
	})
}
