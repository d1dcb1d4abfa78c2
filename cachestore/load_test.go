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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestConcurrentMissesShareOneRead(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		cl.db.before.Store(new(func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil }))
		for _, digest := range []apikey.Digest{d, digestOf(2)} {
			var waits []func() error
			for range 1000 {
				waits = append(waits, lookupAsync(t.Context(), cl.remote, digest))
			}
			for _, wait := range waits {
				err := wait()
				require.True(t, err == nil || digest != d && errors.Is(err, apikey.ErrNotFound), "lookup = %v", err)
			}
		}
		assert.EqualValues(t, 2, cl.db.reads.Load(), "reads for 2 digests")
	})
}

func TestCancelledLookupDoesNotFailOthers(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		hook, resume := pause()
		seen := make(chan context.Context, 1)
		cl.db.before.Store(new(func(ctx context.Context) error { seen <- ctx; return hook(ctx) }))
		type requestValue struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), requestValue{}, "a transaction"))
		leader := lookupAsync(ctx, cl.remote, d)
		synctest.Wait()
		follower := lookupAsync(t.Context(), cl.remote, d)
		synctest.Wait()
		cancel()
		assert.Equal(t, context.Canceled, leader(), "cancelled lookup")
		read := <-seen
		assert.True(t, read.Err() == nil && read.Value(requestValue{}) == nil, "the read of the store uses the context of the request")
		resume()
		assert.NoError(t, follower(), "the other lookup")
		cl.db.before.Store(nil)
		wantLookup(t, cl.remote, d, nil)
		assert.EqualValues(t, 1, cl.db.reads.Load(), "reads: the answer is cached")
	})
}

func TestLookupWithCancelledContext(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := cl.remote.Lookup(ctx, d)
		assert.Equal(t, context.Canceled, err, "miss with a cancelled context")
		assert.Zero(t, cl.db.reads.Load(), "reads for a cancelled request")
		wantLookup(t, cl.remote, d, nil)
		_, err = cl.remote.Lookup(ctx, d)
		assert.NoError(t, err, "hit with a cancelled context")
	})
}

func TestErrorsAreNotCached(t *testing.T) {
	t.Parallel()
	panics := func(context.Context) error { panic("nil map") }
	exits := func(context.Context) error { runtime.Goexit(); return nil }
	for name, broken := range map[string]func(context.Context) error{
		"an error":       func(context.Context) error { return errDown },
		"ErrUnavailable": func(context.Context) error { return errors.Join(apikey.ErrUnavailable, apikey.ErrNotFound) },
		"a timeout":      func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"a late answer":  func(context.Context) error { time.Sleep(1001 * time.Millisecond); return nil },
		"a panic":        panics,
		"runtime.Goexit": exits,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
				d := cl.db.create(t, 1)
				cl.db.after.Store(&broken)
				wantLookup(t, cl.remote, d, apikey.ErrUnavailable)
				wantLookup(t, cl.remote, digestOf(2), apikey.ErrUnavailable)
				assert.LessOrEqual(t, clockTime(), 2*time.Second+2*time.Millisecond, "duration of two lookups")
				st := cl.remote.Stats()
				assert.True(t, st.Keys == 0 && st.UnknownDigests == 0 && st.LoadErrors == 2 && st.Refused == 2, "Stats() = %+v; want 2 LoadErrors, 2 Refused and an empty cache", st)
				cl.db.after.Store(nil)
				wantLookup(t, cl.remote, d, nil)
				wantLookup(t, cl.remote, digestOf(2), apikey.ErrNotFound)
			})
		})
	}
}

// A nilStore returns neither a key nor an error.
type nilStore struct{}

func (nilStore) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, nil }

func TestNeitherKeyNorErrorIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache := open(t, nilStore{}, nil, cachestore.Options{})
		wantLookup(t, cache, digestOf(1), apikey.ErrUnavailable)
	})
}

