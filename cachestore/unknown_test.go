package cachestore_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

// Not in a bubble, whose clock would not move meanwhile; and not in parallel, since the
// heap that it measures is that of all tests which run beside it.
func TestAFloodOfUnknownKeysEvictsNoGoodOne(t *testing.T) {
	flood := 1_000_000
	if raceDetector || testing.Short() {
		flood = 50_000
	}
	const good, workers = 1000, 4
	store := memstore.New()
	cache, err := cachestore.New(store, store, cachestore.Options{MaxKeys: good, Logger: quiet, Poll: time.Minute, Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	for cache.Stats().LeaseRemaining == 0 {
		runtime.Gosched()
	}
	for i := range good {
		if err := store.Create(t.Context(), digestOf(i), keyOf(i)); err != nil {
			t.Fatal(err)
		}
		wants(t, cache, digestOf(i), nil)
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
				wants(t, cache, d, apikey.ErrNotFound)
				if i%10 == 0 {
					wants(t, cache, digestOf(i/10%good), nil)
				}
			}
		})
	}
	wg.Wait()
	st := cache.Stats()
	if n := st.Loads - loads; n != uint64(flood) {
		t.Errorf("%d loads for %d unknown keys: good ones were read again", n, flood)
	}
	if st.Keys != good || st.Evictions != 0 || st.UnknownDigests != 4096 || st.UnknownEvictions != uint64(flood-4096) {
		t.Errorf("%+v", st)
	}
	if grown := heapAlloc() - before; grown > 2<<20 {
		t.Errorf("memory has grown by %d KiB", grown>>10)
	}
}

func heapAlloc() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestKnownKeysAreBoundedAndThoseInUseStay(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{MaxKeys: 100}, func(t *testing.T, w *world) {
		for i := range 1000 {
			w.db.create(t, i)
		}
		time.Sleep(time.Second)
		for i := range 1000 {
			for hot := range 50 { // used in every round of the hand
				wants(t, w.there, digestOf(hot), nil)
			}
			wants(t, w.there, digestOf(i), nil)
		}
		st := w.there.Stats()
		if st.Keys != 100 || st.Loads != 1000 || st.Evictions != 900 {
			t.Errorf("%+v; want every key loaded once", st)
		}
	})
}

// With the unknown cache full of what a poll has made out of date.
func TestUnknownDigestsHoldForOneRevisionOnly(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		wants(t, w.there, digestOf(1), apikey.ErrNotFound)
		wants(t, w.there, digestOf(1), apikey.ErrNotFound)
		if n := w.db.reads.Load(); n != 1 {
			t.Errorf("%d reads", n)
		}
		w.db.create(t, 2)
		wants(t, w.there, digestOf(1), apikey.ErrNotFound)
		if n := w.db.reads.Load(); n != 1 {
			t.Errorf("%d reads before the poll", n)
		}
		// A read that is ahead of the poll holds when the poll has come up to it.
		wants(t, w.there, digestOf(3), apikey.ErrNotFound)
		time.Sleep(1001 * time.Millisecond)
		wants(t, w.there, digestOf(3), apikey.ErrNotFound)
		if n := w.db.reads.Load(); n != 2 {
			t.Errorf("%d reads after the poll, of a digest that was read in this revision", n)
		}
		wants(t, w.there, digestOf(1), apikey.ErrNotFound)
		if n := w.db.reads.Load(); n != 3 {
			t.Errorf("%d reads after the poll", n)
		}
	})
}

// A row that was deleted by hand is gone after MaxAge at the latest.
func TestNothingIsUsedBeyondMaxAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &scripted{keys: map[apikey.Digest]*apikey.Key{digestOf(1): {ID: "k1", Name: "one"}}}
		store.at = apikey.Cursor{Epoch: 1, Revision: 1}
		cache := open(t, store, store, cachestore.Options{})
		for range 20 {
			store.set(digestOf(1), &apikey.Key{ID: "k1", Name: "one"})
			time.Sleep(5 * time.Minute)
			wants(t, cache, digestOf(1), nil)
			store.set(digestOf(1), nil) // without moving the revision
			last := lastAccepted(t, cache, digestOf(1), time.Now(), 6*time.Minute)
			if last >= 5*time.Minute || last < 225*time.Second-20*time.Millisecond {
				t.Errorf("it was accepted for %v", last)
			}
			// And the other way round.
			store.set(digestOf(1), &apikey.Key{ID: "k1", Name: "one"})
			time.Sleep(5 * time.Minute)
			wants(t, cache, digestOf(1), nil)
		}
	})
}
