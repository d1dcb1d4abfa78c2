//go:build long

package drivertest

import (
	"context"
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

// The network is slow, the pool is small, and a thousand callers look keys up that are not in
// memory, through the cache and past it. The poll has a connection in time all the same, and
// so the keys that are in memory stay good.
func TestLookupsDoNotStarveThePoll(t *testing.T) {
	t.Parallel()
	atOnceOverNetwork(t, func(t *testing.T, e engine) {
		const callers, connections, latency = 1000, 4, 30 * time.Millisecond
		dsn := e.openTables(t)
		_, slow := overLine(t, e, dsn, latency, 0)
		db, err := e.open(slow)
		require.NoError(t, err)
		t.Cleanup(func() { db.Close() })
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		store := e.newStore(t, db, sqlstore.Options{})
		o := cachestore.Options{Poll: 200 * time.Millisecond, QueryTimeout: time.Second, Lease: 2500 * time.Millisecond, Logger: silent}
		cache, err := cachestore.New(store, store, o)
		require.NoError(t, err)
		defer cache.Close()
		addKeys(t, e.openStore(t, dsn, sqlstore.Options{}), 0, 1)
		eventually(t, 30*time.Second, "the key is in memory", func() bool {
			return errorOf(cache.Lookup(t.Context(), digestOf(0))) == nil && cache.Stats().Keys == 1
		})
		before := cache.Stats()

		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var answered, begun atomic.Int64
		for caller := range callers {
			lookup := store.Lookup
			if caller%2 == 0 {
				lookup = cache.Lookup
			}
			all.Go(func() {
				for n := 1; ctx.Err() == nil; n++ {
					begun.Add(1)
					if _, err := lookup(ctx, digestOf(n*callers+caller)); assert.NotNil(t, err) && err == apikey.ErrNotFound {
						answered.Add(1)
					}
				}
			})
		}
		// Two leases and more, of which the first is from before.
		for over := time.Now().Add(2 * o.Lease); time.Now().Before(over); <-time.After(10 * time.Millisecond) {
			if !assert.NoError(t, errorOf(cache.Lookup(t.Context(), digestOf(0))), "the lease was lost") {
				break
			}
		}
		after := cache.Stats()
		stop()
		all.Wait()
		t.Logf("%d lookups begun, %d answered; %d of %d polls failed", begun.Load(), answered.Load(),
			after.PollFailures-before.PollFailures, after.Polls-before.Polls)
		assert.Greater(t, begun.Load(), int64(callers))
		assert.Positive(t, answered.Load())
		assert.EqualValues(t, 1, after.Keys)
	})
}
