package storetest_test

import (
	"context"
	"net/netip"
	"time"

	"github.com/latchkey-dev/apikey"
)

// touched replaces Touch. merge computes the new LastUsedAt from the old one and the time of a use.
func touched(merge func(before, at time.Time) time.Time) func(*broken) {
	return func(b *broken) {
		used, ids := make(map[apikey.Digest]time.Time), make(map[string]apikey.Digest)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			ids[key.ID] = d
			return b.full.Create(ctx, d, key)
		}
		b.touch = func(d apikey.Digest, u apikey.Use) {
			b.mu.Lock()
			defer b.mu.Unlock()
			used[d] = merge(used[d], u.At)
		}
		b.edit = func(key *apikey.Key) { key.LastUsedAt = used[ids[key.ID]].UTC() }
	}
}

var touchDefects = []defect{
	{"Create drops LastUsedAt", rules("Touch/Create stores LastUsedAt and a later use replaces it"), func(b *broken) {
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			key.LastUsedAt = time.Time{}
			return b.full.Create(ctx, d, key)
		}
	}},
	{"Touch does nothing", rules("Touch/Get and List return the last use", "Touch/each key has its own last use"), func(b *broken) {
		b.touch = func(apikey.Digest, apikey.Use) {}
	}},
	{"Touch keeps the first use", rules("Touch/keeps the latest use"), touched(func(before, at time.Time) time.Time {
		if before.IsZero() {
			return at
		}
		return before
	})},
	{"Touch keeps the use that was reported last", rules("Touch/ignores an earlier use"), touched(func(_, at time.Time) time.Time { return at })},
	{"Touch applies to every key", rules("Touch/other keys stay unused", "Touch/each key has its own last use"), func(b *broken) {
		var last time.Time
		b.touch = func(_ apikey.Digest, u apikey.Use) { last = u.At }
		b.edit = func(key *apikey.Key) { key.LastUsedAt = last.UTC() }
	}},
	{"Touch stores uses of unknown digests", rules("Touch/ignores an unknown digest"), touched(func(_, at time.Time) time.Time { return at })},
	{"Touch drops the address", rules("Touch/Get and List return the address of the last use", "Touch/the address is that of the latest use", "Touch/later writes keep the last use"), func(b *broken) {
		b.touch = func(d apikey.Digest, u apikey.Use) { b.full.Touch(d, apikey.Use{At: u.At}) }
	}},
	{"a use without an address keeps the one before", rules("Touch/the address is that of the latest use"), func(b *broken) {
		last := make(map[apikey.Digest]netip.Addr)
		b.touch = func(d apikey.Digest, u apikey.Use) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if u.Addr.IsValid() {
				last[d] = u.Addr
			}
			b.full.Touch(d, apikey.Use{At: u.At, Addr: last[d]})
		}
	}},
	{"an earlier use replaces the address", rules("Touch/the address is that of the latest use"), func(b *broken) {
		last, ids := make(map[apikey.Digest]netip.Addr), make(map[string]apikey.Digest)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			ids[key.ID] = d
			return b.full.Create(ctx, d, key)
		}
		b.touch = func(d apikey.Digest, u apikey.Use) {
			b.mu.Lock()
			defer b.mu.Unlock()
			last[d] = u.Addr
			b.full.Touch(d, u)
		}
		b.edit = func(key *apikey.Key) { key.LastUsedAddr = last[ids[key.ID]] }
	}},
	{"Create keeps LastUsedAddr", rules("Touch/Create ignores LastUsedAddr"), func(b *broken) {
		kept := make(map[string]netip.Addr)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			kept[key.ID] = key.LastUsedAddr
			return b.full.Create(ctx, d, key)
		}
		b.edit = func(key *apikey.Key) {
			if addr := kept[key.ID]; addr.IsValid() {
				key.LastUsedAddr = addr
			}
		}
	}},
	{"Update resets LastUsedAt", rules("Touch/later writes keep the last use"), func(b *broken) {
		written := make(map[string]bool)
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			written[id] = true
			return b.full.Update(ctx, id, p)
		}
		b.edit = func(key *apikey.Key) {
			if written[key.ID] {
				key.LastUsedAt = time.Time{}
			}
		}
	}},
	{"Touch undoes a revocation", rules("Touch/does not undo a revocation", "Touch/concurrent uses do not undo a revocation", "Revoke/no later write undoes a revocation"), func(b *broken) {
		revive := b.revive()
		b.touch = func(d apikey.Digest, u apikey.Use) {
			if key, err := b.full.Lookup(context.Background(), d); err == nil {
				revive(key.ID)
			}
			b.full.Touch(d, u)
		}
	}},
}
