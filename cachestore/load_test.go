package cachestore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestManyMissesAreOneRead(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		w.db.before.Store(new(func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil }))
		for _, digest := range []apikey.Digest{d, digestOf(2)} {
			var waits []func() error
			for range 1000 {
				waits = append(waits, background(t.Context(), w.there, digest))
			}
			for _, wait := range waits {
				if err := wait(); err != nil && !(digest != d && errors.Is(err, apikey.ErrNotFound)) {
					t.Fatal(err)
				}
			}
		}
		if n := w.db.reads.Load(); n != 2 {
			t.Errorf("%d reads for 2 digests", n)
		}
	})
}

func TestACancelledLeaderDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		hook, resume := pause()
		seen := make(chan context.Context, 1)
		w.db.before.Store(new(func(ctx context.Context) error { seen <- ctx; return hook(ctx) }))
		type mine struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), mine{}, "a transaction"))
		leader := background(ctx, w.there, d)
		synctest.Wait()
		follower := background(t.Context(), w.there, d)
		synctest.Wait()
		cancel()
		if err := leader(); err != context.Canceled {
			t.Errorf("the leader gets %v; want its context's error", err)
		}
		if ctx := <-seen; ctx.Err() != nil || ctx.Value(mine{}) != nil {
			t.Error("the read of the store is bound to the request that caused it")
		}
		resume()
		if err := follower(); err != nil {
			t.Errorf("the follower gets %v", err)
		}
		w.db.before.Store(nil)
		wants(t, w.there, d, nil)
		if n := w.db.reads.Load(); n != 1 {
			t.Errorf("%d reads; the answer was to be kept", n)
		}
	})
}

func TestAContextThatIsDoneIsItsErrorUnlessTheKeyIsInMemory(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.there.Lookup(ctx, d); err != context.Canceled {
			t.Errorf("a miss: %v", err)
		}
		if n := w.db.reads.Load(); n != 0 {
			t.Errorf("%d reads for nobody", n)
		}
		wants(t, w.there, d, nil)
		if _, err := w.there.Lookup(ctx, d); err != nil {
			t.Errorf("a hit: %v", err)
		}
	})
}

func TestStoreErrorsAreNotCached(t *testing.T) {
	t.Parallel()
	panics := func(context.Context) error { panic("nil map") }
	exits := func(context.Context) error { runtime.Goexit(); return nil }
	for name, broken := range map[string]func(context.Context) error{
		"an error":         func(context.Context) error { return errDown },
		"ErrUnavailable":   func(context.Context) error { return errors.Join(apikey.ErrUnavailable, apikey.ErrNotFound) },
		"a timeout":        func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"a late answer":    func(context.Context) error { time.Sleep(1001 * time.Millisecond); return nil },
		"a panic":          panics,
		"a dead goroutine": exits,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
				d := w.db.create(t, 1)
				w.db.after.Store(&broken)
				wants(t, w.there, d, apikey.ErrUnavailable)
				wants(t, w.there, digestOf(2), apikey.ErrUnavailable)
				if took := clockTime(); took > 2*time.Second+2*time.Millisecond {
					t.Errorf("two lookups took %v", took)
				}
				if st := w.there.Stats(); st.Keys != 0 || st.UnknownDigests != 0 || st.LoadErrors != 2 || st.Refused != 2 {
					t.Errorf("%+v", st)
				}
				w.db.after.Store(nil)
				wants(t, w.there, d, nil)
				wants(t, w.there, digestOf(2), apikey.ErrNotFound)
			})
		})
	}
}

// A nobody answers neither with a key nor with an error.
type nobody struct{}

func (nobody) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, nil }

func TestNeitherKeyNorErrorIsAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache := open(t, nobody{}, nil, cachestore.Options{})
		wants(t, cache, digestOf(1), apikey.ErrUnavailable)
	})
}

