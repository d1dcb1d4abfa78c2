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

// Drivers close the connection of a canceled query. The end of the caller's context must
// therefore not cancel a read that has begun. If the context ended before, the store does not read.
func TestCancelDoesNotInterruptRead(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		var cancel context.CancelFunc
		var deadlines []time.Time // of the executed statements
		db := e.openHooked(t, dsn, func(ctx context.Context, _ string, _ []driver.NamedValue, do func() error) error {
			cancel()
			deadline, _ := ctx.Deadline()
			deadlines = append(deadlines, deadline)
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
			"Audit": func(ctx context.Context) error { return errorOf(store.Audit(ctx, apikey.AuditOptions{})) },
		} {
			t.Run(name, func(t *testing.T) {
				end := time.Now().Add(30 * time.Second) // before the ReadTimeout
				ctx, stop := context.WithDeadline(t.Context(), end)
				defer stop()
				ctx, cancel = context.WithCancel(ctx)
				deadlines = nil
				if err := read(ctx); err != nil {
					require.ErrorIs(t, err, apikey.ErrNotFound)
				}
				require.Error(t, ctx.Err(), "canceled during the read")
				require.NotEmpty(t, deadlines)
				for _, deadline := range deadlines {
					// The caller's deadline, or that of an attempt that may continue without the caller.
					assert.Contains(t, []time.Duration{0, 10 * time.Second}, deadline.Sub(end))
				}
				deadlines = nil
				require.ErrorIs(t, read(ctx), context.Canceled)
				assert.Empty(t, deadlines)
			})
		}
	})
}
