package drivertest

import (
	"context"
	"database/sql/driver"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// The WriteTimeout includes the time that a write waits for the previous one.
func TestWriteTimeoutIncludesWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dsn := onSQLite.openTables(t)
		commits := time.Duration(0)
		db := onSQLite.openHooked(t, dsn, func(ctx context.Context, query string, _ []driver.NamedValue, do func() error) error {
			if query == "COMMIT" {
				select {
				case <-time.After(commits):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return do()
		})
		store := onSQLite.newStore(t, db, sqlstore.Options{WriteTimeout: 10 * time.Second})
		addKeys(t, store, 0, 2)
		commits = 6 * time.Second
		first := make(chan error)
		go func() { first <- errorOf(store.Revoke(t.Context(), keyOf(0).ID)) }()
		synctest.Wait()
		begin := time.Now()
		require.ErrorIs(t, errorOf(store.Revoke(t.Context(), keyOf(1).ID)), context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(begin))
		require.NoError(t, <-first)
	})
}
