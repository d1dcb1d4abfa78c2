package storetest_test

import (
	"context"
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/storetest"
)

// A store of one's own is tested by a test of its own package.
func ExampleRun() {
	testConformance := func(t *testing.T) { // func TestConformance(t *testing.T)
		storetest.Run(t, func(t *testing.T) apikey.KeyManager {
			store := memstore.New()
			// t.Cleanup(store.Close), if it has to be closed.
			return store
		})
	}
	_ = testConformance
}

// configured is a KeyStore of keys that stand in a configuration.
type configured map[apikey.Digest]*apikey.Key

func (c configured) Lookup(_ context.Context, d apikey.Digest) (*apikey.Key, error) {
	key, ok := c[d]
	if !ok {
		return nil, apikey.ErrNotFound
	}
	return key, nil
}

// A store that only looks keys up is given those that it is to hold.
func ExampleRunLookup() {
	testConformance := func(t *testing.T) { // func TestConformance(t *testing.T)
		storetest.RunLookup(t, func(t *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore {
			store := make(configured)
			for d, key := range keys {
				store[d] = &key
			}
			return store
		})
	}
	_ = testConformance
}
