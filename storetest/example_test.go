package storetest_test

import (
	"context"
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/storetest"
)

// A package that implements a store calls Run in a test of its own.
func ExampleRun() {
	testConformance := func(t *testing.T) { // func TestConformance(t *testing.T)
		storetest.Run(t, func(t *testing.T) apikey.KeyManager {
			store := memstore.New()
			// If the store has to be closed: t.Cleanup(store.Close)
			return store
		})
	}
	_ = testConformance
}

// A configured store holds the keys of a configuration file.
type configured map[apikey.Digest]*apikey.Key

func (c configured) Lookup(_ context.Context, d apikey.Digest) (*apikey.Key, error) {
	key, ok := c[d]
	if !ok {
		return nil, apikey.ErrNotFound
	}
	return key, nil
}

// RunLookup passes the keys that the store has to hold.
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
