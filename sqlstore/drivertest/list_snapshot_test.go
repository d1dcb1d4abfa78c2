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

// If a key is revoked during a list, its pages still contain every other key, including the first
// key after the budget of a page.
func TestRevokeDuringListHidesNoOtherKey(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it fills tables, which the race detector makes slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		const examined, keys = 10_000, 10_050 // the first two pages examine 5,000 keys each
		dsn := e.openTables(t)
		e.fill(t, e.openDB(t, dsn), keys, "0")
		other := e.openStore(t, dsn, sqlstore.Options{WriteTimeout: time.Minute})
		revoked := false
		db := e.openHooked(t, dsn, func(_ context.Context, query string, _ []driver.NamedValue, do func() error) error {
			err := do()
			if strings.Contains(query, "fold_id, owner, scopes") && !revoked {
				revoked = true
				assert.NoError(t, errorOf(other.Revoke(context.Background(), "filled-005000")))
			}
			return err
		})
		store := e.newStore(t, db, sqlstore.Options{ReadTimeout: time.Minute})
		o := apikey.ListOptions{Status: apikey.StatusActive, Search: "filled-000050"} // keys-examined, the first key of the third page
		var found []string
		for {
			page, err := store.List(t.Context(), o)
			require.NoError(t, err)
			for _, key := range page.Keys {
				found = append(found, key.ID)
			}
			if o.Cursor = page.Next; o.Cursor == "" {
				break
			}
		}
		assert.True(t, revoked)
		assert.Equal(t, []string{"filled-000050"}, found)
		assert.Zero(t, db.Stats().InUse)
	})
}
