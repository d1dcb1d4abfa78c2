package storetest_test

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/latchkey-dev/apikey"
)

// revive edits returned keys. It returns a function that makes a revoked key appear active.
func (b *broken) revive() func(id string) {
	revived := make(map[string]bool)
	b.edit = func(key *apikey.Key) {
		if revived[key.ID] {
			key.RevokedAt = time.Time{}
		}
	}
	return func(id string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		revived[id] = true
	}
}

// patched replaces Update. f edits its Patch.
func patched(f func(*apikey.Patch)) func(*broken) {
	return func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			f(&p)
			return b.full.Update(ctx, id, p)
		}
	}
}

// twins returns the IDs of the keys with the same name as key id.
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

// stale makes Lookup repeat its first answer for each digest.
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
	{"Update ignores Scopes", rules("Update/sets the field of the Patch and no other", "Update/sets all fields of a Patch together"), patched(func(p *apikey.Patch) { p.Scopes = nil })},
	{"Update sets nil fields", rules("Update/the zero Patch changes nothing"), patched(func(p *apikey.Patch) {
		if p.Scopes == nil {
			p.Scopes = new([]string)
		}
	})},
	{"Update ignores empty values", rules("Update/clears Scopes and Metadata with empty values", "Update/removes the expiry with the zero time"), patched(func(p *apikey.Patch) {
		if p.Scopes != nil && len(*p.Scopes) == 0 {
			p.Scopes = nil
		}
		if p.ExpiresAt != nil && p.ExpiresAt.IsZero() {
			p.ExpiresAt = nil
		}
	})},
	{"Update merges Metadata", rules("Update/sets the field of the Patch and no other"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if key, err := b.full.Get(ctx, id); err == nil && p.Metadata != nil && key.Metadata != nil {
				maps.Copy(key.Metadata, *p.Metadata)
				p.Metadata = &key.Metadata
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update refuses expired keys", rules("Update/extends an expired key"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if key, err := b.full.Get(ctx, id); err == nil && errors.Is(key.Check(time.Now()), apikey.ErrExpired) {
				return apikey.Key{}, apikey.ErrExpired
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update undoes a revocation", rules("Update/does not change RevokedAt", "Revoke/no later write undoes a revocation"), func(b *broken) {
		revive := b.revive()
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			revive(id)
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Lookup does not see writes", rules("Update/Lookup sees the update at once", "Revoke/Lookup sees the revocation at once"), stale},
	{"Update changes all keys with that name", rules("Update/leaves other keys unchanged"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			for _, twin := range b.twins(ctx, id) {
				b.full.Update(ctx, twin, p)
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Update of an unknown ID succeeds", rules("Update/returns ErrNotFound for an unknown or invalid ID"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			key, err := b.full.Update(ctx, id, p)
			if errors.Is(err, apikey.ErrNotFound) {
				err = nil
			}
			return key, err
		}
	}},
	{"Update retains its argument", rules("Update/retains neither the Patch nor the returned key"), func(b *broken) {
		scopes := make(map[string]*[]string)
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			scopes[id] = p.Scopes
			return b.full.Update(ctx, id, p)
		}
		b.edit = func(key *apikey.Key) {
			if mine := scopes[key.ID]; mine != nil {
				key.Scopes = *mine
			}
		}
	}},
}
