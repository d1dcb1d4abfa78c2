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

// A meeting has writes happen in the gap of a read that is made in two steps. Whoever
// waits gives up after a while, since the other side may be done.
type meeting struct{ readers atomic.Int64 }

const patience = 20_000

// await is called in the gap, and waits until a write is done.
func (m *meeting) await(done func() bool) {
	m.readers.Add(1)
	defer m.readers.Add(-1)
	for i := 0; i < patience && !done(); i++ {
		runtime.Gosched()
	}
}

// join is called by writers, and waits for a gap.
func (m *meeting) join() {
	for i := 0; i < patience && m.readers.Load() == 0; i++ {
		runtime.Gosched()
	}
}

// yield lets others come in between.
func yield() {
	for range 20 {
		runtime.Gosched()
	}
}

var raceDefects = []defect{
	{"Update writes all keys back as it read them first", []string{"Concurrency/updates of different fields of one key are all kept", "Concurrency/updates of different keys are all kept"}, func(b *broken) {
		// As if each had read before any wrote, which real races only do at times.
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
	{"Update writes field by field", one("Concurrency/readers see whole keys while writers run"), func(b *broken) {
		var lookups atomic.Int64
		b.afterLookup(func(_ context.Context, _ apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			lookups.Add(1)
			return key, err
		})
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			b.full.Update(ctx, id, apikey.Patch{Name: p.Name})
			// Until a lookup that has begun since is done, or the readers are.
			for i, before := 0, lookups.Load(); i < patience && lookups.Load() < before+2; i++ {
				runtime.Gosched()
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update writes RevokedAt back", one("Concurrency/an update at the time of a revocation does not undo it"), func(b *broken) {
		revive := b.revive()
		var gap meeting
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			key, err := b.full.Get(ctx, id)
			if err == nil && key.RevokedAt.IsZero() {
				gap.await(func() bool {
					key, _ = b.full.Get(ctx, id)
					return !key.RevokedAt.IsZero()
				})
				revive(id)
			}
			return b.full.Update(ctx, id, p)
		}
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			gap.join()
			return b.full.Revoke(ctx, id)
		}
	}},
	{"Create loses keys when it is called at once", one("Concurrency/creations at the same time are all listed"), func(b *broken) {
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
	{"Get takes a cancellation for ErrNotFound", one("Context/Get with one that is done is not ErrNotFound"), func(b *broken) {
		b.get = func(ctx context.Context, id string) (apikey.Key, error) {
			if ctx.Err() != nil {
				return apikey.Key{}, apikey.ErrNotFound
			}
			return b.full.Get(ctx, id)
		}
	}},
	{"a cancelled List is empty", one("Context/List with one that is done is not empty"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			if ctx.Err() != nil {
				return apikey.Page{}, nil
			}
			return b.full.List(ctx, o)
		}
	}},
	{"cancelled writes are done in part", []string{
		"Context/Create with one that is done writes all or fails", "Context/Update with one that is done writes all or fails",
		"Context/Replace with one that is done writes all or fails",
	}, func(b *broken) {
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
	{"cancelled writes return nil", []string{
		"Context/Create with one that is done writes all or fails", "Context/Update with one that is done writes all or fails",
		"Context/Replace with one that is done writes all or fails", "Context/Revoke with one that is done revokes or fails, and can be repeated",
	}, func(b *broken) {
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
	{"a cancelled Revoke is ErrNotFound", one("Context/Revoke with one that is done revokes or fails, and can be repeated"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			if ctx.Err() != nil {
				return apikey.Key{}, apikey.ErrNotFound
			}
			return b.full.Revoke(ctx, id)
		}
	}},
}
