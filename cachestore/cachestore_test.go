package cachestore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestNewRefusesInvalidOptions(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	var noStore *memstore.Store
	year := 366 * 24 * time.Hour
	for _, test := range []struct {
		name  string
		store apikey.KeyStore
		o     cachestore.Options
	}{
		{"KeyStore", nil, cachestore.Options{}},
		{"KeyStore", noStore, cachestore.Options{}},
		{"KeyStore", struct{ apikey.KeyStore }{store}, cachestore.Options{}},
		{"MaxKeys", store, cachestore.Options{MaxKeys: -1}},
		{"MaxUnknown", store, cachestore.Options{MaxUnknown: -1}},
		{"MaxLoads", store, cachestore.Options{MaxLoads: -1}},
		{"Poll", store, cachestore.Options{Poll: -1}},
		{"Poll", store, cachestore.Options{Poll: time.Millisecond}},
		{"Lease", store, cachestore.Options{Lease: -1}},
		{"Lease", store, cachestore.Options{Lease: 2 * time.Second}},
		{"Lease", store, cachestore.Options{Poll: 2 * time.Second}},
		{"Lease", store, cachestore.Options{QueryTimeout: 2 * time.Second}},
		{"Lease", store, cachestore.Options{Lease: 100 * year}},
		{"QueryTimeout", store, cachestore.Options{QueryTimeout: -1}},
		{"MaxAge", store, cachestore.Options{MaxAge: -1}},
		{"TTL", store, cachestore.Options{TTLOnly: true, TTL: -1}},
		{"AllowStaleAfterLease", store, cachestore.Options{AllowStaleAfterLease: -1}},
		{"AllowStaleAfterLease", store, cachestore.Options{TTLOnly: true, AllowStaleAfterLease: time.Minute}},
	} {
		cache, err := cachestore.New(test.store, test.o)
		assert.True(t, cache == nil && errors.Is(err, apikey.ErrInvalid) && strings.Contains(err.Error(), test.name) && strings.HasPrefix(err.Error(), "cachestore: "), "New(%T, %+v) = %v, %v; want an ErrInvalid that names %s", test.store, test.o, cache, err, test.name)
	}
	// The limits of the Lease do not apply with TTLOnly.
	cache, err := cachestore.New(store, cachestore.Options{TTLOnly: true, QueryTimeout: time.Minute})
	require.NoError(t, err)
	cache.Close()
}

func TestMiddlewareFindsToucherBehindCache(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		assert.Same(t, cl.db, cl.remote.Unwrap(), "Unwrap() is not the store behind the cache")
		issuer, _ := apikey.NewIssuer(cl.db, apikey.IssuerOptions{})
		secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "hub"})
		require.NoError(t, err)
		auth, err := apikey.New(cl.remote, apikey.Options{Logger: quiet})
		require.NoError(t, err)
		for range 3 {
			time.Sleep(10 * time.Second)
			_, err := auth.Verify(t.Context(), secret)
			require.NoError(t, err)
			key, _ = cl.db.Get(t.Context(), key.ID)
			assert.True(t, key.LastUsedAt.Equal(time.Now()), "LastUsedAt = %v; want %v", key.LastUsedAt, time.Now())
		}
	})
}

func TestCachesOfDifferentStoresAreIndependent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := memstore.New(), memstore.New()
		d := digestOf(1)
		for _, s := range []*memstore.Store{one, two} {
			require.NoError(t, s.Create(t.Context(), d, keyOf(len(t.Name()))))
		}
		first, second := open(t, one, one, cachestore.Options{}), open(t, two, two, cachestore.Options{})
		wantLookup(t, first, d, nil)
		wantLookup(t, second, d, nil)
		_, err := one.Revoke(t.Context(), keyOf(len(t.Name())).ID)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		wantLookup(t, first, d, apikey.ErrRevoked)
		wantLookup(t, second, d, nil)
		// The feed of another store has another epoch, so it validates no answer.
		mixed := open(t, one, two, cachestore.Options{})
		wantLookup(t, mixed, d, apikey.ErrUnavailable)
	})
}

