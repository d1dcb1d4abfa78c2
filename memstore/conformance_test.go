package memstore_test

import (
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) apikey.KeyManager { return memstore.New() })
}

func TestConformanceOfLookup(t *testing.T) {
	t.Parallel()
	storetest.RunLookup(t, func(t *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore {
		store := memstore.New()
		for d, key := range keys {
			if err := store.Create(t.Context(), d, key); err != nil {
				t.Fatal(err)
			}
		}
		return store
	})
}
