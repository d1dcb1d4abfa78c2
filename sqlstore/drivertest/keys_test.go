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

// keyOf returns key n of a test, which never expires.
func keyOf(n int) apikey.Key {
	return apikey.Key{
		ID:        fmt.Sprintf("key-%06d", n),
		Name:      fmt.Sprintf("System %d", n),
		Scopes:    []string{"library:read"},
		CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

// digestOf returns the digest that key n has.
func digestOf(n int) apikey.Digest { return sha256.Sum256(fmt.Appendf(nil, "drivertest %d", n)) }

// addKeys creates the keys from, from+1 … to-1.
func addKeys(t testing.TB, store *sqlstore.Store, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		require.NoError(t, store.Create(context.Background(), digestOf(n), keyOf(n)))
	}
}

// newStore makes a store that has no tables yet.
func (e engine) newStore(t testing.TB, db *sql.DB, o sqlstore.Options) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, e.dialect, o)
	require.NoError(t, err)
	t.Cleanup(func() { store.Close(context.Background()) })
	return store
}

// head returns the state of a store.
func head(t testing.TB, store *sqlstore.Store) apikey.Cursor {
	t.Helper()
	c, err := store.Changes(context.Background(), apikey.Cursor{})
	require.NoError(t, err)
	return c.Head
}

// number returns the one number that a query asks for.
func number(t testing.TB, db *sql.DB, query string) (n int64) {
	t.Helper()
	require.NoError(t, db.QueryRow(query).Scan(&n), query)
	return n
}

// run carries out a statement.
func run(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	_, err := db.Exec(statement, args...)
	require.NoError(t, err, statement)
}

// patience multiplies the time that a promise gives. On a machine that does other things at
// the same time a test can be late though the store is not.
var patience = func() time.Duration {
	n, err := strconv.Atoi(os.Getenv("APIKEY_TEST_PATIENCE"))
	if err != nil || n < 1 {
		return 1
	}
	return time.Duration(n)
}()

// eventually waits until something is so, which it must be within a bound that was promised.
func eventually(t testing.TB, within time.Duration, what string, so func() bool) {
	t.Helper()
	within *= patience
	deadline := time.After(within)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		if so() {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			tick.Stop()
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// requireSoundRevisions holds what must be so after any history: a row of the audit trail for
// every revision, without gaps, and no key changed in a revision that is not there.
func requireSoundRevisions(t testing.TB, db *sql.DB) {
	t.Helper()
	rev := number(t, db, "SELECT rev FROM apikey_meta")
	require.Equal(t, rev, number(t, db, "SELECT COUNT(*) FROM apikey_audit"), "entries of the audit trail, one a revision")
	require.Equal(t, rev, number(t, db, "SELECT COALESCE(MAX(rev), 0) FROM apikey_audit"), "the last revision of the audit trail")
	require.LessOrEqual(t, number(t, db, "SELECT COALESCE(MAX(changed), 0) FROM apikey_keys"), rev, "changed")
	require.Zero(t, number(t, db, "SELECT COUNT(*) FROM apikey_keys k WHERE NOT EXISTS "+
		"(SELECT 1 FROM apikey_audit a WHERE a.rev = k.seq AND a.action = 'create' AND a.key_id = k.id AND a.key_seq = k.seq)"),
		"keys whose seq is not the revision of their creation")
	require.Zero(t, number(t, db, "SELECT COUNT(*) FROM apikey_keys k WHERE k.changed > 0 AND NOT EXISTS "+
		"(SELECT 1 FROM apikey_audit a WHERE a.rev = k.changed AND a.key_id = k.id)"),
		"keys changed in a revision of another key")
}
