package drivertest

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// filledDigest returns the digest of the filled key i.
func filledDigest(i int) apikey.Digest { return sha256.Sum256(fmt.Append(nil, i)) }

// fill inserts n keys into empty tables and leaves the state of n creations, but is much faster. The
// keys have the IDs filled-000001 and so on, the name "Same" and the same expiry.
func (e engine) fill(t testing.TB, db *sql.DB, n int, expires string) {
	t.Helper()
	const chunk = 1000
	tx, err := db.Begin()
	require.NoError(t, err)
	defer tx.Rollback()
	for from := 1; from <= n; from += chunk {
		var keys, audit []string
		for i := from; i < from+chunk && i <= n; i++ {
			d := filledDigest(i)
			digest := fmt.Sprintf("X'%x'", d[:])
			if e.name == "PostgreSQL" {
				digest = `'\x` + digest[2:]
			}
			keys = append(keys, fmt.Sprintf("(%d,'filled-%06d',%s,'Same','same','filled-%06d','','','','','',1,%s,0,0,0)", i, i, digest, i, expires))
			audit = append(audit, fmt.Sprintf("(%d,%d,1,'','create','filled-%06d',%d,'')", i, i, i, i))
		}
		for _, statement := range []string{
			"INSERT INTO apikey_keys (seq,id,digest,name,fold,fold_id,owner,hint,scopes,metadata,replaces,created_at,expires_at,revoked_at,dead,changed) VALUES " + strings.Join(keys, ","),
			"INSERT INTO apikey_audit (rev,tag,at,actor,action,key_id,key_seq,detail) VALUES " + strings.Join(audit, ","),
		} {
			_, err := tx.Exec(statement)
			require.NoError(t, err)
		}
	}
	_, err = tx.Exec(fmt.Sprintf("UPDATE apikey_meta SET rev = %d, tag = %d", n, n))
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	e.analyze(t, db)
}
