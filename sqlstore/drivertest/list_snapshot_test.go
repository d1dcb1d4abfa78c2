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

// The first key beyond what one step of a list looks at moves over its end when one before it is
// revoked amid the step, and is on a page all the same.
func TestARevocationAmidAListHidesNoOtherKey(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it fills tables, and without the race detector it runs")
	}
	onEach(t, func(t *testing.T, e engine) {
		const budget, keys = 10_000, 10_050
		dsn := e.openTables(t)
		e.fill(t, e.openDB(t, dsn), keys, "0")
		other := e.openStore(t, dsn, sqlstore.Options{WriteTimeout: time.Minute})
		revoked := false
		db := e.openHooked(t, dsn, func(_ context.Context, query string, _ []driver.NamedValue, do func() error) error {
			err := do()
			if strings.Contains(query, "fold_id LIKE") && !revoked {
				revoked = true
				assert.NoError(t, errorOf(other.Revoke(context.Background(), "filled-005000")))
			}
			return err
		})
		store := e.newStore(t, db, sqlstore.Options{ReadTimeout: time.Minute})
		o := apikey.ListOptions{Status: apikey.StatusActive, Search: "filled-000050"} // keys-budget: the first one beyond
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
