package drivertest

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// No operation writes a secret or its random part to the database. With SQLite, free pages and the
// log do not contain it either.
func TestDatabaseContainsNoSecret(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		ctx := t.Context()
		format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
		require.NoError(t, err)
		issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{Format: format})
		require.NoError(t, err)
		var secrets []string
		issued := func(secret apikey.Secret, key apikey.Key, err error) apikey.Key {
			require.NoError(t, err)
			secrets = append(secrets, secret.Reveal())
			return key
		}
		first := issued(issuer.Issue(ctx, apikey.NewKey{Name: "Backup", Metadata: map[string]string{"room": "4"}}))
		second := issued(issuer.Issue(ctx, apikey.NewKey{Name: "Partner"}))
		third := issued(issuer.Rotate(ctx, second.ID, time.Hour))
		imported := apikey.NewSecret("123456789987654321-imported")
		_, err = issuer.Import(ctx, apikey.ImportedKey{Secret: imported, Name: "Old hub"})
		require.NoError(t, err)
		secrets = append(secrets, imported.Reveal())
		canary := issued(issuer.Issue(ctx, apikey.NewKey{Name: "canary-in-a-name"}))

		auth, err := apikey.New(store, apikey.Options{Format: format})
		require.NoError(t, err)
		for _, secret := range secrets {
			_, err := auth.Verify(ctx, apikey.NewSecret(secret))
			require.NoError(t, err)
			store.Touch(must(format.Digest(apikey.NewSecret(secret))), apikey.Use{At: time.Now()})
		}
		require.NoError(t, store.Flush(ctx))
		renamed := "Renamed"
		require.NoError(t, errorOf(store.Update(ctx, third.ID, apikey.Patch{Name: &renamed})))
		require.NoError(t, errorOf(store.Revoke(ctx, first.ID)))

		dump := e.dump(t, dsn)
		require.Contains(t, dump, strings.ToLower(canary.Name), "the dump contains the keys")
		for _, secret := range secrets {
			parts := []string{secret}
			if random, ok := strings.CutPrefix(secret, "ak_"); ok {
				require.Len(t, random, 36)
				parts = append(parts, random, random[:30])
			}
			for _, part := range parts {
				for _, form := range []string{part, hex.EncodeToString([]byte(part))} {
					assert.NotContains(t, dump, strings.ToLower(form))
				}
			}
		}
	})
}

// dump returns the contents of a database in lower case: the bytes of its files, and the texts of
// its columns.
func (e engine) dump(t testing.TB, dsn string) string {
	var all bytes.Buffer
	if e.name == "SQLite" {
		for _, file := range must(filepath.Glob(dsn + "*")) {
			all.Write(must(os.ReadFile(file)))
		}
	}
	db := e.openDB(t, dsn)
	for _, table := range []string{"meta", "keys", "used", "audit", "schema"} {
		rows, err := db.Query("SELECT * FROM apikey_" + table)
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, pointers := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
			for i := range values {
				pointers[i] = &values[i]
			}
			require.NoError(t, rows.Scan(pointers...))
			for _, value := range values {
				all.Write(value)
				all.WriteByte('\n')
				all.WriteString(hex.EncodeToString(value))
				all.WriteByte('\n')
			}
		}
		require.NoError(t, rows.Err())
		rows.Close()
	}
	return strings.ToLower(all.String())
}
