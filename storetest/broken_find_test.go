package storetest_test

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

func allDefects() []defect {
	return slices.Concat(lookupDefects, createDefects, getDefects, listDefects, queryDefects, updateDefects, replaceDefects, revokeDefects, touchDefects, feedDefects, auditDefects, raceDefects, contextDefects)
}

// afterLookup breaks Lookup: f gets what it would return.
func (b *broken) afterLookup(f func(ctx context.Context, d apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error)) {
	b.lookup = func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
		key, err := b.full.Lookup(ctx, d)
		return f(ctx, d, key, err)
	}
}

var lookupDefects = []defect{
	{"Lookup knows no error", []string{"Lookup/an unknown digest is ErrNotFound and no key", "Lookup/the zero digest is unknown", "Lookup/an empty store knows no digest"}, func(b *broken) {
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, _ error) (*apikey.Key, error) {
			return key, nil
		})
	}},
	{"Lookup returns an empty key with ErrNotFound", one("Lookup/an unknown digest is ErrNotFound and no key"), func(b *broken) {
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			if key == nil {
				key = new(apikey.Key)
			}
			return key, err
		})
	}},
	{"Lookup hides keys that are not active", []string{"Lookup/a revoked key is returned as it is", "Lookup/an expired key is returned as it is", "Lookup/every key is found under its digest with every field"}, func(b *broken) {
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			if key != nil && key.Check(time.Now()) != nil {
				return nil, apikey.ErrNotFound
			}
			return key, err
		})
	}},
	{"Lookup answers the zero digest", one("Lookup/the zero digest is unknown"), func(b *broken) {
		b.afterLookup(func(_ context.Context, d apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			if d == (apikey.Digest{}) {
				return new(apikey.Key), nil
			}
			return key, err
		})
	}},
	{"Lookup ignores the lowest bit of digests", one("Lookup/a digest that differs in one bit is unknown"), func(b *broken) {
		b.lookup = func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, err := b.full.Lookup(ctx, d)
			if err != nil {
				d[31] ^= 1
				key, err = b.full.Lookup(ctx, d)
			}
			return key, err
		}
	}},
	{"digests end at a zero byte", []string{"Lookup/every key is found under its digest with every field", "Create/digests that differ in one bit are different keys"}, func(b *broken) {
		short := func(d apikey.Digest) (cut apikey.Digest) {
			end := max(bytes.IndexByte(d[:31], 0), 0)
			copy(cut[:], d[:min(end, 16)])
			return cut
		}
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			return b.full.Create(ctx, short(d), key)
		}
		b.lookup = func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) { return b.full.Lookup(ctx, short(d)) }
	}},
	{"Lookup forgets a key that was looked up", one("Lookup/the same digest is the same key again"), func(b *broken) {
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
	{"lookups share a variable", one("Lookup/lookups at the same time do not mix"), func(b *broken) {
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
	{"Lookup takes a cancellation for ErrNotFound", []string{"Lookup/a context that is done is not ErrNotFound", "Lookup/lookups that are cancelled at any moment get no key of another"}, func(b *broken) {
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
	{"a cancelled lookup leaves its answer for the next", one("Lookup/lookups that are cancelled at any moment get no key of another"), func(b *broken) {
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
	{"Lookup writes to a key that it handed out", one("Lookup/a key that was handed out is never written to"), func(b *broken) {
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
