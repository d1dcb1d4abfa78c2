//go:build long

package drivertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// Caches, lists and the audit trail reflect a revocation by the documented SQL statements.
func TestDocumentedRevocationSQL(t *testing.T) { // not parallel; see quick
	inParallel(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		db, n := e.openDB(t, dsn), e.openNode(t, dsn, sqlstore.Options{}, quick)
		keys := []apikey.Key{n.issue(t, 0), n.issue(t, 1)}
		n.awaitLease(t)
		for i := range keys {
			require.Equal(t, http.StatusOK, n.status(t, importedSecret(i)))
		}
		statements := documentedStatements(t, "Changing keys by SQL")
		require.Len(t, statements, 3)
		before := head(t, n.store)
		inTransaction(t, db, statements, map[string]string{
			":id": "'" + keys[0].ID + "'", ":tag": "4711", ":now": microsOf(time.Now()), ":actor": "'by hand'"})

		eventually(t, quick.Lease/patience, "the key is refused", func() bool { return n.status(t, importedSecret(0)) == http.StatusUnauthorized })
		assert.Equal(t, http.StatusOK, n.status(t, importedSecret(1)), "the other key")
		c := changes(t, n.store, before)
		assert.False(t, c.Reset)
		assert.Len(t, c.Digests, 1)
		for status, want := range map[apikey.Status]string{apikey.StatusRevoked: keys[0].ID, apikey.StatusActive: keys[1].ID} {
			page, err := n.store.List(t.Context(), apikey.ListOptions{Status: status})
			require.NoError(t, err)
			require.Len(t, page.Keys, 1)
			assert.Equal(t, want, page.Keys[0].ID, status)
		}
		trail, err := n.store.Audit(t.Context(), apikey.AuditOptions{KeyID: keys[0].ID})
		require.NoError(t, err)
		assert.Equal(t, "by hand", trail.Entries[0].Actor)
		assert.Equal(t, "revoke", trail.Entries[0].Action)
		requireConsistentRevisions(t, db)
		require.NoError(t, errorOf(n.store.Revoke(t.Context(), keys[1].ID)), "a later write")
		assert.False(t, changes(t, n.store, c.Head).Reset)
	})
}
