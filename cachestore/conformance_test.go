package cachestore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name               string
		hasFeed, unstamped bool
	}{{"with a feed", true, false}, {"without LookupAt", true, true}, {"without a feed", false, false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			storetest.RunLookup(t, func(t *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore {
				store := memstore.New()
				for d, key := range keys {
					require.NoError(t, store.Create(t.Context(), d, key))
				}
				var behind apikey.KeyStore = store
				if test.unstamped {
					behind = unstamped{store}
				}
				var feed apikey.ChangeFeed
				if test.hasFeed {
					feed = store
				}
				cache, err := cachestore.NewWithFeed(behind, feed, cachestore.Options{Logger: quiet})
				require.NoError(t, err)
				t.Cleanup(cache.Close)
				return cache
			})
		})
	}
}
