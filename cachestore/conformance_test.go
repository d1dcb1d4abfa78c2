package cachestore_test

import (
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		fed, unstamped bool
	}{{"with a feed", true, false}, {"without stamps", true, true}, {"without a feed", false, false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			storetest.RunLookup(t, func(t *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore {
				store := memstore.New()
				for d, key := range keys {
					if err := store.Create(t.Context(), d, key); err != nil {
						t.Fatal(err)
					}
				}
				var behind apikey.KeyStore = store
				if test.unstamped {
					behind = unstamped{store}
				}
				var feed apikey.ChangeFeed
				if test.fed {
					feed = store
				}
				cache, err := cachestore.New(behind, feed, cachestore.Options{Logger: quiet})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(cache.Close)
				return cache
			})
		})
	}
}
