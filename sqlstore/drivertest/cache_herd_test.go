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

// A countedStore counts the reads, and can freeze the feed.
type countedStore struct {
	*sqlstore.Store
	// While warm is not nil, everybody has a key in that state, which costs no read.
	warm   atomic.Pointer[apikey.Cursor]
	reads  atomic.Int64
	frozen atomic.Bool
	hung   chan struct{} // told of each poll that hangs
}

func (s *countedStore) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	if at := s.warm.Load(); at != nil {
		return &apikey.Key{ID: "warm", Name: "Warm"}, *at, nil
	}
	s.reads.Add(1)
	return s.Store.LookupAt(ctx, d)
}

func (s *countedStore) Changes(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
	if s.frozen.Load() {
		s.hung <- struct{}{}
		<-ctx.Done()
		return apikey.Changes{}, ctx.Err()
	}
	return s.Store.Changes(ctx, since)
}

// The lease of very many keys ends. One poll makes all of them good again: what is read is
// what has changed, and not what is in memory.
func TestNoHerdComesAfterAnOutage(t *testing.T) {
	t.Parallel()
	atOnce(t, func(t *testing.T, e engine) {
		const keys, changed = 20_000, 10
		dsn := e.openTables(t)
		other := e.openStore(t, dsn, sqlstore.Options{})
		addKeys(t, other, 0, 2*changed) // so the database has not even got the others
		store := &countedStore{Store: e.openStore(t, dsn, sqlstore.Options{}), hung: make(chan struct{}, 1000)}
		cache, err := cachestore.New(store, store, cachestore.Options{Logger: silent,
			Poll: 200 * time.Millisecond, QueryTimeout: time.Second, Lease: 1500 * time.Millisecond})
		require.NoError(t, err)
		defer cache.Close()
		// all looks every key up, and returns how many were answered.
		all := func(accept func(err error) bool) (answered int64) {
			t.Helper()
			var n atomic.Int64
			var wg sync.WaitGroup
			for worker := range 8 {
				wg.Go(func() {
					for i := worker; i < keys; i += 8 {
						if err := errorOf(cache.Lookup(t.Context(), digestOf(i))); err == nil {
							n.Add(1)
						} else if !accept(err) {
							t.Errorf("key %d: %v", i, err)
							return
						}
					}
				})
			}
			wg.Wait()
			return n.Load()
		}
		outage := func(err error) bool { return assert.ErrorIs(t, err, apikey.ErrUnavailable) }
		now := head(t, other)
		store.warm.Store(&now)
		eventually(t, time.Minute, "every key is in memory", func() bool { return all(outage) == keys && cache.Stats().Keys == keys })
		store.warm.Store(nil)

		store.frozen.Store(true)
		<-store.hung
		eventually(t, 10*time.Second, "the lease has ended", func() bool { return cache.Stats().LeaseRemaining == 0 })
		for i := range changed {
			require.NoError(t, errorOf(other.Revoke(t.Context(), keyOf(i).ID)))
		}
		before, reads := cache.Stats(), store.reads.Load()
		// The first lookups wait for the poll that hangs, the others are refused at once.
		var waiting sync.WaitGroup
		for range 2 {
			waiting.Go(func() {
				for i := range keys {
					if err := errorOf(cache.Lookup(t.Context(), digestOf(i))); err != nil && !outage(err) {
						return
					}
				}
			})
		}
		for range 2 {
			<-store.hung
		}
		store.frozen.Store(false)
		eventually(t, 2*time.Second, "a poll is answered", func() bool { return cache.Stats().LeaseRemaining > 0 })
		waiting.Wait()
		assert.EqualValues(t, keys, all(outage))
		st := cache.Stats()
		read := store.reads.Load() - reads
		t.Logf("%d keys: %d reads, %d polls, %d refused", keys, read, st.Polls-before.Polls, st.Refused-before.Refused)
		assert.GreaterOrEqual(t, read, int64(changed))
		assert.LessOrEqual(t, read, int64(10*changed))
		assert.EqualValues(t, read, st.Loads-before.Loads)
		assert.Zero(t, st.Resets)
		for i := range 2 * changed {
			key, err := cache.Lookup(t.Context(), digestOf(i))
			require.NoError(t, err)
			require.Equal(t, i < changed, !key.RevokedAt.IsZero(), "key %d", i)
		}
	})
}
