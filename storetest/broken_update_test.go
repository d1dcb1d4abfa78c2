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
	{"Update undoes a revocation", rules("Update/does not change RevokedAt", "Revoke/no later write undoes it"), func(b *broken) {
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

// replaced replaces Replace. f edits its arguments.
func replaced(f func(b *broken, id string, expiresAt *time.Time, successor *apikey.Key)) func(*broken) {
	return func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			f(b, id, &expiresAt, &successor)
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
	}
}

// afterReplace replaces Replace. f gets the correct result and returns another.
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
	{"Replace does not expire the old key", rules("Replace/the old key expires at expiresAt", "Replace/an old key without expiry expires at expiresAt"), afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, _ time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err == nil {
				b.full.Update(ctx, old.ID, apikey.Patch{ExpiresAt: &old.ExpiresAt})
			}
			return successor, err
		})},
	{"Replace extends the old key", rules("Replace/the old key keeps an earlier expiry"), afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, expiresAt time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err == nil {
				b.full.Update(ctx, old.ID, apikey.Patch{ExpiresAt: &expiresAt})
			}
			return successor, err
		})},
	{"Replace uses the Scopes of its argument", rules("Replace/the successor inherits everything except ID, Hint and times", "Replace/the successor inherits the current values of the old key"), func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			if key, err := b.full.Replace(ctx, id, expiresAt, d, successor); err != nil {
				return key, err
			}
			return b.full.Update(ctx, successor.ID, apikey.Patch{Scopes: &successor.Scopes})
		}
	}},
	{"successors expire with the old key", rules("Replace/the successor of a key that never expires never expires", "Replace/the successor has the lifetime of the old key"), replaced(func(b *broken, id string, expiresAt *time.Time, successor *apikey.Key) {
		if successor.ExpiresAt.IsZero() {
			successor.ExpiresAt = *expiresAt
		}
	})},
	{"Replace without a grace period expires the old key", rules("Replace/the old key is revoked if expiresAt is past"), replaced(func(_ *broken, _ string, expiresAt *time.Time, _ *apikey.Key) {
		if now := time.Now(); !expiresAt.After(now) && expiresAt.UnixMicro() > 0 {
			*expiresAt = now.Add(time.Second)
		}
	})},
	{"the second successor gets the shortened lifetime", rules("Replace/a revoked successor can be replaced with the original lifetime"), afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, _ time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err != nil || old.ExpiresAt.IsZero() {
				return successor, err
			}
			end := successor.CreatedAt.Add(old.ExpiresAt.Sub(old.CreatedAt))
			return b.full.Update(ctx, successor.ID, apikey.Patch{ExpiresAt: &end})
		})},
	{"an expired successor does not count", rules("Replace/an expired successor counts, because an Update can extend it"), func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			key, err := b.full.Replace(ctx, id, expiresAt, d, successor)
			var replaced *apikey.ReplacedError
			if errors.As(err, &replaced) {
				if other, _ := b.full.Get(ctx, replaced.Successor); other.Check(time.Now()) == apikey.ErrExpired {
					return successor, b.full.Create(ctx, d, successor)
				}
			}
			return key, err
		}
	}},
	{"the successor of a revoked successor does not count", rules("Replace/the successor of a revoked successor counts"), func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			key, err := b.full.Replace(ctx, id, expiresAt, d, successor)
			var replaced *apikey.ReplacedError
			if errors.As(err, &replaced) {
				if other, _ := b.full.Get(ctx, replaced.Successor); other.Replaces != id {
					return successor, b.full.Create(ctx, d, successor)
				}
			}
			return key, err
		}
	}},
	{"successors have no Replaces", rules("Replace/the successor can be replaced in turn"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Replaces = "" }
	}},
	{"Replace expires other keys too", rules("Replace/leaves other keys unchanged"), afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, expiresAt time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			keys, _ := b.everything(ctx, apikey.ListOptions{})
			for _, key := range keys {
				if key.ID != successor.ID {
					b.full.Update(ctx, key.ID, apikey.Patch{ExpiresAt: &expiresAt})
				}
			}
			return successor, err
		})},
	{"Replace creates a successor of any key", rules(
		"Replace/returns ErrRevoked for a revoked key", "Replace/returns ErrExpired for an expired key",
		"Replace/returns ErrNotFound for an unknown or invalid ID", "Revoke/no later write undoes it",
		"Replace/a second Replace returns ErrReplaced with the first successor", "Replace/a second Replace of a revoked key returns ErrReplaced and ErrRevoked",
		"Concurrency/one of several replacements succeeds and the others return its successor",
	), afterReplace(
		func(b *broken, ctx context.Context, _ apikey.Key, _ time.Time, d apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err != nil {
				err = b.full.Create(ctx, d, successor)
			}
			return successor, err
		})},
	{"Replace undoes a revocation", rules("Concurrency/a concurrent replacement does not undo a revocation"), func(b *broken) {
		revive := b.revive()
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			revive(id)
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
	}},
	{"a failed Replace expires the old key", rules("Replace/returns ErrExists for a taken ID or digest and changes nothing"), afterReplace(
		func(b *broken, ctx context.Context, old apikey.Key, expiresAt time.Time, _ apikey.Digest, successor apikey.Key, err error) (apikey.Key, error) {
			if err != nil {
				b.full.Update(ctx, old.ID, apikey.Patch{ExpiresAt: &expiresAt})
			}
			return successor, err
		})},
}
