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

// A database is a memstore whose reads can be paused and broken.
type database struct {
	*memstore.Store
	before, after atomic.Pointer[func(context.Context) error] // of each read
	reads         atomic.Int64
}

func (db *database) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	db.reads.Add(1)
	if f := db.before.Load(); f != nil {
		if err := (*f)(ctx); err != nil {
			return nil, apikey.Cursor{}, err
		}
	}
	// A query that was sent is answered from when it was sent, whoever still listens.
	key, at, err := db.Store.LookupAt(context.WithoutCancel(ctx), d)
	if f := db.after.Load(); f != nil {
		if err := (*f)(ctx); err != nil {
			return nil, apikey.Cursor{}, err
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
	if err := db.Create(t.Context(), digestOf(i), keyOf(i)); err != nil {
		t.Fatal(err)
	}
	return digestOf(i)
}

func (db *database) revoke(t *testing.T, i int) {
	t.Helper()
	if _, err := db.Revoke(t.Context(), keyOf(i).ID); err != nil {
		t.Fatal(err)
	}
}

// unstamped hides all but Lookup, as a store that a user wrote in ten lines.
type unstamped struct{ apikey.KeyStore }

// A poll asks the feed.
type poll func() (apikey.Changes, error)

// A feed is that of a database. Its answers can be held back and forged.
type feed struct {
	apikey.ChangeFeed
	deaf  bool // writes are those of another process
	via   atomic.Pointer[func(context.Context, poll) (apikey.Changes, error)]
	polls atomic.Int64

	mu   sync.Mutex
	told func(apikey.Digest, apikey.Cursor)
}

func (f *feed) Changes(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
	f.polls.Add(1)
	ask := func() (apikey.Changes, error) { return f.ChangeFeed.Changes(context.WithoutCancel(ctx), since) }
	if via := f.via.Load(); via != nil {
		return (*via)(ctx, ask)
	}
	return ask()
}

func (f *feed) Subscribe(told func(apikey.Digest, apikey.Cursor)) (cancel func()) {
	f.mu.Lock()
	f.told = told
	f.mu.Unlock()
	if f.deaf {
		return func() {}
	}
	return f.ChangeFeed.Subscribe(told)
}

// announce tells the cache of a write.
func (f *feed) announce(d apikey.Digest, at apikey.Cursor) {
	f.mu.Lock()
	told := f.told
	f.mu.Unlock()
	told(d, at)
}

func (f *feed) through(via func(context.Context, poll) (apikey.Changes, error)) { f.via.Store(&via) }

func (f *feed) fail() {
	f.through(func(context.Context, poll) (apikey.Changes, error) { return apikey.Changes{}, errDown })
}

func (f *feed) heal() { f.via.Store(nil) }

// A world is a database and the caches of two processes, of which the first one writes.
type world struct {
	db            *database
	local, remote *feed
	here, there   *cachestore.Store
}

// inWorld runs a test on fake time, with caches that have polled once.
func inWorld(t *testing.T, o cachestore.Options, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db := &database{Store: memstore.New()}
		w := &world{db: db, local: &feed{ChangeFeed: db.Store}, remote: &feed{ChangeFeed: db.Store, deaf: true}}
		w.here, w.there = open(t, db, w.local, o), open(t, db, w.remote, o)
		test(t, w)
	})
}

// open makes a cache that has polled once.
func open(t *testing.T, store apikey.KeyStore, feed apikey.ChangeFeed, o cachestore.Options) *cachestore.Store {
	t.Helper()
	o.Logger = quiet
	cache, err := cachestore.New(store, feed, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	synctest.Wait()
	return cache
}

// outcome is what a Middleware would make of a lookup.
func outcome(ctx context.Context, s apikey.KeyStore, d apikey.Digest) error {
	key, err := s.Lookup(ctx, d)
	if err == nil {
		err = key.Check(time.Now())
	}
	return err
}

// wants checks an outcome; nil is accepted.
func wants(t *testing.T, s apikey.KeyStore, d apikey.Digest, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // or a bubble would spin for ever
	defer cancel()
	if err := outcome(ctx, s, d); !errors.Is(err, want) {
		t.Errorf("at %v the lookup ends with %v; want %v", clockTime(), err, want)
	}
}

// clockTime is the time in a bubble, which begins at midnight.
func clockTime() time.Duration { return time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) }

// lastAccepted looks a digest up every 10 ms, and returns how long after begin it was
// accepted last.
func lastAccepted(t *testing.T, s apikey.KeyStore, d apikey.Digest, begin time.Time, during time.Duration) time.Duration {
	t.Helper()
	last := time.Duration(-1)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		wg.Go(func() {
			began := time.Since(begin) // the promise is about requests that begin then
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

// background looks a digest up, and returns how to wait for the outcome.
func background(ctx context.Context, s apikey.KeyStore, d apikey.Digest) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- outcome(ctx, s, d) }()
	return func() error { return <-done }
}

// pause returns a hook that waits until resume is called, and how to call it.
func pause() (hook func(context.Context) error, resume func()) {
	gate := make(chan struct{})
	return func(context.Context) error { <-gate; return nil }, func() { close(gate) }
}
