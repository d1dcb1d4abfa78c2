package storetest_test

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-dev/apikey"
)

var revokeDefects = []defect{
	{"Revoke clears the expiry", rules("Revoke/sets RevokedAt to the current time and nothing else", "Revoke/revokes an expired key"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			if key, err := b.full.Revoke(ctx, id); err != nil {
				return key, err
			}
			return b.full.Update(ctx, id, apikey.Patch{ExpiresAt: new(time.Time)})
		}
	}},
	{"Revoke uses a wrong clock", rules("Revoke/sets RevokedAt to the current time and nothing else"), func(b *broken) {
		b.edit = func(key *apikey.Key) {
			if !key.RevokedAt.IsZero() {
				key.RevokedAt = key.RevokedAt.Add(-2 * time.Hour)
			}
		}
	}},
	{"Revoke changes RevokedAt again", rules("Revoke/a second Revoke keeps the first RevokedAt"), func(b *broken) {
		moved := make(map[string]time.Time)
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			b.mu.Lock()
			defer b.mu.Unlock()
			moved[id] = time.Now().UTC().Truncate(time.Microsecond)
			return key, err
		}
		b.edit = func(key *apikey.Key) {
			if at, ok := moved[key.ID]; ok {
				key.RevokedAt = at
			}
		}
	}},
	{"each Revoke returns another time", rules("Concurrency/concurrent revocations return one RevokedAt"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.count++
			key.RevokedAt = key.RevokedAt.Add(time.Duration(b.count) * time.Microsecond)
			return key, err
		}
	}},
	{"Revoke ignores an expired key", rules("Revoke/revokes an expired key", "List/a revoked and expired key has the Status revoked"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			if key, err := b.full.Get(ctx, id); err == nil && errors.Is(key.Check(time.Now()), apikey.ErrExpired) {
				return key, nil
			}
			return b.full.Revoke(ctx, id)
		}
	}},
	{"Revoke revokes the successor too", rules("Revoke/revokes a replaced key and not its successor"), func(b *broken) {
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
	{"Revoke revokes all keys with that name", rules("Revoke/leaves other keys unchanged"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			for _, twin := range b.twins(ctx, id) {
				b.full.Revoke(ctx, twin)
			}
			return b.full.Revoke(ctx, id)
		}
	}},
	{"Revoke of an unknown ID succeeds", rules("Revoke/returns ErrNotFound for an unknown or invalid ID"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			if errors.Is(err, apikey.ErrNotFound) {
				err = nil
			}
			return key, err
		}
	}},
}
