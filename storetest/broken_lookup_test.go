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

// lookupFunc is a KeyStore.
type lookupFunc func(context.Context, apikey.Digest) (*apikey.Key, error)

func (f lookupFunc) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return f(ctx, d)
}

var lookupStores = []struct {
	name  string
	rules []string
	open  func(mapStore) lookupFunc
}{
	{"nobody is nil", []string{"Lookup/an unknown digest is ErrNotFound and no key", "Lookup/the zero digest is unknown"}, func(m mapStore) lookupFunc {
		return func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, _ := m.Lookup(ctx, d)
			return key, nil
		}
	}},
	{"nobody is an empty key", one("Lookup/a digest that differs in one bit is unknown"), func(m mapStore) lookupFunc {
		return func(_ context.Context, d apikey.Digest) (*apikey.Key, error) { return new(m[d]), nil }
	}},
	{"the hint is lost", one("Lookup/every key is found under its digest with every field"), func(m mapStore) lookupFunc {
		return func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, err := m.Lookup(ctx, d)
			if key != nil {
				key.Hint = ""
			}
			return key, err
		}
	}},
	{"keys that are not active are hidden", []string{"Lookup/a revoked key is returned as it is", "Lookup/an expired key is returned as it is"}, func(m mapStore) lookupFunc {
		return func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, err := m.Lookup(ctx, d)
			if key != nil && key.Check(time.Now()) != nil {
				return nil, apikey.ErrNotFound
			}
			return key, err
		}
	}},
	{"digests are texts that are trimmed", one("Lookup/every key is found under its digest with every field"), func(m mapStore) lookupFunc {
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
	{"a cancellation is ErrNotFound", one("Lookup/a context that is done is not ErrNotFound"), func(m mapStore) lookupFunc {
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
			caught(t, "TestBrokenLookup", b.name, b.rules)
		})
	}
}
