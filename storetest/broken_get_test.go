package storetest_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

var getDefects = []defect{
	{"Get never returns an error", rules("Get/returns ErrNotFound for an unknown ID", "Get/returns ErrNotFound for an invalid ID", "Get/compares IDs exactly"), func(b *broken) {
		b.get = func(ctx context.Context, id string) (apikey.Key, error) {
			key, _ := b.full.Get(ctx, id)
			return key, nil
		}
	}},
	{"an invalid ID is an outage", rules(
		"Get/returns ErrNotFound for an invalid ID", "Update/returns ErrNotFound for an unknown or invalid ID",
		"Replace/returns ErrNotFound for an unknown or invalid ID", "Revoke/returns ErrNotFound for an unknown or invalid ID",
	), func(b *broken) {
		outage := func(id string) error {
			if strings.Contains(id, "\x00") {
				return errors.New("invalid byte sequence")
			}
			return nil
		}
		b.get = func(ctx context.Context, id string) (apikey.Key, error) {
			if err := outage(id); err != nil {
				return apikey.Key{}, err
			}
			return b.full.Get(ctx, id)
		}
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if err := outage(id); err != nil {
				return apikey.Key{}, err
			}
			return b.full.Update(ctx, id, p)
		}
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			if err := outage(id); err != nil {
				return apikey.Key{}, err
			}
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			if err := outage(id); err != nil {
				return apikey.Key{}, err
			}
			return b.full.Revoke(ctx, id)
		}
	}},
	{"all callers share memory", rules(
		"Get/returns a copy", "List/returns copies", "Update/retains neither the Patch nor the returned key",
		"Replace/returns a copy", "Revoke/returns a copy",
	), func(b *broken) {
		scopes := make(map[string][]string)
		b.edit = func(key *apikey.Key) {
			if mine, ok := scopes[key.ID]; ok && len(mine) == len(key.Scopes) {
				key.Scopes = mine
			}
			scopes[key.ID] = key.Scopes
		}
	}},
}
