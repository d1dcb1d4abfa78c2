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

// A countedStore counts the reads, and can hold the feed's answers back.
type countedStore struct {
	*sqlstore.Store
	// While warm is not nil, everybody has a key in that state, which costs no read.
	warm  atomic.Pointer[apikey.Cursor]
	reads atomic.Int64
	gate  atomic.Pointer[chan struct{}] // polls wait until it is closed
	held  chan struct{}                 // told of each poll that does
	told  func(apikey.Digest, apikey.Cursor)
}

func (s *countedStore) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	if at := s.warm.Load(); at != nil {
		return &apikey.Key{ID: "warm", Name: "Warm"}, *at, nil
	}
	s.reads.Add(1)
	return s.Store.LookupAt(ctx, d)
}

func (s *countedStore) Changes(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
	if gate := s.gate.Load(); gate != nil {
		s.held <- struct{}{}
		select {
		case <-*gate:
		case <-ctx.Done():
		}
	}
	return s.Store.Changes(ctx, since)
}

func (s *countedStore) Subscribe(told func(apikey.Digest, apikey.Cursor)) (cancel func()) {
	s.told = told
	return s.Store.Subscribe(told)
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
		store := &countedStore{Store: e.openStore(t, dsn, sqlstore.Options{}), held: make(chan struct{}, 1000)}
		cache, err := cachestore.New(store, store, cachestore.Options{Logger: silent,
			Poll: 200 * time.Millisecond, QueryTimeout: time.Minute, Lease: 2 * time.Minute})
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

		gate := make(chan struct{})
		store.gate.Store(&gate)
		<-store.held
		store.told(digestOf(keys), apikey.Cursor{}) // a write that may have happened ends the lease
		require.Zero(t, cache.Stats().LeaseRemaining)
		for i := range changed {
			require.NoError(t, errorOf(other.Revoke(t.Context(), keyOf(i).ID)))
		}
		before, reads := cache.Stats(), store.reads.Load()
		var answered int64
		var waiting sync.WaitGroup
		waiting.Go(func() { answered = all(outage) })
		store.gate.Store(nil)
		close(gate)
		waiting.Wait()
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
