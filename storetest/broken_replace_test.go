package storetest_test

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-dev/apikey"
)

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
		"Replace/returns ErrNotFound for an unknown or invalid ID", "Revoke/no later write undoes a revocation",
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
