package storetest_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/storetest"
)

// wrapped is a store whose abilities are found through Unwrap alone.
type wrapped struct{ apikey.KeyManager }

func (w wrapped) Unwrap() apikey.KeyStore { return w.KeyManager }

// opaque is a store that can do no more than it must.
type opaque struct{ apikey.KeyManager }

// mapStore is a KeyStore such as many write.
type mapStore map[apikey.Digest]apikey.Key

func (m mapStore) Lookup(_ context.Context, d apikey.Digest) (*apikey.Key, error) {
	key, ok := m[d]
	if !ok {
		return nil, apikey.ErrNotFound
	}
	return &key, nil
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) apikey.KeyManager { return memstore.New() })
}

func TestHealthyOpaque(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) apikey.KeyManager { return opaque{memstore.New()} })
}

func TestHealthyWithAllAbilities(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) apikey.KeyManager { return wrapped{newFull()} })
}

// The machinery that breaks stores breaks nothing by itself.
func TestHealthyUnbroken(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) apikey.KeyManager { return &broken{full: newFull()} })
}

func TestHealthyLookup(t *testing.T) {
	t.Parallel()
	storetest.RunLookup(t, func(_ *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore { return mapStore(keys) })
}

func TestAbilitiesAreTestedWhereTheyAre(t *testing.T) {
	t.Parallel()
	out, err := child(t, brokenStore+"=", "-test.v", "-test.run=^TestHealthyWithAllAbilities$")
	if err != nil || bytes.Contains(out, []byte("--- SKIP")) {
		t.Errorf("a store with all abilities: %v, and none is to be skipped:\n%s", err, out)
	}
	out, err = child(t, brokenStore+"=", "-test.v", "-test.run=^TestHealthyOpaque$")
	for _, reason := range []string{"not a Toucher", "not a StampedStore", "not a ChangeFeed", "not an Auditor"} {
		if err != nil || !bytes.Contains(out, []byte("the store is "+reason)) {
			t.Errorf("a store without abilities: %v, and it is to be told that it is %s", err, reason)
		}
	}
}

// When Run returns, its tests are done, so that what the stores share can be closed.
func TestRunWaits(t *testing.T) {
	t.Parallel()
	count := make(chan int, 1)
	count <- 0
	storetest.Run(t, func(t *testing.T) apikey.KeyManager {
		count <- <-count + 1
		t.Cleanup(func() { count <- <-count - 1 })
		return memstore.New()
	})
	if open := <-count; open != 0 {
		t.Errorf("%d stores are open after Run", open)
	}
}

func TestNilStoreFails(t *testing.T) {
	t.Parallel()
	const name = "nil"
	if os.Getenv(brokenStore) == name {
		storetest.Run(t, func(*testing.T) apikey.KeyManager { return nil })
		storetest.RunLookup(t, func(*testing.T, map[apikey.Digest]apikey.Key) apikey.KeyStore { return nil })
		return
	}
	caught(t, "TestNilStoreFails", name, one("Get/an unknown ID is ErrNotFound"))
}
