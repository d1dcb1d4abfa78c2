package cachestore_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// A scripted store and feed is whatever the test says, and announces nothing.
type scripted struct {
	mu   sync.Mutex
	keys map[apikey.Digest]*apikey.Key
	at   apikey.Cursor
	err  error
	took time.Duration
}

func (s *scripted) set(d apikey.Digest, key *apikey.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[d] = key
}

func (s *scripted) LookupAt(_ context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	s.mu.Lock()
	key, at, err, took := s.keys[d], s.at, s.err, s.took
	s.mu.Unlock()
	time.Sleep(took)
	if key == nil && err == nil {
		err = apikey.ErrNotFound
	}
	return key, at, err
}

func (s *scripted) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	key, _, err := s.LookupAt(ctx, d)
	return key, err
}

func (s *scripted) Changes(context.Context, apikey.Cursor) (apikey.Changes, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return apikey.Changes{Head: s.at}, nil
}

func (*scripted) Subscribe(func(apikey.Digest, apikey.Cursor)) func() { return func() {} }

func TestEntriesLiveForTheTTLWhereTheirAgeIsNotKnown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		fed  bool
		ttl  time.Duration
		took time.Duration
		most time.Duration
	}{
		{"without a feed", false, 0, 0, 5 * time.Second},
		{"without a feed, counted from when the store was asked", false, 0, 900 * time.Millisecond, 5 * time.Second},
		{"without a feed, a minute", false, time.Minute, 0, time.Minute},
		{"without stamps", true, 0, 0, 5 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &scripted{keys: make(map[apikey.Digest]*apikey.Key), took: test.took}
				store.at = apikey.Cursor{Epoch: 1, Revision: 1}
				var feed apikey.ChangeFeed
				if test.fed {
					feed = store
				}
				cache := open(t, unstamped{store}, feed, cachestore.Options{TTL: test.ttl})
				for range 20 {
					d := digestOf(1)
					store.set(d, &apikey.Key{ID: "k1", Name: "one"})
					time.Sleep(test.most)
					begin := time.Now()
					wants(t, cache, d, nil)
					store.set(d, nil)
					last := lastAccepted(t, cache, d, begin, 2*test.most)
					if last >= test.most || last < test.most*3/4-20*time.Millisecond {
						t.Errorf("it was accepted for %v; the TTL is %v", last, test.most)
					}
				}
				if loads := cache.Stats().Loads; !test.fed && loads > 20*(4+uint64(2*test.most/(3*time.Second/4))) {
					t.Errorf("%d loads", loads)
				}
			})
		})
	}
}

func TestUnknownDigestsAreKeptForASecondWithoutAFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &scripted{keys: make(map[apikey.Digest]*apikey.Key)}
		cache := open(t, store, nil, cachestore.Options{TTL: time.Hour})
		d := digestOf(1)
		wants(t, cache, d, apikey.ErrNotFound)
		wants(t, cache, d, apikey.ErrNotFound)
		if st := cache.Stats(); st.UnknownHits != 1 || st.Loads != 1 || st.LeaseRemaining != 0 {
			t.Errorf("%+v", st)
		}
		store.set(d, &apikey.Key{ID: "k1", Name: "one"})
		time.Sleep(time.Second)
		wants(t, cache, d, nil)
	})
}

func TestOutagesWithoutAFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &scripted{keys: map[apikey.Digest]*apikey.Key{digestOf(1): {ID: "k1", Name: "one"}}}
		cache := open(t, store, nil, cachestore.Options{})
		wants(t, cache, digestOf(1), nil)
		store.mu.Lock()
		store.err = errDown
		store.mu.Unlock()
		wants(t, cache, digestOf(1), nil)
		time.Sleep(5 * time.Second)
		wants(t, cache, digestOf(1), apikey.ErrUnavailable)
		store.mu.Lock()
		store.err = nil
		store.mu.Unlock()
		wants(t, cache, digestOf(1), nil)
	})
}
