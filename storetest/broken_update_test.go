package storetest_test

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/latchkey-dev/apikey"
)

// revive is for stores that bring revoked keys back: they are handed out as alive.
func (b *broken) revive() func(id string) {
	alive := make(map[string]bool)
	b.see = func(key *apikey.Key) {
		if alive[key.ID] {
			key.RevokedAt = time.Time{}
		}
	}
	return func(id string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		alive[id] = true
	}
}

// patched breaks Update: it gets another Patch.
func patched(f func(*apikey.Patch)) func(*broken) {
	return func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			f(&p)
			return b.full.Update(ctx, id, p)
		}
	}
}

// twins returns the IDs of the keys with the name of key id.
func (b *broken) twins(ctx context.Context, id string) (ids []string) {
	mine, _ := b.full.Get(ctx, id)
	keys, _ := b.everything(ctx, apikey.ListOptions{})
	for _, key := range keys {
		if key.Name == mine.Name {
			ids = append(ids, key.ID)
		}
	}
	return ids
}

// stale makes Lookup answer for ever what it answered first.
func stale(b *broken) {
	cache := make(map[apikey.Digest]*apikey.Key)
	b.afterLookup(func(_ context.Context, d apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if cache[d] == nil {
			cache[d] = key
		}
		return cache[d], err
	})
}

var updateDefects = []defect{
	{"Update ignores Scopes", []string{"Update/each field of a Patch sets that field and no other", "Update/all fields of a Patch are set together"}, patched(func(p *apikey.Patch) { p.Scopes = nil })},
	{"Update sets what is nil", one("Update/the zero Patch changes nothing"), patched(func(p *apikey.Patch) {
		if p.Scopes == nil {
			p.Scopes = new([]string)
		}
	})},
	{"Update takes empty for not set", []string{"Update/a Patch with empty Scopes and Metadata clears them", "Update/a Patch with the zero time is for never"}, patched(func(p *apikey.Patch) {
		if p.Scopes != nil && len(*p.Scopes) == 0 {
			p.Scopes = nil
		}
		if p.ExpiresAt != nil && p.ExpiresAt.IsZero() {
			p.ExpiresAt = nil
		}
	})},
	{"Update adds to Metadata", one("Update/each field of a Patch sets that field and no other"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if key, err := b.full.Get(ctx, id); err == nil && p.Metadata != nil && key.Metadata != nil {
				maps.Copy(key.Metadata, *p.Metadata)
				p.Metadata = &key.Metadata
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update changes no expired key", one("Update/an expired key can be given a new end"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if key, err := b.full.Get(ctx, id); err == nil && errors.Is(key.Check(time.Now()), apikey.ErrExpired) {
				return apikey.Key{}, apikey.ErrExpired
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update un-revokes", []string{"Update/a revoked key stays revoked with its first time", "Revoke/no write that follows undoes it"}, func(b *broken) {
		revive := b.revive()
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			revive(id)
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Lookup does not see writes", []string{"Update/Lookup sees it at once", "Revoke/Lookup sees it at once"}, stale},
	{"Update changes all keys of that name", one("Update/other keys are left alone"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			for _, twin := range b.twins(ctx, id) {
				b.full.Update(ctx, twin, p)
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update of nobody succeeds", one("Update/an unknown or impossible ID is ErrNotFound"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			key, err := b.full.Update(ctx, id, p)
			if errors.Is(err, apikey.ErrNotFound) {
				err = nil
			}
			return key, err
		}
	}},
	{"Update keeps its argument", one("Update/no memory is shared with the Patch or with what it hands out"), func(b *broken) {
		scopes := make(map[string]*[]string)
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			scopes[id] = p.Scopes
			return b.full.Update(ctx, id, p)
		}
		b.see = func(key *apikey.Key) {
			if mine := scopes[key.ID]; mine != nil {
				key.Scopes = *mine
			}
		}
	}},
}

// replaced breaks Replace: it gets other arguments.
func replaced(f func(b *broken, id string, expiresAt *time.Time, successor *apikey.Key)) func(*broken) {
	return func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			f(b, id, &expiresAt, &successor)
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
	}
}

// afterReplace breaks Replace: f is called when it has returned.
func afterReplace(f func(b *broken, ctx context.Context, old apikey.Key, expiresAt time.Time, d apikey.Digest, successor apikey.Key, err error) (apikey.Key, error)) func(*broken) {
	return func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			old, _ := b.full.Get(ctx, id)
			key, err := b.full.Replace(ctx, id, expiresAt, d, successor)
			if err == nil {
				successor = key
			}
			return f(b, ctx, old, expiresAt, d, successor, err)
		}
	}
}

var replaceDefects = []defect{
	{"Replace leaves the old key as it is", []string{"Replace/the old key expires at the given time", "Replace/an old key that never expired gets an end", "Replace/an end in the past is at once"}, afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, _ time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err == nil {
				b.full.Update(ctx, old.ID, apikey.Patch{ExpiresAt: &old.ExpiresAt})
			}
			return successor, err
		})},
	{"Replace gives the old key a longer life", one("Replace/the old key does not outlive its own expiry"), afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, expiresAt time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err == nil {
				b.full.Update(ctx, old.ID, apikey.Patch{ExpiresAt: &expiresAt})
			}
			return successor, err
		})},
	{"Replace takes the Scopes of the successor", []string{"Replace/the successor has ID, Hint and times of its own and the rest from the old key", "Replace/the successor inherits what the old key is now"}, func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			if key, err := b.full.Replace(ctx, id, expiresAt, d, successor); err != nil {
				return key, err
			}
			return b.full.Update(ctx, successor.ID, apikey.Patch{Scopes: &successor.Scopes})
		}
	}},
	{"successors expire with the old key", one("Replace/the successor may never expire"), replaced(func(b *broken, id string, expiresAt *time.Time, successor *apikey.Key) {
		if successor.ExpiresAt.IsZero() {
			successor.ExpiresAt = *expiresAt
		}
	})},
	{"successors replace nobody", one("Replace/the successor can be replaced in turn"), func(b *broken) {
		b.see = func(key *apikey.Key) { key.Replaces = "" }
	}},
	{"Replace ends other keys too", one("Replace/other keys are left alone"), afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, expiresAt time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			keys, _ := b.everything(ctx, apikey.ListOptions{})
			for _, key := range keys {
				if key.ID != successor.ID {
					b.full.Update(ctx, key.ID, apikey.Patch{ExpiresAt: &expiresAt})
				}
			}
			return successor, err
		})},
	{"Replace makes a successor whatever the old key is", []string{
		"Replace/a revoked key is ErrRevoked and has no successor", "Replace/an expired key is ErrExpired and has no successor",
		"Replace/an unknown or impossible ID is ErrNotFound and has no successor", "Revoke/no write that follows undoes it",
	}, afterReplace(
		func(b *broken, ctx context.Context, _ apikey.Key, _ time.Time, d apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err != nil {
				err = b.full.Create(ctx, d, successor)
			}
			return successor, err
		})},
	{"Replace un-revokes", one("Concurrency/a replacement at the time of a revocation does not undo it"), func(b *broken) {
		revive := b.revive()
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			revive(id)
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
	}},
	{"Replace that fails ends the old key", one("Replace/a taken ID or digest is ErrExists and leaves both keys alone"), afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, expiresAt time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err != nil {
				b.full.Update(ctx, old.ID, apikey.Patch{ExpiresAt: &expiresAt})
			}
			return successor, err
		})},
}
