package drivertest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A server bounds how many statements its clients keep prepared, all together. There are many
// lists, and each is asked for seldom.
func TestWhatIsAskedForSeldomIsNotKeptPrepared(t *testing.T) {
	t.Parallel()
	e := engineNamed("MySQL")
	e.mustBeThere(t)
	db := e.openDB(t, e.openTables(t))
	db.SetMaxOpenConns(1) // whose statements are counted
	store := e.newStore(t, db, sqlstore.Options{})
	addKeys(t, store, 0, 1)
	for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for _, o := range []apikey.ListOptions{{}, {Owner: "nobody"}, {Search: "system"}, {Status: apikey.StatusActive}, {Status: apikey.StatusRevoked}} {
			o.Sort = sort
			require.NoError(t, errorOf(store.List(t.Context(), o)))
		}
	}
	require.NoError(t, errorOf3(store.Audit(t.Context(), "", "", 0)))
	require.NoError(t, errorOf3(store.Audit(t.Context(), keyOf(0).ID, "", 0)))
	status := func(name string) (n int) {
		require.NoError(t, db.QueryRow("SHOW SESSION STATUS LIKE '"+name+"'").Scan(&name, &n))
		return n
	}
	kept := func() int { return status("Com_stmt_prepare") - status("Com_stmt_close") }
	assert.Zero(t, kept())
	for range 3 {
		require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(0))))
		require.NoError(t, errorOf(store.Get(t.Context(), keyOf(0).ID)))
		require.NoError(t, errorOf(store.Changes(t.Context(), apikey.Cursor{})))
	}
	assert.Equal(t, 3, kept(), "a lookup, Get and the poll")
}
