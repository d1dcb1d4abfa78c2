package storetest_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/storetest"
)

// A lookupFunc is a KeyStore.
type lookupFunc func(context.Context, apikey.Digest) (*apikey.Key, error)

func (f lookupFunc) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return f(ctx, d)
}

var lookupStores = []struct {
	name  string
	rules []string
	open  func(mapStore) lookupFunc
}{
	{"an unknown digest is nil, nil", rules("Lookup/returns ErrNotFound and no key for an unknown digest", "Lookup/returns ErrNotFound for the zero digest"), func(m mapStore) lookupFunc {
		return func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, _ := m.Lookup(ctx, d)
			return key, nil
		}
	}},
	{"an unknown digest is an empty key", rules("Lookup/returns ErrNotFound for a digest with one bit changed"), func(m mapStore) lookupFunc {
		return func(_ context.Context, d apikey.Digest) (*apikey.Key, error) { return new(m[d]), nil }
	}},
	{"Hint is dropped", rules("Lookup/returns every field of the key with the digest"), func(m mapStore) lookupFunc {
		return func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, err := m.Lookup(ctx, d)
			if key != nil {
				key.Hint = ""
			}
			return key, err
		}
	}},
	{"keys that are not active are hidden", rules("Lookup/returns a revoked key", "Lookup/returns an expired key"), func(m mapStore) lookupFunc {
		return func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, err := m.Lookup(ctx, d)
			if key != nil && key.Check(time.Now()) != nil {
				return nil, apikey.ErrNotFound
			}
			return key, err
		}
	}},
	{"digests are trimmed", rules("Lookup/returns every field of the key with the digest"), func(m mapStore) lookupFunc {
		trimmed := make(map[string]apikey.Key)
		for d, key := range m {
			trimmed[strings.TrimRight(string(d[:]), " \x00")] = key
		}
		return func(_ context.Context, d apikey.Digest) (*apikey.Key, error) {
			if key, ok := trimmed[strings.TrimRight(string(d[:]), " \x00")]; ok {
				return &key, nil
			}
			return nil, apikey.ErrNotFound
		}
	}},
	{"a cancellation is ErrNotFound", rules("Lookup/does not return ErrNotFound because the context is done"), func(m mapStore) lookupFunc {
		return func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			if ctx.Err() != nil {
				return nil, apikey.ErrNotFound
			}
			return m.Lookup(ctx, d)
		}
	}},
}

// TestBrokenLookup is TestBroken for RunLookup.
func TestBrokenLookup(t *testing.T) {
	for _, b := range lookupStores {
		if os.Getenv(brokenStore) == b.name {
			storetest.RunLookup(t, func(_ *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore { return b.open(keys) })
			return
		}
	}
	for _, b := range lookupStores {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			wantCaught(t, "TestBrokenLookup", b.name, b.rules)
		})
	}
}
