package storetest_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/storetest"
)

// A wrapped store has optional interfaces only behind Unwrap.
type wrapped struct{ apikey.KeyManager }

func (w wrapped) Unwrap() apikey.KeyStore { return w.KeyManager }

// An opaque store has no optional interfaces.
type opaque struct{ apikey.KeyManager }

// A mapStore is a simple KeyStore.
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

func TestHealthyWithOptionalInterfaces(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) apikey.KeyManager { return wrapped{newFull()} })
}

// A broken store without a defect passes.
func TestHealthyUnbroken(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) apikey.KeyManager { return &broken{full: newFull()} })
}

func TestHealthyLookup(t *testing.T) {
	t.Parallel()
	storetest.RunLookup(t, func(_ *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore { return mapStore(keys) })
}

func TestRulesOfMissingInterfacesAreSkipped(t *testing.T) {
	t.Parallel()
	out, err := child(t, brokenStore+"=", "-test.v", "-test.run=^TestHealthyWithOptionalInterfaces$")
	assert.True(t, err == nil && !bytes.Contains(out, []byte("--- SKIP")), "store with all interfaces: %v; want no error and no skipped rule:\n%s", err, out)
	out, err = child(t, brokenStore+"=", "-test.v", "-test.run=^TestHealthyOpaque$")
	for _, reason := range []string{"not a Toucher", "not a StampedStore", "not a ChangeFeed", "not an Auditor", "not a Noticer"} {
		assert.True(t, err == nil && bytes.Contains(out, []byte("the store is "+reason)), "store without interfaces: %v; want no error and rules skipped because it is %s", err, reason)
	}
}

// All subtests have ended when Run returns, so that the caller can close a shared resource.
func TestRunWaits(t *testing.T) {
	t.Parallel()
	count := make(chan int, 1)
	count <- 0
	storetest.Run(t, func(t *testing.T) apikey.KeyManager {
		count <- <-count + 1
		t.Cleanup(func() { count <- <-count - 1 })
		return memstore.New()
	})
	assert.Zero(t, <-count, "open stores after Run")
}

func TestNilStoreFails(t *testing.T) {
	t.Parallel()
	const name = "nil"
	if os.Getenv(brokenStore) == name {
		storetest.Run(t, func(*testing.T) apikey.KeyManager { return nil })
		storetest.RunLookup(t, func(*testing.T, map[apikey.Digest]apikey.Key) apikey.KeyStore { return nil })
		return
	}
	wantCaught(t, "TestNilStoreFails", name, rules("Get/returns ErrNotFound for an unknown ID"))
}
