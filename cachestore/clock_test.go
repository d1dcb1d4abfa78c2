package cachestore

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// open returns a cache that has polled once, in front of a store with one key under the zero digest.
// The last result sets the wall clock ahead of the monotonic clock, in nanoseconds.
func open(t *testing.T, feed func(*memstore.Store) apikey.ChangeFeed, o Options) (*Store, *memstore.Store, *atomic.Int64) {
	t.Helper()
	db := memstore.New()
	require.NoError(t, db.Create(t.Context(), apikey.Digest{}, apikey.Key{ID: "k", Name: "key"}))
	var suspended atomic.Int64
	start := time.Now()
	s, err := newStore(db, feed(db), o, func() instant {
		mono := int64(time.Since(start))
		return instant{mono, start.UnixNano() + mono + suspended.Load()}
	})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	synctest.Wait()
	return s, db, &suspended
}

// A muteFeed announces no writes. Its polls fail while down is set.
type muteFeed struct {
	apikey.ChangeFeed
	down *atomic.Bool
}

func (muteFeed) Subscribe(func(apikey.Digest, apikey.Version)) func() { return func() {} }
func (f muteFeed) Changes(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
	if f.down.Load() {
		return apikey.Changes{}, errors.New("down")
	}
	return f.ChangeFeed.Changes(ctx, since)
}

func TestSuspendDoesNotExtendLease(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		down bool
		want error
	}{{"database answers", false, apikey.ErrRevoked}, {"database is down", true, apikey.ErrUnavailable}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				s, db, suspended := open(t, func(db *memstore.Store) apikey.ChangeFeed { return muteFeed{db, &down} },
					Options{AllowStaleAfterLease: time.Minute})
				_, err := s.Lookup(t.Context(), apikey.Digest{})
				require.NoError(t, err)
				time.Sleep(500 * time.Millisecond)
				_, err = db.Revoke(t.Context(), "k")
				require.NoError(t, err)
				down.Store(test.down)
				suspended.Store(int64(time.Hour))
				key, err := s.Lookup(t.Context(), apikey.Digest{})
				if err == nil {
					err = key.Check(time.Now())
				}
				assert.ErrorIs(t, err, test.want, "lookup after an hour of suspension")
			})
		})
	}
}

func TestSuspendDoesNotExtendTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, db, suspended := open(t, func(*memstore.Store) apikey.ChangeFeed { return nil }, Options{})
		_, err := s.Lookup(t.Context(), apikey.Digest{})
		require.NoError(t, err)
		_, err = db.Revoke(t.Context(), "k")
		require.NoError(t, err)
		suspended.Store(int64(6 * time.Second))
		key, err := s.Lookup(t.Context(), apikey.Digest{})
		assert.True(t, err == nil && key.Check(time.Now()) != nil, "Lookup after 6 s of suspension = %v, %v; want the revoked key", key, err)
	})
}

func TestWallClockSetBackDoesNotExtendLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		s, _, set := open(t, func(db *memstore.Store) apikey.ChangeFeed { return muteFeed{db, &down} }, Options{})
		_, err := s.Lookup(t.Context(), apikey.Digest{})
		require.NoError(t, err)
		down.Store(true)
		set.Store(-int64(time.Hour))
		_, err = s.Lookup(t.Context(), apikey.Digest{})
		assert.NoError(t, err)
		time.Sleep(3 * time.Second)
		_, err = s.Lookup(t.Context(), apikey.Digest{})
		assert.ErrorIs(t, err, apikey.ErrUnavailable, "Lookup after the lease")
	})
}

func TestHitTakesNoLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := open(t, func(db *memstore.Store) apikey.ChangeFeed { return db }, Options{})
		unknown := apikey.Digest{1}
		s.Lookup(t.Context(), apikey.Digest{})
		s.Lookup(t.Context(), unknown)
		s.mu.Lock()
		defer s.mu.Unlock()
		_, err := s.Lookup(t.Context(), apikey.Digest{})
		assert.NoError(t, err)
		_, err = s.Lookup(t.Context(), unknown)
		assert.Equal(t, apikey.ErrNotFound, err)
	})
}

// A signalingStore sets returned when it has answered.
type signalingStore struct {
	*memstore.Store
	returned atomic.Bool
}

func (r *signalingStore) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
	defer r.returned.Store(true)
	return r.Store.LookupAt(ctx, d)
}

// An answer that arrives in time can become late while it waits for the lock.
func TestAnswerLateAfterLockIsNotUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &signalingStore{Store: memstore.New()}
		require.NoError(t, db.Create(t.Context(), apikey.Digest{}, apikey.Key{ID: "k", Name: "key"}))
		var cache atomic.Pointer[Store]
		start := time.Now()
		s, err := newStore(db, db.Store, Options{}, func() instant {
			now := instant{int64(time.Since(start)), time.Now().UnixNano()}
			if s := cache.Load(); s != nil && db.returned.Load() {
				if s.mu.TryLock() {
					s.mu.Unlock()
				} else { // the caller holds the lock
					now = now.add(1001 * time.Millisecond)
				}
			}
			return now
		})
		require.NoError(t, err)
		defer s.Close()
		synctest.Wait()
		cache.Store(s)
		_, err = s.Lookup(t.Context(), apikey.Digest{})
		assert.ErrorIs(t, err, apikey.ErrUnavailable, "Lookup")
		st := s.Stats()
		assert.Zero(t, st.Keys, "Stats() = %+v; want the late answer not to be cached", st)
	})
}