func TestCloseStopsPollsAndLoads(t *testing.T) {
	t.Parallel()
	for _, hasFeed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { // fails if a goroutine remains
			db := &database{Store: memstore.New()}
			f := &feed{ChangeFeed: db.Store}
			var feed apikey.ChangeFeed
			if hasFeed {
				feed = f
			}
			cache, err := cachestore.NewWithFeed(db, feed, cachestore.Options{Logger: quiet})
			require.NoError(t, err)
			synctest.Wait()
			d := db.create(t, 1)
			wantLookup(t, cache, d, nil)
			time.Sleep(900 * time.Millisecond)
			// A poll and a load are running, and respect their contexts.
			f.intercept(func(ctx context.Context, _ poll) (apikey.Changes, error) {
				<-ctx.Done()
				return apikey.Changes{}, ctx.Err()
			})
			time.Sleep(200 * time.Millisecond)
			db.before.Store(new(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
			waiting := lookupAsync(t.Context(), cache, digestOf(2))
			synctest.Wait()
			begun := time.Now()
			other := make(chan struct{})
			go func() { cache.Close(); close(other) }()
			cache.Close()
			<-other
			assert.Zero(t, time.Since(begun), "duration of Close")
			assert.ErrorIs(t, waiting(), apikey.ErrUnavailable, "waiting lookup")
			reads, polls := db.reads.Load(), f.polls.Load()
			wantLookup(t, cache, d, apikey.ErrUnavailable)
			wantLookup(t, cache, digestOf(3), apikey.ErrUnavailable)
			cache.Wake()
			cache.Close()
			db.revoke(t, 1) // the cache is no longer subscribed
			time.Sleep(time.Minute)
			wantLookup(t, cache, d, apikey.ErrUnavailable)
			assert.True(t, db.reads.Load() == reads && f.polls.Load() == polls, "the closed cache called its store or its feed")
			st := cache.Stats()
			assert.True(t, st.Keys == 0 && st.LeaseRemaining == 0, "Stats() = %+v; want no keys and no lease", st)
		})
	}
}

// Close has to wait for this store, which ignores its context.
func TestLookupFailsOnceCloseIsCalled(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		hook, resume := pause()
		cl.db.before.Store(&hook)
		lookupAsync(t.Context(), cl.remote, digestOf(2))
		synctest.Wait()
		closed := make(chan struct{})
		go func() { cl.remote.Close(); close(closed) }()
		synctest.Wait()
		wantLookup(t, cl.remote, d, apikey.ErrUnavailable)
		select {
		case <-closed:
			t.Error("Close did not wait for the load")
		default:
		}
		resume()
		<-closed
	})
}

func TestStats(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{MaxKeys: 2, MaxUnknown: 1}, func(t *testing.T, cl *cluster) {
		for i := range 3 {
			cl.db.create(t, i)
		}
		time.Sleep(1500 * time.Millisecond)
		for _, i := range []int{0, 0, 0, 1, 2, -1, -1, -2} {
			outcome(t.Context(), cl.remote, digestOf(i))
		}
		cl.remoteFeed.forge(func(c *apikey.Changes) { c.Reset = true; cl.remoteFeed.fail() })
		before := cl.remote.Stats()
		time.Sleep(time.Second) // the poll at 2 s is a Reset
		cl.db.before.Store(new(func(context.Context) error { return errDown }))
		outcome(t.Context(), cl.remote, digestOf(0))
		time.Sleep(600 * time.Millisecond) // the poll at 3 s fails
		after := cl.remote.Stats()
		want := cachestore.Stats{Hits: 2, UnknownHits: 1, Misses: 5, Loads: 5, Evictions: 1, UnknownEvictions: 1,
			Polls: 2, Keys: 2, UnknownDigests: 1, LeaseRemaining: 2500 * time.Millisecond}
		assert.Equal(t, want, before, "Stats() before the reset")
		want = cachestore.Stats{Hits: 2, UnknownHits: 1, Misses: 6, Refused: 1, Loads: 6, LoadErrors: 1, Evictions: 1, UnknownEvictions: 1,
			Polls: 4, PollFailures: 1, Resets: 1, LeaseRemaining: 1900 * time.Millisecond}
		assert.Equal(t, want, after, "Stats() after the failure")
	})
}

// This test uses the real clock, because the clock of a bubble does not move between hits.
func TestHitCounterIsAccurate(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	cache, err := cachestore.New(store, cachestore.Options{TTLOnly: true, TTL: time.Hour})
	require.NoError(t, err)
	defer cache.Close()
	d := digestOf(1)
	require.NoError(t, store.Create(t.Context(), d, keyOf(1)))
	wantLookup(t, cache, d, nil)
	for range 60_000 {
		cache.Lookup(t.Context(), d)
	}
	assert.EqualValues(t, 60_000, cache.Stats().Hits, "Hits")
	for range 940_000 {
		cache.Lookup(t.Context(), d)
	}
	if n := cache.Stats().Hits; n < 950_000 || n > 1_050_000 { // ten standard deviations
		t.Errorf("Hits = %d; want 1000000 ± 5 %%", n)
	}
}

func TestHitDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	store := memstore.New()
	cache, err := cachestore.New(store, cachestore.Options{Logger: quiet, Poll: time.Hour, Lease: 3 * time.Hour})
	require.NoError(t, err)
	defer cache.Close()
	for cache.Stats().LeaseRemaining == 0 {
		runtime.Gosched()
	}
	d := digestOf(1)
	require.NoError(t, store.Create(t.Context(), d, keyOf(1)))
	for digest, what := range map[apikey.Digest]string{d: "a key", digestOf(2): "an unknown digest"} {
		outcome(t.Context(), cache, digest)
		ctx := t.Context()
		assert.Zero(t, testing.AllocsPerRun(1000, func() { cache.Lookup(ctx, digest) }), "allocations of a hit of %s", what)
	}
}
