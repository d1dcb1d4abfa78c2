package storetest_test

import (
	"bytes"
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

// afterLookup replaces Lookup. f gets the correct result and returns another.
func (b *broken) afterLookup(f func(ctx context.Context, d apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error)) {
	b.lookup = func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
		key, err := b.full.Lookup(ctx, d)
		return f(ctx, d, key, err)
	}
}

var lookupDefects = []defect{
	{"Lookup never returns an error", rules("Lookup/returns ErrNotFound and no key for an unknown digest", "Lookup/returns ErrNotFound for the zero digest", "Lookup/returns ErrNotFound in an empty store"), func(b *broken) {
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, _ error) (*apikey.Key, error) {
			return key, nil
		})
	}},
	{"Lookup returns an empty key with ErrNotFound", rules("Lookup/returns ErrNotFound and no key for an unknown digest"), func(b *broken) {
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			if key == nil {
				key = new(apikey.Key)
			}
			return key, err
		})
	}},
	{"Lookup hides keys that are not active", rules("Lookup/returns a revoked key", "Lookup/returns an expired key", "Lookup/returns every field of the key with the digest"), func(b *broken) {
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			if key != nil && key.Check(time.Now()) != nil {
				return nil, apikey.ErrNotFound
			}
			return key, err
		})
	}},
	{"Lookup returns a key for the zero digest", rules("Lookup/returns ErrNotFound for the zero digest"), func(b *broken) {
		b.afterLookup(func(_ context.Context, d apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			if d == (apikey.Digest{}) {
				return new(apikey.Key), nil
			}
			return key, err
		})
	}},
	{"Lookup ignores the lowest bit of digests", rules("Lookup/returns ErrNotFound for a digest with one bit changed"), func(b *broken) {
		b.lookup = func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, err := b.full.Lookup(ctx, d)
			if err != nil {
				d[31] ^= 1
				key, err = b.full.Lookup(ctx, d)
			}
			return key, err
		}
	}},
	{"digests are truncated at a zero byte", rules("Lookup/returns every field of the key with the digest", "Create/digests that differ in one bit are different keys"), func(b *broken) {
		truncate := func(d apikey.Digest) (cut apikey.Digest) {
			end := max(bytes.IndexByte(d[:31], 0), 0)
			copy(cut[:], d[:min(end, 16)])
			return cut
		}
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			return b.full.Create(ctx, truncate(d), key)
		}
		b.lookup = func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			return b.full.Lookup(ctx, truncate(d))
		}
	}},
	{"Lookup finds each key once", rules("Lookup/returns the same answer again"), func(b *broken) {
		seen := make(map[apikey.Digest]bool)
		b.afterLookup(func(_ context.Context, d apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if seen[d] {
				return nil, apikey.ErrNotFound
			}
			seen[d] = true
			return key, err
		})
	}},
	{"lookups share a variable", rules("Lookup/concurrent lookups return their own keys"), func(b *broken) {
		var last atomic.Pointer[apikey.Key]
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			if err != nil {
				return nil, err
			}
			last.Store(key)
			for range 10 {
				runtime.Gosched()
			}
			return last.Load(), nil
		})
	}},
	{"Lookup returns ErrNotFound when cancelled", rules("Lookup/does not return ErrNotFound because the context is done", "Lookup/a cancelled lookup does not affect other lookups"), func(b *broken) {
		b.afterLookup(func(ctx context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			for range 30 {
				runtime.Gosched()
			}
			if ctx.Err() != nil {
				return nil, apikey.ErrNotFound
			}
			return key, err
		})
	}},
	{"Lookup returns the result of a cancelled lookup", rules("Lookup/a cancelled lookup does not affect other lookups"), func(b *broken) {
		var left atomic.Pointer[apikey.Key]
		b.afterLookup(func(ctx context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			for range 10 {
				runtime.Gosched()
			}
			if ctx.Err() != nil {
				left.Store(key)
				return nil, ctx.Err()
			}
			if other := left.Swap(nil); other != nil {
				return other, nil
			}
			return key, err
		})
	}},
	{"Lookup modifies a returned key", rules("Lookup/never modifies a returned key"), func(b *broken) {
		cache := make(map[apikey.Digest]*apikey.Key)
		b.lookup = func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, err := b.full.Lookup(ctx, d)
			if err == nil {
				cache[d] = new(key.Clone())
				key = cache[d]
			}
			return key, err
		}
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			for _, c := range cache {
				if c.ID == id {
					*c = key
				}
			}
			return key, err
		}
	}},
}
