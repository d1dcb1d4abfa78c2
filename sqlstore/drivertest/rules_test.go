package drivertest

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A newer program restricts a key by columns that this program cannot interpret. This program must
// not accept the key without its restrictions, and no write may drop them.
func TestKeyWithUnknownRulesIsRejected(t *testing.T) {
	t.Parallel()
	const unknown = "has rules that this version does not know: use a newer one"
	forEachEngine(t, func(t *testing.T, e engine) {
		for _, rule := range []string{"networks = '10.0.0.0/8 friends'", "limits = '1/s'"} {
			t.Run(rule, func(t *testing.T) {
				dsn := e.openTables(t)
				db := e.openDB(t, dsn)
				store := e.newStore(t, db, sqlstore.Options{})
				addKeys(t, store, 0, 2)
				id, name, ctx := keyOf(0).ID, "Renamed", t.Context()
				execute(t, db, "UPDATE apikey_keys SET "+rule+" WHERE id = '"+id+"'")
				for method, err := range map[string]error{
					"Lookup":   errorOf(store.Lookup(ctx, digestOf(0))),
					"LookupAt": errorOf3(store.LookupAt(ctx, digestOf(0))),
					"Get":      errorOf(store.Get(ctx, id)),
					"List":     errorOf(store.List(ctx, apikey.ListOptions{})),
					"Update":   errorOf(store.Update(ctx, id, apikey.Patch{Name: &name})),
					"Replace":  errorOf(store.Replace(ctx, id, time.Now().Add(time.Hour), digestOf(9), keyOf(9))),
				} {
					require.ErrorContains(t, err, "key "+id+": ", method)
					require.ErrorContains(t, err, unknown, method)
				}
				require.EqualValues(t, 2, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys"))
				require.NoError(t, errorOf(store.Lookup(ctx, digestOf(1))), "the other key")

				revoked, err := store.Revoke(ctx, id)
				require.NoError(t, err)
				assert.NotZero(t, revoked.RevokedAt)
				assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys WHERE revoked_at > 0 AND "+rule), "revoked keys with the rule")
			})
		}
	})
}

func TestKeyWithUnknownRulesGets503(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.openTables(t))
		store := e.newStore(t, db, sqlstore.Options{})
		issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
		require.NoError(t, err)
		secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Limited"})
		require.NoError(t, err)
		execute(t, db, "UPDATE apikey_keys SET limits = '1/s'")
		auth, err := apikey.New(store, apikey.Options{Logger: silent})
		require.NoError(t, err)
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-API-Key", secret.Reveal())
		w := httptest.NewRecorder()
		auth.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	})
}
