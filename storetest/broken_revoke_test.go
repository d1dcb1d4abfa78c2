package storetest_test

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-dev/apikey"
)

var revokeDefects = []defect{
	{"Revoke clears the expiry", []string{"Revoke/sets the time of now and nothing else", "Revoke/an expired key can be revoked"}, func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			if key, err := b.full.Revoke(ctx, id); err != nil {
				return key, err
			}
			return b.full.Update(ctx, id, apikey.Patch{ExpiresAt: new(time.Time)})
		}
	}},
	{"Revoke tells the time of a clock that is off", one("Revoke/sets the time of now and nothing else"), func(b *broken) {
		b.see = func(key *apikey.Key) {
			if !key.RevokedAt.IsZero() {
				key.RevokedAt = key.RevokedAt.Add(-2 * time.Hour)
			}
		}
	}},
	{"Revoke moves RevokedAt", one("Revoke/twice keeps the first time"), func(b *broken) {
		moved := make(map[string]time.Time)
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			b.mu.Lock()
			defer b.mu.Unlock()
			moved[id] = time.Now().UTC().Truncate(time.Microsecond)
			return key, err
		}
		b.see = func(key *apikey.Key) {
			if at, ok := moved[key.ID]; ok {
				key.RevokedAt = at
			}
		}
	}},
	{"Revoke returns a time of its own", one("Concurrency/revocations agree on one time"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.count++
			key.RevokedAt = key.RevokedAt.Add(time.Duration(b.count) * time.Microsecond)
			return key, err
		}
	}},
	{"Revoke refuses a key that has expired", []string{"Revoke/an expired key can be revoked", "List/a key that is revoked and expired is revoked"}, func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			if key, err := b.full.Get(ctx, id); err == nil && errors.Is(key.Check(time.Now()), apikey.ErrExpired) {
				return key, nil
			}
			return b.full.Revoke(ctx, id)
		}
	}},
	{"Revoke ends the successor too", one("Revoke/a replaced key can be revoked and its successor lives on"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			keys, _ := b.everything(ctx, apikey.ListOptions{})
			for _, key := range keys {
				if key.Replaces == id {
					b.full.Revoke(ctx, key.ID)
				}
			}
			return b.full.Revoke(ctx, id)
		}
	}},
	{"Revoke ends all keys of that name", one("Revoke/other keys are left alone"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			for _, twin := range b.twins(ctx, id) {
				b.full.Revoke(ctx, twin)
			}
			return b.full.Revoke(ctx, id)
		}
	}},
	{"Revoke of nobody succeeds", one("Revoke/an unknown or impossible ID is ErrNotFound"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			if errors.Is(err, apikey.ErrNotFound) {
				err = nil
			}
			return key, err
		}
	}},
}
