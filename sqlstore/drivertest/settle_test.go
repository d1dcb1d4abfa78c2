package drivertest

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// The answer to a commit is lost. Whether or not the database committed, the Issuer leaves no key
// whose secret was not returned.
func TestLostCommitAnswerLeavesNoOrphanedKey(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		for name, received := range map[string]bool{"received": true, "not received": false} {
			t.Run(name, func(t *testing.T) {
				dsn := e.openTables(t)
				lose := false
				db := e.openHooked(t, dsn, func(_ context.Context, query string, _ []driver.NamedValue, do func() error) error {
					if !strings.HasSuffix(query, "COMMIT") || !lose {
						return do()
					}
					lose = false
					if received {
						if err := do(); err != nil {
							return err
						}
					}
					return context.DeadlineExceeded
				})
				issuer, err := apikey.NewIssuer(e.newStore(t, db, sqlstore.Options{}), apikey.IssuerOptions{Format: imported})
				require.NoError(t, err)
				_, old, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
				require.NoError(t, err)
				for what, write := range map[string]func() (apikey.Secret, apikey.Key, error){
					"Issue": func() (apikey.Secret, apikey.Key, error) {
						return issuer.Issue(t.Context(), apikey.NewKey{Name: "New"})
					},
					"Rotate": func() (apikey.Secret, apikey.Key, error) { return issuer.Rotate(t.Context(), old.ID, time.Hour) },
					"Import": func() (apikey.Secret, apikey.Key, error) {
						key, err := issuer.Import(t.Context(), apikey.ImportedKey{Secret: importedSecret(1), Name: "Hub"})
						return importedSecret(1), key, err
					},
				} {
					before := len(allKeys(t, issuer.Manager()))
					lose = true
					secret, key, err := write()
					after := len(allKeys(t, issuer.Manager()))
					if !received {
						require.ErrorIs(t, err, apikey.ErrUnavailable, what)
						assert.NotErrorIs(t, err, apikey.ErrUncertain, what)
						assert.Equal(t, before, after, what)
						continue
					}
					require.NoError(t, err, what)
					assert.Equal(t, before+1, after, what)
					known, err := issuer.Identify(t.Context(), secret)
					require.NoError(t, err, what)
					assert.Equal(t, key.ID, known.ID, what)
				}
			})
		}
	})
}

func allKeys(t *testing.T, m apikey.KeyManager) (keys []apikey.Key) {
	t.Helper()
	for key, err := range apikey.Keys(t.Context(), m, apikey.ListOptions{}) {
		require.NoError(t, err)
		keys = append(keys, key)
	}
	return keys
}
