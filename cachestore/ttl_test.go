package cachestore_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// A scripted store and feed returns the values that the test sets. It announces no writes.
type scripted struct {
	mu   sync.Mutex
	keys map[apikey.Digest]*apikey.Key
	at   apikey.Version
	err  error
	took time.Duration
}

func (s *scripted) set(d apikey.Digest, key *apikey.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[d] = key
}

func (s *scripted) LookupAt(_ context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
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

func (s *scripted) Changes(context.Context, apikey.Version) (apikey.Changes, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return apikey.Changes{Head: s.at}, nil
}

func (*scripted) Subscribe(func(apikey.Digest, apikey.Version)) func() { return func() {} }

func TestTTL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		hasFeed bool
		ttl     time.Duration
		took    time.Duration
		most    time.Duration
	}{
		{"without a feed", false, 0, 0, 5 * time.Second},
		{"without a feed, slow store", false, 0, 900 * time.Millisecond, 5 * time.Second},
		{"without a feed, TTL of a minute", false, time.Minute, 0, time.Minute},
		{"without LookupAt", true, 0, 0, 5 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &scripted{keys: make(map[apikey.Digest]*apikey.Key), took: test.took}
				store.at = apikey.Version{Epoch: 1, Revision: 1}
				var feed apikey.ChangeFeed
				if test.hasFeed {
					feed = store
				}
				cache := open(t, unstamped{store}, feed, cachestore.Options{TTL: test.ttl})
				for range 20 {
					d := digestOf(1)
					store.set(d, &apikey.Key{ID: "k1", Name: "one"})
					time.Sleep(test.most)
					begin := time.Now()
					wantLookup(t, cache, d, nil)
					store.set(d, nil)
					last := lastAccepted(t, cache, d, begin, 2*test.most)
					assert.True(t, last < test.most && last >= test.most*3/4-20*time.Millisecond, "key accepted for %v; want up to a quarter less than the TTL of %v", last, test.most)
				}
				loads := cache.Stats().Loads
				assert.True(t, test.hasFeed || loads <= 20*(4+uint64(2*test.most/(3*time.Second/4))), "Loads = %d; want fewer", loads)
			})
		})
	}
}

func TestTTLOfUnknownDigestsWithoutFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &scripted{keys: make(map[apikey.Digest]*apikey.Key)}
		cache := open(t, store, nil, cachestore.Options{TTL: time.Hour})
		d := digestOf(1)
		wantLookup(t, cache, d, apikey.ErrNotFound)
		wantLookup(t, cache, d, apikey.ErrNotFound)
		st := cache.Stats()
		assert.True(t, st.UnknownHits == 1 && st.Loads == 1 && st.LeaseRemaining == 0, "Stats() = %+v; want 1 load, 1 unknown hit and no lease", st)
		store.set(d, &apikey.Key{ID: "k1", Name: "one"})
		time.Sleep(time.Second)
		wantLookup(t, cache, d, nil)
	})
}

func TestOutageWithoutFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &scripted{keys: map[apikey.Digest]*apikey.Key{digestOf(1): {ID: "k1", Name: "one"}}}
		cache := open(t, store, nil, cachestore.Options{})
		wantLookup(t, cache, digestOf(1), nil)
		store.mu.Lock()
		store.err = errDown
		store.mu.Unlock()
		wantLookup(t, cache, digestOf(1), nil)
		time.Sleep(5 * time.Second)
		wantLookup(t, cache, digestOf(1), apikey.ErrUnavailable)
		store.mu.Lock()
		store.err = nil
		store.mu.Unlock()
		wantLookup(t, cache, digestOf(1), nil)
	})
}
