package storetest_test

import (
	"context"
	"time"

	"github.com/latchkey-dev/apikey"
)

// touched breaks LastUsedAt: it is what use makes of the uses, which come one by one.
func touched(use func(before, at time.Time) time.Time) func(*broken) {
	return func(b *broken) {
		used, ids := make(map[apikey.Digest]time.Time), make(map[string]apikey.Digest)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			ids[key.ID] = d
			return b.full.Create(ctx, d, key)
		}
		b.touch = func(d apikey.Digest, at time.Time) {
			b.mu.Lock()
			defer b.mu.Unlock()
			used[d] = use(used[d], at)
		}
		b.see = func(key *apikey.Key) { key.LastUsedAt = used[ids[key.ID]].UTC() }
	}
}

var touchDefects = []defect{
	{"Touch does nothing", []string{"Touch/Get and List tell the last use", "Touch/each key has its own last use"}, func(b *broken) {
		b.touch = func(apikey.Digest, time.Time) {}
	}},
	{"the first use is kept", one("Touch/the latest use is kept"), touched(func(before, at time.Time) time.Time {
		if before.IsZero() {
			return at
		}
		return before
	})},
	{"the use that came last is kept", one("Touch/an earlier use does not go back"), touched(func(_, at time.Time) time.Time { return at })},
	{"every key was used when one was", []string{"Touch/a key that was not used was never used", "Touch/each key has its own last use"}, func(b *broken) {
		var last time.Time
		b.touch = func(_ apikey.Digest, at time.Time) { last = at }
		b.see = func(key *apikey.Key) { key.LastUsedAt = last.UTC() }
	}},
	{"uses of unknown digests are kept for later", one("Touch/an unknown digest is ignored"), touched(func(_, at time.Time) time.Time { return at })},
	{"Update forgets the last use", one("Touch/a use outlasts the writes that follow it"), func(b *broken) {
		written := make(map[string]bool)
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			written[id] = true
			return b.full.Update(ctx, id, p)
		}
		b.see = func(key *apikey.Key) {
			if written[key.ID] {
				key.LastUsedAt = time.Time{}
			}
		}
	}},
	{"Touch un-revokes", []string{"Touch/a use of a revoked key does not bring it back", "Touch/uses at the time of a revocation do not undo it", "Revoke/no write that follows undoes it"}, func(b *broken) {
		revive := b.revive()
		b.touch = func(d apikey.Digest, at time.Time) {
			if key, err := b.full.Lookup(context.Background(), d); err == nil {
				revive(key.ID)
			}
			b.full.Touch(d, at)
		}
	}},
}

// afterLookupAt breaks LookupAt: f changes what it would return.
func (b *broken) afterLookupAt(f func(key **apikey.Key, at *apikey.Cursor, err *error)) {
	b.lookupAt = func(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
		key, at, err := b.full.LookupAt(ctx, d)
		f(&key, &at, &err)
		return key, at, err
	}
}

// afterChanges breaks Changes: f changes what it would return.
func (b *broken) afterChanges(f func(since apikey.Cursor, c *apikey.Changes)) {
	b.changes = func(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
		c, err := b.full.Changes(ctx, since)
		f(since, &c)
		return c, err
	}
}

// announce breaks Subscribe: f decides what subscribers are told.
func (b *broken) announce(f func(tell func(apikey.Digest, apikey.Cursor), d apikey.Digest, at apikey.Cursor)) {
	b.subscribe = func(tell func(apikey.Digest, apikey.Cursor)) func() {
		return b.full.Subscribe(func(d apikey.Digest, at apikey.Cursor) { f(tell, d, at) })
	}
}

