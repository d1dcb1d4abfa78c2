//go:build long

package drivertest

import (
	"context"
	"database/sql/driver"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A thousand callers look up keys that are not cached, through the cache and directly, while the
// database answers no lookup. They occupy all connections of a small pool except two, so polls and
// writes continue.
func TestLookupsDoNotStarvePolls(t *testing.T) {
	t.Parallel()
	inParallel(t, func(t *testing.T, e engine) {
		const callers, connections, spare = 1000, 4, 2
		dsn := e.openTables(t)
		var blocking atomic.Bool
		var running, most atomic.Int64
		gate := make(chan struct{})
		var once sync.Once
		open := func() { once.Do(func() { close(gate) }) }
		defer open()
		db := e.openHooked(t, dsn, func(_ context.Context, query string, _ []driver.NamedValue, do func() error) error {
			if !blocking.Load() || !strings.Contains(query, "k.digest = ") {
				return do()
			}
			n := running.Add(1)
			defer running.Add(-1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			<-gate
			return do()
		})
		db.SetMaxOpenConns(connections)
		store := e.newStore(t, db, sqlstore.Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute})
		cache, err := cachestore.New(store, cachestore.Options{
			Poll: 50 * time.Millisecond, QueryTimeout: time.Minute, Lease: 2 * time.Minute, Logger: silent})
		require.NoError(t, err)
		defer cache.Close()
		eventually(t, 30*time.Second, "the first poll succeeds", func() bool { return cache.Stats().LeaseRemaining > 0 })

		blocking.Store(true)
		var all sync.WaitGroup
		defer all.Wait()
		defer open()
		for caller := range callers {
			lookup := store.Lookup
			if caller%2 == 0 {
				lookup = cache.Lookup
			}
			all.Go(func() {
				assert.ErrorIs(t, errorOf(lookup(t.Context(), digestOf(caller))), apikey.ErrNotFound)
			})
		}
		eventually(t, 30*time.Second, "lookups occupy their connections", func() bool { return running.Load() == connections-spare })
		before := cache.Stats()
		require.NoError(t, store.Create(t.Context(), digestOf(callers), keyOf(callers)))
		eventually(t, 30*time.Second, "polls succeed", func() bool { return cache.Stats().Polls >= before.Polls+3 })
		assert.Zero(t, cache.Stats().PollFailures)
		open()
		all.Wait()
		assert.EqualValues(t, connections-spare, most.Load(), "concurrent lookups")
	})
}
