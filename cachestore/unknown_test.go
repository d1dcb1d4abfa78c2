package cachestore_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

// This test uses the real clock, because the clock of a bubble would not move. It does not run in
// parallel, because it measures the heap, which all tests share.
func TestFloodOfUnknownKeysEvictsNoKnownKey(t *testing.T) {
	flood := 1_000_000
	if raceDetector || testing.Short() {
		flood = 50_000
	}
	const known, workers = 1000, 4
	store := memstore.New()
	cache, err := cachestore.New(store, cachestore.Options{MaxKeys: known, Logger: quiet, Poll: time.Minute, Lease: time.Hour})
	require.NoError(t, err)
	defer cache.Close()
	for cache.Stats().LeaseRemaining == 0 {
		runtime.Gosched()
	}
	for i := range known {
		require.NoError(t, store.Create(t.Context(), digestOf(i), keyOf(i)))
		wantLookup(t, cache, digestOf(i), nil)
	}
	loads, before := cache.Stats().Loads, heapAlloc()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			var d apikey.Digest
			for i := range flood / workers {
				for j := 0; j < len(d); j += 8 {
					for k, v := 0, random.Uint64(); k < 8; k, v = k+1, v>>8 {
						d[j+k] = byte(v)
					}
				}
				wantLookup(t, cache, d, apikey.ErrNotFound)
				if i%10 == 0 {
					wantLookup(t, cache, digestOf(i/10%known), nil)
				}
			}
		})
	}
	wg.Wait()
	st := cache.Stats()
	assert.Equal(t, uint64(flood), st.Loads-loads, "loads for %d unknown keys: known keys stay cached", flood)
	assert.True(t, st.Keys == known && st.Evictions == 0 && st.UnknownDigests == 4096 && st.UnknownEvictions == uint64(flood-4096), "Stats() = %+v; want all known keys and only unknown digests evicted", st)
	grown := heapAlloc() - before
	assert.LessOrEqual(t, grown, int64(2<<20), "the heap has grown by %d KiB; want at most 2048", grown>>10)
}

func heapAlloc() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFullCacheKeepsUsedKeys(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{MaxKeys: 100}, func(t *testing.T, cl *cluster) {
		for i := range 1000 {
			cl.db.create(t, i)
		}
		time.Sleep(time.Second)
		for i := range 1000 {
			for hot := range 50 { // used whenever the hand passes
				wantLookup(t, cl.remote, digestOf(hot), nil)
			}
			wantLookup(t, cl.remote, digestOf(i), nil)
		}
		st := cl.remote.Stats()
		assert.True(t, st.Keys == 100 && st.Loads == 1000 && st.Evictions == 900, "Stats() = %+v; want 1000 Loads, 900 Evictions and 100 Keys", st)
	})
}

func TestUnknownDigestIsValidForOneRevision(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		wantLookup(t, cl.remote, digestOf(1), apikey.ErrNotFound)
		wantLookup(t, cl.remote, digestOf(1), apikey.ErrNotFound)
		assert.EqualValues(t, 1, cl.db.reads.Load(), "reads")
		cl.db.create(t, 2)
		wantLookup(t, cl.remote, digestOf(1), apikey.ErrNotFound)
		assert.EqualValues(t, 1, cl.db.reads.Load(), "reads before the poll")
		// A read that is ahead of the poll stays valid when the poll reaches its revision.
		wantLookup(t, cl.remote, digestOf(3), apikey.ErrNotFound)
		time.Sleep(1001 * time.Millisecond)
		wantLookup(t, cl.remote, digestOf(3), apikey.ErrNotFound)
		assert.EqualValues(t, 2, cl.db.reads.Load(), "reads after the poll: the digest was read at this revision")
		wantLookup(t, cl.remote, digestOf(1), apikey.ErrNotFound)
		assert.EqualValues(t, 3, cl.db.reads.Load(), "reads after the poll: the digest was read at an older revision")
	})
}

// A row that was deleted by hand is accepted until MaxAge at the latest.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &scripted{keys: map[apikey.Digest]*apikey.Key{digestOf(1): {ID: "k1", Name: "one"}}}
		store.at = apikey.Version{Epoch: 1, Revision: 1}
		cache := open(t, store, store, cachestore.Options{})
		for range 20 {
			store.set(digestOf(1), &apikey.Key{ID: "k1", Name: "one"})
			time.Sleep(5 * time.Minute)
			wantLookup(t, cache, digestOf(1), nil)
			store.set(digestOf(1), nil) // without a new revision
			last := lastAccepted(t, cache, digestOf(1), time.Now(), 6*time.Minute)
			assert.True(t, last < 5*time.Minute && last >= 225*time.Second-20*time.Millisecond, "key accepted for %v; want up to a quarter less than the MaxAge of 5 min", last)
			// MaxAge also ends unknown entries.
			store.set(digestOf(1), &apikey.Key{ID: "k1", Name: "one"})
			time.Sleep(5 * time.Minute)
			wantLookup(t, cache, digestOf(1), nil)
		}
	})
}
