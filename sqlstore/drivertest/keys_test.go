package drivertest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// keyOf returns key n of a test. It does not expire.
func keyOf(n int) apikey.Key {
	return apikey.Key{
		ID:        fmt.Sprintf("key-%06d", n),
		Name:      fmt.Sprintf("System %d", n),
		Scopes:    []string{"library:read"},
		CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

// digestOf returns the digest of key n.
func digestOf(n int) apikey.Digest { return sha256.Sum256(fmt.Appendf(nil, "drivertest %d", n)) }

// addKeys creates every key n with from <= n < to.
func addKeys(t testing.TB, store *sqlstore.Store, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		require.NoError(t, store.Create(context.Background(), digestOf(n), keyOf(n)))
	}
}

// newStore returns a store without creating its tables.
func (e engine) newStore(t testing.TB, db *sql.DB, o sqlstore.Options) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, e.dialect, o)
	require.NoError(t, err)
	t.Cleanup(func() { store.Close(context.Background()) })
	return store
}

// head returns the current Version of a store.
func head(t testing.TB, store *sqlstore.Store) apikey.Version {
	t.Helper()
	c, err := store.Changes(context.Background(), apikey.Version{})
	require.NoError(t, err)
	return c.Head
}

// queryInt returns the number that a query selects.
func queryInt(t testing.TB, db *sql.DB, query string) (n int64) {
	t.Helper()
	require.NoError(t, db.QueryRow(query).Scan(&n), query)
	return n
}

// execute executes a statement.
func execute(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	_, err := db.Exec(statement, args...)
	require.NoError(t, err, statement)
}

// patience multiplies the time that tests allow. On a busy machine a test can be late although the
// store is not.
var patience = func() time.Duration {
	n, err := strconv.Atoi(os.Getenv("APIKEY_TEST_PATIENCE"))
	if err != nil || n < 1 {
		return 1
	}
	return time.Duration(n)
}()

// eventually waits until condition is true, and fails the test after a time.
func eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	within *= patience
	deadline := time.After(within)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		if condition() {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			tick.Stop()
			t.Fatalf("timeout after %v: %s", within, what)
		}
	}
}

// requireConsistentRevisions requires the invariants of revisions: every revision has one audit
// entry, without gaps, and every key was created and last changed in a revision of its own.
func requireConsistentRevisions(t testing.TB, db *sql.DB) {
	t.Helper()
	rev := queryInt(t, db, "SELECT rev FROM apikey_meta")
	require.Equal(t, rev, queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit"), "audit entries, one per revision")
	require.Equal(t, rev, queryInt(t, db, "SELECT COALESCE(MAX(rev), 0) FROM apikey_audit"), "revision of the last audit entry")
	require.LessOrEqual(t, queryInt(t, db, "SELECT COALESCE(MAX(changed), 0) FROM apikey_keys"), rev, "changed")
	require.Zero(t, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys k WHERE NOT EXISTS "+
		"(SELECT 1 FROM apikey_audit a WHERE a.rev = k.seq AND a.action = 'create' AND a.key_id = k.id AND a.key_seq = k.seq)"),
		"keys whose seq is not the revision of their creation")
	require.Zero(t, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys k WHERE k.changed > 0 AND NOT EXISTS "+
		"(SELECT 1 FROM apikey_audit a WHERE a.rev = k.changed AND a.key_id = k.id)"),
		"keys whose changed is a revision of another key")
}

// withTimeout returns a context with a timeout.
func withTimeout(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d*patience)
}

// imported is a format whose keys tests choose, so that a test can look up a key before it exists.
var imported = must(apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true}))

// importedSecret returns key n of the format imported.
func importedSecret(n int) apikey.Secret {
	return apikey.NewSecret(fmt.Sprintf("a-key-of-the-test-%06d", n))
}