var feedDefects = []defect{
	{"LookupAt knows no error", []string{"LookupAt/agrees with Lookup", "LookupAt/a context that is done is not ErrNotFound"}, func(b *broken) {
		b.afterLookupAt(func(key **apikey.Key, at *apikey.Cursor, err *error) {
			if *key == nil {
				*key, *err = new(apikey.Key), nil
			}
		})
	}},
	{"LookupAt does not see writes", one("LookupAt/sees every write at once"), func(b *broken) {
		stale(b)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			err := b.full.Create(ctx, d, key)
			b.lookup(ctx, d)
			return err
		}
		b.lookupAt = func(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
			_, at, err := b.full.LookupAt(ctx, d)
			key, _ := b.lookup(ctx, d)
			return key, at, err
		}
	}},
	{"LookupAt tells no state with ErrNotFound", one("LookupAt/tells the state of an unknown digest too"), func(b *broken) {
		b.afterLookupAt(func(_ **apikey.Key, at *apikey.Cursor, err *error) {
			if *err != nil {
				*at = apikey.Cursor{}
			}
		})
	}},
	{"LookupAt tells its first state for ever", []string{"LookupAt/the revision grows with each write", "LookupAt/the state is not older than what was announced"}, func(b *broken) {
		first := b.full.Store
		_, at, _ := first.LookupAt(context.Background(), apikey.Digest{})
		b.afterLookupAt(func(_ **apikey.Key, now *apikey.Cursor, _ *error) { *now = at })
	}},
	{"LookupAt tells a state to come", one("LookupAt/the state is not ahead of the feed's"), func(b *broken) {
		b.afterLookupAt(func(_ **apikey.Key, at *apikey.Cursor, _ *error) { at.Revision++ })
	}},
	{"LookupAt reads the state after the key", one("LookupAt/every change up to its state is in the answer while writers run"), func(b *broken) {
		var gap meeting
		b.lookupAt = func(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
			key, at, err := b.full.LookupAt(ctx, d)
			before := at
			gap.await(func() bool {
				_, at, _ = b.full.LookupAt(ctx, d)
				return at != before
			})
			return key, at, err
		}
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			gap.join()
			return b.full.Update(ctx, id, p)
		}
	}},
	{"LookupAt takes a cancellation for ErrNotFound", one("LookupAt/a context that is done is not ErrNotFound"), func(b *broken) {
		b.afterLookupAt(func(_ **apikey.Key, _ *apikey.Cursor, err *error) {
			if *err != nil {
				*err = apikey.ErrNotFound
			}
		})
	}},
	{"the zero Cursor gets a Reset", one("Changes/the zero Cursor gets the head alone"), func(b *broken) {
		b.afterChanges(func(since apikey.Cursor, c *apikey.Changes) { c.Reset = c.Reset || since == apikey.Cursor{} })
	}},
	{"every answer has a head of its own", one("Changes/nothing new is the same head and no digests"), func(b *broken) {
		b.afterChanges(func(_ apikey.Cursor, c *apikey.Changes) {
			b.count++
			c.Head.Tag = uint64(b.count)
		})
	}},
	{"Changes names nothing", []string{
		"Changes/an update names its digest", "Changes/a revocation names its digest", "Changes/a replacement names the digest of the old key",
		"Changes/an old Cursor gets every change since", "Changes/polling while writers run misses nothing",
	}, func(b *broken) {
		b.afterChanges(func(_ apikey.Cursor, c *apikey.Changes) { c.Digests = nil })
	}},
	{"Changes omits a digest when there are several", one("Changes/an old Cursor gets every change since"), func(b *broken) {
		b.afterChanges(func(_ apikey.Cursor, c *apikey.Changes) {
			if len(c.Digests) > 1 {
				c.Digests = c.Digests[1:]
			}
		})
	}},
	{"every change is a Reset", one("Changes/an update names its digest"), func(b *broken) {
		b.afterChanges(func(since apikey.Cursor, c *apikey.Changes) {
			c.Reset = c.Reset || since != apikey.Cursor{} && since != c.Head
		})
	}},
	{"creations do not move the head", one("Changes/a creation moves the head"), func(b *broken) {
		created := uint64(0)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			created++
			return b.full.Create(ctx, d, key)
		}
		b.changes = func(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
			if since != (apikey.Cursor{}) {
				since.Revision += created
			}
			c, err := b.full.Changes(ctx, since)
			c.Head.Revision -= created
			return c, err
		}
	}},
	{"Changes knows no epochs", one("Changes/a Cursor of another epoch is a Reset"), func(b *broken) {
		b.changes = func(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
			head, _ := b.full.Changes(ctx, apikey.Cursor{})
			if since.Epoch != 0 {
				since.Epoch = head.Head.Epoch
			}
			return b.full.Changes(ctx, since)
		}
	}},
	{"Changes knows no future", one("Changes/a revision of the future is a Reset"), func(b *broken) {
		b.changes = func(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
			head, _ := b.full.Changes(ctx, apikey.Cursor{})
			since.Revision = min(since.Revision, head.Head.Revision)
			return b.full.Changes(ctx, since)
		}
	}},
	{"Changes reads the head after the digests", one("Changes/polling while writers run misses nothing"), func(b *broken) {
		var gap meeting
		b.changes = func(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
			c, err := b.full.Changes(ctx, since)
			if since == (apikey.Cursor{}) {
				return c, err
			}
			before := c.Head
			gap.await(func() bool {
				after, _ := b.full.Changes(ctx, apikey.Cursor{})
				c.Head = after.Head
				return c.Head != before
			})
			return c, err
		}
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			gap.join()
			return b.full.Revoke(ctx, id)
		}
	}},
	{"subscribers are not called", []string{
		"Subscribe/a creation is announced before Create returns", "Subscribe/an update is announced before Update returns",
		"Subscribe/both keys of a replacement are announced before Replace returns", "Subscribe/a revocation is announced before Revoke returns",
		"Subscribe/every writer has been announced when it returns, also among others",
	}, func(b *broken) {
		b.announce(func(func(apikey.Digest, apikey.Cursor), apikey.Digest, apikey.Cursor) {})
	}},
	{"subscribers are called at the next write", []string{"Subscribe/a creation is announced before Create returns", "Subscribe/a revocation is announced before Revoke returns"}, func(b *broken) {
		var later func()
		b.announce(func(tell func(apikey.Digest, apikey.Cursor), d apikey.Digest, at apikey.Cursor) {
			if later != nil {
				later()
			}
			later = func() { tell(d, at) }
		})
	}},
	{"subscribers are told an old state", one("Subscribe/the Cursor that is announced is not older than the write"), func(b *broken) {
		b.announce(func(tell func(apikey.Digest, apikey.Cursor), d apikey.Digest, at apikey.Cursor) {
			at.Revision--
			tell(d, at)
		})
	}},
	{"cancel does nothing", one("Subscribe/nothing is announced after cancel, and others are still told"), func(b *broken) {
		b.subscribe = func(f func(apikey.Digest, apikey.Cursor)) func() {
			b.full.Subscribe(f)
			return func() {}
		}
	}},
	{"there is one subscriber", one("Subscribe/nothing is announced after cancel, and others are still told"), func(b *broken) {
		cancel := func() {}
		b.subscribe = func(f func(apikey.Digest, apikey.Cursor)) func() {
			cancel()
			cancel = b.full.Subscribe(f)
			return cancel
		}
	}},
}
