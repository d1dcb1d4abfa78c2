package drivertest

import (
	"context"
	"database/sql/driver"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A client that goes away amid a read does not cost the pool a connection, which drivers close
// to break off a query. One that has gone before does not cost a read.
func TestAReadThatHasBegunIsNotCanceled(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		var cancel context.CancelFunc
		var asked []time.Time // the deadlines
		db := e.openHooked(t, dsn, func(ctx context.Context, _ string, _ []driver.NamedValue, do func() error) error {
			cancel()
			deadline, _ := ctx.Deadline()
			asked = append(asked, deadline)
			assert.NoError(t, ctx.Err())
			return do()
		})
		store := e.newStore(t, db, sqlstore.Options{ReadTimeout: time.Minute})
		for name, read := range map[string]func(ctx context.Context) error{
			"Lookup": func(ctx context.Context) error { return errorOf(store.Lookup(ctx, digestOf(0))) },
			"Get":    func(ctx context.Context) error { return errorOf(store.Get(ctx, keyOf(0).ID)) },
			"List":   func(ctx context.Context) error { return errorOf(store.List(ctx, apikey.ListOptions{})) },
			"List with a filter": func(ctx context.Context) error {
				return errorOf(store.List(ctx, apikey.ListOptions{Search: "system"}))
			},
			"Audit": func(ctx context.Context) error { return errorOf3(store.Audit(ctx, "", "", 0)) },
		} {
			t.Run(name, func(t *testing.T) {
				end := time.Now().Add(30 * time.Second) // before the ReadTimeout
				ctx, stop := context.WithDeadline(t.Context(), end)
				defer stop()
				ctx, cancel = context.WithCancel(ctx)
				asked = nil
				if err := read(ctx); err != nil {
					require.ErrorIs(t, err, apikey.ErrNotFound)
				}
				require.Error(t, ctx.Err(), "it was to be canceled amid the read")
				require.NotEmpty(t, asked)
				for _, deadline := range asked {
					assert.WithinDuration(t, end, deadline, 0, "the deadline of the caller")
				}
				asked = nil
				require.ErrorIs(t, read(ctx), context.Canceled)
				assert.Empty(t, asked)
			})
		}
	})
}
