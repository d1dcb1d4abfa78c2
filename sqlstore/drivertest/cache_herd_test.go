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

// A countedStore counts reads and can delay polls.
type countedStore struct {
	*sqlstore.Store
	// warm, if not nil, makes LookupAt return a key of this Version without a read.
	warm     atomic.Pointer[apikey.Version]
	reads    atomic.Int64
	gate     atomic.Pointer[chan struct{}] // polls wait until it is closed
	waiting  chan struct{}                 // receives each poll that waits
	notified func(apikey.Digest, apikey.Version)
}

func (s *countedStore) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
	if at := s.warm.Load(); at != nil {
		return &apikey.Key{ID: "warm", Name: "Warm"}, *at, nil
	}
	s.reads.Add(1)
	return s.Store.LookupAt(ctx, d)
}

func (s *countedStore) Changes(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
	if gate := s.gate.Load(); gate != nil {
		s.waiting <- struct{}{}
		select {
		case <-*gate:
		case <-ctx.Done():
		}
	}
	return s.Store.Changes(ctx, since)
}

func (s *countedStore) Subscribe(f func(apikey.Digest, apikey.Version)) (cancel func()) {
	s.notified = f
	return s.Store.Subscribe(f)
}

// After the lease of many cached keys has ended, one poll revalidates all of them. The cache reads
// only the keys that changed.
func TestNoThunderingHerdAfterOutage(t *testing.T) {
	t.Parallel()
	inParallel(t, func(t *testing.T, e engine) {
		const keys, changed = 20_000, 10
		dsn := e.openTables(t)
		other := e.openStore(t, dsn, sqlstore.Options{})
		addKeys(t, other, 0, 2*changed) // the database does not contain the other keys
		store := &countedStore{Store: e.openStore(t, dsn, sqlstore.Options{}), waiting: make(chan struct{}, 1000)}
		cache, err := cachestore.New(store, cachestore.Options{Logger: silent,
			Poll: 200 * time.Millisecond, QueryTimeout: time.Minute, Lease: 2 * time.Minute})
		require.NoError(t, err)
		defer cache.Close()
		// all looks up every key and returns the number of answers.
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
		eventually(t, time.Minute, "every key is cached", func() bool { return all(outage) == keys && cache.Stats().Keys == keys })
		store.warm.Store(nil)

		gate := make(chan struct{})
		store.gate.Store(&gate)
		<-store.waiting
		store.notified(digestOf(keys), apikey.Version{}) // an uncertain write ends the lease
		require.Zero(t, cache.Stats().LeaseRemaining)
		for i := range changed {
			require.NoError(t, errorOf(other.Revoke(t.Context(), keyOf(i).ID)))
		}
		before, reads := cache.Stats(), store.reads.Load()
		var answered int64
		var lookups sync.WaitGroup
		lookups.Go(func() { answered = all(outage) })
		store.gate.Store(nil)
		close(gate)
		lookups.Wait()
		assert.EqualValues(t, keys, answered)
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
