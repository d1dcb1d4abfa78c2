package storetest_test

import (
	"context"
	"encoding/hex"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

func hexOf(d apikey.Digest) string { return hex.EncodeToString(d[:]) }

// A gap makes writes happen between the two steps of a read. Both sides give up after maxYields,
// because the other side may have ended.
type gap struct{ readers atomic.Int64 }

const maxYields = 20_000

// await is called between the two steps. It waits until a write is done.
func (g *gap) await(done func() bool) {
	g.readers.Add(1)
	defer g.readers.Add(-1)
	for i := 0; i < maxYields && !done(); i++ {
		runtime.Gosched()
	}
}

// join is called by a writer. It waits for a read between its two steps.
func (g *gap) join() {
	for i := 0; i < maxYields && g.readers.Load() == 0; i++ {
		runtime.Gosched()
	}
}

// yield lets other goroutines run.
func yield() {
	for range 20 {
		runtime.Gosched()
	}
}

var raceDefects = []defect{
	{"Update writes all keys back as first read", rules("Concurrency/updates of different fields of one key are all stored", "Concurrency/updates of different keys are all stored"), func(b *broken) {
		// Every Update reads before the first one writes. A real race does so only at times.
		read := sync.OnceValue(func() []apikey.Key {
			keys, _ := b.everything(context.Background(), apikey.ListOptions{})
			return keys
		})
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			for _, key := range read() {
				b.full.Update(ctx, key.ID, apikey.Patch{Name: &key.Name, Scopes: &key.Scopes, Metadata: &key.Metadata, ExpiresAt: &key.ExpiresAt})
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update writes field by field", rules("Concurrency/readers never see a partial write"), func(b *broken) {
		var lookups atomic.Int64
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			lookups.Add(1)
			return key, err
		})
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			b.full.Update(ctx, id, apikey.Patch{Name: p.Name})
			// Wait for a lookup that began after the first write.
			for i, before := 0, lookups.Load(); i < maxYields && lookups.Load() < before+2; i++ {
				runtime.Gosched()
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update writes RevokedAt back", rules("Concurrency/a concurrent update does not undo a revocation"), func(b *broken) {
		revive := b.revive()
		var g gap
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			key, err := b.full.Get(ctx, id)
			if err == nil && key.RevokedAt.IsZero() {
				g.await(func() bool {
					key, _ = b.full.Get(ctx, id)
					return !key.RevokedAt.IsZero()
				})
				revive(id)
			}
			return b.full.Update(ctx, id, p)
		}
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			g.join()
			return b.full.Revoke(ctx, id)
		}
	}},
	{"concurrent Create loses keys", rules("Concurrency/concurrent creations are all listed"), func(b *broken) {
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			b.mu.Lock()
			b.count++
			mine := b.count
			b.mu.Unlock()
			yield()
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.count != mine {
				return nil
			}
			return b.full.Create(ctx, d, key)
		}
	}},
}

var contextDefects = []defect{
	{"Get returns ErrNotFound when cancelled", rules("Context/Get does not return ErrNotFound because the context is done"), func(b *broken) {
		b.get = func(ctx context.Context, id string) (apikey.Key, error) {
			if ctx.Err() != nil {
				return apikey.Key{}, apikey.ErrNotFound
			}
			return b.full.Get(ctx, id)
		}
	}},
	{"List returns an empty page when cancelled", rules("Context/List does not return an empty page because the context is done"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			if ctx.Err() != nil {
				return apikey.Page{}, nil
			}
			return b.full.List(ctx, o)
		}
	}},
	{"cancelled writes are partial", rules(
		"Context/Create with a done context writes everything or nothing", "Context/Update with a done context writes everything or nothing",
		"Context/Replace with a done context writes everything or nothing",
	), func(b *broken) {
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			if ctx.Err() != nil {
				key.Scopes = nil
				b.full.Create(context.WithoutCancel(ctx), d, key)
			}
			return b.full.Create(ctx, d, key)
		}
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if ctx.Err() != nil {
				b.full.Update(context.WithoutCancel(ctx), id, apikey.Patch{Name: p.Name})
			}
			return b.full.Update(ctx, id, p)
		}
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			if ctx.Err() != nil {
				b.full.Update(context.WithoutCancel(ctx), id, apikey.Patch{ExpiresAt: &expiresAt})
			}
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
	}},
	{"cancelled writes return nil", rules(
		"Context/Create with a done context writes everything or nothing", "Context/Update with a done context writes everything or nothing",
		"Context/Replace with a done context writes everything or nothing", "Context/Revoke with a done context revokes or fails and can be repeated",
	), func(b *broken) {
		done := func(err error) error {
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				return nil
			}
			return err
		}
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			return done(b.full.Create(ctx, d, key))
		}
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			key, err := b.full.Update(ctx, id, p)
			return key, done(err)
		}
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			key, err := b.full.Replace(ctx, id, expiresAt, d, successor)
			return key, done(err)
		}
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			return key, done(err)
		}
	}},
	{"Revoke returns ErrNotFound when cancelled", rules("Context/Revoke with a done context revokes or fails and can be repeated"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			if ctx.Err() != nil {
				return apikey.Key{}, apikey.ErrNotFound
			}
			return b.full.Revoke(ctx, id)
		}
	}},
}
