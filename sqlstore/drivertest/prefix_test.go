package drivertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestPrefixesIsolateStores(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn, longest := e.create(t), strings.Repeat("p", 40) // with its database longer than the name of a MySQL lock
		store := e.openStore(t, dsn, sqlstore.Options{})
		for _, prefix := range []string{"orders_", "o", longest} {
			other := e.openStore(t, dsn, sqlstore.Options{TablePrefix: prefix})
			addKeys(t, store, 0, 1)
			before := head(t, store)
			require.ErrorIs(t, errorOf(other.Lookup(t.Context(), digestOf(0))), apikey.ErrNotFound)
			addKeys(t, other, 0, 2) // with the same IDs and digests
			require.NoError(t, errorOf(other.Revoke(t.Context(), keyOf(0).ID)))
			other.Touch(digestOf(1), apikey.Use{At: time.Now()})
			require.NoError(t, other.Flush(t.Context()))
			assert.Equal(t, before, head(t, store))
			key, err := store.Lookup(t.Context(), digestOf(0))
			require.NoError(t, err)
			assert.Zero(t, key.RevokedAt)

			same := e.openStore(t, dsn, sqlstore.Options{TablePrefix: prefix})
			require.NoError(t, errorOf(same.Lookup(t.Context(), digestOf(1))), "the same prefix")
			execute(t, e.openDB(t, dsn), "DELETE FROM apikey_keys")
		}
	})
}

func TestStatementsUseThePrefix(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		var record recorder
		store := e.newStore(t, e.openHooked(t, dsn, record.hook), sqlstore.Options{TablePrefix: "svc_"})
		statements, err := record.during(func() error { useEverything(t, store); return nil })
		require.NoError(t, err)
		require.NotEmpty(t, statements)
		for _, s := range statements {
			assert.NotContains(t, s.query, "apikey_")
		}
	})
}

// useEverything calls every method of a store.
func useEverything(t *testing.T, store *sqlstore.Store) {
	t.Helper()
	ctx, name, later := t.Context(), "Renamed", time.Now().Add(time.Hour)
	require.NoError(t, store.Migrate(ctx))
	require.NoError(t, store.Migrate(ctx))
	addKeys(t, store, 0, 3)
	require.NoError(t, errorOf(store.Lookup(ctx, digestOf(0))))
	require.ErrorIs(t, errorOf(store.Lookup(ctx, digestOf(99))), apikey.ErrNotFound)
	require.NoError(t, errorOf(store.Get(ctx, keyOf(0).ID)))
	require.NoError(t, errorOf(store.Update(ctx, keyOf(0).ID, apikey.Patch{Name: &name})))
	require.NoError(t, errorOf(store.Replace(ctx, keyOf(1).ID, later, digestOf(9), keyOf(9))))
	require.NoError(t, errorOf(store.Revoke(ctx, keyOf(2).ID)))
	for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for _, o := range []apikey.ListOptions{{}, {Search: "r"}, {Owner: "o"}, {Status: apikey.StatusActive}, {Status: apikey.StatusExpired}} {
			o.Sort, o.Limit = sort, 1
			page, err := store.List(ctx, o)
			require.NoError(t, err)
			o.Cursor = page.Next
			require.NoError(t, errorOf(store.List(ctx, o)))
		}
	}
	store.Touch(digestOf(0), apikey.Use{At: time.Now()})
	require.NoError(t, store.Flush(ctx))
	require.True(t, claimNotice(t, store, claimOf("notice", 0)))
	require.NoError(t, store.ReleaseNotice(ctx, claimOf("notice", 0)))
	require.NoError(t, store.FinishNotice(ctx, claimOf("notice", 0)))
	require.NoError(t, errorOf(store.SentNotices(ctx, []string{"notice"})))
	head(t, store)
	require.NoError(t, errorOf(store.Audit(ctx, apikey.AuditOptions{KeyID: keyOf(0).ID})))
}

func TestInvalidPrefix(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"Svc_", "1svc_", "_svc", "s-", "s.", "s ", `s"`, "s'", "ü", "s;DROP TABLE x;", strings.Repeat("p", 41)} {
		_, err := sqlstore.New(engineNamed("SQLite").openDB(t, engineNamed("SQLite").create(t)), sqlstore.SQLite, sqlstore.Options{TablePrefix: prefix})
		require.ErrorIs(t, err, apikey.ErrInvalid, prefix)
		require.ErrorContains(t, err, "TablePrefix")
		require.ErrorIs(t, sqlstore.ListenPrefix(t.Context(), pgx.Connect, "", prefix, nil), apikey.ErrInvalid, prefix)
	}
}

func TestListenIgnoresOtherPrefixes(t *testing.T) {
	t.Parallel()
	e := engineNamed("PostgreSQL")
	e.requireServer(t)
	dsn := e.create(t)
	prefix := strings.ToLower(randomName()[7:]) + "_"
	mine := e.openStore(t, dsn, sqlstore.Options{TablePrefix: prefix})
	other := e.openStore(t, dsn, sqlstore.Options{TablePrefix: "x" + prefix})
	wakes := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- sqlstore.ListenPrefix(ctx, pgx.Connect, dsn, prefix, func() { wakes <- struct{}{} })
	}()
	<-wakes // Listen has connected
	addKeys(t, other, 0, 3)
	addKeys(t, mine, 0, 1)
	<-wakes
	addKeys(t, mine, 1, 2)
	<-wakes
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	assert.Empty(t, wakes, "wakes by the other prefix")
}
