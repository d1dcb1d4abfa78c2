package drivertest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A server bounds the prepared statements of all its clients. There are many different list
// queries, and each is rare.
func TestRareQueriesAreNotPrepared(t *testing.T) {
	t.Parallel()
	e := engineNamed("MySQL")
	e.requireServer(t)
	db := e.openDB(t, e.openTables(t))
	db.SetMaxOpenConns(1) // because MySQL counts statements per session
	store := e.newStore(t, db, sqlstore.Options{})
	addKeys(t, store, 0, 1)
	for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for _, o := range []apikey.ListOptions{{}, {Owner: "bob"}, {Search: "system"}, {Status: apikey.StatusActive}, {Status: apikey.StatusRevoked}} {
			o.Sort = sort
			require.NoError(t, errorOf(store.List(t.Context(), o)))
		}
	}
	require.NoError(t, errorOf(store.Audit(t.Context(), apikey.AuditOptions{})))
	require.NoError(t, errorOf(store.Audit(t.Context(), apikey.AuditOptions{KeyID: keyOf(0).ID})))
	status := func(name string) (n int) {
		require.NoError(t, db.QueryRow("SHOW SESSION STATUS LIKE '"+name+"'").Scan(&name, &n))
		return n
	}
	prepared := func() int { return status("Com_stmt_prepare") - status("Com_stmt_close") }
	assert.Zero(t, prepared())
	for range 3 {
		require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(0))))
		require.NoError(t, errorOf(store.Get(t.Context(), keyOf(0).ID)))
		require.NoError(t, errorOf(store.Changes(t.Context(), apikey.Version{})))
	}
	assert.Equal(t, 3, prepared(), "Lookup, Get and Changes")
}
