package cachestore_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

func digestOf(i int) apikey.Digest {
	return sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
}

func keyOf(i int) apikey.Key {
	id := "k" + strconv.Itoa(i)
	return apikey.Key{ID: id, Name: "key " + id}
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

var errDown = errors.New("the database is down")

// A database is a memstore whose reads can be delayed and made to fail.
type database struct {
	*memstore.Store
	before, after atomic.Pointer[func(context.Context) error] // called before and after each read
	reads         atomic.Int64
}

func (db *database) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
	db.reads.Add(1)
	if f := db.before.Load(); f != nil {
		if err := (*f)(ctx); err != nil {
			return nil, apikey.Version{}, err
		}
	}
	// A query that was sent reads the current data, even if the client then stops waiting.
	key, at, err := db.Store.LookupAt(context.WithoutCancel(ctx), d)
	if f := db.after.Load(); f != nil {
		if err := (*f)(ctx); err != nil {
			return nil, apikey.Version{}, err
		}
	}
	return key, at, err
}

func (db *database) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	key, _, err := db.LookupAt(ctx, d)
	return key, err
}

func (db *database) create(t *testing.T, i int) apikey.Digest {
	t.Helper()
	require.NoError(t, db.Create(t.Context(), digestOf(i), keyOf(i)))
	return digestOf(i)
}

func (db *database) revoke(t *testing.T, i int) {
	t.Helper()
	_, err := db.Revoke(t.Context(), keyOf(i).ID)
	require.NoError(t, err)
}

// An unstamped store has no method but Lookup.
type unstamped struct{ apikey.KeyStore }

// A poll asks the real feed.
type poll func() (apikey.Changes, error)

// A feed is the ChangeFeed of a database. A test can delay and forge its answers.
type feed struct {
	apikey.ChangeFeed
	mute        bool // announces no writes, as if another process made them
	interceptor atomic.Pointer[func(context.Context, poll) (apikey.Changes, error)]
	polls       atomic.Int64

	mu         sync.Mutex
	subscriber func(apikey.Digest, apikey.Version)
}

func (f *feed) Changes(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
	f.polls.Add(1)
	ask := func() (apikey.Changes, error) { return f.ChangeFeed.Changes(context.WithoutCancel(ctx), since) }
	if intercept := f.interceptor.Load(); intercept != nil {
		return (*intercept)(ctx, ask)
	}
	return ask()
}

func (f *feed) Subscribe(subscriber func(apikey.Digest, apikey.Version)) (cancel func()) {
	f.mu.Lock()
	f.subscriber = subscriber
	f.mu.Unlock()
	if f.mute {
		return func() {}
	}
	return f.ChangeFeed.Subscribe(subscriber)
}

// announce announces a write to the cache.
func (f *feed) announce(d apikey.Digest, at apikey.Version) {
	f.mu.Lock()
	subscriber := f.subscriber
	f.mu.Unlock()
	subscriber(d, at)
}

// intercept makes answer respond to the following polls.
func (f *feed) intercept(answer func(context.Context, poll) (apikey.Changes, error)) {
	f.interceptor.Store(&answer)
}

// fail makes the following polls fail.
func (f *feed) fail() {
	f.intercept(func(context.Context, poll) (apikey.Changes, error) { return apikey.Changes{}, errDown })
}

// heal ends fail and intercept.
func (f *feed) heal() { f.interceptor.Store(nil) }

// A cluster is a database and the caches of two processes. The local process makes all writes.
type cluster struct {
	db                    *database
	localFeed, remoteFeed *feed
	local, remote         *cachestore.Store
}

// withCluster runs a test on a fake clock, with caches that have polled once.
func withCluster(t *testing.T, o cachestore.Options, test func(*testing.T, *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db := &database{Store: memstore.New()}
		cl := &cluster{db: db, localFeed: &feed{ChangeFeed: db.Store}, remoteFeed: &feed{ChangeFeed: db.Store, mute: true}}
		cl.local, cl.remote = open(t, db, cl.localFeed, o), open(t, db, cl.remoteFeed, o)
		test(t, cl)
	})
}

// open returns a cache that has polled once.
func open(t *testing.T, store apikey.KeyStore, feed apikey.ChangeFeed, o cachestore.Options) *cachestore.Store {
	t.Helper()
	o.Logger = quiet
	cache, err := cachestore.NewWithFeed(store, feed, o)
	require.NoError(t, err)
	t.Cleanup(cache.Close)
	synctest.Wait()
	return cache
}

// outcome returns the error of a lookup or of Key.Check; nil means that a Middleware accepts the key.
func outcome(ctx context.Context, s apikey.KeyStore, d apikey.Digest) error {
	key, err := s.Lookup(ctx, d)
	if err == nil {
		err = key.Check(time.Now())
	}
	return err
}

// wantLookup checks the outcome of a lookup.
func wantLookup(t *testing.T, s apikey.KeyStore, d apikey.Digest, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // otherwise a failing test would never end
	defer cancel()
	if err := outcome(ctx, s, d); !errors.Is(err, want) {
		t.Errorf("at %v: lookup = %v; want %v", clockTime(), err, want)
	}
}

// clockTime returns the time since the start of a synctest bubble, which begins at midnight.
func clockTime() time.Duration { return time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) }

// lastAccepted looks a digest up every 10 ms. It returns the time from begin to the start of the last
// accepted lookup, or -1.
func lastAccepted(t *testing.T, s apikey.KeyStore, d apikey.Digest, begin time.Time, during time.Duration) time.Duration {
	t.Helper()
	last := time.Duration(-1)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		wg.Go(func() {
			began := time.Since(begin) // the bounds apply to the start of a request
			if outcome(t.Context(), s, d) == nil {
				mu.Lock()
				defer mu.Unlock()
				last = max(last, began)
			}
		})
	}
	wg.Wait()
	return last
}

// lookupAsync starts a lookup and returns a function that waits for its outcome.
func lookupAsync(ctx context.Context, s apikey.KeyStore, d apikey.Digest) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- outcome(ctx, s, d) }()
	return func() error { return <-done }
}

// pause returns a hook that waits until resume is called.
func pause() (hook func(context.Context) error, resume func()) {
	gate := make(chan struct{})
	return func(context.Context) error { <-gate; return nil }, func() { close(gate) }
}