func TestReadFromBeforeRevocationIsNotCached(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		local, stamped bool
	}{{"local write", true, true}, {"poll", false, true}, {"local write, without LookupAt", true, false}, {"poll, without LookupAt", false, false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			withCluster(t, cachestore.Options{QueryTimeout: 1900 * time.Millisecond}, func(t *testing.T, cl *cluster) {
				d := cl.db.create(t, 1)
				var store apikey.KeyStore = cl.db
				if !test.stamped {
					store = unstamped{cl.db}
				}
				cache := open(t, store, &feed{ChangeFeed: cl.db.Store, mute: !test.local}, cachestore.Options{QueryTimeout: 1900 * time.Millisecond})
				hook, resume := pause()
				cl.db.after.Store(&hook)
				old := lookupAsync(t.Context(), cache, d) // has read the key, has not cached it
				synctest.Wait()
				cl.db.after.Store(nil)
				cl.db.revoke(t, 1)
				if test.local {
					// A request that begins now does not join the old read.
					wantLookup(t, cache, d, apikey.ErrRevoked)
				} else {
					time.Sleep(1100 * time.Millisecond)
					wantLookup(t, cache, d, apikey.ErrRevoked)
				}
				resume()
				old() // began before the revocation, so either answer is right
				synctest.Wait()
				for range 3 {
					wantLookup(t, cache, d, apikey.ErrRevoked)
					time.Sleep(time.Second)
				}
			})
		})
	}
}

// No other lookup happens in between, so that only the old read could be cached.
func TestOnlyReadFromBeforeRevocationIsNotCached(t *testing.T) {
	t.Parallel()
	for _, local := range []bool{true, false} {
		for _, reset := range []bool{false, true} {
			withCluster(t, cachestore.Options{QueryTimeout: 1900 * time.Millisecond}, func(t *testing.T, cl *cluster) {
				d := cl.db.create(t, 1)
				cache := cl.remote
				if local {
					cache = cl.local
				}
				if reset {
					cl.remoteFeed.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
						c, err := ask()
						c.Digests, c.Reset = nil, true
						return c, err
					})
				}
				hook, resume := pause()
				cl.db.after.Store(&hook)
				old := lookupAsync(t.Context(), cache, d)
				synctest.Wait()
				cl.db.after.Store(nil)
				cl.db.revoke(t, 1)
				if !local {
					time.Sleep(1100 * time.Millisecond)
				}
				resume()
				old()
				wantLookup(t, cache, d, apikey.ErrRevoked)
				assert.EqualValues(t, 2, cl.db.reads.Load(), "reads")
			})
		}
	}
}

// A request that joins a running read refuses an answer older than the Version that the cache knew
// when the request began.
func TestRequestRefusesOlderAnswerThanIsKnown(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{QueryTimeout: 1900 * time.Millisecond}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		hook, resume := pause()
		cl.db.after.Store(&hook)
		old := lookupAsync(t.Context(), cl.remote, d)
		synctest.Wait()
		cl.db.after.Store(nil)
		cl.db.create(t, 2) // advances Head and lists no digest
		time.Sleep(1100 * time.Millisecond)
		late := lookupAsync(t.Context(), cl.remote, d)
		synctest.Wait()
		assert.EqualValues(t, 1, cl.db.reads.Load(), "reads: the second request joins the first")
		resume()
		assert.NoError(t, errors.Join(old(), late()))
		assert.EqualValues(t, 2, cl.db.reads.Load(), "reads: the first answer is too old for the second request")
	})
}

func TestLoadsDoNotStarvePolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Lookups and polls share a pool of 4 connections.
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
		f.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
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
				assert.True(t, errors.Is(err, apikey.ErrNotFound) || errors.Is(err, apikey.ErrUnavailable) && strings.Contains(err.Error(), "before this one"), "lookup = %v", err)
			})
		}
		wg.Wait()
		assert.LessOrEqual(t, slowest, 100*time.Millisecond, "a poll waited for a connection for %v; want at most 100 ms", slowest)
		assert.EqualValues(t, 3, most.Load(), "concurrent loads, MaxLoads")
	})
}
