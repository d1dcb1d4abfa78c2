package cachestore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestNewRefusesNonsense(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	var noStore *memstore.Store
	year := 366 * 24 * time.Hour
	for _, test := range []struct {
		name  string
		store apikey.KeyStore
		feed  apikey.ChangeFeed
		o     cachestore.Options
	}{
		{"KeyStore", nil, store, cachestore.Options{}},
		{"KeyStore", noStore, store, cachestore.Options{}},
		{"ChangeFeed", store, noStore, cachestore.Options{}},
		{"MaxKeys", store, store, cachestore.Options{MaxKeys: -1}},
		{"MaxUnknown", store, store, cachestore.Options{MaxUnknown: -1}},
		{"MaxLoads", store, store, cachestore.Options{MaxLoads: -1}},
		{"Poll", store, store, cachestore.Options{Poll: -1}},
		{"Poll", store, store, cachestore.Options{Poll: time.Millisecond}},
		{"Lease", store, store, cachestore.Options{Lease: -1}},
		{"Lease", store, store, cachestore.Options{Lease: 2 * time.Second}},
		{"Lease", store, store, cachestore.Options{Poll: 2 * time.Second}},
		{"Lease", store, store, cachestore.Options{QueryTimeout: 2 * time.Second}},
		{"Lease", store, store, cachestore.Options{Lease: 100 * year}},
		{"QueryTimeout", store, store, cachestore.Options{QueryTimeout: -1}},
		{"MaxAge", store, store, cachestore.Options{MaxAge: -1}},
		{"TTL", store, nil, cachestore.Options{TTL: -1}},
		{"AllowStaleAfterLease", store, store, cachestore.Options{AllowStaleAfterLease: -1}},
		{"AllowStaleAfterLease", store, nil, cachestore.Options{AllowStaleAfterLease: time.Minute}},
	} {
		cache, err := cachestore.New(test.store, test.feed, test.o)
		if cache != nil || !errors.Is(err, apikey.ErrInvalid) || !strings.Contains(err.Error(), test.name) || !strings.HasPrefix(err.Error(), "cachestore: ") {
			t.Errorf("New(%T, %T, %+v) = %v, %v; want an error that names %s", test.store, test.feed, test.o, cache, err, test.name)
		}
	}
	// What is about the Lease does not count without a feed.
	cache, err := cachestore.New(store, nil, cachestore.Options{QueryTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	cache.Close()
}

func TestTheMiddlewareFindsTheToucherBehindTheCache(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		if w.there.Unwrap() != apikey.KeyStore(w.db) {
			t.Error("Unwrap is not the store")
		}
		issuer, _ := apikey.NewIssuer(w.db, nil)
		secret, key, err := issuer.Issue(t.Context(), apikey.Key{Name: "hub"})
		if err != nil {
			t.Fatal(err)
		}
		auth, err := apikey.New(w.there, apikey.Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(10 * time.Second)
			if _, err := auth.Verify(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			key, _ = w.db.Get(t.Context(), key.ID)
			if !key.LastUsedAt.Equal(time.Now()) {
				t.Errorf("used last at %v", key.LastUsedAt)
			}
		}
	})
}

func TestACacheAnswersForItsOwnStoreOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := memstore.New(), memstore.New()
		d := digestOf(1)
		for _, s := range []*memstore.Store{one, two} {
			if err := s.Create(t.Context(), d, keyOf(len(t.Name()))); err != nil {
				t.Fatal(err)
			}
		}
		first, second := open(t, one, one, cachestore.Options{}), open(t, two, two, cachestore.Options{})
		wants(t, first, d, nil)
		wants(t, second, d, nil)
		if _, err := one.Revoke(t.Context(), keyOf(len(t.Name())).ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		wants(t, first, d, apikey.ErrRevoked)
		wants(t, second, d, nil)
		// A feed of another store makes no answer valid that it does not know of.
		mixed := open(t, one, two, cachestore.Options{})
		wants(t, mixed, d, apikey.ErrUnavailable)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	for _, fed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
			db := &database{Store: memstore.New()}
			f := &feed{ChangeFeed: db.Store}
			var feed apikey.ChangeFeed
			if fed {
				feed = f
			}
			cache, err := cachestore.New(db, feed, cachestore.Options{Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			d := db.create(t, 1)
			wants(t, cache, d, nil)
			time.Sleep(900 * time.Millisecond)
			// A poll and a load are under way, and heed their contexts.
			f.through(func(ctx context.Context, _ poll) (apikey.Changes, error) {
				<-ctx.Done()
				return apikey.Changes{}, ctx.Err()
			})
			time.Sleep(200 * time.Millisecond)
			db.before.Store(new(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
			waiting := background(t.Context(), cache, digestOf(2))
			synctest.Wait()
			begun := time.Now()
			other := make(chan struct{})
			go func() { cache.Close(); close(other) }()
			cache.Close()
			<-other
			if took := time.Since(begun); took != 0 {
				t.Errorf("Close took %v", took)
			}
			if err := waiting(); !errors.Is(err, apikey.ErrUnavailable) {
				t.Errorf("who waited gets %v", err)
			}
			reads, polls := db.reads.Load(), f.polls.Load()
			wants(t, cache, d, apikey.ErrUnavailable)
			wants(t, cache, digestOf(3), apikey.ErrUnavailable)
			cache.Wake()
			cache.Close()
			db.revoke(t, 1) // nobody listens any more
			time.Sleep(time.Minute)
			wants(t, cache, d, apikey.ErrUnavailable)
			if db.reads.Load() != reads || f.polls.Load() != polls {
				t.Error("a closed cache asked its store or its feed")
			}
			if st := cache.Stats(); st.Keys != 0 || st.LeaseRemaining != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Also of a store that does not heed its context, for which Close has to wait.
func TestNoKeyIsAcceptedFromWhenCloseIsCalled(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		hook, resume := pause()
		w.db.before.Store(&hook)
		background(t.Context(), w.there, digestOf(2))
		synctest.Wait()
		closed := make(chan struct{})
		go func() { w.there.Close(); close(closed) }()
		synctest.Wait()
		wants(t, w.there, d, apikey.ErrUnavailable)
		select {
		case <-closed:
			t.Error("Close did not wait for the load")
		default:
		}
		resume()
		<-closed
	})
}

func TestStatsCount(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{MaxKeys: 2, MaxUnknown: 1}, func(t *testing.T, w *world) {
		for i := range 3 {
			w.db.create(t, i)
		}
		time.Sleep(1500 * time.Millisecond)
		for _, i := range []int{0, 0, 0, 1, 2, -1, -1, -2} {
			outcome(t.Context(), w.there, digestOf(i))
		}
		w.remote.forge(func(c *apikey.Changes) { c.Reset = true; w.remote.fail() })
		before := w.there.Stats()
		time.Sleep(time.Second) // a poll at 2 s that is a reset
		w.db.before.Store(new(func(context.Context) error { return errDown }))
		outcome(t.Context(), w.there, digestOf(0))
		time.Sleep(600 * time.Millisecond) // one at 3 s that fails
		after := w.there.Stats()
		want := cachestore.Stats{Hits: 2, UnknownHits: 1, Misses: 5, Loads: 5, Evictions: 1, UnknownEvictions: 1,
			Polls: 2, Keys: 2, UnknownDigests: 1, LeaseRemaining: 2500 * time.Millisecond}
		if before != want {
			t.Errorf("\n%+v; want\n%+v", before, want)
		}
		want = cachestore.Stats{Hits: 2, UnknownHits: 1, Misses: 6, Refused: 1, Loads: 6, LoadErrors: 1, Evictions: 1, UnknownEvictions: 1,
			Polls: 4, PollFailures: 1, Resets: 1, LeaseRemaining: 1900 * time.Millisecond}
		if after != want {
			t.Errorf("\n%+v; want\n%+v", after, want)
		}
	})
}

// Not in a bubble, whose clock does not move between hits.
func TestHitsAreCountedWell(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	cache, err := cachestore.New(store, nil, cachestore.Options{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	d := digestOf(1)
	if err := store.Create(t.Context(), d, keyOf(1)); err != nil {
		t.Fatal(err)
	}
	wants(t, cache, d, nil)
	for range 60_000 {
		cache.Lookup(t.Context(), d)
	}
	if n := cache.Stats().Hits; n != 60_000 {
		t.Errorf("%d hits; want 60,000 exactly", n)
	}
	for range 940_000 {
		cache.Lookup(t.Context(), d)
	}
	if n := cache.Stats().Hits; n < 950_000 || n > 1_050_000 { // ten standard deviations
		t.Errorf("%d hits; want a million", n)
	}
}

func TestAHitAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("skipped: the race detector changes what is allocated")
	}
	store := memstore.New()
	cache, err := cachestore.New(store, store, cachestore.Options{Logger: quiet, Poll: time.Hour, Lease: 3 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	for cache.Stats().LeaseRemaining == 0 {
		runtime.Gosched()
	}
	d := digestOf(1)
	if err := store.Create(t.Context(), d, keyOf(1)); err != nil {
		t.Fatal(err)
	}
	for digest, what := range map[apikey.Digest]string{d: "a key", digestOf(2): "an unknown digest"} {
		outcome(t.Context(), cache, digest)
		ctx := t.Context()
		if n := testing.AllocsPerRun(1000, func() { cache.Lookup(ctx, digest) }); n != 0 {
			t.Errorf("a hit of %s allocates %v times", what, n)
		}
	}
}