// By a write of this process and by a poll; with stamps and without.
func TestAReadBegunBeforeARevocationIsNotKept(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		local, stamped bool
	}{{"by a write here", true, true}, {"by a poll", false, true}, {"by a write here, without stamps", true, false}, {"by a poll, without stamps", false, false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, cachestore.Options{QueryTimeout: 1900 * time.Millisecond}, func(t *testing.T, w *world) {
				d := w.db.create(t, 1)
				var store apikey.KeyStore = w.db
				if !test.stamped {
					store = unstamped{w.db}
				}
				cache := open(t, store, &feed{ChangeFeed: w.db.Store, deaf: !test.local}, cachestore.Options{QueryTimeout: 1900 * time.Millisecond})
				hook, resume := pause()
				w.db.after.Store(&hook)
				old := background(t.Context(), cache, d) // has read, has not inserted
				synctest.Wait()
				w.db.after.Store(nil)
				w.db.revoke(t, 1)
				if test.local {
					// Who comes now does not join the old read.
					wants(t, cache, d, apikey.ErrRevoked)
				} else {
					time.Sleep(1100 * time.Millisecond)
					wants(t, cache, d, apikey.ErrRevoked)
				}
				resume()
				old() // began before: either answer
				synctest.Wait()
				for range 3 {
					wants(t, cache, d, apikey.ErrRevoked)
					time.Sleep(time.Second)
				}
			})
		})
	}
}

// The same when nobody has asked in between, so that only the old read could be kept.
func TestAReadBegunBeforeARevocationIsNotKeptByItself(t *testing.T) {
	t.Parallel()
	for _, local := range []bool{true, false} {
		for _, reset := range []bool{false, true} {
			inWorld(t, cachestore.Options{QueryTimeout: 1900 * time.Millisecond}, func(t *testing.T, w *world) {
				d := w.db.create(t, 1)
				cache := w.there
				if local {
					cache = w.here
				}
				if reset {
					w.remote.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
						c, err := ask()
						c.Digests, c.Reset = nil, true
						return c, err
					})
				}
				hook, resume := pause()
				w.db.after.Store(&hook)
				old := background(t.Context(), cache, d)
				synctest.Wait()
				w.db.after.Store(nil)
				w.db.revoke(t, 1)
				if !local {
					time.Sleep(1100 * time.Millisecond)
				}
				resume()
				old()
				wants(t, cache, d, apikey.ErrRevoked)
				if n := w.db.reads.Load(); n != 2 {
					t.Errorf("%d reads", n)
				}
			})
		}
	}
}

// The answer to who joins a read is not older than what was known when he came.
func TestARequestDoesNotTakeAnOlderAnswerThanIsKnown(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{QueryTimeout: 1900 * time.Millisecond}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		hook, resume := pause()
		w.db.after.Store(&hook)
		old := background(t.Context(), w.there, d)
		synctest.Wait()
		w.db.after.Store(nil)
		w.db.create(t, 2) // moves the head, and names nothing
		time.Sleep(1100 * time.Millisecond)
		late := background(t.Context(), w.there, d)
		synctest.Wait()
		if n := w.db.reads.Load(); n != 1 {
			t.Errorf("%d reads; the second was to join the first", n)
		}
		resume()
		if err := errors.Join(old(), late()); err != nil {
			t.Error(err)
		}
		if n := w.db.reads.Load(); n != 2 {
			t.Errorf("%d reads; the second was to read again", n)
		}
	})
}

func TestLoadsAreBoundedSoThatPollsDoNotStarve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// A pool of 4 connections, for lookups and polls alike.
		pool := make(chan struct{}, 4)
		db := &database{Store: memstore.New()}
		var most, running atomic.Int64
		db.before.Store(new(func(context.Context) error {
			pool <- struct{}{}
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(300 * time.Millisecond)
			running.Add(-1)
			<-pool
			return nil
		}))
		var slowest time.Duration
		f := &feed{ChangeFeed: db.Store}
		f.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
			begun := time.Now()
			pool <- struct{}{}
			defer func() { <-pool }()
			slowest = max(slowest, time.Since(begun))
			return ask()
		})
		cache := open(t, db, f, cachestore.Options{MaxLoads: 3})
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 5 * time.Millisecond)
				err := outcome(t.Context(), cache, digestOf(i))
				if !errors.Is(err, apikey.ErrNotFound) && !(errors.Is(err, apikey.ErrUnavailable) && strings.Contains(err.Error(), "before this one")) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if slowest > 100*time.Millisecond {
			t.Errorf("a poll waited for %v", slowest)
		}
		if n := most.Load(); n != 3 {
			t.Errorf("%d loads at once; MaxLoads is 3", n)
		}
	})
}
