package cachestore_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// A replica changes the Version of every answer.
type replica struct {
	*database
	lag func(apikey.Version) apikey.Version
}

func (r replica) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
	key, at, err := r.database.LookupAt(ctx, d)
	return key, r.lag(at), err
}

func TestAnswerFromAnOlderVersionIsRefused(t *testing.T) {
	t.Parallel()
	for name, lag := range map[string]func(apikey.Version) apikey.Version{
		"an older revision": func(at apikey.Version) apikey.Version { at.Revision--; return at },
		"another epoch":     func(at apikey.Version) apikey.Version { at.Epoch++; at.Revision += 10; return at },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
				d := cl.db.create(t, 1)
				lagging := true
				store := replica{cl.db, func(at apikey.Version) apikey.Version {
					if lagging {
						return lag(at)
					}
					return at
				}}
				cache := open(t, store, &feed{ChangeFeed: cl.db.Store, mute: true}, cachestore.Options{})
				for range 3 {
					// An old ErrNotFound does not prove that the key is unknown now.
					wantLookup(t, cache, d, apikey.ErrUnavailable)
					wantLookup(t, cache, digestOf(2), apikey.ErrUnavailable)
				}
				st := cache.Stats()
				assert.True(t, st.Keys == 0 && st.UnknownDigests == 0, "Stats() = %+v; want an empty cache", st)
				lagging = false
				wantLookup(t, cache, d, nil)
				wantLookup(t, cache, digestOf(2), apikey.ErrNotFound)
			})
		})
	}
}

func TestWrapperIsNotBypassed(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		cache := open(t, blocklist{cl.db}, cl.localFeed, cachestore.Options{})
		wantLookup(t, cache, d, apikey.ErrNotFound)
		_, ok := apikey.StoreAs[apikey.Toucher](cache)
		assert.True(t, ok, "StoreAs does not find the Toucher behind the wrapper")
	})
}

// A blocklist refuses every key of the StampedStore behind it.
type blocklist struct{ inner *database }

func (blocklist) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) {
	return nil, apikey.ErrNotFound
}
func (b blocklist) Unwrap() apikey.KeyStore { return b.inner }
