package memstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) apikey.KeyManager { return memstore.New() })
}

func TestLookupConformance(t *testing.T) {
	t.Parallel()
	storetest.RunLookup(t, func(t *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore {
		store := memstore.New()
		for d, key := range keys {
			require.NoError(t, store.Create(t.Context(), d, key))
		}
		return store
	})
}
