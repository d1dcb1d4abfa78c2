package storetest_test

import (
	"context"

	"github.com/latchkey-dev/apikey"
)

// afterLookupAt replaces LookupAt. f edits its results.
func (b *broken) afterLookupAt(f func(key **apikey.Key, at *apikey.Version, err *error)) {
	b.lookupAt = func(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
		key, at, err := b.full.LookupAt(ctx, d)
		f(&key, &at, &err)
		return key, at, err
	}
}

// afterChanges replaces Changes. f edits its result.
func (b *broken) afterChanges(f func(since apikey.Version, c *apikey.Changes)) {
	b.changes = func(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
		c, err := b.full.Changes(ctx, since)
		f(since, &c)
		return c, err
	}
}

// announce replaces Subscribe. f decides what each subscriber gets.
func (b *broken) announce(f func(subscriber func(apikey.Digest, apikey.Version), d apikey.Digest, at apikey.Version)) {
	b.subscribe = func(subscriber func(apikey.Digest, apikey.Version)) func() {
		return b.full.Subscribe(func(d apikey.Digest, at apikey.Version) { f(subscriber, d, at) })
	}
}

var feedDefects = []defect{
	{"LookupAt never returns an error", rules("LookupAt/agrees with Lookup", "LookupAt/does not return ErrNotFound because the context is done"), func(b *broken) {
		b.afterLookupAt(func(key **apikey.Key, at *apikey.Version, err *error) {
			if *key == nil {
				*key, *err = new(apikey.Key), nil
			}
		})
	}},
	{"LookupAt does not see writes", rules("LookupAt/sees every write at once"), func(b *broken) {
		stale(b)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			err := b.full.Create(ctx, d, key)
			b.lookup(ctx, d)
			return err
		}
		b.lookupAt = func(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
			_, at, err := b.full.LookupAt(ctx, d)
			key, _ := b.lookup(ctx, d)
			return key, at, err
		}
	}},
	{"LookupAt returns the zero Version with ErrNotFound", rules("LookupAt/returns a Version with ErrNotFound"), func(b *broken) {
		b.afterLookupAt(func(_ **apikey.Key, at *apikey.Version, err *error) {
			if *err != nil {
				*at = apikey.Version{}
			}
		})
	}},
	{"LookupAt always returns its first Version", rules("LookupAt/every write raises the revision", "LookupAt/the Version is not older than an announced write"), func(b *broken) {
		first := b.full.Store
		_, at, _ := first.LookupAt(context.Background(), apikey.Digest{})
		b.afterLookupAt(func(_ **apikey.Key, now *apikey.Version, _ *error) { *now = at })
	}},
	{"LookupAt returns a future Version", rules("LookupAt/the Version is not ahead of the feed"), func(b *broken) {
		b.afterLookupAt(func(_ **apikey.Key, at *apikey.Version, _ *error) { at.Revision++ })
	}},
	{"LookupAt reads the Version after the key", rules("LookupAt/the answer contains every change up to its Version"), func(b *broken) {
		var g gap
		b.lookupAt = func(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
			key, at, err := b.full.LookupAt(ctx, d)
			before := at
			g.await(func() bool {
				_, at, _ = b.full.LookupAt(ctx, d)
				return at != before
			})
			return key, at, err
		}
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			g.join()
			return b.full.Update(ctx, id, p)
		}
	}},
	{"LookupAt returns ErrNotFound when cancelled", rules("LookupAt/does not return ErrNotFound because the context is done"), func(b *broken) {
		b.afterLookupAt(func(_ **apikey.Key, _ *apikey.Version, err *error) {
			if *err != nil {
				*err = apikey.ErrNotFound
			}
		})
	}},
	{"the zero Version returns a Reset", rules("Changes/the zero Version returns the head alone"), func(b *broken) {
		b.afterChanges(func(since apikey.Version, c *apikey.Changes) { c.Reset = c.Reset || since == apikey.Version{} })
	}},
	{"every answer has another head", rules("Changes/returns the same head and no digests if nothing changed"), func(b *broken) {
		b.afterChanges(func(_ apikey.Version, c *apikey.Changes) {
			b.count++
			c.Head.Tag = uint64(b.count)
		})
	}},
	{"Changes lists nothing", rules(
		"Changes/lists the digest of an updated key", "Changes/lists the digest of a revoked key", "Changes/lists the digest of a replaced key",
		"Changes/an old Version returns every change since", "Changes/polls during writes miss no change",
	), func(b *broken) {
		b.afterChanges(func(_ apikey.Version, c *apikey.Changes) { c.Digests = nil })
	}},
	{"Changes omits one of several digests", rules("Changes/an old Version returns every change since"), func(b *broken) {
		b.afterChanges(func(_ apikey.Version, c *apikey.Changes) {
			if len(c.Digests) > 1 {
				c.Digests = c.Digests[1:]
			}
		})
	}},
	{"Changes returns a Reset after every change", rules("Changes/lists the digest of an updated key"), func(b *broken) {
		b.afterChanges(func(since apikey.Version, c *apikey.Changes) {
			c.Reset = c.Reset || since != apikey.Version{} && since != c.Head
		})
	}},
	{"creations do not advance the head", rules("Changes/a creation advances the head"), func(b *broken) {
		created := uint64(0)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			created++
			return b.full.Create(ctx, d, key)
		}
		b.changes = func(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
			if since != (apikey.Version{}) {
				since.Revision += created
			}
			c, err := b.full.Changes(ctx, since)
			c.Head.Revision -= created
			return c, err
		}
	}},
	{"Changes ignores the epoch", rules("Changes/a Version of another epoch returns a Reset"), func(b *broken) {
		b.changes = func(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
			head, _ := b.full.Changes(ctx, apikey.Version{})
			if since.Epoch != 0 {
				since.Epoch = head.Head.Epoch
			}
			return b.full.Changes(ctx, since)
		}
	}},
	{"Changes accepts a future revision", rules("Changes/a future revision returns a Reset"), func(b *broken) {
		b.changes = func(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
			head, _ := b.full.Changes(ctx, apikey.Version{})
			since.Revision = min(since.Revision, head.Head.Revision)
			return b.full.Changes(ctx, since)
		}
	}},
	{"Changes reads the head after the digests", rules("Changes/polls during writes miss no change"), func(b *broken) {
		var g gap
		b.changes = func(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
			c, err := b.full.Changes(ctx, since)
			if since == (apikey.Version{}) {
				return c, err
			}
			before := c.Head
			g.await(func() bool {
				after, _ := b.full.Changes(ctx, apikey.Version{})
				c.Head = after.Head
				return c.Head != before
			})
			return c, err
		}
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			g.join()
			return b.full.Revoke(ctx, id)
		}
	}},
	{"subscribers are not called", rules(
		"Subscribe/Create announces the key before it returns", "Subscribe/Update announces the key before it returns",
		"Subscribe/Replace announces both keys before it returns", "Subscribe/Revoke announces the key before it returns",
		"Subscribe/concurrent writes are announced before they return",
	), func(b *broken) {
		b.announce(func(func(apikey.Digest, apikey.Version), apikey.Digest, apikey.Version) {})
	}},
	{"subscribers are called at the next write", rules("Subscribe/Create announces the key before it returns", "Subscribe/Revoke announces the key before it returns"), func(b *broken) {
		var postponed func()
		b.announce(func(subscriber func(apikey.Digest, apikey.Version), d apikey.Digest, at apikey.Version) {
			if postponed != nil {
				postponed()
			}
			postponed = func() { subscriber(d, at) }
		})
	}},
	{"subscribers get an old Version", rules("Subscribe/the announced Version is not older than the write"), func(b *broken) {
		b.announce(func(subscriber func(apikey.Digest, apikey.Version), d apikey.Digest, at apikey.Version) {
			at.Revision--
			subscriber(d, at)
		})
	}},
	{"cancel does nothing", rules("Subscribe/cancel ends one subscription and no other"), func(b *broken) {
		b.subscribe = func(f func(apikey.Digest, apikey.Version)) func() {
			b.full.Subscribe(f)
			return func() {}
		}
	}},
	{"Subscribe ends the other subscriptions", rules("Subscribe/cancel ends one subscription and no other"), func(b *broken) {
		cancel := func() {}
		b.subscribe = func(f func(apikey.Digest, apikey.Version)) func() {
			cancel()
			cancel = b.full.Subscribe(f)
			return cancel
		}
	}},
}
