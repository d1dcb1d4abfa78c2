package testdb

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// Fill inserts n keys into the empty tables of a store and leaves the state of n creations. It is
// much faster, because it writes a thousand keys in one transaction. key returns key i, counted from
// 0, whose texts must not contain quotes. Fill stores its ID, Name, Owner, Hint, Scopes, CreatedAt
// and ExpiresAt.
func (e Engine) Fill(t testing.TB, db *sql.DB, n int, key func(i int) (apikey.Digest, apikey.Key)) {
	t.Helper()
	const chunk = 1_000
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	if e.Dialect == sqlstore.SQLite {
		// The rows arrive in random order of most indexes, which the default cache of 2 MB does not hold.
		_, err := conn.ExecContext(t.Context(), "PRAGMA cache_size = -1000000; PRAGMA synchronous = OFF")
		require.NoError(t, err)
	}
	for from := 0; from < n; from += chunk {
		e.fillChunk(t, conn, from, min(from+chunk, n), key)
	}
	conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it, because the caller wants the usual settings
	conn.Close()
	e.Settle(t, db)
}

func (e Engine) fillChunk(t testing.TB, db *sql.Conn, from, to int, key func(i int) (apikey.Digest, apikey.Key)) {
	t.Helper()
	binary := "X'%x'"
	if e.Dialect == sqlstore.Postgres {
		binary = `'\x%x'`
	}
	var keys, audit []string
	for i := from; i < to; i++ {
		digest, k := key(i)
		var expires int64
		if !k.ExpiresAt.IsZero() {
			expires = k.ExpiresAt.UnixMicro()
		}
		seq, created := i+1, k.CreatedAt.UnixMicro()
		keys = append(keys, fmt.Sprintf("(%d,'%s',"+binary+",'%s','%s','%s','%s','%s','%s','','',%d,%d,0,0,0)",
			seq, k.ID, digest[:], k.Name, listing.Fold(k.Name), listing.Fold(k.ID+"\n"+k.Hint), k.Owner, k.Hint,
			strings.Join(k.Scopes, " "), created, expires))
		audit = append(audit, fmt.Sprintf("(%d,1,%d,'','create','%s',%d,'')", seq, created, k.ID, seq))
	}
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	for _, statement := range []string{
		"INSERT INTO apikey_keys (seq, id, digest, name, fold, fold_id, owner, hint, scopes, metadata, replaces, " +
			"created_at, expires_at, revoked_at, dead, changed) VALUES " + strings.Join(keys, ","),
		"INSERT INTO apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail) VALUES " + strings.Join(audit, ","),
		fmt.Sprintf("UPDATE apikey_meta SET rev = %d, tag = 1", to),
	} {
		_, err := tx.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit())
}
